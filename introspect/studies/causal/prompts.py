"""A text prepared for a model: its states, layer by layer, and what is predicted at a place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from introspect.errors import CaptureError, MentionError, ModelError, TextError
from introspect.hooks import has_own_attention, ran, run_arguments, without_dropout
from introspect.models import Model
from introspect.records import TokenLike, TokenSequence, as_token, mention_pieces
from introspect.studies.causal.metrics import default_metric
from introspect.text import Span, find_mention, visible

#: Where a model predicts words, by its metric: at a masked word, at an unmasked word, after a word,
#: or at a word that it writes.
_WAYS = {
    "pseudo-likelihood": "masked",
    "at-pronoun": "at",
    "continuation": "after",
    "target": "written",
}


def way_of_predicting(model: Model) -> str | None:
    """Return how a model predicts words; ``None`` if it has no LM head.

    Returns:
        ``masked`` (in a mask's place), ``at`` (at an unmasked word), ``after`` (the next word) or
        ``written`` (each word of the target).

    Example:
        >>> import introspect as ix
        >>> model = ix.load("induction", lm_head=True)
        >>> way_of_predicting(model), way_of_predicting(ix.load("induction"))
        ('after', None)
    """
    return _WAYS.get(default_metric(model).name) if model.has_unembedding else None


@dataclass(frozen=True, eq=False)
class Prompt:
    """A text prepared for a model; each run uses the model as it is changed at that moment.

    Args:
        model: the model.
        module: the part of it that runs.
        inputs: the inputs of that part.
        tokens: the tokens that its output has a row for.
        read: the tokens of the text that it reads.
        text: the text, without what was truncated.
        target: what an encoder-decoder writes.
        position: the row of the output that predicts the word; ``None`` if no word is asked for.
        mask: the span that was masked and the length of the mask in its place.
    """

    model: Model
    module: nn.Module
    inputs: dict[str, torch.Tensor]
    tokens: TokenSequence
    read: TokenSequence
    text: str
    target: str | None = None
    position: int | None = None
    mask: tuple[Span, int] | None = None

    @classmethod
    def of(
        cls, model: Model, text: str, *, target: str | None = None, truncation: bool = False
    ) -> Prompt:
        """Prepare a text.

        Raises:
            TextError: the text is empty, or longer than the model reads and not to be truncated.
        """
        read = model.tokens(text, truncation=truncation)
        if truncation:
            text = text[: max((end for _, end in read.offsets), default=0)]
        plan = model.run_plan(text, target=target)
        return cls(model, plan.module, plan.inputs, plan.tokens, read, text, target)

    def output(self) -> Any:
        """Return the model's output with hidden states, under the changes in force."""
        if has_own_attention(self.module):
            raise ModelError(
                f"Expected a model of transformers, which gives its states, got {self.model.name}, "
                "which is none. Capture it before and within the intervention, and compare the "
                "two records: ix.compare_view(one, other)."
            )
        arguments = run_arguments(self.module, self.inputs)
        with torch.no_grad(), without_dropout(self.module):
            return ran(self.module, {**arguments, "output_hidden_states": True})

    def at(self, word: TokenLike | Span | None = None) -> Prompt | None:
        """Return the prompt that predicts a word; ``None`` if the model predicts none there.

        Args:
            word: the word that is masked, that the model is asked at, whose next one is asked for,
                or that is written, as ``way_of_predicting`` says; a span, or a word of the text
                (of the target for a model that writes). By default the mask of the text, the end
                of a decoder's text, or the first word written.

        Raises:
            MentionError: the word is not there, or the model has no tokens for it.
            ModelError: the tokenizer has no mask token.
            TextError: no token precedes the word of the target.
        """
        way = way_of_predicting(self.model)
        if way is None or (way == "written" and self.target is None):
            return None
        if word is None:
            return self._at_default(way)
        span = self._span(word, self.tokens if way == "written" else self.read)
        if way == "masked":
            return self._masked(span)
        pieces = _pieces(self.tokens, span)
        if way == "written" and pieces[0] == 0:
            raise TextError("Expected a token before the word that is written, got none.")
        places = {"at": pieces[0], "after": pieces[-1], "written": pieces[0] - 1}
        return replace(self, position=places[way])

    def _at_default(self, way: str) -> Prompt | None:
        if way == "written":
            return replace(self, position=0)
        if way == "after":
            own = [i for i, flag in enumerate(self.tokens.special_tokens_mask) if not flag]
            return replace(self, position=own[-1])
        mask = getattr(self.model.tokenizer, "mask_token_id", None)
        if mask is None or mask not in self.tokens.token_ids:
            return None
        return replace(self, position=self.tokens.token_ids.index(mask))

    def _span(self, word: TokenLike | Span, tokens: TokenSequence) -> Span:
        if isinstance(word, tuple):
            return word
        if isinstance(word, str):
            return find_mention(tokens.texts[0], word, role="word")
        start, end = tokens.offsets[as_token(tokens, word)]
        if start == end:
            raise MentionError(
                f"Expected a token of the text, got {word}, {tokens.tokens[word]}. Name a word."
            )
        return start, end

    def _masked(self, span: Span) -> Prompt:
        mask = self.model.tokenizer.mask_token
        if mask is None:
            raise ModelError(f"Expected a mask token in the tokenizer of {self.model.name}.")
        start, end = span
        text = f"{self.text[:start]}{mask}{self.text[end:]}"
        masked = Prompt.of(self.model, text, target=self.target)
        number = self.model.tokenizer.mask_token_id
        earlier = self.text[:start].count(mask)
        places = [i for i, token in enumerate(masked.tokens.token_ids) if token == number]
        return replace(masked, position=places[earlier], mask=(span, len(mask)))

    def pieces(self, word: TokenLike | Span) -> list[int]:
        """Return the token positions of a word of the text; a masked word is the mask token.

        Args:
            word: a word of the text, or its span in the text as it was before it was masked.

        Raises:
            MentionError: the model has no tokens there.
        """
        span = self._span(word, self.read)
        if self.mask is None:
            return _pieces(self.read, span)
        (start, end), length = self.mask
        if span[0] < end and start < span[1]:
            assert self.position is not None
            return [self.position]
        by = length - (end - start) if span[0] >= end else 0
        return _pieces(self.read, (span[0] + by, span[1] + by))

    def probabilities(self, output: Any = None) -> torch.Tensor:
        """Return the probability of every vocabulary token at the place, ``(vocabulary,)``.

        Args:
            output: the model's output on this prompt; by default, the model runs.

        Raises:
            ModelError: the model returns no logits.
        """
        logits = getattr(self.output() if output is None else output, "logits", None)
        if logits is None or logits.ndim != 3:
            raise ModelError(f"Expected {self.model.name} to give logits, got none.")
        assert self.position is not None, "no word is asked for"
        probabilities: torch.Tensor = logits[0, self.position].double().softmax(-1)
        return probabilities

    def word(self, number: int) -> str:
        """Return a vocabulary token in readable form."""
        text = self.model.tokenizer.decode([number]).strip()
        return visible(text or self.model.tokenizer.convert_ids_to_tokens(number))


def _pieces(tokens: TokenSequence, span: Span) -> list[int]:
    words: Sequence[Sequence[int]] = mention_pieces(tokens, span, role="word")
    return [piece for word in words for piece in word]


def states_of(output: Any) -> list[torch.Tensor]:
    """Return the hidden states after each layer, ``(batch, length, hidden_size)`` each.

    The last ones are those that the model outputs: in most models, after its final norm.

    Raises:
        CaptureError: the model returns no hidden states.
    """
    states = getattr(output, "decoder_hidden_states", None)
    states = getattr(output, "hidden_states", None) if states is None else states
    last = getattr(output, "last_hidden_state", None)
    if not states:
        raise CaptureError("Expected the states of each layer, but the model returns none.")
    return [*states[1:-1], states[-1] if last is None else last]
