"""Rows as Arrow tables, and those as the frames that are read back: each column cast once, none copied on the way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from smallenough.records import Json
from smallenough.tracking.columns import Column, Type

_TYPES: dict[Type, Any] = {
    "string": pa.string(),
    "boolean": pa.bool_(),
    "Int64": pa.int64(),
    "Float64": pa.float64(),
}
_PANDAS = {kind: pd.api.types.pandas_dtype(name) for name, kind in _TYPES.items()}


def table(rows: Sequence[dict[str, Json]]) -> Any:
    """Rows as a table whose columns are the union of the rows' names."""
    names = dict.fromkeys(name for row in rows for name in row)
    return pa.table({name: [row.get(name) for row in rows] for name in names})


def frame(tables: Iterable[Any], known: Sequence[Column]) -> pd.DataFrame:
    """Tables one after the other, as a frame with all known columns, each with its type.

    What else they hold follows, as `Float64`. NaN becomes NA: 'not measured', as null is.

    Args:
        tables: of Arrow; a column that one of them lacks is null there.
        known: columns of text, numbers or truth.

    Raises:
        pyarrow.ArrowInvalid: a column holds what is not of its type.
    """
    filled = [one for one in tables if one.num_rows]
    whole = pa.concat_tables(filled, promote_options="permissive") if filled else pa.table({})
    types = {one.name: _TYPES[one.dtype] for one in known}
    types |= {name: pa.float64() for name in whole.column_names if name not in types}
    cast = {name: _cast(whole, name, kind) for name, kind in types.items()}
    found: pd.DataFrame = pa.table(cast).to_pandas(types_mapper=_PANDAS.get)
    return found


def _cast(whole: Any, name: str, kind: Any) -> Any:
    """A column of the table as what it shall be; null throughout where the table has none."""
    if name not in whole.column_names:
        return pa.nulls(whole.num_rows, kind)
    column = whole[name]
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), None, column)
    return column.cast(kind)
