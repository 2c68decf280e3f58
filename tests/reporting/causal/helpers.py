"""Studies with a given table of heads."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd

from introspect.reporting import finding_of_study
from introspect.studies.causal.followed import (
    DIRECT_COLUMNS,
    METHOD_COLUMNS,
    PAIR_COLUMNS,
    Followed,
)
from introspect.studies.causal.verdicts import ability_of
from tests.views.causal.helpers import ROWS, table_of

NAN = math.nan
COLUMNS = (METHOD_COLUMNS, PAIR_COLUMNS, DIRECT_COLUMNS)


def made(table=None, *, right=36, groups=20, choice_p=0.5, **others):
    """A study of 40 cases, of which the model has some right, with a given table of heads."""
    table = table_of() if table is None else table
    margins = np.where(np.arange(40) < right, 1.0, -1.0)
    answers = SimpleNamespace(
        groups=[str(number % groups) for number in range(40)],
        metric=SimpleNamespace(is_surrogate=table.attrs["is_surrogate"]),
        chance=0.5,
    )
    ability = ability_of(answers, margins)
    if not ability.is_above_chance:
        table = table.assign(verdict="no verdict")
    choice = SimpleNamespace(p_value=choice_p, accuracy=0.8, direction="candidate_to_pronoun")
    study = {
        "heads": table,
        "ability": ability,
        "followed": Followed((), *(pd.DataFrame(columns=list(c)) for c in COLUMNS)),
        "mediation_by_weights": None,
        "effects": SimpleNamespace(margins=margins, answers=answers),
        "scores": SimpleNamespace(choice=choice),
        "chosen": None,
        "smallest": None,
        "mediation": None,
        "correlation": NAN,
    }
    return SimpleNamespace(**study | others)


def rows_but(*heads):
    """The heads of ``ROWS`` but some."""
    return table_of([row for row in ROWS if row[:2] not in heads])


def headline(study) -> str:
    return finding_of_study(study).headline
