"""The attention of models of sound is their own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers as tf
from scipy.io import wavfile

import introspect as ix
from introspect.errors import CaptureError, InputError
from introspect.models import AudioModel, load, load_text

from .helpers import RATE, sound, wav2vec2, whisper, written


def own(module: torch.nn.Module, inputs: dict[str, torch.Tensor], name: str) -> torch.Tensor:
    """What the model returns itself when it runs eagerly."""
    before = module.config._attn_implementation
    module.set_attn_implementation("eager")
    with torch.no_grad():
        output = module(**inputs, output_attentions=True)
    module.set_attn_implementation(before)
    return torch.cat(list(output[name]))


@pytest.mark.parametrize("name", ["Wav2Vec2", "Hubert", "WavLM", "Wav2Vec2Conformer"])
def test_self_attention_is_the_models_own(name):
    model = wav2vec2(name)
    record = model.capture(sound(), sampling_rate=RATE)
    values = model.extractor(sound(), sampling_rate=RATE, return_tensors="pt")["input_values"]
    assert record.kind == "self"
    assert torch.equal(record.attentions, own(model.module, {"input_values": values}, "attentions"))


@pytest.mark.parametrize("kind", ["encoder", "decoder", "cross"])
def test_each_kind_of_whispers_is_its_own(kind):
    model = whisper()
    record = model.capture(sound(), sampling_rate=RATE, target="a cat", kind=kind)
    made = model.extractor(sound(), sampling_rate=RATE, return_tensors="pt")
    ids = model.processor.tokenizer("a cat")["input_ids"][:-1]
    inputs = {"input_features": made["input_features"], "decoder_input_ids": torch.tensor([ids])}
    assert record.kind == kind
    assert torch.equal(record.attentions, own(model.module, inputs, f"{kind}_attentions"))
    assert record.keys.token_ids == tuple(ids) if kind == "decoder" else record.frames
    starts = ("<|startoftranscript|>", "<|en|>", "<|transcribe|>", "<|notimestamps|>")
    if kind != "encoder":
        assert record.queries.tokens == (*starts, "a", " ", "c", "a", "t")


def test_the_encoder_alone_is_the_encoder_of_the_whole():
    model = whisper()
    alone = model.capture(sound(), sampling_rate=RATE, certify=True)
    whole = model.capture(sound(), sampling_rate=RATE, target="a", kind="encoder")
    assert alone.kind == "encoder"
    assert torch.equal(alone.attentions, whole.attentions)
    assert alone.certificate.max_difference_from_eager == 0
    assert alone.certificate.note == ""


def test_parts_and_layers():
    record = wav2vec2().capture(sound(), sampling_rate=RATE, include=("queries",), layers=[1])
    assert record.layers == (1,)
    assert record.parts["queries"].shape == (1, 4, 24, 8)


@pytest.mark.parametrize(
    ("stored", "tolerance"),
    [("int16", 2**-15), ("int32", 2**-23), ("uint8", 2**-7), ("float32", 0), ("float64", 1e-7)],
)
def test_a_wav_file_is_scaled_as_it_says(tmp_path, stored, tolerance):
    samples = sound(0.1)
    if stored == "uint8":
        kept = np.round(samples * 128 + 128).astype(np.uint8)
    elif stored.startswith("int"):
        kept = np.round(samples * 2.0 ** (int(stored[3:]) - 1)).astype(stored)
    else:
        kept = samples.astype(stored)
    model = wav2vec2()
    file = written(tmp_path / "a.wav", kept)
    read = model.waveform(file)
    assert read.dtype == np.float32
    assert np.abs(read - samples).max() <= tolerance
    assert np.array_equal(model.waveform(kept, sampling_rate=RATE), read)
    assert np.array_equal(model.waveform(torch.tensor(kept)[None], sampling_rate=RATE), read)


def test_24_bits(tmp_path):
    """As Python's own module writes them."""
    import wave

    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(3)
        file.setframerate(RATE)
        file.writeframes(b"\x00\x00\x40" * 500 + b"\x00\x00\xc0" * 500)
    assert np.array_equal(
        wav2vec2().waveform(tmp_path / "a.wav"), np.repeat(np.float32([0.5, -0.5]), 500)
    )


