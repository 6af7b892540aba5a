"""Figures: an arm looks the same in all of them, axes have units, and nothing is drawn that was not measured."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from smallenough.analysis import plots
from smallenough.analysis.budgets import budget_curves
from smallenough.analysis.costs import COSTS
from smallenough.analysis.findings import Findings, find
from smallenough.analysis.pareto import pareto_front
from smallenough.analysis.plots.style import COLOURS, SYMBOLS, look_of, looks, unit_of
from smallenough.tracking.tables import Tables
from tests.analysis.builders import arm_totals, arms_frame, trial, trials_frame

ARMS = ("m single", "n single", "n <b>branching</b>")


def findings(**said: Any) -> Findings:
    """Three arms on four tasks: the later, the more is solved."""
    rows = [
        trial(arm, f"t{task}", "solved" if task <= at else "unsolved", latency_seconds=1.0 + at, **said)
        for at, arm in enumerate(ARMS)
        for task in range(4)
    ]
    sizes = (7e9, 135e6, 135e6)
    arms = [arm_totals(arm, model_parameters=size) for arm, size in zip(ARMS, sizes, strict=True)]
    attempts = pd.DataFrame(
        [
            {**{name: row[name] for name in ("session", "arm", "model", "suite", "task", "repeat", "latency_seconds")}}
            | {"attempt": 0, "solved": float(row["outcome"] == "solved"), "public_passed_ratio": 1.0}
            | {"syntax_valid": 1.0, "tokens_in": 100.0, "tokens_out": 50.0}
            for row in rows
        ]
    )
    return find(Tables(trials_frame(rows), attempts, arms_frame(arms), ("s1",)))


def points(drawn: Any) -> dict[str, Any]:
    """The marks of the arms, by the number in them."""
    return {trace.text[0]: trace for trace in drawn.data if trace.mode == "markers+text"}


def drawn(found: Findings) -> dict[str, Any]:
    """Every figure that can be drawn of the findings."""
    frames = found.frames
    samples = {
        ("s1", arm): pd.DataFrame({"time": [0.0, 60.0, 120.0], "resident_bytes": [1e9, 2e9, 3e9]}) for arm in ARMS
    }
    return {
        "size": plots.size_against_success(found),
        "front": plots.success_against_cost(found, pareto_front(frames.trials, "seconds")),
        "budgets": plots.success_at_budgets(found, budget_curves(frames.trials, frames.attempts, "seconds")),
        "series": plots.resource_series(found, samples, plots.SERIES[0]),
    }


def test_an_arm_looks_the_same_in_every_figure() -> None:
    for name, one in drawn(findings()).items():
        marks = points(one)
        assert set(marks) == {"1", "2", "3"}, name
        for number, mark in marks.items():
            edge = mark.marker.line.color
            assert (edge, mark.marker.symbol) == (COLOURS[int(number) - 1], SYMBOLS[int(number) - 1]), name


def test_axes_say_what_they_are_and_in_what_unit() -> None:
    told = {name: (one.layout.xaxis.title.text, one.layout.yaxis.title.text) for name, one in drawn(findings()).items()}
    assert told == {
        "size": ("parameters, logarithmic", "tasks solved"),
        "front": ("time of a task, s", "tasks solved"),
        "budgets": ("budget of a task: time, s", "tasks solved"),
        "series": ("time since the arm began, min", "GB"),
    }


def test_points_stand_where_the_numbers_are() -> None:
    found = findings()
    figures = drawn(found)
    rates = {str(at): row.solved_rate.rate for at, row in enumerate(found.comparison.rows, 1) if row.solved_rate}
    for name in ("size", "front", "budgets"):
        assert {number: mark.y[0] for number, mark in points(figures[name]).items()} == pytest.approx(rates), name
    at = points(figures["front"])
    assert [at[number].x[0] for number in "123"] == [1.0, 2.0, 3.0]
    sizes = points(figures["size"])
    assert sizes["1"].x[0] == pytest.approx(np.log10(7e9))
    assert (sizes["2"].x[0] + sizes["3"].x[0]) / 2 == pytest.approx(np.log10(135e6))
    assert sizes["2"].x[0] < sizes["3"].x[0]


def test_names_are_no_markup_in_a_figure() -> None:
    for one in drawn(findings()).values():
        for trace in one.data:
            assert "<b>" not in (trace.hovertemplate or "")


def test_what_is_not_measured_is_not_drawn() -> None:
    found = findings(energy_joules=None)
    assert plots.success_against_cost(found, pareto_front(found.frames.trials, "energy")) is None
    assert plots.success_at_budgets(found, budget_curves(found.frames.trials, found.frames.attempts, "energy")) is None
    assert plots.resource_series(found, {}, plots.SERIES[0]) is None
    frame = pd.DataFrame({"time": [0.0, 1.0], "resident_bytes": [np.nan, np.nan], "gpu_0_percent": [1.0, 2.0]})
    samples = {("s1", ARMS[0]): frame}
    by_title = {one.title: plots.resource_series(found, samples, one) for one in plots.SERIES}
    assert [title for title, one in by_title.items() if one is not None] == ["Use of the GPUs, added up"]


def test_an_unknown_size_has_no_place() -> None:
    rows = [trial(arm, "t", "solved") for arm in ARMS]
    arms = [arm_totals(arm, model_parameters=size) for arm, size in zip(ARMS, (7e9, None, 135e6), strict=True)]
    further = pd.Series([None, None, '[{"name": "x", "parameters": 1000000}]'])
    found = find(Tables(trials_frame(rows), pd.DataFrame(), arms_frame(arms).assign(further_models=further), ("s1",)))
    assert plots.model_sizes(found) == {ARMS[0]: 7_000_000_000, ARMS[1]: None, ARMS[2]: 136_000_000}
    assert set(points(plots.size_against_success(found))) == {"1", "3"}


def test_series_are_means_with_holes_and_sums_of_gpus() -> None:
    found = findings()
    times = [*np.arange(0, 10, 0.5), *np.arange(200, 210, 0.5)]
    frame = pd.DataFrame({"time": times, "gpu_0_percent": 10.0, "gpu_1_percent": 30.0})
    one = plots.resource_series(found, {("s1", ARMS[0]): frame}, plots.SERIES[2])
    assert one is not None
    (line,) = (trace for trace in one.data if trace.mode == "lines")
    assert {value for value in line.y if value is not None} == {40.0}
    assert sum(value is None for value in line.y) == 1
    assert line.x[0] < 0.01
    assert line.x[-1] == pytest.approx(209.5 / 60, rel=0.02)


def test_units_suit_the_largest_value() -> None:
    assert unit_of(COSTS["seconds"], 50) == (1.0, "s")
    assert unit_of(COSTS["seconds"], 500) == (60.0, "min")
    assert unit_of(COSTS["cpu"], 9000) == (3600.0, "h")
    assert unit_of(COSTS["memory"], 2e9) == (1e9, "GB")
    assert unit_of(COSTS["energy"], 0.5) == (1.0, "J")
    assert unit_of(COSTS["money"], 3.0, "EUR") == (1.0, "EUR")


def test_resampling_by_repeats_is_drawn_as_its_arm_is_but_dotted() -> None:
    own = looks(ARMS)["n single"]
    found = look_of("n single, repeats as samples", ARMS)
    assert (found.colour, found.number, found.dash, own.dash) == (own.colour, own.number, "dot", "solid")


def of_labels() -> Findings:
    """A model as it is and fine-tuned, on tasks whose answers are labels; one arm is asked in another way."""
    asked = (
        ("small single", "small", None, 2),
        ("tuned single", "tuned", "small", 4),
        ("small other", "small", None, 1),
    )
    rows = [
        trial(arm, f"t{task}", "solved" if task < right else "unsolved", model=model, strategy=arm.split()[1])
        | {"expected": "ab"[task % 2], "answer": "ab"[task % 2] if task < right else "b", "exact_match": task < right}
        for arm, model, _, right in asked
        for task in range(4)
    ]
    arms = arms_frame([arm_totals(arm, model_parameters=135e6, peak_memory_bytes=5e8) for arm, *_ in asked])
    told: dict[str, Any] = {
        "model": [one[1] for one in asked],
        "base_model": [one[2] for one in asked],
        "options": "{}",
    }
    arms = arms.assign(**told, strategy=[one[0].split()[1] for one in asked])
    return find(Tables(trials_frame(rows), pd.DataFrame(), arms, ("s1",)))


def test_a_line_leads_from_a_model_as_it_is_to_the_same_one_fine_tuned() -> None:
    found = of_labels()
    assert plots.tuned_from(found) == {"tuned single": "small single"}
    drawn: Any = plots.size_against_success(found)
    (line,) = (trace for trace in drawn.data if trace.mode == "lines")
    assert list(line.y) == [0.5, 1.0]
    marks = points(drawn)
    assert list(line.x) == [marks["1"].x[0], marks["2"].x[0]]
    assert plots.tuned_from(findings()) == {}


def test_f1_stands_against_time_memory_and_speed() -> None:
    found = of_labels()
    f1 = {one.arm: one.measures["macro_f1"] for one in found.labels}
    drawn: dict[str, Any] = {measure: plots.f1_against(found, measure) for measure in plots.F1_AGAINST}
    assert drawn["latency"].layout.xaxis.title.text == "time of a task, s"
    assert drawn["memory"].layout.xaxis.title.text == "peak memory of the arm, MB"
    for one in (drawn["latency"], drawn["memory"]):
        assert {mark.name: mark.y[0] for mark in points(one).values()} == {
            arm: told.value for arm, told in f1.items() if told
        }
    assert plots.f1_against(findings(), "latency") is None
