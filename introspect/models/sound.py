"""Read a sound: a WAV file, or an array with its sampling rate, as one channel of floats."""

from __future__ import annotations

import math
import os
import struct
import warnings
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from introspect.errors import InputError
from introspect.io import regular
from introspect.text import quantity, shortened, whole

Waveform = npt.NDArray[np.float32]

# What the numbers of a WAV file stand for: half of their range is 1, and unsigned ones have
# their silence in the middle.
_SCALES = {"int16": (0, 1 << 15), "int32": (0, 1 << 31), "uint8": (128, 128)}
# Filters, as of another rate, may go somewhat beyond ±1; other numbers do by far.
_LARGEST_FLOAT = 2
_CONVERT = "ffmpeg -i in.wav -ac 1 -ar {rate} out.wav"


def read_sound(audio: Any, sampling_rate: int | None, expected: int, name: str) -> Waveform:
    """Read a sound as ``(num_samples,)`` of float32, from −1 to 1.

    Args:
        audio: the path of a WAV file, or samples as an array, a tensor or a list: floats from −1
            to 1, or the integers of a WAV file.
        sampling_rate: samples in a second, for an array; a file says it itself.
        expected: the rate that the model reads.
        name: the model's name, for errors.

    Raises:
        InputError: the input is no sound, is of several channels or another rate, or has no
            samples or impossible ones.
    """
    is_file = isinstance(audio, str | os.PathLike)
    if is_file:
        rate, samples = _from_file(audio)
        if sampling_rate not in (None, rate):
            raise InputError(
                f"Expected no `sampling_rate` beside a file, which is of {whole(rate)} Hz, got "
                f"{sampling_rate!r}. Leave it out."
            )
    else:
        samples = _from_array(audio)
        if sampling_rate is None:
            raise InputError(
                f"Expected `sampling_rate` beside an array, the samples in a second, got none. "
                f"{name} reads {whole(expected)} Hz: give sampling_rate={expected} if that is the "
                "rate."
            )
        rate = sampling_rate
    mono = _one_channel(samples, is_file=is_file, expected=expected)
    _check_rate(rate, mono, expected, name, is_file=is_file)
    return _scaled(mono)


def _from_file(path: str | os.PathLike[str]) -> tuple[int, npt.NDArray[Any]]:
    from scipy.io import wavfile

    try:
        with warnings.catch_warnings():
            # Chunks that are no sound, such as the name of a song, are nobody's concern.
            warnings.simplefilter("ignore", wavfile.WavFileWarning)
            warnings.filterwarnings("error", "Reached EOF", wavfile.WavFileWarning)
            rate, samples = wavfile.read(os.fspath(regular(path)))
    except wavfile.WavFileWarning as error:
        raise InputError(
            f"Expected a whole WAV file, got {shortened(os.fspath(path))!r}, which ends before its "
            "header says. Copy it again; or keep what there is: ffmpeg -i in.wav out.wav."
        ) from error
    # The reader raises any of these for a damaged or foreign file.
    except (OSError, ValueError, EOFError, struct.error, KeyError, TypeError, ZeroDivisionError,
            UnboundLocalError, OverflowError, MemoryError) as error:  # fmt: skip
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise InputError(
            f"Expected the path of a WAV file, got {shortened(os.fspath(path))!r}, which cannot be "
            f"read ({shortened(str(reason).rstrip('.'), 80)}). A model of sound reads no text: "
            "give a WAV file, or convert another one with ffmpeg -i in.mp3 out.wav."
        ) from error
    return int(rate), np.asarray(samples)


def _from_array(audio: Any) -> npt.NDArray[Any]:
    given = audio
    if torch.is_tensor(audio):
        # numpy has no bfloat16.
        tensor = audio.detach().cpu()
        given = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    if isinstance(given, list | tuple):
        try:
            given = np.asarray(given)
        except ValueError:
            given = None
    if not isinstance(given, np.ndarray) or given.dtype.kind not in "fiu":
        kind = (
            f"an array of {given.dtype}" if isinstance(given, np.ndarray) else type(audio).__name__
        )
        raise InputError(
            f"Expected a sound as the path of a WAV file or an array of samples, got {kind}."
        )
    return given


