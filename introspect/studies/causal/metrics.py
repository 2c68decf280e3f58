"""Metrics that read a model's answer to a coreference case: from its LM head, or by a surrogate.

A metric turns a case into texts that the model reads, and says which numbers of its output make the
score of each candidate. A higher score always means that the model favors the candidate more.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt
import torch

from introspect.errors import MentionError, ModelError, SelectionError, TextError
from introspect.models import (
    EncodedText,
    Model,
    encode,
    encode_target,
    length_limit,
    load,
    load_text,
)
from introspect.records import Kind, mention_pieces, placed_in
from introspect.text import Candidate, CorefCase, Span

_DETERMINERS = (
    "the", "a", "an", "this", "that", "these", "those", "my", "your", "his", "her", "its", "our",
    "their",
)  # fmt: skip
_BEFORE = re.compile(rf"\b(?P<word>{'|'.join(_DETERMINERS)})\s+$", re.IGNORECASE)
_POSSESSIVE = ("his", "its", "their")
# Words that cannot follow a possessive: before them, *her* is the object.
_AFTER_OBJECT = (
    "a", "after", "all", "an", "and", "as", "at", "because", "before", "but", "by", "for", "from",
    "if", "in", "into", "of", "on", "or", "out", "over", "so", "that", "the", "then", "to", "up",
    "when", "while", "who", "with",
)  # fmt: skip
_NEXT_WORD = re.compile(r"\s+(?P<word>[^\W\d_]+)")


def substituted(case: CorefCase, candidate: Candidate) -> tuple[str, Span]:
    """Return the text with a candidate in the pronoun's place, and the candidate's span there.

    In English an article, demonstrative or possessive before the candidate comes with it, without
    its capital, and is not part of the span. *His*, *its* and *their* become *'s*, and so does
    *her* before a word that it can possess. At the beginning of a sentence the first letter is
    capitalized.

    Example:
        >>> text = "The animal didn't cross the street because it was too tired."
        >>> case = CorefCase.from_words(text, pronoun="it", antecedent="animal")
        >>> substituted(case, case.candidates[0])
        ("The animal didn't cross the street because the animal was too tired.", (47, 53))
    """
    start, end = case.pronoun
    pronoun, phrase = case.phrase(case.pronoun).lower(), case.phrase(candidate.span)
    found = _BEFORE.search(case.text[: candidate.span[0]])
    before = f"{found['word'].lower()} " if found else ""
    possessive = "'s" if _is_possessive(pronoun, case.text[end:]) else ""
    if case.text[start].isupper() and pronoun != "i":
        before, phrase = _capital(before, phrase)
    text = case.text[:start] + before + phrase + possessive + case.text[end:]
    first = start + len(before)
    return text, (first, first + len(phrase))


def _is_possessive(pronoun: str, rest: str) -> bool:
    if pronoun in _POSSESSIVE:
        return True
    following = _NEXT_WORD.match(rest)
    return pronoun == "her" and following is not None and following["word"] not in _AFTER_OBJECT


def _capital(before: str, phrase: str) -> tuple[str, str]:
    if before:
        return before[0].upper() + before[1:], phrase
    return before, phrase[0].upper() + phrase[1:]


@dataclass(frozen=True, eq=False)
class Question:
    """One sequence that the model reads for a candidate.

    Args:
        candidate: its number in the case; ``None`` for the case's own text.
        encoded: the model's input.
        reads: positions, each with the token whose probability is read there.
        written: the input of an encoder-decoder's decoder.
    """

    candidate: int | None
    encoded: EncodedText
    reads: tuple[tuple[int, int], ...] = ()
    written: EncodedText | None = None


class Metric(ABC):
    """A way to read an answer; see ``METRICS``."""

    name: ClassVar[str]
    #: The definition of a score, in words.
    words: ClassVar[str]
    #: The unit of a difference of two scores.
    unit: ClassVar[str] = "nats"
    #: Whether the model was asked something other than the question of the case.
    is_surrogate: ClassVar[bool] = False
    #: Whether the reads of a candidate are averaged rather than summed.
    is_mean: ClassVar[bool] = True

    @abstractmethod
    def questions(self, model: Model, case: CorefCase) -> list[Question]:
        """Return what the model reads for a case.

        Raises:
            TextError, MentionError: the case cannot be asked in this way.
        """


class PseudoLikelihood(Metric):
    """The metric of a masked model (Salazar et al. 2020, https://arxiv.org/abs/1910.14659)."""

    name = "pseudo-likelihood"
    words = (
        "the mean log-probability of the candidate’s tokens in the pronoun’s place, each masked "
        "in turn"
    )

    def questions(self, model: Model, case: CorefCase) -> list[Question]:
        """Return one sequence for each token of each candidate."""
        mask = model.tokenizer.mask_token_id
        if mask is None:
            raise ModelError(
                f"Expected a mask token in the tokenizer of {model.name}, which has none. "
                f"Choose another metric: {', '.join(METRICS)}."
            )
        found = []
        for number, candidate in enumerate(case.candidates):
            encoded, places = _in_place(model, case, candidate)
            for place in places:
                ids = encoded.inputs["input_ids"].clone()
                token = int(ids[0, place])
                ids[0, place] = mask
                masked = replace(encoded, inputs={**encoded.inputs, "input_ids": ids})
                found.append(Question(number, masked, ((place, token),)))
        return found


class AtPronoun(Metric):
    """The metric of a model that was trained to name the antecedent at the pronoun's position."""

    name = "at-pronoun"
    words = "the log-probability of the candidate at the pronoun, which the model reads as it is"

    def questions(self, model: Model, case: CorefCase) -> list[Question]:
        """Return the same sequence for all candidates."""
        encoded = _encoded(model, case.text)
        place = _pieces(encoded, case.pronoun, "pronoun")[0]
        found = []
        for number, candidate in enumerate(case.candidates):
            pieces = _pieces(encoded, candidate.span, "candidate")
            if len(pieces) != 1:
                raise MentionError(
                    f"Expected candidates of one token for the metric {self.name!r}, but "
                    f"{case.phrase(candidate.span)!r} has {len(pieces)}. Choose another metric: "
                    f"{', '.join(METRICS)}."
                )
            token = encoded.tokens.token_ids[pieces[0]]
            found.append(Question(number, encoded, ((place, token),)))
        return found


class Continuation(Metric):
    """The metric of a decoder ("partial" score, Trinh & Le 2018, https://arxiv.org/abs/1806.02847)."""

    name = "continuation"
    words = "the log-probability of what follows, with the candidate in the pronoun’s place"
    is_mean = False

    def questions(self, model: Model, case: CorefCase) -> list[Question]:
        """Return one sequence for each candidate; what follows it is the same in all of them."""
        found = []
        for number, candidate in enumerate(case.candidates):
            encoded, places = _in_place(model, case, candidate)
            ids = encoded.tokens.token_ids
            special = encoded.tokens.special_tokens_mask
            after = [i for i in range(places[-1] + 1, len(ids)) if not special[i]]
            if not after:
                raise TextError(
                    "Expected words after the pronoun, whose probability tells the candidates "
                    "apart, but it is the last one. Give another sentence."
                )
            found.append(Question(number, encoded, tuple((i - 1, ids[i]) for i in after)))
        self._check_same_end(case, found)
        return found

    @staticmethod
    def _check_same_end(case: CorefCase, questions: Sequence[Question]) -> None:
        """Raise if the endings have different tokens: the one with fewer would be likelier."""
        ends = [tuple(token for _, token in one.reads) for one in questions]
        for candidate, end in zip(case.candidates, ends, strict=True):
            if end != ends[0]:
                first = case.phrase(case.candidates[0].span)
                raise TextError(
                    "Expected what follows the pronoun in the same tokens for every candidate, to "
                    f"compare its probability, but after {case.phrase(candidate.span)!r} they are "
                    f"others than after {first!r}: the tokenizer joins a candidate to what "
                    f"follows. Choose another metric: {', '.join(METRICS)}."
                )


class Target(Metric):
    """The metric of an encoder-decoder."""

    name = "target"
    words = "the mean log-probability of the candidate’s tokens as what the decoder writes"

    def questions(self, model: Model, case: CorefCase) -> list[Question]:
        """Return the same text for all candidates, with each candidate as the decoder's text."""
        encoded = _encoded(model, case.text)
        start: Any = getattr(model.module.config, "decoder_start_token_id", None)
        if start is None:
            raise ModelError(
                f"Expected decoder_start_token_id in the configuration of {model.name}, which is "
                "what its decoder reads first. Set it to the id that the model was trained with."
            )
        limit = length_limit(model.module, model.tokenizer)
        found = []
        for number, candidate in enumerate(case.candidates):
            with model.tokenizing():
                written = encode_target(
                    model.tokenizer,
                    case.phrase(candidate.span),
                    start_id=start,
                    limit=limit,
                    truncation=False,
                )
            ids, special = written.tokens.token_ids, written.tokens.special_tokens_mask
            _check_known(written, [i for i in range(len(ids)) if not special[i]], "candidate")
            reads = tuple((i - 1, ids[i]) for i in range(1, len(ids)) if not special[i])
            found.append(Question(number, encoded, reads, written))
        return found


class Surrogate(Metric):
    """The metric of a model without an LM head: it is not asked whom the pronoun refers to."""

    name = "surrogate"
    words = (
        "a surrogate, not the model’s answer: the cosine between the mean state of the sentence "
        "and that of the sentence with the candidate in the pronoun’s place"
    )
    unit = "cosine"
    is_surrogate = True

    def questions(self, model: Model, case: CorefCase) -> list[Question]:
        """Return the text, and the text with each candidate."""
        found = [Question(None, _encoded(model, case.text))]
        for number, candidate in enumerate(case.candidates):
            encoded, _ = _in_place(model, case, candidate)
            found.append(Question(number, encoded))
        return found


#: The metrics, by name.
METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (PseudoLikelihood(), AtPronoun(), Continuation(), Target(), Surrogate())
}


