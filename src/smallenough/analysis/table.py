"""A comparison as a table: for people, for spreadsheets, for Markdown.

Text only; whoever shows it draws the lines. The essential table has a row for each arm, and as many of the weightiest
columns as fit a width; the detailed one has all that is known, a column for each arm.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from smallenough import wording
from smallenough.analysis.costs import COSTS
from smallenough.analysis.criterion import Criterion
from smallenough.analysis.evidence import TOKENS, Against, ArmRow, Comparison
from smallenough.analysis.measures import TRIAL_MEASURES, TrialMeasure
from smallenough.analysis.statistics import PassRate
from smallenough.analysis.wording import interval_share, odds_ratio, p_value, pass_rate, points

_GAP = 2
"""Characters between two columns, whoever draws them."""

_EMPTY = {wording.NOTHING, "", "0"}
"""Cells that tell nothing: a column of the essential table that holds no other is left out."""

_COST_HEADERS = {
    "memory": "Peak\nmemory",
    "seconds": "Wall/\ntrial",
    "cpu": "CPU/\ntrial",
    "energy": "Energy/\ntrial",
    "money": "Money/\ntrial",
    "operations": "FLOP/\ntrial",
}
"""Of what the arm's own total comes to for a trial."""

Cell = Callable[[ArmRow], str]


@dataclass(frozen=True, slots=True)
class Table:
    """Headers and cells as text. A header may have two lines."""

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left_out: tuple[str, ...] = ()
    """Headers of columns that did not fit, or would have told nothing."""

    @property
    def width(self) -> int:
        """Characters of the widest line, two between columns."""
        cells = zip(self.headers, *self.rows, strict=True)
        return sum(_width(column) for column in cells) + _GAP * (len(self.headers) - 1)


@dataclass(frozen=True, slots=True)
class _Column:
    header: str
    weight: int
    """1 is the weightiest: the last to be left out."""
    cell: Cell


def table(
    comparison: Comparison,
    *,
    detailed: bool = False,
    width: int | None = 120,
    costs: Sequence[str] = Criterion().costs,
) -> Table:
    """The comparison as text.

    Args:
        comparison: what to show.
        detailed: all that is known, a row for each measure and a column for each arm; `width` has no say then.
        width: characters to fit the essential table into; None: no limit. The arm, its solved rate and the
            difference stay, however narrow it is.
        costs: by which the verdict orders the arms, by their names in `COSTS`: they stand beside the difference.
    """
    if detailed:
        entries = list(_entries(comparison))
        rows = ((title, *(cell(row) for row in comparison.rows)) for title, cell in entries)
        return Table(("", *(row.arm for row in comparison.rows)), tuple(rows))
    return _fit(comparison, width, costs)


def markdown(comparison: Comparison, *, detailed: bool = False, costs: Sequence[str] = Criterion().costs) -> str:
    """The table in Markdown, notes below it."""
    found = table(comparison, detailed=detailed, width=None, costs=costs)
    lines = [found.headers, tuple("---" if index == 0 else "---:" for index in range(len(found.headers))), *found.rows]
    text = "".join("| " + " | ".join(map(_in_markdown, line)) + " |\n" for line in lines)
    return text + ("\n" + "".join(f"- {_in_markdown(note)}\n" for note in comparison.notes) if comparison.notes else "")


def csv(comparison: Comparison) -> str:
    """All numbers, unrounded, as CSV: a line for each arm, units in the column names, empty for 'not measured'."""
    return comparison.to_frame().to_csv(index=False, lineterminator="\n")


def _fit(comparison: Comparison, width: int | None, costs: Sequence[str]) -> Table:
    """The columns that say something, without the lightest ones where they would not fit."""
    names = _short_names(comparison.rows, width)
    columns = [
        (column, (column.header, *(column.cell(row) for row in comparison.rows)))
        for column in _columns(comparison, costs)
    ]
    kept = [(column, cells) for column, cells in columns if column.weight <= 2 or set(cells[1:]) - _EMPTY]
    arms = ("Arm", *names)

    def total() -> int:
        return _width(arms) + sum(_width(cells) + _GAP for _, cells in kept)

    while width is not None and total() > width and max(column.weight for column, _ in kept) > 2:
        kept.remove(max(kept, key=lambda pair: pair[0].weight))
    lines = list(zip(arms, *(cells for _, cells in kept), strict=True))
    shown = {column for column, _ in kept}
    left_out = (_one_line(column.header) for column, _ in columns if column not in shown)
    return Table(lines[0], tuple(lines[1:]), tuple(left_out))


