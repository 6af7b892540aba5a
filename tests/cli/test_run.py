"""`run` through the command line: what is asked of which server, what is refused and how, what faults become."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from smallenough import journal
from tests.cli.calling import Called, call
from tests.servers.faulty import Answer, FaultyServer, Model

ROOT = Path(__file__).parents[2]
ADD = "```python\ndef add(a, b):\n    return a + b\n```"


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with FaultyServer(
        lambda _body: Answer(ADD), models={"tiny:latest": Model(), "big:latest": Model(parameters=8 * 10**9)}
    ) as found:
        yield found


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], fresh_store: Path, server: FaultyServer) -> Any:
    def called(*arguments: object) -> Called:
        return call(capsys, "run", *arguments, "--url", server.url, "--store", fresh_store)

    return called


def asked(server: FaultyServer) -> int:
    return server.state.requests["/api/chat"]


def finished(store: Path) -> list[Any]:
    (folder,) = (store / "journal").iterdir()
    return [event for _, event in journal.read(folder) if event.kind == "trial_finished"]


def test_a_large_model_as_it_is_against_a_small_one_as_it_is_and_branching(run: Any, server: FaultyServer) -> None:
    done = run("--large-model", "big", "--small-model", "tiny", "--task-type", "add", "--json")
    assert done.code == 0
    rows = {row["arm"]: row for row in json.loads(done.out)["comparison"]["rows"]}
    assert list(rows) == ["big single", "tiny single", "tiny branching"]
    assert [name for name, row in rows.items() if row["baseline"]] == ["big single"]
    assert all(row["solved_rate"]["rate"] == 1 for row in rows.values())
    prompts = {body["model"]: body["messages"] for body in server.state.bodies}
    assert prompts["big:latest"][0]["role"] == "system", "a large model gets the detailed templates"
    assert prompts["tiny:latest"][0]["role"] == "user"


def test_a_terminal_sees_progress_the_comparison_and_what_to_do_next(run: Any) -> None:
    done = run("--model", "tiny", "--task-type", "add")
    assert done.code == 0
    assert "tiny single: 1/1 1 solved" in done.err
    assert "100%" in done.out
    assert "smallenough ui" in done.err


def test_dry_run_checks_and_counts_and_asks_no_model(run: Any, server: FaultyServer, fresh_store: Path) -> None:
    done = run(
        "--model",
        "tiny",
        "--strategy",
        "single",
        "--strategy",
        "branching:max_depth=2,width=1",
        "--all",
        "--dry-run",
        "--json",
    )
    assert done.code == 0
    found = json.loads(done.out)
    tasks = len(found["plan"]["task_ids"])
    assert found["estimate"]["trials"] == 2 * tasks
    assert (found["estimate"]["least"], found["estimate"]["most"]) == (2 * tasks, 4 * tasks)
    assert asked(server) == 0
    assert not (fresh_store / "journal").exists()


def test_strategies_are_named_with_their_options(run: Any, server: FaultyServer) -> None:
    strategies = ("best_of_n:n=4", "branching:subtasks=on", "cascade:large=big,first=branching:max_depth=1;width=1")
    named = [argument for spec in strategies for argument in ("--strategy", spec)]
    done = run("--model", "tiny", *named, "--task-type", "add", "--json")
    assert done.code == 0
    rows = json.loads(done.out)["comparison"]["rows"]
    assert [row["arm"] for row in rows] == [f"tiny {spec.replace(':', ' ', 1)}" for spec in strategies]
    assert asked(server) == 4 + 1 + 1


def test_the_large_model_is_asked_where_the_small_one_fails(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    def right_if_big(body: Any) -> Answer:
        return Answer(ADD if body["model"] == "big:latest" else "I can't.")

    models = {"tiny:latest": Model(), "big:latest": Model(parameters=8 * 10**9)}
    with FaultyServer(right_if_big, models=models) as server:
        arms = ("--large-model", "big", "--small-model", "tiny", "--strategy", "cascade")
        tasks = ("--task-type", "add", "--url", server.url, "--store", tmp_path)
        dry = call(capsys, "run", *arms, *tasks, "--dry-run", "--json")
        assert json.loads(dry.out)["estimate"]["most"] == 1 + 2
        done = call(capsys, "run", *arms, *tasks, "--json")
        asked_of = [body["model"] for body in server.state.bodies]
    rows = json.loads(done.out)["comparison"]["rows"]
    assert [row["arm"] for row in rows] == ["big single", "tiny cascade large=big"]
    assert asked_of == ["big:latest", "tiny:latest", "big:latest"]
    assert rows[1]["solved_rate"]["rate"] == 1


def test_examples_of_the_suite_are_shown_first(run: Any, server: FaultyServer) -> None:
    assert run("--model", "tiny", "--strategy", "single:shots=2", "--task-type", "add").code == 0
    (body,) = server.state.bodies
    assert [message["role"] for message in body["messages"]] == ["user", "assistant"] * 2 + ["user"]
    assert "return base * height / 2" in body["messages"][1]["content"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--model", "tny"], "did you mean 'tiny:latest'?"),
        (["--model", "tiny", "--suite", "basisc"], "unknown suite 'basisc'; did you mean 'basics'?"),
        (["--model", "tiny", "--strategy", "branchin"], "unknown strategy 'branchin'; did you mean 'branching'?"),
        (["--model", "tiny", "--strategy", "branching:feedbak=off"], "did you mean 'feedback'?"),
        (["--model", "tiny", "--strategy", "branching:width=much"], "option width: Input should be a valid integer"),
        (["--model", "tiny", "--strategy", "branching:width"], "'width' is not of the form KEY=VALUE"),
        (["--model", "tiny", "--strategy", "best_of_n:n=0"], "best_of_n: n must be 1 or more"),
        (["--model", "tiny", "--strategy", "cascade"], "name the large model, as in cascade:large=mistral"),
        (["--model", "tiny", "--strategy", "cascade:large=bgi"], "has no model 'bgi'; it has big:latest, tiny:latest"),
        (["--model", "tiny", "--strategy", "cascade:large=big,first=singel"], "did you mean 'single'?"),
        (["--model", "tiny", "--strategy", "single:shots=9"], "suite 'basics' has 5 examples to show; give 5 at most"),
        (["--model", "tiny", "--suite", "humaneval", "--strategy", "single:shots=1"], "has no examples to show"),
        (["--model", "tiny", "--sandbox", "bubblwrap"], "unknown sandbox 'bubblwrap'; did you mean 'bubblewrap'?"),
        (["--model", "tiny", "--task-type", "fibonaci"], "unknown task 'fibonaci'; did you mean 'fibonacci'?"),
        (["--model", "tiny", "--categories", "string"], "unknown category 'string'; did you mean 'strings'?"),
        (["--model", "tiny", "--limit", "0"], "--limit"),
        ([], "no model is named"),
        (["--model", "tiny", "--config", "nowhere.yaml"], "nowhere.yaml: No such file or directory"),
        (["--import-data"], "--import-data needs --jsonl-file FILE"),
        (["--modl", "tiny"], "--model"),
    ],
)
def test_wrong_input_is_named_with_its_mend_before_a_model_is_asked(
    run: Any, server: FaultyServer, arguments: list[str], said: str
) -> None:
    done = run(*arguments)
    assert said in done.err
    assert done.code in (2, 3)
    assert done.code == (3 if {"tny", "cascade:large=bgi"} & set(arguments) else 2)
    assert asked(server) == 0


def test_everything_that_is_wrong_is_told_at_once(run: Any) -> None:
    done = run("--model", "tny", "--model", "tiny", "--strategy", "branching:widht=1", "--sandbox", "bubblwrap")
    assert done.code == 2
    for name in ("tny", "widht", "bubblwrap"):
        assert name in done.err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("models: [{name: tiny}]\nrepeat: 2\n", "repeat: unknown key; did you mean 'repeats'?"),
        ("models: [{name: tiny, temprature: 1}]\n", "models.0.temprature: unknown key; did you mean 'temperature'?"),
        ("models: [{name: tiny, temperature: hot}]\n", "models.0.temperature: Input should be a valid number"),
        ("models: [", "line 1, column"),
        ("- tiny\n", "expected keys such as 'models:' at the top"),
    ],
)
def test_an_experiment_file_is_checked(run: Any, tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "e.yaml").write_text(text)
    done = run("--config", tmp_path / "e.yaml")
    assert done.code == 2
    assert said in done.err


def test_flags_go_before_an_experiment_file(run: Any, tmp_path: Path) -> None:
    text = "experiment: {name: mine}\nsuite: {limit: 2}\nmodels: [{name: tiny, temperature: 0.3}]\nseed: 5\n"
    (tmp_path / "e.yaml").write_text(text)
    plan = json.loads(run("--config", tmp_path / "e.yaml", "--seed", 7, "--dry-run", "--json").out)["plan"]
    assert (plan["experiment"], len(plan["task_ids"]), plan["seed"]) == ("mine", 2, 7)
    assert plan["arms"][0]["sampling"]["temperature"] == 0.3


def test_no_server_is_infrastructure(capsys: pytest.CaptureFixture[str], fresh_store: Path) -> None:
    done = call(capsys, "run", "--model", "tiny", "--url", "http://127.0.0.1:9", "--store", fresh_store)
    assert done.code == 3
    assert "no Ollama server answers at http://127.0.0.1:9; start it with `ollama serve`" in done.err


FAILURES: Mapping[str, list[Answer]] = {
    "500": [Answer(status=500, error="boom")] * 4,
    "reset": [Answer(fault="reset")] * 4,
    "half an answer": [Answer(ADD, fault="half JSON")] * 4,
    "hang": [Answer(fault="hang")],
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_failing_server_is_recorded_and_never_a_wrong_answer(
    run: Any, server: FaultyServer, fresh_store: Path, failure: str
) -> None:
    server.program(*FAILURES[failure])
    done = run("--model", "tiny", "--task-type", "add", "--task-type", "is_even", "--timeout", 3, "--json")
    assert done.code == 0, done.err
    assert sorted(trial.outcome for trial in finished(fresh_store)) == ["model_failed", "solved"] or sorted(
        trial.outcome for trial in finished(fresh_store)
    ) == ["model_failed", "unsolved"]
    (row,) = json.loads(done.out)["comparison"]["rows"]
    assert row["counts"]["model_failed"] == 1
    assert row["solved_rate"]["n"] == 1, "a failure is no wrong answer"


def test_what_is_transient_is_tried_again(run: Any, server: FaultyServer, fresh_store: Path) -> None:
    server.program(Answer(status=500, error="boom"), Answer(fault="reset"))
    assert run("--model", "tiny", "--task-type", "add").code == 0
    assert [trial.outcome for trial in finished(fresh_store)] == ["solved"]
    assert asked(server) == 3


def test_a_server_that_only_fails_ends_the_session_which_can_be_resumed(
    run: Any, server: FaultyServer, fresh_store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.program(*[Answer(status=404, error="model 'tiny' not found")] * 20)
    done = run("--model", "tiny")
    assert done.code == 3
    assert "20 trials failed for infrastructure" in done.err
    assert "smallenough resume" in done.err
    resumed = call(capsys, "resume", "last", "--store", fresh_store)
    assert resumed.code == 0
    listed = json.loads(call(capsys, "sessions", "--json", "--store", fresh_store).out)
    assert [(one["status"], one["left_bytes"]) for one in listed] == [("completed", 0)]


def test_twice_ctrl_c_stops_at_once_with_its_own_exit_code(server: FaultyServer, fresh_store: Path) -> None:
    server.program(*[Answer(fault="hang")] * 9)
    command = [sys.executable, str(ROOT / "run_experiments.py"), "--model", "tiny", "--url", server.url]
    process = subprocess.Popen(
        [*command, "--store", str(fresh_store)],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    server.wait(lambda state: state.begun >= 1, seconds=60)
    process.send_signal(signal.SIGINT)
    assert process.stderr
    while "press Ctrl-C again" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "smallenough resume" in said
    server.wait(lambda state: state.disconnects >= 1)
    (one,) = journal.sessions(fresh_store / "journal")
    assert (one.status, one.done) == ("interrupted", 0)


def test_data_is_imported_and_run_in_one_go(run: Any, tmp_path: Path) -> None:
    task = {
        "task_id": "t1", "name": "add", "problem": "Write a function func(a, b) that adds.", "category": "sums",
        "canonical_solution": "def add(a, b):\n    return a + b", "complexity": 1, "object": "function",
        "tests": json.dumps([{"ctx": "", "assertion": f"assert func({n}, 1) == {n + 1}"} for n in range(4)]),
    }  # fmt: skip
    (tmp_path / "mine.jsonl").write_text(json.dumps(task) + "\n")
    done = run("--import-data", "--jsonl-file", tmp_path / "mine.jsonl", "--suite", "sums", "--model", "tiny", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["comparison"]["rows"][0]["solved_rate"]["rate"] == 1


def test_more_than_an_hour_is_asked_about(run: Any, server: FaultyServer) -> None:
    assert run("--model", "tiny", "--task-type", "add").code == 0
    before = asked(server)
    done = run("--model", "tiny", "--repeats", 1_000_000, "--task-type", "add")
    assert done.code == 2
    assert "give --yes to start it all the same" in done.err
    assert asked(server) == before
