"""Scoring saved completions again: what changes, what stays as it was, and where it goes on after a break."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from mlflow.entities import Run

from smallenough import journal, plugins
from smallenough.errors import InputError, TrackingError, UnknownName
from smallenough.events import ActionsDecided, Event, TrialFinished
from smallenough.records import Suite, Task, Test
from smallenough.runner.arm import Observe
from smallenough.sessions import experiment
from smallenough.sessions.again import OWN
from smallenough.sessions.experiment import StartWriter
from smallenough.sessions.saved import opened
from smallenough.sessions.score import Rescored, go_on, prepare, score
from smallenough.tasks.export import write_jsonl
from smallenough.tracking import writer
from smallenough.tracking.access import find_runs
from smallenough.tracking.kept import KEPT
from smallenough.tracking.kept import stored_sessions as kept_sessions
from smallenough.tracking.runs import TAG
from smallenough.tracking.store import Store, connect
from smallenough.tracking.suites import save_suite
from tests import replayed

pytestmark = pytest.mark.xdist_group("score")  # a session is shared

TASKS = 6
BEFORE = {"m single": 2, "m branching": 4}
"""Solved trials of the session, by arm."""


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory, new_store: Callable[[Path], Store]) -> tuple[Store, str]:
    """A store with one session in it, and the session's id."""
    store = new_store(tmp_path_factory.mktemp("scored"))
    result = experiment.run(replayed.prepared(TASKS, concurrency=2), store)
    assert (result.status, result.writer.wait(240)) == ("completed", 0)
    return store, result.session


@pytest.fixture
def copied(ended: tuple[Store, str], tmp_path: Path, new_store: Callable[[Path], Store]) -> tuple[Store, str]:
    """A copy of its journal, whose store is empty."""
    store = new_store(tmp_path / "copied")
    shutil.copytree(ended[0].journals / ended[1], store.journals / ended[1])
    return store, ended[1]


def suite(**changed: Task) -> Suite:
    """The session's tasks, of which some are others."""
    found = replayed.suite(TASKS)
    return replace(found, tasks=tuple(changed.get(task.id, task) for task in found.tasks))


def task(number: int, **changes: Any) -> Task:
    """A task of the session with something changed."""
    return replace(replayed.suite(TASKS).tasks[number], **changes)


def stricter() -> Suite:
    """With a hidden test of the first task that no answer of the session passes."""
    tests = replayed.suite(TASKS).tasks[0].hidden_tests
    return suite(
        double_0=task(
            0,
            hidden_tests=(*tests, Test("assert double_0(None) is None")),
            reference="def double_0(n):\n    return None if n is None else 2 * n",
        )
    )


def again(
    store: Store,
    session: str | None,
    observe: Observe = lambda _: None,
    start_writer: StartWriter | None = None,
    **wanted: Any,
) -> Rescored:
    """Scores a session again, with MLflow left alone."""
    said: list[str] = wanted.pop("said", [])
    with opened(store, session, said.append) as saved:
        made = prepare(saved, store, say=said.append, **wanted)
        return score(made, store, 2, observe, said.append, start_writer or no_writer)


