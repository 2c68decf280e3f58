"""Shapes of heads' patterns over sentences, with the sentences' own counts where none are given."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import pandas as pd
from torch import nn

from introspect.analyzers.patterns import PatternsAnalyzer, token_counts
from introspect.errors import InputError, naming
from introspect.models import Model
from introspect.models.loading import load_text

__all__ = ["head_patterns"]


def head_patterns(
    model: Model | str | os.PathLike[str] | tuple[nn.Module, object],
    texts: Sequence[str],
    *,
    frequencies: Mapping[int, float] | None = None,
    kind: str | None = None,
) -> pd.DataFrame:
    """Find positional heads, rare-word heads, and the shape of each head's patterns.

    Source: Voita et al. 2019, "Analyzing Multi-Head Self-Attention", section 5; Kovaleva et al.
    2019, "Revealing the Dark Secrets of BERT", section 4.1.

    Args:
        model: as for ``load``.
        texts: the sentences. For many use ``introspect probe FILE --analyzer patterns``.
        frequencies: how often each vocabulary entry is used, by its ID; by default counted in the
            texts themselves, which must then be many.
        kind: for an encoder-decoder, ``encoder``; its decoder writes, and reads no sentences.

    Returns:
        The table of ``PatternsAnalyzer.compute``.

    Raises:
        InputError: there is no text.
        TextError: the model cannot read a text; the message has its number.

    Example:
        >>> table = head_patterns("minilm", ["The cat sat on the mat."])     # doctest: +SKIP
        >>> table.loc[table["is_positional"], ["layer", "head", "position"]]  # doctest: +SKIP
    """
    loaded = load_text(model)
    given = list(texts)
    if not given:
        raise InputError("Expected at least one text to find patterns in, got none.")
    if frequencies is None:
        frequencies = token_counts(loaded.tokens(text) for text in given)
    analyzer = PatternsAnalyzer(frequencies)
    for number, text in enumerate(given):
        with naming(f"Text {number}"):
            analyzer.update(loaded.capture(text, kind=kind))
    return analyzer.compute()
