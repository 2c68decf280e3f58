"""A record as data of a page: its weights as bytes, within 0.005 of what was captured, and text.

There are two codes, both exact at 0 and 1, whose largest code marks a missing value (NaN):

``u16``
    value = code / 65534; the error is below 0.00001.
``u8root``
    value = (code / 254)^(5/3); the error is below 0.004 and shrinks with the weight, so that the
    many small weights of a long text stay distinct. (A square root would give them more codes
    than two decimals can distinguish, and make pages a tenth larger.)

Beyond 40 million weights (a text of 2,048 tokens in a model of 144 heads has 604 million) only the
largest of each row are kept:

``sparse``
    for each row its ``kept`` largest weights, as key positions (16 bits) and ``u8root`` codes, and
    the sum of the weights that were left out, which the page states.

Queries, keys, and values are signed and unbounded. They take 16 bits each, in units of the largest
absolute value of their layer and head (``scale``): value = code / 32766 × scale.
"""

from __future__ import annotations

import base64
import gzip
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from introspect.errors import RecordError
from introspect.records import METHODS, AttentionRecord, TokenSequence, attributed
from introspect.text import quantity, visible, visible_text, whole

#: Up to this many weights, a page stores 16 bits each; beyond it, 8.
LARGEST_IN_16_BITS = 2_000_000
#: Up to this many weights, it stores all of them.
LARGEST_DENSE = 40_000_000
# Three bytes per kept weight; about this much in all, before compression.
_SPARSE_BYTES = 30_000_000
_LONGEST_SPARSE = 1 << 16
_LARGE = 4 << 20
_ROOT = 0.6

# Softmax rows sum to 1 only up to rounding, so a single weight may exceed 1 by this much.
_TOLERANCE = 1e-5

# If a method's largest number is below this, numbers are written with a power of ten.
_SMALL = 0.1

_LARGEST_SIGNED = 32766
_MISSING_SIGNED = -32768

Floats = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Encoded:
    """An array as text for a page: gzip, then base64.

    Args:
        codec: how a code stands for a weight.
        shape: of the array.
        data: the codes.
        kept: how many weights of each row are kept; ``None`` for all.
        largest_remainder: the largest sum of the weights of a row that are left out.
    """

    codec: str
    shape: tuple[int, ...]
    data: str
    kept: int | None = None
    largest_remainder: float = 0.0


@dataclass(frozen=True)
class SignedEncoded:
    """A signed part: codes as text, and the scale of each layer and head."""

    shape: tuple[int, ...]
    scales: list[list[float]]
    data: str


def encode(values: Floats, *, whole: bool = False) -> Encoded:
    """Encode weights from 0 to 1, with NaN for missing ones; infinite ones are missing too.

    Args:
        values: the weights, ``(..., query_len, key_len)``.
        whole: keep all of them, no matter how many.

    Raises:
        RecordError: a value is outside 0 to 1; nothing is clipped silently.
    """
    smallest, largest = np.fmin.reduce(values, axis=None), np.fmax.reduce(values, axis=None)
    if np.isinf(smallest) or np.isinf(largest):
        return encode(np.where(np.isinf(values), np.nan, values), whole=whole)
    if smallest < -_TOLERANCE or largest > 1 + _TOLERANCE:
        raise RecordError(
            f"Expected attention weights from 0 to 1, got {quantity(smallest)} to "
            f"{quantity(largest)}. Views show weights, after the softmax; give those."
        )
    if values.size > LARGEST_DENSE and not whole:
        return _encode_sparse(values)
    is_small = values.size <= LARGEST_IN_16_BITS
    codes = np.empty(values.shape, "<u2" if is_small else np.uint8)
    # Part by part: copies of a whole array of weights take longer than the arithmetic.
    for part, into in zip(np.atleast_1d(values), np.atleast_1d(codes), strict=True):
        bounded = np.clip(part, 0.0, 1.0)
        into[...] = _codes(bounded * 65534, np.uint16, 65535) if is_small else _root_codes(bounded)
    return Encoded("u16" if is_small else "u8root", values.shape, _packed(codes.tobytes()))


