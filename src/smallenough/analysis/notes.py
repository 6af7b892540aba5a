"""What a reader must know to read a comparison right, in plain words.

Each rule looks at the frames and the rows and yields sentences. A rule says nothing where there is nothing to say.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from smallenough.analysis.costs import uncounted
from smallenough.analysis.evidence import ArmRow, Counts
from smallenough.analysis.frames import Frames, flagged_baselines
from smallenough.analysis.measures import ARM_MEASURES, TRIAL_MEASURES
from smallenough.analysis.money import Prices
from smallenough.analysis.wording import listed

_IDLE_SHARE = 0.1
"""Share of an arm's CPU seconds from which the server's idle use is worth a word."""


def notes(
    frames: Frames, rows: Sequence[ArmRow], baseline: str, prices: Prices | None, *, named: bool = False
) -> tuple[str, ...]:
    """Every note on a comparison, the weightiest first.

    Args:
        frames: what is compared.
        rows: what came out.
        baseline: the arm that the others are compared with.
        prices: what is charged; None: nothing.
        named: whether the baseline was asked for by its name.
    """
    found: list[str] = []
    found += _on_arms(frames, rows, baseline, named=named)
    found += _on_sessions(frames)
    found += _on_pairs(rows, baseline)
    found += _on_outcomes(rows)
    found += _on_repeats(frames)
    found += _on_timing(frames)
    found += _on_totals(frames)
    found += _on_money(frames, rows, prices) if prices else ()
    found += _on_missing(rows)
    return tuple(found)


def _on_arms(frames: Frames, rows: Sequence[ArmRow], baseline: str, *, named: bool) -> Iterator[str]:
    if len(rows) == 1:
        yield f"There is only one arm, {rows[0].arm!r}: nothing to compare it with."
    flagged = flagged_baselines(frames)
    if len(flagged) > 1 and not named:
        yield f"Several arms are marked as baseline ({listed(flagged)}); compared with {baseline!r}."
    if frames.ambiguous:
        yield (
            f"Several sessions have an arm called {listed(frames.ambiguous)}; each is an arm of its own here,"
            f" with its session in its name. Compared with {baseline!r}; name another with --baseline 'ARM @ SESSION'."
        )


def _on_sessions(frames: Frames) -> Iterator[str]:
    if "status" in frames.arms.columns:
        for status in ("interrupted", "failed", "running"):
            sessions = sorted(set(frames.arms.loc[frames.arms["status"] == status, "session"]))
            if sessions:
                what = "is still running" if status == "running" else f"was {status}" if status != "failed" else status
                several = "Sessions" if len(sessions) > 1 else "Session"
                yield f"{several} {listed(sessions)} {what}: some trials are missing."
    suites = sorted(frames.trials["suite"].dropna().unique())
    if len(suites) > 1:
        yield f"Trials are of several suites ({listed(suites)}); only the same task of the same suite is paired."


def _on_pairs(rows: Sequence[ArmRow], baseline: str) -> Iterator[str]:
    scored = {row.arm: row.counts.solved + row.counts.unsolved for row in rows}
    uneven = []
    for row in rows:
        if row.against is None or not scored[row.arm] or not scored[baseline]:
            continue
        difference = row.against.difference
        if difference is None:
            yield f"{row.arm!r} and {baseline!r} have no scored task in common: no difference can be told."
        if difference and difference.pairs < max(scored[row.arm], scored[baseline]):
            uneven.append(f"{row.arm!r} {difference.pairs} of {scored[row.arm]}")
    if uneven:
        yield (
            f"Differences are over the scored trials that an arm has in common with {baseline!r}, which has"
            f" {scored[baseline]}: {', '.join(uneven)}. Rates and means are over all of an arm's own; `--common` takes"
            " only what every arm tried."
        )


def _on_outcomes(rows: Sequence[ArmRow]) -> Iterator[str]:
    for row in rows:
        if not row.counts.trials:
            yield f"{row.arm!r} has no trials yet."
        if row.counts.unsolved and not row.counts.solved:
            yield f"{row.arm!r} solved nothing: it has no cost per solved task."
    failed = [f"{row.arm!r} {_failures(row.counts)}" for row in rows if row.counts.failed]
    if failed:
        yield (
            f"Infrastructure failures are counted apart, not as wrong answers: {', '.join(failed)}."
            " What they took is shared by the arm's other trials where the verdict orders arms by cost."
        )
    free = [f"{row.arm!r} {row.counts.unscored} of {row.counts.trials} trials" for row in rows if row.counts.unscored]
    if free:
        yield (
            f"Free tasks have no tests that decide, and no part in solved rates: {', '.join(free)}."
            " CPU, energy and money of an arm include them."
        )


def _failures(counts: Counts) -> str:
    kinds = (("model", counts.model_failed), ("sandbox", counts.sandbox_failed), ("scorer", counts.scorer_failed))
    told = ", ".join(f"{kind} {number}" for kind, number in kinds if number)
    return f"{counts.failed} of {counts.trials} trials ({told})"


def _on_repeats(frames: Frames) -> Iterator[str]:
    repeats = frames.trials.groupby(["label", "task_number"], observed=True)["repeat"].size()
    if repeats.max() == 1:
        return
    yield "Tasks were repeated: a task is one unit in every interval and test, however often it was tried."
    if repeats.nunique() > 1:
        yield "Not every task was repeated as often by every arm: only repeats that both arms have are paired."


def _on_timing(frames: Frames) -> Iterator[str]:
    concurrency = frames.arms["concurrency"].dropna()
    if concurrency.nunique() > 1:
        told = ", ".join(f"{str(label)!r} {value:g}" for label, value in concurrency.items())
        yield f"Requests at once differ ({told}): seconds of inference are not comparable between these arms."
    elif len(concurrency) and concurrency.max() > 1:
        yield f"{concurrency.max():g} requests were in flight at once: seconds of inference include waiting for others."
    arms = frames.arms
    idle = arms["idle_cpu_rate"] * arms["wall_seconds"]
    for label, cpu, share in zip(arms.index, arms["cpu_seconds"], idle, strict=True):
        if share > _IDLE_SHARE * cpu:
            yield f"Of {cpu:.1f} CPU seconds of {label!r}, the model's server would have taken about {share:.1f} idle."


def _on_totals(frames: Frames) -> Iterator[str]:
    nothing = frames.arms[list(ARM_MEASURES)].isna().all(axis="columns")
    unmeasured = [label for label in frames.labels if nothing[label]]
    if unmeasured:
        yield f"Nothing was measured over the whole arm for {listed(unmeasured)}: no CPU, memory or energy."
    if "energy_provenance" in frames.arms.columns:
        estimated = list(frames.arms.index[frames.arms["energy_provenance"] == "estimated"])
        if estimated:
            yield f"Energy of {listed(estimated)} is estimated, not measured."
    if "killed_parts" in frames.arms.columns:
        killed = list(frames.arms.index[frames.arms["killed_parts"] > 0])
        if killed:
            yield (
                f"{listed(killed)}: killed, and resumed; CPU, memory, energy and time count up to the last sample"
                " before each kill."
            )


def _on_money(frames: Frames, rows: Sequence[ArmRow], prices: Prices) -> Iterator[str]:
    yield f"Money is {prices.told}."
    without = [row for row in rows if row.totals.money is None and row.counts.trials]
    free = [row.arm for row in without if not prices.charges_machine and row.model not in prices.tokens]
    if free:
        yield f"No money is reported for {listed(free)}: neither the machine nor the model has a price."
    lacking = [row for row in without if row.arm not in free]
    dark = [row.arm for row in lacking if _lacks_energy(row, prices)]
    if dark:
        hours = "; without a price of energy, hours alone would count" if prices.per_machine_hour is not None else ""
        yield f"No money is reported for {listed(dark)}: energy has a price and was not measured{hours}."
    if unmeasured := [row.arm for row in lacking if row.arm not in dark]:
        yield f"No money is reported for {listed(unmeasured)}: what is charged for was not measured."
    if len(frames.attempts):
        failed = frames.attempts.loc[uncounted(frames.attempts, prices), "label"].value_counts()
        told = [f"{str(label)!r} {failed[label]}" for label in frames.labels if label in failed]
        if told:
            yield (
                "Inferences that failed at a hosted model have no count of tokens, and no part in money: "
                f"{', '.join(told)}."
            )


def _lacks_energy(row: ArmRow, prices: Prices) -> bool:
    """Whether what keeps a local arm from having a price is that its energy was not measured."""
    return prices.per_kwh is not None and row.model not in prices.tokens and row.totals.energy_joules is None


def _on_missing(rows: Sequence[ArmRow]) -> Iterator[str]:
    """Measures that some trials of an arm have and others lack; those that none has show as not measured."""
    for row in rows:
        gaps, scored = [], row.counts.solved + row.counts.unsolved
        for told in TRIAL_MEASURES:
            measure = row.measures[told.name]
            due = scored if told.scored_only else measure.of
            if 0 < measure.measured < due:
                gaps.append(f"{told.title} in {measure.measured} of {due}")
        if gaps:
            yield f"Not every trial of {row.arm!r} has every measure: {', '.join(gaps)}. Means are over those."
