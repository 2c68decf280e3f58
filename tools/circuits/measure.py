"""Measure the small models on inputs that they were not trained on: the figures of their cards."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn.functional import cross_entropy

import introspect as ix
from introspect.data import grammar_cases
from introspect.functional import offset_mass, prefix_matching
from introspect.models import Model
from introspect.models.circuits import SYMBOLS, Repeated, repeated, symbols_text
from introspect.records import Head
from introspect.text import CorefCase

#: What is measured, in words, and the figure on the card.
Figures = dict[str, str]

SEED = 1000  # none of the trainings draws from it


def measured(name: str, model: Model) -> Figures:
    """Return the figures of a model."""
    return MEASURES[name](model)


def copying(model: Model) -> Figures:
    """Measure the copying models with the repetition at any place, and at a fixed one."""
    figures: Figures = {}
    for place, texts in (
        ("after a random prefix", repeated(200, SEED)),
        ("at the fixed place", repeated(200, SEED, prefix=0, period=31)),
    ):
        results = [_copied(model, text) for text in texts]
        losses, rights, matchings, previouses = zip(*results, strict=True)
        loss, right = (sum(each) / len(texts) for each in (losses, rights))
        matching, previous = (torch.stack(each).mean(0) for each in (matchings, previouses))
        figures[f"loss, {place}"] = f"{loss:.3f}"
        figures[f"right, {place}"] = f"{right:.1%}"
        figures[f"prefix-matching, {place}"] = _best(matching)
        figures[f"previous token, {place}"] = _best(previous)
    return figures


def _copied(model: Model, text: Repeated) -> tuple[float, float, torch.Tensor, torch.Tensor]:
    """Return loss, accuracy, and by head the weight on the match and on the token before."""
    record = model.capture(text.text)
    ids = torch.tensor([record.keys.token_ids])
    queries = list(text.queries)
    with torch.no_grad():
        logits = model.module(input_ids=ids).logits[0, queries]
    known = ids[0, [query + 1 for query in queries]]
    right = (logits.argmax(-1) == known).float().mean().item()
    return (
        cross_entropy(logits, known).item(),
        right,
        prefix_matching(record.attentions, queries[0], text.period),
        offset_mass(record.attentions, -1),
    )


def reversal(model: Model) -> Figures:
    """Measure the reversing model: its accuracy, and how far it attends in reverse order."""
    generator = random.Random(SEED)
    right, weights = [], []
    for _ in range(200):
        symbols = generator.choices(SYMBOLS, k=generator.randint(3, 16))
        text, backwards = symbols_text(symbols), symbols_text(symbols[::-1])
        written = model.capture(text, generate={"max_new_tokens": 20, "do_sample": False})
        right.append(written.queries.texts[-1].split() == symbols[::-1])
        record = model.capture(text, target=backwards)
        steps = range(len(symbols))
        mirrored = [len(symbols) - 1 - step for step in steps]
        weights.append(record.attentions[:, :, list(steps), mirrored].mean(-1))
    return {
        "right, whole sequences": f"{sum(right) / len(right):.1%}",
        "cross-attention on the anti-diagonal": _best(torch.stack(weights).mean(0)),
    }


def pronoun(num_nouns: int, count: int) -> Callable[[Model], Figures]:
    """Measure the pronoun models on pairs of nouns that were held out of training."""

    def figures_of(model: Model) -> Figures:
        figures: Figures = {}
        for language in ("en", "zh"):
            cases = grammar_cases(count, language, SEED, num_nouns=num_nouns)
            figures[f"right, {language}"] = f"{answered(model, cases):.1%}"
            for name, value in _scored(model, cases).items():
                figures[f"{name}, {language}"] = value
            if num_nouns > 100:
                for head in (Head(0, 0), Head(1, 0)):
                    with silenced(model, head):
                        right = answered(model, cases)
                    figures[f"right with {head} silenced, {language}"] = f"{right:.1%}"
        return figures

    return figures_of


def answered(model: Model, cases: Sequence[CorefCase]) -> float:
    """Return how often the model names the antecedent at the pronoun."""
    right = 0
    for case in cases:
        tokens = model.tokens(case.text)
        place = tokens.offsets.index(case.pronoun)
        with torch.no_grad():
            logits = model.module(input_ids=torch.tensor([tokens.token_ids])).logits
        answer = model.tokenizer.convert_ids_to_tokens(int(logits[0, place].argmax()))
        right += answer == case.extra["answer"]
    return right / len(cases)


def _scored(model: Model, cases: Sequence[CorefCase]) -> Figures:
    scores = ix.score(model, cases)
    heads = scores.heads.query("direction == 'pronoun_to_candidate'")
    best, worst = heads.loc[heads["accuracy"].idxmax()], heads.loc[heads["accuracy"].idxmin()]
    choice = scores.choice
    assert choice is not None
    mean = scores.cases.query("direction == 'pronoun_to_candidate'").groupby(["layer", "head"])
    weight = mean["antecedent_weight"].mean()
    where, largest = weight.idxmax(), weight.max()
    pairs = scores.minimal_pairs.query("direction == 'pronoun_to_candidate'")
    return {
        "most weight from the pronoun on the antecedent, in the mean": (
            f"{Head(*where)} {largest:.3f}"
        ),
        "forced choice, best head (in-sample)": _accuracy(best),
        "forced choice, worst head (in-sample)": _accuracy(worst),
        "both cases of a minimal pair right, best head (in-sample)": (
            f"{pairs['both_right'].max():.1%}"
        ),
        "forced choice, held-out choice of a head": (
            f"{choice.accuracy:.1%} ({choice.ci_low:.1%} to {choice.ci_high:.1%}), "
            f"p = {choice.p_value:.3f}"
        ),
        "nearest candidate": f"{_baseline(scores, 'nearest_preceding'):.1%}",
    }


def _accuracy(row: Any) -> str:
    return f"{Head(int(row['layer']), int(row['head']))} {row['accuracy']:.1%}"


def _baseline(scores: Any, name: str) -> float:
    return float(scores.baselines.set_index("baseline").loc[name, "accuracy"])


@contextmanager
def silenced(model: Model, head: Head) -> Iterator[None]:
    """Ablate a head of a BERT for the duration of the block."""
    module: Any = model.module
    layer = module.bert.encoder.layer[head.layer].attention
    size = layer.self.attention_head_size

    def without(_module: Any, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        heads = inputs[0].clone()
        heads[..., head.head * size : (head.head + 1) * size] = 0
        return (heads, *inputs[1:])

    handle = layer.output.dense.register_forward_pre_hook(without)
    try:
        yield
    finally:
        handle.remove()


def _best(values: torch.Tensor) -> str:
    """Return the head with the largest value, and the value."""
    layer, head = divmod(int(values.argmax()), values.shape[1])
    return f"{Head(layer, head)} {values[layer, head].item():.3f}"


MEASURES: dict[str, Callable[[Model], Figures]] = {
    "induction": copying,
    "shortcut": copying,
    "reversal": reversal,
    "pronoun": pronoun(150, 200),
    "pronoun-gated": pronoun(12, 200),
}
