"""What a report is made of: the grid of tasks, the answers it holds, its names, its JSON, its words."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallenough.analysis.categories import by_category, to_frame
from smallenough.analysis.findings import Findings, find
from smallenough.analysis.frames import prepare
from smallenough.analysis.report import Report, gather, grid, trials_of
from smallenough.analysis.report.drill import LONGEST, drill
from smallenough.analysis.report.figures import MOST_WORDS, Shown
from smallenough.analysis.report.html import embedded
from smallenough.analysis.report.names import arm_names, short_names, with_chips
from smallenough.tracking.answers import Answers
from smallenough.tracking.tables import Tables
from tests.analysis.builders import arm_totals, arms_frame, trial, trials_frame

OUTCOMES = {
    "z": {"easy": ["solved"], "mixed": ["solved", "unsolved"], "hard": ["unsolved"], "lost": ["model_failed"]},
    "a": {"easy": ["solved"], "mixed": ["solved", "solved"], "hard": ["unsolved"], "free": ["unscored"]},
}
"""By arm, task and repeat; the arms do not stand in the order of their names."""


def findings(**said: Any) -> Findings:
    rows = [
        trial(arm, task, outcome, repeat=repeat, category="c1" if task == "easy" else "c2", **said)
        for arm, tasks in OUTCOMES.items()
        for task, outcomes in tasks.items()
        for repeat, outcome in enumerate(outcomes)
    ]
    arms = arms_frame([arm_totals(arm) for arm in OUTCOMES])
    return find(Tables(trials_frame(rows).assign(chosen=0), pd.DataFrame(), arms, ("s1",)))


def test_the_grid_tells_every_task_of_every_arm() -> None:
    found = grid(findings().frames)
    states = {row.task: {arm: cell.state for arm, cell in row.cells.items()} for row in found.rows}
    assert states == {
        "easy": {"z": "solved", "a": "solved"},
        "mixed": {"z": "partly", "a": "solved"},
        "hard": {"z": "unsolved", "a": "unsolved"},
        "lost": {"z": "failed", "a": "none"},
        "free": {"z": "none", "a": "unscored"},
    }
    assert [row.task for row in found.rows][:2] == ["easy", "mixed"]
    assert [row.task for row in found.rows if row.differs] == ["mixed"]
    assert found.failed == 1
    assert {row.task: row.cells["z"].told for row in found.rows}["mixed"] == "solved in 1 of 2 repeats"
    assert found.left_out == 0
    assert len(found.to_frame()) == 10


def test_answers_are_held_of_those_tasks_first_at_which_arms_differ() -> None:
    frames = findings().frames
    assert grid(frames, 1).shown == {("basics", "mixed")}
    assert {(name.arm, name.repeat) for name in trials_of(frames, grid(frames, 1))} == {
        ("z", 0),
        ("z", 1),
        ("a", 0),
        ("a", 1),
    }
    assert grid(frames, 0).left_out == 5


def test_a_long_text_is_cut_and_says_so_and_equal_texts_are_held_once() -> None:
    frames = findings().frames
    chosen = grid(frames)
    long = "x" * (LONGEST + 1234)
    body = {"prompt": "What?", "public_tests": ["assert 1"], "code": long, "response": "What?", "failure": None}
    held = drill(frames, chosen, Answers(dict.fromkeys(trials_of(frames, chosen), body), {}))
    assert held["texts"].count("What?") == 1
    cut = next(text for text in held["texts"] if text.startswith("xxx"))
    assert cut == f"{'x' * LONGEST}\n… 1,234 more characters; MLflow has the whole."
    assert all(one["read"] for task in held["tasks"].values() for one in task["trials"])
    empty = drill(frames, chosen, Answers({}, {}))
    assert not any(one["read"] for task in empty["tasks"].values() for one in task["trials"])


def test_categories_stand_in_the_order_of_the_arms() -> None:
    frames = findings().frames
    found = by_category(frames.trials, frames.labels)
    assert [(one.category, one.arm, one.tasks) for one in found] == [
        ("c1", "z", 1),
        ("c1", "a", 1),
        ("c2", "z", 2),
        ("c2", "a", 2),
    ]
    assert [one.solved.rate for one in found if one.solved] == pytest.approx([1, 1, 1 / 3, 2 / 3])
    assert to_frame(found)["solved_rate"].tolist() == pytest.approx([1, 1, 1 / 3, 2 / 3])


@given(st.text() | st.sampled_from(["</script>", "<!--", "\u2028", "\ud800"]))
def test_embedded_json_ends_no_element_and_loses_nothing(text: str) -> None:
    found = embedded({"text": text})
    assert not set("<>&\u2028\u2029") & set(found)
    found.encode("utf-8")
    assert json.loads(found) == {"text": text}


def test_names_lose_what_all_share() -> None:
    assert short_names(["p:a single", "p:b single"], ["p", "p"]) == ["a single", "b single"]
    assert short_names(["p:a single", "q:b single"], ["p", "q"]) == ["p:a single", "q:b single"]


def test_an_arm_in_a_sentence_stands_as_elsewhere_and_everything_is_escaped() -> None:
    arms = {arm.label: arm for arm in arm_names(findings())}
    told = str(with_chips("'z' <b>beats</b> 'a', not 'b'.", arms))
    assert '<i class="n">1</i>' in told
    assert '<i class="n">2</i>' in told
    assert "&lt;b&gt;beats&lt;/b&gt;" in told
    assert "&#39;b&#39;" in told


def test_an_arm_whose_name_is_markup_is_told_as_text() -> None:
    name = "m <img src=x>'\"%{x} single"
    frames = trials_frame([trial(name, "t"), trial("n", "t")])
    found = find(Tables(frames, pd.DataFrame(), arms_frame([arm_totals(name), arm_totals("n")]), ("s1",)))
    report = Report(gather(found), "today")
    assert "<img" not in report.html
    assert "<img" not in report.markdown.replace("\\<", "")


def test_nothing_is_drawn_of_what_was_not_measured() -> None:
    content = gather(findings(energy_joules=None))
    assert "money" in content.unmeasured
    assert [one.cost for one in content.fronts] == ["memory", "seconds", "cpu", "energy"]  # energy is of the whole arms
    assert {one.arm: one.cost for one in content.fronts[3].arms} == {"z": 3600 / 4, "a": 3600 / 5}  # one of z failed
    assert content.budgets == ()
    page = Report(content, "today").html
    assert "Not measured for any arm, and so not drawn: money, operations." in page
    assert "No resource samples: not measured." in page


def test_of_many_sentences_only_the_leads_stand_openly() -> None:
    few = tuple(f"A: {number}" for number in range(MOST_WORDS))
    assert Shown("k", "s", "t", None, 0, few).leads == ()
    assert Shown("k", "s", "t", None, 0, (*few, "B: 1")).leads == (f"A ({MOST_WORDS} times)", "B")


def test_a_report_says_what_it_is_of() -> None:
    report = Report(gather(findings()), "made today")
    assert report.title == "2 arms on 5 tasks of basics"
    assert report.origin == "Session s1 · made today"
    assert json.loads(report.json)["title"] == report.title
    tables = report.tables()
    assert tables["comparison.csv"].splitlines()[0].startswith("arm,session,model")
    assert "ablations.csv" not in tables


def test_frames_without_attempts_have_a_report() -> None:
    frames = prepare(trials_frame([trial("m", "t")]), arms_frame([arm_totals("m")]))
    assert grid(frames).rows[0].level == 1


def labelled() -> Report:
    """A report on two arms that answer with labels."""
    answers: dict[str, list[str | None]] = {"z": ["skin", "skin", None], "a": ["skin", "eye", "ear"]}
    rows = [
        trial(
            arm,
            f"t{number}",
            "solved" if answer == expected else "unsolved",
            answer=answer,
            expected=expected,
            exact_match=answer == expected,
        )
        for arm, given in answers.items()
        for number, (answer, expected) in enumerate(zip(given, ("skin", "eye", "ear"), strict=True))
    ]
    arms = arms_frame([arm_totals(arm) for arm in answers])
    return Report(gather(find(Tables(trials_frame(rows).assign(chosen=0), pd.DataFrame(), arms, ("s1",)))), "today")


def test_labels_are_told_where_answers_are_labels() -> None:
    report = labelled()
    told = json.loads(report.json)
    assert [(row["arm"], row["accuracy"], row["invalid_rate"]) for row in told["labels"]] == [
        ("z", pytest.approx(1 / 3), pytest.approx(1 / 3)),
        ("a", 1.0, 0.0),
    ]
    assert told["findings"]["labels"] == told["labels"]
    assert {(row["arm"], row["class"], row["support"]) for row in told["classes"]} >= {("z", "ear", 1), ("a", "eye", 1)}
    assert "Labels" in {one["name"] for one in told["methods"]}
    assert "## Right and wrong labels" in report.markdown
    assert "| z | eye | skin | 1 | 1 |" in report.markdown
    assert "| z | ear | no label | 1 | 1 |" in report.markdown
    assert '<section id="labels">' in report.html
    assert "labels.csv" in report.tables()


def test_nothing_is_told_of_labels_where_answers_are_code() -> None:
    report = Report(gather(findings()), "today")
    told = json.loads(report.json)
    assert told["labels"] == told["classes"] == []
    assert "labels" not in told["findings"]
    assert "labels" not in report.markdown.lower().partition("## methods")[0]
    assert 'id="labels"' not in report.html
