"""What the tables of a store come to: the comparison, the verdict, and what else they can tell, each made on demand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import cached_property

from smallenough.analysis import table
from smallenough.analysis.breakeven import BreakEven, Repayment, break_even, training_costs
from smallenough.analysis.breakeven import sentences as repaid
from smallenough.analysis.breakeven import to_frame as repayments_frame
from smallenough.analysis.budgets import Budgets, budget_curves
from smallenough.analysis.by_task import difference, scored
from smallenough.analysis.classification import Classified, classify, to_frame
from smallenough.analysis.comparison import compare_frames
from smallenough.analysis.costs import cost_named
from smallenough.analysis.courses import ADDITIVE
from smallenough.analysis.criterion import Criterion
from smallenough.analysis.equal_budgets import EqualBudget, equal_budgets
from smallenough.analysis.evidence import Comparison
from smallenough.analysis.frames import Frames, common_tasks, prepare
from smallenough.analysis.money import Prices, TokenPrice
from smallenough.analysis.pareto import Front, pareto_front
from smallenough.analysis.verdict import Verdict, judge
from smallenough.analysis.verdict_words import headline, sentences
from smallenough.errors import InputError, UnknownName
from smallenough.tracking.reader import Tables


@dataclass(frozen=True, slots=True)
class Terms:
    """What is compared with what, and what counts."""

    baseline: str | None = None
    """The arm to compare with; None: the one that the sessions name."""
    prices: Prices | None = None
    """What is charged, before what the sessions were told; None: as they were told, if they agree."""
    margin: float | None = None
    """By how much of the solved rate an arm may be worse; None: by the number of tasks."""
    criterion: Criterion | None = None
    """What cheap means; None: peak memory, then seconds."""
    common: bool = False
    """Whether only what every arm tried is compared."""


@dataclass(frozen=True, repr=False)
class Findings:
    """A comparison with its verdict, and the tables that both were made from."""

    tables: Tables
    frames: Frames
    """The tables as they were compared: checked, arms labelled, costs reckoned."""
    comparison: Comparison
    verdict: Verdict

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the numbers should know."""
        return (*self.tables.notes, *self.comparison.notes)

    @cached_property
    def labels(self) -> tuple[Classified, ...]:
        """The arms on tasks whose answers are labels; none where no answer is."""
        return classify(self.frames.trials, self.frames.labels, confidence=self.comparison.confidence)

    def table(self, *, detailed: bool = False, width: int | None = None) -> table.Table:
        """The comparison as text, with the costs by which the verdict orders the arms; see `table.table`."""
        return table.table(self.comparison, detailed=detailed, width=width, costs=self.verdict.criterion.costs)

    def front(self, cost: str) -> Front:
        """The Pareto front of success against a cost, with how often each arm is on it.

        Raises:
            UnknownName: there is no such cost.
        """
        column = cost_named(cost).column
        trials = self.frames.trials
        of_arm = cost == "memory" or bool(trials[column].isna().all())  # peak memory is no property of a task
        totals = {row.arm: row.costs[cost] for row in self.comparison.rows} if of_arm else None
        return pareto_front(trials, cost, totals=totals, confidence=self.comparison.confidence)

    def budgets(self, cost: str = "seconds") -> Budgets:
        """Every arm's success as a function of what is spent on a task.

        Raises:
            UnknownName: there is no such cost.
            InputError: the cost does not add up over attempts.
        """
        return budget_curves(self.frames.trials, self.frames.attempts, cost, confidence=self.comparison.confidence)

    def at_equal_budget(self, cost: str = "seconds") -> tuple[EqualBudget, ...]:
        """Branching and cascades beside resampling and one attempt of the same model, at equal cost.

        Raises:
            UnknownName: there is no such cost.
            InputError: the cost does not add up over attempts.
        """
        return equal_budgets(self.frames.trials, self.frames.attempts, cost, confidence=self.comparison.confidence)

    def break_even(self, cost: str, training: float | None, large: str, tuned: str) -> BreakEven | None:
        """After how many requests what a training took is repaid by a tuned arm that takes less than a large one.

        Args:
            cost: `seconds`, `cpu`, `energy`, `money` or `operations`.
            training: what the training took, in the cost's unit; None: as its run in the store tells.
            large: the arm that the tuned one would replace.
            tuned: the arm of the trained model.

        Returns:
            The requests, with their interval; None where a part was not measured.

        Raises:
            UnknownName: there is no such cost or arm.
            InputError: the cost does not add up over requests, or the training's is negative.
        """
        for arm in (large, tuned):
            if arm not in self.frames.labels:
                raise UnknownName("arm", arm, self.frames.labels)
        if cost_named(cost).name not in ADDITIVE:
            raise InputError(f"{cost} does not add up over requests: take {', '.join(ADDITIVE)}")
        if training is None:
            training = training_costs(self.frames.arms.loc[tuned].to_dict(), self.comparison.prices).get(cost)
        saved = difference(scored(self.frames.trials), large, tuned, cost_named(cost).column)
        return break_even(cost, training, saved)

    def repayments(self) -> tuple[Repayment, ...]:
        """When what the training of each tuned arm took is repaid beside the baseline, in every cost that is known.

        None where the baseline is a tuned one itself. Seconds of inference are left out where several requests were in
        flight: they include waiting for others, which those of a training do not.
        """
        trained = {
            label: training_costs(row, self.comparison.prices)
            for label, row in self.frames.arms.to_dict("index").items()
        }
        base = self.comparison.baseline
        if trained[base]:
            return ()
        found = [
            (str(arm), self.break_even(cost, None, base, str(arm)))
            for arm in trained
            for cost in trained[arm]
            if cost != "seconds" or self._alone(base, str(arm))
        ]
        return tuple(Repayment(arm, base, at) for arm, at in found if at)

    def _alone(self, *arms: str) -> bool:
        """Whether each of these arms had one request in flight at a time."""
        return bool((self.frames.arms.loc[list(arms), "concurrency"] == 1).all())

    def to_json(self) -> str:
        """Comparison and verdict as indented JSON, null for 'not measured'."""
        told = {
            **json.loads(self.comparison.to_json()),
            **({"labels": json.loads(to_frame(self.labels).to_json(orient="records"))} if self.labels else {}),
            "break_even": json.loads(repayments_frame(self.repayments()).to_json(orient="records")),
            "notes": self.notes,
            "verdict": {**asdict(self.verdict), "words": sentences(self.verdict)},
        }
        return json.dumps(told, indent=2, ensure_ascii=False, allow_nan=False)

    def to_markdown(self, *, detailed: bool = False) -> str:
        """The verdict in words, the table, and what a reader should know."""
        shown = table.markdown(self.comparison, detailed=detailed, costs=self.verdict.criterion.costs)
        after = repaid(self.repayments(), self.verdict.currency)
        said = [*(f"- {line}" for line in after), *(f"- {note}" for note in self.tables.notes)]
        return "\n".join([" ".join(sentences(self.verdict)), "", shown, *said])

    def __repr__(self) -> str:
        """The verdict in a sentence; a terminal would not want the tables."""
        return f"<Findings: {headline(self.verdict)}>"

    def _repr_markdown_(self) -> str:
        """How a notebook shows it."""
        return self.to_markdown()


