"""Maps of heads: one role at a time, accuracies, and effects, each a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from introspect.page import Section
from introspect.studies.coreference import DIRECTIONS, EVERY_DIRECTION, Scores
from introspect.studies.heads import ATTENDS_TO, SCORES, HeadStudy
from introspect.text import counted, decimal, p_cell, percent, percent_interval
from introspect.views.base import layers_of, map_of
from introspect.views.palette import DIVERGING, SEQUENTIAL, scale_partners
from introspect.views.pictures import (
    Grid,
    Picture,
    Ranking,
    color_bar,
    described,
    head_map,
    picture_section,
    significant,
)

_MOST = 10
# All other roles are shares of a token's attention.
_UNITS = {"entropy": "bits", "distance": "tokens", "relative_entropy": "of the most"}
_COLUMNS = ("accuracy", "ci_low", "ci_high", "p_value", "p_adjusted", "n", "raw_accuracy")


def unit_of(role: str) -> str:
    """Return the unit of a role: ``bits``, ``tokens``, ``of the most`` or ``of attention``."""
    return _UNITS.get(role, "of attention")


def role_title(role: str) -> str:
    """Return a role's name as words.

    Example:
        >>> role_title("before_2")
        '2 before'
    """
    side, _, places = role.partition("_")
    return f"{places} {side}" if places.isdecimal() else role.replace("_", " ")


def role_map_section(table: pd.DataFrame, roles: Mapping[str, str], first: str) -> Section:
    """Build the section of a page that shows the map of one role of several.

    Args:
        table: of ``RolesAnalyzer.compute``.
        roles: the roles to choose from, each with a one-line description.
        first: the role that is shown first.
    """
    layers, num_heads = layers_of(table)
    pictures = {}
    for role, words in roles.items():
        values, counts = map_of(table, [role, f"n_{role}"], layers, num_heads).values()
        said = [
            [_role_words(value, unit_of(role), n, "token") for value, n in zip(*rows, strict=True)]
            for rows in zip(values, counts, strict=True)
        ]
        pictures[role] = _role_picture(role_title(role), words, unit_of(role), layers, values, said)
    return _roles_section(
        "Choose a role. A cell is the mean of a head over all tokens that count; colors run "
        "from 0 to the head that has most. Point at a head for its number.",
        pictures,
        first,
    )


def known_roles_section(study: HeadStudy) -> Section | None:
    """Build the section of a page that shows the map of known roles; ``None`` without a score.

    Args:
        study: the study of heads.
    """
    table = study.roles
    layers, num_heads = layers_of(table)
    known = [name for name in SCORES if table[name].notna().any()]
    if not known:
        return None
    pictures = {}
    for name in known:
        columns = [name, f"{name}_ci_low", f"{name}_ci_high", "n_sequences"]
        values, lows, highs, counts = map_of(table, columns, layers, num_heads).values()
        said = [
            [
                _role_words(v, "of attention", n, "sequence", ends)
                for v, n, *ends in zip(*rows, strict=True)
            ]
            for rows in zip(values, counts, lows, highs, strict=True)
        ]
        pictures[name] = _role_picture(
            SCORES[name],
            f"attention to {ATTENDS_TO[name]}",
            "of attention",
            layers,
            values,
            said,
            most=1.0,
            framed=[(layers.index(h.layer), h.head) for h in study.called(SCORES[name])],
        )
    return _roles_section(
        "Choose a role. A cell is a head’s score for it, the mean over the random sequences; "
        "colors run from 0 to all of its attention. Framed heads have the role. Point at a "
        "head for its number.",
        pictures,
        _first(study, known),
    )


def _roles_section(lead: str, pictures: Mapping[str, Picture], first: str) -> Section:
    return picture_section(
        "role-map",
        "Every head",
        lead,
        pictures,
        file="roles",
        control=("role", "Role"),
        first=first,
        partners=scale_partners(SEQUENTIAL),
    )


def _role_words(
    value: float | None, unit: str, n: int, noun: str, ends: Sequence[float | None] = (None, None)
) -> str:
    if value is None:
        return "no token can see such a key"
    return f"{_with_unit(value, unit, *ends)}, over {counted(n, noun)}"


def _with_unit(value: float, unit: str, low: float | None = None, high: float | None = None) -> str:
    if unit in ("bits", "tokens"):
        return f"{decimal(value)} {unit}"
    number, space, ends = percent_interval(value, low, high).partition(" ")
    return f"{number} {unit}{space}{ends}"


def _role_picture(
    title: str,
    words: str,
    unit: str,
    layers: Sequence[int],
    values: Grid,
    words_by_head: Grid,
    *,
    most: float | None = None,
    framed: Sequence[tuple[int, int]] = (),
) -> Picture:
    heads = [(row, head) for row, line in enumerate(values) for head in range(len(line))]
    known = [place for place in heads if values[place[0]][place[1]] is not None]
    ordered = sorted(known, key=lambda place: -values[place[0]][place[1]])
    names = [f"L{layers[row]}H{head}" for row, head in ordered]
    shown = [_with_unit(values[row][head], unit) for row, head in ordered]
    top = values[ordered[0][0]][ordered[0][1]] if ordered else 0.0
    rows = [(str(i + 1), *pair) for i, pair in enumerate(zip(names, shown, strict=True))]
    return Picture(
        head_map(
            values,
            layers,
            words_by_head,
            title=title,
            # Colors end at what the role can reach at most, or at the head with most of it.
            limits=(0, most or max(top, 0.0) or 1.0),
            scale=SEQUENTIAL,
            bar=color_bar(unit),
            framed=framed,
        ),
        label=title,
        first=names[0] if names else "",
        note=f"{title}: {words}.",
        ranking=Ranking(("", "head", title), rows[:_MOST]),
    )


def _first(study: HeadStudy, known: list[str]) -> str:
    """Return the rarest of the roles that were found, or else the first score."""
    called = [name for name in known if study.called(SCORES[name])]
    return called[-1] if called else known[0]


def score_map_section(scores: Scores) -> Section:
    """Build the section of a page that shows the accuracy of every head."""
    choice = scores.choice
    return picture_section(
        "score-map",
        "Every head",
        "The share of cases in which each head prefers the antecedent, less what chance "
        "gives: blue is more, orange less. Framed heads are right more often than the best of "
        "all heads on permuted labels (adjusted p below 0.05). Point at a head for its "
        "numbers.",
        {
            name: _score_picture(scores, name)
            for name in EVERY_DIRECTION
            if name in DIRECTIONS or name in set(scores.heads["direction"])
        },
        file="heads",
        control=("direction", "Direction"),
        first=choice.direction if choice else DIRECTIONS[0],
        partners=scale_partners(DIVERGING),
    )


def _score_picture(scores: Scores, direction: str) -> Picture:
    heads = scores.heads
    layers, num_heads = layers_of(heads)
    columns = [name for name in _COLUMNS if name in heads]
    values = map_of(heads[heads["direction"] == direction], columns, layers, num_heads)
    chance = float(scores.baselines.set_index("baseline")["accuracy"]["random"])
    label = direction.replace("_", " ")
    first = scores.choice.head if scores.choice else f"L{layers[0]}H0"
    return Picture(
        head_map(
            [[_from_chance(value, chance) for value in line] for line in values["accuracy"]],
            layers,
            described(values, _score_words),
            title=f"Accuracy, {label}",
            limits=(-1, 1),
            scale=DIVERGING,
            bar=color_bar("", tickvals=[-1, 0, 1], ticktext=["0%", "chance", "100%"]),
            framed=significant(values["p_adjusted"]),
        ),
        label=label,
        first=str(first),
    )


def _from_chance(value: float | None, chance: float) -> float | None:
    """Return where a share is between the worst (-1), chance (0) and the best (1)."""
    if value is None:
        return None
    return (value - chance) / (chance if value < chance else 1 - chance)


def _score_words(at: Mapping[str, Any]) -> str:
    if at["accuracy"] is None:
        return "cannot be observed in this direction"
    p = "" if at["p_adjusted"] is None else f", adjusted p {p_cell(at['p_adjusted'])}"
    # Where norms were scored, raw weights stand beside them.
    raw = at.get("raw_accuracy")
    beside = "" if raw is None else f"; by raw weights in {percent(raw)}"
    share, space, ends = percent_interval(at["accuracy"], at["ci_low"], at["ci_high"]).partition(
        " "
    )
    cases = counted(at["n"], "case")
    return f"right in {share} of {cases}{space}{ends}{p}, in-sample{beside}"
