"""The table of the causal view: of a result, as it is, or as ``introspect causal`` saved it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from introspect.calls import kind_of_thing
from introspect.errors import InputError, SelectionError

#: Required columns of the table; it may have more.
CAUSAL_COLUMNS = (
    "layer", "head", "effect", "ci_low", "ci_high", "control", "difference", "difference_low",
    "difference_high", "p_adjusted", "verdict", "accuracy", "accuracy_without", "n",
    "attention_accuracy", "attention_weight", "attention_margin", "attention_p_adjusted",
    "attention_ratio", "attends",
)  # fmt: skip
#: Required keys of the table's ``attrs``.
CAUSAL_ATTRIBUTES = (
    "metric",
    "metric_words",
    "unit",
    "is_surrogate",
    "method",
    "chance",
    "smallest_effect",
)
_TABLE, _SUMMARY = "effects.csv", "summary.json"


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
    return table


def _saved(path: Path) -> pd.DataFrame:
    """Read the table of a run; how it was measured stands in the summary beside it."""
    file = path / _TABLE if path.is_dir() else path
    try:
        summary: dict[str, Any] = json.loads(file.with_name(_SUMMARY).read_text(encoding="utf-8"))
        is_parquet = file.suffix == ".parquet"
        table = pd.read_parquet(file) if is_parquet else pd.read_csv(file)
        table.attrs = {name: summary[name] for name in (*CAUSAL_ATTRIBUTES, "model")}
    except (OSError, ValueError, KeyError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else error
        raise InputError(
            f"Expected the folder of `introspect causal`, or the {_TABLE} in it with {_SUMMARY} "
            f"beside it, but {str(path)!r} cannot be read as one: {reason}."
        ) from error
    return table
