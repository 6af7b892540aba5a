"""What all of the statistics take and give: arrays of numbers, clusters, intervals, and the checks of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smallenough.errors import InputError

Floats: TypeAlias = NDArray[np.float64]
Indices: TypeAlias = NDArray[np.int64]
Clusters: TypeAlias = Sequence[int] | Indices | None
"""The number of the task that each value belongs to; None: each value is a task of its own."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval, its ends included."""

    low: float
    high: float
    confidence: float = 0.95


def measured(values: ArrayLike, clusters: Clusters = None) -> tuple[Floats, Indices]:
    """The values that are measured (not NaN), and the position of each one's cluster, from 0 without a gap.

    Raises:
        InputError: a value is infinite, or lengths differ.
    """
    numbers = finite(values)
    groups = positions(len(numbers), clusters)
    known = ~np.isnan(numbers)
    return numbers[known], positions(int(known.sum()), groups[known])


def complete_pairs(arm: ArrayLike, baseline: ArrayLike, clusters: Clusters = None) -> tuple[Floats, Floats, Indices]:
    """The pairs in which both values are measured, with the position of each one's cluster.

    Raises:
        InputError: a value is infinite, or lengths differ.
    """
    left, right = finite(arm), finite(baseline)
    given = len(left) if clusters is None else len(clusters)
    if not len(left) == len(right) == given:
        raise InputError(
            f"pairs need as many values of the arm as of the baseline and of clusters,"
            f" not {len(left)}, {len(right)} and {given}"
        )
    groups = positions(len(left), clusters)
    both = ~(np.isnan(left) | np.isnan(right))
    return left[both], right[both], positions(int(both.sum()), groups[both])


def finite(values: ArrayLike, dimensions: int = 1) -> Floats:
    """The values as floating-point numbers, of which none is infinite; NaN stays what it is, not measured."""
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.ndim != dimensions:
        raise InputError(f"values must have {dimensions} dimensions, not the shape {numbers.shape}")
    if np.isinf(numbers).any():
        raise InputError("a value is infinite; give NaN for what was not measured")
    return numbers


def positions(count: int, clusters: Clusters) -> Indices:
    """The position of each value's cluster among all clusters, which stand in the order of their numbers."""
    if clusters is None:
        return np.arange(count, dtype=np.int64)
    groups = np.asarray(clusters, dtype=np.int64)
    if groups.shape != (count,):
        raise InputError(f"each value needs its cluster: {count} values, and clusters of the shape {groups.shape}")
    return np.unique(groups, return_inverse=True)[1].astype(np.int64)


def check_share(name: str, share: float) -> None:
    """Refuses a number that is not a share between 0 and 1."""
    if not 0 < share < 1:
        raise InputError(f"{name} must be between 0 and 1, as 0.95, not {share}")
