"""What a model would predict at one token after each layer, and which parts contribute."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import takewhile

import pandas as pd

from introspect.calls import checked_call, checked_result
from introspect.errors import CaptureError, SelectionError
from introspect.models import Model, load_text
from introspect.records import AttentionRecord, TokenLike, as_token
from introspect.statistics import Claim
from introspect.studies.lens.claims import lens_claims
from introspect.studies.lens.lens import logit_lens
from introspect.studies.lens.logits import direct_logit_attribution


@dataclass(frozen=True)
class TokenReading:
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
        token_id: int = model.tokenizer.convert_tokens_to_ids(self.last[0])
        return token_id


@checked_result
@dataclass(frozen=True, eq=False)
class LensStudy:
    """The logit lens on a text, and a logit divided at one of its tokens.

    Args:
        readings: of ``logit_lens``, at every token.
        at: the readings at the one token.
        parts: of ``direct_logit_attribution`` at that token; ``None`` where the model's logits
            cannot be divided.
        why: the reason for that.
        record: the attention on the text, with its certificate.
    """

    readings: pd.DataFrame
    at: TokenReading
    parts: pd.DataFrame | None
    why: str | None
    record: AttentionRecord

    @property
    def claims(self) -> tuple[Claim, ...]:
        """Return what is claimed of the token, each sentence with the numbers behind it."""
        return lens_claims(self.at, self.parts)

    def __repr__(self) -> str:
        word, _ = self.at.last
        return f"<{type(self).__name__}: {word!r} at token {self.at.position}>"


def read_at(readings: pd.DataFrame, position: int) -> TokenReading:
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
    return TokenReading(position % length, str(rows["token"].iloc[0]), layers)


@checked_call
def lens_study(
    model: Model | str,
    text: str,
    *,
    token: str | int | None = None,
    against: str | int | None = None,
    position: TokenLike | None = None,
    top: int = 5,
    target: str | None = None,
) -> LensStudy:
    """Read a text through the logit lens, and divide the logit of one token.

    Args:
        model: with its language-modeling head (``ix.load(…, lm_head=True)``), or its name.
        text: the text that the model reads.
        token: the token whose logit is divided; by default the model's most probable token there.
        against: another token, whose logit is subtracted.
        position: the token to read at, its index (from the end: -1) or its word (``"it"``,
            ``"it#2"`` for the second one); by default a mask, and where there is none the last
            token that is not special.
        top: the number of readings of each state.
        target: the text that an encoder-decoder writes; its tokens are read.

    Raises:
        ModelError: the model has no language-modeling head.
        CaptureError: its layers cannot be identified; or ``token`` or ``against`` is given for a
            model whose logits cannot be divided, such as BERT. Without them the study says so
            instead.
        SelectionError: a token, position or number does not exist.

    Example:
        >>> from introspect.models import load
        >>> study = lens_study(load("induction", lm_head=True), "a b c d a b")
        >>> study.at.at, study.at.last[0]
        ('b', 'c')
    """
    model = load_text(model, lm_head=True)
    readings = logit_lens(model, text, top=top, target=target)
    kind = model.writing_kinds[0]
    record = model.capture(text, target=target, kind=kind, certify=True)
    at = read_at(readings, _place(model, record, position))
    chosen = at.token_id(model) if token is None else token
    parts, why = None, None
    try:
        parts = direct_logit_attribution(
            model, text, token=chosen, against=against, position=at.position, target=target
        )
    except CaptureError as error:
        if token is not None or against is not None:
            raise
        why = str(error)
    return LensStudy(readings, at, parts, why, record)


def _place(model: Model, record: AttentionRecord, position: TokenLike | None) -> int:
    """Return the position to read at: the one asked for, a mask, or the last one of the text."""
    if position is not None:
        return as_token(record.queries, position, name="position", from_end=True)
    mask, tokens = model.tokenizer.mask_token_id, record.queries
    if mask is not None and mask in tokens.token_ids:
        return tokens.token_ids.index(mask)
    ordinary = [place for place, flag in enumerate(tokens.special_tokens_mask) if not flag]
    return ordinary[-1] if ordinary else -1