def default_metric(model: Model) -> Metric:
    """Return a model's default metric: by its LM head, or without one the surrogate.

    A configuration may name the metric that the model was trained for, as ``introspect_metric``.

    Raises:
        SelectionError: the configuration names one that does not exist.
    """
    config: Any = getattr(model.module, "config", None)
    if named := getattr(config, "introspect_metric", None):
        return metric_named(named)
    if not model.has_unembedding:
        return METRICS["surrogate"]
    if model.is_encoder_decoder:
        return METRICS["target"]
    return METRICS["continuation" if model.is_decoder else "pseudo-likelihood"]


def metric_named(name: str) -> Metric:
    """Return the metric with a name.

    Raises:
        SelectionError: it does not exist.
    """
    if name not in METRICS:
        raise SelectionError(f"Expected `metric` from {', '.join(METRICS)}, got {name!r}.")
    return METRICS[name]


def _in_place(model: Model, case: CorefCase, candidate: Candidate) -> tuple[EncodedText, list[int]]:
    """Return the text with the candidate in the pronoun's place, and the candidate's tokens."""
    text, span = substituted(case, candidate)
    encoded = _encoded(model, text)
    encoded = replace(encoded, tokens=placed_in(encoded.tokens, text, [span]))
    return encoded, _pieces(encoded, span, "candidate")