def no_writer(folder: Path, store: Store) -> subprocess.Popen[bytes]:
    """Leaves the store to `flush`."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process


def events(folder: Path) -> list[Event]:
    return [event for _, event in journal.read(folder)]


def body(folder: Path) -> list[Event]:
    """What a session scored again has of the old one."""
    return [event for event in events(folder) if not isinstance(event, OWN)]


def ends(folder: Path) -> dict[Any, tuple[Any, ...]]:
    """How trials ended, without what a clock says."""
    return {
        event.key: (
            event.outcome,
            event.chosen,
            [[one.passed for one in scored.hidden.results] if scored.hidden else None for scored in event.scored],
            [{one.name: one.value for one in scored.scores if one.name != "runtime_ratio"} for scored in event.scored],
        )
        for event in events(folder)
        if isinstance(event, TrialFinished)
    }


def solved(done: Rescored) -> dict[str, int]:
    return {one.arm: one.solved for one in done.changes}


def interrupt_after(count: int) -> Observe:
    """Sends Ctrl-C when so many trials have ended."""
    seen = 0

    def observe(event: Event) -> None:
        nonlocal seen
        seen += isinstance(event, TrialFinished)
        if seen == count:
            seen += 1
            os.kill(os.getpid(), signal.SIGINT)

    return observe


# ---------------------------------------------------------------------------------------------- what is decided anew


def test_stricter_hidden_tests_lower_the_rates_and_what_was_asked_and_took_stays(copied: tuple[Store, str]) -> None:
    store, session = copied
    save_suite(store, stricter(), merge=False)
    done = again(store, session)
    assert {one.arm: one.before for one in done.changes} == BEFORE
    assert solved(done) == {"m single": 1, "m branching": 3}
    assert (done.result.status, done.scored_from) == ("completed", session)
    old, new = body(store.journals / session), body(done.result.folder)
    assert [event for event in new if not isinstance(event, TrialFinished)] == [
        event for event in old if not isinstance(event, TrialFinished)
    ]
    assert [event.time for event in new] == [event.time for event in old]
    other = {key: end for key, end in ends(done.result.folder).items() if key.task != "double_0"}
    assert other == {key: end for key, end in ends(store.journals / session).items() if key.task != "double_0"}


def test_looser_hidden_tests_raise_them_though_the_public_ones_fail(copied: tuple[Store, str]) -> None:
    store, session = copied
    save_suite(store, suite(double_2=task(2, hidden_tests=(Test("assert double_2(7) == 14"),))), merge=False)
    assert solved(again(store, session)) == {"m single": 3, "m branching": 5}


def test_every_step_is_scored_and_the_choice_stays(copied: tuple[Store, str]) -> None:
    store, session = copied
    save_suite(store, stricter(), merge=False)
    done = again(store, session)
    before, after = ends(store.journals / session), ends(done.result.folder)
    assert {key: (end[1], len(end[2])) for key, end in after.items()} == {
        key: (end[1], len(end[2])) for key, end in before.items()
    }
    (first,) = (end[2] for key, end in after.items() if key.arm == "m single" and key.task == "double_0")
    assert first == [[True, True, False]]


def test_without_newer_tasks_the_sessions_own_decide_again_the_same(copied: tuple[Store, str]) -> None:
    store, session = copied
    said: list[str] = []
    done = again(store, None, said=said)
    assert ends(done.result.folder) == ends(store.journals / session)
    assert any("the tasks are those of the session" in line for line in said)


def test_the_tasks_can_be_named_as_a_file(copied: tuple[Store, str], tmp_path: Path) -> None:
    store, session = copied
    write_jsonl(stricter(), tmp_path / "stricter.jsonl")
    done = again(store, session, suite=str(tmp_path / "stricter.jsonl"))
    assert solved(done) == {"m single": 1, "m branching": 3}


def test_no_model_is_looked_up(copied: tuple[Store, str], monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []
    load = plugins.load

    def watched(kind: Any, name: str) -> Any:
        loaded.append(kind)
        return load(kind, name)

    monkeypatch.setattr(plugins, "load", watched)
    again(*copied)
    assert {"scorers", "sandboxes"} <= set(loaded)
    assert "models" not in loaded
    assert "strategies" not in loaded
    assert "probes" not in loaded


SCORERS = """
from smallenough.records import Score


class Long:
    name, version = "long", "3"

    def score(self, task, answer, ask=None):
        return [Score("answer_characters", float(len(answer.step.response)), "long/3")]


class Asks:
    name, version = "asks", "1"

    def score(self, task, answer, ask=None):
        return [Score("liked", float(ask([], "judge") == "yes"), "asks/1")]
