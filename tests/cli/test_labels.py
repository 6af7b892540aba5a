"""A suite of labels from a file, run, compared and scored again through the command line: no answer is code."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from smallenough import analysis
from smallenough.sandboxes.bubblewrap import BubblewrapSandbox
from tests.cli.calling import Called, call
from tests.servers.faulty import Answer, FaultyServer, Model

LABELS = {"skin": "Diseases of the skin", "eye": "Diseases of the eye", "ear": "Diseases of the ear"}
PHRASES = {"Eczema": "skin", "Cataract": "eye", "Tinnitus": "ear", "Acne": "skin", "Psoriasis": "skin"}
SAID = {
    "Eczema": "Answer: **Skin**",
    "Cataract": '{"label": "eye"}',
    "Tinnitus": "eye",
    "Acne": "I can't tell.",
    "Psoriasis": "skin or eye",
}
"""What the model says: two right answers, a wrong one, two that are no label."""


ASKED: list[list[dict[str, str]]] = []
"""The messages of each request."""


def answer(body: Mapping[str, Any]) -> Answer:
    """By the phrase of the task; once it is told that its answer is no label, the right one."""
    ASKED.append(body["messages"])
    said = "\n".join(message["content"] for message in body["messages"])
    phrase = next(one for one in SAID if one in said)
    return Answer(PHRASES[phrase] if "can't be used" in said else SAID[phrase])


@pytest.fixture(scope="module")
def server() -> Iterator[FaultyServer]:
    with FaultyServer(answer, models={"tiny:latest": Model()}) as found:
        yield found


@pytest.fixture
def organs(tmp_path: Path) -> Path:
    rows: list[dict[str, Any]] = [
        {"task_id": phrase.lower(), "problem": f"Which organ? {phrase}", "answer": label, "labels": LABELS}
        for phrase, label in PHRASES.items()
    ]
    shown = {"task_id": "shown", "problem": "Which organ? Otitis", "answer": "ear", "labels": LABELS, "example": True}
    path = tmp_path / "organs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in [*rows, shown]))
    return path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], fresh_store: Path, server: FaultyServer, organs: Path) -> Any:
    def called(*arguments: object) -> Called:
        return call(capsys, "run", "--suite", organs, *arguments, "--url", server.url, "--store", fresh_store)

    return called


def test_labels_are_run_branched_on_compared_and_scored_again(
    run: Any, fresh_store: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, organs: Path
) -> None:
    monkeypatch.setattr(BubblewrapSandbox, "run", None)  # no answer is code: nothing may be run
    strategies = ("single", "branching:width=1,max_depth=1", "single:shots=1")
    done = run("--model", "tiny", *(part for one in strategies for part in ("--strategy", one)))
    assert done.code == 0, done.err
    assert "Solved" in done.out
    found = analysis.trials("last", store=fresh_store)
    single = found[found["arm"] == "tiny single"].set_index("task")
    assert single["answer"].fillna("-").to_dict() == {
        "eczema": "skin", "cataract": "eye", "tinnitus": "eye", "acne": "-", "psoriasis": "-",
    }  # fmt: skip
    assert single["expected"].to_dict() == {phrase.lower(): label for phrase, label in PHRASES.items()}
    assert single["solved"].sum() == single["exact_match"].sum() == 2
    assert single["invalid_answer"].sum() == 2
    assert single[["syntax_valid", "lines_of_code", "runtime_ratio", "hierarchical_f1"]].isna().all(axis=None)
    branching = found[found["strategy"] == "branching"].set_index("task")
    assert branching["solved"].sum() == 4, "what is no label is asked again; a wrong label can't be told"
    assert branching["model_calls"].to_dict() == {
        "eczema": 1, "cataract": 1, "tinnitus": 1, "acne": 2, "psoriasis": 2,
    }  # fmt: skip
    errors = analysis.attempts("last", store=fresh_store).query("arm == 'tiny single'").set_index("task")["error"]
    assert errors.dropna().to_dict() == {"acne": "InvalidAnswer", "psoriasis": "InvalidAnswer"}
    shown = call(capsys, "compare", "last", "--details", "--no-log", "--store", fresh_store).out
    assert "Accuracy [95%]" in shown
    assert ["tiny", "single", "ear", "eye", "1", "1"] in [line.split() for line in shown.splitlines()]
    rows = [json.loads(line) for line in organs.read_text().splitlines()]
    rows[2]["answer"] = "eye"
    mended = organs.with_name("mended.jsonl")
    mended.write_text("".join(json.dumps(row) + "\n" for row in rows))
    again = call(capsys, "score", "last", "--suite", mended, "--json", "--store", fresh_store)
    assert again.code == 0, again.err
    assert [(one["before"], one["solved"]) for one in json.loads(again.out)["arms"]] == [(2, 3), (4, 5), (2, 3)]


def test_a_base_model_is_told_the_labels_and_gets_a_text_to_continue(run: Any, tmp_path: Path) -> None:
    config = tmp_path / "base.yaml"
    config.write_text("models: [{name: tiny, size_class: base}]\nstrategies: ['single:shots=1']\n")
    ASKED.clear()
    done = run("--config", config, "--limit", 1)
    assert done.code == 0, done.err
    ((system, example, shown, question),) = ASKED
    assert [one["role"] for one in (system, example, shown, question)] == ["system", "user", "assistant", "user"]
    assert all(f"- {label}: {meaning}\n" in system["content"] for label, meaning in LABELS.items())
    assert "Otitis" in example["content"]
    assert (shown["content"], question["content"][-10:]) == ("ear\n```", "Label:\n```")
    assert not any(label in question["content"] for label in LABELS)


def test_labels_are_imported_listed_shown_and_exported(
    fresh_store: Path, capsys: pytest.CaptureFixture[str], organs: Path, tmp_path: Path
) -> None:
    here = ("--store", fresh_store)
    done = call(capsys, "tasks", "import", organs, "--suite", "organs", *here)
    assert done.code == 0, done.err
    assert "suite organs, version 1: 5 tasks" in done.out
    shown = call(capsys, "tasks", "show", "acne", "--suite", "organs", *here).out
    assert "skin: Diseases of the skin" in shown
    assert "the answer is hidden" in shown
    assert "answer: skin" in call(capsys, "tasks", "show", "acne", "--suite", "organs", "--reference", *here).out
    call(capsys, "tasks", "export", "--suite", "organs", "--output", tmp_path / "out.jsonl", *here)
    again = call(capsys, "tasks", "import", tmp_path / "out.jsonl", "--suite", "organs", *here)
    assert "it had these very tasks" in again.out
