"""Questions to a decoder about the next token, where it is known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from introspect.errors import InputError, ModelError, SelectionError
from introspect.hooks import placed, ran, without_dropout
from introspect.models import (
    EncodedText,
    Model,
    encode_batch,
    length_limit,
    load_text,
    padded,
    run_inputs,
)
from introspect.studies.causal.answers import check_batch_size, not_finite
from introspect.studies.causal.metrics import Floats, Metric, Question
from introspect.text import CorefCase


class _NextToken(Metric):
    name: ClassVar[str] = "next token"
    words: ClassVar[str] = "the logit of the token that follows, less the largest of the others"

    def questions(self, model: Model, case: CorefCase) -> list[Question]:
        raise InputError("Expected texts, whose next tokens are known, not cases of coreference.")


@dataclass(frozen=True, eq=False)
class NextTokens:
    """Texts prepared for a decoder; each position that is asked about is a case of its own.

    Args:
        model: the model.
        encoded: the texts.
        positions: for each text, the positions whose next token is asked for.
        batch_size: the number of texts that are read at once.
    """

    model: Model
    encoded: tuple[EncodedText, ...]
    positions: tuple[tuple[int, ...], ...]
    batch_size: int = 32
    metric: ClassVar[Metric] = _NextToken()

    @property
    def names(self) -> list[str]:
        """The text's number and the position, for each case."""
        return [f"{text}:{p}" for text, places in enumerate(self.positions) for p in places]

    @property
    def groups(self) -> list[str]:
        """The group of each case: the positions of one text are a group."""
        return [str(text) for text, places in enumerate(self.positions) for _ in places]

    @property
    def chance(self) -> float:
        """The accuracy of a blind choice among all tokens."""
        return 1 / len(self.model.tokenizer)

    @property
    def texts(self) -> list[str]:
        """The texts."""
        return [one.tokens.texts[0] for one in self.encoded]

    @property
    def read_texts(self) -> list[str]:
        """The texts, which are read unchanged."""
        return self.texts

    def margins(self) -> Floats:
        """Return the logit of the next token minus the largest of the others, ``(num_positions,)``.

        Raises:
            ModelError: the model has no LM head, or its output is not finite.
        """
        found: list[float] = []
        for start in range(0, len(self.encoded), self.batch_size):
            part = slice(start, start + self.batch_size)
            inputs = padded(self.model.tokenizer, self.encoded[part])
            arguments = placed(self.model.module, run_inputs(self.model.module, inputs))
            with torch.no_grad(), without_dropout(self.model.module):
                output = ran(self.model.module, arguments)
            logits = output.get("logits") if hasattr(output, "get") else None
            if logits is None:
                raise ModelError(
                    f"Expected logits of a language-model head, but {self.model.name} returns "
                    f"none. {self.model.lm_head_advice}."
                )
            for row, (one, places) in enumerate(
                zip(self.encoded[part], self.positions[part], strict=True)
            ):
                found += _margins(logits[row], one.tokens.token_ids, places)
        for name, margin in zip(self.names, found, strict=True):
            if not math.isfinite(margin):
                raise not_finite(margin, f"the token after {name}", self.model)
        return np.array(found)


def prepare_next_tokens(
    model: Model,
    texts: Sequence[str],
    positions: Sequence[Sequence[int]] | None = None,
    *,
    batch_size: int = 32,
) -> NextTokens:
    """Prepare texts for asking a decoder what follows.

    Args:
        model: a decoder with its LM head.
        texts: the texts that it reads.
        positions: for each text, the positions whose next token is asked for; all but the last by
            default.
        batch_size: the number of texts that are read at once.

    Raises:
        InputError: there is no text, or one that cannot be read.
        ModelError: the model is not a decoder: one that sees the next token cannot predict it.
        SelectionError: a position has no next token.

    Example:
        >>> import introspect as ix
        >>> from introspect.studies.causal.next_tokens import prepare_next_tokens
        >>> model = ix.load("induction", lm_head=True)
        >>> asked = prepare_next_tokens(model, ["x a b c d e f g h a b c d"], [[10, 11]])
        >>> bool((asked.margins() > 0).all())
        True
    """
    if not texts:
        raise InputError("Expected at least one text, got none.")
    check_batch_size(batch_size)
    model = load_text(model)
    if not model.is_decoder:
        raise ModelError(
            f"Expected a decoder with its language-model head, which foretells what follows, got "
            f"{type(model.module).__name__} of {model.name}. Load a decoder of transformers with "
            "lm_head=True."
        )
    with model.tokenizing():
        limit = length_limit(model.module, model.tokenizer)
        encoded = encode_batch(model.tokenizer, texts, limit=limit)
    ready = []
    for one in encoded:
        if not isinstance(one, EncodedText):
            raise one
        ready.append(one)
    if positions is None:
        positions = [range(len(one.tokens) - 1) for one in ready]
    if len(positions) != len(ready):
        raise SelectionError(
            f"Expected positions for each of the {len(ready)} texts, got {len(positions)}."
        )
    for one, places in zip(ready, positions, strict=True):
        last = len(one.tokens) - 2
        if not all(0 <= place <= last for place in places):
            raise SelectionError(
                f"Expected positions with a next token, in 0–{last}, got {list(places)}."
            )
    kept = tuple(tuple(int(place) for place in places) for places in positions)
    if not any(kept):
        raise SelectionError("Expected at least one position to ask about, got none.")
    return NextTokens(model, tuple(ready), kept, batch_size)


def _margins(logits: torch.Tensor, ids: Sequence[int], places: Sequence[int]) -> list[float]:
    rows = logits[list(places)].double()
    tokens = torch.tensor([ids[place + 1] for place in places], device=rows.device)[:, None]
    right = rows.gather(1, tokens)[:, 0]
    others = rows.scatter(1, tokens, -torch.inf).amax(1)
    margins: list[float] = (right - others).tolist()
    return margins
