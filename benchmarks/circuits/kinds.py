"""Ten kinds of circuit, each drawn from a seed: which code, how large, and who stands where."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from benchmarks.circuits import parts
from benchmarks.circuits.anatomy import FAMILIES, Body, HeadSlot, empty_body
from benchmarks.circuits.language import FILLERS, Layout, Text, every_text

_MOST_LAYERS = 4
_HEADS = (2, 4, 6, 8, 16)
#: A larger model would only take longer: its idle heads are all alike.
_MOST_HEADS = 16
Place = tuple[int, int]


@dataclass(frozen=True)
class Wanted:
    """A head to build.

    Args:
        role: what it does, in one word.
        step: heads of a later step stand in a later layer.
        write: how strongly it writes.
    """

    role: str
    step: int
    write: float = 1.0


@dataclass(frozen=True)
class Plan:
    """A circuit before it is built.

    Args:
        wanted: its heads.
        nearest: the share of texts whose antecedent is the nearest candidate.
        shorter: the share whose antecedent is the shorter one; ``None`` where all have one word.
        family: the code, where it matters.
    """

    wanted: tuple[Wanted, ...]
    nearest: float = 0.5
    shorter: float | None = None
    family: str | None = None


@dataclass(frozen=True, eq=False)
class Circuit:
    """A model made by hand, and the language that it reads.

    Args:
        kind: one of ``KINDS``.
        seed: what it was drawn from.
        body: the model.
        roles: what each head was built to do, by layer and head. It is no truth: that is measured.
        texts: all texts.
        precision: ``float32`` or ``float16``.
    """

    kind: str
    seed: int
    body: Body
    roles: dict[Place, str]
    texts: list[Text] = field(repr=False)
    precision: str

    @property
    def name(self) -> str:
        """The kind, the seed and the model in a few words."""
        body = self.body
        size = f"{len(body.attentions)} × {body.heads} heads"
        return f"{self.kind} {self.seed}: {body.family}, {size}, {self.precision}"


def _chain(random: np.random.Generator) -> Plan:
    if random.random() < 0.5:
        return Plan((Wanted("previous", 0), Wanted("mover", 1)))
    return Plan((Wanted("previous", 0), Wanted("relay", 1), Wanted("keeper", 2)))


def _equal(random: np.random.Generator) -> Plan:
    count = int(random.integers(2, 5))
    return Plan((Wanted("previous", 0), *[Wanted("mover", 1, 1.2 / count)] * count))


def _strong_and_weak(random: np.random.Generator) -> Plan:
    return Plan((Wanted("previous", 0), Wanted("mover", 1), Wanted("mover", 1, 0.25)))


def _suppressor(random: np.random.Generator) -> Plan:
    return Plan((Wanted("previous", 0), Wanted("mover", 1), Wanted("mover", 1, -0.4)))


def _backup(random: np.random.Generator) -> Plan:
    write = float(random.choice([0.6, 1.0]))
    wanted = (Wanted("previous", 0), Wanted("mover", 1), Wanted("backup", 2, write))
    return Plan(wanted)


def _looker(random: np.random.Generator) -> Plan:
    return Plan((Wanted("previous", 0), Wanted("mover", 1), Wanted("looker", 1, 0.0)))


def _position(random: np.random.Generator) -> Plan:
    return Plan((Wanted("nearest", 0),), nearest=0.8)


def _length(random: np.random.Generator) -> Plan:
    wanted = (Wanted("previous", 0), Wanted("mover", 1), Wanted("letters", 1, 0.0))
    return Plan(wanted, shorter=0.8, family="bart")


def _conflict(random: np.random.Generator) -> Plan:
    wanted = (Wanted("previous", 0), Wanted("mover", 1, 0.7), Wanted("nearest", 1, 0.5))
    return Plan(wanted, nearest=float(random.choice([0.2, 0.8])))


def _nobody(random: np.random.Generator) -> Plan:
    lookers = (Wanted("previous", 0), Wanted("looker", 1, 0.0))
    return Plan(lookers if random.random() < 0.5 else ())


#: What is planted, by the name of the kind.
KINDS: dict[str, Callable[[np.random.Generator], Plan]] = {
    "chain": _chain,
    "equal movers": _equal,
    "strong and weak": _strong_and_weak,
    "suppressor": _suppressor,
    "backup": _backup,
    "idle looker": _looker,
    "position reader": _position,
    "length reader": _length,
    "two cues": _conflict,
    "nobody": _nobody,
}


def circuit(kind: str, seed: int, *, most_heads: int = _MOST_HEADS) -> Circuit:
    """Draw and build a circuit.

    Args:
        kind: one of ``KINDS``.
        seed: decides everything else.
        most_heads: heads of the whole model at most.
    """
    random = np.random.default_rng([seed, list(KINDS).index(kind)])
    plan = KINDS[kind](random)
    family = plan.family or str(random.choice(FAMILIES))
    layers, heads = _size(random, plan, family, most_heads)
    body = empty_body(family, layers, heads)
    places = _permuted(random, plan.wanted, body)
    with torch.no_grad():
        _build(body, places, int(random.integers(2**31)), float(random.uniform(0.1, 0.25)))
    precision = "float16" if random.random() < 0.25 else "float32"
    body.module.to(getattr(torch, precision))
    roles = {(layer, head): "idle" for layer in range(layers) for head in range(heads)}
    roles |= {place: wanted.role for place, wanted in places.items()}
    layouts = _layouts(random, 2 if plan.shorter is None else 1)
    texts = every_text(layouts, nearest=plan.nearest, shorter=plan.shorter)
    return Circuit(kind, seed, body, roles, texts, precision)


def _size(random: np.random.Generator, plan: Plan, family: str, most_heads: int) -> tuple[int, int]:
    """Draw how many layers and heads: enough for what is planted, and else no more than allowed."""
    steps = 1 + max((wanted.step for wanted in plan.wanted), default=0)
    of_a_step = max((sum(w.step == s for w in plan.wanted) for s in range(steps)), default=1)
    fewest = 2 * of_a_step if "grouped" in family else of_a_step
    enough = [
        (layers, heads)
        for layers in range(steps, _MOST_LAYERS + 1)
        for heads in _HEADS
        if heads >= fewest
    ]
    allowed = [(layers, heads) for layers, heads in enough if layers * heads <= most_heads]
    sizes = allowed or enough[:1]
    return sizes[int(random.integers(len(sizes)))]


def _permuted(
    random: np.random.Generator, wanted: Sequence[Wanted], body: Body
) -> dict[Place, Wanted]:
    """Draw a place for each head; two that are built never share keys and values."""
    steps = 1 + max((one.step for one in wanted), default=0)
    layers = sorted(random.permutation(len(body.attentions))[:steps].tolist())
    found: dict[Place, Wanted] = {}
    for step, layer in enumerate(layers):
        free = list(random.permutation(body.heads))
        for one in (one for one in wanted if one.step == step):
            head = int(free[0])
            found[layer, head] = one
            free = [other for other in free if body.group(other) != body.group(head)]
    return found


def _build(body: Body, places: dict[Place, Wanted], seed: int, spread: float) -> None:
    random = torch.Generator().manual_seed(seed)
    for place, wanted in places.items():
        _BUILD[wanted.role](body.slot(*place), wanted.write, parts.fair_noise(random, spread))
    built = {(layer, body.group(head)) for layer, head in places}
    for layer in range(len(body.attentions)):
        for head in range(body.heads):
            if (layer, head) not in places:
                place = layer, body.group(head)
                noise = parts.fair_noise(random, 0.4)
                parts.idle(body.slot(layer, head), random, noise, shares=place in built)
                built.add(place)


_Builder = Callable[[HeadSlot, float, torch.Tensor], None]
_BUILD: dict[str, _Builder] = {
    "previous": lambda slot, write, noise: parts.previous(slot),
    "mover": parts.mover,
    "looker": parts.mover,
    "relay": lambda slot, write, noise: parts.mover(slot, write, 0 * noise, kept=True),
    "backup": lambda slot, write, noise: parts.mover(slot, write, noise, gives_way=True),
    "keeper": parts.keeper,
    "nearest": parts.nearest,
    "letters": lambda slot, write, noise: parts.letters(slot, noise),
}


def _layouts(random: np.random.Generator, count: int) -> list[Layout]:
    """Draw different layouts."""
    found: list[Layout] = []
    while len(found) < count:
        before, between = int(random.integers(0, 4)), int(random.integers(0, 2))
        words = random.choice(FILLERS, before + between).tolist()
        layout = Layout(tuple(words[:before]), tuple(words[before:]))
        if layout not in found:
            found.append(layout)
    return found


def with_texts(one: Circuit, texts: list[Text]) -> Circuit:
    """Return the same circuit with other texts."""
    return replace(one, texts=texts)