"""
POINTS = "[smallenough.scorers]\nlong = scorers_of_a_test:Long\nasks = scorers_of_a_test:Asks\n"


@pytest.fixture
def more_scorers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two scorers of another package, installed."""
    package = tmp_path / "site"
    (package / "scorers_of_a_test-1.dist-info").mkdir(parents=True)
    (package / "scorers_of_a_test.py").write_text(SCORERS)
    (package / "scorers_of_a_test-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: x\nVersion: 1\n")
    (package / "scorers_of_a_test-1.dist-info" / "entry_points.txt").write_text(POINTS)
    monkeypatch.syspath_prepend(package)
    plugins._entries.cache_clear()
    yield
    plugins._entries.cache_clear()


@pytest.mark.usefixtures("more_scorers")
def test_a_new_scorer_measures_what_was_answered_and_one_that_asks_is_told_that_nobody_answers(
    copied: tuple[Store, str],
) -> None:
    store, session = copied
    done = again(store, session)
    (trial,) = (
        event
        for event in body(done.result.folder)
        if isinstance(event, TrialFinished) and (event.key.arm, event.key.task) == ("m single", "double_0")
    )
    (step,) = trial.scored
    (attempt,) = (
        event.completion
        for event in body(store.journals / session)
        if event.kind == "attempt_finished" and event.key == trial.key
    )
    assert attempt
    assert {one.scorer: one.value for one in step.scores if one.name == "answer_characters"} == {
        "long/3": len(attempt.text)
    }
    assert [failure.error for failure in step.failures] == ["ScorerError"]
    assert "liked" not in {one.name for one in step.scores}
    assert sum(isinstance(event, ActionsDecided) for event in body(done.result.folder)) == sum(
        isinstance(event, ActionsDecided) for event in body(store.journals / session)
    )
    chosen = again(store, session, scorers=("tests",))
    scored = [end.scored[0] for end in body(chosen.result.folder) if isinstance(end, TrialFinished)]
    assert {score.name for one in scored for score in one.scores} == {
        "solved",
        "tests_passed_ratio",
        "syntax_valid",
        "runtime_ratio",
    }


# -------------------------------------------------------------------------------------------- tasks that do not suit


def test_a_task_that_asks_something_else_is_refused_with_words_and_left_out_on_demand(
    copied: tuple[Store, str],
) -> None:
    store, session = copied
    other = suite(
        double_1=task(1, prompt="Write double_1(n), which returns n tripled."),
        double_2=task(2, public_tests=(Test("assert double_2(1) == 2"),)),
    )
    save_suite(store, replace(other, tasks=other.tasks[:5]), merge=False)
    with pytest.raises(InputError) as refused:
        again(store, session)
    assert "'double_1' has changed in suite 'doubles' (prompt)" in str(refused.value)
    assert "'double_2' has changed in suite 'doubles' (public tests)" in str(refused.value)
    assert "'double_5' is not in suite 'doubles'" in str(refused.value)
    assert "--common scores the other 3 of 6 tasks alone" in str(refused.value)
    assert len(journal.sessions(store.journals)) == 1, "nothing was begun"

    done = again(store, session, common=True)
    assert {key.task for key in ends(done.result.folder)} == {"double_0", "double_3", "double_4"}
    assert {one.arm: (one.trials, one.missing) for one in done.changes} == {"m single": (3, 0), "m branching": (3, 0)}
    assert done.result.status == "completed"


def test_where_tasks_are_left_out_an_arm_took_what_the_attempts_at_the_others_took(copied: tuple[Store, str]) -> None:
    store, session = copied
    found = replayed.suite(TASKS)
    save_suite(store, replace(found, tasks=found.tasks[:2]), merge=False)
    done = again(store, session, common=True)
    kept = body(done.result.folder)
    for arm in ("m single", "m branching"):
        (end,) = (event for event in kept if event.kind == "arm_finished" and event.arm == arm)
        own = [event for event in kept if event.kind == "attempt_finished" and event.key.arm == arm]
        assert end.monitor["attempts"] == len(own) > 0
        assert 0 < end.usage.seconds <= sum(one.time - one.started for one in own) + 1e-6
    assert not list((done.result.folder / "samples").iterdir()), "they are of all tasks"