def kept_of(shape: tuple[int, ...]) -> int | None:
    """Return how many weights of each row a page keeps; ``None`` for all of them."""
    if math.prod(shape) <= LARGEST_DENSE:
        return None
    return max(1, min(shape[-1], _SPARSE_BYTES // math.prod(shape[:-1]) // 3))


def _encode_sparse(values: Floats) -> Encoded:
    """Encode the largest weights of each row by layer: a whole copy might not fit in memory."""
    kept = kept_of(values.shape)
    assert kept is not None
    if values.shape[-1] > _LONGEST_SPARSE:
        raise RecordError(
            f"Expected at most {whole(_LONGEST_SPARSE)} keys to show, got "
            f"{whole(values.shape[-1])}. Capture a part of the text, or fewer rows."
        )
    keys, codes, remainders = [], [], []
    for layer in values:
        rows = np.clip(layer.reshape(-1, layer.shape[-1]), 0.0, 1.0)
        sortable = np.nan_to_num(rows, nan=2.0)  # A missing weight is kept, and stays missing.
        chosen = np.sort(np.argpartition(-sortable, kept - 1, axis=1)[:, :kept], axis=1)
        taken = np.take_along_axis(rows, chosen, axis=1)
        left_out = np.nansum(rows, axis=1, dtype=np.float64) - np.nansum(taken, axis=1)
        keys.append(chosen.astype("<u2"))
        codes.append(_root_codes(taken))
        remainders.append(np.clip(left_out, 0.0, 1.0))
    remainder = np.concatenate(remainders)
    parts = [np.concatenate(keys), np.concatenate(codes), _root_codes(remainder)]
    data = _packed(b"".join(part.tobytes() for part in parts))
    return Encoded("sparse", values.shape, data, kept, float(remainder.max()))


def _packed(raw: bytes) -> str:
    # The last two levels take several times as long and save a hundredth of the size.
    level = 9 if len(raw) < _LARGE else 6
    # mtime=0: the same record gives the same page, byte for byte.
    return base64.b64encode(gzip.compress(raw, level, mtime=0)).decode("ascii")


def _root_codes(weights: Floats) -> npt.NDArray[np.unsignedinteger]:
    return _codes(weights**_ROOT * 254, np.uint8, 255)


def encode_signed(values: Floats) -> SignedEncoded:
    """Encode ``(num_layers, heads, length, size)``; the error is at most scale / 65532.

    The code -32768 stands for a missing value; infinite ones, as masked scores are, are missing.
    """
    known = np.where(np.isfinite(values), values, 0.0).astype(np.float64)
    scales = np.abs(known).max(axis=(2, 3))
    units = np.where(scales > 0, scales, 1.0)[:, :, None, None]
    codes = np.rint(known / units * _LARGEST_SIGNED).astype("<i2")
    codes[~np.isfinite(values)] = _MISSING_SIGNED
    return SignedEncoded(values.shape, scales.tolist(), _packed(codes.tobytes()))


def _codes(scaled: Floats, dtype: type, missing: int) -> npt.NDArray[np.unsignedinteger]:
    return np.where(np.isnan(scaled), missing, np.rint(np.nan_to_num(scaled))).astype(dtype)


def encoded_part(record: AttentionRecord, name: str) -> SignedEncoded:
    """Return a part by layer, head, token, and component; norms of values have one component."""
    part = record.parts[name]
    return encode_signed((part if part.ndim == 4 else part[..., None]).numpy())


def encoded_method(record: AttentionRecord, name: str) -> SignedEncoded:
    """Return the numbers of another method, shaped like the attentions."""
    return encode_signed(attributed(record, name).float().numpy())


def _method_json(record: AttentionRecord, name: str, part: SignedEncoded | None) -> dict[str, Any]:
    """Return what a page says about a method, and the unit of its numbers."""
    method = METHODS[name]
    largest = max(map(max, part.scales)) if part is not None else 1.0
    of = record.certificate.gradient_of if method.is_gradient else None
    return {
        # Gradients may be of any size: use a power of ten where two decimals would show nothing.
        "exponent": math.floor(math.log10(largest)) if 0 < largest < _SMALL else 0,
        "label": method.label,
        "number": method.number,
        "of": None if of is None else visible_text(of),
        "byHead": method.by_head,
        "through": method.through,
        "bounded": method.bounded,
    }


def record_json(
    record: AttentionRecord,
    encoded: Encoded,
    parts: Mapping[str, SignedEncoded],
    methods: Sequence[str],
) -> dict[str, Any]:
    """Return everything the scripts need of a record except its numbers.

    Args:
        record: the record.
        encoded: its attentions.
        parts: its parts, and methods with separate numbers, by name.
        methods: the methods it is shown with.
    """
    return {
        "kind": record.kind,
        "texts": [visible_text(text) for text in record.keys.texts],
        "model": record.certificate.model,
        "layers": record.layers,
        "shape": encoded.shape,
        "codec": encoded.codec,
        "kept": encoded.kept,
        "parts": {
            name: {"shape": part.shape, "scales": part.scales} for name, part in parts.items()
        },
        "methods": {name: _method_json(record, name, parts.get(name)) for name in methods},
        "seen": _seen_json(record),
        "queries": sequence_json(record.queries),
        # Self-attention has one sequence on both sides.
        "keys": None if record.keys == record.queries else sequence_json(record.keys),
    }


def sequence_json(sequence: TokenSequence) -> dict[str, Any]:
    """Return what the scripts need of the tokens of a text."""
    return {
        "labels": [visible(token) for token in sequence.tokens],
        "words": list(sequence.word_ids),
        "wordTexts": [visible(word) for word in sequence.words],
        "glued": _glued(sequence),
        "sequences": list(sequence.sequence_ids),
        "special": [int(flag) for flag in sequence.special_tokens_mask],
        "unknown": [int(flag) for flag in sequence.unknown_mask],
        # Of most texts nothing is.
        "generated": [int(flag) for flag in sequence.generated_mask]
        if any(sequence.generated_mask)
        else [],
    }


def _glued(sequence: TokenSequence) -> list[int]:
    """Return for each token whether no space parts it from the one before it."""
    glued = [0] * len(sequence)
    for index in range(1, len(sequence)):
        text, other = sequence.sequence_ids[index], sequence.sequence_ids[index - 1]
        word = sequence.word_ids[index]
        if word is not None and word == sequence.word_ids[index - 1]:
            glued[index] = 1
        elif text is not None and text == other and text < len(sequence.texts):
            between = slice(sequence.offsets[index - 1][1], sequence.offsets[index][0])
            own = slice(*sequence.offsets[index])
            parts = sequence.texts[text][between], sequence.texts[text][own]
            # Some vocabularies count the space before a word as its own.
            glued[index] = int(not parts[0].strip("\u200b") and not parts[1][:1].isspace())
            glued[index] &= int(not any(map(str.isspace, parts[0])))
    return glued


def _seen_json(record: AttentionRecord) -> dict[str, Any]:
    """Return which keys each query may see: the different masks, and the mask of each layer."""
    seen = record.seen().numpy()
    masks: list[npt.NDArray[np.bool_]] = []
    layers = []
    for layer in seen:
        known = next((i for i, mask in enumerate(masks) if np.array_equal(mask, layer)), None)
        if known is None:
            masks.append(layer)
        layers.append(len(masks) - 1 if known is None else known)
    return {"masks": [_mask_json(mask) for mask in masks], "layers": layers}


def _mask_json(mask: npt.NDArray[np.bool_]) -> str | list[list[int]]:
    """Return a mask as a word, or else where each query's visible keys begin and end."""
    if mask.all():
        return "all"
    if np.array_equal(mask, np.tril(np.ones_like(mask))):
        return "causal"
    edges = np.diff(mask.astype(np.int8), axis=1, prepend=0, append=0)
    return [np.flatnonzero(line).tolist() for line in edges]