SOUND = sound()
REFUSED = {
    "no rate": ({"audio": SOUND}, "Expected `sampling_rate` beside an array"),
    "8,000 Hz": (
        {"audio": SOUND, "sampling_rate": 8000},
        r"16,000 Hz .* got 8,000 Hz\. Resample it: scipy\.signal\.resample_poly\(audio, 2, 1\)",
    ),
    "44,100 Hz": ({"audio": SOUND, "sampling_rate": 44_100}, r"resample_poly\(audio, 160, 441\)"),
    "rate as text": ({"audio": SOUND, "sampling_rate": "16k"}, "got '16k'"),
    "stereo": (
        {"audio": np.stack([SOUND, SOUND], 1), "sampling_rate": RATE},
        r"got 2 channels, \(8000, 2\)\. Mix them first: audio\.mean\(axis=1\)",
    ),
    "stereo of whole numbers": (
        {"audio": np.ones((900, 2), np.int16), "sampling_rate": RATE},
        r"Mix them first: \(audio / 32768\)\.mean\(axis=1\)",
    ),
    "8,000 Hz of whole numbers": (
        {"audio": np.full(900, 128, np.uint8), "sampling_rate": 8000},
        r"resample_poly\(\(audio / 128 - 1\), 2, 1\)",
    ),
    "rate as 44,100.0": ({"audio": SOUND, "sampling_rate": 44_100.0}, "got 44,100 Hz"),
    "half a rate": ({"audio": SOUND, "sampling_rate": 0.5}, "as a whole number.*got 0.5"),
    "huge": ({"audio": np.full(900, 1e300), "sampling_rate": RATE}, "divide those of 16 bits"),
    "a batch": ({"audio": SOUND.reshape(2, 2, -1), "sampling_rate": RATE}, "Give the samples of"),
    "a number": ({"audio": np.array(0.5), "sampling_rate": RATE}, "one sound"),
    "empty": ({"audio": SOUND[:0], "sampling_rate": RATE}, "an empty one"),
    "short": ({"audio": SOUND[:399], "sampling_rate": RATE}, "at least 400 samples.*got 399"),
    "NaN": ({"audio": np.where(SOUND > 0, SOUND, np.nan), "sampling_rate": RATE}, "got nan at sam"),
    "infinite": ({"audio": SOUND + np.inf, "sampling_rate": RATE}, "inf"),
    "int64": ({"audio": np.ones(900, int), "sampling_rate": RATE}, "got int64"),
    "16 bits as floats": ({"audio": SOUND * 3e4, "sampling_rate": RATE}, "divide those of 16 bits"),
    "other floats": (
        {"audio": SOUND / np.abs(SOUND).max() * 3, "sampling_rate": RATE},
        r"got 3\.00\. .*by their largest: audio / abs\(audio\)\.max\(\)",
    ),
    "generate": ({"audio": SOUND, "sampling_rate": RATE, "generate": 5}, "give what it returns as"),
    "a text": ({"audio": "The cat sat."}, "A model of sound reads no text"),
    "bytes": ({"audio": b"RIFF", "sampling_rate": RATE}, "an array of samples, got"),
    "words": ({"audio": ["The", "cat"], "sampling_rate": RATE}, "an array of <U3"),
    "ragged": ({"audio": [[0.1, 0.2], [0.3]], "sampling_rate": RATE}, "got list"),
    "target": ({"audio": SOUND, "sampling_rate": RATE, "target": "a"}, "self-attention only"),
    "too long": ({"audio": np.tile(SOUND, 1500), "sampling_rate": RATE}, "fits into 8 GiB"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_sound_is_refused(case):
    given, words = REFUSED[case]
    with pytest.raises(ix.IntrospectError, match=words) as error:
        wav2vec2().capture(given["audio"], **_rest(given))
    assert "\n" not in str(error.value)


def _rest(given: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in given.items() if name != "audio"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"kind": "cross"}, r"model\.transcript\(audio\) lets the model write it"),
        ({"kind": "self"}, "encoder, decoder or cross, got 'self'"),
        ({"target": " "}, "an empty one"),
        # With the four tokens before it, of 40 that the decoder reads.
        ({"target": "a" * 37}, "at most 40 tokens.*got 41. Shorten it"),
    ],
)
def test_what_whisper_cannot_write_is_refused(options, words):
    with pytest.raises(ix.IntrospectError, match=words):
        whisper().capture(SOUND, sampling_rate=RATE, **options)


def test_the_longest_target_is_captured():
    record = whisper().capture(SOUND, sampling_rate=RATE, target="a" * 36)
    assert len(record.queries) == 40


def test_a_sound_that_is_too_long_is_cut_as_it_is_said():
    model, long = whisper(), np.tile(SOUND, 5)
    with pytest.raises(
        ix.IntrospectError,
        match=r"40,000 samples.*= model\.waveform\(audio\), then audio\[:32000\]",
    ):
        model.capture(long, sampling_rate=RATE)
    cut = model.waveform(long, sampling_rate=RATE)[:32_000]
    assert model.capture(cut, sampling_rate=RATE).frames.samples == 32_000


def test_half_precision_is_read():
    given = torch.tensor(SOUND).bfloat16()
    assert np.allclose(wav2vec2().waveform(given, sampling_rate=RATE), SOUND, atol=0.01)


def test_what_only_listens_writes_nothing():
    with pytest.raises(ix.IntrospectError, match="self-attention alone. Capture it without"):
        wav2vec2().transcript(SOUND, sampling_rate=RATE)


def test_more_than_whisper_reads_is_refused():
    with pytest.raises(ix.IntrospectError, match=r"at most 2 s.*got 2\.50 s\..*audio\[:32000"):
        whisper().capture(sound(2.5), sampling_rate=RATE)


@pytest.mark.parametrize("content", [b"", b"RIFF", b"ID3 no wave", b"RIFF\x10\0\0\0WAVEfmt "])
def test_a_file_that_is_no_wav_is_refused(tmp_path, content):
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(ix.IntrospectError, match=r"the path of a WAV file, got .*a\.wav'"):
        wav2vec2().capture(tmp_path / "a.wav")


