"""The causal view: each head's attention plotted against its effect, and a map of effects."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from introspect.calls import checked_call, checked_result
from introspect.errors import SelectionError
from introspect.page import Section
from introspect.records import Head
from introspect.text import counted, interval, p_cell, quantity, whole
from introspect.views.base import Drawing, layers_of, map_of
from introspect.views.causal_figure import ACROSS, causal_figure, unit_of
from introspect.views.causal_table import CAUSAL_METHODS, FOUND, HasHeads, causal_table
from introspect.views.palette import DIVERGING, layer_colors, scale_partners
from introspect.views.pictures import (
    Picture,
    color_bar,
    described,
    head_map,
    picture_section,
)

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_LABELS = {"accuracy": "accuracy of its choice", "margin": "margin"}
_TITLE = "What heads attend to, and their effects"


@checked_result
@dataclass(frozen=True, eq=False, repr=False)
class CausalView(Drawing):
    """What heads attend to, plotted against the effect of ablating them on the model's answer.

    Args:
        table: one row per head, with ``CAUSAL_COLUMNS`` and, in its ``attrs``,
            ``CAUSAL_ATTRIBUTES``.
        across: what the x-axis shows first: ``accuracy`` or ``margin``.
    """

    table: pd.DataFrame
    across: str = "accuracy"

    @property
    def title(self) -> str:
        """The title of the view."""
        return "Causal view"

    @property
    def is_surrogate(self) -> bool:
        """Return whether the model was asked something other than whom the pronoun refers to."""
        return bool(self.table.attrs["is_surrogate"])

    @property
    def notices(self) -> tuple[str, ...]:
        """A notice if effects are on a surrogate, which must be read first."""
        if not self.is_surrogate:
            return ()
        return (f"Effects are on {self.table.attrs['metric_words']}.",)

    @property
    def made_by(self) -> tuple[str | None, str | None]:
        """The model, if the table names it."""
        return self.table.attrs.get("model"), None

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self.table)} heads>"

    @property
    def figure(self) -> Figure:
        """One point per head, with its interval and the control of its layer."""
        titles = (_TITLE, self.subtitle)
        return causal_figure(self.table, self.across, titles, self.effect_title)

    @property
    def subtitle(self) -> str:
        """One line on how the effects were measured."""
        attrs = self.table.attrs
        model = f"{attrs['model']}, " if attrs.get("model") else ""
        n = int(self.table["n"].max())
        words = "a surrogate, not the model’s answer" if self.is_surrogate else attrs["metric"]
        return f"{model}{counted(n, 'case')}; {CAUSAL_METHODS[attrs['method']]}; metric: {words}"

    @property
    def effect_title(self) -> str:
        """The title of the y-axis, with its unit."""
        surrogate = ", surrogate" if self.is_surrogate else ""
        return f"effect of ablating the head, in {unit_of(self.table)}{surrogate}"

    def sections(self) -> tuple[Section, ...]:
        """Return the scatter plot and the map of effects."""
        return self._scatter(), effect_map_section(self.table)

    def _scatter(self) -> Section:
        layers, _ = layers_of(self.table)
        colors = zip(layer_colors(len(layers)), layer_colors(len(layers), dark=True), strict=True)
        note = (
            f"{self.subtitle}. What a candidate gets is {self.table.attrs['metric_words']}; the "
            "preference is what the antecedent gets, less what the best distractor gets."
        )
        largest = _head_with_most(self.table["effect"], self.table)
        pictures = {
            across: Picture(
                replace(self, across=across).figure,
                label=label,
                first=largest,
                note=note,
            )
            for across, label in _LABELS.items()
        }
        return picture_section(
            "causal",
            _TITLE,
            "Each point is a head. Across: what it attends to. Upward: by how much the model’s "
            "preference for the antecedent falls when the head is ablated, with the 95% "
            "interval; the short line is the mean of the other heads of the same layer. Point at a "
            "head, or walk with the arrow keys, for its numbers.",
            pictures,
            file="causal-view",
            control=("across", "Across"),
            first=self.across,
            partners=dict(colors),
        )


@checked_call
def causal_view(
    study: pd.DataFrame | HasHeads | str | os.PathLike[str], *, across: str = "accuracy"
) -> CausalView:
    """Build the causal view: what heads attend to against their effects, and a map of effects.

    Args:
        study: the result of ``ix.causal_study``, its table ``heads`` (with its ``attrs``), the
            folder that ``introspect causal`` wrote, or the ``effects.csv`` in that folder.
        across: what the x-axis shows first: ``accuracy`` (how often the pronoun attends most to the
            antecedent) or ``margin``; the page offers both.

    Raises:
        SelectionError: there are no heads, a column or attribute is missing, or ``across`` is
            unknown.
        InputError: the folder is not that of a causal run.

    Example:
        >>> import introspect as ix
        >>> from introspect.data import grammar_cases
        >>> model = ix.load("pronoun", lm_head=True)
        >>> study = ix.causal_study(model, grammar_cases(10), share=None, minimal_pairs=False)
        >>> ix.causal_view(study)
        <CausalView: 8 heads>
    """
    if across not in ACROSS:
        raise SelectionError(f"Expected `across` from {', '.join(ACROSS)}, got {across!r}.")
    return CausalView(causal_table(study), across)


def effect_map_section(table: pd.DataFrame) -> Section:
    """Build the map of effects, layers × heads."""
    layers, num_heads = layers_of(table)
    columns = ["layer", "effect", "ci_low", "ci_high", "control", "p_adjusted", "n", "found"]
    marked = table.assign(found=table["verdict"].isin(FOUND).astype(float))
    values = map_of(marked, columns, layers, num_heads)
    effects = table["effect"].abs()
    most = float(effects.max()) or 1.0
    of = " (surrogate)" if table.attrs["is_surrogate"] else ""
    figure = head_map(
        values["effect"],
        layers,
        described(values, lambda at: _map_words(at, table.attrs)),
        title=f"Effect of ablating each head{of}",
        limits=(-most, most),
        scale=DIVERGING,
        bar=color_bar(f"{unit_of(table)}{of}"),
        framed=[
            (row, head)
            for row, line in enumerate(values["found"])
            for head, found in enumerate(line)
            if found == 1
        ],
    )
    surrogate = " It is an effect on a surrogate." if of else ""
    return picture_section(
        "effect-map",
        "The effect of every head",
        "Blue heads help to find the antecedent: without them the model prefers it less. "
        "Orange ones stand in the way. Framed heads have an effect (adjusted p below 0.05, and "
        f"at least 1% of the mean size of the margins).{surrogate}",
        {"effect": Picture(figure, first=_head_with_most(effects, table))},
        file="effects",
        partners=scale_partners(DIVERGING),
    )


def _head_with_most(values: pd.Series, table: pd.DataFrame) -> str:
    """Return the name of the head with the largest of the values."""
    row = values.idxmax()
    return str(Head(int(table.loc[row, "layer"]), int(table.loc[row, "head"])))


def _map_words(at: dict[str, Any], attrs: dict[Any, Any]) -> str:
    if at["effect"] is None:
        return "not measured"
    on = " on a surrogate" if attrs["is_surrogate"] else ""
    ends = interval(quantity(at["ci_low"]), quantity(at["ci_high"]))
    control, p = at["control"], at["p_adjusted"]
    others = ""
    if control is not None:
        others = (
            f", the other heads of layer {whole(at['layer'])}: {quantity(control)} {attrs['unit']}"
        )
    adjusted = "" if p is None else f", adjusted p {p_cell(p)}"
    effect = f"{quantity(at['effect'])} {attrs['unit']}"
    return f"effect{on} {effect}{ends}{others}{adjusted}, {counted(at['n'], 'case')}"
