"""When each token of a transcript begins, by cross-attention to the frames of a sound."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch

from introspect.calls import checked_call
from introspect.errors import SelectionError
from introspect.functional import token_starts
from introspect.records.attention import AttentionRecord
from introspect.records.facts import HeadLike, as_head, listed_heads

if TYPE_CHECKING:
    import pandas as pd


@checked_call
def token_times(
    record: AttentionRecord,
    heads: Iterable[HeadLike] | HeadLike | None = None,
    *,
    width: int = 7,
) -> pd.DataFrame:
    """Return when each token of a transcript begins, by what it attends to in the sound.

    It is what Whisper's word timestamps are made of, by dynamic time warping; only heads that
    follow the sound give times that mean anything.

    Args:
        record: cross-attention to the frames of a sound, from ``AudioModel.capture`` with a target.
        heads: the heads to follow, such as those that the model was published with
            (``model.module.generation_config.alignment_heads``); by default all of the upper half
            of the layers of the record.
        width: the number of frames that a median is taken over; odd
            (``model.module.config.median_filter_width``).

    Returns:
        A row for each token that is no special one: ``token``, ``label``, ``word`` and ``start``
        in seconds.

    Raises:
        SelectionError: the record is not of this kind or has no such head, or the width is even.

    Example:
        >>> record = model.capture("speech.wav", target="It slept.")  # doctest: +SKIP
        >>> ix.token_times(record, heads=["L2H0", "L3H1"])             # doctest: +SKIP
    """
    import pandas as pd

    frames = record.frames
    if frames is None or record.kind != "cross":
        raise SelectionError(
            "Expected cross-attention to the frames of a sound, got "
            f"{record.kind} attention{'' if frames else ' without `frames`'}. Capture it with "
            "AudioModel.capture and a target."
        )
    if width < 1 or width % 2 == 0:
        raise SelectionError(f"Expected `width` as an odd number of frames, got {width}.")
    queries = record.queries
    tokens = [index for index, flag in enumerate(queries.special_tokens_mask) if not flag]
    chosen = [record.attentions[row, head] for row, head in _places(record, heads)]
    weights = torch.stack(chosen)[:, tokens, : len(frames)]
    starts = token_starts(weights, width=width)
    words = [queries.word_ids[index] for index in tokens]
    return pd.DataFrame(
        {
            "token": tokens,
            "label": [queries.tokens[index] for index in tokens],
            "word": ["" if word is None else queries.words[word] for word in words],
            "start": [frames.start(start) for start in starts],
        }
    )


def _places(
    record: AttentionRecord, heads: Iterable[HeadLike] | HeadLike | None
) -> list[tuple[int, int]]:
    """Return row and number of each head to follow."""
    if heads is None:
        rows = range(record.num_layers // 2, record.num_layers)
        return [(row, head) for row in rows for head in range(record.num_heads)]
    counts = dict.fromkeys(record.layers, record.num_heads)
    named = [as_head(head, counts) for head in listed_heads(heads)]
    if not named:
        raise SelectionError("Expected at least one head in `heads`, got none.")
    return [(record.layers.index(head.layer), head.head) for head in named]
