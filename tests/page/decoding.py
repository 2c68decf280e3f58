"""The codes of a page read back, as its scripts do."""

from __future__ import annotations

import base64
import gzip
import math

import numpy as np
import numpy.typing as npt

from introspect.page.codec import _LARGEST_SIGNED, _MISSING_SIGNED, _ROOT, Encoded, SignedEncoded


def decode_signed(encoded: SignedEncoded) -> npt.NDArray[np.float32]:
    """Decode a signed part as a page does."""
    raw = gzip.decompress(base64.b64decode(encoded.data))
    codes = np.frombuffer(raw, dtype="<i2").reshape(encoded.shape)
    values: npt.NDArray[np.float64] = (
        codes / _LARGEST_SIGNED * np.array(encoded.scales)[:, :, None, None]
    )
    values[codes == _MISSING_SIGNED] = np.nan
    return values.astype(np.float32)


def decode(encoded: Encoded) -> npt.NDArray[np.float32]:
    """Decode weights as a page does."""
    raw = gzip.decompress(base64.b64decode(encoded.data))
    if encoded.codec == "sparse":
        return _decode_sparse(raw, encoded)
    if encoded.codec == "u16":
        codes = np.frombuffer(raw, dtype="<u2")
        values = codes / 65534
        missing = codes == 65535
    else:
        codes = np.frombuffer(raw, dtype=np.uint8)
        values = (codes / 254) ** (1 / _ROOT)
        missing = codes == 255
    values[missing] = np.nan
    return values.astype(np.float32).reshape(encoded.shape)


def _decode_sparse(raw: bytes, encoded: Encoded) -> npt.NDArray[np.float32]:
    """Return the kept weights, with 0 elsewhere."""
    assert encoded.kept is not None
    rows = math.prod(encoded.shape[:-1])
    count = rows * encoded.kept
    keys = np.frombuffer(raw, dtype="<u2", count=count).reshape(rows, -1).astype(np.int64)
    codes = np.frombuffer(raw, dtype=np.uint8, offset=2 * count, count=count).reshape(rows, -1)
    weights = np.where(codes == 255, np.nan, (codes / 254) ** (1 / _ROOT)).astype(np.float32)
    values = np.zeros((rows, encoded.shape[-1]), dtype=np.float32)
    np.put_along_axis(values, keys, weights, axis=1)
    return values.reshape(encoded.shape)