def test_files_of_another_rate_or_of_two_channels_are_refused(tmp_path):
    slow = written(tmp_path / "slow.wav", SOUND, rate=8_000)
    with pytest.raises(ix.IntrospectError, match=r"got 8,000 Hz\..*: ffmpeg .* -ar 16000"):
        wav2vec2().capture(slow)
    with pytest.raises(ix.IntrospectError, match="no `sampling_rate` beside a file"):
        wav2vec2().capture(slow, sampling_rate=16_000)
    both = tmp_path / "both.wav"
    wavfile.write(both, RATE, np.stack([SOUND, SOUND], 1))
    with pytest.raises(ix.IntrospectError, match="got 2 channels.*ffmpeg"):
        wav2vec2().capture(both)


def test_a_sound_for_a_model_of_text_is_refused(minilm):
    with pytest.raises(ix.IntrospectError, match="a sound or a picture, to a model that"):
        minilm.capture(SOUND)
    with pytest.raises(ix.IntrospectError, match=r"reads sound\. Capture a WAV file"):
        load_text(whisper())


def test_pairs_that_do_not_fit_are_refused(minilm):
    module, processor = whisper().module, whisper().processor
    with pytest.raises(ix.IntrospectError, match="Expected a feature extractor"):
        load((module, processor.tokenizer))
    with pytest.raises(ix.IntrospectError, match="Expected a model that reads sound"):
        load((minilm.module, processor))
    alone = load((module, processor.feature_extractor))
    with pytest.raises(ix.IntrospectError, match="a processor with a fast tokenizer"):
        alone.capture(SOUND, sampling_rate=RATE, target="a")
    with pytest.raises(ix.IntrospectError, match="which reads sound only"):
        load((module, processor), tower="vision")


def test_a_spectrogram_cut_into_patches_is_refused():
    config = tf.ASTConfig(
        hidden_size=32, num_hidden_layers=1, num_attention_heads=4, intermediate_size=48,
        max_length=64, num_mel_bins=32,
    )  # fmt: skip
    extractor = tf.ASTFeatureExtractor(max_length=64, num_mel_bins=32)
    model = load((tf.ASTModel(config).eval(), extractor))
    with pytest.raises(ix.IntrospectError, match="such as Whisper, wav2vec 2, HuBERT or WavLM"):
        model.capture(SOUND, sampling_rate=RATE)


def test_folders_are_loaded_with_what_reads_for_them(tmp_path):
    model = wav2vec2()
    model.module.save_pretrained(tmp_path / "wav2vec2")
    model.processor.save_pretrained(tmp_path / "wav2vec2")
    loaded = load(str(tmp_path / "wav2vec2"))
    assert isinstance(loaded, AudioModel)
    expected = model.capture(SOUND, sampling_rate=RATE)
    again = loaded.capture(SOUND, sampling_rate=RATE)
    assert torch.equal(again.attentions, expected.attentions)
    model = whisper()
    model.module.save_pretrained(tmp_path / "whisper")
    model.processor.save_pretrained(tmp_path / "whisper")
    loaded = load(str(tmp_path / "whisper"))
    again = loaded.capture(SOUND, sampling_rate=RATE, target="a cat")
    expected = model.capture(SOUND, sampling_rate=RATE, target="a cat")
    assert torch.equal(again.attentions, expected.attentions)
    assert again.queries == expected.queries
    with pytest.raises(ix.IntrospectError, match="lm_head=True"):
        loaded.transcript(SOUND, sampling_rate=RATE)


def test_what_the_model_writes_is_its_target():
    text = whisper().transcript(SOUND, sampling_rate=RATE, max_new_tokens=5)
    assert text and "<|" not in text
    record = whisper().capture(SOUND, sampling_rate=RATE, target=text)
    assert record.queries.texts == (text,)


def test_floats_that_a_filter_has_taken_beyond_one_are_read_as_they_are(tmp_path):
    loud = (SOUND / np.abs(SOUND).max() * 1.2).astype(np.float32)
    wavfile.write(tmp_path / "loud.wav", RATE, loud)
    assert np.array_equal(wav2vec2().waveform(tmp_path / "loud.wav"), loud)


@pytest.mark.parametrize("missing", [1, 4000])
def test_a_file_that_ends_before_its_header_says_is_refused(tmp_path, missing):
    path = tmp_path / "cut.wav"
    wavfile.write(path, RATE, (SOUND * 32_767).astype(np.int16))
    path.write_bytes(path.read_bytes() + b"LIST\x04\0\0\0name")
    assert len(wav2vec2().waveform(path)) == len(SOUND)
    path.write_bytes(path.read_bytes()[: -12 - missing])
    with pytest.raises(InputError, match="ends before its header says"):
        wav2vec2().capture(path)


@pytest.mark.parametrize("make", [whisper, wav2vec2])
def test_interventions_in_models_of_sound_are_refused_with_the_reason(make):
    with pytest.raises(CaptureError, match="which reads sound. Its attention can be captured"):
        ix.ablate(make().module, "L0H0")
