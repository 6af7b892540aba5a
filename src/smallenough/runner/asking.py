"""How a scorer asks a model: its questions are attempts of the trial, and it is run again for each answer.

A scorer runs in a thread that must not wait for a model: with one request at a time there is no other. So a question
that nobody has answered yet ends the scorer with `Asked`, the runner has it answered like every other, and then the
scorer runs anew, and finds the answer there. So nothing is asked twice either when a session is resumed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from smallenough.errors import ScorerError
from smallenough.records import Ask, Message, Role, Sampling, Step
from smallenough.trial import Trial

MOST_QUESTIONS = 20
"""A scorer has so many for one step: one that asks something else each time would never end."""


class Asked(BaseException):
    """A scorer has a question that no model was asked yet. No `Exception`, which a scorer might catch."""

    def __init__(self, ask: Ask, scorer: str) -> None:
        super().__init__(f"{scorer} asks")
        self.ask, self.scorer = ask, scorer


class Asking:
    """Answers the questions of one run of a scorer on one step from what the trial's attempts say.

    Args:
        trial: the trial, none of whose actions is outstanding.
        step: the step that is scored.
        scorer: the scorer and its version, as `style/1`.
        new: whether a model can be asked what it was not asked yet.
    """

    def __init__(self, trial: Trial, step: Step, scorer: str, *, new: bool) -> None:
        self._trial, self._step, self._scorer, self._new = trial, step, scorer, new
        self._asked: Counter[Ask] = Counter()

    def __call__(self, messages: Sequence[Message], role: Role) -> str:
        """The model's answer; a question that is repeated is asked anew.

        Raises:
            Asked: it is not there yet.
            ScorerError: the model's server failed, no model can be asked, or the scorer asks too much.
        """
        sampling = Sampling(seed=self._trial.seed)
        ask = Ask(tuple(messages), None, sampling, self._step.index, role, check=False, note=self._scorer)
        mine = [index for index, by in self._trial.scorers.items() if by == self._scorer]
        alike = [index for index in mine if self._trial.actions[index] == ask]
        number = self._asked[ask]
        self._asked[ask] += 1
        if number < len(alike):
            return self._answer(alike[number])
        if not self._new:
            raise ScorerError("it asks what no model was asked when the session ran, and none is asked now")
        if sum(self._parent(index) == self._step.index for index in mine) >= MOST_QUESTIONS:
            raise ScorerError(
                f"more than {MOST_QUESTIONS} questions about one step; the same step must lead to the same"
            )
        raise Asked(ask, self._scorer)

    def _answer(self, index: int) -> str:
        attempt = self._trial.attempts[index]
        if attempt.completion is None:
            raise ScorerError(f"the model did not answer: {attempt.failure.message if attempt.failure else ''}")
        return attempt.completion.text

    def _parent(self, index: int) -> int | None:
        action = self._trial.actions[index]
        return action.parent if isinstance(action, Ask) else None