def _columns(comparison: Comparison, costs: Sequence[str]) -> tuple[_Column, ...]:
    """The columns of the essential table, in their order."""
    confidence = f"{100 * comparison.confidence:g}%"
    currency = comparison.prices.currency if comparison.prices else ""
    deciding = tuple(_cost_column(name, currency) for name in costs)
    others = (
        _Column("McNemar\np, Holm", 13, _against(lambda found: p_value(found.mcnemar_p_corrected))),
        _Column("First\ntry", 11, lambda row: wording.share(row.first_attempt.rate if row.first_attempt else None)),
        _Column("Failed\ntrials", 14, lambda row: str(row.counts.failed)),
        _Column("Time/\ntrial", 4, lambda row: wording.duration(row.measures["latency_seconds"].mean)),
        _Column("\nFaster", 7, _against(lambda found: wording.share(found.faster))),
        _Column("Peak\nmemory", 4, lambda row: wording.size(row.totals.peak_memory_bytes)),
        _Column("Less\nmemory", 8, _against(lambda found: wording.share(found.less_memory))),
        _Column("CPU/\ntrial", 5, lambda row: wording.duration(row.costs["cpu"])),
        _Column("Tokens\nout/trial", 12, lambda row: wording.number(row.measures["tokens_out"].mean)),
        _Column("Depth/calls/\nsandboxes", 10, _effort),
        _Column("Time/\nsolved", 6, lambda row: wording.duration(row.per_solved.seconds)),
        _Column("Energy/\nsolved", 9, lambda row: wording.energy(row.per_solved.energy_joules)),
        _Column("Money/\n1000 solved", 9, lambda row: wording.money(_thousand(row.per_solved.money), currency)),
    )
    return (
        _Column(f"Solved\n[{confidence}]", 1, lambda row: interval_share(row.solved_rate)),
        _Column(f"Difference\npoints [{confidence}]", 2, _against(lambda found: points(found.difference))),
        *deciding,
        *(column for column in others if column.header not in {one.header for one in deciding}),
    )


def _cost_column(name: str, currency: str) -> _Column:
    """What a trial of an arm takes, as the verdict has it."""
    cost = COSTS[name]
    return _Column(_COST_HEADERS[name], 3, lambda row: cost.told(row.costs[name], currency))


def _entries(comparison: Comparison) -> Iterator[tuple[str, Cell]]:
    """The rows of the detailed table, in their order."""
    confidence = f"[{100 * comparison.confidence:g}%]"
    currency = comparison.prices.currency if comparison.prices else ""
    yield from _identity_entries()
    yield f"solved rate {confidence}", lambda row: interval_share(row.solved_rate)
    yield f"first-attempt rate {confidence}", lambda row: interval_share(row.first_attempt)
    for k in range(1, 1 + max(len(row.pass_at_k) for row in comparison.rows)):
        yield f"pass@{k} {confidence}", _passes(k, lambda row: row.pass_at_k)
        yield f"pass^{k} {confidence}", _passes(k, lambda row: row.pass_hat_k)
    yield f"difference in points {confidence}", _against(lambda found: points(found.difference))
    yield "common pairs", _against(lambda found: str(found.difference.pairs if found.difference else 0))
    yield "tasks better / worse", _against(lambda found: f"{found.better} / {found.worse}")
    yield f"odds ratio of better to worse {confidence}", _against(lambda found: odds_ratio(found.odds_ratio))
    yield "McNemar's exact p", _against(lambda found: p_value(found.mcnemar_p))
    yield "the same, Holm's correction over the arms", _against(lambda found: p_value(found.mcnemar_p_corrected))
    for name, title in (*((name, cost.title) for name, cost in COSTS.items()), (TOKENS, "tokens (of the same model)")):
        yield f"{title} saved {confidence}", _saved_cell(name)
        yield f"Wilcoxon's p of {title}, Holm's correction", _wilcoxon_cell(name)
    yield "faster than the baseline", _against(lambda found: wording.share(found.faster))
    yield "less memory than the baseline", _against(lambda found: wording.share(found.less_memory))
    for measure in TRIAL_MEASURES:
        yield measure.title, _measure_cell(measure)
    yield "wall time", lambda row: wording.duration(row.totals.wall_seconds)
    yield "CPU time", lambda row: wording.duration(row.totals.cpu_seconds)
    yield "CPU time per trial", lambda row: wording.duration(row.costs["cpu"])
    yield "server's idle CPU, s per s", lambda row: wording.number(row.totals.idle_cpu_rate)
    yield "peak memory", lambda row: wording.size(row.totals.peak_memory_bytes)
    yield "mean memory", lambda row: wording.size(row.totals.mean_memory_bytes)
    yield "GPU use, %", lambda row: wording.number(row.totals.gpu_percent)
    yield "peak GPU memory", lambda row: wording.size(row.totals.gpu_peak_memory_bytes)
    yield "energy", lambda row: wording.energy(row.totals.energy_joules)
    yield "energy of the GPUs", lambda row: wording.energy(row.totals.gpu_energy_joules)
    yield "money", lambda row: wording.money(row.totals.money, currency)
    yield "requests at once", lambda row: wording.number(row.totals.concurrency)
    yield "time per solved task", lambda row: wording.duration(row.per_solved.seconds)
    yield "CPU time per solved task", lambda row: wording.duration(row.per_solved.cpu_seconds)
    yield "energy per solved task", lambda row: wording.energy(row.per_solved.energy_joules)
    yield "money per 1000 solved tasks", lambda row: wording.money(_thousand(row.per_solved.money), currency)
    yield "tokens per solved task (its own)", lambda row: wording.number(row.per_solved.tokens)


