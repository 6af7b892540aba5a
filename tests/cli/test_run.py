"""`run` through the command line: what is asked of which server, what is refused and how, what faults become."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from smallenough import journal
from tests.cli.calling import call
from tests.cli.conftest import ADD
from tests.servers.faulty import Answer, FaultyServer, Model

ROOT = Path(__file__).parents[2]


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
    (left_out,) = (line for line in done.err.splitlines() if line.startswith("left out for width"))
    assert re.search(r"; smallenough compare \S+ --details shows all$", left_out)


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
        (
            ["--model", "tiny", "--strategy", "branching:width=much"],
            "option width: should be a valid integer, and is 'much'",
        ),
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
    assert done.code == 2
    assert asked(server) == 0


def test_everything_that_is_wrong_is_told_at_once(
    capsys: pytest.CaptureFixture[str], server: FaultyServer, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    wrong = ("--model", "tny", "--sandbox", "bubblwrap", "--store", tmp_path / "file" / "store")
    strategies = ("branching:widht=1", "singel", "cascade:large=bgi", "single:shots=9")
    named = [argument for spec in strategies for argument in ("--strategy", spec)]
    tasks = ("--task-type", "prmie", "--task-type", "fibonaci", "--categories", "string")
    done = call(capsys, "run", "--model", "tiny", *wrong, *named, *tasks, "--url", server.url)
    assert done.code == 2
    for name in ("tny", "bubblwrap", "widht", "singel", "bgi", "prmie", "fibonaci", "'string'", "Not a directory"):
        assert name in done.err
    done = call(capsys, "run", "--model", "tny", "--suite", "basisc", "--strategy", "singel", "--url", server.url)
    for name in ("tny", "basisc", "singel"):
        assert name in done.err


@pytest.mark.parametrize(
    ("verb", "said"),
    [
        ("sesions", "unknown command 'sesions'; did you mean 'sessions'?"),
        ("qqq", "known: compare, config, doctor, export, flush"),
    ],
)
def test_an_unknown_command_is_told_with_the_nearest(capsys: pytest.CaptureFixture[str], verb: str, said: str) -> None:
    done = call(capsys, verb)
    assert done.code == 2
    assert said in done.err


def test_the_package_is_the_command_too() -> None:
    command = [sys.executable, "-m", "smallenough", "--version"]
    assert "smallenough, version" in subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_a_store_that_can_t_be_written_is_told_before_anything_runs(
    capsys: pytest.CaptureFixture[str], server: FaultyServer, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    store = tmp_path / "file" / "store"
    done = call(capsys, "run", "--model", "tiny", "--url", server.url, "--store", store, "--dry-run")
    assert done.code == 3
    assert "can't be written" in done.err
    assert "name another folder with --store" in done.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--task", "Hello?", "--suite", "basics"], "--task leaves nothing for --suite to say"),
        (["--task", "Hello?", "--limit", "3"], "--task leaves nothing for --limit"),
        (["--task", "Hello?", "--task-type", "add"], "--task leaves nothing for --task-type"),
        (["--task", "Hello?", "--categories", "strings"], "--task leaves nothing for --categories"),
        (["--all", "--limit", "3"], "--all leaves nothing for --limit"),
        (
            ["--large-model", "big", "--small-model", "huggingface:m", "--strategy", "cascade"],
            "--large-model big is of ollama, and a cascade asks both its models of huggingface;",
        ),
        (["--all", "--quick-test"], "--all leaves nothing for --quick-test"),
        (["--no-clear"], "--no-clear belongs to --import-data"),
        (["--jsonl-file", "x.jsonl"], "--jsonl-file belongs to --import-data"),
        (["--max-depth", "2"], "--max-depth is for the strategy branching, and no arm has it"),
        (["--max-depth", "2", "--strategy", "branching:max_depth=3"], "say the same thing twice"),
    ],
)
def test_nothing_that_is_said_is_dropped_silently(
    run: Any, server: FaultyServer, arguments: list[str], said: str
) -> None:
    done = run("--model", "tiny", *arguments, "--dry-run")
    assert done.code == 2
    assert said in done.err


def test_a_strategy_for_no_arm_and_a_url_for_no_server_are_refused(run: Any, tmp_path: Path) -> None:
    done = run("--large-model", "big", "--strategy", "branching", "--dry-run")
    assert done.code == 2
    assert "--strategy is for --model and --small-model" in done.err
    recorded = tmp_path / "recorded.jsonl"
    recorded.write_text(json.dumps({"model": "m", "info": {"name": "m", "provider": "replay"}}) + "\n")
    done = run("--model", f"replay:{recorded}#m", "--dry-run")
    assert done.code == 2
    assert "--url names Ollama servers, and no model is Ollama's" in done.err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("models: [{name: tiny}]\nrepeat: 2\n", "repeat: unknown key; did you mean 'repeats'?"),
        ("models: [{name: tiny, temprature: 1}]\n", "models.0.temprature: unknown key; did you mean 'temperature'?"),
        (
            "models: [{name: tiny, temperature: hot}]\n",
            "line 1: models.0.temperature: should be a valid number, and is 'hot'",
        ),
        ("models: [{name: tiny}]\nweights: {latancy: 1}\n", "weight 'latancy'; did you mean 'latency'?"),
        (
            "models: [{name: tiny}]\nweights: {latency: -1}\n",
            "line 2: weights.latency: should be greater than or equal to 0, and is -1",
        ),
        (
            "models: [{name: tiny}]\nfail_on_error: -3\n",
            "fail_on_error: should be greater than or equal to 0, and is -3",
        ),
        (
            "models: [{name: tiny}]\nfail_on_error: .inf\n",
            "line 2: fail_on_error: should be a finite number, and is inf",
        ),
        ("models: [", "line 1, column"),
        ("- tiny\n", "expected keys such as 'models:' at the top"),
    ],
)
def test_an_experiment_file_is_checked(run: Any, tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "e.yaml").write_text(text)
    done = run("--config", tmp_path / "e.yaml")
    assert done.code == 2
    assert said in done.err


def test_several_servers_share_the_work_unless_something_else_is_said(
    capsys: pytest.CaptureFixture[str], server: FaultyServer, fresh_store: Path
) -> None:
    with FaultyServer(lambda _body: Answer(ADD), models={"tiny:latest": Model()}) as other:
        given = ("--model", "tiny", "--url", server.url, "--url", other.url, "--store", fresh_store)
        plan = json.loads(call(capsys, "run", *given, "--dry-run", "--json").out)["plan"]
        assert plan["concurrency"] == 2
        plan = json.loads(call(capsys, "run", *given, "--concurrency", 1, "--dry-run", "--json").out)["plan"]
        assert plan["concurrency"] == 1
        assert call(capsys, "run", *given, "--task-type", "add", "--repeats", 4, "--concurrency", 1).code == 0
        assert (asked(server), asked(other)) == (2, 2)


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


FAILURES = {
    "is_even": Answer(status=500, error="boom"),
    "factorial": Answer(fault="reset"),
    "fibonacci": Answer(ADD, fault="half JSON"),
    "reverse_list": Answer(fault="hang"),
}
"""How the server fails, by the task whose prompt it gets."""


def test_a_failing_server_is_recorded_and_never_a_wrong_answer(
    run: Any, server: FaultyServer, fresh_store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def answer(body: Mapping[str, Any]) -> Answer:
        prompt = body["messages"][-1]["content"]
        return next((failure for name, failure in FAILURES.items() if name in prompt), Answer(ADD))

    server.state.answer = answer
    types = [argument for name in ("add", *FAILURES) for argument in ("--task-type", name)]
    done = run("--model", "tiny", *types, "--timeout", 3, "--json")
    assert done.code == 3, "a resume does them again"
    outcomes = {trial.key.task: trial.outcome for trial in finished(fresh_store)}
    assert outcomes == {"add": "solved", **dict.fromkeys(FAILURES, "model_failed")}
    (row,) = json.loads(done.out)["comparison"]["rows"]
    assert row["counts"]["model_failed"] == len(FAILURES)
    assert row["solved_rate"]["n"] == 1, "a failure is no wrong answer"
    (one,) = journal.sessions(fresh_store / "journal")
    assert (one.done, one.failed) == (1 + len(FAILURES), len(FAILURES))
    assert f"{one.done}/{one.trials}, {one.failed} failed" in call(capsys, "sessions", "--store", fresh_store).out


def test_what_is_transient_is_tried_again(run: Any, server: FaultyServer, fresh_store: Path) -> None:
    server.program(Answer(status=500, error="boom"), Answer(fault="reset"))
    assert run("--model", "tiny", "--task-type", "add").code == 0
    assert [trial.outcome for trial in finished(fresh_store)] == ["solved"]
    assert asked(server) == 3


def test_a_server_that_only_fails_ends_the_session_which_can_be_resumed(
    run: Any, server: FaultyServer, fresh_store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.program(*[Answer(status=404, error="model 'tiny' not found")] * 20)
    done = run("--model", "tiny", "--limit", 24)
    assert done.code == 3
    assert "20 trials failed for infrastructure" in done.err
    assert "smallenough resume" in done.err
    resumed = call(capsys, "resume", "last", "--store", fresh_store)
    assert resumed.code == 0
    listed = json.loads(call(capsys, "sessions", "--json", "--store", fresh_store).out)
    assert [(one["status"], one["left_bytes"]) for one in listed] == [("completed", 0)]


def test_resume_refuses_a_second_runner_and_puts_a_torn_line_aside(
    run: Any, fresh_store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--model", "tiny", "--limit", 2).code == 0
    (folder,) = (fresh_store / "journal").iterdir()
    with journal.Journal(folder):
        done = call(capsys, "resume", "last", "--store", fresh_store)
    assert (done.code, f"session {folder.name} is being run by another process" in done.err) == (2, True)
    path = folder / "journal.jsonl"
    content = path.read_bytes()
    path.write_bytes(content[: content.rindex(b"trial_finished") + 5])
    done = call(capsys, "resume", folder.name, "--store", fresh_store)
    assert done.code == 0, done.err
    said = " ".join(done.err.split())
    assert f"the journal's last line was torn by a crash; it was put aside in {folder}/damaged-1" in said
    assert len(finished(fresh_store)) == 2


def test_more_than_an_hour_is_asked_about(run: Any, server: FaultyServer) -> None:
    assert run("--model", "tiny", "--task-type", "add").code == 0
    before = asked(server)
    done = run("--model", "tiny", "--repeats", 1_000_000, "--task-type", "add")
    assert done.code == 2
    assert "give --yes to start it all the same" in done.err
    assert asked(server) == before


def test_prices_of_the_file_hold_for_its_session_wherever_it_is_compared(
    run: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path, fresh_store: Path
) -> None:
    (tmp_path / "e.yaml").write_text(
        "models: [{name: tiny}]\nprices: {per_machine_hour: 3600, currency: EUR, as_of: 2026-11-01}\n"
        "limits: {memory_megabytes: 256}\nmonitoring: {sample_interval: 0.05}"
    )
    done = run("--config", tmp_path / "e.yaml", "--task-type", "add", "--json")
    assert done.code == 0
    (folder,) = (fresh_store / "journal").iterdir()
    (plan,) = [event.plan for _, event in journal.read(folder) if event.kind == "session_started"]
    assert (plan.limits.memory_bytes, plan.sample_interval) == (256 * 2**20, 0.05)
    for more in ((), ("--tracking-uri", "http://127.0.0.1:9")):  # from MLflow, and from the journal
        said = call(capsys, "compare", "--store", fresh_store, *more, "--json", "--no-log")
        told = json.loads(said.out)
        (row,) = told["rows"]
        assert row["totals"]["money"] == pytest.approx(row["totals"]["wall_seconds"])
        assert "Money is 3600 EUR an hour of the machine, as of 2026-11-01." in told["notes"]
    told = json.loads(call(capsys, "compare", "--store", fresh_store, "--price-per-hour", 7200, "--json").out)
    assert told["rows"][0]["totals"]["money"] == pytest.approx(2 * told["rows"][0]["totals"]["wall_seconds"])


def test_a_model_of_one_s_own_is_called_and_sampled_as_it_says(
    run: Any, server: FaultyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = tmp_path / "models.yaml"
    models.write_text("- name: fast\n  reference: tiny\n  sampling: {temperature: 0.55}\n  quantization: Q4_0\n")
    monkeypatch.setenv("SMALLENOUGH_MODELS", str(models))
    done = run("--model", "fast", "--task-type", "add", "--json")
    assert done.code == 2
    assert "fast: config/models.yaml says that it is Q4_0, and it is" in done.err
    models.write_text("- name: fast\n  reference: tiny\n  sampling: {temperature: 0.55}\n")
    done = run("--model", "fast", "--task-type", "add", "--json")
    assert done.code == 0
    (row,) = json.loads(done.out)["comparison"]["rows"]
    assert (row["arm"], row["model"]) == ("fast single", "tiny")
    assert server.state.bodies[-1]["model"] == "tiny:latest"
    assert server.state.bodies[-1]["options"]["temperature"] == 0.55


def test_the_form_that_users_have_runs_and_what_is_not_used_is_told(run: Any, tmp_path: Path) -> None:
    (tmp_path / "e.yaml").write_text(
        "models: [{name: tiny}]\nscorers: [tests]\nvalidation: {metrics: [latency]}\nmonitoring:\n  dashboard: {}\n"
    )
    done = run("--config", tmp_path / "e.yaml", "--task-type", "add", "--json")
    assert done.code == 0
    assert "e.yaml, line 3: validation is accepted, and not used yet" in done.err
    assert "e.yaml, line 5: monitoring.dashboard is accepted, and not used yet" in done.err
    (row,) = json.loads(done.out)["comparison"]["rows"]
    assert row["solved_rate"]["rate"] == 1
