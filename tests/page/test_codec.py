"""Weights as bytes: within 0.005 of what was captured, exact at the ends, never clipped."""

from __future__ import annotations

import base64
import gzip

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from introspect.errors import RecordError
from introspect.page import codec
from tests.page.decoding import decode, decode_signed

weights = arrays(np.float32, (1, 2, 3, 5), elements=st.floats(0, 1, width=32))


@given(weights)
def test_16_bits_are_within_a_hundred_thousandth(values):
    assert np.abs(decode(codec.encode(values)) - values).max() < 1e-5


@given(weights)
def test_8_bits_are_within_five_thousandths(values):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codec, "LARGEST_IN_16_BITS", 0)
        encoded = codec.encode(values)
    assert encoded.codec == "u8root"
    assert np.abs(decode(encoded) - values).max() < 0.004


@pytest.mark.parametrize("limit", [0, 1000])
def test_nothing_and_everything_are_exact_and_missing_stays_missing(monkeypatch, limit):
    monkeypatch.setattr(codec, "LARGEST_IN_16_BITS", limit)
    values = np.array([[[[0.0, 1.0, np.nan]]]], dtype=np.float32)
    np.testing.assert_array_equal(decode(codec.encode(values)), values)


def test_codes_by_hand():
    encoded = codec.encode(np.array([[[[0.0, 0.5, 1.0, np.nan]]]], dtype=np.float32))
    raw = gzip.decompress(base64.b64decode(encoded.data))
    assert raw == b"\x00\x00\xff\x7f\xfe\xff\xff\xff"  # 0, 32767, 65534, 65535, low byte first


def test_small_weights_stay_apart_in_8_bits(monkeypatch):
    monkeypatch.setattr(codec, "LARGEST_IN_16_BITS", 0)
    values = np.array([[[[0.001, 0.002, 0.003]]]], dtype=np.float32)
    assert len(set(decode(codec.encode(values)).ravel())) == 3


def test_infinite_weights_are_missing():
    encoded = codec.encode(np.array([[[[0.5, np.inf, -np.inf]]]], dtype=np.float32))
    np.testing.assert_array_equal(np.isnan(decode(encoded)), [[[[False, True, True]]]])


@pytest.mark.parametrize("bad", [-0.01, 1.01, 7.0])
def test_values_that_are_no_weights_are_refused(bad):
    with pytest.raises(RecordError, match="from 0 to 1"):
        codec.encode(np.array([[[[0.5, bad]]]], dtype=np.float32))


def test_a_refusal_writes_its_numbers_the_one_way():
    with pytest.raises(RecordError, match="got −0.200 to 1,235"):
        codec.encode(np.array([[[[-0.2, 1234.5]]]], dtype=np.float32))


def test_rounding_of_a_softmax_is_no_error():
    values = np.array([[[[1.000001, -0.000001]]]], dtype=np.float32)
    np.testing.assert_array_equal(decode(codec.encode(values)), [[[[1, 0]]]])


def test_same_weights_give_the_same_bytes():
    values = np.linspace(0, 1, 24, dtype=np.float32).reshape(1, 2, 3, 4)
    assert codec.encode(values) == codec.encode(values.copy())


@given(arrays(np.float32, (2, 2, 3, 4), elements=st.floats(-1e4, 1e4, width=32, allow_nan=False)))
def test_signed_values_come_back_within_their_unit(values):
    encoded = codec.encode_signed(values)
    scales = np.abs(values).max(axis=(2, 3), keepdims=True)
    # The code's own error, and that of float32 on the way back.
    bound = scales / 65532 + scales * 1e-6 + 1e-12
    assert (np.abs(decode_signed(encoded) - values) <= bound).all()


def test_signed_values_that_are_no_numbers_are_missing():
    values = np.array([1.0, np.nan, -np.inf, np.inf, -2.0, 0.0], dtype=np.float32)
    back = decode_signed(codec.encode_signed(values.reshape(1, 1, 2, 3))).ravel()
    assert np.isnan(back[1:4]).all()
    assert back[[0, 4, 5]] == pytest.approx([1.0, -2.0, 0.0], abs=2 / 65532)
