"""What attempts, trials and arms cost, in every unit in which arms can be compared.

Seconds, joules, money and operations can be compared between any models; tokens of different tokenizers can't, and
are no cost here. An arm's own totals were measured over the whole arm; what a trial or an attempt took of them is its
share. None and NaN are 'not measured'.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from smallenough import wording
from smallenough.analysis.money import Prices
from smallenough.analysis.numbering import numbered
from smallenough.errors import InputError, UnknownName


@dataclass(frozen=True, slots=True)
class Cost:
    """A unit in which arms are compared; less is better."""

    name: str
    """As it is asked for."""
    column: str
    """Of trials and attempts."""
    title: str
    """Of what a trial takes."""
    write: Callable[[float | None], str]
    of_arm: str = ""
    """What the verdict orders arms by, where that is called otherwise."""

    @property
    def arm_title(self) -> str:
        """Of what the arm's own total comes to for a trial."""
        return self.of_arm or self.title

    def told(self, value: float | None, currency: str = "") -> str:
        """An amount in words; money in its currency."""
        return wording.money(value, currency) if self.name == "money" else self.write(value)


COSTS: Mapping[str, Cost] = {
    cost.name: cost
    for cost in (
        Cost("memory", "peak_memory_bytes", "peak memory", wording.size),
        Cost("seconds", "latency_seconds", "time", wording.duration, "wall time"),
        Cost("cpu", "cpu_seconds", "CPU time", wording.duration),
        Cost("energy", "energy_joules", "energy", wording.energy),
        Cost("money", "money", "money", lambda value: wording.money(value, "")),
        Cost("operations", "operations", "operations", wording.operations),
    )
}
"""By name, in the order in which they are shown. Operations are 2 × parameters × tokens, read and written: those of a
dense transformer's forward pass, its attention apart (J. Kaplan et al. (2020), "Scaling laws for neural language
models", arXiv:2001.08361, section 2.1)."""

_TRIAL = ["session", "arm", "suite", "task", "repeat"]
_OPERATIONS_PER_TOKEN = 2


def cost_named(name: str) -> Cost:
    """A cost by its name.

    Raises:
        InputError: `name` is tokens.
        UnknownName: there is no such cost; names the nearest.
    """
    if name.startswith("token"):
        raise InputError(
            "tokens of different tokenizers are no cost to compare by: take seconds, energy, money or"
            " operations (2 × parameters × tokens)"
        )
    if name not in COSTS:
        raise UnknownName("cost", name, list(COSTS))
    return COSTS[name]


def attempt_costs(attempts: pd.DataFrame, arms: pd.DataFrame, prices: Prices | None) -> pd.DataFrame:
    """The attempts with what each cost: columns `operations` and `money`, float64, NaN for 'not known'.

    An attempt's share of the machine's time is that of its seconds of inference among the arm's.

    Args:
        attempts: one row an attempt, as the reader brings them.
        arms: one row an arm of a session: `model`, `model_parameters`, `further_models`, `wall_seconds`.
        prices: what is charged; None: `money` is NaN.
    """
    if attempts.empty:
        return attempts.assign(operations=pd.Series(dtype="float64"), money=pd.Series(dtype="float64"))
    tokens = _floats(attempts, "tokens_in") + _floats(attempts, "tokens_out")
    key = pd.MultiIndex.from_frame(attempts[["session", "arm", "model"]])
    parameters = pd.Series(_parameters(arms), dtype="float64").reindex(key).to_numpy()
    return attempts.assign(
        operations=_OPERATIONS_PER_TOKEN * parameters * tokens,
        money=np.nan if prices is None else _money(attempts, arms, prices),
    )


def trial_costs(trials: pd.DataFrame, attempts: pd.DataFrame) -> pd.DataFrame:
    """The trials with `operations` and `money`: sums over their attempts, NaN where one of them is not known."""
    columns = ["operations", "money"]
    if attempts.empty:
        return trials.assign(**dict.fromkeys(columns, np.nan))
    number = numbered(pd.concat([trials[_TRIAL], attempts[_TRIAL]]), _TRIAL)
    trial, attempt = number[: len(trials)], number[len(trials) :]
    most = int(number.max()) + 1
    count = np.bincount(attempt, minlength=most)
    found = {}
    for name in columns:
        values = _floats(attempts, name)
        known = np.bincount(attempt, weights=~np.isnan(values), minlength=most)
        sums = np.bincount(attempt, weights=np.nan_to_num(values), minlength=most)
        found[name] = np.where((count > 0) & (known == count), sums, np.nan)[trial]
    return trials.assign(**found)


