"""Shapes of heads over sentences, with the sentences' own word counts where none are given."""

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
    """Positional heads, heads of rare words, and what shape each head's patterns have.

    Source: Voita et al. 2019, "Analyzing Multi-Head Self-Attention", section 5; Kovaleva et al.
    2019, "Revealing the Dark Secrets of BERT", section 4.1.

    Args:
        model: as for ``load``.
        texts: the sentences. For many use ``introspect probe FILE --analyzer patterns``.
        frequencies: how often each vocabulary entry is used, by its number; by default counted in
            the texts themselves, which must then be many.
        kind: of an encoder-decoder ``encoder``; its decoder writes, and reads no sentences.

    Returns:
        The table of ``PatternsAnalyzer.compute``.

    Raises:
        InputError: no text.
        TextError: a text that the model cannot read, with its number.

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