def _encoded(model: Model, text: str) -> EncodedText:
    with model.tokenizing():
        limit = length_limit(model.module, model.tokenizer)
        return encode(model.tokenizer, text, limit=limit)


def _pieces(encoded: EncodedText, span: tuple[int, int], role: str) -> list[int]:
    words: Sequence[Sequence[int]] = mention_pieces(encoded.tokens, span, role=role)
    pieces = [piece for word in words for piece in word]
    _check_known(encoded, pieces, role, span)
    return pieces


def _check_known(
    encoded: EncodedText, pieces: Sequence[int], role: str, span: tuple[int, int] | None = None
) -> None:
    """Raise if the model's vocabulary has nothing of a mention."""
    if all(encoded.tokens.unknown_mask[piece] for piece in pieces):
        text = encoded.tokens.texts[0][slice(*(span or (None, None)))]
        raise MentionError(
            f"Expected a {role} that the model knows, but its vocabulary has nothing for {text!r}. "
            "Choose another model, or leave the case out."
        )


def log_probabilities(logits: torch.Tensor, reads: Sequence[tuple[int, int]]) -> torch.Tensor:
    """Compute log-probabilities of the tokens read, ``(num_reads,)``, in double precision.

    Args:
        logits: ``(length, vocabulary)``.
        reads: positions and tokens.
    """
    places = torch.tensor([place for place, _ in reads], device=logits.device)
    tokens = torch.tensor([token for _, token in reads], device=logits.device)
    rows = logits[places].double().log_softmax(-1)
    return rows.gather(1, tokens[:, None])[:, 0]


