"""Examine one type: build it, capture it as a user would, and compare with its own attention."""

from __future__ import annotations

import dataclasses
import re
import time
import warnings
from typing import Any

import torch
from comparing import OWN, PARTS, UNFIT, check_parts, compare, own_attention
from rows import Row
from texts import text_of
from tiny import ElsewhereError, Tiny, stable_reason, tiny

import introspect as ix
from introspect.errors import CaptureError
from introspect.hooks.captured import NOT_COMPARED


def examine(name: str, *, text: bool = False) -> Row:
    """Build a type, and compare its capture with its own attention.

    Args:
        name: the type.
        text: also save it with a tokenizer of its own, load the folder, and read a text.
    """
    start = time.monotonic()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        row = _examine(name)
        if text and row.status not in ("elsewhere", "not built"):
            row = dataclasses.replace(row, text=text_of(name))
    return dataclasses.replace(row, seconds=time.monotonic() - start)


def _examine(name: str) -> Row:
    try:
        built = tiny(name)
    except ElsewhereError as text:
        return Row(name, "elsewhere", reason=str(text))
    except Exception as error:
        return Row(name, "not built", reason=stable_reason(error), detail=repr(error))
    row = Row(name, "silent", type(built.default).__name__)
    own = own_attention(built)
    if not own:
        row = dataclasses.replace(row, reason=_what_it_returns(built.output))
    try:
        captured = ix.capture(built.default, built.inputs)
    except CaptureError as error:
        return dataclasses.replace(row, status="refused" if own else "silent", detail=str(error))
    except Exception as error:  # A mistake here must never become a silent row.
        why = f"the capture fails ({type(error).__name__})"
        return dataclasses.replace(row, status="refused", reason=why, detail=repr(error))
    attentions = [captured.attentions]
    row = dataclasses.replace(row, route=captured.certificate.route, kinds=_kinds(captured))
    try:
        whole = ix.capture(built.default, built.inputs, PARTS)
        attentions.append(whole.attentions)
        row = dataclasses.replace(row, **check_parts(whole))
    except ix.IntrospectError as error:
        row = dataclasses.replace(row, parts=_attention_alone(error), detail=str(error))
    except RuntimeError as error:  # of shapes that cannot be multiplied
        row = dataclasses.replace(row, parts=UNFIT, detail=repr(error))
    row = dataclasses.replace(row, rotary=_rotary(built))
    return dataclasses.replace(row, **compare(own, attentions)) if own else row


def _rotary(built: Tiny) -> str:
    """Say whether queries and keys before rotary embedding are had; empty if there is none."""
    try:
        ix.capture(built.default, built.inputs, ("queries_before_rotary", "keys_before_rotary"))
    except ix.IntrospectError as error:
        return "changed after it" if "changed after" in str(error) else ""
    return "before it"


def _what_it_returns(output: Any) -> str:
    """Describe what a model returns where others return their patterns."""
    returned = [w for key in OWN.values() for w in output.get(key) or () if torch.is_tensor(w)]
    if not returned:
        return "returns nothing under that name"
    return f"what it returns under that name has {returned[0].ndim} dimensions, a pattern has 4"


def _kinds(captured: Any) -> str:
    """Return the captured kinds, with any notes on them."""
    # The comparison is made here, with the attention that the model returns.
    said = captured.certificate.note.replace(NOT_COMPARED, "").strip("; ")
    notes = [said] if said else []
    for kind, layers in captured.attentions.items():
        queries, keys = layers[0].shape[-2:]
        if kind in ("self", "encoder") and keys < queries:
            notes.append(f"{kind}: over a window around each token, as the model returns it")
    named = ", ".join(kind for kind in (*OWN, "text") if captured.attentions.get(kind))
    return f"{named} ({'; '.join(notes)})" if notes else named


def _attention_alone(error: ix.IntrospectError) -> str:
    """Say why attention is available but not its parts."""
    why = re.search(r"computes attention by itself, but (.+?)\. Ask", str(error))
    return f"attention alone: {why[1] if why else stable_reason(error)}"
