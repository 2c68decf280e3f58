"""One text before and after a change of the model: attention, states, predictions, preference."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import pandas as pd
import torch

from introspect.calls import checked_call, kind_of_thing
from introspect.errors import SelectionError
from introspect.functional import total_variation
from introspect.interventions import Ablation, Intervention, ablate, module_of
from introspect.models import Model
from introspect.records import AttentionRecord, Head, HeadLike, Kind, TokenLike
from introspect.statistics import Claim
from introspect.studies.causal.answers import Answers, prepare_answers
from introspect.studies.causal.effects import CausalEffects, measure_effects
from introspect.studies.causal.metrics import Metric, load_to_ask
from introspect.studies.causal.prompts import Prompt, states_of, way_of_predicting
from introspect.text import CorefCase, Span, percent, quantity, visible

#: A change of a model: an intervention; heads, whose outputs are set to zero; or, for a change that
#: is about certain words, a function from a prompt to the intervention on its tokens.
Change = Intervention | Iterable[HeadLike] | HeadLike | Callable[[Prompt], Intervention]


@dataclass(frozen=True, eq=False)
class Preference:
    """How much a model prefers the antecedent of a case, before and after a change.

    Args:
        before: the margin of the antecedent over the best distractor, in ``metric.unit``.
        after: the same with the change.
        metric: the way the model's answer is read; ``metric.is_surrogate`` says whether the model
            was asked something other than who the pronoun refers to.
    """

    before: float
    after: float
    metric: Metric


@dataclass(frozen=True, eq=False)
class BeforeAfter:
    """A text as a model reads it before and after a change.

    Args:
        before: the attention of the unchanged model.
        after: the attention of the changed model.
        states: how far the hidden state of each token moves: ``layer``, and the columns of
            ``state_changes``, a row for each layer and token.
        predictions: the likeliest words where the model was asked, the likeliest first: ``word``
            and its probabilities ``before`` and ``after``; ``None`` if it was not asked.
        preference: for a case, how much the model prefers the antecedent.
        effects: for a case, the effect of each head alone, if that was requested.
        words: a description of the change.
    """

    before: AttentionRecord
    after: AttentionRecord
    states: pd.DataFrame
    predictions: pd.DataFrame | None
    preference: Preference | None
    effects: CausalEffects | None
    words: str

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.words}; {self.before.extent}>"

    @property
    def labels(self) -> tuple[str, str]:
        """The names of the two records, as ``ix.compare_view`` takes them."""
        return "unchanged", self.words

    @cached_property
    def attention(self) -> pd.DataFrame:
        r"""Return how much the attention of each head changes.

        .. math:: \frac{1}{n} \sum_i \frac{1}{2} \sum_j |a_{ij} - b_{ij}|

        A row for each head: ``layer``, ``head`` and ``total_variation``, from 0 (nothing changes)
        to 1 (all attention goes elsewhere); rows with a missing weight are left out of the mean.
        """
        rows = [
            (layer, head, float(total_variation(one[head], other[head]).nanmean()))
            for layer, one, other in zip(
                self.before.layers, self.before.attentions, self.after.attentions, strict=True
            )
            for head in range(self.before.num_heads)
        ]
        return pd.DataFrame(rows, columns=["layer", "head", "total_variation"])

    @property
    def most_changed(self) -> tuple[Head, float] | None:
        """The head whose attention changes most and the share that changes; else ``None``."""
        row = self.attention.loc[self.attention["total_variation"].fillna(0.0).idxmax()]
        amount = float(row["total_variation"])
        return (Head(int(row["layer"]), int(row["head"])), amount) if amount > 0 else None

    @property
    def claims(self) -> tuple[Claim, ...]:
        """Return what is claimed of the change, each sentence with the numbers behind it."""
        return (*self._of_attention(), *self._of_preference())

    def _of_attention(self) -> Iterator[Claim]:
        if (most := self.most_changed) is None:
            words = "No attention changes: no later attention reads what was changed."
            yield Claim(kind="no-changes", subject="all heads", sentence=words, estimate=0.0)
            return
        head, share = most
        yield Claim(
            kind="changes",
            subject=str(head),
            sentence=(
                f"The attention of {head} changes most: {percent(share)} of it goes elsewhere."
            ),
            estimate=share,
            rule="the head with the largest mean total variation",
        )

    def _of_preference(self) -> Iterator[Claim]:
        moved = self.preference
        if moved is None:
            return
        surrogate = ", a surrogate" if moved.metric.is_surrogate else ""
        before = Claim(
            kind="prefers: before",
            subject="the model",
            sentence=(
                f"The model prefers the antecedent by {quantity(moved.before)} "
                f"{moved.metric.unit}{surrogate}; after the change, by {quantity(moved.after)}."
            ),
            estimate=moved.before,
        )
        yield before
        yield replace(before, kind="prefers: after", estimate=moved.after)

    @property
    def last_states(self) -> pd.DataFrame:
        """The rows of ``states`` that are about the last layer."""
        is_last = self.states["layer"] == self.states["layer"].max()
        return self.states[is_last].drop(columns="layer").reset_index(drop=True)


@checked_call
def before_after(
    model: Model | str,
    text: str | CorefCase,
    change: Change,
    *,
    at: TokenLike | Span | None = None,
    target: str | None = None,
    kind: Kind | None = None,
    effects: Ablation | None = None,
    top: int = 8,
    truncation: bool = False,
) -> BeforeAfter:
    """Compare a text before and after a change of a model.

    Args:
        model: the model, or its name; what it predicts and prefers is read with its LM head
            (``ix.load(…, lm_head=True)``). Without one there are no predictions, and the
            preference is a stated surrogate.
        text: the text; or a case, whose antecedent the model may prefer.
        change: an intervention of ``ix.ablate``, ``ix.scale``, ``ix.patch``, ``ix.knock_out`` or
            ``ix.intervene``; or heads, which are ablated (``zero``); or a function from a
            ``Prompt`` to an intervention, for a change of certain words: a word that is masked to
            predict it may have fewer tokens.
        at: the word where predictions are read: a word that is masked (masked models), whose next
            one is asked for (decoders), that is written (of the target, encoder-decoders), or that
            the model was trained to answer at. By default a case's pronoun, a mask in the text, the
            end of a decoder's text, or the first word of the target; else nothing is predicted.
        target: the text that an encoder-decoder writes.
        kind: the kind of attention, for an encoder-decoder.
        effects: for a case, the method (``zero``, ``mean``, ``uniform``, ``resample``) by which
            each head is also ablated alone, to measure its effect on the preference.
        top: the number of words taken from each side.
        truncation: whether a text that is too long is truncated.

    Raises:
        SelectionError: the change is of another model or of heads it does not have; or it is about
            certain tokens, and the text is asked about with others in their place; or ``at`` is
            given, and the model predicts no word.
        InputError: the case cannot be asked.
        IntrospectError: the text cannot be captured, or the model not changed in this way.

    Example:
        >>> import introspect as ix
        >>> model = ix.load("pronoun", lm_head=True)
        >>> text = "The fox did not cross the river because it was too wide."
        >>> moved = ix.before_after(model, text, "L1H0", at="it")
        >>> moved.predictions.round(2).iloc[0].to_dict()
        {'word': 'river', 'before': 1.0, 'after': 0.0}
        >>> moved.most_changed is None  # no attention comes after the last layer
        True
    """
    if isinstance(change, Intervention) and not isinstance(model, Model):
        raise SelectionError(
            f"Expected the model that the intervention changes, got {kind_of_thing(model)}, which "
            "would be loaded anew. Load it once: model = ix.load(name, lm_head=True); "
            "ix.before_after(model, text, ix.ablate(model, heads))."
        )
    model = load_to_ask(model)
    case = text if isinstance(text, CorefCase) else None
    if case is None and effects is not None:
        raise SelectionError("Expected a case beside `effects`, which are on its preference.")
    read = text.text if isinstance(text, CorefCase) else text
    options: dict[str, Any] = {"target": target, "kind": kind, "truncation": truncation}
    before = model.capture(read, **options)
    kind = before.kind
    prompt = Prompt.of(model, read, target=target, truncation=truncation)
    asked = _asked(prompt, case, at)
    intervention = _intervention(change, prompt, kind)
    answers = None if case is None else _answers(model, case, intervention)
    output = prompt.output()
    with intervention:
        after, changed = model.capture(read, **options), prompt.output()
    predictions = None
    if asked is not None and asked.inputs is prompt.inputs:
        predictions = _predictions(asked, output, changed, top)
    elif asked is not None:
        predictions = _predictions_apart(asked, _at_other_tokens(change, intervention, asked), top)
    return BeforeAfter(
        before=before,
        after=after,
        states=_states(output, changed, prompt.tokens.tokens),
        predictions=predictions,
        preference=None if answers is None else _preference(answers, intervention),
        effects=measure_effects(answers, method=effects, kind=kind)
        if answers and effects
        else None,
        words=intervention.words,
    )


def _asked(prompt: Prompt, case: CorefCase | None, at: TokenLike | Span | None) -> Prompt | None:
    """Return the prompt at the word that is asked for; by default a case's pronoun."""
    if at is None and case is not None and way_of_predicting(prompt.model) in ("masked", "at"):
        at = case.pronoun
    asked = prompt.at(at)
    if asked is None and at is not None:
        remedy = (
            "Give what it writes, as `target`"
            if prompt.model.has_unembedding
            else prompt.model.lm_head_advice
        )
        raise SelectionError(
            f"Expected a model that predicts a word, for at={at!r}, but {prompt.model.name} "
            f"predicts none. {remedy}, or leave `at` out."
        )
    return asked


