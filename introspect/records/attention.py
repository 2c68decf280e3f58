"""Attention weights of every captured layer and head for one text."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Literal, get_args

import torch

from introspect.errors import RecordError, SelectionError
from introspect.functional import merge_pieces
from introspect.io import write_atomically
from introspect.records.facts import Certificate, PatchGrid
from introspect.records.parts import PARTS_BY_NAME
from introspect.records.storage import packed, unpacked
from introspect.records.tokens import TokenSequence

#: Which tokens attend to which: those of one text, or of a side of an encoder-decoder.
Kind = Literal["self", "encoder", "decoder", "cross"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_AXES = ("num_layers", "num_heads", "query_len", "key_len")


@dataclass(frozen=True, eq=False)
class AttentionRecord:
    """Attention weights of every captured layer and head for one text.

    Args:
        attentions: ``(num_layers, num_heads, query_len, key_len)``, float32, on the CPU.
        queries: the tokens that attend.
        keys: the tokens attended to.
        kind: ``self``, or ``encoder``, ``decoder`` or ``cross`` of an encoder-decoder.
        layers: the model's own number of each row of ``attentions``.
        certificate: how it was captured.
        notices: what a reader must know first: truncated text, unknown characters.
        parts: other captured tensors, by name: ``scores`` shaped like the attentions, ``queries``,
            ``keys``, ``values`` and ``head_outputs``, ``(num_layers, heads, length, size)``,
            ``value_norms``, ``(num_layers, num_heads, key_len)``, ``residual_norms`` and
            ``contributions``, ``(num_layers, 1, query_len, key_len)``, and ``gradients`` and
            ``integrated_gradients``, shaped like the attentions.
        grid: the positions of the tokens in an image, for a vision model.

    Raises:
        RecordError: the shapes do not match.
    """

    attentions: torch.Tensor
    queries: TokenSequence
    keys: TokenSequence
    kind: Kind = "self"
    layers: tuple[int, ...] = ()
    certificate: Certificate = field(default_factory=lambda: Certificate(route="given tensors"))
    notices: tuple[str, ...] = ()
    parts: Mapping[str, torch.Tensor] = field(default_factory=lambda: MappingProxyType({}))
    grid: PatchGrid | None = None

    def __post_init__(self) -> None:
        shape = tuple(self.attentions.shape)
        if len(shape) != 4:
            raise RecordError(
                "Expected attentions of shape (num_layers, num_heads, query_len, key_len), "
                f"got {shape}. Stack the layers and take one item of the batch."
            )
        expected = (len(self.queries), len(self.keys))
        if shape[2:] != expected:
            raise RecordError(
                f"Expected attentions over {expected[0]} query and {expected[1]} key tokens, "
                f"got shape {shape}. Give the tokens that the model saw, special ones too."
            )
        if 0 in shape:
            raise RecordError(f"Expected at least one layer, head and token, got shape {shape}.")
        if self.kind not in KINDS:
            raise RecordError(f"Expected `kind` as one of {', '.join(KINDS)}, got {self.kind!r}.")
        layers = tuple(self.layers) or tuple(range(shape[0]))
        if len(layers) != shape[0]:
            raise RecordError(
                f"Expected `layers` to number each of the {shape[0]} layers, got {len(layers)}."
            )
        if self.grid is not None and not 0 < len(self.grid) <= len(self.keys) - self.grid.first:
            raise RecordError(
                f"Expected a grid of patches among the {len(self.keys)} key tokens, got "
                f"{self.grid.rows} × {self.grid.columns} from token {self.grid.first}."
            )
        for name, part in self.parts.items():
            _check_part(name, part, shape)
        parts = {name: _stored(part) for name, part in self.parts.items()}
        object.__setattr__(self, "parts", MappingProxyType(parts))
        object.__setattr__(self, "attentions", _stored(self.attentions))
        object.__setattr__(self, "layers", layers)

    def __repr__(self) -> str:
        # A short summary for notebooks; the numbers of a whole tensor would hide it.
        return f"<{type(self).__name__}: {self.extent}>"

    @property
    def extent(self) -> str:
        """Size in words: ``6 layers × 12 heads, 16 × 16 tokens``."""
        layers, heads, queries, keys = self.attentions.shape
        plural = ["" if number == 1 else "s" for number in (layers, heads)]
        return f"{layers} layer{plural[0]} × {heads} head{plural[1]}, {queries} × {keys} tokens"

    @property
    def tokens(self) -> tuple[str, ...]:
        """The key tokens."""
        return self.keys.tokens

    @property
    def num_layers(self) -> int:
        """Number of captured layers."""
        return self.attentions.shape[0]

    @property
    def num_heads(self) -> int:
        """Number of heads per layer."""
        return self.attentions.shape[1]

    def only(self, layers: Sequence[int]) -> AttentionRecord:
        """Return the record of some layers, by the model's own numbers, which they keep.

        Raises:
            SelectionError: the record has no such layer.
        """
        missing = sorted(set(layers) - set(self.layers))
        if missing or not layers:
            raise SelectionError(
                f"Expected `layers` among {', '.join(map(str, self.layers))}, got "
                f"{', '.join(map(str, missing)) or 'none'}."
            )
        rows = [self.layers.index(layer) for layer in layers]
        return replace(
            self,
            attentions=self.attentions[rows],
            layers=tuple(layers),
            parts={name: part[rows] for name, part in self.parts.items()},
        )

    def words(self) -> AttentionRecord:
        """Return the same record at word granularity.

        The weight from word to word is the sum over the target's pieces and the mean over the
        source's, so a row still sums to what it summed to before. A special token stays a unit of
        its own. Other parts belong to pieces, and are left out.
        """
        return replace(
            self,
            parts={},
            attentions=merge_pieces(self.attentions, self.queries.pieces(), self.keys.pieces()),
            queries=self.queries.at_word_level(),
            keys=self.keys.at_word_level(),
        )

    @classmethod
    def from_tensors(
        cls,
        attentions: torch.Tensor | Sequence[torch.Tensor],
        tokens: Sequence[str],
        *,
        query_tokens: Sequence[str] | None = None,
        kind: Kind = "self",
    ) -> AttentionRecord:
        """Build a record from any attention and its tokens, whatever their source.

        Args:
            attentions: one tensor, or a list over layers of ``(num_heads, query_len, key_len)``,
                with or without a batch dimension of 1 (as BertViz takes them).
            tokens: the key tokens.
            query_tokens: the query tokens, if they differ from the key tokens.
            kind: which attention it is: ``self``, ``encoder``, ``decoder`` or ``cross``.

        Raises:
            RecordError: the shapes do not fit the tokens.
        """
        layers = list(attentions)
        if not layers:
            raise RecordError("Expected at least one layer of attention, got an empty list.")
        squeezed = [a[0] if a.ndim == 4 and a.shape[0] == 1 else a for a in layers]
        shapes = {tuple(a.shape) for a in squeezed}
        if len(shapes) != 1 or len(next(iter(shapes))) != 3:
            raise RecordError(
                "Expected a list over layers of equal (num_heads, query_len, key_len), "
                f"got {sorted(tuple(a.shape) for a in layers)}. "
                "Take one item of the batch, and layers of one kind."
            )
        keys = TokenSequence(tokens=tuple(tokens))
        queries = keys if query_tokens is None else TokenSequence(tokens=tuple(query_tokens))
        return cls(attentions=torch.stack(squeezed), queries=queries, keys=keys, kind=kind)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the record as a safetensors file, from which ``load`` restores it exactly."""
        own = {part.name: getattr(self, part.name) for part in fields(self)}
        return write_atomically(path, packed(own))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> AttentionRecord:
        """Read what ``save`` wrote.

        Raises:
            RecordError: the file is not a saved record, or is damaged.
        """
        with unpacked(path) as own:
            return cls(**own)


def _check_part(name: str, part: torch.Tensor, shape: tuple[int, ...]) -> None:
    """Raise unless a part fits attentions of that shape."""
    known = PARTS_BY_NAME.get(name)
    # What an attention module computes may have more heads or keys than its pattern.
    if known is not None and known.stage != "attention":
        whole = known.sizes(dict(zip(_AXES, shape, strict=True)))
        fits, expected = tuple(part.shape) == whole, str(whole)
    else:
        fits = part.ndim == 4 and part.shape[0] == shape[0]
        expected = f"({shape[0]}, heads, length, size)"
    if not fits:
        raise RecordError(
            f"Expected the part {name!r} as {expected}, one for each layer, got "
            f"{tuple(part.shape)}."
        )


def _stored(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().to("cpu", torch.float32).contiguous()
