"""`score` as a person calls it: what it says, what it shows, and the commands that go on from there."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from smallenough.journal import Journal
from smallenough.records import Test
from smallenough.sessions import experiment
from smallenough.tasks.export import write_jsonl
from smallenough.tracking.store import Store
from tests import replayed
from tests.cli.calling import call

pytestmark = pytest.mark.xdist_group("score")  # a session is shared

TASKS = 3


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory, new_store: Callable[[Path], Store]) -> tuple[Store, str]:
    """A store with one session in it, and the session's id."""
    store = new_store(tmp_path_factory.mktemp("scored"))
    result = experiment.run(replayed.prepared(TASKS), store)
    assert (result.status, result.writer.wait(240)) == ("completed", 0)
    return store, result.session


@pytest.fixture
def stricter(tmp_path: Path) -> Path:
    """The session's tasks in a file; no answer of the session passes the first any more."""
    found = replayed.suite(TASKS)
    first = replace(
        found.tasks[0],
        hidden_tests=(Test("assert double_0(None) is None"),),
        reference="def double_0(n):\n    return None if n is None else 2 * n",
    )
    write_jsonl(replace(found, tasks=(first, *found.tasks[1:])), tmp_path / "stricter.jsonl")
    return tmp_path / "stricter.jsonl"


def test_a_session_is_scored_again_shown_compared_with_the_old_one_and_complete(
    ended: tuple[Store, str], stricter: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, session = ended
    done = call(capsys, "score", session, "--suite", stricter, "--json", "--store", store.folder)
    assert done.code == 0, done.err
    shown = json.loads(done.out)
    assert (shown["status"], shown["scored_from"], shown["left_bytes"]) == ("completed", session, 0)
    assert [(one["arm"], one["trials"], one["before"], one["solved"]) for one in shown["arms"]] == [
        ("m single", 3, 1, 0),
        ("m branching", 3, 2, 1),
    ]
    assert [row["counts"]["solved"] for row in shown["comparison"]["rows"]] == [0, 1]

    both = call(capsys, "compare", session, shown["session"], "--no-log", "--json", "--store", store.folder)
    rows = json.loads(both.out)["rows"]
    assert {(row["session"], row["counts"]["solved"]) for row in rows} == {
        (session, 1),
        (session, 2),
        (shown["session"], 0),
        (shown["session"], 1),
    }
    (note,) = [note for note in json.loads(both.out)["notes"] if "independent" in note]
    assert f"Session {shown['session']} scored the answers of {session} again" in note
    listed = call(capsys, "sessions", "--json", "--store", store.folder)
    assert {one["session"]: one["scored_from"] for one in json.loads(listed.out)} == {
        session: None,
        shown["session"]: session,
    }
    complete = call(capsys, "resume", shown["session"], "--store", store.folder)
    assert (complete.code, "nothing to resume" in complete.err) == (2, True)


def test_it_says_in_words_what_it_does_and_what_came_of_it(
    ended: tuple[Store, str], stricter: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, session = ended
    done = call(capsys, "score", session, "--suite", stricter, "--scorer", "tests", "--store", store.folder)
    assert done.code == 0, done.err
    assert f"scoring 6 trials of session {session} by suite stricter" in done.err
    assert "no model is asked" in done.err
    assert "m single: 0 of 3 trials solved, 1 before" in done.err
    assert "m branching: 1 of 3 trials solved, 2 before" in done.err
    assert "m branching" in done.out, "the comparison"


def test_scoring_that_a_crash_tore_goes_on(ended: tuple[Store, str], capsys: pytest.CaptureFixture[str]) -> None:
    store, session = ended
    scored = json.loads(call(capsys, "score", session, "--json", "--store", store.folder).out)["session"]
    folder = store.journals / scored
    with Journal(folder):
        done = call(capsys, "resume", scored, "--store", store.folder)
    assert (done.code, f"session {scored} is being run by another process" in done.err) == (2, True)
    path = folder / "journal.jsonl"
    content = path.read_bytes()
    path.write_bytes(content[: content.rindex(b"trial_finished") + 5])
    done = call(capsys, "resume", scored, "--store", store.folder)
    assert done.code == 0, done.err
    said = " ".join(done.err.split())
    assert f"the journal's last line was torn by a crash; it was put aside in {folder}/damaged-1" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("2019",), "unknown session '2019'"),
        (("--suite", "basix"), "did you mean 'basics'"),
        (("--suite", "basics"), "'double_0' is not in suite 'basics'"),
        (("--suite", "basics", "--common"), "no task of session"),
        (("--scorer", "static"), "name tests too"),
        (("--scorer", "tests", "--scorer", "statik"), "did you mean 'static'"),
        (("--sandbox", "bubblewrapp"), "did you mean 'bubblewrap'"),
    ],
)
def test_what_is_asked_for_and_can_not_be_is_told(
    arguments: tuple[str, ...], said: str, ended: tuple[Store, str], capsys: pytest.CaptureFixture[str]
) -> None:
    store, session = ended
    named = arguments if arguments[0] == "2019" else (session, *arguments)
    done = call(capsys, "score", *named, "--store", store.folder)
    assert (done.code, said in done.err) == (2, True), done.err


def test_where_there_are_no_sessions_that_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = call(capsys, "score", "--store", tmp_path)
    assert (done.code, "there are no sessions yet" in done.err) == (2, True), done.err
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.ollama
@pytest.mark.timeout(1000)
def test_a_real_sessions_answers_are_scored_again_with_the_server_out_of_reach(
    fresh_store: Path, ollama_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ("--model", "smollm2:135m", "--task-type", "add", "--max-tokens", "60", "--url", ollama_url)
    ran = call(capsys, "run", *asked, "--json", "--store", fresh_store)
    assert ran.code == 0, ran.err
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")
    done = call(capsys, "score", "--json", "--store", fresh_store)
    assert done.code == 0, done.err
    then, now = (json.loads(one.out)["comparison"]["rows"][0] for one in (ran, done))
    assert now["counts"] == then["counts"]
    assert now["totals"] == then["totals"]
