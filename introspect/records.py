"""What a capture gives: attention tensors, the tokens they belong to, and how they were had.

Layers and heads are numbered from 0. Shapes are always
``(num_layers, num_heads, query_len, key_len)``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import torch

from introspect.errors import RecordError, SelectionError
from introspect.files import write_atomically
from introspect.functional.words import merge_pieces

__all__ = ["AttentionRecord", "Certificate", "Head", "PatchGrid", "TokenSequence"]

KINDS = ("self", "encoder", "decoder", "cross")
_FORMAT = "introspect.attention-record/1"
_PART = "part."


class Head(NamedTuple):
    """One attention head; ``str`` gives the short name.

    Example:
        >>> str(Head(3, 1))
        'L3H1'
    """

    layer: int
    head: int

    def __str__(self) -> str:
        return f"L{self.layer}H{self.head}"


@dataclass(frozen=True)
class TokenSequence:
    """The tokens of one side of an attention pattern, and the text they came from.

    All sequences have one entry a token. ``None`` marks what a special token does not have.

    Args:
        tokens: what to show. Byte-level vocabularies are shown as the text's characters.
        token_ids: vocabulary ids.
        offsets: half-open character spans in the token's text; ``(0, 0)`` for special tokens.
        word_ids: index into ``words``.
        special_tokens_mask: true for tokens that stand for no part of a text.
        unknown_mask: true where the vocabulary has no entry for what the text says.
        sequence_ids: 0 for the first text, 1 for the second of a pair.
        words: the words of the text or texts, in order.
        texts: the text, or the pair.
    """

    tokens: tuple[str, ...]
    token_ids: tuple[int, ...] = ()
    offsets: tuple[tuple[int, int], ...] = ()
    word_ids: tuple[int | None, ...] = ()
    special_tokens_mask: tuple[bool, ...] = ()
    unknown_mask: tuple[bool, ...] = ()
    sequence_ids: tuple[int | None, ...] = ()
    words: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        n = len(self.tokens)
        defaults: dict[str, tuple[Any, ...]] = {
            "token_ids": (-1,) * n,
            "offsets": ((0, 0),) * n,
            "word_ids": tuple(range(n)),
            "special_tokens_mask": (False,) * n,
            "unknown_mask": (False,) * n,
            "sequence_ids": (0,) * n,
        }
        # A bare list of tokens, as BertViz takes, is a sequence whose words are its tokens.
        if not self.word_ids and not self.words:
            object.__setattr__(self, "words", tuple(self.tokens))
        for name, default in defaults.items():
            given = tuple(getattr(self, name)) or default
            if len(given) != n:
                raise RecordError(
                    f"Expected {name!r} to have one entry for each of the {n} tokens, "
                    f"got {len(given)}. Give all parts of the sequence at the same length."
                )
            object.__setattr__(self, name, given)
        object.__setattr__(self, "tokens", tuple(self.tokens))
        object.__setattr__(self, "offsets", tuple((int(s), int(e)) for s, e in self.offsets))
        for word in self.word_ids:
            if word is not None and not 0 <= word < len(self.words):
                raise RecordError(
                    f"Expected word ids from 0 to {len(self.words) - 1}, got {word}. "
                    "Every word id must name an entry of `words`."
                )

    def __len__(self) -> int:
        return len(self.tokens)

    def at(self, indices: Iterable[int]) -> TokenSequence:
        """Only the tokens at these indices; their words and texts stay whole."""
        chosen = list(indices)
        return replace(
            self,
            **{
                part.name: tuple(getattr(self, part.name)[i] for i in chosen)
                for part in fields(self)
                if part.name not in ("words", "texts")
            },
        )

    def pieces(self) -> list[list[int]]:
        """Token indices grouped by word, in text order; a special token is a group of its own."""
        groups: list[list[int]] = []
        last: int | None = None
        for index, word in enumerate(self.word_ids):
            if word is not None and word == last:
                groups[-1].append(index)
            else:
                groups.append([index])
            last = word
        return groups

    def at_word_level(self) -> TokenSequence:
        """The same sequence with one token for each word."""
        groups = self.pieces()
        firsts = [group[0] for group in groups]
        words = tuple(
            self.tokens[first] if self.word_ids[first] is None else self._word(first)
            for first in firsts
        )
        return TokenSequence(
            tokens=words,
            token_ids=tuple(self.token_ids[g[0]] if len(g) == 1 else -1 for g in groups),
            offsets=tuple((self.offsets[g[0]][0], self.offsets[g[-1]][1]) for g in groups),
            word_ids=tuple(self.word_ids[first] for first in firsts),
            special_tokens_mask=tuple(self.special_tokens_mask[first] for first in firsts),
            unknown_mask=tuple(any(self.unknown_mask[i] for i in g) for g in groups),
            sequence_ids=tuple(self.sequence_ids[first] for first in firsts),
            words=self.words,
            texts=self.texts,
        )

    def _word(self, index: int) -> str:
        word = self.word_ids[index]
        assert word is not None
        return self.words[word]


@dataclass(frozen=True)
class Certificate:
    """How attention was captured, and how far it is from the model's own.

    Args:
        route: the way it was observed.
        max_row_sum_error: the largest distance of a row's sum from 1.
        max_head_output_error: the largest absolute difference between weights × values and what
            the head gave on, checked at the last query of each head, or at the rows asked for;
            ``None`` where the values were not seen.
        max_difference_from_eager: the largest absolute difference from the attention that the
            model itself returns when it runs eagerly; ``None`` where that was not computed.
        max_output_difference: the largest absolute difference between the model's output with and
            without the capture; ``None`` where that was not computed.
        max_decomposition_error: the largest absolute difference between an attention block as a sum
            over its keys and what the block gave; ``None`` where it was not taken apart.
        gradient_of: what was differentiated, in words; ``None`` without gradients.
        gradient_of_value: what that came to.
        max_completeness_error: of integrated gradients, the largest absolute difference between
            their sum over a layer and the change that the layer's attention makes.
        note: why a figure is missing, if one is.
        attn_implementation: what the model runs when it is not watched.
    """

    route: str
    max_row_sum_error: float | None = None
    max_head_output_error: float | None = None
    max_difference_from_eager: float | None = None
    max_output_difference: float | None = None
    max_decomposition_error: float | None = None
    gradient_of: str | None = None
    gradient_of_value: float | None = None
    max_completeness_error: float | None = None
    note: str = ""
    attn_implementation: str | None = None
    model: str | None = None
    revision: str | None = None
    tokenizer: str | None = None
    dtype: str = "float32"
    device: str = "cpu"
    torch_version: str = ""
    transformers_version: str = ""


@dataclass(frozen=True)
class PatchGrid:
    """Where in a picture the tokens of a vision model lie.

    Args:
        rows: how many patches the picture was cut into from top to bottom.
        columns: how many from left to right.
        first: the index of the first patch among the tokens; the others follow, row by row.
        patch: height and width of a patch in pixels; ``None`` where that is not known.

    Example:
        >>> PatchGrid(rows=2, columns=3, first=1).index(1, 0)
        4
    """

    rows: int
    columns: int
    first: int = 0
    patch: tuple[int, int] | None = None

    def __len__(self) -> int:
        return self.rows * self.columns

    def index(self, row: int, column: int) -> int:
        """The index of a patch among the tokens."""
        return self.first + row * self.columns + column


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
        notices: what a reader must know before looking: text cut off, unknown characters.
        parts: what else was captured, by name: ``scores`` shaped like the attentions, ``queries``,
            ``keys``, ``values`` and ``head_outputs``, ``(num_layers, heads, length, size)``,
            ``value_norms``, ``(num_layers, num_heads, key_len)``, ``residual_norms`` and
            ``contributions``, ``(num_layers, 1, query_len, key_len)``, and ``gradients`` and
            ``integrated_gradients``, shaped like the attentions.
        grid: where in a picture the tokens lie, of a model that reads one.

    Raises:
        RecordError: a shape does not fit.
    """

    attentions: torch.Tensor
    queries: TokenSequence
    keys: TokenSequence
    kind: str = "self"
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
        # What a notebook shows of it; the numbers of a whole tensor would hide what it is.
        return f"<{type(self).__name__}: {self.extent}>"

    @property
    def extent(self) -> str:
        """How large it is, in words: ``6 layers × 12 heads, 16 × 16 tokens``."""
        layers, heads, queries, keys = self.attentions.shape
        plural = ["" if number == 1 else "s" for number in (layers, heads)]
        return f"{layers} layer{plural[0]} × {heads} head{plural[1]}, {queries} × {keys} tokens"

    @property
    def tokens(self) -> tuple[str, ...]:
        """The key tokens."""
        return self.keys.tokens

    @property
    def num_layers(self) -> int:
        """How many layers were captured."""
        return self.attentions.shape[0]

    @property
    def num_heads(self) -> int:
        """Heads a layer."""
        return self.attentions.shape[1]

    def only(self, layers: Sequence[int]) -> AttentionRecord:
        """The record of some layers, by the model's own numbers, which they keep.

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
        """The same record at word granularity.

        The weight from word to word is the sum over the target's pieces and the mean over the
        source's, so a row still sums to what it summed to before. A special token stays a unit of
        its own. Other parts are of pieces, and are left out.
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
        kind: str = "self",
    ) -> AttentionRecord:
        """A record from any attention and its tokens, whatever made them.

        Args:
            attentions: one tensor, or a list over layers of ``(num_heads, query_len, key_len)``,
                with or without a batch dimension of 1 (as BertViz takes them).
            tokens: the key tokens.
            query_tokens: the query tokens, where they are others than the key tokens.
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
        """Write the record as a safetensors file; ``load`` gives it back exactly."""
        from safetensors.torch import save

        header = {
            "format": _FORMAT,
            "kind": self.kind,
            "layers": self.layers,
            "queries": asdict(self.queries),
            "keys": asdict(self.keys),
            "certificate": asdict(self.certificate),
            "notices": self.notices,
            "grid": None if self.grid is None else asdict(self.grid),
        }
        tensors = {"attentions": self.attentions}
        tensors |= {f"{_PART}{name}": part for name, part in self.parts.items()}
        blob = save(tensors, metadata={"introspect": json.dumps(header)})
        return write_atomically(path, blob)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> AttentionRecord:
        """Read what ``save`` wrote.

        Raises:
            RecordError: not such a file, or a damaged one.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(os.fspath(path), framework="pt") as stream:
                header = json.loads((stream.metadata() or {})["introspect"])
                if header.get("format") != _FORMAT:
                    raise KeyError("format")
                return cls(
                    attentions=stream.get_tensor("attentions"),
                    queries=_sequence(header["queries"]),
                    keys=_sequence(header["keys"]),
                    kind=header["kind"],
                    layers=tuple(header["layers"]),
                    certificate=Certificate(**header["certificate"]),
                    notices=tuple(header["notices"]),
                    grid=_grid(header.get("grid")),
                    parts={
                        name.removeprefix(_PART): stream.get_tensor(name)
                        for name in stream.keys()  # noqa: SIM118 - not a dictionary
                        if name.startswith(_PART)
                    },
                )
        # Whatever a foreign or damaged header brings about while it is taken apart.
        except (
            OSError, SafetensorError, AttributeError, KeyError, TypeError, ValueError,
        ) as error:  # fmt: skip
            raise RecordError(
                f"Expected a record written by AttentionRecord.save at {os.fspath(path)!r}, "
                f"but it cannot be read ({error}). Give the path of a saved record."
            ) from error


def _check_part(name: str, part: torch.Tensor, shape: tuple[int, ...]) -> None:
    """Raise unless a part fits attentions of that shape."""
    layers, heads, query_len, key_len = shape
    whole = {
        "value_norms": (layers, heads, key_len),
        "residual_norms": (layers, 1, query_len, key_len),
        "contributions": (layers, 1, query_len, key_len),
        "gradients": shape,
        "integrated_gradients": shape,
    }.get(name)
    if whole is not None:
        fits, expected = tuple(part.shape) == whole, str(whole)
    else:
        fits = part.ndim == 4 and part.shape[0] == layers
        expected = f"({layers}, heads, length, size)"
    if not fits:
        raise RecordError(
            f"Expected the part {name!r} as {expected}, one for each layer, got "
            f"{tuple(part.shape)}."
        )


def _stored(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().to("cpu", torch.float32).contiguous()


def _sequence(parts: dict[str, Any]) -> TokenSequence:
    return TokenSequence(**{name: tuple(value) for name, value in parts.items()})


def _grid(parts: dict[str, Any] | None) -> PatchGrid | None:
    if parts is None:
        return None
    height_width = parts["patch"]
    return PatchGrid(**{**parts, "patch": None if height_width is None else tuple(height_width)})
