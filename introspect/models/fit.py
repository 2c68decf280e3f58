"""Whether what was loaded fits together: weights, configuration, tokenizer and embedding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from introspect.errors import ModelError
from introspect.hooks import unread_positions
from introspect.models.inputs import num_embeddings
from introspect.models.model import Model
from introspect.models.unused import words_on_unused
from introspect.models.vision import VisionModel, reads_pictures
from introspect.text import whole

_SMALLEST_VOCABULARY = 2


def check_reader(module: nn.Module, tokenizer: Any, name: str) -> None:
    """Raise unless a model of text has a tokenizer with a vocabulary that it has embeddings for.

    Raises:
        ModelError: the vocabulary is empty, or larger than the embedding.
    """
    if reads_pictures(module) or not getattr(tokenizer, "is_fast", False):
        return
    # Without its files transformers creates a tokenizer of special tokens only.
    if len(tokenizer) - len(set(tokenizer.all_special_tokens)) < _SMALLEST_VOCABULARY:
        raise ModelError(
            f"Expected a tokenizer with {name!r}, but it has no vocabulary: every word "
            "would be unknown. Copy its files there, tokenizer.json above all."
        )
    rows = num_embeddings(module)
    size = tokenizer.backend_tokenizer.get_vocab_size(with_added_tokens=False)
    if rows is not None and size > rows:
        raise ModelError(
            f"Expected an embedding for each of the {whole(size)} entries of the tokenizer's "
            f"vocabulary in {name!r}, got {whole(rows)}: the tokenizer is of another model. Copy "
            "the tokenizer's files from where the weights are from."
        )


def check_used(module: nn.Module, name: str, unused: Sequence[str] = (), *, strict: bool) -> str:
    """Return what a certificate has to say of weights and settings that a model does not use.

    What it says of positions is left out here: a capture finds it itself.

    Raises:
        ModelError: there are some, and ``strict`` is set.
    """
    note = words_on_unused(unused)
    found = "; ".join(filter(None, (note, unread_positions(module))))
    if found and strict:
        raise ModelError(
            f"Expected {name!r} and the code of {type(module).__name__} to fit, but {found}. Its "
            "attention would not be that of the trained model. Mend the configuration, or load it "
            "as it is with strict=False (--no-strict)."
        )
    return note


def unused_by(model: Model | VisionModel) -> str:
    """Return the weights and settings that a model does not use, in words; empty if it uses all."""
    return "; ".join(filter(None, (model.unused, unread_positions(model.module))))
