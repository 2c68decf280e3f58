"""Frames and their times, from the model's own strides."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from transformers import WhisperFeatureExtractor

from introspect.errors import RecordError, SelectionError
from introspect.models import load
from introspect.records import AttentionRecord, AudioFrames

from .helpers import RATE, sound, wav2vec2, whisper


def features_of(model, samples: np.ndarray) -> torch.Tensor:
    """What the convolutions make of a sound, a row for each frame, by the model's own code."""
    made = model.extractor(samples, sampling_rate=RATE, return_tensors="pt")
    with torch.no_grad():
        if "input_features" in made:
            encoder = model.module.get_encoder()
            hidden = torch.nn.functional.gelu(encoder.conv1(made["input_features"]))
            return torch.nn.functional.gelu(encoder.conv2(hidden))[0].T
        return model.module.feature_extractor(made["input_values"])[0].T


def frames_that_change(model, samples: np.ndarray, place: int) -> list[int]:
    """The frames that one sample has a say in."""
    changed = samples.copy()
    changed[place] += 1e-3
    difference = (features_of(model, changed) - features_of(model, samples)).abs().amax(1)
    return torch.nonzero(difference > 1e-9).flatten().tolist()


@pytest.mark.parametrize("place", [0, 399, 400, 1_600, 3_333, 7_999])
def test_a_sample_changes_the_frames_whose_window_it_is_in(place):
    """wav2vec 2, whose convolutions here are normalized frame by frame."""
    model = wav2vec2("Hubert", feat_extract_norm="layer")
    samples = np.abs(sound()) + 0.1
    frames = model.capture(samples, sampling_rate=RATE, layers=[0]).frames
    windows = [range(*frames.window(frame)) for frame in range(len(frames))]
    expected = [frame for frame, window in enumerate(windows) if place in window]
    # The sample is one of all in the mean that the extractor takes away: leave that out.
    model.extractor.do_normalize = False
    assert frames_that_change(model, samples, place) == expected


@pytest.mark.parametrize("place", [1_500, 3_333, 5_000])
def test_whispers_frames_stand_about_their_times(place):
    model = whisper()
    samples = np.abs(sound()) + 0.1
    frames = model.capture(samples, sampling_rate=RATE, layers=[0]).frames
    # The loudest frame is the floor of all that are 8 powers of ten below, which padding is.
    changed = [n for n in frames_that_change(model, samples, place) if n < len(frames)]
    windows = [range(*frames.window(frame)) for frame in range(len(frames))]
    expected = [frame for frame, window in enumerate(windows) if place in window]
    # Hann's window is all but 0 at its ends.
    assert set(expected[1:-1]) <= set(changed) <= set(expected)
    centers = [(window.start + window.stop) / 2 / RATE for window in windows]
    assert np.allclose(centers, [frames.start(frame) for frame in range(len(frames))])


@pytest.mark.parametrize("samples", [400, 719, 720, 721, 8_000, 12_345, 16_000])
def test_as_many_frames_as_the_model_makes(samples):
    model = wav2vec2()
    record = model.capture(sound(1)[:samples], sampling_rate=RATE)
    assert len(record.keys) == len(record.frames) == 1 + (samples - 400) // 320
    own = model.module._get_feat_extract_output_lengths(torch.tensor(samples))
    assert len(record.frames) == int(own)
    assert record.notices == ()


@pytest.mark.parametrize("samples", [1, 160, 320, 321, 8_000, 31_999, 32_000])
def test_padding_begins_where_the_sound_ends(samples):
    record = whisper().capture(sound(2)[:samples], sampling_rate=RATE)
    frames = record.frames
    assert len(record.keys) == 100
    inside = [start for frame in range(100) if (start := frame * 0.02) < samples / RATE - 1e-9]
    assert len(frames) == len(inside)
    assert record.keys.special_tokens_mask == (False,) * len(inside) + (True,) * (100 - len(inside))
    assert set(record.tokens[len(inside) :]) <= {"[padding]"}
    mask = WhisperFeatureExtractor(chunk_length=2)(
        sound(2)[:samples], sampling_rate=RATE, return_tensors="np", return_attention_mask=True
    )["attention_mask"]
    # The extractor's own mask has two marks for each frame.
    assert -(-int(mask.sum()) // 2) == len(inside)
    assert any("padding" in notice for notice in record.notices) == (len(inside) < 100)


def test_padding_is_one_word():
    record = whisper().capture(sound(), sampling_rate=RATE, target="a cat", kind="cross")
    words = record.words()
    assert len(words.keys) == 26
    assert words.frames == record.frames
    # Some words are of several tokens, of which it is the mean.
    expected = record.attentions[..., 25:].sum(-1)[:, :, 0]
    assert torch.allclose(words.attentions[:, :, 0, 25], expected)


def test_other_conv_strides_are_other_times():
    model = wav2vec2(conv_stride=(4, 2), conv_kernel=(8, 3), conv_dim=(16, 16))
    record = model.capture(sound()[:800], sampling_rate=RATE)
    assert record.frames.step == 8
    assert record.tokens[:3] == ("0.0000 s", "0.0005 s", "0.0010 s")
    assert record.frames.window(1) == (8, 24)


def test_frames_that_the_model_joins_are_refused():
    """SEW attends to fewer frames than its convolutions make."""
    import transformers as tf

    config = tf.SEWConfig(
        hidden_size=32, num_hidden_layers=1, num_attention_heads=4, intermediate_size=48,
        squeeze_factor=2, conv_dim=(16, 16), conv_stride=(5, 2), conv_kernel=(10, 3),
        num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=4,
    )  # fmt: skip
    model = load((tf.SEWModel(config).eval(), tf.Wav2Vec2FeatureExtractor()))
    with pytest.raises(Exception, match=r"got \(\d+, \d+\)") as error:
        model.capture(sound()[:1600], sampling_rate=RATE)
    assert type(error.value).__name__ == "CaptureError"


def test_a_time_has_its_frame():
    frames = AudioFrames(50, step=320, sampling_rate=RATE, samples=16_000)
    assert [frames.at(frames.start(frame)) for frame in range(50)] == list(range(50))
    assert frames.at(0.0199) == 0
    for seconds in (-0.1, 1.0, 7, math.inf, math.nan):
        with pytest.raises(SelectionError, match=r"from 0 to 1\.00 s"):
            frames.at(seconds)


def test_frames_are_saved_with_their_record(tmp_path):
    record = wav2vec2().capture(sound(), sampling_rate=RATE)
    again = AttentionRecord.load(record.save(tmp_path / "r.safetensors"))
    assert again.frames == record.frames
    assert again.tokens == record.tokens


@pytest.mark.parametrize("options", [{"count": 30}, {"count": 0}, {"step": 0}, {"samples": 0}])
def test_impossible_frames_are_refused(options):
    record = wav2vec2().capture(sound(), sampling_rate=RATE)
    from dataclasses import replace

    with pytest.raises(RecordError, match="got"):
        replace(record, frames=replace(record.frames, **options))
