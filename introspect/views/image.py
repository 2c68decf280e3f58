"""The image view: a picture overlaid with the attention of one of its patches."""

from __future__ import annotations

import base64
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from introspect.calls import checked_call, checked_result
from introspect.errors import InputError, SelectionError
from introspect.page import Document, Section
from introspect.records import AttentionRecord, HeadLike, PatchGrid
from introspect.text import decimal, quantity, visible
from introspect.views.base import View, plotly_text
from introspect.views.given import head_number, layer_row, named_head, shown_record
from introspect.views.palette import ACCENT, INK, mixed
from introspect.views.plotly_numbers import weight_bar

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

#: Opacity of the largest weight on a patch, so that the picture shows through.
OPACITY = 0.88
#: Opacity of the picture beneath, in gray so that its colors are not mistaken for weights.
PICTURE_OPACITY = 0.55

_SIDES = ("query", "key")
_FIGURE_WIDTH = 520
# Two decimals would tell too little of smaller weights.
_SMALL = 0.1
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


@checked_result
@dataclass(frozen=True, eq=False, repr=False)
class ImageView(View):
    """A picture overlaid with the attention of one of its patches.

    Args:
        record: the attention between the patches; its grid gives their positions.
        picture: the model's input picture, ``(height, width, 3)`` of uint8.
        layer: the layer shown first, in the model's own numbering.
        head: the head shown first, or ``None`` for the mean of all heads.
        token: the index of the token whose attention is shown first.
        side: ``query`` to show what it attends to, ``key`` for what attends to it.
        pinned: whether the token stays selected when the pointer moves.
    """

    picture: npt.NDArray[np.uint8]
    layer: int
    head: int | None
    token: int
    side: str = "query"
    pinned: bool = False

    @property
    def title(self) -> str:
        """The title of the view."""
        return "Image view"

    def add_instrument(self, document: Document) -> None:
        """Add nothing: the picture stands in place of the words."""

    @property
    def grid(self) -> PatchGrid:
        """The positions of the patches."""
        assert self.record.grid is not None
        return self.record.grid

    def weights(self) -> torch.Tensor:
        """Return the chosen token's weights to each token, or from each, ``(num_tokens,)``."""
        pattern = self.record.attentions[layer_row(self.record, self.layer)].double()
        mean = pattern.mean(0) if self.head is None else pattern[self.head]
        return mean[self.token] if self.side == "query" else mean[:, self.token]

    def overlay(self) -> torch.Tensor:
        """Return the weights of the picture's patches, ``(rows, columns)``."""
        grid = self.grid
        return self.weights()[grid.first : grid.first + len(grid)].reshape(grid.rows, grid.columns)

    @property
    def figure(self) -> Figure:
        """The gray picture overlaid with the weights, as a plain Plotly figure in patch units."""
        import plotly.graph_objects as go

        grid = self.grid
        figure = go.Figure(go.Heatmap(**self._heatmap()))
        height, width = self.picture.shape[:2]
        figure.add_layout_image(
            source=_data_url(_grey(self.picture)),
            opacity=PICTURE_OPACITY,
            xref="x",
            yref="y",
            x=-0.5,
            y=-0.5,
            sizex=grid.columns,
            sizey=grid.rows,
            sizing="stretch",
            layer="below",
        )
        figure.update_layout(
            template="plotly_white",
            title=self._caption(),
            width=_FIGURE_WIDTH + 100,
            height=round(_FIGURE_WIDTH * height / width) + 80,
            margin={"l": 10, "r": 90, "t": 60, "b": 20},
            font={"color": INK},
            xaxis={"visible": False, "range": [-0.5, grid.columns - 0.5]},
            yaxis={"visible": False, "range": [grid.rows - 0.5, -0.5]},
            shapes=self._outline(),
        )
        return figure

    def _heatmap(self) -> dict[str, Any]:
        largest = _largest(self.overlay())
        return {
            "z": self.overlay().tolist(),
            "zmin": 0,
            "zmax": largest or 1,
            "colorscale": [[0, mixed(ACCENT, 0)], [1, mixed(ACCENT, OPACITY)]],
            "text": [
                [self._words(row, column, weight) for column, weight in enumerate(line)]
                for row, line in enumerate(self.overlay().tolist())
            ],
            "hovertemplate": "%{text}<extra></extra>",
            "colorbar": weight_bar(),
        }

    def _words(self, row: int, column: int, weight: float) -> str:
        label = visible(self.record.tokens[self.grid.index(row, column)])
        return plotly_text(f"{label}: {_precise(weight)}")

    def _caption(self) -> str:
        head = f"mean of {self.record.num_heads} heads" if self.head is None else f"H{self.head}"
        verb = "attends to" if self.side == "query" else "is attended by"
        token = plotly_text(visible(self.record.tokens[self.token]))
        return f"What {token} {verb} (layer {self.layer}, {head})"

    def _outline(self) -> list[dict[str, Any]]:
        """Draw a light and a dark frame around the chosen patch, visible on any picture."""
        place = self.token - self.grid.first
        if not 0 <= place < len(self.grid):
            return []
        row, column = divmod(place, self.grid.columns)
        corners = {"x0": column - 0.5, "x1": column + 0.5, "y0": row - 0.5, "y1": row + 0.5}
        return [
            {"type": "rect", **corners, "line": {"color": color, "width": width}}
            for color, width in (("#ffffff", 5), (INK, 2))
        ]

    def sections(self) -> tuple[Section, ...]:
        """Return the section of the page."""
        grid = self.grid
        height, width = self.picture.shape[:2]
        return (
            Section(
                kind="image",
                title=self.title,
                lead=(
                    "The picture as the model saw it, in gray. Point at a patch to see what it "
                    "attends to: the stronger the color, the larger the weight. Click to keep the "
                    "patch, then point at another one for the weight between the two."
                ),
                state={
                    "layer": self.layer,
                    "head": self.head,
                    "token": self.token,
                    "side": self.side,
                    "pinned": self.pinned,
                    "rows": grid.rows,
                    "columns": grid.columns,
                    "first": grid.first,
                    "picture": _data_url(self.picture),
                    "width": width,
                    "height": height,
                    "opacity": OPACITY,
                },
                record=self.record,
            ),
        )


