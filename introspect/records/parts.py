"""The parts of a capture: their names, shapes, what they need, and which stage gives them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

#: What gives a part: the attention module itself, its rotary embedding, its output projection, the
#: attention block as a sum over its keys, or a backward pass.
Stage = Literal["attention", "rotary", "projection", "block", "gradient"]

_PATTERN = ("num_heads", "query_len", "key_len")
_QUERIES = ("num_heads", "query_len")
_SHARED = ("num_key_value_heads", "key_len")
_BLOCK = ("1", "query_len", "key_len")
_WATCHED = "the attention interface, or the products around the softmax"
_RETURNED = "the attention interface, or a model that returns its attention"
_ROTARY = "the attention interface, and rotary embedding by a function of the model's file"
_SUM = "a block that is a sum over its keys; not for cross-attention"
_OF = "`of`: a number to differentiate; "
_HEADS = ("attentions", "values", "head_outputs")
_WEIGHTS = ("attentions",)


@dataclass(frozen=True)
class CapturePart:
    """One part of what a capture gives.

    Args:
        name: its name in ``include=`` and in ``record.parts``.
        axes: the axes of one layer in words. ``num_layers`` comes before them in a record, the
            batch in a layer of ``Captured``.
        stage: what gives it.
        needs: what a model or call must offer for it, in words.
        behind: the parts it is derived from.
        edited: whether an edit changes it before or after the model's own function runs;
            ``None`` if it cannot be edited.
    """

    name: str
    axes: tuple[str, ...]
    stage: Stage
    needs: str
    behind: tuple[str, ...] = ()
    edited: Literal["before", "after"] | None = None

    @property
    def shape(self) -> str:
        """Its shape in a record, in words: ``(num_layers, num_heads, query_len, key_len)``."""
        return f"({', '.join(('num_layers', *self.axes))})"

    @property
    def is_by_head(self) -> bool:
        """Return whether each head has its own; heads may share keys, or form a part together."""
        return self.axes[0] == "num_heads"

    def sizes(self, lengths: Mapping[str, int]) -> tuple[int, ...]:
        """Return its shape in a record, in numbers, from the length of each named axis."""
        known = {**lengths, "1": 1}
        return tuple(known[axis] for axis in ("num_layers", *self.axes))


#: Every part of a capture, once, in the order in which messages list them.
CAPTURE_PARTS = (
    CapturePart("attentions", _PATTERN, "attention", _RETURNED, edited="after"),
    CapturePart("scores", _PATTERN, "attention", _WATCHED),
    CapturePart("queries", (*_QUERIES, "head_dim"), "attention", _WATCHED, edited="before"),
    CapturePart("keys", (*_SHARED, "head_dim"), "attention", _WATCHED, edited="before"),
    CapturePart("values", (*_SHARED, "value_dim"), "attention", _WATCHED, edited="before"),
    CapturePart("head_outputs", (*_QUERIES, "value_dim"), "attention", _WATCHED, edited="after"),
    CapturePart("queries_before_rotary", (*_QUERIES, "head_dim"), "rotary", _ROTARY),
    CapturePart("keys_before_rotary", (*_SHARED, "head_dim"), "rotary", _ROTARY),
    CapturePart(
        "value_norms",
        ("num_heads", "key_len"),
        "projection",
        "a linear layer that takes the heads' outputs",
        behind=_HEADS,
    ),
    CapturePart("residual_norms", _BLOCK, "block", _SUM, behind=_HEADS),
    CapturePart("contributions", _BLOCK, "block", _SUM, behind=_HEADS),
    CapturePart(
        "gradients",
        _PATTERN,
        "gradient",
        f"{_OF}attention in the graph of the output",
        behind=_WEIGHTS,
    ),
    CapturePart(
        "integrated_gradients",
        _PATTERN,
        "gradient",
        f"{_OF}the attention interface; captum",
        behind=_WEIGHTS,
    ),
)
#: The same by name.
PARTS_BY_NAME = {part.name: part for part in CAPTURE_PARTS}


def names_of_parts(*stages: Stage) -> tuple[str, ...]:
    """Return the names of the parts that these stages give, in the order of the table."""
    return tuple(part.name for part in CAPTURE_PARTS if part.stage in stages)


def names_of_editable(*when: Literal["before", "after"]) -> tuple[str, ...]:
    """Return the names of the parts that edits change before or after the model's function."""
    return tuple(part.name for time in when for part in CAPTURE_PARTS if part.edited == time)
