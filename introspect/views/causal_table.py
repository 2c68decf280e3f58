"""The table of the causal view: of a result, as it is, or as ``introspect causal`` saved it."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import pyarrow as pa
from pandas.api.types import is_bool_dtype, is_complex_dtype, is_numeric_dtype

from introspect.calls import kind_of_thing
from introspect.errors import InputError, SelectionError
from introspect.io import object_from, regular
from introspect.text import listed

#: Required columns of the table; it may have more.
CAUSAL_COLUMNS = (
    "layer", "head", "effect", "ci_low", "ci_high", "control", "difference", "difference_low",
    "difference_high", "p_adjusted", "verdict", "accuracy", "accuracy_without", "n",
    "attention_accuracy", "attention_weight", "attention_margin", "attention_p_adjusted",
    "attention_ratio", "attends",
)  # fmt: skip
#: Required keys of the table's ``attrs``.
CAUSAL_ATTRIBUTES = (
    "metric", "metric_words", "unit", "is_surrogate", "method", "chance", "smallest_effect",
)  # fmt: skip
_TABLE, _SUMMARY = "effects.csv", "summary.json"
#: The methods of ablation, and what each does, in words.
CAUSAL_METHODS = {
    "zero": "each head’s output set to zero",
    "mean": "each head’s output replaced by its mean over other texts",
    "uniform": "each head made to attend equally to all that the mask allows",
    "resample": "each head’s output taken from another text",
}
_ATTRIBUTE_TYPES: Mapping[str, Any] = {
    "metric": str, "metric_words": str, "unit": str, "is_surrogate": bool | np.bool_,
    "method": str, "chance": int | float, "smallest_effect": int | float, "model": str | None,
}  # fmt: skip
#: The verdicts of an effect.
FOUND = ("supports", "opposes", "depends on the method")
_NO_NUMBERS: Mapping[str, tuple[Any, ...]] = {
    "verdict": (*FOUND, "no evidence", "no verdict"),
    "attends": (True, False),
}
# A figure has a place for each head up to the last.
_MOST = 9_999
_LARGEST = 2**53


class HasHeads(Protocol):
    """A result with a table of heads, such as a causal study."""

    @property
    def heads(self) -> pd.DataFrame:
        """One row per head."""
        ...


def causal_table(study: pd.DataFrame | HasHeads | str | os.PathLike[str]) -> pd.DataFrame:
    """Return a table with ``CAUSAL_COLUMNS`` and, in its ``attrs``, how it was measured.

    Args:
        study: a result, its table, the folder of ``introspect causal``, or the table in that.

    Raises:
        SelectionError: there are no heads, or a column or attribute is missing.
        InputError: the folder is not that of a causal run.
    """
    if isinstance(study, str | os.PathLike):
        table = _saved(Path(study))
    else:
        table = study if isinstance(study, pd.DataFrame) else getattr(study, "heads", None)
    if not isinstance(table, pd.DataFrame):
        raise SelectionError(
            f"Expected a causal study, its table or its folder, got {kind_of_thing(study)}. Make "
            "one with ix.causal_study(model, cases)."
        )
    if missing := [name for name in CAUSAL_COLUMNS if name not in table]:
        raise SelectionError(
            f"Expected a table with the columns of ix.causal_study(…).heads, but "
            f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing. Take that table."
        )
    if unsaid := [name for name in CAUSAL_ATTRIBUTES if name not in table.attrs]:
        raise SelectionError(
            f"Expected `attrs` of the table that say how it was measured, but {', '.join(unsaid)} "
            f"{'is' if len(unsaid) == 1 else 'are'} missing: some ways to change a table drop "
            "them. Copy them from ix.causal_study(…).heads.attrs, or give the folder of the run."
        )
    if table.empty:
        raise SelectionError("Expected at least one head in the table, got none.")
    if wrong := _wrong_values(table) or _wrong_attribute(table.attrs):
        raise SelectionError(
            f"Expected the numbers of ix.causal_study(…).heads, but {wrong}. Take that table, or "
            "the folder of the run, as it is."
        )
    return table


def _wrong_values(table: pd.DataFrame) -> str:
    """Return what is wrong with the values of a table; empty if nothing is."""
    for name in CAUSAL_COLUMNS:
        column = table[name]
        if not isinstance(column, pd.Series):
            return f"there are {column.shape[1]} columns {name}"
        if name in _NO_NUMBERS:
            if not column.isin(_NO_NUMBERS[name]).all():
                return f"the column {name} holds something else than {_NO_NUMBERS[name]}"
            continue
        if not is_numeric_dtype(column) or is_bool_dtype(column) or is_complex_dtype(column):
            return f"the column {name} is of {column.dtype}"
        if np.isinf(column.to_numpy(float, na_value=np.nan)).any():
            return f"the column {name} holds an infinite number"
    for name, most in (("layer", _MOST), ("head", _MOST), ("n", _LARGEST)):
        values = table[name].to_numpy(float, na_value=np.nan)
        if not ((values >= 0) & (values <= most) & (values == np.floor(values))).all():
            return f"the column {name} holds something else than whole numbers from 0 to {most}"
    if table.duplicated(["layer", "head"]).any():
        return "a head is there twice"
    return "no effect is a number" if table["effect"].isna().all() else ""


def _wrong_attribute(attrs: Mapping[Any, Any]) -> str:
    """Return what is wrong with how a table says that it was measured; empty if nothing is."""
    for name, kind in _ATTRIBUTE_TYPES.items():
        value = attrs.get(name)
        is_truth = isinstance(value, bool | np.bool_)
        if not isinstance(value, kind) or is_truth != (name == "is_surrogate"):
            return f"its {name} is {value!r:.60}"
    for name in ("chance", "smallest_effect"):
        if not math.isfinite(attrs[name]):
            return f"its {name} is {attrs[name]}"
    known = attrs["method"] in CAUSAL_METHODS
    return "" if known else f"its method is {attrs['method']!r:.60}, not {listed(CAUSAL_METHODS)}"


def _saved(path: Path) -> pd.DataFrame:
    """Read the table of a run; how it was measured stands in the summary beside it."""
    file = path / _TABLE if path.is_dir() else path
    try:
        summary = object_from(Path(regular(file.with_name(_SUMMARY))).read_text(encoding="utf-8"))
        regular(file)
        is_parquet = file.suffix == ".parquet"
        table = pd.read_parquet(file) if is_parquet else pd.read_csv(file)
        table.attrs = {name: summary[name] for name in (*CAUSAL_ATTRIBUTES, "model")}
    # pyarrow has errors of its own for what is not in the file or of no type that it knows.
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else error
        raise InputError(
            f"Expected the folder of `introspect causal`, or the {_TABLE} in it with {_SUMMARY} "
            f"beside it, but {str(path)!r} cannot be read as one: {reason}."
        ) from error
    return table
