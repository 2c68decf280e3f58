"""What is claimed of a token read through the logit lens, and of the parts of its logit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import pandas as pd

from introspect.statistics import Claim
from introspect.text import counted, decimal, listed, percent, signed, visible

_NAMED = 3


class Reading(Protocol):
    """What claims are made from: the readings at one token."""

    @property
    def position(self) -> int:
        """The place of the token, from 0."""

    @property
    def at(self) -> str:
        """The token."""

    @property
    def layers(self) -> Mapping[str, tuple[tuple[str, float], ...]]:
        """For each layer the top tokens with their probabilities."""

    @property
    def last(self) -> tuple[str, float]:
        """The model's own most probable token."""

    @property
    def since(self) -> str:
        """The layer from which it is read first."""


def lens_claims(readings: Reading, parts: pd.DataFrame | None) -> tuple[Claim, ...]:
    """Return the claims: what is predicted, from which layer on, and which parts add most.

    Args:
        readings: at the token.
        parts: of ``direct_logit_attribution`` at the token; ``None`` where it is unavailable.
    """
    word, chance = readings.last
    headline = Claim(
        kind="predicts",
        subject=word,
        sentence=(
            f"At “{quoted(readings.at)}” (token {readings.position}) the model predicts "
            f"*{quoted(word)}*, with a probability of {percent(chance)}; {_since(readings)}."
        ),
        estimate=chance,
    )
    rows = [headline, headline.beside("token", readings.position, subject=readings.at)]
    if len(readings.layers) > 1:
        rows.append(_before(readings))
    if parts is not None:
        rows += _of_parts(parts)
    return tuple(rows)


def quoted(token: str) -> str:
    """Return a token as it is shown in a sentence."""
    # An asterisk in the token itself would end the emphasis early.
    return visible(token).replace("*", "∗")


def _since(readings: Reading) -> str:
    layers = list(readings.layers)
    if readings.since == layers[-1]:
        return f"it is the top reading only after the last layer, {layers[-1]}"
    if readings.since == layers[0]:
        return "it is the top reading at every layer, from the embeddings on"
    return f"from {readings.since} on it is the top reading"


def _before(readings: Reading) -> Claim:
    word, chance = next(iter(readings.layers.values()))[0]
    return Claim(
        kind="reads at the embeddings",
        subject=word,
        sentence=(
            f"From the embeddings, before any layer, the LM head reads “{quoted(word)}”, with "
            f"a probability of {percent(chance)}."
        ),
        estimate=chance,
    )


def _of_parts(parts: pd.DataFrame) -> list[Claim]:
    given = parts.attrs
    against = (
        " less the mean over the vocabulary"
        if given["against"] is None
        else f" less that of “{quoted(given['against'])}”"
    )
    ordered = parts.sort_values("contribution", ascending=False, kind="stable")
    adding = ordered[ordered["contribution"] > 0].head(_NAMED)
    taking = ordered[ordered["contribution"] < 0].tail(_NAMED)[::-1]
    sentences = [
        f"The logit of “{quoted(given['token'])}”{against} is {decimal(given['logit'])}: a sum of "
        f"{counted(len(parts), 'part')}."
    ]
    if len(adding):
        sentences.append(f"Most is added by {_components(adding)}.")
    if len(taking):
        sentences.append(f"Most is taken off by {_components(taking)}.")
    logit = Claim(
        kind="logit",
        subject=str(given["token"]),
        sentence=" ".join(sentences),
        estimate=float(given["logit"]),
        rule="a sum of parts, each read with the scale of the last norm",
    )
    return [
        logit,
        logit.beside("parts", len(parts)),
        *(
            logit.beside("part", row.contribution, subject=str(row.component))
            for rows in (adding, taking)
            for row in rows.itertuples()
        ),
    ]


def _components(rows: pd.DataFrame) -> str:
    return listed(f"{row.component} ({signed(row.contribution)})" for row in rows.itertuples())