def arm_money(
    model: str | None,
    attempts: pd.DataFrame,
    totals: Mapping[str, float | None],
    prices: Prices,
) -> float | None:
    """What an arm cost: the machine by what was measured over the whole arm, hosted models by their tokens.

    A hosted model's attempts that failed have no count of tokens, and are not counted: see `uncounted`.

    Args:
        model: the arm's own.
        attempts: those of the arm, with `money` as `attempt_costs` tells it; without rows: none were read.
        totals: `wall_seconds` and `energy_joules` of the whole arm.
        prices: what is charged.

    Returns:
        The amount; None where something that is charged for was not measured, or has no price.
    """
    hosted = _hosted(attempts, prices)
    machine = prices.cost(totals["wall_seconds"], totals["energy_joules"])
    if not hosted.any():
        return None if model in prices.tokens else machine
    by_tokens = attempts.loc[hosted & ~uncounted(attempts, prices), "money"]
    charged = None if by_tokens.empty or by_tokens.isna().any() else float(by_tokens.sum())
    if hosted.all() or charged is None:
        return charged
    return None if machine is None else charged + machine


def uncounted(attempts: pd.DataFrame, prices: Prices) -> np.ndarray:
    """Which attempts a hosted model failed at: what was charged for them is not known."""
    hosted = _hosted(attempts, prices)
    return hosted & attempts["outcome"].isin(["model_failed"]).to_numpy(dtype=bool) if hosted.any() else hosted


def _hosted(attempts: pd.DataFrame, prices: Prices) -> np.ndarray:
    """Which attempts were of a model that charges for tokens."""
    if not len(attempts):
        return np.zeros(0, dtype=bool)
    return attempts["model"].isin(list(prices.tokens)).to_numpy(dtype=bool)


def _parameters(arms: pd.DataFrame) -> dict[tuple[str, str, str], float]:
    """How many parameters each model of each arm has, those of a cascade's further models included."""
    found: dict[tuple[str, str, str], float] = {}
    for row in arms.to_dict("records"):
        where = (str(row["session"]), str(row["arm"]))
        further = row.get("further_models")
        for other in json.loads(further) if isinstance(further, str) else []:
            if other.get("parameters") is not None:
                found[(*where, str(other["name"]))] = float(other["parameters"])
        own = row.get("model_parameters")
        if own is not None and not pd.isna(own):
            found[(*where, str(row.get("model")))] = float(own)
    return found


def _money(attempts: pd.DataFrame, arms: pd.DataFrame, prices: Prices) -> pd.Series[float]:
    """What each attempt cost: a hosted model's by its tokens, a local one's by its shares of energy and time."""
    hosted = _hosted(attempts, prices)
    tokens_in, tokens_out = _floats(attempts, "tokens_in"), _floats(attempts, "tokens_out")
    per_in, per_out = (
        attempts["model"].map({name: getattr(one, side) for name, one in prices.tokens.items()}).astype("float64")
        for side in ("input", "output")
    )
    by_tokens = (tokens_in * per_in.to_numpy() + tokens_out * per_out.to_numpy()) / 1e6
    if not prices.charges_machine:
        return pd.Series(np.where(hosted, by_tokens, np.nan), attempts.index)
    local = np.zeros(len(attempts))
    if prices.per_kwh is not None:
        local += prices.per_kwh * _floats(attempts, "energy_joules") / 3.6e6
    if prices.per_machine_hour is not None:
        local += prices.per_machine_hour * _machine_seconds(attempts, arms, hosted) / 3600
    return pd.Series(np.where(hosted, by_tokens, local), attempts.index)


def _machine_seconds(attempts: pd.DataFrame, arms: pd.DataFrame, hosted: np.ndarray) -> np.ndarray:
    """Each local attempt's share of the wall seconds of its arm, by its seconds of inference."""
    own = np.where(hosted, 0.0, _floats(attempts, "latency_seconds"))
    key = pd.MultiIndex.from_frame(attempts[["session", "arm"]])
    together = pd.Series(own).groupby([key.get_level_values(0), key.get_level_values(1)]).sum()
    walls = arms.set_index(["session", "arm"])
    wall = _floats(walls, "wall_seconds")
    per_arm = pd.Series(wall, walls.index).reindex(key).to_numpy(dtype=np.float64)
    whole = together.reindex(key).to_numpy(dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(own == 0, 0.0 * per_arm, own * per_arm / whole))


def _floats(frame: pd.DataFrame, column: str) -> np.ndarray:
    """A column as float64, NaN where a value or the whole column is missing."""
    if column not in frame.columns:
        return np.full(len(frame), np.nan)
    return frame[column].astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan)
