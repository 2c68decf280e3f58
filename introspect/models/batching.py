"""Batches of texts, encoded by one call of the tokenizer and padded to one length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from transformers import BatchEncoding

from introspect.errors import TextError
from introspect.models.encoding import ASKED, Encoded, check_text, encoded_as
from introspect.models.reading import Reading

__all__ = ["encode_batch", "padded"]


def encode_batch(
    tokenizer: Any, texts: Sequence[str], *, limit: int | None = None
) -> list[Encoded | TextError]:
    """Encode each text as ``encode`` does, or return its error in its place.

    Args:
        tokenizer: a fast tokenizer.
        texts: the texts.
        limit: the maximum number of tokens that the model reads.
    """
    found: list[Encoded | TextError | None] = [None] * len(texts)
    fit = []
    for number, text in enumerate(texts):
        try:
            check_text(text)
            fit.append(number)
        except TextError as error:
            found[number] = error
    for number, encoding in zip(fit, _encodings(tokenizer, [texts[i] for i in fit]), strict=True):
        try:
            found[number] = encoded_as(tokenizer, encoding, [Reading(texts[number])], limit=limit)
        except TextError as error:
            found[number] = error
    return [each for each in found if each is not None]


def _encodings(tokenizer: Any, texts: Sequence[str]) -> Iterator[Any]:
    """Yield one encoding per text from a single tokenizer call."""
    if not texts:
        return
    together = tokenizer(list(texts), truncation=False, **ASKED)
    for number, encoding in enumerate(together.encodings):
        yield BatchEncoding({name: of[number] for name, of in together.items()}, encoding=encoding)


def padded(tokenizer: Any, encoded: Sequence[Encoded]) -> dict[str, torch.Tensor]:
    """Pad the inputs of several texts on the right, each to ``(batch, length)``.

    Generative models are padded on the right too, although they are usually padded on the left:
    nothing is generated here, and a text's tokens keep their positions.

    Args:
        tokenizer: the model's tokenizer.
        encoded: the texts.

    Returns:
        The inputs that the tokenizer names for the model, and always an attention mask.
    """
    length = max(len(each.tokens) for each in encoded)
    fill = {"input_ids": tokenizer.pad_token_id or 0}
    inputs = {
        name: torch.full((len(encoded), length), fill.get(name, 0), dtype=torch.long)
        for name in encoded[0].inputs
    }
    mask = torch.zeros((len(encoded), length), dtype=torch.long)
    for row, each in enumerate(encoded):
        for name, values in each.inputs.items():
            inputs[name][row, : values.shape[1]] = values[0]
        mask[row, : len(each.tokens)] = 1
    return {**inputs, "attention_mask": mask}
