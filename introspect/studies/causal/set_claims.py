"""What is claimed of a small set of heads, and of the head that is chosen by its attention."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from introspect.records import Head
from introspect.statistics import Claim
from introspect.studies.causal.head_claims import Effects, Found, ends
from introspect.studies.causal.smallest import SmallestSet
from introspect.text import counted, listed, percent, quantity, verb


def set_claims(study: Found) -> list[Claim]:
    """Return the claims on the small set of heads, where one is searched."""
    found = study.smallest
    if found is None:
        return []
    is_faithful = found.reached and found.low > 0
    first = Claim(
        kind="faithful" if is_faithful else "no-faithful",
        subject=", ".join(map(str, found.heads)) or "any set of heads",
        sentence=found.words,
        estimate=found.faithfulness,
        low=found.low,
        high=found.high,
        n=found.n,
        rule=f"a faithfulness of {found.wanted} on the half that the set was found on",
    )
    if found.steps.empty:
        shown = found.total_low > 0
        total = first.beside("total", found.total, low=found.total_low, high=found.total_high)
        return [first] if shown else [first, total]
    rows = [first, first.beside("random", found.random), first.beside("heads", len(found.heads))]
    return [*rows, first.beside("wanted", found.wanted), *_of_set(found, first)]


def _of_set(found: SmallestSet, first: Claim) -> list[Claim]:
    """Return the further figures of a set: its completeness, and sets drawn at random."""
    it = verb(len(found.heads), "it", "them")
    left = ends(found.incompleteness, found.incompleteness_low, found.incompleteness_high)
    faithfulness = replace(
        first,
        kind="faithfulness",
        sentence=(
            f"Faithfulness is {ends(found.faithfulness, found.low, found.high)}: 0 is the margin "
            "with all heads ablated, 1 that of the whole model. With all heads but "
            f"{it}, {left} is left, which is 0 for a complete set."
        ),
        rule="",
    )
    incompleteness = faithfulness.beside(
        "left",
        found.incompleteness,
        low=found.incompleteness_low,
        high=found.incompleteness_high,
    )
    rows = [faithfulness, incompleteness]
    if found.needless:
        needless = "Without {} the set is not shown to be less faithful."
        rows.append(
            Claim(
                kind="no-needed",
                subject=", ".join(map(str, found.needless)),
                sentence=needless.format(listed(found.needless, "or")),
                n=found.n,
            )
        )
    if found.num_random:
        random = Claim(
            kind="as-faithful",
            subject=f"{counted(found.num_random, 'random set')}",
            sentence=(
                f"Of {counted(found.num_random, 'random set')} of as many heads, each on one case, "
                f"{percent(found.as_faithful)} are at least as faithful."
            ),
            estimate=found.as_faithful,
            n=found.num_random,
        )
        rows.append(random)
    return rows


def chosen_claims(study: Found) -> list[Claim]:
    """Say what the head chosen by its attention on other cases does on these."""
    chosen = study.chosen
    if chosen is None:
        return []
    names, unit = list(dict.fromkeys(chosen.heads)), study.heads.attrs["unit"]
    verdict = _of_chosen(study, chosen, names)
    against = ends(chosen.difference, chosen.difference_low, chosen.difference_high)
    difference = "" if math.isnan(chosen.control) else f", difference {against}"
    claim = Claim(
        kind=f"chosen: {_side(chosen)}",
        subject=" and ".join(map(str, names)),
        sentence=(
            "Chosen by its attention on one half of the cases, and ablated on the other: "
            f"{' and '.join(map(str, names))}, effect "
            f"{ends(chosen.effect, chosen.ci_low, chosen.ci_high)} {unit}, "
            f"{_beside(chosen.control, names, unit)}{difference}. Held out, {verdict}."
        ),
        estimate=chosen.effect,
        low=chosen.ci_low,
        high=chosen.ci_high,
        n=chosen.n,
        groups=study.ability.groups,
        rule="the 95% interval of the held-out effect; one test, not corrected for other heads",
    )
    if math.isnan(chosen.control):
        return [claim]
    control = claim.beside("control", chosen.control)
    return [
        claim,
        control,
        claim.beside(
            "difference", chosen.difference, low=chosen.difference_low,
            high=chosen.difference_high,
        ),
    ]  # fmt: skip


def _side(chosen: Effects) -> str:
    return "above 0" if chosen.ci_low > 0 else "below 0" if chosen.ci_high < 0 else "no effect"


def _of_chosen(study: Found, chosen: Effects, names: Sequence[Head]) -> str:
    """Say what the held-out effect shows, and how that goes with the verdict of all heads."""
    it = verb(len(names), "its effect", "their effect")
    if not study.ability.is_above_chance:
        verdict = "there is no verdict on an ability that is not shown"
    elif (side := _side(chosen)) == "no effect":
        verdict = f"{it} is not shown to differ from 0"
    else:
        verdict = f"{it} is {side}: one test, of {_chosen_of(names)} alone"
    if not study.heads["attends"].astype(bool).any():
        verdict += "; but no head is shown to attend to the antecedent, and one had to be chosen"
    return verdict


def _chosen_of(names: Sequence[Head]) -> str:
    return verb(len(names), "this head", "these heads")


def _beside(control: float, heads: Sequence[Head], unit: str) -> str:
    """Describe the control of a head, or of two, in a sentence."""
    layers = sorted({head.layer for head in heads})
    if math.isnan(control):
        return "the only head of the layer"
    of = f"{verb(len(layers), 'layer', 'layers')} {listed(layers)}"
    return f"the other heads of {of}: {quantity(control)} {unit}"
