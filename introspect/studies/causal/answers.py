"""Questions about many cases, put to a model again each time it is changed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from introspect.data import Cases, as_cases
from introspect.errors import (
    InputError,
    IntrospectError,
    MentionError,
    ModelError,
    SelectionError,
)
from introspect.functional import chance
from introspect.hooks import has_own_attention, placed, ran, without_dropout
from introspect.models import Model, padded, run_inputs
from introspect.studies.causal.metrics import (
    Floats,
    Metric,
    Question,
    default_metric,
    load_to_ask,
    log_probabilities,
    metric_named,
)
from introspect.text import CorefCase

#: The number of a case that cannot be asked, and why.
Rejected = tuple[int, str]
#: A case with the model's questions about it.
Ready = tuple[CorefCase, Sequence[Question]]


@dataclass(frozen=True, eq=False)
class Batch:
    """Questions that are asked in one run: their cases and the model's inputs.

    Args:
        cases: the number of each question's case.
        questions: the questions.
        inputs: the model's inputs, ``(batch, length)``.
        mask: true for tokens that are not padding, ``(batch, length)``.
    """

    cases: tuple[int, ...]
    questions: tuple[Question, ...]
    inputs: Mapping[str, torch.Tensor]
    mask: torch.Tensor


@dataclass(frozen=True, eq=False)
class Answers:
    """Cases prepared for a model; each call asks it anew, with the changes in force at that moment.

    Args:
        model: the model.
        metric: the way its answer is read.
        cases: the cases that can be asked.
        batches: the inputs that it reads.
        rejected: the cases that cannot be asked: their number among those given, and why.
    """

    model: Model
    metric: Metric
    cases: tuple[CorefCase, ...]
    batches: tuple[Batch, ...]
    rejected: tuple[Rejected, ...] = field(default=())

    @property
    def names(self) -> list[str]:
        """The id of each case, or its number from 1, as in the tables of ``ix.score``."""
        return [
            f"case-{number}" if case.id is None else case.id
            for number, case in enumerate(self.cases, start=1)
        ]

    @property
    def texts(self) -> list[str]:
        """The cases' own texts, each once."""
        return list(dict.fromkeys(case.text for case in self.cases))

    @property
    def read_texts(self) -> list[str]:
        """The texts that the model reads, each once; in most metrics, with a candidate put in."""
        read = (one.encoded.tokens.texts[0] for batch in self.batches for one in batch.questions)
        return list(dict.fromkeys(read))

    @property
    def groups(self) -> list[str]:
        """The group of each case; a case without a group is a group of its own."""
        return [
            case.group if case.group is not None else f"\0{number}"
            for number, case in enumerate(self.cases)
        ]

    @property
    def chance(self) -> float:
        """The accuracy of a blind choice among the candidates."""
        return float(
            np.mean([chance([c.antecedent for c in case.candidates]) for case in self.cases])
        )

    def scores(self) -> Floats:
        """Return each candidate's score, ``(num_cases, most_candidates)``; NaN without one.

        Raises:
            ModelError: the model's output lacks what the metric reads.
        """
        reading = self.reading()
        for batch in self.batches:
            reading.add(batch, self.run(batch))
        return reading.scores()

    def subset(self, numbers: Sequence[int], *, batch_size: int | None = None) -> Answers:
        """Return the answers of some cases, in this order; a case may be taken several times.

        Args:
            numbers: the numbers of the cases.
            batch_size: the number of sequences that are read at once; as here by default.
        """
        questions: dict[int, list[Question]] = {number: [] for number in numbers}
        for batch in self.batches:
            for case, question in zip(batch.cases, batch.questions, strict=True):
                if case in questions:
                    questions[case].append(question)
        ready = [(self.cases[number], questions[number]) for number in numbers]
        size = max(len(batch.questions) for batch in self.batches)
        return answers_of(self.model, self.metric, ready, batch_size=batch_size or size)

    @property
    def asked(self) -> nn.Module:
        """The part of the model that is run: for a surrogate of an encoder-decoder, its encoder."""
        return self.model.reader if self.metric.is_surrogate else self.model.module

    def run(self, batch: Batch) -> Any:
        """Return the model's output on one batch, with the changes in force at the moment."""
        with torch.no_grad(), without_dropout(self.asked):
            return ran(self.asked, placed(self.asked, batch.inputs))

    def reading(self) -> AnswerReader:
        """Return an empty accumulator for the outputs of all batches."""
        return AnswerReader(self)

    def margins(self, scores: Floats | None = None) -> Floats:
        """Return the margin of the best antecedent over the best distractor, ``(num_cases,)``."""
        values = self.scores() if scores is None else scores
        return _best(values, self._is_antecedent) - _best(values, ~self._is_antecedent)

    @property
    def _is_antecedent(self) -> npt.NDArray[np.bool_]:
        most = max(len(case.candidates) for case in self.cases)
        marks = np.zeros((len(self.cases), most), dtype=bool)
        for row, case in enumerate(self.cases):
            marks[row, : len(case.candidates)] = [c.antecedent for c in case.candidates]
        return marks


