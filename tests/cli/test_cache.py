"""`run --cache`: a repeated evaluation asks nobody, and its costs are not measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from smallenough import journal
from smallenough.tracking import reader
from smallenough.tracking.store import Store
from smallenough.tracking.tables import Tables
from tests.servers.faulty import FaultyServer

TASKS = ("--task-type", "add", "--task-type", "prime")
COSTS = ("latency_seconds", "wall_seconds", "cpu_seconds", "tokens_total", "time_to_first_token_seconds")


def tables(store: Path) -> Tables:
    """Of the newest session, by its journal."""
    newest = journal.sessions(store / "journal")[0].session
    return reader.read_journal(Store.resolve(None, store), newest)


def count(server: FaultyServer) -> int:
    return server.state.requests["/api/chat"]


def test_the_second_time_nobody_is_asked_and_nothing_is_measured(
    run: Any, server: FaultyServer, fresh_store: Path
) -> None:
    arms = ("--model", "tiny", "--strategy", "best_of_n:n=2", "--cache", "--json")
    first = run(*arms, *TASKS)
    assert (first.code, count(server)) == (0, 4)
    before = tables(fresh_store)
    assert before.attempts["cached"].isna().all()
    assert before.arms["wall_seconds"].notna().all()
    second = run(*arms, *TASKS)
    assert (second.code, count(server)) == (0, 4)
    solved = [[row["solved_rate"] for row in json.loads(done.out)["comparison"]["rows"]] for done in (first, second)]
    assert solved[0] == solved[1]
    found = tables(fresh_store)
    assert found.attempts["cached"].all()
    assert found.attempts["latency_seconds"].isna().all()
    for name in COSTS:
        assert found.trials[name].isna().all(), name
        assert name not in found.arms or found.arms[name].isna().all(), name
    assert (found.trials["model_calls"] == 0).all()
    assert list(found.trials["solved"]) == list(before.trials["solved"])


def test_what_is_new_is_asked_and_an_arm_of_both_has_no_costs(
    run: Any, server: FaultyServer, fresh_store: Path
) -> None:
    run("--model", "tiny", "--cache", "--task-type", "add")
    done = run("--model", "tiny", "--cache", *TASKS)
    assert "1 answer from the cache" in done.err
    assert count(server) == 2
    found = tables(fresh_store)
    assert sorted(found.trials["latency_seconds"].isna()) == [False, True]
    assert found.arms["wall_seconds"].isna().all(), "what was measured is not what two trials take"
    assert run("--model", "big", "--cache", *TASKS).code == 0
    assert count(server) == 4, "another model is another matter"


@pytest.mark.slow
@pytest.mark.parametrize("cache", [True, False])
def test_it_is_asked_for_by_a_file_too(cache: bool, run: Any, server: FaultyServer, tmp_path: Path) -> None:
    path = tmp_path / "experiment.yaml"
    path.write_text(f"models: [{{name: tiny}}]\ncache: {str(cache).lower()}\n")
    for _ in range(2):
        assert run("--config", path, "--task-type", "add").code == 0
    assert count(server) == (1 if cache else 2)


@pytest.mark.slow
def test_without_it_everything_is_asked_again(run: Any, server: FaultyServer, fresh_store: Path) -> None:
    for _ in range(2):
        run("--model", "tiny", "--task-type", "add")
    assert count(server) == 2
    assert not (fresh_store / "predictions").exists()
