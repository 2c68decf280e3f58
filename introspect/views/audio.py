"""The sound view: a waveform with the attention of a word, or of a moment, behind it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from introspect.calls import checked_call, checked_result
from introspect.errors import InputError, SelectionError
from introspect.functional import merge_pieces
from introspect.page import LARGEST_DENSE, Choice, Document, Section
from introspect.records import AttentionRecord, AudioFrames, HeadLike, TokenLike, as_token
from introspect.text import decimal, quantity, visible, whole
from introspect.views.base import View, plotly_text
from introspect.views.given import (
    head_number,
    instrument,
    layer_row,
    named_head,
    shown_record,
)
from introspect.views.palette import ACCENT, INK, mixed
from introspect.views.plotly_numbers import NUMBER_TICKS, weight_bar

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

#: Opacity of the largest weight of a frame, so that the waveform shows on it.
OPACITY = 0.8

_FIGURE_SIZE = (900, 320)
# How much of the figure's height the loudest sample takes up, up and down.
_LOUDEST = 0.4
# The waveform is drawn of about so many columns.
_FINEST = 800
# Two decimals would tell too little of smaller weights.
_SMALL = 0.1


@checked_result
@dataclass(frozen=True, eq=False, repr=False)
class AudioView(View):
    """A waveform with the attention of a word, or of a moment, behind it.

    Args:
        record: the attention to the frames of a sound; its padding is one key.
        low: the least sample of each part of a frame, all of the same number of parts.
        high: the greatest sample of each.
        layer: the layer shown first, in the model's own numbering.
        head: the head shown first.
        token: the index of the word or frame whose attention is shown first.
        moment: the frame that is chosen first among those attended to, if any.
    """

    low: npt.NDArray[np.float32]
    high: npt.NDArray[np.float32]
    layer: int
    head: int
    token: int
    moment: int | None = None

    @property
    def title(self) -> str:
        """The title of the view."""
        return "Sound view"

    @property
    def heading(self) -> str:
        """Return what the model writes; of one that writes nothing, the length of the sound."""
        length = f"{decimal(self.frames.seconds)} s of sound"
        return length if _is_self(self.record) else " ".join(self.record.queries.texts)

    def add_instrument(self, document: Document) -> None:
        """Add nothing: the waveform stands in place of the words."""

    @property
    def frames(self) -> AudioFrames:
        """The times of the frames."""
        assert self.record.frames is not None
        return self.record.frames

    def weights(self) -> npt.NDArray[np.float64]:
        """Return what the chosen word or frame gives each key: the frames, then the padding."""
        row = self.record.attentions[layer_row(self.record, self.layer), self.head, self.token]
        weights: npt.NDArray[np.float64] = row.double().numpy()
        return weights

    @property
    def figure(self) -> Figure:
        """The waveform before the weights of its frames, as a plain Plotly figure in seconds."""
        import plotly.graph_objects as go

        frames, step = self.frames, self.frames.start(1)
        weights = self.weights()[: len(frames)].tolist()
        width, height = _FIGURE_SIZE
        return go.Figure(
            [
                go.Heatmap(
                    x=[(frame + 0.5) * step for frame in range(len(frames))],
                    y=[0],
                    z=[weights],
                    zmin=0,
                    zmax=float(np.nan_to_num(np.asarray(weights)).max()) or 1,
                    colorscale=[[0, mixed(ACCENT, 0)], [1, mixed(ACCENT, OPACITY)]],
                    text=[[self._words(frame, share) for frame, share in enumerate(weights)]],
                    hovertemplate="%{text}<extra></extra>",
                    colorbar=weight_bar(),
                ),
                go.Scatter(**self._line(step)),
            ],
            {
                "template": "plotly_white",
                "title": self._caption(),
                "width": width,
                "height": height,
                "margin": {"l": 30, "r": 100, "t": 60, "b": 60},
                "font": {"color": INK},
                "showlegend": False,
                "xaxis": {
                    "title": "seconds",
                    "range": [0, len(frames) * step],
                    "showgrid": False,
                    "zeroline": False,
                }
                | NUMBER_TICKS,
                "yaxis": {"visible": False, "range": [-0.5, 0.5]},
            },
        )

    def _line(self, step: float) -> dict[str, Any]:
        peak = max(float(self.high.max()), -float(self.low.min())) or 1.0
        places = (np.arange(len(self.low)) + 0.5) * (len(self.frames) * step / len(self.low))
        heights = np.stack([self.high, self.low], 1).reshape(-1) * (_LOUDEST / peak)
        return {
            "mode": "lines",
            "x": places.repeat(2).tolist(),
            "y": heights.tolist(),
            "line": {"color": INK, "width": 1},
            "hoverinfo": "skip",
        }

    def _words(self, frame: int, share: float) -> str:
        return plotly_text(f"{self.record.tokens[frame]}: {_precise(share)}")

    def _caption(self) -> str:
        token = visible(self.record.queries.tokens[self.token])
        rest = self.weights()[len(self.frames) :]
        padding = f"; to the padding {_precise(float(rest[0]))}" if len(rest) else ""
        name = token if _is_self(self.record) else f"“{token}”"
        return plotly_text(f"What {name} attends to (L{self.layer}H{self.head}){padding}")

    def sections(self) -> tuple[Section, ...]:
        """Return the section of the page."""
        who = "moment" if _is_self(self.record) else "word"
        choose = "a moment of the sound" if who == "moment" else "a word"
        padding = len(self.record.keys) > len(self.frames)
        also = " What goes to the padding after the sound stands at its side." if padding else ""
        frames = self.frames
        return (
            Section(
                kind="audio",
                title=self.title,
                lead=(
                    f"Choose {choose}: behind the waveform stands what the {who} attends to, the "
                    f"stronger the color, the larger the weight.{also}"
                ),
                state={
                    "first": {
                        "row": layer_row(self.record, self.layer),
                        "head": self.head,
                        "query": self.token,
                        "key": self.moment,
                        "granularity": "token",
                    },
                    "isSelf": _is_self(self.record),
                    "count": len(frames),
                    "step": frames.start(1),
                    "padding": padding,
                    "labels": list(self.record.tokens[: len(frames)]),
                    "low": [round(float(each), 4) for each in self.low],
                    "high": [round(float(each), 4) for each in self.high],
                    "opacity": OPACITY,
                },
                record=self.record,
            ),
        )


@checked_call
def audio_view(
    record: AttentionRecord,
    waveform: Any,
    *,
    layer: int | None = None,
    head: int | HeadLike | None = None,
    token: TokenLike | None = None,
    at: float | None = None,
) -> AudioView:
    """Build the sound view of a record.

    Args:
        record: the attention to the frames of a sound, from ``AudioModel.capture``: ``cross``
            shows what each word attends to in it, ``self`` and ``encoder`` what each moment does. A
            page holds all of it: for a long sound, capture few ``layers``.
        waveform: the sound as the model read it, ``model.waveform(audio)``: ``(num_samples,)``.
        layer: the layer to show first, in the model's own numbering.
        head: the head to show first, its number in ``layer`` or ``"L3H1"``; by default the one
            that gives a frame most.
        token: of ``cross`` attention, the word to show first: its index, ``"it"`` or ``"it#2"``;
            by default the last one, or of a chosen head or time the one that gives most.
        at: a time in seconds: of ``cross`` attention, of the moment to choose first; otherwise of
            the moment that attends, by default in the middle.

    Raises:
        InputError: the record is not of a sound, or the waveform is not the sound that it is of.
        SelectionError: the record does not have the layer, head, word or time, or is too large.

    Example:
        >>> record = model.capture("speech.wav", target="It slept.")        # doctest: +SKIP
        >>> ix.audio_view(record, model.waveform("speech.wav"), token="It")  # doctest: +SKIP
    """
    record = shown_record(record, view="audio_view")
    frames = _checked_frames(record)
    low, high = _envelope(_checked_waveform(waveform, frames), frames)
    shown = _with_one_padding(record)
    _check_size(shown)
    layer, number = named_head(shown, layer, head)
    if layer is not None:
        layer_row(shown, layer)
    query = _checked_query(shown, frames, token, at)
    choice = Choice(
        layer=layer,
        head=None if number is None else head_number(shown, number),
        query=query,
        key=None if at is None or _is_self(shown) else frames.at(at),
    )
    first = instrument(shown, choice)
    assert first.layer is not None
    assert first.head is not None
    return AudioView(
        record=shown,
        low=low,
        high=high,
        layer=first.layer,
        head=first.head,
        token=first.query if query is None and first.query is not None else query or 0,
        moment=choice.key,
    )


def _is_self(record: AttentionRecord) -> bool:
    return record.kind != "cross"


def _checked_frames(record: AttentionRecord) -> AudioFrames:
    if record.frames is None:
        raise InputError(
            "Expected attention to the frames of a sound, got a record without `frames`. Capture "
            "it with AudioModel.capture; decoder attention is to words, and shown by the other "
            "views."
        )
    return record.frames


def _checked_waveform(given: Any, frames: AudioFrames) -> npt.NDArray[np.float32]:
    waveform = np.asarray(given)
    if waveform.ndim != 1 or waveform.dtype.kind != "f":
        raise InputError(
            f"Expected the sound as (num_samples,) of floats, got {waveform.shape} of "
            f"{waveform.dtype}. Give what model.waveform(audio) returns."
        )
    if len(waveform) != frames.samples:
        raise InputError(
            f"Expected the sound that was captured, of {whole(frames.samples)} samples, got "
            f"{whole(len(waveform))}. Give what model.waveform(audio) returns."
        )
    if not np.isfinite(waveform).all():
        raise InputError("Expected a number in every sample of the sound, got others.")
    return waveform.astype(np.float32)


def _envelope(
    waveform: npt.NDArray[np.float32], frames: AudioFrames
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return the least and the greatest sample of each part of a frame, as many as are seen."""
    parts = min(frames.step, max(1, _FINEST // len(frames)))
    ends = np.arange(len(frames) * parts + 1) * frames.step // parts
    spans = [slice(start, max(stop, start + 1)) for start, stop in pairwise(ends.tolist())]
    # The last frame may go on after the sound.
    shown = np.pad(waveform, (0, max(0, int(ends[-1]) - len(waveform))))
    return (
        np.array([shown[span].min() for span in spans]),
        np.array([shown[span].max() for span in spans]),
    )


def _check_size(record: AttentionRecord) -> None:
    if (count := record.attentions.numel()) > LARGEST_DENSE:
        fewer = "Show some of its layers: record.only([…])" if record.num_layers > 1 else "Cut it"
        raise SelectionError(
            f"Expected a sound whose weights a page can hold, {whole(LARGEST_DENSE)} at most, got "
            f"{whole(count)}. {fewer}."
        )


def _with_one_padding(record: AttentionRecord) -> AttentionRecord:
    """Return a record in which the padding is one key, and one query of those that are frames."""
    if record.kind != "cross":
        return record.words()
    pieces = [[index] for index in range(len(record.queries))], record.keys.pieces()
    seen = record.visible
    return replace(
        record,
        parts={},
        attentions=merge_pieces(record.attentions, *pieces),
        visible=None if seen is None else merge_pieces(seen.float(), *pieces) > 0,
        keys=record.keys.at_word_level(),
    )


def _checked_query(
    record: AttentionRecord, frames: AudioFrames, token: TokenLike | None, at: float | None
) -> int | None:
    if not _is_self(record):
        return None if token is None else as_token(record.queries, token)
    if token is not None:
        raise SelectionError(
            f"Expected `at` in seconds for a sound that attends to itself, got token={token!r}."
        )
    return len(frames) // 2 if at is None else frames.at(at)


def _precise(weight: float) -> str:
    """Write a weight: a frame among hundreds gets little, so small ones keep more digits."""
    return quantity(weight) if 0 < weight < _SMALL else decimal(weight)