def prepare_answers(
    model: Model | str,
    cases: Cases,
    metric: str | None = None,
    *,
    batch_size: int = 32,
) -> Answers:
    """Prepare cases to be asked.

    Args:
        model: the model, or its name; without its LM head the answer is a surrogate.
        cases: cases with an antecedent and a distractor: a list, the path of a file, or a
            DataFrame.
        metric: the way the answer is read; by default as the model's head allows.
        batch_size: the number of sequences that are read at once.

    Raises:
        InputError: no case can be asked.
        SelectionError: the metric does not exist, or the batch size is below 1.
    """
    model = load_to_ask(model, metric)
    chosen = default_metric(model) if metric is None else metric_named(metric)
    ready: list[Ready] = []
    rejected: list[Rejected] = []
    for number, case in enumerate(as_cases(cases)):
        try:
            ready.append((case, questions_of(model, chosen, case)))
        except ModelError:
            raise
        except IntrospectError as error:
            rejected.append((number, str(error)))
    if not ready:
        why = f" The first one: {rejected[0][1]}" if rejected else ""
        raise InputError(f"Expected at least one case that can be asked, got none.{why}")
    return answers_of(model, chosen, ready, batch_size=batch_size, rejected=rejected)


def check_batch_size(size: int) -> None:
    """Raise if batches would have no sequence.

    Raises:
        SelectionError: the size is below 1.
    """
    if size < 1:
        raise SelectionError(f"Expected `batch_size` of at least 1, got {size}.")


def questions_of(model: Model, metric: Metric, case: CorefCase) -> list[Question]:
    """Return a model's questions about one case.

    Raises:
        InputError: the case offers no choice.
        TextError, MentionError: it cannot be asked by this metric, or the questions for an
            antecedent and a distractor are the same.
    """
    if not case.is_forced_choice:
        raise InputError("Expected an antecedent and a distractor among the candidates.")
    questions = metric.questions(model, case)
    _check_told_apart(case, questions)
    return questions


def answers_of(
    model: Model,
    metric: Metric,
    ready: Sequence[Ready],
    *,
    batch_size: int = 32,
    rejected: Sequence[Rejected] = (),
) -> Answers:
    """Build answers from cases whose questions are encoded, in batches.

    Args:
        model: the model.
        metric: the metric that made the questions.
        ready: each case with its questions.
        batch_size: the number of sequences that are read at once.
        rejected: the cases that cannot be asked.

    Raises:
        SelectionError: the batch size is below 1.
    """
    check_batch_size(batch_size)
    asked = [
        (number, question) for number, (_, questions) in enumerate(ready) for question in questions
    ]
    batches = tuple(_batches(model, metric, asked, batch_size))
    return Answers(model, metric, tuple(case for case, _ in ready), batches, tuple(rejected))


def _check_told_apart(case: CorefCase, questions: Sequence[Question]) -> None:
    """Raise if a case's answer would be a tie whatever the model predicts.

    Raises:
        MentionError: the questions for an antecedent and a distractor are the same.
    """
    asked: list[list[Any]] = [[] for _ in case.candidates]
    for one in questions:
        if one.candidate is not None:
            written = None if one.written is None else one.written.tokens.token_ids
            ids = tuple(one.encoded.inputs["input_ids"][0].tolist())
            asked[one.candidate].append((ids, one.reads, written))
    for first, second in product(range(len(asked)), repeat=2):
        right, wrong = case.candidates[first], case.candidates[second]
        if right.antecedent and not wrong.antecedent and asked[first] == asked[second]:
            raise MentionError(
                "Expected an antecedent and a distractor that the model is asked apart, but for "
                f"{case.phrase(right.span)!r} and {case.phrase(wrong.span)!r} it is asked the "
                "same: no answer would prefer one. Leave the case out, or name one of them "
                "otherwise."
            )


def _batches(
    model: Model, metric: Metric, asked: Sequence[tuple[int, Question]], batch_size: int
) -> Iterable[Batch]:
    """Yield batches of questions of similar length."""
    # Sorting is stable, so batches are the same whatever the metric reads.
    order = sorted(range(len(asked)), key=lambda place: len(asked[place][1].encoded.tokens))
    for start in range(0, len(order), batch_size):
        chosen = [asked[place] for place in order[start : start + batch_size]]
        questions = tuple(question for _, question in chosen)
        inputs = padded(model.tokenizer, [question.encoded for question in questions])
        yield Batch(
            cases=tuple(case for case, _ in chosen),
            questions=questions,
            inputs=_inputs(model, metric, questions, inputs),
            mask=inputs["attention_mask"],
        )


