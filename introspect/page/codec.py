"""Weights as bytes: small enough for a page, and within 0.005 of what was captured.

Two codes, both exact at 0 and 1, both with their largest code for a missing value (NaN):

``u16``
    value = code / 65534; the error is below 0.00001.
``u8sqrt``
    value = (code / 254)²; the error is below 0.004 and shrinks with the weight, so that the many
    small weights of a long text stay apart.

Queries, keys and values have a sign and no bounds. They have 16 bits each, in units of the largest
absolute value of their layer and head (``scale``): value = code / 32766 × scale.
"""

from __future__ import annotations

import base64
import gzip
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from introspect.errors import RecordError

__all__ = [
    "LARGEST_IN_16_BITS",
    "Encoded",
    "SignedEncoded",
    "decode",
    "decode_signed",
    "encode",
    "encode_signed",
]

#: Up to this many weights a page holds 16 bits each, beyond it 8.
LARGEST_IN_16_BITS = 2_000_000

# Softmax rows sum to 1 only up to rounding, so single weights may exceed it by as much.
_TOLERANCE = 1e-5

_LARGEST_SIGNED = 32766
_MISSING_SIGNED = -32768

Floats = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Encoded:
    """An array as text for a page: gzip, then base64."""

    codec: str
    shape: tuple[int, ...]
    data: str


@dataclass(frozen=True)
class SignedEncoded:
    """A part of any sign: codes as text, and the scale of each layer and head."""

    shape: tuple[int, ...]
    scales: list[list[float]]
    data: str


def encode(values: Floats) -> Encoded:
    """Encode weights from 0 to 1, with NaN for missing ones.

    Raises:
        RecordError: a value is outside 0 to 1; nothing is clipped silently.
    """
    known = values[~np.isnan(values)]
    if known.size and (known.min() < -_TOLERANCE or known.max() > 1 + _TOLERANCE):
        raise RecordError(
            f"Expected attention weights from 0 to 1, got {known.min():.4g} to {known.max():.4g}. "
            "Views show weights, after the softmax; give those."
        )
    bounded = np.clip(values, 0.0, 1.0)
    if values.size <= LARGEST_IN_16_BITS:
        codec, codes = "u16", _codes(bounded * 65534, np.uint16, 65535)
    else:
        codec, codes = "u8sqrt", _codes(np.sqrt(bounded) * 254, np.uint8, 255)
    # mtime=0: the same record gives the same page, byte for byte.
    packed = gzip.compress(codes.astype(codes.dtype.newbyteorder("<")).tobytes(), 9, mtime=0)
    return Encoded(codec, values.shape, base64.b64encode(packed).decode("ascii"))


def encode_signed(values: Floats) -> SignedEncoded:
    """Encode ``(num_layers, heads, length, size)``; the error is at most scale / 65532.

    The code -32768 stands for a missing value; infinite ones, as masked scores are, are missing.
    """
    known = np.where(np.isfinite(values), values, 0.0).astype(np.float64)
    scales = np.abs(known).max(axis=(2, 3))
    units = np.where(scales > 0, scales, 1.0)[:, :, None, None]
    codes = np.rint(known / units * _LARGEST_SIGNED).astype("<i2")
    codes[~np.isfinite(values)] = _MISSING_SIGNED
    packed = gzip.compress(codes.tobytes(), 9, mtime=0)
    data = base64.b64encode(packed).decode("ascii")
    return SignedEncoded(values.shape, scales.tolist(), data)


def decode_signed(encoded: SignedEncoded) -> npt.NDArray[np.float32]:
    """What a page reads back."""
    raw = gzip.decompress(base64.b64decode(encoded.data))
    codes = np.frombuffer(raw, dtype="<i2").reshape(encoded.shape)
    values: npt.NDArray[np.float64] = (
        codes / _LARGEST_SIGNED * np.array(encoded.scales)[:, :, None, None]
    )
    values[codes == _MISSING_SIGNED] = np.nan
    return values.astype(np.float32)


def decode(encoded: Encoded) -> npt.NDArray[np.float32]:
    """What a page reads back."""
    raw = gzip.decompress(base64.b64decode(encoded.data))
    if encoded.codec == "u16":
        codes = np.frombuffer(raw, dtype="<u2")
        values = codes / 65534
        missing = codes == 65535
    else:
        codes = np.frombuffer(raw, dtype=np.uint8)
        values = (codes / 254) ** 2
        missing = codes == 255
    values[missing] = np.nan
    return values.astype(np.float32).reshape(encoded.shape)


def _codes(scaled: Floats, dtype: type, missing: int) -> npt.NDArray[np.unsignedinteger]:
    return np.where(np.isnan(scaled), missing, np.rint(np.nan_to_num(scaled))).astype(dtype)