def test_references_have_to_pass_the_newer_tests_first(copied: tuple[Store, str]) -> None:
    store, session = copied
    save_suite(store, suite(double_3=task(3, hidden_tests=(Test("assert double_3(1) == 3"),))), merge=False)
    with pytest.raises(InputError, match=r"task 'double_3': its reference fails 'assert double_3\(1\) == 3'"):
        again(store, session)
    assert len(journal.sessions(store.journals)) == 1


def test_an_unknown_session_is_told_with_the_nearest(ended: tuple[Store, str]) -> None:
    store, session = ended
    near = session[:-1] + ("0" if session[-1] != "0" else "1")
    with pytest.raises(UnknownName, match=f"did you mean '{session}'"):
        again(store, near)
    with pytest.raises(UnknownName, match="unknown suite 'dubbles'"):
        again(store, session, suite="dubbles")


# ------------------------------------------------------------------------------------------ broken off, and going on


def test_what_ended_of_an_interrupted_session_is_scored_and_the_rest_once_that_has_gone_on(
    tmp_path: Path, new_store: Callable[[Path], Store]
) -> None:
    store = new_store(tmp_path)
    ready = replayed.prepared(TASKS, concurrency=2)
    first = experiment.run(ready, store, interrupt_after(5), start_writer=no_writer)
    assert first.status == "interrupted"
    part = again(store, first.session)
    done = sum(one.trials for one in part.changes)
    assert (part.result.status, part.result.reason) == ("interrupted", "")
    assert 5 <= done < 2 * TASKS
    assert sum(one.missing for one in part.changes) == 2 * TASKS - done
    with pytest.raises(InputError, match=f"has all that session {first.session} has come to"):
        go_on(part.result.folder, store, 2, start_writer=no_writer)

    resumed = experiment.resume(first.folder, store, prepared_again=lambda *_: replayed.prepared(TASKS, concurrency=2))
    assert (resumed.status, resumed.writer.wait(240)) == ("completed", 0)
    whole = go_on(part.result.folder, store, 2, start_writer=no_writer)
    assert (whole.result.status, solved(whole)) == ("completed", BEFORE)
    assert ends(part.result.folder) == ends(first.folder)
    assert len(body(part.result.folder)) == len(body(first.folder))


