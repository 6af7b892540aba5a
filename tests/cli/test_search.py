"""`search`: candidates on tasks that the comparison never sees, tracked, within a limit, and gone on with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from smallenough import journal
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
