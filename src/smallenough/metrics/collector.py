"""Runs the scorers on the steps of trials that have ended. A scorer that fails is recorded as that, never as a 0."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from smallenough import plugins
from smallenough.errors import InputError, Interrupted
from smallenough.events import Failure
from smallenough.protocols import AskModel, Scorer
from smallenough.records import Answer, Evaluation, Score, Step, Task


class MetricsCollector:
    """Applies a fixed set of scorers. Safe to use from several threads, as scorers have no state.

    Args:
        scorers: whose scores to collect; their names must differ.

    Raises:
        InputError: two scorers have the same name.
    """

    def __init__(self, scorers: Sequence[Scorer]) -> None:
        self.scorers = tuple(scorers)
        names = [scorer.name for scorer in self.scorers]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InputError(f"several scorers are called {', '.join(twice)}; give each a name of its own")

    @classmethod
    def installed(cls, only: Sequence[str] | None = None) -> MetricsCollector:
        """With the scorers of these names, by which they are announced.

        Args:
            only: which; None: every one that is installed, plugins of other packages included.

        Raises:
            UnknownName: none is announced by that name.
            InputError: one can't be imported, or `tests` is left out, which says what is solved.
        """
        if only is not None and "tests" not in only:
            raise InputError("scorers: name tests too, without which nothing is known to be solved")
        return cls([plugins.load("scorers", name)() for name in (plugins.names("scorers") if only is None else only)])

    def score(
        self,
        task: Task,
        step: Step,
        hidden: Evaluation | None,
        reference_seconds: float | None = None,
        asking: Callable[[str], AskModel] | None = None,
    ) -> tuple[tuple[Score, ...], tuple[Failure, ...]]:
        """The scores of one step, and the scorers that failed on it.

        Args:
            task: the step's task.
            step: an answer of a trial that has ended.
            hidden: the answer on the tests that decide; None: there are none.
            reference_seconds: time of the reference's calls in those tests.
            asking: how a scorer, given as `style/1`, asks a model; None: none can be asked.
        """
        answer = Answer(step, hidden, reference_seconds)
        scores: list[Score] = []
        failures: list[Failure] = []
        for scorer in self.scorers:
            try:
                ask = asking(f"{scorer.name}/{scorer.version}") if asking else None
                scores.extend(scorer.score(task, answer, ask))
            except Interrupted:
                raise
            except Exception as error:  # noqa: BLE001 - a scorer may be anyone's; none may end a session
                where = f"scorer {scorer.name}/{scorer.version}, task {task.id!r}, step {step.index}"
                failures.append(Failure("ScorerError", f"{where}: {type(error).__name__}: {error}"))
        return tuple(scores), tuple(failures)
