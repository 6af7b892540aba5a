"""`search`: candidates on tasks that the comparison never sees, tracked, within a limit, and gone on with."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from smallenough import journal
from smallenough.sessions.search import Book
from smallenough.tasks.basics import BasicsSource
from smallenough.tasks.select import categories, held_out, select
from smallenough.tracking.store import Store
from tests.cli.calling import Called, call
from tests.servers.faulty import Answer, FaultyServer, Model

REFERENCES = {task.entry_point: task.reference for task in BasicsSource().load().tasks}

FILE = """\
experiment: {name: tuned}
suite: {limit: 10}
models: [{name: tiny}]
search:
  space:
    temperature: {low: 0.0, high: 1.0}
    best_of_n.n: [1, 3]
  candidates: 4
  validation: 0.4
  cost: tokens_total
  most: 150
strategies: [best_of_n]
"""


def right_when_warm(body: Any) -> Answer:
    """The reference's code at a temperature from 0.5 on, else none; each answer has ten tokens."""
    asked = body["messages"][-1]["content"]
    name = next((name for name in REFERENCES if name and f"{name}(" in asked), None)
    warm = body["options"]["temperature"] >= 0.5
    return Answer(f"```python\n{REFERENCES[name]}\n```" if warm and name else "I can't.")


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with FaultyServer(right_when_warm, models={"tiny:latest": Model()}) as found:
        yield found


@pytest.fixture
def search(capsys: pytest.CaptureFixture[str], server: FaultyServer, fresh_store: Path, tmp_path: Path) -> Any:
    (tmp_path / "e.yaml").write_text(FILE)

    def called(*more: object, command: str = "search") -> Called:
        return call(
            capsys, command, "--config", tmp_path / "e.yaml", "--url", server.url, "--store", fresh_store, *more
        )

    return called


def seen(store: Path, session: str) -> set[str]:
    (started,) = [e for _, e in journal.read(store / "journal" / session) if e.kind == "session_started"]
    return set(started.plan.task_ids)


