from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings

from smallenough.analysis.branching import (
    Move,
    Rescue,
    moves,
    moves_frame,
    reaches,
    reaches_frame,
    rescues,
    rescues_frame,
)
from smallenough.analysis.branching_words import move_sentence, reach_sentences, rescue_sentence, rescue_sentences
from tests.analysis.trees import Trial, Try, frames, right, trial_lists, wrong
from tests.thorough import examples


def fails(error: str, seconds: float | None = 1.0, **said: Any) -> Try:
    return wrong(seconds, error=error, **said)


def by_kind(*made: Trial) -> dict[str, Rescue]:
    return {one.kind: one for one in rescues(*frames(branching=made))}


def by_move(*made: Trial) -> dict[str, Move]:
    return {one.move: one for one in moves(*frames(branching=made))}


class TestRescues:
    @pytest.mark.parametrize(
        ("error", "kind"),
        [
            ("SyntaxError", "syntax"),
            ("UnboundLocalError", "name"),
            ("AttributeError", "type"),
            ("AssertionError", "assertion"),
            ("Timeout", "timeout"),
            ("ZeroDivisionError", "other"),
            ("NoCode", "other"),
        ],
    )
    def test_kinds_of_failures(self, error: str, kind: str) -> None:
        assert list(by_kind(Trial("t", [fails(error)]))) == [kind]

    def test_what_came_after_is_what_it_cost(self) -> None:
        found = by_kind(
            Trial("t0", [fails("TypeError", 9.0), wrong(2.0), right(3.0)]),
            Trial("t1", [fails("TypeError", 9.0), fails("TypeError", 1.0)]),
            Trial("t2", [fails("TypeError", 9.0)]),
        )["type"]
        assert (found.trials, found.followed) == (3, 2)
        assert found.rescued is not None
        assert (found.rescued.successes, found.rescued.n) == (1, 2)
        assert (found.seconds_after, found.calls_after) == (3.0, 1.5)
        assert found.seconds_per_rescue == 6.0
        assert found.tokens_after is None

    def test_a_trial_counts_once_for_each_kind(self) -> None:
        found = by_kind(Trial("t", [fails("NameError"), fails("NameError"), fails("TypeError"), right()]))
        assert {kind: (one.trials, one.calls_after) for kind, one in found.items()} == {
            "name": (1, 3.0),
            "type": (1, 1.0),
        }

    def test_a_failure_after_one_that_passed_needs_no_rescue(self) -> None:
        assert by_kind(Trial("t", [right(), fails("TypeError"), wrong()], chosen=0)) == {}

    def test_what_an_earlier_attempt_solved_was_not_rescued(self) -> None:
        found = by_kind(Trial("t", [Try(True, 0.5), fails("TypeError"), wrong()], chosen=0))
        assert found["type"].rescued is not None
        assert found["type"].rescued.successes == 0

    def test_a_proposal_can_rescue(self) -> None:
        made = Trial("t", [fails("TypeError"), Try(None)], chosen=0, outcome="solved", said={"chosen": 2})
        assert by_kind(made)["type"].rescued is not None
        assert by_kind(made)["type"].rescued.successes == 1  # type: ignore[union-attr]  # asserted above

    def test_a_part_that_was_not_measured_leaves_no_mean(self) -> None:
        found = by_kind(
            Trial("t0", [fails("TypeError"), wrong(None), right(3.0)]),
            Trial("t1", [fails("TypeError", None), right(3.0)]),
        )["type"]
        assert (found.seconds_after, found.calls_after, found.seconds_per_rescue) == (None, 1.5, None)

    def test_infrastructure_failures_are_no_failures_of_an_answer(self) -> None:
        assert by_kind(Trial("t", [fails("ModelError"), right()], outcome="model_failed")) == {}

    def test_tokens_are_those_in_and_out(self) -> None:
        after = right(tokens_in=100, tokens_out=20)
        found = by_kind(Trial("t", [fails("TypeError", tokens_in=7, tokens_out=7), after]))["type"]
        assert found.tokens_after == 120

    def test_words(self) -> None:
        found = by_kind(
            *(Trial(f"t{n}", [fails("AssertionError"), right(30.0) if n < 3 else wrong(30.0)]) for n in range(12)),
            Trial("u", [fails("AssertionError")]),
        )["assertion"]
        assert rescue_sentence(found) == (
            "'branching': a wrong result in 13 trials, 12 of them tried again; 3 ended solved (25% [9–53]),"
            " after 1 more call, 30 s on average, 2 min for each rescue."
        )

    def test_arms_that_never_try_again_are_not_spoken_of(self) -> None:
        found = rescues(
            *frames(single=[Trial("t", [fails("NameError")])], branching=[Trial("t", [fails("NameError"), right()])])
        )
        assert len(found) == 2
        (said,) = rescue_sentences(found)
        assert said.startswith("'branching': an unknown name in 1 trial; 1 ended solved")

    def test_frame_has_types(self) -> None:
        frame = rescues_frame(list(by_kind(Trial("t", [fails("TypeError"), right()])).values()))
        assert frame[["kind", "trials", "followed", "rescued", "seconds_after"]].to_numpy().tolist() == [
            ["type", 1, 1, 1, 1.0]
        ]
        assert rescues_frame(()).dtypes.equals(frame.dtypes)