@pytest.mark.parametrize("killed", [False, True], ids=["interrupted", "killed"])
def test_scoring_that_is_broken_off_goes_on_where_it_was(copied: tuple[Store, str], killed: bool) -> None:
    store, session = copied
    save_suite(store, stricter(), merge=False)
    part = again(store, session, interrupt_after(4))
    assert (part.result.status, part.result.reason) == ("interrupted", "interrupted")
    path = part.result.folder / "journal.jsonl"
    if killed:  # neither its end nor the whole of its last line reached the disk
        os.truncate(path, path.stat().st_size * 3 // 4)
    before = body(part.result.folder)
    seen: list[Event] = []
    done = go_on(part.result.folder, store, 2, seen.append, start_writer=no_writer)
    assert (done.result.status, solved(done)) == ("completed", {"m single": 1, "m branching": 3})
    after = body(part.result.folder)
    assert after[: len(before)] == before
    assert sum(isinstance(event, TrialFinished) for event in seen + before) == 2 * TASKS, "none is scored twice"
    assert [event.time for event in after] == [event.time for event in body(store.journals / session)]


# ---------------------------------------------------------------------------------------------------- in the store


def contents(store: Store, session: str) -> dict[str, Any]:
    """All that MLflow says of a session, by record."""
    client = connect(store)
    found = client.get_experiment_by_name("replayed")
    assert found
    runs = find_runs(client, [found.experiment_id], session=session)
    return {run.data.tags[f"{TAG}record"]: run for run in runs}


def artifacts(store: Store, run: Run) -> dict[str, bytes]:
    client = connect(store)
    names = [file.path for file in client.list_artifacts(run.info.run_id)]
    return {name: Path(client.download_artifacts(run.info.run_id, name)).read_bytes() for name in names}


def test_its_runs_say_where_they_come_from_and_the_old_ones_stay(ended: tuple[Store, str]) -> None:
    store, session = ended
    before = contents(store, session)
    kept = {name: artifacts(store, run) for name, run in before.items() if name.startswith(("session", "arm"))}
    save_suite(store, stricter(), merge=False)
    done = again(store, session, start_writer=writer.start)
    assert done.result.writer.wait(240) == 0
    after = contents(store, done.result.session)
    assert after.keys() == before.keys()
    for name in ("session", "arm:m single", "arm:m branching"):
        assert after[name].data.tags[f"{TAG}scored_from"] == session
        assert after[name].data.params["scored_from"] == session
        assert f"{TAG}scored_from" not in before[name].data.tags
    for name in ("arm:m single", "arm:m branching"):
        then, now = before[name].data.metrics, after[name].data.metrics
        totals = {key for key in then if not key.startswith(("solved", "tests_", "syntax", "runtime", "efficiency"))}
        totals = {key for key in totals if not key.endswith("_per_solved")} - {"first_attempt_solved"}
        assert {"tokens_out", "wall_seconds", "model_calls", "latency_seconds", "sandbox_runs"} <= totals
        assert {key: now.get(key) for key in totals} == {key: then[key] for key in totals}
        assert now["solved_count"] == then["solved_count"] - 1
    unchanged = contents(store, session)
    assert {name: (run.data.to_dictionary(), run.info.end_time) for name, run in unchanged.items()} == {
        name: (run.data.to_dictionary(), run.info.end_time) for name, run in before.items()
    }
    assert {name: artifacts(store, unchanged[name]) for name in kept} == kept


def test_the_store_alone_gives_the_same_as_the_journal(ended: tuple[Store, str], tmp_path: Path) -> None:
    store, session = ended
    elsewhere = Store(tmp_path / "elsewhere", store.uri)
    save_suite(store, stricter(), merge=False)
    said: list[str] = []
    here, there = again(store, session), again(elsewhere, session, said=said)
    assert any("it is read from the tracking store" in line for line in said)
    assert there.result.folder.is_relative_to(elsewhere.folder)
    assert ends(there.result.folder) == ends(here.result.folder)
    assert [asdict(one) for one in there.changes] == [asdict(one) for one in here.changes]
    assert [event for event in body(there.result.folder) if not isinstance(event, TrialFinished)] == [
        event for event in body(here.result.folder) if not isinstance(event, TrialFinished)
    ]
    samples = {path.name: path.read_bytes() for path in (there.result.folder / "samples").iterdir()}
    assert samples == {path.name: path.read_bytes() for path in (here.result.folder / "samples").iterdir()}
    newest = again(Store(tmp_path / "third", store.uri), None)
    assert newest.scored_from == max(kept_sessions(store), key=lambda one: one.started).session


def test_a_session_whose_run_keeps_no_journal_is_told_with_the_mend(
    tmp_path: Path, new_store: Callable[[Path], Store]
) -> None:
    store = new_store(tmp_path / "store")
    result = experiment.run(replayed.prepared(1, arms=replayed.ARMS[:1]), store)
    assert result.writer.wait(240) == 0
    run = contents(store, result.session)["session"]
    kept = Path(run.info.artifact_uri.removeprefix("file://")) / KEPT
    whole = kept.read_bytes()
    elsewhere = Store(tmp_path / "elsewhere", store.uri)
    kept.write_bytes(whole[:-100])
    with pytest.raises(TrackingError, match=f"{KEPT} is damaged"):
        again(elsewhere, result.session)
    kept.unlink()
    with pytest.raises(TrackingError, match=f"has no {KEPT}; .* smallenough flush {result.session}"):
        again(elsewhere, result.session)
    writer.write(result.folder, store, follow=False)
    assert again(elsewhere, result.session).result.status == "completed"
