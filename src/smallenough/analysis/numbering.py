"""Rows numbered by what they have in common, so that what follows compares whole numbers and no texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from smallenough.analysis.statistics import Indices


def numbered(frame: pd.DataFrame, columns: Sequence[str]) -> Indices:
    """A number for each row from 0, the same for rows with the same values in `columns`, in those values' order.

    No value may be missing.
    """
    number = np.zeros(len(frame), dtype=np.int64)
    for column in columns:
        codes, values = pd.factorize(frame[column], sort=True)
        number = np.unique(number * len(values) + codes, return_inverse=True)[1]
    return number
