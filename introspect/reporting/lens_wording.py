"""Sentences on a logit lens and a divided logit that stay true for every outcome."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import takewhile

import pandas as pd

from introspect.errors import SelectionError
from introspect.models import Model
from introspect.reporting.wording import Finding
from introspect.text import visible

__all__ = ["Reading", "finding_of_lens", "read_at", "signed"]

_NAMED = 3
_CAVEATS = (
    "A state that reads as a word need not be used as that word by later layers, and one that "
    "does not may be: the lens reads every layer as if it were the last.",
    "One text is an example, not evidence. To see whether a head matters, take it out: "
    "introspect causal, introspect ablate.",
)


@dataclass(frozen=True)
class Reading:
    """The readings at one token.

    Args:
        position: its place, from 0.
        at: the token at that position.
        layers: for each layer, from the embeddings up, the top tokens with their probabilities.
    """

    position: int
    at: str
    layers: Mapping[str, tuple[tuple[str, float], ...]]

    @property
    def last(self) -> tuple[str, float]:
        """The model's own most probable token and its probability."""
        return list(self.layers.values())[-1][0]

    @property
    def since(self) -> str:
        """The layer from which the model's own top token is read first."""
        word, _ = self.last
        down = reversed(list(self.layers.items()))
        return list(takewhile(lambda layer: layer[1][0][0] == word, down))[-1][0]

    def token_id(self, model: Model) -> int:
        """Return the ID of the model's own top token."""
        found: int = model.tokenizer.convert_tokens_to_ids(self.last[0])
        return found


def read_at(readings: pd.DataFrame, position: int) -> Reading:
    """Return the readings of one token.

    Args:
        readings: of ``logit_lens``.
        position: the token's position; negative ones count from the end.

    Raises:
        SelectionError: there is no such token.
    """
    length = int(readings["position"].max()) + 1
    if not -length <= position < length:
        raise SelectionError(
            f"Expected `position` from {-length} to {length - 1}, for {length} tokens, got "
            f"{position}."
        )
    rows = readings[readings["position"] == position % length]
    layers = {}
    for layer, cell in rows.groupby("layer", sort=True):
        name = "embeddings" if int(str(layer)) < 0 else f"L{layer}"
        layers[name] = tuple(zip(cell["predicted"], cell["probability"].map(float), strict=True))
    return Reading(position % length, str(rows["token"].iloc[0]), layers)


def finding_of_lens(reading: Reading, parts: pd.DataFrame | None, why: str | None) -> Finding:
    """Say what the model says at a token, from which layer on, and which parts say it.

    Args:
        reading: of the token.
        parts: of ``direct_logit_attribution`` at the token; ``None`` where it is unavailable.
        why: the reason for that.
    """
    word, chance = reading.last
    headline = (
        f"At “{_quoted(reading.at)}” (token {reading.position}) the model gives *{_quoted(word)}* "
        f"most, with a probability of {chance:.1%}; {_since(reading)}."
    )
    details = [_before(reading)] if len(reading.layers) > 1 else []
    if parts is not None:
        details += _parts_words(parts)
    elif why is not None:
        details.append(f"Which parts say it cannot be told of this model. {why}")
    return Finding(headline, tuple(details), _CAVEATS)


def signed(value: float, places: int = 2) -> str:
    """Format a number with its sign, using a minus sign and not a hyphen.

    Example:
        >>> signed(-0.126), signed(0.5, 1)
        ('−0.13', '+0.5')
    """
    return f"{value:+.{places}f}".replace("-", "−")


def _quoted(token: str) -> str:
    # An asterisk in the token itself would end the emphasis early.
    return visible(token).replace("*", "∗")


def _since(reading: Reading) -> str:
    layers = list(reading.layers)
    if reading.since == layers[-1]:
        return f"it is the top reading only after the last layer, {layers[-1]}"
    if reading.since == layers[0]:
        return "it is the top reading at every layer, from the embeddings on"
    return f"from {reading.since} on it is the top reading"


def _before(reading: Reading) -> str:
    word, chance = next(iter(reading.layers.values()))[0]
    return (
        f"From the embeddings, before any layer, the head reads “{_quoted(word)}”, with "
        f"a probability of {chance:.1%}."
    )


def _parts_words(parts: pd.DataFrame) -> list[str]:
    given = parts.attrs
    against = "" if given["against"] is None else f" less that of “{_quoted(given['against'])}”"
    ordered = parts.sort_values("contribution", ascending=False, kind="stable")
    adding = ordered[ordered["contribution"] > 0].head(_NAMED)
    taking = ordered[ordered["contribution"] < 0].tail(_NAMED)[::-1]
    whole = signed(given["logit"]).removeprefix("+")
    of = f"“{_quoted(given['token'])}”{against}"
    sentences = [f"The logit of {of} is {whole}: a sum of {len(parts)} parts."]
    if len(adding):
        sentences.append(f"Most is added by {_listed(adding)}.")
    if len(taking):
        sentences.append(f"Most is taken off by {_listed(taking)}.")
    return [" ".join(sentences)]


def _listed(rows: pd.DataFrame) -> str:
    names = [f"{row.component} ({signed(row.contribution)})" for row in rows.itertuples()]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
