"""A model of sound with its feature extractor, which captures the attention over a waveform."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from introspect.calls import checked_call, checked_class
from introspect.errors import CaptureError, InputError, ModelError, SelectionError, TextError
from introspect.hooks import capture, placed, unwrapped, verify
from introspect.models.fit import extractor_in, is_feature_extractor, reads_sound
from introspect.models.inputs import EncodedText, encode_target
from introspect.models.run_plan import (
    checked_kind,
    kinds_of,
    make_record,
    reader_of,
    run_inputs,
    signed,
)
from introspect.models.sound import Waveform, read_sound
from introspect.models.tokens import is_fast
from introspect.records import AttentionRecord, AudioFrames, Kind, TokenSequence
from introspect.text import decimal, whole

#: The label of the frames after the sound.
PADDING = "[padding]"
# So many bytes of attention are captured at most: a pattern grows with the square of the sound.
_MOST_BYTES = 8 << 30


@checked_class
@dataclass(frozen=True, eq=False)
class AudioModel:
    """A transformers module that reads sound, with its feature extractor.

    Args:
        module: the transformers model: Whisper, wav2vec 2, HuBERT, WavLM.
        processor: its feature extractor; or a processor that contains one, with the tokenizer of
            what the model writes (Whisper).
        name: the name to report: hub id or folder.
        revision: the commit on the hub, or a digest of the weights.
        unused: weights of its checkpoint that it does not use, for the certificate.

    Raises:
        ModelError: the model does not read sound, or the processor is not for sound.
    """

    module: nn.Module
    processor: Any
    name: str = "model"
    revision: str | None = None
    unused: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "module", unwrapped(self.module))
        if not reads_sound(self.module):
            raise ModelError(
                f"Expected a model that reads sound for a feature extractor, got "
                f"{type(self.module).__name__}. Give load((module, tokenizer)) for a model of text."
            )
        if not is_feature_extractor(self.processor):
            raise ModelError(
                f"Expected a feature extractor for {self.name}, which reads sound, got "
                f"{type(self.processor).__name__}. Load it with "
                "AutoFeatureExtractor.from_pretrained, or AutoProcessor for a model that writes."
            )

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.name}, {type(self.module).__name__}>"

    @property
    def extractor(self) -> Any:
        """The feature extractor."""
        return extractor_in(self.processor)

    @property
    def sampling_rate(self) -> int:
        """Return the sampling rate that the model reads, in samples a second."""
        return int(self.extractor.sampling_rate)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds of attention: ``self``; or ``encoder``, ``decoder`` and ``cross``."""
        return kinds_of(self.module)

    @checked_call(
        hints={
            "generate": "model.transcript(audio, max_new_tokens=…) writes; give what it returns as "
            "`target`"
        }
    )
    def capture(
        self,
        audio: Any,
        *,
        sampling_rate: int | None = None,
        target: str | None = None,
        kind: Kind | None = None,
        include: Sequence[str] = ("attentions",),
        layers: Sequence[int] | None = None,
        certify: bool = False,
    ) -> AttentionRecord:
        """Capture the attention of every layer and head for one sound.

        The keys are the frames of the sound (of ``decoder`` attention the tokens), named after the
        time at which they begin; their places are in ``record.frames``. A model that reads sound
        of one length only (Whisper: 30 s) pads a shorter one. The frames of the padding are
        attended to as well, so they are kept, as special tokens of one word, ``[padding]``.

        Args:
            audio: the path of a WAV file; or its samples, an array of floats from −1 to 1 or of
                the integers of a WAV file.
            sampling_rate: samples in a second, for an array. It has to be the model's.
            target: the text that an encoder-decoder writes (Whisper).
            kind: for encoder-decoders ``encoder`` (the default without a target), ``decoder`` or
                ``cross`` (the default with one).
            include: the parts to keep besides the attention: ``scores``, ``queries``, ``keys``,
                ``values``, ``head_outputs``; they are in ``record.parts``.
            layers: only these layers, by the model's own numbers.
            certify: run the model twice more, to add to the certificate how much the capture
                differs from the attention that the model returns itself.

        Raises:
            InputError: the input is no sound, is of another rate or several channels, or too long.
            SelectionError: the model does not have a layer, part or kind, or lacks a target.
            TextError: the target is empty, or longer than the model writes.
            CaptureError: the attention cannot be observed, or is not between all frames.
        """
        wanted = tuple(dict.fromkeys([include] if isinstance(include, str) else include))
        kind = self._checked_kind(kind, target)
        waveform = self.waveform(audio, sampling_rate=sampling_rate)
        if self._input_name == "input_values":  # of any length
            self._check_size(self._cut(len(waveform))[3], layers)
        written = None if target is None else self._written(target)
        module, inputs = self._run(waveform, kind, written)
        frames, total = self._frames(len(waveform), inputs)
        captured = capture(module, inputs, ("attentions", *wanted), layers=layers)
        if certify:
            captured = replace(captured, certificate=verify(module, inputs, captured))
        sound = _tokens(frames, total)
        tokens = None if written is None else written.tokens
        queries = sound if tokens is None or kind == "encoder" else tokens
        keys = tokens if tokens is not None and kind == "decoder" else sound
        # An encoder that runs alone has self-attention.
        captured_kind = kind if kind in captured.attentions else "self"
        record = make_record(
            captured,
            captured_kind,
            queries=queries,
            keys=keys,
            name=self.name,
            parts=[part for part in wanted if part != "attentions"],
            notices=(*_notices(frames, total), *(written.notices if written else ())),
        )
        of_sound = frames if keys is sound else None
        return replace(signed(record, self, self.processor), kind=kind, frames=of_sound)

    @checked_call
    def waveform(self, audio: Any, *, sampling_rate: int | None = None) -> Waveform:
        """Return a sound as the model reads it, before its features are computed.

        Args:
            audio: as for ``capture``.
            sampling_rate: as for ``capture``.

        Returns:
            ``(num_samples,)``, float32, from −1 to 1.

        Raises:
            InputError: the input is no sound, or is of another rate or several channels.
        """
        return read_sound(audio, sampling_rate, self.sampling_rate, self.name)

    @checked_call
    def transcript(
        self, audio: Any, *, sampling_rate: int | None = None, max_new_tokens: int | None = None
    ) -> str:
        """Return what the model writes of a sound, to capture as its ``target``.

        Args:
            audio: as for ``capture``.
            sampling_rate: as for ``capture``.
            max_new_tokens: write at most so many tokens; by default as the model is configured.

        Raises:
            InputError: the input is no sound, or is of another rate or several channels.
            ModelError: the model cannot write, or has no tokenizer.
        """
        writes = getattr(self.module, "can_generate", lambda: False)()
        tokenizer = getattr(self.processor, "tokenizer", None)
        if len(self.kinds) == 1:
            raise ModelError(
                f"Expected a model of sound that writes a text word by word, such as Whisper, got "
                f"{type(self.module).__name__}, which has self-attention alone. Capture it without "
                "a target."
            )
        if not writes or tokenizer is None:
            raise ModelError(
                f"Expected a model of sound that writes, with a tokenizer, got "
                f"{type(self.module).__name__} with {type(self.processor).__name__}. Load it with "
                "its LM head, ix.load(name, lm_head=True), and with its processor."
            )
        features = self._features(self.waveform(audio, sampling_rate=sampling_rate))
        named = {} if max_new_tokens is None else {"max_new_tokens": max_new_tokens}
        inputs = placed(self.module, {self._input_name: features})
        with torch.no_grad():
            ids = self.module.generate(**inputs, **named)  # type: ignore[operator]
        return str(tokenizer.decode(ids[0], skip_special_tokens=True)).strip()

    def _checked_kind(self, kind: Kind | None, target: str | None) -> Kind:
        if len(self.kinds) > 1 and kind in ("decoder", "cross") and target is None:
            raise SelectionError(
                f"Expected a target for {kind} attention: the text that {self.name} writes. Give "
                "it with target='…'; model.transcript(audio) lets the model write it."
            )
        return checked_kind(kind, name=self.name, kinds=self.kinds, has_target=target is not None)

    def _run(
        self, waveform: Waveform, kind: Kind, written: EncodedText | None
    ) -> tuple[nn.Module, dict[str, torch.Tensor]]:
        """Return the part of the model to run, and its inputs."""
        module = reader_of(self.module) if kind == "encoder" and written is None else self.module
        read = {self._input_name: self._features(waveform)}
        return module, run_inputs(module, read, None if written is None else written.inputs)

    @property
    def _input_name(self) -> str:
        return str(self.module.main_input_name)

    def _features(self, waveform: Waveform) -> torch.Tensor:
        longest = getattr(self.extractor, "n_samples", None)
        if self._input_name == "input_features" and longest and len(waveform) > longest:
            seconds = [each / self.sampling_rate for each in (longest, len(waveform))]
            raise InputError(
                f"Expected at most {_seconds(seconds[0])} of sound, all that {self.name} reads at "
                f"a time, got {decimal(seconds[1])} s. Its {whole(len(waveform))} samples have to "
                f"be {whole(longest)}: audio = model.waveform(audio), then audio[:{longest}] with "
                f"sampling_rate={self.sampling_rate}."
            )
        made = self.extractor(waveform, sampling_rate=self.sampling_rate, return_tensors="pt")
        features: torch.Tensor = made[self._input_name]
        parameter = next(self.module.parameters(), None)
        return features if parameter is None else features.to(parameter.dtype)

    def _frames(self, samples: int, inputs: Mapping[str, torch.Tensor]) -> tuple[AudioFrames, int]:
        """Return the frames of a sound, and how many there are with those of the padding.

        Raises:
            CaptureError: how the model cuts the sound into frames is not known.
            InputError: the sound is too short for a frame.
        """
        length = int(inputs[self._input_name].shape[-1])
        first, width, step, total = self._cut(length)
        if total < 1:
            raise InputError(
                f"Expected at least {whole(width)} samples, which {self.name} computes a frame "
                f"from, got {whole(samples)}."
            )
        count = min(total, math.ceil(samples / step))
        return AudioFrames(count, step, self.sampling_rate, samples, (first, first + width)), total

    def _cut(self, length: int) -> tuple[int, int, int, int]:
        """Return the first sample of the first frame, its width, the step, and how many there are.

        Each convolution takes some inputs, ``kernel``, and goes on by some, ``stride``.
        """
        first, width, step = self._window()
        for kernel, stride, padding in self._convolutions():
            first -= padding * step
            width += (kernel - 1) * step
            step *= stride
            length = (length + 2 * padding - kernel) // stride + 1
        return first, width, step, length

    def _window(self) -> tuple[int, int, int]:
        """Return the first sample, the width and the step of an input of the convolutions."""
        if self._input_name == "input_values":
            return 0, 1, 1
        extractor = self.extractor
        size = int(extractor.n_fft)
        # The windows of a spectrogram stand about their times.
        return -(size // 2), size, int(extractor.hop_length)

    def _convolutions(self) -> Iterator[tuple[int, int, int]]:
        """Yield kernel, stride and padding of each convolution over the sound."""
        config: Any = self.module.config
        if self._input_name == "input_values" and hasattr(config, "conv_stride"):
            for kernel, stride in zip(config.conv_kernel, config.conv_stride, strict=True):
                yield int(kernel), int(stride), 0
            return
        encoder = reader_of(self.module)
        layers = [getattr(encoder, name, None) for name in ("conv1", "conv2")]
        is_whisper = self._input_name == "input_features" and hasattr(self.extractor, "hop_length")
        if not is_whisper or not all(isinstance(layer, nn.Conv1d) for layer in layers):
            raise CaptureError(
                f"Expected a model whose frames are known by its convolutions, such as Whisper, "
                f"wav2vec 2, HuBERT or WavLM, got {type(self.module).__name__}. Use "
                "introspect.capture(module, features) to have the attention as it is."
            )
        for layer in layers:
            assert isinstance(layer, nn.Conv1d)
            yield layer.kernel_size[0], layer.stride[0], int(layer.padding[0])

    def _check_size(self, frames: int, layers: Sequence[int] | None) -> None:
        config: Any = self.module.config
        heads = getattr(config, "encoder_attention_heads", None) or config.num_attention_heads
        depth = getattr(config, "encoder_layers", None) or config.num_hidden_layers
        count = depth if layers is None else len(set(layers))
        if (size := 4 * count * heads * frames**2) > _MOST_BYTES:
            raise InputError(
                f"Expected a sound whose attention fits into {_MOST_BYTES >> 30} GiB, got "
                f"{whole(frames)} frames, {decimal(size / (1 << 30), 1)} GiB in {count} layers. "
                "Cut the sound, or capture fewer `layers`."
            )

    def _written(self, target: str) -> EncodedText:
        """Return the tokens that the decoder reads while it writes a text.

        Raises:
            ModelError: there is no tokenizer to make them.
            TextError: the text is empty, or longer than the model writes.
        """
        tokenizer = getattr(self.processor, "tokenizer", None)
        start_id = getattr(self.module.config, "decoder_start_token_id", None)
        if not is_fast(tokenizer) or start_id is None:
            raise ModelError(
                f"Expected a processor with a fast tokenizer for {self.name}, to read the target "
                f"with, got {type(self.processor).__name__}. Load it with "
                "AutoProcessor.from_pretrained."
            )
        limit = getattr(self.module.config, "max_target_positions", None)
        # The end token that it would count is written but never read.
        encoded = encode_target(tokenizer, target, start_id=start_id, limit=None, truncation=False)
        ids = encoded.tokens.token_ids
        # Whisper's tokenizer has put the start token there itself.
        encoded = encoded if ids[1:2] != ids[:1] else _without_first(encoded)
        if limit is not None and len(encoded.tokens) > limit:
            raise TextError(
                f"Expected a target of at most {limit} tokens, all that {self.name} writes, got "
                f"{len(encoded.tokens)}. Shorten it."
            )
        return encoded


def _without_first(encoded: EncodedText) -> EncodedText:
    tokens = encoded.tokens.at(range(1, len(encoded.tokens)))
    inputs = {name: tensor[:, 1:] for name, tensor in encoded.inputs.items()}
    return replace(encoded, inputs=inputs, tokens=tokens)


def _tokens(frames: AudioFrames, total: int) -> TokenSequence:
    """Build the tokens of a sound: each frame is a word, and all of the padding is one."""
    labels = frame_labels(frames)
    rest = total - len(frames)
    return TokenSequence(
        tokens=(*labels, *(PADDING,) * rest),
        word_ids=(*range(len(labels)), *(len(labels),) * rest),
        special_tokens_mask=(*(False,) * len(labels), *(True,) * rest),
        sequence_ids=(*(0,) * len(labels), *(None,) * rest),
        words=(*labels, *((PADDING,) if rest else ())),
    )


def frame_labels(frames: AudioFrames) -> tuple[str, ...]:
    """Return the names of frames: when they begin, so precisely that each has its own.

    Example:
        >>> frame_labels(AudioFrames(3, step=320, sampling_rate=16_000, samples=900))
        ('0.00 s', '0.02 s', '0.04 s')
    """
    step = frames.start(1)
    digits = next((n for n in (2, 3) if round(step, n) == step), 4)
    return tuple(f"{decimal(frames.start(frame), digits)} s" for frame in range(len(frames)))


def _seconds(length: float) -> str:
    return f"{decimal(length, 0 if length == round(length) else 2)} s"


def _notices(frames: AudioFrames, total: int) -> tuple[str, ...]:
    rest = total - len(frames)
    if rest == 0:
        return ()
    return (
        f"The sound is {decimal(frames.seconds)} s long, and the model reads "
        f"{_seconds(frames.start(total))}: {whole(rest)} of its {whole(total)} frames are padding, "
        "which it attends to as well.",
    )
