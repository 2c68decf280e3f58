"""The playback view: a text as the model read or wrote it, one token after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from introspect.calls import checked_call, checked_result
from introspect.errors import SelectionError
from introspect.page import Choice, Section
from introspect.records import AttentionRecord, HeadLike, why_not_square
from introspect.text import counted, visible
from introspect.views.base import View
from introspect.views.given import head_number, layer_row, named_head, shown_record
from introspect.views.heatmap import axis_of, head_words, token_labels
from introspect.views.lens import lens_view
from introspect.views.palette import INK, SEQUENTIAL, themed
from introspect.views.plotly_numbers import cell_hover, weight_bar

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

#: For each token the likeliest next ones, with their probabilities.
Likeliest = tuple[tuple[tuple[str, float], ...], ...]

_MOST_LIKELY = 5
_CELL, _LABEL_ROOM = 26, 120


@checked_result
@dataclass(frozen=True, eq=False, repr=False)
class PlaybackView(View):
    """Tokens in the order in which they were read, each with its row over the text so far.

    Args:
        record: causal self-attention.
        layer: the layer shown first, by the model's own number.
        head: the number of the head shown first.
        begin: the index of the first token that is played; those before it are the prompt.
        likeliest: for each token the likeliest next ones; empty where they are not known.
    """

    layer: int
    head: int
    begin: int = 0
    likeliest: Likeliest = ()

    @property
    def title(self) -> str:
        """The title of the view."""
        return "Playback view"

    @property
    def choice(self) -> Choice:
        """The head, and the first token that is played."""
        return Choice(layer=self.layer, head=self.head, query=self.begin, granularity="token")

    @property
    def figure(self) -> Figure:
        """The rows of the tokens that are played, from top to bottom."""
        import plotly.graph_objects as go

        row = layer_row(self.record, self.layer)
        weights = self.record.attentions[row, self.head, self.begin :]
        rows, columns = weights.shape
        figure = go.Figure(
            go.Heatmap(
                z=weights.tolist(),
                zmin=0,
                zmax=1,
                colorscale=SEQUENTIAL,
                colorbar=weight_bar(),
                **cell_hover(weights),
            )
        )
        figure.update_layout(
            template="plotly_white",
            title={"text": head_words(self.record, self.layer, self.head), "x": 0, "xref": "paper"},
            width=max(columns * _CELL, 320) + _LABEL_ROOM + 110,
            height=max(rows * _CELL, 120) + _LABEL_ROOM + 80,
            margin={"l": _LABEL_ROOM, "r": 110, "t": _LABEL_ROOM + 60, "b": 20},
            font={"color": INK},
            xaxis=axis_of(token_labels(self.record.keys), title="key", is_key=True),
            yaxis=axis_of(
                token_labels(self.record.queries)[self.begin :], title="query", is_key=False
            ),
        )
        return figure

    def sections(self) -> tuple[Section, ...]:
        """Return the section of the page."""
        return (
            Section(
                kind="playback",
                title=self.title,
                lead=(
                    "The text as the model took it in: one token after the other, each with what "
                    "it gives the tokens so far. Press Play, move the slider, or choose a token."
                ),
                state={
                    "row": layer_row(self.record, self.layer),
                    "head": self.head,
                    "begin": self.begin,
                    "scale": themed(SEQUENTIAL),
                    "likeliest": [list(map(list, words)) for words in self.likeliest],
                },
                record=self.record,
                script="token-playback",
            ),
        )


@checked_call
def playback_view(
    record: AttentionRecord,
    *,
    prompt: str | None = None,
    layer: int | None = None,
    head: int | HeadLike | None = None,
    lens: pd.DataFrame | None = None,
) -> PlaybackView:
    """Build a view that plays a text token by token, as a causal model reads or writes it.

    Args:
        record: causal self-attention, all its rows; for a text that the model wrote itself,
            captured with ``generate=``.
        prompt: the text that was given, where the rest was written: playing begins at its last
            token, whose row led to the first one written. By default, at the first token.
        layer: the layer to show first, in the model's own numbering; the last one by default.
        head: the head to show first, its number in ``layer`` or ``"L3H1"``; head 0 by default.
        lens: the readings of ``ix.logit_lens`` for the whole text: those of its last layer are the
            model's own, and the five likeliest next tokens are shown beside each token.

    Raises:
        SelectionError: the attention is not causal, or of another text or some rows only; the text
            does not begin with the prompt; the readings are of another text; or there is no such
            layer or head.

    Example:
        >>> import torch
        >>> weights = torch.tensor([[1.0, 0.0], [0.5, 0.5]]).expand(1, 1, 2, 2)
        >>> playback_view(AttentionRecord.from_tensors(weights, ["a", "b"])).begin
        0
    """
    record = shown_record(record, view="playback_view")
    _check_causal(record)
    layer, number = named_head(record, layer, head)
    chosen = record.layers[-1] if layer is None else layer
    layer_row(record, chosen)
    return PlaybackView(
        record=record,
        layer=chosen,
        head=head_number(record, 0 if number is None else number),
        begin=0 if prompt is None else _end_of(record, prompt),
        likeliest=() if lens is None else _likeliest(record, lens),
    )


def _check_causal(record: AttentionRecord) -> None:
    """Raise a ``SelectionError`` unless each token attends to itself and those before it alone."""
    reason = why_not_square(record)
    if reason is None and float(record.attentions.triu(1).nan_to_num(0.0).max()) > 0:
        reason = "tokens attend to later ones"
    if reason:
        raise SelectionError(
            f"Expected attention of a text that is read from left to right, but {reason}. Capture "
            "a model with a causal mask, such as GPT-2."
        )


def _end_of(record: AttentionRecord, prompt: str) -> int:
    """Return the index of the last token of the prompt."""
    text = record.queries.texts[-1] if record.queries.texts else ""
    if not text.startswith(prompt):
        raise SelectionError(
            f"Expected `prompt` as the beginning of the text, got {prompt[:80]!r}. The text is "
            f"{text[:80]!r}."
        )
    end = len(prompt.rstrip())
    given = [
        index
        for index, (start, _) in enumerate(record.queries.offsets)
        if start < end or record.queries.special_tokens_mask[index]
    ]
    # Special tokens within the text that was written are none of the prompt's.
    last = 0
    for index in given:
        if index > last + 1:
            break
        last = index
    return last


def _likeliest(record: AttentionRecord, lens: pd.DataFrame) -> Likeliest:
    """Return what the last layer of the lens reads at each token.

    Raises:
        SelectionError: the table is not one of ``ix.logit_lens``, or of other tokens.
    """
    read = lens_view(lens)
    tokens = record.queries.tokens
    # The last token that was written was read by nobody, and has no row.
    if read.tokens[: len(tokens)] != tokens:
        raise SelectionError(
            f"Expected readings of the record's {counted(len(tokens), 'token')}, got readings of "
            f"{counted(len(read.tokens), 'token')}, which differ. Call ix.logit_lens with the "
            "whole text."
        )
    last = lens[lens["layer"] == read.layers[-1]]
    words: list[list[tuple[str, float]]] = [[] for _ in tokens]
    for row in last.itertuples():
        if row.position < len(tokens) and len(words[row.position]) < _MOST_LIKELY:
            words[row.position].append((visible(row.predicted), float(row.probability)))
    return tuple(map(tuple, words))