def test_it_finds_what_solves_most_within_the_limit_and_compares_it_on_other_tasks(
    search: Any, fresh_store: Path, tmp_path: Path
) -> None:
    done = search("--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert len(told["candidates"]) == 4
    within = [one for one in told["candidates"] if one["within"]]
    assert told["best"] in within
    assert told["best"]["solved"] == max(one["solved"] for one in within)
    assert all(one["within"] == (one["cost"] <= 150) for one in told["candidates"])
    tried = {task for one in told["candidates"] for task in seen(fresh_store, one["session"])}
    compared = seen(fresh_store, told["session"])
    assert tried
    assert compared
    assert not tried & compared, "the comparison never sees what the search saw"
    arms = [row["arm"] for row in told["comparison"]["rows"]]
    assert len(arms) == 2
    assert told["comparison"]["rows"][0]["baseline"]

    client = MlflowClient(Store.resolve(folder=fresh_store).uri)
    experiment = client.get_experiment_by_name("tuned")
    assert experiment
    (parent,) = client.search_runs([experiment.experiment_id], "tags.`smallenough.kind` = 'search'")
    nested = client.search_runs([experiment.experiment_id], f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")
    assert {run.data.tags["smallenough.session"] for run in nested} == {one["session"] for one in told["candidates"]}
    assert all({"temperature", "best_of_n.n"} <= set(run.data.params) for run in nested)
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics["best_solved"] == told["best"]["solved"]
    assert all(
        Path(run.info.artifact_uri).is_relative_to(fresh_store / "artifacts" / "tuned") for run in (parent, *nested)
    )
    best = client.download_artifacts(parent.info.run_id, "best.json", str(tmp_path))
    assert json.loads(Path(best).read_text()) == told["best"]["values"]

    again = json.loads(search("--json", "--no-compare").out)
    assert again["candidates"] == told["candidates"], "what was tried is not tried again"
    for more in ((), ("--limit", 20), ("--limit", 50), ("--quick-test",), ("--all",)):
        plan = json.loads(search("--dry-run", "--json", *more, command="run").out)["plan"]
        assert not set(plan["task_ids"]) & tried, "nor does a run of the file see them, whatever it selects"


@pytest.mark.slow
def test_broken_off_anywhere_it_goes_on_as_if_it_had_not_been(
    search: Any, server: FaultyServer, fresh_store: Path, tmp_path: Path
) -> None:
    text = FILE.replace("limit: 10", "limit: 4").replace("most: 150", "most: 5000")
    path = tmp_path / "e.yaml"
    path.write_text(text.replace("candidates: 4", "candidates: 1"))
    first = json.loads(search("--json", "--no-compare").out)["candidates"]
    (book,) = (fresh_store / "search").glob("*.jsonl")
    with book.open("ab") as file:
        file.write(b'{"values": {"temper')  # as a kill, or a full disk, leaves it
    path.write_text(text.replace("candidates: 4", "candidates: 3"))
    second = json.loads(search("--json", "--no-compare").out)["candidates"]
    assert second[:1] == first
    assert len({json.dumps(one["values"]) for one in second}) == 3, "no draw is made twice"
    book.unlink()
    whole = json.loads(search("--json", "--no-compare").out)["candidates"]
    assert [one["values"] for one in whole] == [one["values"] for one in second]
    other = json.loads(search("--json", "--no-compare", "--max-tokens", 7).out)["candidates"]
    assert {one["session"] for one in other}.isdisjoint(one["session"] for one in whole), "that is another search"


def test_a_limit_that_nothing_keeps_is_told(search: Any, tmp_path: Path) -> None:
    text = FILE.replace("most: 150", "most: 0.5").replace("candidates: 4", "candidates: 1")
    (tmp_path / "e.yaml").write_text(text)
    done = search()
    assert done.code == 2
    assert "no candidate keeps the limit; the cheapest took" in done.err


def test_a_flag_for_what_varies_is_refused(search: Any, server: FaultyServer) -> None:
    done = search("--temperature", 0.5)
    assert (done.code, server.state.requests["/api/chat"]) == (2, 0)
    assert "--temperature and search.space.temperature say the same thing" in done.err


HELD, OTHERS = ([task.id for task in part.tasks] for part in held_out(BasicsSource().load(), 0.4))


def test_a_task_in_one_s_own_words_has_nothing_to_search_by(search: Any, server: FaultyServer) -> None:
    done = search("--task", "hi")
    assert (done.code, server.state.requests["/api/chat"]) == (2, 0)
    assert "--task has no tests to search by" in done.err
    assert search("--task", "hi", "--dry-run", command="run").code == 0


@pytest.mark.parametrize(
    ("command", "named", "said"),
    [
        ("run", OTHERS[:2], ""),
        ("run", [HELD[0], OTHERS[0]], f"{HELD[0]}: held out for the search, and no part of a run; name others"),
        ("run", [OTHERS[0], "fibonaci"], "unknown task 'fibonaci'; did you mean 'fibonacci'"),
        ("search", [HELD[0], OTHERS[0]], ""),
        ("search", [HELD[0]], f"{HELD[0]}: held out to try candidates on, so that none is left to compare on"),
        ("search", OTHERS[:1], f"none of {OTHERS[0]} is held out, to try candidates on; name such a task too, as "),
        ("search", ["fibonaci"], "unknown task 'fibonaci'; did you mean 'fibonacci'"),
    ],
)
def test_named_tasks_are_told_apart_by_what_they_are_for(
    search: Any, command: str, named: list[str], said: str
) -> None:
    flags = [word for name in named for word in ("--task-type", name)]
    done = search("--dry-run", "--json", *flags, command=command)
    assert done.code == (2 if said else 0), done.err
    assert said in done.err
    if said:
        assert "e.yaml, line 4" in done.err or "unknown task" in done.err
    else:
        assert json.loads(done.out)["plan"]["task_ids"] == (named if command == "run" else named[:1])


@pytest.mark.slow
def test_what_is_searched_on_is_imported_first(
    search: Any, capsys: pytest.CaptureFixture[str], fresh_store: Path, tmp_path: Path
) -> None:
    task = {
        "name": "add", "problem": "Write a function func(a, b) that adds.", "category": "sums",
        "canonical_solution": "def add(a, b):\n    return a + b", "complexity": 1, "object": "function",
        "tests": json.dumps([{"ctx": "", "assertion": f"assert func({n}, 1) == {n + 1}"} for n in range(4)]),
    }  # fmt: skip
    (tmp_path / "e.yaml").write_text(FILE.replace("candidates: 4", "candidates: 1").replace("150", "5000"))
    mine = tmp_path / "mine.jsonl"
    mine.write_text("".join(json.dumps({**task, "task_id": f"t{number}"}) + "\n" for number in range(5)))
    flags = ("--import-data", "--jsonl-file", mine, "--suite", "mine", "--no-compare", "--json")
    listed = ("tasks", "list", "--json", "--store", fresh_store)
    assert search(*flags, "--dry-run").code == 0
    assert "mine" not in call(capsys, *listed).out, "a dry run saves nothing"
    done = search(*flags)
    assert "suite mine, version 1: 5 tasks" in done.err
    assert (done.code, "mine" in call(capsys, *listed).out) == (0, True), done.err
    (session, *_) = sorted((fresh_store / "journal").iterdir())
    assert journal.read_suite(session).version == 1


@pytest.mark.slow
def test_a_dry_run_counts_what_is_left_and_more_than_an_hour_is_asked_about(
    search: Any, server: FaultyServer, tmp_path: Path
) -> None:
    done = search("--dry-run")
    assert (done.code, server.state.requests["/api/chat"]) == (0, 0)
    assert "4 candidates; then 2 arms on 6 other tasks: 28 trials" in done.out
    assert "no earlier session to estimate the time from" in done.out
    (tmp_path / "e.yaml").write_text(FILE.replace("candidates: 4", "candidates: 1").replace("150", "5000"))
    done = search()
    assert done.code == 0, done.err
    assert "1 candidate on 4 tasks, held out for the search" in done.err
    assert "Keep `search:` in that file" in done.out
    told = json.loads(search("--dry-run", "--json").out)
    assert (told["candidates"], told["tried"], told["estimate"]["trials"]) == (1, 1, 12)
    (tmp_path / "e.yaml").write_text(FILE.replace("candidates: 4", "candidates: 1000000"))
    before = server.state.requests["/api/chat"]
    done = search()
    assert (done.code, "give --yes to start it all the same" in done.err) == (2, True), done.err
    assert "with the options as they are" in done.err
    assert server.state.requests["/api/chat"] == before


def test_search_tells_at_its_end_of_sessions_older_than_they_shall_be_kept(
    search: Any, fresh_store: Path, tmp_path: Path
) -> None:
    text = FILE.replace("candidates: 4", "candidates: 1").replace("150", "5000")
    (tmp_path / "e.yaml").write_text(text + "tracking: {keep_sessions: 0d}\n")
    done = search("--no-compare")
    assert done.code == 0, done.err
    assert "1 session is older than 0d" in done.err.splitlines()[-1]


def test_what_was_tried_is_on_the_disk_before_it_takes_the_place_of_what_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    book, synced = Book(tmp_path / "b.jsonl"), []
    sync = os.fsync

    def seen_by(opened: int) -> None:
        synced.append((str(Path(f"/proc/self/fd/{opened}").readlink()), len(book.read())))
        sync(opened)

    monkeypatch.setattr(os, "fsync", seen_by)
    book.append({"values": {}})
    assert synced == [(str(tmp_path / "b.new"), 0), (str(tmp_path), 1)]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("search:\n", "x:\n", "nothing to search: give `search: {space: …}` in the experiment file"),
        ("temperature: {low: 0.0, high: 1.0}", "temprature: [1]", "line 6: unknown parameter 'temprature'"),
        ("high: 1.0", "high: 3.0", "line 6: temperature: should be less than or equal to 2, and is 3.0"),
        ("{low: 0.0", "{low: 1.0", "line 6: search.space.temperature.range: low has to be below high\n"),
        ("[best_of_n]", "[best_of_n, single]", "a search is for one model with one strategy, and 2 arms are named"),
        ("candidates: 4", "candidates: none", "line 8: search.candidates: should be a valid integer"),
        ("high: 1.0}", "high: 1.0, log: true}", "temperature.range: with log, low has to be above 0\n"),
        ("[1, 3]", "[]", "line 7: search.space.best_of_n.n.list: "),
        ("validation: 0.4", "validation: 0.001", "104 tasks are too few to hold 0% of them out"),
    ],
)
def test_what_can_t_be_searched_is_told_before_a_model_is_asked(
    search: Any, server: FaultyServer, tmp_path: Path, old: str, new: str, said: str
) -> None:
    (tmp_path / "e.yaml").write_text(FILE.replace(old, new))
    done = search()
    assert done.code == 2
    assert said in done.err
    assert server.state.requests["/api/chat"] == 0


def test_the_parts_of_a_suite_are_the_same_for_the_same_tasks_and_hold_every_category() -> None:
    suite = BasicsSource().load()
    held, rest = held_out(suite, 0.3)
    assert {task.id for task in held.tasks} | {task.id for task in rest.tasks} == {task.id for task in suite.tasks}
    assert len(held.tasks) + len(rest.tasks) == len(suite.tasks)
    assert set(categories(held)) == set(categories(suite)) == set(categories(rest))
    turned = select(suite)
    again, _ = held_out(turned, 0.3)
    assert again == held