def _intervention(change: Change, prompt: Prompt, kind: Kind | None) -> Intervention:
    if not isinstance(change, Intervention):
        if not callable(change):
            return ablate(prompt.model, change, kind=kind)
        change = change(prompt)
    if change.module is not module_of(prompt.model):
        raise SelectionError(
            f"Expected a change of {prompt.model.name}, got one of another "
            f"{type(change.module).__name__}. Make it for the model that reads the text."
        )
    return change


def _answers(model: Model, case: CorefCase, intervention: Intervention) -> Answers:
    """Prepare a case to be asked, unless that puts other tokens where the change is."""
    answers = prepare_answers(model, [case])
    if _is_placed(intervention) and answers.read_texts != [case.text]:
        raise SelectionError(
            f"Expected a change of all tokens beside a case, got one of certain positions "
            f"({intervention.words}): by {answers.metric.name!r} the model is asked about texts "
            "that have other tokens there. Give the case's text alone."
        )
    return answers


def _at_other_tokens(change: Change, intervention: Intervention, asked: Prompt) -> Intervention:
    """Return the change of a text in which a word is masked, which may have other tokens."""
    if callable(change):
        return change(asked)
    if _is_placed(intervention):
        raise SelectionError(
            "Expected a function from a prompt to an intervention, got one of certain positions "
            f"({intervention.words}): with a word masked, the text may have other tokens there. "
            "Give for example lambda prompt: ix.knock_out(model, [(prompt.pieces('it')[0], 0)])."
        )
    return intervention


