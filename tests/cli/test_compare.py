"""`compare` and `sessions` on one store with two sessions: what is printed, in each form, and what is kept."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from smallenough.sessions import experiment
from smallenough.tracking.runs import TAG
from smallenough.tracking.store import Store
from tests import replayed
from tests.cli.calling import Called, call

pytestmark = pytest.mark.xdist_group("compared")  # two sessions are shared


@pytest.fixture(scope="module")
def sessions(tmp_path_factory: pytest.TempPathFactory, new_store: Callable[[Path], Store]) -> tuple[Path, list[str]]:
    """A store with two sessions of one experiment, and their ids, the older one first."""
    store = new_store(tmp_path_factory.mktemp("compared"))
    results = [experiment.run(replayed.prepared(count), store) for count in (3, 2)]
    for result in results:
        assert result.writer.wait(120) == 0
    return store.folder, [result.session for result in results]


@pytest.fixture
def compare(capsys: pytest.CaptureFixture[str], sessions: tuple[Path, list[str]]) -> Any:
    def called(*arguments: object) -> Called:
        done = call(capsys, "compare", *arguments, "--store", sessions[0])
        assert done.code == 0, done.err
        return done

    return called


def kept(folder: Path) -> list[str]:
    client = MlflowClient(Store.resolve(folder=folder).uri)
    experiments = [one.experiment_id for one in client.search_experiments()]
    found = client.search_runs(experiments, f"tags.`{TAG}kind` = 'comparison'")
    return [run.info.run_id for run in found]


def test_csv_has_a_line_for_each_arm_and_every_number_that_json_has(compare: Any, sessions: Any) -> None:
    chosen = sessions[1][0]
    lines = list(csv.DictReader(io.StringIO(compare(chosen, "--csv").out)))
    rows = json.loads(compare(chosen, "--json").out)["rows"]
    assert [line["arm"] for line in lines] == [row["arm"] for row in rows] == ["m single", "m branching"]
    for line, row in zip(lines, rows, strict=True):
        assert float(line["solved_rate"]) == row["solved_rate"]["rate"]
        assert int(line["trials"]) == 3
        assert (line["energy_joules_per_solved"] == "") == (row["per_solved"]["energy_joules"] is None)
    assert [float(line["solved_rate"]) for line in lines] == pytest.approx([1 / 3, 2 / 3])


def test_markdown_is_a_table_of_the_arms(compare: Any, sessions: Any) -> None:
    verdict, _, *lines = compare(sessions[1][0], "--markdown").out.splitlines()
    assert verdict.endswith(".")
    assert lines[0].startswith("| Arm ")
    assert set(lines[1]) <= set("| -:")
    assert [line.split("|")[1].strip() for line in lines[2:4]] == ["m single", "m branching"]
    assert len({line.count("|") for line in lines[:4]}) == 1
    assert "33%" in lines[2]
    detailed = compare(sessions[1][0], "--markdown", "--details").out
    assert len(detailed.splitlines()) > 20


def test_the_others_are_compared_with_the_baseline_that_is_named(
    compare: Any, sessions: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = json.loads(compare(sessions[1][0], "--baseline", "m branching", "--json").out)["rows"]
    assert {row["arm"]: row["baseline"] for row in rows} == {"m single": False, "m branching": True}
    (against,) = (row["against"] for row in rows if not row["baseline"])
    assert against["difference"]["estimate"] == pytest.approx(-1 / 3)
    done = call(capsys, "compare", sessions[1][0], "--baseline", "m branchin", "--store", sessions[0])
    assert (done.code, "did you mean 'm branching'" in done.err) == (2, True)


def test_the_newest_session_is_compared_unless_an_experiment_is_named(compare: Any, sessions: Any) -> None:
    assert [row["counts"]["trials"] for row in json.loads(compare("--json").out)["rows"]] == [2, 2]
    both = json.loads(compare("--experiment", "replayed", "--json").out)["rows"]
    older, newer = sessions[1]
    assert [(row["session"], row["counts"]["trials"]) for row in both] == [(newer, 2)] * 2 + [(older, 3)] * 2


def test_an_unknown_experiment_or_session_is_told_with_the_nearest(
    sessions: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    done = call(capsys, "compare", "--experiment", "replaid", "--store", sessions[0])
    assert (done.code, "did you mean 'replayed'" in done.err) == (2, True)
    done = call(capsys, "compare", "2019", "--store", sessions[0])
    assert (done.code, "unknown session '2019'" in done.err) == (2, True)


def test_prices_turn_time_into_money(compare: Any, sessions: Any) -> None:
    plain = json.loads(compare(sessions[1][0], "--json").out)["rows"]
    assert {row["per_solved"]["money"] for row in plain} == {None}
    priced = compare(
        sessions[1][0], "--price-per-hour", "3600", "--currency", "EUR", "--price-date", "2026-11-01", "--json"
    )
    assert any("as of 2026-11-01" in note for note in json.loads(priced.out)["notes"])
    for row in json.loads(priced.out)["rows"]:
        assert row["totals"]["money"] == pytest.approx(row["totals"]["wall_seconds"])
        assert row["per_solved"]["money"] == pytest.approx(row["totals"]["money"] / row["counts"]["solved"])
    assert "EUR" in compare(sessions[1][0], "--price-per-hour", "3600", "--currency", "EUR", "--details").out


@pytest.mark.parametrize("lost", [("--currency", "EUR"), ("--price-date", "2026-11-01")])
def test_what_is_said_of_prices_that_are_not_given_is_told(
    lost: tuple[str, str], sessions: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    done = call(capsys, "compare", *lost, "--store", sessions[0])
    assert (done.code, "are of prices: give --price-per-kwh" in done.err) == (2, True)


def test_a_comparison_is_kept_once_unless_that_is_not_wanted(compare: Any, sessions: Any) -> None:
    chosen = (sessions[1][1], "--baseline", "m branching")
    before = kept(sessions[0])
    compare(*chosen, "--no-log")
    assert kept(sessions[0]) == before
    for _ in range(2):
        compare(*chosen)
    (new,) = set(kept(sessions[0])) - set(before)
    client = MlflowClient(Store.resolve(folder=sessions[0]).uri)
    names = {found.path for found in client.list_artifacts(new)}
    assert {"comparison.json", "comparison.csv", "comparison.md"} <= names


def test_sessions_are_listed_with_the_newest_first(sessions: Any, capsys: pytest.CaptureFixture[str]) -> None:
    folder, (older, newer) = sessions
    lines = call(capsys, "sessions", "--store", folder).out.splitlines()
    assert lines[0].split()[:3] == ["session", "status", "trials"]
    assert [line.split()[:4] for line in lines[1:]] == [
        [newer, "completed", "4/4", "doubles"],
        [older, "completed", "6/6", "doubles"],
    ]
    one = json.loads(call(capsys, "sessions", "-n", "1", "--json", "--store", folder).out)
    assert [found["session"] for found in one] == [newer]
    assert json.loads(call(capsys, "sessions", "--experiment", "other", "--json", "--store", folder).out) == []
