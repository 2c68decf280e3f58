"""What the sound view shows, as data, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import introspect as ix
from introspect.views import audio_view
from introspect.views.audio import _envelope, _precise

from .helpers import COUNT, LABELS, RATE, STEP, record_of, view_of, waveform


def test_weights_stand_in_their_frames_and_padding_is_one_key():
    record = record_of()
    view = view_of(token="cat", head="L1H2")
    tints, sound = view.figure.data
    row = record.attentions[1, 2, 2]
    assert np.allclose(tints.z, row[None, :COUNT])
    assert np.allclose(tints.x, (np.arange(COUNT) + 0.5) * STEP / RATE)
    assert tints.zmax == pytest.approx(float(row[:COUNT].max()))
    assert view.weights()[-1] == pytest.approx(float(row[COUNT:].sum()))
    assert view.figure.layout.title.text == (
        f"What “cat” attends to (L1H2); to the padding {_precise(float(row[COUNT:].sum()))}"
    )
    assert tints.text[0][3] == f"0.30 s: {_precise(float(row[3]))}"
    assert max(sound.x) <= 1.3 and min(sound.x) >= 0


def test_a_moment_attends_where_a_sound_attends_to_itself():
    view = view_of("self", at=0.25, layer=1, head=0)
    assert view.token == 2
    assert np.allclose(view.figure.data[0].z, record_of("self").attentions[1, 0, 2][None])
    assert view.figure.layout.title.text == "What 0.20 s attends to (L1H0)"
    assert view_of("self").token == COUNT // 2
    assert view.heading == "1.28 s of sound"


def test_the_head_that_gives_a_frame_most_is_first():
    view = view_of(token=3, at=0.5)
    weights = record_of().attentions[:, :, 3, 5]
    assert weights[view.layer, view.head] == weights.max()
    assert view.moment == 5


def test_the_envelope_is_that_of_a_slow_loop():
    frames = record_of().frames
    low, high = _envelope(waveform(), frames)
    padded = [*waveform().tolist(), *[0.0] * 20]
    parts = len(low) // COUNT
    for place in range(len(low)):
        first, last = place * STEP // parts, (place + 1) * STEP // parts
        samples = padded[first : max(last, first + 1)]
        assert (low[place], high[place]) == pytest.approx((min(samples), max(samples)))


def test_no_words_are_lost_in_the_state_of_the_page():
    (section,) = view_of(token="slept", at=1.2).sections()
    assert section.state["labels"] == list(LABELS)
    assert section.state["first"]["query"] == 3
    assert section.state["first"]["key"] == 12
    assert section.state["padding"] and not section.state["isSelf"]
    assert section.record is not None and len(section.record.keys) == COUNT + 1
    (own,) = view_of("self").sections()
    assert own.state["isSelf"] and not own.state["padding"]


def test_a_silent_sound_is_a_line():
    view = audio_view(record_of(), np.zeros(1_280, np.float32))
    assert set(view.figure.data[1].y) == {0.0}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"at": 1.3}, r"from 0 to 1\.30 s"),
        ({"at": -0.01}, r"from 0 to 1\.30 s"),
        ({"token": "dog"}, "dog"),
        ({"token": 4}, "`token` in 0–3"),
        ({"layer": 2}, "`layer` in 0–1"),
        ({"head": "L1H3"}, "L1H3"),
        ({"head": 3}, "`heads` in 0–2"),
    ],
)
def test_what_is_not_there_is_refused(options, words):
    with pytest.raises(ix.IntrospectError, match=words):
        view_of(**options)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (waveform()[:-1], "of 1,280 samples, got 1,279"),
        (waveform()[None], r"\(1, 1280\) of float32"),
        ((waveform() * 100).astype(np.int16), "of int16"),
        (waveform() * np.nan, "a number in every sample"),
        ("speech.wav", "model.waveform"),
    ],
)
def test_another_sound_is_refused(given, words):
    with pytest.raises(ix.IntrospectError, match=words):
        audio_view(record_of(), given)


def test_padding_counts_as_the_one_key_that_a_page_holds(monkeypatch):
    """Whisper attends to 30 s, however short the sound is."""
    held = view_of("cross").record.attentions.numel()
    assert held < record_of("cross").attentions.numel()
    monkeypatch.setattr("introspect.views.audio.LARGEST_DENSE", held)
    view_of("cross")
    monkeypatch.setattr("introspect.views.audio.LARGEST_DENSE", held - 1)
    with pytest.raises(ix.IntrospectError, match=r"a page can hold.*record\.only"):
        view_of("cross")


def test_other_records_are_refused():
    with pytest.raises(ix.IntrospectError, match="`at` in seconds"):
        view_of("encoder", token="cat")
    plain = ix.AttentionRecord.from_tensors(torch.eye(3)[None], ["a", "b", "c"])
    with pytest.raises(ix.IntrospectError, match="a record without `frames`"):
        audio_view(plain, waveform())
