"""`plan` on a store with sessions, on an empty one, and with what can't be meant: what is printed, in both forms."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from smallenough.analysis.statistics import pairs_for_difference, pairs_for_noninferiority, tasks_needed
from smallenough.sessions import experiment
from smallenough.tracking import reader
from smallenough.tracking.store import Store
from tests import replayed
from tests.cli.calling import Called, call

pytestmark = pytest.mark.xdist_group("planned")  # sessions are shared


@pytest.fixture(scope="module")
def sessions(tmp_path_factory: pytest.TempPathFactory, new_store: Callable[[Path], Store]) -> tuple[Path, list[str]]:
    """A store with a session of repeats, then one without; both of two arms that disagree at a third of the tasks."""
    store = new_store(tmp_path_factory.mktemp("planned"))
    results = [experiment.run(replayed.prepared(count, repeats=repeats), store) for count, repeats in ((4, 2), (6, 1))]
    for result in results:
        assert result.writer.wait(120) == 0
    return store.folder, [result.session for result in results]


@pytest.fixture
def plan(capsys: pytest.CaptureFixture[str], sessions: tuple[Path, list[str]]) -> Callable[..., Called]:
    def called(*arguments: object) -> Called:
        done = call(capsys, "plan", *arguments, "--store", sessions[0])
        assert done.code == 0, done.err
        return done

    return called


def words(text: str) -> str:
    return " ".join(text.split())


def test_the_answer_comes_first_then_the_table_then_what_it_rests_on(plan: Any, sessions: Any) -> None:
    out = plan("--difference", "0.2", "--power", "0.8").out
    needed = pairs_for_difference(0.2, 1 / 3)
    first, table, rest = out.split("\n\n")
    assert words(first) == (
        f"{needed} tasks, tried once by each of 2 arms, find a difference of 20 points with a power of 80%."
    )
    heads, *rows = table.splitlines()
    assert re.split(r"  +", heads.strip()) == ["Repeats", "Tasks", "Trials", "Inferences", "Time"]
    assert [row.split()[0] for row in rows] == ["1", "2", "3"]
    assert rows[0].split()[1:3] == [str(needed), str(2 * needed)]
    older, newer = sessions[1]
    assert f"'m branching' and 'm single' in session {newer}, 6 tasks of doubles. Within that interval" in words(rest)
    assert f"Repeats of a task are alike by 1.00 of 1: 'm branching' and 'm single' in session {older}" in words(rest)
    assert f"What a trial takes is that of session {newer}, the mean of its 2 arms." in words(rest)


def test_what_a_trial_takes_is_what_the_store_says(plan: Any, sessions: Any) -> None:
    told = json.loads(plan("--difference", "0.2", "--repeats", "1,4", "--json").out)
    tables = reader.read(Store.resolve(folder=sessions[0]), [sessions[1][1]])
    once, often = told["rows"]
    assert once["seconds"] == pytest.approx(tables.arms["wall_seconds"].sum() / 6 * once["tasks"], rel=1e-9)
    assert once["inferences"] == pytest.approx(len(tables.attempts) / 6 * once["tasks"], rel=1e-9)
    assert (once["joules"] is None) == bool(tables.arms["energy_joules"].isna().any())
    assert once["money"] is None
    assert often["tasks"] == tasks_needed(told["pairs"], 4, told["basis"]["correlation"]["value"])
    assert often["seconds"] == pytest.approx(once["seconds"] / once["trials"] * often["trials"])
    assert told["answer"][0].startswith(f"{once['tasks']} tasks")


def test_a_margin_is_the_verdict_s_question_and_more_arms_need_more(plan: Any) -> None:
    two, four = (json.loads(plan("--margin", "0.2", *more, "--json").out) for more in ((), ("--arms", "4")))
    assert two["pairs"] == pairs_for_noninferiority(0.0, 1 / 3, 0.2)
    assert four["pairs"] == pairs_for_noninferiority(0.0, 1 / 3, 0.2, alpha=0.05 / 3)
    said = words(plan("--margin", "0.2", "--arms", "4").out)
    assert "show that an arm is not worse by more than 20 points, if it solves as much, with a power of 80%." in said
    assert "With 4 arms each is tested at 1.67%: Holm's correction of 5% at its worst." in said


def test_a_suite_is_told_whether_it_is_enough_and_for_what(plan: Any) -> None:
    said = words(plan("--difference", "0.05", "--suite", "basics").out)
    assert re.search(r"basics has 104: too few; they are enough for a difference of about [\d.]+ points\.", said)
    assert "All 104 of basics" in said
    found = json.loads(plan("--difference", "0.05", "--suite", "basics", "--json").out)
    assert pairs_for_difference(found["rows"][0]["smallest"], 1 / 3) <= 104
    said = words(plan("--difference", "0.3", "--suite", "basics").out)
    assert re.search(r"basics has 104: enough, and so for a difference of [\d.]+ points\.", said)


def test_what_is_said_goes_before_what_was_measured(plan: Any, sessions: Any) -> None:
    told = json.loads(plan("--difference", "0.1", "--discordance", "0.2", "--json").out)
    assert told["pairs"] == pairs_for_difference(0.1, 0.2)
    assert told["tasks_range"] is None
    named = json.loads(plan("--difference", "0.1", "--session", sessions[1][0], "--json").out)
    assert named["basis"]["discordance"]["value"] == pytest.approx(1 / 4)
    whole = json.loads(plan("--difference", "0.1", "--experiment", "replayed", "--json").out)
    assert whole["basis"]["discordance"]["value"] == pytest.approx(1 / 3)


def test_a_difference_above_the_discordance_takes_at_least_that(plan: Any) -> None:
    said = words(plan("--difference", "0.5").out)
    assert "Arms that differ by 50 points disagree at that many at least, which is taken here." in said
    assert json.loads(plan("--difference", "0.5", "--json").out)["pairs"] == pairs_for_difference(0.5, 0.5)


def test_without_sessions_assumptions_are_said_and_no_store_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = call(capsys, "plan", "--difference", "0.05", "--store", tmp_path / "none")
    assert done.code == 0, done.err
    said = words(done.out)
    assert "Two arms disagree at 30% of tasks: assumed, since no session with two arms tells." in said
    assert "alike by 0.50 of 1: assumed, since no session with repeats tells." in said
    assert "No earlier session tells what a trial takes." in said
    assert "Time" not in done.out
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "say either the difference to find, or the margin by which an arm may be worse"),
        (("--difference", "0.1", "--margin", "0.1"), "one of them"),
        (("--difference", "5"), "a difference is a share of the tasks from 0.001 to below 1, as 0.05 for 5 points"),
        (("--difference", "0.1", "--power", "80"), "power is a share between 0 and 1, as 0.8, not 80"),
        (("--difference", "0.1", "--alpha", "nan"), "alpha is a share between 0 and 1"),
        (
            ("--difference", "0.1", "--discordance", "30"),
            "the discordance is a share of the tasks, from 0 to 1, not 30",
        ),
        (("--difference", "0.1", "--repeats", "1,x"), "--repeats takes whole numbers from 1 on"),
        (("--difference", "0.1", "--repeats", "0"), "--repeats takes whole numbers from 1 on"),
        (("--difference", "0.1", "--arms", "1"), "--arms"),
        (("--difference", "0.1", "--suite", "basisc"), "did you mean 'basics'"),
        (("--difference", "0.1", "--session", "1999"), "unknown session '1999'"),
        (("--difference", "0.1", "--experiment", "replaid"), "did you mean 'replayed'"),
    ],
)
def test_what_can_t_be_meant_is_told_in_words(
    arguments: tuple[str, ...], told: str, sessions: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    done = call(capsys, "plan", *arguments, "--store", sessions[0])
    assert (done.code, done.out) == (2, "")
    assert told in done.err


def test_the_price_of_a_model_of_one_s_own_reaches_the_dry_run_the_comparison_and_the_plan(
    tmp_path: Path, fresh_store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = {"text": "I can't.", "tokens_in": 2_000_000, "tokens_out": 1_000_000, "seconds": 1.5}
    lines = [
        {"model": "m", "info": {"name": "m", "provider": "replay"}},
        {"key": "hosted single/prime/0/0", "completion": answer},
    ]
    (tmp_path / "recorded.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "models.yaml").write_text(
        f"- name: hosted\n  provider: 'replay:{tmp_path / 'recorded.jsonl'}'\n  reference: m\n"
        "  price: {input: 0.25, output: 1.5, currency: EUR, as_of: 2026-10-01}\n"
    )
    monkeypatch.setenv("SMALLENOUGH_MODELS", str(tmp_path / "models.yaml"))
    meant = ("run", "--model", "hosted", "--task-type", "prime", "--store", fresh_store)
    said = call(capsys, *meant, "--dry-run")
    assert (said.code, "no earlier session to estimate the time from" in said.out) == (0, True)
    assert call(capsys, *meant, "--yes").code == 0
    assert re.search(
        r"about .*, 2 EUR, by what a trial took in earlier sessions", call(capsys, *meant, "--dry-run").out
    )
    told = json.loads(call(capsys, *meant, "--dry-run", "--json").out)["estimate"]
    assert (told["money"], told["currency"], told["inferences"]) == (pytest.approx(2.0, rel=1e-12), "EUR", 1)
    compared = json.loads(call(capsys, "compare", "--store", fresh_store, "--json").out)
    assert compared["rows"][0]["costs"]["money"] == pytest.approx(2.0, rel=1e-12)
    price = "0.25 EUR in and 1.5 EUR out for a million tokens of m, as of 2026-10-01"
    assert f"Money is {price}." in compared["notes"]
    planned = json.loads(
        call(capsys, "plan", "--difference", "0.3", "--session", "last", "--store", fresh_store, "--json").out
    )
    assert planned["rows"][0]["money"] == pytest.approx(2.0 * planned["rows"][0]["trials"], rel=1e-12)
    shown = call(capsys, "plan", "--difference", "0.3", "--session", "last", "--store", fresh_store).out
    assert "Money" in shown
    assert "EUR" in shown
