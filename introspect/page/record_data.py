"""The data a page holds of a record: its numbers in binary codes, and the accompanying text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from introspect.page.codec import Encoded, SignedEncoded, encode_signed
from introspect.records import METHODS, AttentionRecord, TokenSequence, attributed
from introspect.text import visible, visible_text

# If a method's largest number is below this, numbers are written with a power of ten.
_SMALL = 0.1


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
        "layers": record.layers,
        "shape": encoded.shape,
        "codec": encoded.codec,
        "kept": encoded.kept,
        "parts": {
            name: {"shape": part.shape, "scales": part.scales} for name, part in parts.items()
        },
        "methods": {name: _method_json(record, name, parts.get(name)) for name in methods},
        "queries": _sequence_json(record.queries),
        # Self-attention has one sequence on both sides.
        "keys": None if record.keys == record.queries else _sequence_json(record.keys),
    }


def _sequence_json(sequence: TokenSequence) -> dict[str, Any]:
    return {
        "labels": [visible(token) for token in sequence.tokens],
        "words": list(sequence.word_ids),
        "wordTexts": [visible(word) for word in sequence.words],
        "sequences": list(sequence.sequence_ids),
        "special": [int(flag) for flag in sequence.special_tokens_mask],
        "unknown": [int(flag) for flag in sequence.unknown_mask],
    }
