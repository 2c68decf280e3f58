"""The methods that are scored: ours, and five others run with plain hooks on the same texts.

Each one says of every head whether it supports the right answer, opposes it, matters without saying
which way, or nothing. Where the source of a method has no cut between heads that matter and heads
that do not, the cut is ours, and stated beside it; what it is does not move the ranking.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import binomtest

import introspect as ix
from benchmarks.circuits.anatomy import Body
from benchmarks.circuits.language import Text, tokenizer
from benchmarks.circuits.plain import Floats, PlainRun, gate_gradients, patching_estimates
from benchmarks.circuits.truth import LARGE
from introspect.studies.causal import CausalStudy

LEVEL = 0.05
OURS = "introspect: causal_study"


@dataclass(frozen=True, eq=False)
class Verdicts:
    """What a method says of each head, in the order of layers and heads.

    Args:
        says: ``supports``, ``opposes``, ``redundant``, ``matters`` (no sign), ``depends on the
            method``, or an empty string.
        score: how much the head matters, to rank heads.
        attends: whether it attends to the antecedent; ``None`` where the method does not say.
        low, high: the interval of the head's effect, where there is one.
    """

    says: list[str]
    score: Floats
    attends: list[bool] | None = None
    low: Floats | None = None
    high: Floats | None = None


def study_of(
    body: Body, texts: Sequence[Text], *, seed: int = 0, batch_size: int = 32
) -> CausalStudy:
    """Run our study of a circuit on some of its texts."""
    model = ix.load((body.module, tokenizer()), lm_head=True)
    cases = [text.case(f"text {number}") for number, text in enumerate(texts)]
    return ix.causal_study(
        model, cases, share=None, minimal_pairs=False, seed=seed, batch_size=batch_size
    )


def verdicts_of(study: CausalStudy) -> Verdicts:
    """Read our verdicts: the only place that knows how a study words them.

    ``depends on the method`` is kept as it is: it counts as found for no head, and as false for an
    idle one. A head of which the study says that another stands in for it is redundant, whatever
    it does alone; one that supports the answer alone as well does that.
    """
    table = study.heads.sort_values(["layer", "head"])
    silent = ("no evidence", "no verdict")
    redundant = _standing_in(study)
    says = [
        "redundant"
        if (row.layer, row.head) in redundant and row.verdict != "supports"
        else ("" if row.verdict in silent else str(row.verdict))
        for row in table.itertuples()
    ]
    return Verdicts(
        says=says,
        score=table["effect"].abs().to_numpy(),
        attends=[bool(attends) for attends in table["attends"]],
        low=table["ci_low"].to_numpy(),
        high=table["ci_high"].to_numpy(),
    )


def _standing_in(study: CausalStudy) -> set[tuple[int, int]]:
    """Return the heads of pairs that stand in for each other."""
    pairs = study.followed.pairs
    found = pairs[pairs["relation"] == "stand in for each other"]
    return {
        place
        for row in found.itertuples()
        for place in ((row.layer, row.head), (row.other_layer, row.other_head))
    }


def ours(run: PlainRun) -> Verdicts:
    """Return our verdicts."""
    return verdicts_of(study_of(run.body, run.texts))


def largest_attention(run: PlainRun) -> Verdicts:
    """A head whose largest weight is on the antecedent in most texts; the share ranks heads."""
    return _by_place(run.attention()[1])


def largest_norm(run: PlainRun) -> Verdicts:
    """The same of the norms of what is added (Kobayashi et al. 2020)."""
    return _by_place(run.attention_norms()[1])


def _by_place(is_most: Floats) -> Verdicts:
    share = is_most.mean(0)
    looks = [bool(one > 0.5) for one in share]
    return Verdicts(["matters" if one else "" for one in looks], share, attends=looks)


def gradient_importance(run: PlainRun) -> Verdicts:
    """The mean absolute gradient of the loss by a head's gate (Michel et al. 2019).

    As there, the importance is divided by the root of the layer's sum of squares. The paper ranks
    heads and has no cut: here a head matters whose importance is above the mean of all heads.
    """
    importance = np.abs(gate_gradients(run)).mean(0).reshape(-1, run.body.heads)
    layers = np.sqrt((importance**2).sum(1, keepdims=True))
    score = (importance / np.where(layers > 0, layers, 1)).ravel()
    return Verdicts(["matters" if one > score.mean() else "" for one in score], score)


def attribution_patching(run: PlainRun) -> Verdicts:
    """Patching with the minimal pair, to first order (Nanda 2023; Syed et al. 2023).

    There is no cut either: a head is named from 5% of the mean margin on, as the truth is.
    """
    effect = patching_estimates(run).mean(0)
    scale = max(abs(float(run.margins().mean())), 1.0)
    return Verdicts(_signed(effect, np.abs(effect) >= LARGE * scale), np.abs(effect))


def sign_test(run: PlainRun) -> Verdicts:
    """Ablation of each head with a sign test of its own at 5%, without a correction for heads."""
    clean = run.margins()
    effects = np.stack([clean - run.margins([place]) for place in run.places], 1)
    p_values = np.array([_of_signs(column) for column in effects.T])
    mean = effects.mean(0)
    return Verdicts(_signed(np.sign(effects).sum(0), p_values < LEVEL), np.abs(mean))


def _of_signs(effects: Floats) -> float:
    above, below = int((effects > 0).sum()), int((effects < 0).sum())
    return float(binomtest(above, above + below).pvalue) if above + below else 1.0


def _signed(effects: Floats, is_named: Sequence[bool]) -> list[str]:
    return [
        ("supports" if effect > 0 else "opposes") if named else ""
        for effect, named in zip(effects, is_named, strict=True)
    ]


#: The methods by name.
METHODS: dict[str, Callable[[PlainRun], Verdicts]] = {
    OURS: ours,
    "largest attention": largest_attention,
    "largest norm": largest_norm,
    "gradient importance": gradient_importance,
    "attribution patching": attribution_patching,
    "sign test, no correction": sign_test,
}


def changed_runs(body: Body, texts: Sequence[Text], seed: int) -> dict[str, pd.DataFrame]:
    """Repeat our study with what should not matter changed: its seed, order and batches."""
    order = np.random.default_rng([seed, 3]).permutation(len(texts))
    studies = {
        "as it is": study_of(body, texts),
        "seed": study_of(body, texts, seed=1 + seed),
        "order of rows": study_of(body, [texts[number] for number in order]),
        "batch size": study_of(body, texts, batch_size=7),
    }
    read = {name: verdicts_of(study) for name, study in studies.items()}
    return {
        name: pd.DataFrame({"says": verdicts.says, "attends": verdicts.attends})
        for name, verdicts in read.items()
    }
