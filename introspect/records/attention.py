"""Attention weights of every captured layer and head for one text."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

from introspect.calls import checked_call, checked_class
from introspect.errors import RecordError, SelectionError
from introspect.functional import are_shares, assumed_mask, max_row_sum_error, merge_pieces
from introspect.io import save_file
from introspect.records.facts import AudioFrames, Certificate, PatchGrid
from introspect.records.given import Patterns, read_patterns
from introspect.records.given_tokens import read_tokens
from introspect.records.parts import PARTS_BY_NAME
from introspect.records.reading import notices_of_weights
from introspect.records.storage import packed, unpacked
from introspect.records.tokens import TokenSequence

#: Which tokens attend to which: those of one text, or of a side of an encoder-decoder.
#: Of a model with several towers it is named after one: ``vision``, ``text``, ``text-to-image`` ….
Kind = str
KINDS: tuple[Kind, ...] = ("self", "encoder", "decoder", "cross")
_TOWERS = re.compile(
    r"(text|vision|audio|speech|video|protein|multimodal|qformer|perceiver|backbone|high-res-vision)"
    r"(#\d+)?(-to-(text|image|audio|video|protein))?"
)


def is_kind(kind: object) -> bool:
    """Return whether this names a kind of attention: one of ``KINDS``, or that of a tower.

    Example:
        >>> [is_kind(name) for name in ("self", "vision", "text-to-image", "sideways")]
        [True, True, True, False]
    """
    return kind in KINDS or (isinstance(kind, str) and bool(_TOWERS.fullmatch(kind)))


_AXES = ("num_layers", "num_heads", "query_len", "key_len")


@checked_class
@dataclass(frozen=True, eq=False)
class AttentionRecord:
    """Attention weights of every captured layer and head for one text.

    Args:
        attentions: ``(num_layers, num_heads, query_len, key_len)``, float32, on the CPU.
        queries: the tokens that attend.
        keys: the tokens attended to.
        kind: ``self``, or ``encoder``, ``decoder`` or ``cross`` of an encoder-decoder; or the
            tower of a model with several, such as ``text``.
        layers: the model's own number of each row of ``attentions``.
        certificate: how it was captured.
        notices: what a reader must know first: truncated text, unknown characters.
        parts: other captured tensors, by name: ``scores`` shaped like the attentions, ``queries``,
            ``keys``, ``values``, ``head_outputs``, ``queries_before_rotary`` and
            ``keys_before_rotary``, ``(num_layers, heads, length, size)``, ``value_norms``,
            ``(num_layers, num_heads, key_len)``, ``residual_norms`` and ``contributions``,
            ``(num_layers, 1, query_len, key_len)``, and ``gradients`` and
            ``integrated_gradients``, shaped like the attentions.
        grid: the positions of the tokens in an image, for a vision model.
        frames: the times of the keys in a waveform, for a model of sound.
        visible: which keys the model's mask lets each query see, ``(num_layers, query_len,
            key_len)``, bool; ``None`` where the mask is not known.

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
    visible: torch.Tensor | None = None
    frames: AudioFrames | None = None

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
                f"got shape {shape}, {shape[2]} queries and {shape[3]} keys. Give the tokens that "
                "the model saw, special ones too."
            )
        if 0 in shape:
            raise RecordError(f"Expected at least one layer, head and token, got shape {shape}.")
        if not is_kind(self.kind):
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
        if self.frames is not None:
            _check_frames(self.frames, len(self.keys))
        if self.visible is not None:
            object.__setattr__(self, "visible", _mask(self.visible, (shape[0], *shape[2:])))
        for name, part in self.parts.items():
            _check_part(name, part, shape)
        parts = {name: _stored(part) for name, part in self.parts.items()}
        object.__setattr__(self, "parts", MappingProxyType(parts))
        object.__setattr__(self, "attentions", _stored(self.attentions))
        object.__setattr__(self, "layers", layers)

    def __getstate__(self) -> dict[str, Any]:
        # A read-only view can be neither pickled nor copied.
        return {**vars(self), "parts": dict(self.parts)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            object.__setattr__(self, name, value)
        object.__setattr__(self, "parts", MappingProxyType(self.parts))

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

    def seen(self) -> torch.Tensor:
        """Return which keys each query may see, ``(num_layers, query_len, key_len)``, bool.

        They are those of the model's mask where it is known. Otherwise the mask is taken for none,
        a causal one, one with a prefix, or a window, whichever the zeros of the patterns fit; see
        ``introspect.functional.assumed_mask``.
        """
        if self.visible is not None:
            return self.visible
        if self.kind == "cross":
            return torch.ones(self.attentions[:, 0].shape, dtype=torch.bool)
        return assumed_mask(self.attentions)

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
            visible=None if self.visible is None else self.visible[rows],
        )

    def with_picture(
        self, rows: int, columns: int, *, first: int, patch: tuple[int, int] | None = None
    ) -> AttentionRecord:
        """Return the record with the places of a picture's patches among its tokens.

        For a model that reads a picture where its places stand among the words (LLaVA):
        ``ix.image_view`` then shows what a word attends to in the picture. The patches are named
        ``r0c0``, ``r0c1``, …, row by row.

        Args:
            rows: how many patches the model reads from top to bottom.
            columns: how many from left to right.
            first: the index of the first patch among the tokens.
            patch: height and width of a patch in pixels, where they are known.

        Raises:
            RecordError: the record is not of tokens over themselves, or has not so many of them.

        Example:
            >>> layer = [[[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.2, 0.3, 0.5]]]
            >>> record = AttentionRecord.from_tensors(layer, ["<image>", "<image>", "dog"])
            >>> record.with_picture(1, 2, first=0).tokens
            ('r0c0', 'r0c1', 'dog')
        """
        if min(rows, columns) < 1 or first < 0 or len(self.queries) != len(self.keys):
            raise RecordError(
                f"Expected a picture of at least one patch among tokens that attend to themselves, "
                f"got {rows} × {columns} from token {first} in {len(self.queries)} queries and "
                f"{len(self.keys)} keys. Capture the whole pattern, without `rows`."
            )
        labels = [f"r{row}c{column}" for row in range(rows) for column in range(columns)]
        tokens = (*self.tokens[:first], *labels, *self.tokens[first + len(labels) :])
        if len(tokens) != len(self.keys):
            raise RecordError(
                f"Expected {rows} × {columns} patches from token {first} among the "
                f"{len(self.keys)} tokens, but there are not so many. Give the first place of the "
                "picture, and how many patches the model reads: some join four to one (Qwen-VL)."
            )
        named = replace(self.keys, tokens=tokens)
        grid = PatchGrid(rows, columns, first, patch)
        return replace(self, queries=named, keys=named, grid=grid)

    def words(self) -> AttentionRecord:
        """Return the same record at word granularity.

        The weight from word to word is the sum over the target's pieces and the mean over the
        source's, so a row still sums to what it summed to before. A special token stays a unit of
        its own. Other parts belong to pieces, and are left out.
        """
        groups = (self.queries.pieces(), self.keys.pieces())
        visible = None if self.visible is None else merge_pieces(self.visible.float(), *groups) > 0
        # Where pieces are joined, a picture among them has other places.
        is_same = len(groups[1]) == len(self.keys)
        return replace(
            self,
            parts={},
            grid=self.grid if is_same else None,
            attentions=merge_pieces(self.attentions, *groups),
            visible=visible,
            queries=self.queries.at_word_level(),
            keys=self.keys.at_word_level(),
        )

    @classmethod
    @checked_call
    def from_tensors(
        cls,
        attentions: Any,
        tokens: TokenSequence | Sequence[str],
        *,
        query_tokens: TokenSequence | Sequence[str] | None = None,
        kind: Kind = "self",
        special_tokens: Sequence[bool | int] | Collection[str] | None = None,
        word_ids: Sequence[int | None] | None = None,
        offsets: Sequence[tuple[int, int]] | None = None,
        text: str | None = None,
    ) -> AttentionRecord:
        """Build a record from any attention and its tokens, whatever their source.

        Weights that are not finite, and rows that do not sum to 1, are in ``notices``.

        Args:
            attentions: a tensor, a NumPy array or nested lists, ``(num_heads, query_len,
                key_len)`` of one layer or with layers before it; a list or tuple over layers of
                them, with or without a batch dimension of 1 (as BertViz takes them), with ``None``
                for a layer without attention; the attentions of ``generate``, step by step, which
                become one pattern; or a model's output.
            tokens: the key tokens, special ones too, as text or as a ``TokenSequence``.
            query_tokens: the query tokens, if they differ from the key tokens.
            kind: which attention it is: ``self``, ``encoder``, ``decoder`` or ``cross``; of a
                model's output, which to take.
            special_tokens: which tokens stand for no part of a text: 1 or 0 for each of
                ``tokens``, or their labels.
            word_ids: the word of each of ``tokens``, as a tokenizer's ``word_ids()``.
            offsets: the characters of each of ``tokens``, as a tokenizer's ``offset_mapping``.
            text: the text that was tokenized, so that its words can be named and scored; with
                ``offsets``, which are compared with it.

        Raises:
            RecordError: they are something else, or the shapes do not fit the tokens.

        Example:
            >>> layer = [[[1.0, 0.0], [0.5, 0.5]]]
            >>> AttentionRecord.from_tensors(layer, ["a", "b"])
            <AttentionRecord: 1 layer × 1 head, 2 × 2 tokens>
        """
        if not is_kind(kind):
            raise RecordError(f"Expected `kind` as one of {', '.join(KINDS)}, got {kind!r}.")
        patterns = read_patterns(attentions, kind)
        keys = read_tokens(
            tokens,
            special_tokens=special_tokens,
            word_ids=word_ids,
            offsets=offsets,
            text=text,
        )
        queries = keys if query_tokens is None else read_tokens(query_tokens)
        return cls._of_patterns(patterns, queries, keys, kind, apart=query_tokens is not None)

    @classmethod
    def _of_patterns(
        cls,
        patterns: Patterns,
        queries: TokenSequence,
        keys: TokenSequence,
        kind: Kind,
        *,
        apart: bool,
    ) -> AttentionRecord:
        """Build the record of patterns, after telling what does not fit."""
        query_len, key_len = patterns.attentions.shape[2:]
        notices: list[str] = []
        if query_len != key_len and not apart:
            raise RecordError(
                f"Expected attention of {len(keys)} tokens over themselves, got {query_len} "
                f"queries and {key_len} keys. Give the tokens of the queries as query_tokens=."
            )
        if patterns.generated and len(queries) == query_len + 1:
            queries = queries.at(range(query_len))
            keys = keys if kind == "cross" else keys.at(range(min(key_len, len(keys))))
            notices.append(
                "The last token was generated and not read again: it attends to nothing, and is "
                "left out."
            )
        if patterns.generated:
            queries = queries.generated_from(patterns.prompt)
            keys = keys if kind == "cross" else keys.generated_from(patterns.prompt)
        stored = _stored(patterns.attentions)
        if not are_shares(stored):
            notices += notices_of_weights(stored, patterns.layers)
        return cls(
            attentions=stored,
            queries=queries,
            keys=keys,
            kind=kind,
            layers=patterns.layers,
            certificate=Certificate(
                route="given tensors", max_row_sum_error=max_row_sum_error(stored)
            ),
            notices=tuple(notices),
        )

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the record as a safetensors file, from which ``load`` restores it exactly.

        Raises:
            OutputError: the folder is missing, or the file may not be written.
        """
        own = {part.name: getattr(self, part.name) for part in fields(self)}
        return save_file(path, packed(own))

    @classmethod
    @checked_call
    def load(cls, path: str | os.PathLike[str]) -> AttentionRecord:
        """Read what ``save`` wrote.

        Raises:
            RecordError: the file is not a saved record, or is damaged.
        """
        with unpacked(path) as own:
            return cls(**own)


def as_record(
    attention: AttentionRecord | Any,
    tokens: TokenSequence | Sequence[str] | None = None,
    **options: Any,
) -> AttentionRecord:
    """Return a record as it is, or make one of any attention and its tokens.

    Args:
        attention: a record, or what ``AttentionRecord.from_tensors`` takes.
        tokens: the key tokens, where it is no record.
        options: more of what ``AttentionRecord.from_tensors`` takes.

    Raises:
        RecordError: it is no record and has no tokens, is a record and has some, or cannot be read.
    """
    if isinstance(attention, AttentionRecord):
        if tokens is not None or options:
            raise RecordError("Expected a record alone: it has its own tokens. Leave those out.")
        return attention
    if tokens is None:
        raise RecordError(
            "Expected a record, or attention and its tokens, got "
            f"{'None' if attention is None else f'a {type(attention).__name__}'} alone. Capture "
            "the text with ix.load(…).capture(text), or give the tokens beside the attention."
        )
    return AttentionRecord.from_tensors(attention, tokens, **options)


def _check_frames(frames: AudioFrames, num_keys: int) -> None:
    """Raise unless frames can be those of the keys.

    Raises:
        RecordError: there are more of them than keys, or one of their numbers is impossible.
    """
    if not 0 < frames.count <= num_keys:
        raise RecordError(
            f"Expected frames of a sound among the {num_keys} key tokens, got {frames.count}."
        )
    if min(frames.step, frames.sampling_rate, frames.samples) < 1:
        raise RecordError(
            f"Expected a step, a sampling rate and a number of samples from 1, got {frames.step}, "
            f"{frames.sampling_rate} and {frames.samples}."
        )


def _check_part(name: str, part: torch.Tensor, shape: tuple[int, ...]) -> None:
    """Raise unless a part fits attentions of that shape."""
    known = PARTS_BY_NAME.get(name)
    # What an attention module computes may have more heads or keys than its pattern.
    if known is not None and known.stage not in ("attention", "rotary"):
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


def _mask(visible: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """Return a mask as it is kept.

    Raises:
        RecordError: it is no mask of these patterns.
    """
    if tuple(visible.shape) != shape or visible.dtype != torch.bool:
        raise RecordError(
            f"Expected `visible` as bool of shape {shape}, one mask for each layer, got "
            f"{visible.dtype} of shape {tuple(visible.shape)}."
        )
    return visible.detach().cpu().contiguous()


def _stored(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().to("cpu", torch.float32).contiguous()
