"""How often a causal study says what is false, and how often it finds what is there.

    python benchmarks/causal_claims.py effects [--studies 200]
    python benchmarks/causal_claims.py attending [--models 10]
    python benchmarks/causal_claims.py cost [--times 3]

``effects``: drawn effects of 72 heads, of which none is real, or some are known. ``attending``:
models with random weights, on cases whose antecedent is always the nearer candidate, mostly, or
in half of them. ``cost``: the processor time of ``ix.causal_study`` with all of its parts, of 72
heads and 40 cases, as a ratio to that of asking with each head ablated, in alternating order.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
import transformers as tf

import introspect as ix
from introspect.data import grammar_cases
from introspect.models import Model
from introspect.statistics import effect_test
from introspect.studies.causal import attending, prepare_answers, verdicts

LAYERS, HEADS = 6, 12
SIGMA = 0.5


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=tuple(PARTS))
    parser.add_argument("--studies", type=int, default=200)
    parser.add_argument("--models", type=int, default=10)
    parser.add_argument("--times", type=int, default=3)
    options = parser.parse_args()
    PARTS[options.what](options)


def effects(options: argparse.Namespace) -> None:
    """Print studies with a false verdict, and true effects that are found."""
    for kind in ("noise", "harmful head a layer", "skewed to the right", "skewed to the left"):
        for n in (20, 60, 100):
            found = [one_study(kind, n, seed) for seed in range(options.studies)]
            wrong = np.mean([any_wrong for any_wrong, _ in found])
            print(f"{kind}, {n} groups: a false verdict in {wrong:.1%} of studies", flush=True)
    for kind in ("one head of 0.8 sd", "four equal heads of 0.8 sd"):
        found = [one_study(kind, 100, seed) for seed in range(options.studies)]
        share = np.mean([right for _, right in found])
        print(f"{kind}, 100 groups: {share:.1%} of heads found", flush=True)
    for n in (20, 60, 100):
        print(f"detectable size, {n} groups: found in {power(n, options.studies):.1%}", flush=True)


def one_study(kind: str, n: int, seed: int, draws: int = 2_000) -> tuple[bool, float]:
    """Return whether a head is called what it is not, and the share of true effects found."""
    values, true = drawn(kind, n, seed)
    test = effect_test(values, range(n), draws=draws, seed=seed)
    said = np.where(test.p_adjusted < 0.05, np.sign(values.mean(0)), 0)
    wrong = bool(((said != 0) & (said != np.sign(true))).any())
    return wrong, float((said == np.sign(true))[true != 0].mean()) if true.any() else float("nan")


def drawn(kind: str, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return effects, ``(n, 72)``, and the true mean of each head."""
    random = np.random.default_rng([seed, n])
    true = np.zeros(LAYERS * HEADS)
    values = random.normal(size=(n, LAYERS * HEADS))
    if kind.startswith("skewed"):
        values = random.lognormal(0, SIGMA, values.shape) - np.exp(SIGMA**2 / 2)
        values *= -1 if kind.endswith("left") else 1
    if kind == "harmful head a layer":
        true[::HEADS] = -1
    if kind == "one head of 0.8 sd":
        true[0] = 0.8
    if kind == "four equal heads of 0.8 sd":
        true[:4] = 0.8
    return values + true, true


def power(n: int, studies: int) -> float:
    """Return how often an effect of the size that a study without any names is found."""
    found = []
    for seed in range(studies):
        noise, _ = drawn("noise", n, seed)
        named = float(np.median(effect_test(noise, range(n), draws=1_000, seed=seed).detectable))
        again, _ = drawn("noise", n, seed + 100_000)
        again[:, 0] += named
        found.append(effect_test(again, range(n), draws=1_000, seed=seed).p_adjusted[0] < 0.05)
    return float(np.mean(found))


def attending_by_chance(options: argparse.Namespace) -> None:
    """Print random models in which a head is said to attend to the antecedent."""
    tokenizer = ix.load("pronoun").tokenizer
    for name, cases in one_sided_sets().items():
        groups = [case.group for case in cases]
        for kind in ("bert", "gpt2"):
            said = 0
            for seed in range(options.models):
                scores = ix.score(random_model(kind, tokenizer, seed), cases)
                said += bool(attending(scores, cases, groups)["attends"].any())
            print(f"{name}, {kind}: a head “attends” in {said} of {options.models} models")