def _one_channel(samples: npt.NDArray[Any], *, is_file: bool, expected: int) -> npt.NDArray[Any]:
    """Return the samples of the only channel.

    Raises:
        InputError: there are several channels, or no samples.
    """
    if samples.size == 0:
        raise InputError("Expected a sound with samples in it, got an empty one.")
    if samples.ndim == 2 and 1 in samples.shape:
        samples = samples.reshape(-1)
    if samples.ndim != 1:
        raise InputError(
            f"Expected a sound of one channel (mono), got {_channels(samples.shape)}. "
            f"{_how_to_mix(samples, expected, is_file=is_file)}"
        )
    return samples


def _channels(shape: tuple[int, ...]) -> str:
    return f"{min(shape)} channels, {shape}" if len(shape) == 2 else f"shape {shape}"


def _in_floats(samples: npt.NDArray[Any]) -> str:
    """Return how samples are made floats, which is what they are to be before they are changed."""
    if samples.dtype.name not in _SCALES:
        return "audio"
    middle, half = _SCALES[samples.dtype.name]
    return f"(audio / {half} - 1)" if middle else f"(audio / {half})"


def _how_to_mix(samples: npt.NDArray[Any], expected: int, *, is_file: bool) -> str:
    """Return how one channel is made of several."""
    shape = samples.shape
    if len(shape) != 2:
        return "Give the samples of one sound, (num_samples,)."
    how = (
        _CONVERT.format(rate=expected)
        if is_file
        else f"{_in_floats(samples)}.mean(axis={int(shape[0] > shape[1])})"
    )
    return f"Mix them first: {how}."


def _check_rate(
    rate: Any, samples: npt.NDArray[Any], expected: int, name: str, *, is_file: bool
) -> None:
    """Raise an error that says how to resample, unless the rate is the model's.

    Raises:
        InputError: it is another one, or no number.
    """
    if rate == expected:
        return
    is_number = isinstance(rate, Real) and not isinstance(rate, bool)
    if not is_number or not rate > 0 or rate % 1:
        raise InputError(
            f"Expected `sampling_rate` as a whole number of samples in a second, such as "
            f"{expected}, got {rate!r}."
        )
    common = math.gcd(int(rate), expected)
    advice = (
        _CONVERT.format(rate=expected)
        if is_file
        else f"scipy.signal.resample_poly({_in_floats(samples)}, {expected // common}, "
        f"{int(rate) // common})"
    )
    raise InputError(
        f"Expected a sound of {whole(expected)} Hz for {name}, got {whole(int(rate))} Hz. Resample "
        f"it: {advice}."
    )


def _scaled(samples: npt.NDArray[Any]) -> Waveform:
    """Return floats from −1 to 1; integers are scaled as a WAV file means them.

    Raises:
        InputError: the integers are of another size, or a float is missing or beyond all bounds.
    """
    kind = samples.dtype.name
    if samples.dtype.kind in "iu":
        if kind not in _SCALES:
            raise InputError(
                f"Expected samples as floats from −1 to 1, or as int16, int32 or uint8 as in a WAV "
                f"file, got {kind}. Convert them: audio.astype('int16') for those of 16 bits."
            )
        middle, half = _SCALES[kind]
        return ((samples.astype(np.float64) - middle) / half).astype(np.float32)
    if not np.isfinite(samples).all():
        place = int(np.flatnonzero(~np.isfinite(samples))[0])
        raise InputError(
            f"Expected a number in every sample, got {samples[place]} at sample {whole(place)}. "
            "Replace it: numpy.nan_to_num(audio)."
        )
    largest = float(np.abs(samples).max())
    if largest > _LARGEST_FLOAT:
        raise InputError(
            f"Expected floats from −1 to 1, got {quantity(largest)}. Give whole numbers of a WAV "
            "file as they are, or divide those of 16 bits by 32768; other floats by their largest: "
            "audio / abs(audio).max()."
        )
    return samples.astype(np.float32)
