"""What each head of a circuit does, by ablation over every text of its language.

A head is ablated on all texts, alone; in circuits whose heads stand in for one another also in
pairs. What the head was built to do is not asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from benchmarks.circuits.kinds import Circuit
from benchmarks.circuits.plain import Floats, Method, Place, PlainRun

#: Kinds whose heads may stand in for one another: their pairs are ablated as well.
IN_PAIRS = ("equal movers", "backup")
#: Of the model's margin: a head whose effect is at least this large matters,
LARGE = 0.05
#: and one with less than this is idle. Between the two nothing is scored.
SMALL = 0.01
#: What two heads do together beyond the sum of what each does, from which on they are redundant.
JOINT = 0.2
# Texts on which pairs are ablated: there are many pairs.
_TEXTS_OF_PAIRS = 120


@dataclass(frozen=True, eq=False)
class Truth:
    """The truth about a circuit.

    Args:
        heads: one row for each head: layer, head, role (what was built), effect (in nats, the mean
            over all texts), spread, does (``supports``, ``opposes``, ``redundant``, ``idle`` or
            ``between``), attends (true, false, or ``None`` between the two).
        accuracy: the model's, over all texts.
        margin: its mean margin.
        scale: what the sizes of effects are compared with.
    """

    heads: pd.DataFrame
    accuracy: float
    margin: float
    scale: float


def truth_of(circuit: Circuit, method: Method = "zero") -> Truth:
    """Measure a circuit.

    Args:
        circuit: the circuit.
        method: how a head is ablated.
    """
    run = PlainRun(circuit.body, circuit.texts)
    weights = np.array([text.weight for text in circuit.texts])
    clean = run.margins()
    margin = float(weights @ clean)
    # A model that does not prefer any side has no margin of its own: 1 nat is its measure.
    scale = max(abs(margin), 1.0)
    lost = np.stack([clean - run.margins([place], method) for place in run.places], 1)
    effects = weights @ lost
    redundant = (
        _redundant(circuit, run.places, scale, method) if circuit.kind in IN_PAIRS else set()
    )
    rows = pd.DataFrame(
        {
            "layer": [layer for layer, _ in run.places],
            "head": [head for _, head in run.places],
            "role": [circuit.roles[place] for place in run.places],
            "effect": effects,
            "spread": np.sqrt(weights @ (lost - effects) ** 2),
            "does": [
                _does(effect / scale, place in redundant)
                for effect, place in zip(effects, run.places, strict=True)
            ],
            "attends": _attending(run, weights),
        }
    )
    return Truth(rows, float(weights @ ((clean > 0) + (clean == 0) / 2)), margin, scale)


def _does(effect: float, is_redundant: bool) -> str:
    if abs(effect) >= LARGE:
        return "supports" if effect > 0 else "opposes"
    if is_redundant:
        return "redundant"
    return "idle" if abs(effect) < SMALL else "between"


def _redundant(circuit: Circuit, places: list[Place], scale: float, method: Method) -> set[Place]:
    """Find heads whose loss is made up for by another one: together they do more than in sum."""
    random = np.random.default_rng(circuit.seed)
    weights = np.array([text.weight for text in circuit.texts])
    count = min(_TEXTS_OF_PAIRS, len(weights))
    chosen = random.choice(len(weights), count, replace=False, p=weights / weights.sum())
    run = PlainRun(circuit.body, [circuit.texts[number] for number in chosen])
    clean = run.margins()

    def effect(*without: Place) -> float:
        return float((clean - run.margins(without, method)).mean())

    alone = {place: effect(place) for place in places}
    found: set[Place] = set()
    for pair in combinations(places, 2):
        if effect(*pair) - alone[pair[0]] - alone[pair[1]] >= JOINT * scale:
            found |= set(pair)
    return found


def _attending(run: PlainRun, weights: Floats) -> list[bool | None]:
    """Say of each head whether it attends to the antecedent from the pronoun.

    It does if it prefers the antecedent clearly more often than any rule that does not read, and
    gives it at least twice what the distractor gets on the median text.
    """
    given, _ = run.attention()
    right = (given[:, :, 0] > given[:, :, 1]) + (given[:, :, 0] == given[:, :, 1]) / 2
    accuracy = weights @ right
    rules = _rules(run, weights)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.median(given[:, :, 0] / given[:, :, 1], axis=0)
    found: list[bool | None] = []
    for own, ratio in zip(accuracy, ratios, strict=True):
        if own <= rules + 0.02 or ratio < 1.2:
            found.append(False)
        else:
            found.append(True if own >= rules + 0.1 and ratio >= 2 else None)
    return found


def _rules(run: PlainRun, weights: Floats) -> float:
    """Return the accuracy of the best rule that does not read: nearest, first, fewest words."""
    nearest = float(weights @ [text.is_nearest for text in run.texts])
    sizes = [(len(text.antecedent), len(text.distractor)) for text in run.texts]
    shorter = float(weights @ [(own < other) + (own == other) / 2 for own, other in sizes])
    offsets = np.array([len(text.words) - 1 - text.antecedent[0] for text in run.texts])
    others = np.array([len(text.words) - 1 - text.distractor[0] for text in run.texts])
    fixed = [
        float(weights @ ((abs(offsets - at) < abs(others - at)) + (offsets == others) / 2))
        for at in np.unique(offsets)
    ]
    return max(0.5, nearest, 1 - nearest, shorter, *fixed)
