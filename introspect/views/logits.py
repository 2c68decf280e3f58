"""The logit view: how much heads, biases and feed-forward layers add to a token's logit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from introspect.errors import SelectionError
from introspect.page import Section
from introspect.text import visible
from introspect.views.base import Drawing, plotly_text
from introspect.views.palette import DIVERGING, INK, themed

__all__ = ["LogitView", "logit_view"]

_COLUMNS = ("component", "kind", "layer", "head", "contribution")
_ATTRIBUTES = ("logit", "token", "against", "position", "at")
_CELL = (50, 34)


@dataclass(frozen=True, eq=False, repr=False)
class LogitView(Drawing):
    """Contributions to a logit: heads as a map, the rest as a list.

    Args:
        table: the table from ``direct_logit_attribution``.
    """

    table: pd.DataFrame

    @property
    def title(self) -> str:
        """The title of the view."""
        return "What each part adds to the logit"

    @property
    def heading(self) -> str:
        """The logit that is decomposed."""
        return self.of

    @property
    def made_by(self) -> tuple[str | None, str | None]:
        """The model and its revision."""
        return self.table.attrs.get("model"), self.table.attrs.get("revision")

    @property
    def of(self) -> str:
        """The logit that is decomposed, in words."""
        given = self.table.attrs
        against = "" if given["against"] is None else f" − logit of {visible(given['against'])}"
        return (
            f"logit of {visible(given['token'])}{against}, at {visible(given['at'])} (token "
            f"{given['position']})"
        )

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of attention of the heads."""
        return tuple(dict.fromkeys(self._heads["kind"]))

    @property
    def _heads(self) -> pd.DataFrame:
        return self.table[self.table["head"].notna()]

    def grid(self, kind: str) -> tuple[list[int], list[list[float]]]:
        """Return the layers and the contributions of their heads."""
        heads = self._heads[self._heads["kind"] == kind]
        layers = [int(layer) for layer in heads["layer"].unique()]
        rows = [heads.loc[heads["layer"] == layer, "contribution"].tolist() for layer in layers]
        return layers, rows

    @property
    def figure(self) -> Any:
        """The heads of the first kind; blue favors the token, orange the other."""
        import plotly.graph_objects as go

        layers, rows = self.grid(self.kinds[0])
        most = max((abs(value) for row in rows for value in row), default=0) or 1.0
        width, height = _CELL
        figure = go.Figure(
            go.Heatmap(
                z=rows,
                zmin=-most,
                zmax=most,
                colorscale=DIVERGING,
                colorbar={"title": {"text": "logits"}},
                xgap=2,
                ygap=2,
            )
        )
        figure.update_layout(
            template="plotly_white",
            title={"text": plotly_text(self.of), "x": 0, "xref": "paper"},
            width=width * len(rows[0]) + 240,
            height=height * len(layers) + 150,
            font={"color": INK},
            xaxis={
                "tickvals": list(range(len(rows[0]))),
                "ticktext": [f"H{head}" for head in range(len(rows[0]))],
            },
            yaxis={
                "autorange": "reversed",
                "tickvals": list(range(len(layers))),
                "ticktext": [f"L{layer}" for layer in layers],
            },
        )
        return figure

    def sections(self) -> tuple[Section, ...]:
        """Return the section of the page."""
        rest = self.table[self.table["head"].isna()]
        maps = {}
        for kind in self.kinds:
            layers, rows = self.grid(kind)
            values = [[round(value, 6) for value in row] for row in rows]
            maps[kind] = {"layers": layers, "values": values}
        return (
            Section(
                kind="logits",
                title=self.title,
                lead=(
                    f"Divided is the {self.of}. Blue heads say the token, orange ones speak "
                    "against it; all parts together are the model’s own number. It is what each "
                    "says by itself, not what later layers make of it: for that, switch it off."
                ),
                state={
                    "of": self.of,
                    "logit": round(float(self.table.attrs["logit"]), 6),
                    "maps": maps,
                    "rest": [
                        [name, round(value, 6)]
                        for name, value in zip(
                            rest["component"], rest["contribution"].tolist(), strict=True
                        )
                    ],
                    "scale": themed(DIVERGING),
                },
            ),
        )

    def __repr__(self) -> str:
        return f"<LogitView: {self.of}, {len(self.table)} parts>"


def logit_view(table: pd.DataFrame) -> LogitView:
    """Build a map and a list of what each head, bias and feed-forward layer adds to a logit.

    Args:
        table: the unchanged table from ``ix.direct_logit_attribution``.

    Raises:
        SelectionError: the table is a different one.

    Example:
        >>> found = direct_logit_attribution(model, text, token=" it")     # doctest: +SKIP
        >>> logit_view(found).save("logit.html")                          # doctest: +SKIP
    """
    missing = [name for name in _COLUMNS if name not in table]
    missing += [name for name in _ATTRIBUTES if name not in table.attrs]
    if missing or not len(table):
        raise SelectionError(
            "Expected the table of ix.direct_logit_attribution as it came, with its `attrs`, but "
            f"{', '.join(missing) or 'every row'} is missing. Filter a copy, and give the whole."
        )
    return LogitView(table)