Floats = npt.NDArray[np.float64]


def kind_of(asked: Asked, kind: Kind | None) -> Kind | None:
    """Return the kind of attention to change: by default that of the part that a surrogate runs."""
    return asked.model.reading_kind if kind is None and asked.metric.is_surrogate else kind


class Asked(Protocol):
    """A model with questions whose right answers are known."""

    @property
    def model(self) -> Model:
        """The model that is asked."""
        ...

    @property
    def metric(self) -> Metric:
        """The way its answer is read."""
        ...

    @property
    def names(self) -> list[str]:
        """A name for each case."""
        ...

    @property
    def groups(self) -> list[str]:
        """The group of each case; cases of one group are never separated."""
        ...

    @property
    def chance(self) -> float:
        """The accuracy of a blind choice."""
        ...

    @property
    def texts(self) -> list[str]:
        """The texts that are asked about, each once."""
        ...

    @property
    def read_texts(self) -> list[str]:
        """The texts that the model reads for them, each once."""
        ...

    def margins(self) -> Floats:
        """Return the margin of the right answer over the best other one, ``(num_cases,)``.

        The model is asked anew, with the changes in force at that moment.
        """
        ...


def accuracy_of(margins: Floats) -> float:
    """Return how often the right answer is ahead; a tie counts half.

    Example:
        >>> accuracy_of(np.array([0.5, -1.0, 0.0, 2.0]))
        0.625
    """
    return float(credit_of(margins).mean())


def credit_of(margins: Floats) -> Floats:
    """Return for each case 1 where the right answer is ahead, a half for a tie, else 0."""
    credit: Floats = np.where(margins > 0, 1.0, np.where(margins == 0, 0.5, 0.0))
    return credit


def load_to_ask(name: Model | str, metric: str | None = None, **options: Any) -> Model:
    """Load a model with its LM head; without it, where it has none or none is wanted.

    A model without a head can only be asked by the surrogate, and reports say so.

    Args:
        name: as ``load`` takes it; a model is returned as it is.
        metric: the way the answer will be read; by default as the model's head allows.
        options: options of ``load``.

    Raises:
        ModelError: the model cannot be loaded.

    Example:
        >>> default_metric(load_to_ask("pronoun")).name
        'at-pronoun'
    """
    if isinstance(name, Model):
        return name
    if metric in METRICS and METRICS[metric].is_surrogate:
        return load_text(load(name, **options))
    try:
        model = load_text(load(name, lm_head=True, **options))
    except ModelError:
        # Not every file names a class with a head; if something else is wrong, this raises it.
        return load_text(load(name, **options))
    # Another head, such as one that classifies texts, gives no states to compare.
    return load_text(load(name, **options)) if default_metric(model).is_surrogate else model
