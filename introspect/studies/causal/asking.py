"""A model's output for a text: the last hidden states and the words predicted at a place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from introspect.app import Question, Word, words_of
from introspect.errors import CaptureError, ModelError, TextError
from introspect.hooks import run_arguments, without_dropout
from introspect.models import Model
from introspect.records import TokenSequence, mention_pieces
from introspect.studies.causal.metrics import default_metric
from introspect.text import Span, visible

__all__ = ["Place", "Reading", "places_of", "states_in", "way_of_asking"]

#: Where a model predicts words: at a masked word, at an unmasked word, after a word, or at a word
#: that it writes.
_WAYS = {
    "pseudo-likelihood": "masked",
    "at-pronoun": "at",
    "continuation": "after",
    "target": "written",
}


@dataclass(frozen=True)
class Place:
    """Where a model is asked for a word.

    Args:
        way: ``masked``, ``at``, ``after`` or ``written``.
        span: the span of the word in the text, or in the target for a word that is written.
    """

    way: str
    span: Span


def way_of_asking(model: Model) -> str | None:
    """Return how a model can be asked for words, or ``None`` if it has no LM head.

    Example:
        >>> import introspect as ix
        >>> way_of_asking(ix.load("induction", lm_head=True)), way_of_asking(ix.load("induction"))
        ('after', None)
    """
    return _WAYS.get(default_metric(model).name) if model.has_unembedding else None


def places_of(way: str, question: Question) -> list[Word]:
    """Return the words that a model can be asked at: the target's for a model that writes."""
    return words_of((question.target or "") if way == "written" else question.text)


@dataclass(frozen=True, eq=False)
class Reading:
    """A text prepared for a model; each run uses the model as it is ablated at that moment.

    Args:
        model: the model.
        module: the part of it that reads.
        inputs: the inputs of that part.
        tokens: the tokens that its output has a row for.
        read: the tokens of the text that it reads.
        question: the text.
        position: the row of the output that predicts the word.
        mask: the span that was masked and the length of the mask in its place.
    """

    model: Model
    module: nn.Module
    inputs: dict[str, torch.Tensor]
    tokens: TokenSequence
    read: TokenSequence
    question: Question
    position: int = -1
    mask: tuple[Span, int] | None = None

    @classmethod
    def of(cls, model: Model, question: Question) -> Reading:
        """Prepare a text; truncate one that is too long if the question asks for that.

        Raises:
            TextError: the text is empty or longer than the model reads.
        """
        read = model.tokens(question.text, truncation=question.truncation)
        if question.truncation:
            end = max((end for _, end in read.offsets), default=0)
            question = replace(question, text=question.text[:end], truncation=False)
        whole = not model.is_encoder_decoder or question.target is not None
        plan = model.run_plan(question.text, target=question.target, whole=whole)
        return cls(model, plan.module, plan.inputs, plan.tokens, read, question)

    def output(self) -> Any:
        """Return the model's output with hidden states, under the ablation in force."""
        arguments = run_arguments(self.module, self.inputs)
        with torch.no_grad(), without_dropout(self.module):
            return self.module(**{**arguments, "output_hidden_states": True})

    def at(self, place: Place) -> Reading:
        """Return the reading prepared to predict a word at a place.

        Raises:
            MentionError: the model has no tokens there.
            ModelError: the tokenizer has no mask token.
            TextError: no token precedes the word of the target.
        """
        if place.way == "masked":
            return self._masked(place.span)
        pieces = _pieces(self.tokens, place.span)
        if place.way == "at":
            return replace(self, position=pieces[0])
        if place.way == "after":
            return replace(self, position=pieces[-1])
        if pieces[0] == 0:
            raise TextError("Expected a token before the word that is written, got none.")
        return replace(self, position=pieces[0] - 1)

    def _masked(self, span: Span) -> Reading:
        mask = self.model.tokenizer.mask_token
        if mask is None:
            raise ModelError(f"Expected a mask token in the tokenizer of {self.model.name}.")
        start, end = span
        text = f"{self.question.text[:start]}{mask}{self.question.text[end:]}"
        masked = Reading.of(self.model, replace(self.question, text=text))
        number = self.model.tokenizer.mask_token_id
        before = self.question.text[:start].count(mask)
        places = [i for i, token in enumerate(masked.tokens.token_ids) if token == number]
        return replace(masked, position=places[before], mask=(span, len(mask)))

    def pieces(self, span: Span) -> list[int]:
        """Return the token positions of a word of the text; a masked word is the mask token.

        Raises:
            MentionError: the model has no tokens there.
        """
        if self.mask is None:
            return _pieces(self.read, span)
        (start, end), length = self.mask
        if span[0] < end and start < span[1]:
            return [self.position]
        by = length - (end - start) if span[0] >= end else 0
        return _pieces(self.read, (span[0] + by, span[1] + by))

    def probabilities(self) -> torch.Tensor:
        """Return the probability of every vocabulary token at the place, ``(vocabulary,)``.

        Raises:
            ModelError: the model returns no logits.
        """
        logits = getattr(self.output(), "logits", None)
        if logits is None or logits.ndim != 3:
            raise ModelError(f"Expected {self.model.name} to give logits, got none.")
        found: torch.Tensor = logits[0, self.position].double().softmax(-1)
        return found

    def word(self, number: int) -> str:
        """Return a vocabulary token in readable form."""
        text = self.model.tokenizer.decode([number]).strip()
        return visible(text or self.model.tokenizer.convert_ids_to_tokens(number))


def _pieces(tokens: TokenSequence, span: Span) -> list[int]:
    words: Sequence[Sequence[int]] = mention_pieces(tokens, span, role="word")
    return [piece for word in words for piece in word]


def states_in(output: Any) -> torch.Tensor:
    """Return the hidden states after the last layer, ``(batch, length, hidden_size)``.

    Raises:
        CaptureError: the model returns no hidden states.
    """
    found = getattr(output, "last_hidden_state", None)
    if found is None:
        states = getattr(output, "decoder_hidden_states", None)
        states = getattr(output, "hidden_states", None) if states is None else states
        found = states[-1] if states else None
    if found is None:
        raise CaptureError("Expected the states of the last layer, but the model returns none.")
    return found  # type: ignore[no-any-return]
