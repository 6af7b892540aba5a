"""What each arm was asked and answered, task by task, as a report's page reads it: short, and each text once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import pandas as pd

from smallenough.analysis.frames import Frames
from smallenough.analysis.report.grid import Grid, Row
from smallenough.records import Json
from smallenough.tracking.answers import Answers, TrialName

LONGEST = 6_000
"""Characters of a text that a report holds; what is cut is said, and stands in MLflow whole."""

MOST_TESTS = 30
"""Results of tests that a report holds of an attempt, the failed ones first."""


_Record: TypeAlias = Mapping[Any, Any]
"""A row of a frame."""


class _Texts:
    """Texts by number, each kept once: samples of one prompt share it."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}

    def __call__(self, text: Json) -> int | None:
        """The number of a text; None: there is none."""
        if not isinstance(text, str):
            return None
        cut = len(text) - LONGEST
        kept = f"{text[:LONGEST]}\n… {cut:,} more characters; MLflow has the whole." if cut > 0 else text
        return self._places.setdefault(kept, len(self._places))

    def all(self) -> list[str]:
        return list(self._places)


def drill(frames: Frames, grid: Grid, answers: Answers) -> dict[str, Json]:
    """The answers to all tasks that a report shows.

    Returns:
        Plain values for JSON: `texts`, and `tasks` by `suite/task`, whose numbers of texts point into them.
    """
    texts = _Texts()
    rows = {(row.suite, row.task): row for row in grid.rows if (row.suite, row.task) in grid.shown}
    attempts: dict[TrialName, list[_Record]] = defaultdict(list)
    for one in _records(frames.attempts, "attempt"):
        attempts[_name(one)].append(one)
    trials: dict[tuple[str, str], list[_Record]] = defaultdict(list)
    for one in _records(frames.trials, "repeat"):
        trials[str(one["suite"]), str(one["task"])].append(one)
    tasks = {f"{row.suite}/{row.task}": _task(row, trials[key], attempts, answers, texts) for key, row in rows.items()}
    return {"tasks": tasks, "texts": texts.all()}


def _task(
    row: Row,
    trials: Sequence[_Record],
    attempts: Mapping[TrialName, Sequence[_Record]],
    answers: Answers,
    texts: _Texts,
) -> dict[str, Json]:
    found = []
    asked: Mapping[str, Json] = {}
    for trial in trials:
        name = _name(trial)
        told = answers.trials.get(name)
        asked = asked or told or {}
        chosen: int | None = None if pd.isna(trial["chosen"]) else int(trial["chosen"])
        found.append(
            {
                "arm": str(trial["label"]),
                "repeat": name.repeat,
                "outcome": str(trial["outcome"]),
                "chosen": chosen,
                "read": told is not None,
                "code": texts(told and told.get("code")),
                "response": texts(told and told.get("response")),
                "failure": texts(_failure(told and told.get("failure"))),
                "attempts": [
                    _attempt(int(one["attempt"]), one, answers.attempts.get((name, int(one["attempt"]))), texts)
                    for one in attempts.get(name, ())
                ],
            }
        )
    return {
        "suite": row.suite,
        "task": row.task,
        "category": row.category,
        "level": row.level,
        "prompt": texts(asked.get("prompt")),
        "public": [texts(test) for test in asked.get("public_tests", ())],
        "trials": found,
    }


def _attempt(number: int, row: _Record, body: Mapping[str, Json] | None, texts: _Texts) -> dict[str, Json]:
    told: Mapping[str, Json] = body or {}
    completion = told.get("completion") or {}
    return {
        "number": number,
        "read": body is not None,
        **{name: _word(row.get(name)) for name in ("role", "note", "outcome", "error")},
        **{
            name: _number(row.get(name))
            for name in ("parent", "latency_seconds", "tokens_in", "tokens_out", "temperature")
        },
        "messages": [[one["role"], texts(one["content"])] for one in told.get("messages", ())],
        "response": texts(completion.get("text")),
        "reasoning": texts(completion.get("reasoning") or None),
        "code": texts(told.get("code")),
        "failure": texts(_failure(told.get("failure") or told.get("check_failure"))),
        "tests": {kind: _tests(told.get(kind), texts) for kind in ("public", "hidden")},
    }


def _tests(evaluation: Json, texts: _Texts) -> dict[str, Json] | None:
    """The results, the failed ones first; None: these tests were not run."""
    if not evaluation:
        return None
    results: Sequence[Mapping[str, Json]] = evaluation["results"]
    ordered = sorted(results, key=lambda one: bool(one["passed"]))
    return {
        "passed": sum(bool(one["passed"]) for one in results),
        "of": len(results),
        "results": [
            {
                "passed": bool(one["passed"]),
                "code": texts(one["code"]),
                "output": texts(one.get("output") or None),
                **({} if one["passed"] else {name: texts(one.get(name)) for name in _OF_FAILED}),
            }
            for one in ordered[:MOST_TESTS]
        ],
    }


_OF_FAILED = ("error", "message", "expected", "actual")


def _records(frame: pd.DataFrame, order: str) -> Sequence[_Record]:
    """The rows as plain values: thousands of small frames would take seconds."""
    return [] if frame.empty else frame.sort_values(order, kind="stable").to_dict("records")


def _name(row: _Record) -> TrialName:
    return TrialName(str(row["session"]), str(row["arm"]), str(row["task"]), int(row["repeat"]))


def _failure(told: Json) -> str | None:
    """An infrastructure failure in one line."""
    if not told:
        return None
    return ": ".join(str(value) for value in told.values() if value) if isinstance(told, dict) else str(told)


def _word(value: object) -> str | None:
    return None if value is None or pd.isna(value) else str(value)  # type: ignore[call-overload]  # a cell of any type


def _number(value: object) -> float | None:
    if value is None or pd.isna(value):  # type: ignore[call-overload]  # a cell of any type
        return None
    number = float(value)  # type: ignore[arg-type]  # a cell of a column of numbers
    return int(number) if number.is_integer() else round(number, 4)
