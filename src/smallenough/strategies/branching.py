"""`branching`: try, evaluate, try again with feedback.

A first attempt (level 0) is evaluated on the public tests. While none passes, each further level continues the
best step so far with `width` branches. A branch makes one *move*: it shows the failed test (`feedback`), gives ever
more hints (`hints`), asks in other words (`reformulate`), or asks in very few words (`shorten`); the moves that are
switched on take turns. The temperature climbs the `ladder`, a rung a level. With every move off, a branch asks the
first question again: independent resampling. Each option switches alone, so that each can be ablated.

Without public tests there is nothing to branch on but code that does not parse.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from smallenough.errors import InputError
from smallenough.prompts import Prompts
from smallenough.records import Action, Ask, Message, Problem, Sampling, Step


@dataclass(frozen=True, slots=True)
class Options:
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
    early_stop: bool = True
    """Whether the trial ends once the public tests pass."""
    budget_tokens: int | None = None
    """Tokens in and out after which no new level is begun."""
    budget_seconds: float | None = None
    """Seconds of inference after which no new level is begun."""

    def __post_init__(self) -> None:
        if self.max_depth < 0 or self.width < 1:
            raise InputError("branching: max_depth must be 0 or more, width 1 or more")
        if any(not 0 <= rung <= 2 for rung in self.ladder):
            raise InputError("branching: every temperature of the ladder must be between 0 and 2")


@dataclass(frozen=True)
class Branching:
    """Try, evaluate, try again with feedback."""

    options: Options
    prompts: Prompts

    def next(self, problem: Problem, steps: Sequence[Step], seed: int) -> list[Action]:
        """The first attempt, or the next branches of the best step, or nothing."""
        if not steps:
            return [Ask(self.prompts.first(problem), sampling=self._sampling(0, seed))]
        level, begun = divmod(len(steps) - 1, self.options.width)
        if self._done(steps):
            return []
        if begun:
            parent = steps[steps[-1].parent or 0]
            return [self._branch(problem, level + 1, begun, parent, seed)]
        if level >= self.options.max_depth or self._spent(steps):
            return []
        count = self.options.width if self.options.parallel else 1
        best = self._best(steps)
        return [self._branch(problem, level + 1, branch, best, seed) for branch in range(count)]

    def choose(self, problem: Problem, steps: Sequence[Step]) -> Step | None:
        """The step that passes most public tests; of equals, the earliest."""
        return self._best(steps) if steps else None

    def _done(self, steps: Sequence[Step]) -> bool:
        acceptable = any(_acceptable(step) for step in steps)
        untestable = all(step.evaluation is None or not step.evaluation.results for step in steps)
        return acceptable and (self.options.early_stop or untestable)

    def _spent(self, steps: Sequence[Step]) -> bool:
        tokens, seconds = self.options.budget_tokens, self.options.budget_seconds
        return (tokens is not None and sum(step.tokens for step in steps) >= tokens) or (
            seconds is not None and sum(step.seconds for step in steps) >= seconds
        )

    def _best(self, steps: Sequence[Step]) -> Step:
        return max(steps, key=lambda step: (*_merit(step), -step.index))

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
        return Ask(messages, sampling=sampling, parent=parent.index, note=note)

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


def _acceptable(step: Step) -> bool:
    if step.evaluation is None:
        return True
    if not step.evaluation.results:
        return step.evaluation.syntax_valid is not False
    return bool(step.passed)


def _merit(step: Step) -> tuple[float, bool, bool]:
    ratio = step.evaluation.ratio if step.evaluation else None
    valid = bool(step.evaluation and step.evaluation.syntax_valid)
    return (ratio or 0.0, valid, step.code is not None)