def _inputs(
    model: Model, metric: Metric, questions: Sequence[Question], inputs: dict[str, torch.Tensor]
) -> Mapping[str, torch.Tensor]:
    if metric.is_surrogate:
        named = {name: inputs[name] for name in ("input_ids", "attention_mask")}
        return run_inputs(model.reader, named)
    written = [question.written for question in questions if question.written is not None]
    return run_inputs(model.module, inputs, padded(model.tokenizer, written) if written else None)


class AnswerReader:
    """An accumulator of what a metric reads in the outputs of batches."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        most = max(len(case.candidates) for case in answers.cases)
        self._totals = np.zeros((len(answers.cases), most))
        self._counts = np.zeros((len(answers.cases), most))
        # For a surrogate: the sentence's own state, and those with the candidates.
        self._states: dict[tuple[int, int | None], torch.Tensor] = {}

    def add(self, batch: Batch, output: Any) -> None:
        """Add what the metric reads in one output.

        Raises:
            ModelError: the output lacks what the metric reads.
        """
        if self._answers.metric.is_surrogate:
            means = _mean_states(output, batch.mask, self._answers.model)
            for case, question, mean in zip(batch.cases, batch.questions, means, strict=True):
                self._states[case, question.candidate] = mean
            return
        logits = output.get("logits") if hasattr(output, "get") else None
        if logits is None or logits.ndim != 3:
            raise ModelError(
                f"Expected logits of a language-model head for the metric "
                f"{self._answers.metric.name!r}, but {self._answers.model.name} returns none. "
                f"{self._answers.model.lm_head_advice}, or choose metric='surrogate'."
            )
        for row, (case, question) in enumerate(zip(batch.cases, batch.questions, strict=True)):
            found = log_probabilities(logits[row], question.reads)
            assert question.candidate is not None
            total = self._finite(found.sum(), case)
            self._totals[case, question.candidate] += total
            self._counts[case, question.candidate] += len(question.reads)

    def scores(self) -> Floats:
        """Return each candidate's score, ``(num_cases, most_candidates)``; NaN without one."""
        if self._answers.metric.is_surrogate:
            return self._cosines()
        counts = np.where(self._counts > 0, self._counts, np.nan)
        scores: Floats = self._totals / counts
        return scores if self._answers.metric.is_mean else scores * counts

    def _cosines(self) -> Floats:
        found = np.full(self._totals.shape, np.nan)
        for (case, candidate), state in self._states.items():
            if candidate is not None:
                own = self._states[case, None]
                cosine = torch.cosine_similarity(own, state, dim=0)
                found[case, candidate] = self._finite(cosine, case)
        return found

    def _finite(self, value: torch.Tensor, case: int) -> float:
        """Return a value that can be compared.

        Raises:
            ModelError: it is not finite, and would count as a wrong answer or as nothing.
        """
        if not math.isfinite(value):
            raise not_finite(float(value), self._answers.names[case], self._answers.model)
        return float(value)


def not_finite(value: float, asked: str, model: Model) -> ModelError:
    """Build the error for an answer that is not finite."""
    return ModelError(
        f"Expected finite numbers from {model.name}, got {value} for {asked}. In half precision a "
        "model may overflow, above all where it is changed: load it in float32 or bfloat16, and "
        "check that its weights are finite."
    )


def _mean_states(output: Any, mask: torch.Tensor, model: Model) -> torch.Tensor:
    """Average the last layer over tokens, ``(batch, hidden_size)``, in double precision."""
    states = output.get("last_hidden_state") if hasattr(output, "get") else None
    if states is None:
        remedy = (
            "Let its forward return a dictionary with them as 'last_hidden_state', (batch, length, "
            "size)"
            if has_own_attention(model.module)
            else "Load it without its LM head (lm_head=False), or choose a metric that reads its "
            "answer"
        )
        raise ModelError(
            f"Expected the states of the last layer, but {model.name} returns none. {remedy}."
        )
    weights = mask.to(states.device).double()[..., None]
    total: torch.Tensor = (states.double() * weights).sum(1) / weights.sum(1)
    return total


def _best(scores: Floats, marks: npt.NDArray[np.bool_]) -> Floats:
    values: Floats = np.where(marks, scores, -np.inf)
    best: Floats = np.nanmax(values, axis=1)
    return best
