"""The times of tokens in a sound are those of transformers, on the same attention."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import median_filter
from transformers.generation.utils import GenerateEncoderDecoderOutput

import introspect as ix
from introspect.functional import medians, token_starts
from tests.models.audio.helpers import RATE, sound, whisper


def of_transformers(record, heads, width: int) -> list[float]:
    module = whisper().module
    module.config.median_filter_width = width
    output = GenerateEncoderDecoderOutput(
        sequences=torch.tensor([[*record.queries.token_ids, 0]]),
        cross_attentions=(tuple(layer[None] for layer in record.attentions),),
    )
    prompt = sum(record.queries.special_tokens_mask)
    times = module._extract_token_timestamps(
        output, heads, 0.02, num_frames=2 * len(record.frames), num_input_ids=prompt
    )
    return times[0, prompt : len(record.queries)].tolist()


@pytest.mark.parametrize("seconds", [0.2, 0.66, 1.5, 2.0])
@pytest.mark.parametrize(
    ("heads", "places", "width"),
    [
        (None, [(layer, head) for layer in (1, 2) for head in range(4)], 7),
        (["L2H0"], [(2, 0)], 1),
        ([(0, 1), (2, 3), (1, 1)], [(0, 1), (2, 3), (1, 1)], 3),
    ],
)
def test_they_are_those_of_transformers(seconds, heads, places, width):
    record = whisper().capture(sound(seconds), sampling_rate=RATE, target="the cat sat on it")
    times = ix.token_times(record, heads, width=width)
    assert times["start"].tolist() == pytest.approx(of_transformers(record, places, width))
    assert times["label"].tolist() == [*"the", " ", *"cat", " ", *"sat", " ", *"on", " ", *"it"]
    assert times["word"].tolist()[:3] == ["the"] * 3
    assert times["start"].is_monotonic_increasing


@pytest.mark.parametrize("width", [1, 3, 5, 7])
@pytest.mark.parametrize("length", [4, 5, 30])
def test_medians_are_those_of_scipy(width, length):
    values = torch.randn(2, 3, length, generator=torch.Generator().manual_seed(width))
    expected = median_filter(values.numpy(), size=(1, 1, width), mode="mirror")
    assert np.allclose(medians(values, width), expected)


def test_a_token_begins_where_its_weights_do():
    weights = torch.zeros(1, 3, 12)
    for token, (first, last) in enumerate([(0, 4), (4, 9), (9, 12)]):
        weights[0, token, first:last] = 1
    assert token_starts(weights, width=1) == [0, 4, 9]
    assert token_starts(torch.ones(2, 1, 5)) == [0]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"heads": ["L3H0"]}, "L3H0"),
        ({"heads": []}, "at least one head"),
        ({"width": 4}, "an odd number of frames, got 4"),
    ],
)
def test_what_is_not_there_is_refused(options, words):
    record = whisper().capture(sound(), sampling_rate=RATE, target="a")
    with pytest.raises(ix.IntrospectError, match=words):
        ix.token_times(record, **options)
    encoder = whisper().capture(sound(), sampling_rate=RATE)
    with pytest.raises(ix.IntrospectError, match="got encoder attention"):
        ix.token_times(encoder)
