"""Records of a sound of 1.3 s, and its waveform."""

from __future__ import annotations

import numpy as np
import torch

from introspect.records import AttentionRecord, AudioFrames, TokenSequence
from introspect.views import AudioView, audio_view

RATE, STEP, COUNT, TOTAL = 1_000, 100, 13, 20
LABELS = tuple(f"{frame * 0.1:.2f} s" for frame in range(COUNT))
WORDS = ("<s>", "the", "cat", "slept")


def waveform() -> np.ndarray:
    generator = np.random.default_rng(0)
    return (generator.normal(size=1_280) * 0.1).astype(np.float32)


def frames_of(*, padded: bool) -> TokenSequence:
    rest = TOTAL - COUNT if padded else 0
    return TokenSequence(
        tokens=(*LABELS, *("[padding]",) * rest),
        word_ids=(*range(COUNT), *(COUNT,) * rest),
        special_tokens_mask=(*(False,) * COUNT, *(True,) * rest),
        sequence_ids=(*(0,) * COUNT, *(None,) * rest),
        words=(*LABELS, "[padding]"),
    )


def record_of(kind: str = "cross", *, layers: tuple[int, ...] = (0, 1)) -> AttentionRecord:
    """Of cross attention, with padding; of another kind, of the sound to itself, without."""
    keys = frames_of(padded=kind == "cross")
    words = TokenSequence(
        tokens=WORDS,
        offsets=((0, 0), (0, 3), (4, 7), (8, 13)),
        special_tokens_mask=(True, False, False, False),
        word_ids=(None, 0, 1, 2),
        words=WORDS[1:],
        texts=("the cat slept",),
    )
    queries = words if kind == "cross" else keys
    generator = torch.Generator().manual_seed(3)
    shape = (len(layers), 3, len(queries), len(keys))
    logits = torch.randn(*shape, generator=generator)
    return AttentionRecord(
        attentions=(2 * logits).softmax(-1),
        queries=queries,
        keys=keys,
        kind=kind,
        layers=layers,
        frames=AudioFrames(COUNT, STEP, RATE, 1_280),
    )


def view_of(kind: str = "cross", **options: object) -> AudioView:
    return audio_view(record_of(kind), waveform(), **options)