@checked_call
def image_view(
    record: AttentionRecord,
    image: Any,
    *,
    layer: int | None = None,
    head: int | HeadLike | None = None,
    patch: tuple[int, int] | str | None = None,
    side: Literal["query", "key"] = "query",
) -> ImageView:
    """Build the image view of a record.

    Args:
        record: the attention over a picture, from ``VisionModel.capture``, or that of words and a
            picture among them, with its places (``record.with_picture``). A page holds all of it:
            for many patches, capture few ``layers``.
        image: the picture as the model saw it, ``model.picture(image)``: ``(height, width, 3)`` of
            uint8, or a PIL image of that size.
        layer: the layer to show first, in the model's own numbering; the last one by default.
        head: the head to show first, its number in ``layer`` or ``"L3H1"``; the mean of all by
            default.
        patch: the patch to pin first, ``(row, column)`` from the top left, or the label of a token
            outside the picture, such as ``"[CLS]"`` or a word; by default, one in the middle, not
            pinned.
        side: ``query`` to show what it attends to, ``key`` for what attends to it.

    Raises:
        InputError: the record is not of a picture, or the picture is not the size the model saw.
        SelectionError: the record does not have the layer, head or patch.

    Example:
        >>> record = model.capture("dog.jpg")                              # doctest: +SKIP
        >>> ix.image_view(record, model.picture("dog.jpg"), patch=(3, 5))  # doctest: +SKIP
    """
    record = shown_record(record, view="image_view")
    grid = _checked_grid(record)
    if side not in _SIDES:
        raise SelectionError(f"Expected `side` as query or key, got {side!r}.")
    layer, number = named_head(record, layer, head)
    layer = record.layers[-1] if layer is None else layer
    layer_row(record, layer)
    return ImageView(
        record=record,
        picture=_checked_picture(image, grid),
        layer=layer,
        head=None if number is None else head_number(record, number),
        token=_checked_token(record, grid, patch),
        side=side,
        pinned=patch is not None,
    )


def png(picture: npt.NDArray[np.uint8]) -> bytes:
    """Encode a picture as a PNG file of its pixels, without metadata.

    Args:
        picture: ``(height, width, 3)``.
    """
    height, width = picture.shape[:2]
    rows = np.zeros((height, 1 + 3 * width), np.uint8)  # each row starts with its filter: none
    rows[:, 1:] = picture.reshape(height, 3 * width)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b""))
    return _PNG_SIGNATURE + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _data_url(picture: npt.NDArray[np.uint8]) -> str:
    return f"data:image/png;base64,{base64.b64encode(png(picture)).decode('ascii')}"


def _grey(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Convert to gray with the ITU-R BT.709 weights of the primary colors, as browsers do."""
    grey = picture @ np.array([0.2126, 0.7152, 0.0722])
    return np.repeat(grey.round().astype(np.uint8)[..., None], 3, axis=2)


def _precise(weight: float) -> str:
    """Write a weight: a patch among hundreds gets little, so small ones keep more digits."""
    return quantity(weight) if 0 < weight < _SMALL else decimal(weight)


def _largest(weights: torch.Tensor) -> float:
    """Return the largest weight; 0 if all are missing."""
    return float(weights.nan_to_num(0.0).max())


def _checked_grid(record: AttentionRecord) -> PatchGrid:
    if record.grid is None or len(record.queries) != len(record.keys):
        raise InputError(
            "Expected the attention between the patches of a picture, got a record without a "
            "`grid`, or with other queries than keys. Capture it with VisionModel.capture, or say "
            "where the picture stands: record.with_picture(rows, columns, first=…)."
        )
    return record.grid


def _checked_picture(image: Any, grid: PatchGrid) -> npt.NDArray[np.uint8]:
    picture = np.asarray(image)
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
        raise InputError(
            f"Expected the picture as (height, width, 3) of uint8, got {picture.shape} of "
            f"{picture.dtype}. Give what model.picture(image) returns."
        )
    height, width = picture.shape[:2]
    patch = grid.patch or (height // grid.rows, width // grid.columns)
    expected = (grid.rows * patch[0], grid.columns * patch[1])
    if (height, width) != expected or 0 in expected:
        raise InputError(
            f"Expected the picture as the model saw it, {expected[0]} × {expected[1]} (height × "
            f"width), got {height} × {width}. Give what model.picture(image) returns."
        )
    return picture


def _checked_token(
    record: AttentionRecord, grid: PatchGrid, patch: tuple[int, int] | str | None
) -> int:
    """Return the index of the named token."""
    if patch is None:
        return grid.index(grid.rows // 2, grid.columns // 2)
    if isinstance(patch, str):
        if patch not in record.tokens:
            beside = [*record.tokens[: grid.first], *record.tokens[grid.first + len(grid) :]]
            raise SelectionError(
                f"Expected `patch` as a token of the record, got {patch!r}. Give (row, column)"
                f"{' or one of ' + ', '.join(beside) if beside else ''}."
            )
        return record.tokens.index(patch)
    row, column = patch
    if not (0 <= row < grid.rows and 0 <= column < grid.columns):
        raise SelectionError(
            f"Expected `patch` as (row, column) within {grid.rows} × {grid.columns}, got {patch}. "
            "Both count from 0 at the top left."
        )
    return grid.index(row, column)