def find(tables: Tables, terms: Terms | None = None) -> Findings:
    """What tables come to.

    Args:
        tables: as the reader brings them.
        terms: what is compared with what; None: the defaults.

    Raises:
        UnknownName: there is no such arm, or no such model among those that a price is given for.
        InputError: there is nothing to compare, or nothing in common, or prices are in several currencies.
    """
    asked = terms or Terms()
    told = recorded_prices(tables)
    prices = asked.prices.over(told) if asked.prices else told
    _check_models(asked.prices, tables)
    if prices is None and any(tables.prices(session) for session in tables.sessions):
        tables = replace(tables, notes=(*tables.notes, _DIFFERENT_PRICES))
    tables = replace(tables, notes=(*tables.notes, *_scored_again(tables)))
    frames = prepare(tables.trials, tables.arms, tables.attempts, prices)
    if asked.common:
        frames = common_tasks(frames)
        tables = replace(tables, notes=(*tables.notes, _PEAKS_OF_ALL))
    comparison = compare_frames(frames, asked.baseline, prices)
    return Findings(tables, frames, comparison, judge(frames, comparison, asked.margin, asked.criterion))


_DIFFERENT_PRICES = (
    "The sessions were told different prices, or some of them none, so that no money is reported; prices that are given"
    " for the comparison hold for all."
)


_PEAKS_OF_ALL = (
    "Only what every arm tried is compared; peaks and means of memory are those of an arm's whole run, with the tasks"
    " that are left out."
)


def _scored_again(tables: Tables) -> Iterator[str]:
    """Says which sessions hold the answers of another one that is here too."""
    for session in tables.sessions:
        source = tables.parameters.get(session, {}).get("scored_from")
        if source in tables.sessions:
            yield (
                f"Session {session} scored the answers of {source} again: they stand here twice, and are no"
                " independent evidence. Name the sessions to compare one of the two."
            )


def recorded_prices(tables: Tables) -> Prices | None:
    """The prices with which all of the sessions were run, with those of every hosted model.

    None: some were told none, or other ones for the machine, a model, or in another currency.
    """
    told = [prices for session in tables.sessions if (prices := Prices.recorded(tables.prices(session)))]
    tokens: dict[str, TokenPrice] = {}
    for name, price in (item for one in told for item in one.tokens.items()):
        if tokens.setdefault(name, price) != price:
            return None
    whole = [replace(one, tokens=tokens) for one in told]
    return whole[0] if len(whole) == len(tables.sessions) and all(one == whole[0] for one in whole) else None


def _check_models(prices: Prices | None, tables: Tables) -> None:
    """Refuses a price of a model that nothing was asked of."""
    if prices is None or not prices.tokens:
        return
    models = list(dict.fromkeys([*tables.arms["model"], *(tables.attempts["model"] if len(tables.attempts) else ())]))
    for name in prices.tokens:
        if name not in models:
            raise UnknownName("model", name, models)