class TestMoves:
    def test_what_each_was_used_for(self) -> None:
        found = by_move(
            Trial("t0", [wrong(), wrong(note="feedback"), right(note="hint")]),
            Trial("t1", [wrong(), wrong(note="feedback")], chosen=0),
            Trial("t2", [right()]),
        )
        assert list(found) == ["first", "feedback", "hint"]
        first, feedback, hint = found.values()
        assert (first.attempts, first.trials, first.chosen, first.chosen_solved) == (3, 3, 2, 1)
        assert (feedback.attempts, feedback.chosen) == (2, 0)
        assert feedback.passed is not None
        assert (feedback.passed.successes, feedback.passed.n) == (0, 2)
        assert (hint.attempts, hint.chosen, hint.chosen_solved) == (1, 1, 1)

    def test_parts_are_one_move_and_a_proposal_is_told_by_its_choice(self) -> None:
        made = Trial(
            "t",
            [wrong(), Try(None, said={"note": "split"}), *(Try(None, said={"note": f"part {n}"}) for n in "ab")],
            outcome="solved",
            said={"chosen": 4},
        )
        found = by_move(made)
        assert list(found) == ["first", "split", "part", "whole"]
        assert (found["part"].attempts, found["part"].passed) == (2, None)
        assert (found["whole"].attempts, found["whole"].chosen, found["whole"].chosen_solved) == (None, 1, 1)
        assert move_sentence(found["whole"]) == (
            "'branching': a solution put together from parts gave the answer of 1 trial, 1 of them solved."
        )
        assert "was asked 2 times in 1 trial, and gave the answer of 0 trials" in move_sentence(found["part"])

    def test_without_public_tests_nothing_is_said_to_pass(self) -> None:
        assert by_move(Trial("t", [Try(True)]))["first"].passed is None

    def test_words(self) -> None:
        said = move_sentence(by_move(Trial("t", [wrong(), right(note="feedback")]))["feedback"])
        assert said == (
            "'branching': 'feedback' was asked once in 1 trial, passed the public tests in 100% [21–100], and gave the"
            " answer of 1 trial, 1 of them solved."
        )

    def test_a_trial_without_an_answer_has_no_move(self) -> None:
        trials, attempts = frames(branching=[Trial("t", [wrong()], said={"chosen": None})])
        (first,) = moves(trials, attempts)
        assert (first.move, first.chosen) == ("first", 0)

    @settings(max_examples=examples(30), deadline=None)
    @given(trial_lists())
    def test_every_answer_has_one_move(self, made: list[Trial]) -> None:
        trials, attempts = frames(branching=made)
        scored = trials[trials["solved"].notna()]
        found = moves(trials, attempts)
        assert sum(one.chosen for one in found) == len(scored)
        assert sum(one.chosen_solved for one in found) == int(scored["solved"].sum())
        assert sum(one.attempts or 0 for one in found) == sum(
            len(one.tries) for one in made if one.outcome in ("solved", "unsolved")
        )

    def test_frame_has_types(self) -> None:
        frame = moves_frame(list(by_move(Trial("t", [right()])).values()))
        assert frame[["move", "attempts", "passed", "chosen"]].to_numpy().tolist() == [["first", 1, 1, 1]]
        assert moves_frame(()).dtypes.equals(frame.dtypes)


