"""Numbers to differentiate: a logit, or a stated surrogate for models without an LM head."""

from __future__ import annotations

from dataclasses import dataclass, replace
from operator import index
from typing import Any

import torch

from introspect.calls import checked_call
from introspect.errors import ModelError, SelectionError
from introspect.hooks import capture
from introspect.models.loader import load_text
from introspect.models.model import Model
from introspect.records import TokenLike, TokenSequence, as_token


@dataclass(frozen=True)
class TokenLogit:
    """The logit of one token at one position of the only text of a run.

    Args:
        token_id: the token's number in the vocabulary.
        position: a position in the text, or in what an encoder-decoder writes; negative positions
            count from the end. A word, ``"it#2"``, is found among the tokens of a run.
        token: the token as text, for the name of the logit.
    """

    token_id: int
    position: TokenLike
    token: str

    def on(self, tokens: TokenSequence) -> TokenLogit:
        """Return the same logit with its position as an index among the tokens of a run."""
        if not isinstance(self.position, str):
            return self
        return replace(self, position=as_token(tokens, self.position, name="position"))

    def __call__(self, output: Any) -> torch.Tensor:
        """Return the logit, in the graph of the output.

        Raises:
            ModelError: the output has no logits.
            SelectionError: it has none for that position or token.
        """
        logits = output.get("logits") if hasattr(output, "get") else None
        if logits is None or logits.ndim != 3:
            raise ModelError(
                "Expected logits of a language-model head, (batch, length, vocabulary), but the "
                "model returns none. Load it with its LM head, ix.load(…, lm_head=True), or let a "
                "module of your own return {'logits': …}; or state a surrogate, such as "
                "ix.similarity_to."
            )
        _, length, vocabulary = logits.shape
        if isinstance(self.position, str):
            raise SelectionError(
                f"Expected `position` as a number in a run without a text, got {self.position!r}. "
                "Words are found by Model.capture."
            )
        if not -length <= self.position < length:
            raise SelectionError(
                f"Expected `position` in {-length}–{length - 1}, got {self.position}."
            )
        if not 0 <= self.token_id < vocabulary:
            raise SelectionError(
                f"Expected a token of the model's {vocabulary}, numbered from 0, got "
                f"{self.token_id}."
            )
        logit: torch.Tensor = logits[0, self.position, self.token_id]
        return logit

    def __str__(self) -> str:
        return f"logit of {self.token!r} at position {self.position}"


@checked_call
def logit_of(model: Model | str, token: str | int, *, position: TokenLike = -1) -> TokenLogit:
    """Return the logit of a token in a language model, as a number to differentiate.

    Args:
        model: a model with an LM head, or its name.
        token: the token, as a text that is a single token (with its leading space, if the
            tokenizer's tokens include it), or its number in the vocabulary.
        position: the position that predicts the token: for a decoder the preceding token, by
            default the last one; for a masked model the position of the mask. A token's index or
            its word, ``"it#2"`` for the second one.

    Raises:
        SelectionError: the text is not a single token.

    Example:
        >>> of = logit_of(model, " it")                                 # doctest: +SKIP
        >>> model.capture(text, include=("gradients",), of=of)          # doctest: +SKIP
    """
    model = load_text(model)
    if not isinstance(token, str):
        number = index(token)
        named = model.tokenizer.convert_ids_to_tokens(number)
        return TokenLogit(token_id=number, position=position, token=str(named))
    with model.tokenizing():
        ids = model.tokenizer(token, add_special_tokens=False)["input_ids"]
        pieces = model.tokenizer.convert_ids_to_tokens(ids)
    if len(ids) != 1:
        raise SelectionError(
            f"Expected `token` as one piece of the vocabulary, got {token!r}, which is "
            f"{pieces or 'none'}. Give one of them, or its number."
        )
    return TokenLogit(token_id=ids[0], position=position, token=token)


@dataclass(frozen=True, eq=False)
class SentenceSimilarity:
    """A surrogate for models without an LM head: the cosine similarity with another text.

    Args:
        reference: the other text's representation, ``(hidden_size,)``.
        text: the other text.
    """

    reference: torch.Tensor
    text: str

    def __call__(self, output: Any) -> torch.Tensor:
        """Return the cosine similarity, in the graph of the output."""
        own = _representation(output)
        return torch.nn.functional.cosine_similarity(own, self.reference.to(own), dim=0)

    def __str__(self) -> str:
        return f"surrogate: cosine of the sentence’s mean state with that of “{self.text}”"


@checked_call
def similarity_to(model: Model | str, text: str) -> SentenceSimilarity:
    r"""Return the similarity of the sentence to another one, as a number to differentiate.

    .. math:: \cos\Bigl(\tfrac{1}{n} \sum_i h_i, \; \tfrac{1}{m} \sum_j h'_j\Bigr)

    with the last layer's hidden states of all tokens. It is a surrogate: the model makes no
    prediction, so what the number depends on does not explain a "decision" of the model.

    Args:
        model: a model that returns its last layer's hidden states, or its name.
        text: the other text, for example the same sentence with the pronoun replaced by a
            candidate.

    Raises:
        TextError: the text is empty or too long.
        ModelError: the model returns no hidden states.
    """
    model = load_text(model)
    plan = model.run_plan(text)
    output = capture(plan.module, plan.inputs).output
    return SentenceSimilarity(reference=_representation(output).detach(), text=text)


def _representation(output: Any) -> torch.Tensor:
    """Compute the mean of the last layer's hidden states over all tokens of the only text."""
    states = output.get("last_hidden_state") if hasattr(output, "get") else None
    if states is None:
        raise ModelError(
            "Expected the states of the last layer, but the model returns none. Where it has a "
            "language-model head, take ix.logit_of; let a module of your own return "
            "{'last_hidden_state': …}."
        )
    mean: torch.Tensor = states[0].mean(0)
    return mean
