"""`branching`: try, evaluate, try again with feedback.

A first attempt (level 0) is evaluated on the public tests. While none passes, each further level continues the best
step so far (of equals the latest, so that trials get deeper) with `width` branches. A branch makes one *move*: it shows
the failed test (`feedback`), gives ever more hints (`hints`), asks in other words (`reformulate`), or asks in very few
words (`shorten`); the moves that are switched on take turns. The temperature climbs the `ladder`, a rung a level. With
every move off, a branch asks the first question again: independent resampling. Each option switches alone, so that each
can be ablated.

When all that has failed and `subtasks` is on, the task is split: the model names helper functions, writes each, and
then the solution that calls them. It comes last, because it costs several inferences, and because a small model's plan
helps only where its plain tries don't. A split that can't be used changes nothing: the best try is the answer.

Without public tests there is nothing to branch on but code that does not parse; of a label task, an answer that is none
of the labels. A label task is never split.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Literal

from smallenough.errors import InputError
from smallenough.options import StrategyOptions
from smallenough.prompts import Prompts
from smallenough.records import Action, Ask, Message, Problem, Sampling, Step
from smallenough.strategies import _subtasks
from smallenough.strategies._steps import acceptable, candidates, choices, merit


@dataclass(frozen=True, slots=True)
class Options(StrategyOptions):
    """What `branching` may do. Each option switches alone."""

    max_depth: int = 3
    """Levels after the first attempt."""
    width: int = 2
    """Branches of a level."""
    parallel: bool = True
    """Whether the branches of a level are asked at once; else one by one, until one passes."""
    ladder: tuple[float, ...] = (0.1, 0.3, 0.5, 0.7)
    """Temperature of each level; the last rung holds for all that follow; empty: the arm's own temperature."""
    feedback: Literal["chat", "rewrite", "off"] = "chat"
    """Whether the failed test is shown, as the conversation's next turn or in a rewritten prompt."""
    hints: bool = True
    """Whether progressive hints are given."""
    reformulate: bool = True
    """Whether the task is asked in other words."""
    shorten: bool = True
    """Whether the task is asked in very few words, without what went before."""
    subtasks: bool = False
    """Whether the task is split, solved in parts and combined, once every try has failed."""
    early_stop: bool = True
    """Whether the trial ends once the public tests pass."""
    budget_tokens: int | None = None
    """Tokens in and out after which no new level, and no split, is begun."""
    budget_seconds: float | None = None
    """Seconds of inference after which no new level, and no split, is begun."""

    def __post_init__(self) -> None:
        if self.max_depth < 0 or self.width < 1:
            raise InputError("branching: max_depth must be 0 or more, width 1 or more")
        if any(not 0 <= rung <= 2 for rung in self.ladder):
            raise InputError("branching: every temperature of the ladder must be between 0 and 2")

    @property
    def most_asks(self) -> int:
        """The first attempt, every branch of every level, and the subtasks."""
        return 1 + self.max_depth * self.width + (_subtasks.MOST_ASKS if self.subtasks else 0)


@dataclass(frozen=True)
class Branching:
    """Try, evaluate, try again with feedback."""

    options: Options
    prompts: Prompts

    def next(self, problem: Problem, steps: Sequence[Step], seed: int) -> list[Action]:
        """The first attempt, or the next branches of the best step, or the next of the subtasks, or nothing."""
        if not steps:
            held = choices(problem, self.options)
            return [Ask(self.prompts.first(problem), sampling=self._sampling(0, seed), choices=held)]
        tries = list(takewhile(lambda step: isinstance(step.action, Ask) and step.action.role == "solve", steps))
        level, begun = divmod(len(tries) - 1, self.options.width)
        if self._done(tries):
            return []
        if begun:
            parent = steps[steps[-1].parent or 0]
            return [self._branch(problem, level + 1, begun, parent, seed)]
        best = max(tries, key=lambda step: (*merit(step), step.index))
        if self._spent(tries):
            return []
        if level >= self.options.max_depth:
            return self._split(problem, steps[len(tries) :], best, seed + len(tries))
        count = self.options.width if self.options.parallel else 1
        return [self._branch(problem, level + 1, branch, best, seed) for branch in range(count)]

    def choose(self, problem: Problem, steps: Sequence[Step]) -> Step | None:
        """The step that passes most public tests; of equals, the earliest."""
        return max(candidates(steps), key=lambda step: (*merit(step), -step.index)) if steps else None

    def _split(self, problem: Problem, subtasks: Sequence[Step], best: Step, seed: int) -> list[Action]:
        """The next of the subtasks, if they are wanted: every try has failed."""
        wanted = self.options.subtasks and problem.kind != "label" and not acceptable(best)
        return _subtasks.next_actions(problem, self.prompts, subtasks, best.index, seed) if wanted else []

    def _done(self, steps: Sequence[Step]) -> bool:
        found = any(acceptable(step) for step in steps)
        untestable = all(step.evaluation is None or not step.evaluation.results for step in steps)
        return found and (self.options.early_stop or untestable)

    def _spent(self, steps: Sequence[Step]) -> bool:
        tokens, seconds = self.options.budget_tokens, self.options.budget_seconds
        return (tokens is not None and sum(step.tokens for step in steps) >= tokens) or (
            seconds is not None and sum(step.seconds for step in steps) >= seconds
        )

    def _sampling(self, level: int, seed: int) -> Sampling:
        ladder = self.options.ladder
        return Sampling(temperature=ladder[min(level, len(ladder) - 1)] if ladder else None, seed=seed)

    def _branch(self, problem: Problem, level: int, branch: int, parent: Step, seed: int) -> Ask:
        moves = self._moves()
        turn = (level - 1) * self.options.width + branch
        note, messages = "resample", self.prompts.first(problem)
        if moves and not parent.passed:
            note, move = moves[turn % len(moves)]
            messages = move(problem, parent, turn // len(moves) + 1)
        sampling = self._sampling(level, seed + 1 + turn)
        held = choices(problem, self.options)
        return Ask(messages, sampling=sampling, parent=parent.index, note=note, choices=held)

    def _moves(self) -> list[tuple[str, Callable[[Problem, Step, int], tuple[Message, ...]]]]:
        options, prompts = self.options, self.prompts
        moves: list[tuple[str, Callable[[Problem, Step, int], tuple[Message, ...]]]] = []
        if options.feedback == "chat":
            moves.append(("feedback", self._chat))
        elif options.feedback == "rewrite":
            moves.append(("feedback", lambda problem, parent, _: prompts.first(problem, "rewrite", parent)))
        if options.hints:
            moves.append(("hint", lambda problem, parent, turn: prompts.first(problem, "hint", parent, level=turn)))
        if options.reformulate:
            moves.append(("reformulate", lambda problem, _parent, _: prompts.first(problem, "reformulate")))
        if options.shorten:
            moves.append(("shorten", lambda problem, parent, _: prompts.first(problem, "short", parent)))
        return moves

    def _chat(self, problem: Problem, parent: Step, _turn: int) -> tuple[Message, ...]:
        before = parent.action.messages if isinstance(parent.action, Ask) else self.prompts.first(problem)
        says = self.prompts.render("feedback", problem, parent)
        return (*before, Message("assistant", parent.response), Message("user", says))