class TestReaches:
    MADE = (
        *(Trial(f"t{n}", [right()], said={"branching_depth": 0.0, "model_calls": 1.0}) for n in range(3)),
        Trial("t3", [wrong(), right()], said={"branching_depth": 1.0, "model_calls": 2.0}),
        Trial("t4", [wrong()], said={"branching_depth": 2.0, "model_calls": 2.0}),
        Trial("t5", [wrong()], outcome="model_failed", said={"branching_depth": 9.0}),
    )

    def trials(self) -> pd.DataFrame:
        return frames(branching=self.MADE)[0]

    def test_success_by_depth(self) -> None:
        found = reaches(self.trials())
        assert [(one.value, one.solved.n, one.solved.successes) for one in found] == [(0, 3, 3), (1, 1, 1), (2, 1, 0)]
        assert list(reach_sentences(found)) == [
            "'branching': 3 trials no deeper than the first attempt (100% solved), 1 trial 1 level deep (100% solved),"
            " 1 trial 2 levels deep (0% solved)."
        ]

    def test_success_by_calls(self) -> None:
        found = reaches(self.trials(), "model_calls")
        assert [(one.value, one.solved.n) for one in found] == [(1, 3), (2, 2)]
        assert list(reach_sentences(found)) == [
            "'branching': 3 trials with 1 call (100% solved), 2 trials with 2 calls (50% solved)."
        ]

    def test_what_is_not_known_is_left_out(self) -> None:
        trials, _ = frames(branching=[Trial("t", [right()])])
        assert reaches(trials) == ()

    def test_repeats_are_no_further_tasks(self) -> None:
        said = {"branching_depth": 0.0}
        once = frames(branching=[Trial(f"t{n}", [right()], said=said) for n in range(5)])[0]
        often = frames(branching=[Trial(f"t{n}", [right()], repeat, said=said) for n in range(5) for repeat in (0, 1)])[
            0
        ]
        (alone,), (repeated,) = reaches(once), reaches(often)
        assert repeated.solved.n == 10
        assert repeated.solved.interval.low <= alone.solved.interval.low + 1e-9

    def test_frame_has_types(self) -> None:
        frame = reaches_frame(reaches(self.trials()))
        assert frame["trials"].tolist() == [3, 1, 1]
        assert reaches_frame(()).dtypes.equals(frame.dtypes)


@settings(max_examples=examples(30), deadline=None)
@given(trial_lists())
def test_rescues_are_some_of_what_was_followed(made: list[Trial]) -> None:
    marked = [
        Trial(
            one.task,
            [
                Try(t.solved, t.public, t.seconds, {"error": "TypeError" if (t.public or 0) < 1 else None})
                for t in one.tries
            ],
            one.repeat,
            one.chosen,
            one.outcome,
        )
        for one in made
    ]
    for found in rescues(*frames(branching=marked)):
        assert found.followed <= found.trials <= len(made)
        assert (found.rescued is None) == (found.followed == 0)
        if found.rescued:
            assert 0 <= found.rescued.interval.low <= found.rescued.rate <= found.rescued.interval.high <= 1
            assert found.rescued.n == found.followed