def _is_placed(intervention: Intervention) -> bool:
    return any(edit.by_position for edit in intervention.edits)


def _states(before: Any, after: Any, tokens: Sequence[str]) -> pd.DataFrame:
    tables = [
        state_changes(one[0], other[0], tokens).assign(layer=layer)
        for layer, (one, other) in enumerate(zip(states_of(before), states_of(after), strict=True))
    ]
    return pd.concat(tables, ignore_index=True)[["layer", *tables[0].columns[:-1]]]


def state_changes(before: torch.Tensor, after: torch.Tensor, tokens: Sequence[str]) -> pd.DataFrame:
    r"""Compute how far the hidden state of each token moves.

    With :math:`h_i` and :math:`h_i'` its states after a layer, before and after a change:

    .. math:: \frac{\lVert h_i' - h_i \rVert}{\lVert h_i \rVert} \quad \text{and} \quad
        \frac{h_i \cdot h_i'}{\lVert h_i \rVert \lVert h_i' \rVert}

    Args:
        before: states before the change, ``(length, hidden_size)``.
        after: states after the change, of the same shape.
        tokens: the tokens of the states.

    Returns:
        A row for each token: ``position``, ``token``, ``moved`` (0: not at all), and ``cosine``.

    Example:
        >>> table = state_changes(torch.tensor([[3.0, 4.0]]), torch.tensor([[3.0, 0.0]]), ["a"])
        >>> table[["moved", "cosine"]].round(3).to_numpy().tolist()
        [[0.8, 0.6]]
    """
    one, other = before.double(), after.double()
    return pd.DataFrame(
        {
            "position": range(len(tokens)),
            "token": [visible(token) for token in tokens],
            "moved": ((other - one).norm(dim=-1) / one.norm(dim=-1)).tolist(),
            "cosine": torch.cosine_similarity(one, other, dim=-1).tolist(),
        }
    )


def _predictions(asked: Prompt, before: Any, after: Any, top: int) -> pd.DataFrame:
    one, other = asked.probabilities(before), asked.probabilities(after)
    likeliest = list(
        dict.fromkeys(
            [
                *one.topk(min(top, len(one))).indices.tolist(),
                *other.topk(min(top, len(other))).indices.tolist(),
            ]
        )
    )
    table = pd.DataFrame(
        {
            "word": [asked.word(number) for number in likeliest],
            "before": one[likeliest].tolist(),
            "after": other[likeliest].tolist(),
        }
    )
    largest = table[["before", "after"]].max(axis=1)
    order = largest.sort_values(ascending=False, kind="stable").index
    return table.loc[order].reset_index(drop=True)


def _predictions_apart(asked: Prompt, intervention: Intervention, top: int) -> pd.DataFrame:
    """Compare predictions on a prompt that differs from the text, so that it is run itself."""
    before = asked.output()
    with intervention:
        after = asked.output()
    return _predictions(asked, before, after, top)


def _preference(answers: Answers, intervention: Intervention) -> Preference:
    before = answers.margins()
    with intervention:
        after = answers.margins()
    return Preference(float(before[0]), float(after[0]), answers.metric)