def one_sided_sets() -> dict[str, list]:
    """Return 40 cases whose antecedent is the nearer candidate always, mostly, or in half."""
    cases = list(grammar_cases(120, "en", seed=1000))
    nearer = [case for case in cases if case.candidates[1].antecedent]
    farther = [case for case in cases if not case.candidates[1].antecedent]
    return {
        "the antecedent always nearer": nearer[:40],
        "nearer in 70%": nearer[:28] + farther[:12],
        "minimal pairs": cases[:40],
    }


def random_model(kind: str, tokenizer: object, seed: int) -> Model:
    """Return a model of three layers of six heads with random weights."""
    torch.manual_seed(seed)
    size = len(tokenizer)
    if kind == "bert":
        config = tf.BertConfig(
            vocab_size=size, hidden_size=48, num_hidden_layers=3, num_attention_heads=6,
            intermediate_size=48, max_position_embeddings=64,
        )  # fmt: skip
        return ix.load((tf.BertModel(config).eval(), tokenizer))
    config = tf.GPT2Config(
        vocab_size=size, n_embd=48, n_layer=3, n_head=6, n_positions=64, bos_token_id=0,
        eos_token_id=0,
    )  # fmt: skip
    return ix.load((tf.GPT2Model(config).eval(), tokenizer))


def cost(options: argparse.Namespace) -> None:
    """Print what a whole study costs, beside the ablations alone."""
    torch.set_num_threads(1)
    model = ix.load("minilm")
    cases = answered_cases(model, 20)
    # Three heads are followed up whatever is shown of them.
    verdicts.LEVEL = 1.1
    answers = prepare_answers(model, cases)
    sides: dict[str, Callable[[], object]] = {
        "each head ablated, one whole run of the cases for each": lambda: ablated_whole(answers),
        "ix.causal_effects": lambda: ix.causal_effects(model, cases),
        "ix.causal_study": lambda: ix.causal_study(model, cases),
    }
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    results = {}
    for turn in range(options.times):
        for name in list(sides)[:: 1 if turn % 2 else -1]:
            start = time.process_time()
            results[name] = sides[name]()
            seconds[name].append(time.process_time() - start)
    *alone, whole = seconds
    study = results[whole]
    print(
        f"{len(study.heads)} heads, {len(cases)} cases; followed: {len(study.followed.heads)} "
        f"heads and {len(study.followed.pairs)} pairs; a set of {len(study.smallest.heads)}; "
        f"mediation of {len(study.mediation.heads)}, by outputs and by weights"
    )
    for name in alone:
        ratios = np.array(seconds[whole]) / seconds[name]
        print(
            f"ix.causal_study: {np.median(ratios):.2f} × {name} "
            f"({', '.join(f'{ratio:.2f}' for ratio in ratios)})"
        )


def answered_cases(model: Model, pairs: int) -> list:
    """Return minimal pairs that the model answers.

    The antecedent of a case is what the model prefers, in pairs in which that differs.
    """
    cases = list(grammar_cases(20 * pairs, "en", seed=1))
    margins = prepare_answers(model, cases).margins()
    found = []
    for first in range(0, len(cases), 2):
        both = slice(first, first + 2)
        right = [
            case if margin > 0 else switched(case)
            for case, margin in zip(cases[both], margins[both], strict=True)
        ]
        marks = [[one.antecedent for one in case.candidates] for case in right]
        if marks[0] != marks[1]:
            found += right
    if len(found) < 2 * pairs:
        raise SystemExit(f"Expected {pairs} pairs that the model tells apart, got {len(found)}.")
    return found[: 2 * pairs]


def switched(case):
    """Return a case with the other antecedent."""
    others = tuple(replace(one, antecedent=not one.antecedent) for one in case.candidates)
    return replace(case, candidates=others)


def ablated_whole(answers) -> None:
    """Ask with each head ablated, by whole runs."""
    answers.margins()
    for layer in range(LAYERS):
        for head in range(HEADS):
            with ix.ablate(answers.model, (layer, head)):
                answers.margins()


PARTS = {
    "effects": effects,
    "attending": attending_by_chance,
    "cost": cost,
}

if __name__ == "__main__":
    main()
