"""What a model makes of a text: its last states, and the words that it says at a place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from introspect.alignment import mention_pieces
from introspect.app.questions import Question, Word, words_of
from introspect.causal.metrics import default_metric
from introspect.errors import CaptureError, ModelError, TextError
from introspect.hooks.arguments import run_arguments
from introspect.hooks.borrowing import without_dropout
from introspect.mentions import Span
from introspect.models import Model
from introspect.records import TokenSequence
from introspect.text import visible

__all__ = ["Place", "Reading", "places_of", "states_in", "way_of_asking"]

#: How a model says words: at a word that is masked, at one that it reads as it is, after one, or
#: where it writes one; ``None`` where it has no head for words.
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
        span: of the word, in the text; of what is written, in the target.
    """

    way: str
    span: Span


def way_of_asking(model: Model) -> str | None:
    """How a model can be asked for words; ``None`` where it has no head for them.

    Example:
        >>> import introspect as ix
        >>> way_of_asking(ix.load("induction", with_head=True)), way_of_asking(ix.load("induction"))
        ('after', None)
    """
    return _WAYS.get(default_metric(model).name) if model.has_unembedding else None


def places_of(way: str, question: Question) -> list[Word]:
    """The words that a model can be asked at; of a model that writes, those of the target."""
    return words_of((question.target or "") if way == "written" else question.text)


@dataclass(frozen=True, eq=False)
class Reading:
    """A text made ready for a model; each run asks it as it is changed at that moment.

    Args:
        model: the model.
        module: the part of it that reads.
        inputs: what that is given.
        tokens: those that its output has a row for.
        read: those of the text that it reads.
        question: the text.
        position: the row that is asked for a word.
        mask: the span that was masked, and the length of what stands there now.
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
        """A text made ready; one that is too long is cut where that is asked for.

        Raises:
            TextError: an empty text, or one that is longer than the model reads.
        """
        read = model.tokens(question.text, truncation=question.truncation)
        if question.truncation:
            end = max((end for _, end in read.offsets), default=0)
            question = replace(question, text=question.text[:end], truncation=False)
        whole = not model.is_encoder_decoder or question.target is not None
        plan = model.run_plan(question.text, target=question.target, whole=whole)
        return cls(model, plan.module, plan.inputs, plan.tokens, read, question)

    def output(self) -> Any:
        """What the model returns, with its states, changed as it is at the moment."""
        arguments = run_arguments(self.module, self.inputs)
        with torch.no_grad(), without_dropout(self.module):
            return self.module(**{**arguments, "output_hidden_states": True})

    def at(self, place: Place) -> Reading:
        """The text made ready to be asked for a word at a place.

        Raises:
            MentionError: the model sees nothing there.
            ModelError: it has no token to mask a word with.
            TextError: nothing stands before a word of the target.
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
        """The tokens of a word of the text, by position; those of a masked one are the mask.

        Raises:
            MentionError: the model sees nothing there.
        """
        if self.mask is None:
            return _pieces(self.read, span)
        (start, end), length = self.mask
        if span[0] < end and start < span[1]:
            return [self.position]
        by = length - (end - start) if span[0] >= end else 0
        return _pieces(self.read, (span[0] + by, span[1] + by))

    def probabilities(self) -> torch.Tensor:
        """Of every token of the vocabulary at the place, ``(vocabulary,)``.

        Raises:
            ModelError: the model gives no logits.
        """
        logits = getattr(self.output(), "logits", None)
        if logits is None or logits.ndim != 3:
            raise ModelError(f"Expected {self.model.name} to give logits, got none.")
        found: torch.Tensor = logits[0, self.position].double().softmax(-1)
        return found

    def word(self, number: int) -> str:
        """A token of the vocabulary as a person reads it."""
        text = self.model.tokenizer.decode([number]).strip()
        return visible(text or self.model.tokenizer.convert_ids_to_tokens(number))


def _pieces(tokens: TokenSequence, span: Span) -> list[int]:
    words: Sequence[Sequence[int]] = mention_pieces(tokens, span, role="word")
    return [piece for word in words for piece in word]


def states_in(output: Any) -> torch.Tensor:
    """The states after the last layer, ``(batch, length, hidden_size)``.

    Raises:
        CaptureError: the model returns none.
    """
    found = getattr(output, "last_hidden_state", None)
    if found is None:
        states = getattr(output, "decoder_hidden_states", None)
        states = getattr(output, "hidden_states", None) if states is None else states
        found = states[-1] if states else None
    if found is None:
        raise CaptureError("Expected the states of the last layer, but the model returns none.")
    return found  # type: ignore[no-any-return]