def _identity_entries() -> Iterator[tuple[str, Cell]]:
    yield "session", lambda row: row.session
    yield "model", lambda row: row.model or wording.NOTHING
    yield "provider", lambda row: row.provider or wording.NOTHING
    yield "strategy", lambda row: row.strategy or wording.NOTHING
    yield "baseline", lambda row: "yes" if row.baseline else ""
    yield "trials", lambda row: str(row.counts.trials)
    yield "tasks", lambda row: str(row.counts.tasks)
    yield "solved", lambda row: str(row.counts.solved)
    yield "unsolved", lambda row: str(row.counts.unsolved)
    yield "free tasks, unscored", lambda row: str(row.counts.unscored)
    yield "model failed", lambda row: str(row.counts.model_failed)
    yield "sandbox failed", lambda row: str(row.counts.sandbox_failed)
    yield "scorer failed", lambda row: str(row.counts.scorer_failed)


def _passes(k: int, rates: Callable[[ArmRow], tuple[PassRate, ...]]) -> Cell:
    return lambda row: next((pass_rate(one) for one in rates(row) if one.k == k), wording.NOTHING)


def _measure_cell(measure: TrialMeasure) -> Cell:
    """Mean and median; in how many trials it was measured, where that is not in all."""

    def cell(row: ArmRow) -> str:
        found = row.measures[measure.name]
        if found.mean is None:
            return wording.NOTHING
        gap = f", {found.measured} of {found.of}" if found.measured < found.of else ""
        return f"{measure.write(found.mean)} (median {measure.write(found.median)}{gap})"

    return cell


def _against(cell: Callable[[Against], str]) -> Cell:
    """A cell about the baseline: empty in the baseline's own row."""
    return lambda row: cell(row.against) if row.against else ""


def _saved_cell(cost: str) -> Cell:
    """The share of the baseline's that the arm saves, over the trials of both."""

    def cell(found: Against) -> str:
        beside = found.costs.get(cost)
        if beside is None or beside.saved is None:
            return wording.NOTHING
        ends = beside.saved_interval
        told = f" [{wording.share(ends.low)}, {wording.share(ends.high)}]" if ends else ""
        return wording.share(beside.saved) + told

    return _against(cell)


def _wilcoxon_cell(cost: str) -> Cell:
    def cell(found: Against) -> str:
        beside = found.costs.get(cost)
        return p_value(beside.wilcoxon_p_corrected) if beside else wording.NOTHING

    return _against(cell)


def _effort(row: ArmRow) -> str:
    """Mean depth, calls and sandboxes of a trial: what a strategy spends on it."""
    spent = [row.measures[name].mean for name in ("branching_depth", "model_calls", "sandbox_runs")]
    return "/".join(map(wording.number, spent)) if any(mean is not None for mean in spent) else wording.NOTHING


def _thousand(value: float | None) -> float | None:
    return None if value is None else 1000 * value


def shared_provider(rows: Sequence[ArmRow]) -> str:
    """The provider with which the names of all arms begin, its colon included; empty: they have none in common."""
    provider = f"{rows[0].provider}:"
    return provider if all(row.arm.startswith(provider) for row in rows) else ""


def _short_names(rows: Sequence[ArmRow], width: int | None) -> list[str]:
    """The arms' names; where a third of the width is not enough for them, without what can be missed.

    That is a provider that all share, then the middle of long ones. They stay whole where two would look the same.
    """
    names = [row.arm for row in rows]
    room = max(12, width // 3) if width is not None else None
    if room is None or max(map(len, names)) <= room:
        return names
    names = [name.removeprefix(shared_provider(rows)) for name in names]
    head = (room - 1) // 2
    short = [name if len(name) <= room else f"{name[:head]}…{name[len(name) - (room - 1 - head) :]}" for name in names]
    return short if len(set(short)) == len(set(names)) else names


def _width(cells: tuple[str, ...]) -> int:
    return max(len(line) for cell in cells for line in cell.split("\n"))


def _one_line(header: str) -> str:
    return " ".join(header.replace("/\n", "/").split())


def _in_markdown(cell: str) -> str:
    return _one_line(cell).replace("\\", "\\\\").replace("|", "\\|")
