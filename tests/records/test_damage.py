"""Damaged and foreign files in place of records, and records that are pickled and copied."""

from __future__ import annotations

import copy
import json
import pickle
import random
import struct
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save

import introspect as ix
from introspect.errors import IntrospectError, RecordError
from introspect.records import AttentionRecord
from tests.mutations import DEEP, damaged, json_damaged, mutated
from tests.records.test_storage import full
from tests.synthetic import record


@pytest.fixture(scope="session")
def place(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("damage") / "record"


@pytest.fixture(scope="session")
def content(place) -> bytes:
    return full().save(place).read_bytes()


def same(one: AttentionRecord, other: AttentionRecord) -> bool:
    names = ("queries", "keys", "kind", "layers", "certificate", "notices", "grid")
    return (
        all(getattr(one, name) == getattr(other, name) for name in names)
        and torch.equal(one.attentions, other.attentions)
        and one.parts.keys() == other.parts.keys()
        and all(torch.equal(one.parts[name], other.parts[name]) for name in one.parts)
    )


def header_of(content: bytes) -> tuple[dict, bytes]:
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def with_header(header: object, rest: bytes) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + rest


def spoiled(content: bytes, random_: random.Random) -> bytes:
    """Bytes of a record with a fault anywhere: in its bytes, its header, or what that holds."""
    if random_.random() < 0.3:
        return damaged(content, random_)
    header, rest = header_of(content)
    if random_.random() < 0.2:
        return with_header(mutated(header, random_), rest)
    inner = header["__metadata__"]["introspect"]
    header["__metadata__"]["introspect"] = json_damaged(inner, random_)
    return with_header(header, rest)


@pytest.mark.slow
@settings(max_examples=1_000, deadline=None)
@given(seed=st.integers(0, 2**48))
def test_a_damaged_record_is_refused_or_the_same(place, content, seed):
    place.write_bytes(spoiled(content, random.Random(seed)))
    try:
        assert same(AttentionRecord.load(place), full())
    except RecordError as error:
        assert "\n" not in str(error).strip()


@pytest.mark.slow
@settings(max_examples=1_000, deadline=None)
@given(seed=st.integers(0, 2**48))
def test_a_foreign_record_is_refused_or_can_be_used(place, content, seed):
    """Without its digest, as an earlier version wrote it, only the types are left to check."""
    header, rest = header_of(content)
    fields = json.loads(header["__metadata__"]["introspect"])
    del fields["sha256"]
    fields["format"] = "introspect.attention-record/1"
    header["__metadata__"]["introspect"] = json.dumps(mutated(fields, random.Random(seed)))
    place.write_bytes(with_header(header, rest))
    try:
        loaded = AttentionRecord.load(place)
        loaded.words()
        loaded.save(place)
        assert same(AttentionRecord.load(place), loaded)
        repr(loaded), hash(loaded.keys), pickle.dumps(loaded)
        if seed % 50 == 0:
            ix.heatmap_view(loaded).figure.to_json()
            ix.head_view(loaded).to_html()
    except IntrospectError:
        pass


def test_a_record_of_the_last_version_is_read(place, content):
    header, rest = header_of(content)
    fields = json.loads(header["__metadata__"]["introspect"])
    del fields["sha256"], fields["certificate"]["unused"]
    fields["format"] = "introspect.attention-record/1"
    header["__metadata__"]["introspect"] = json.dumps(fields)
    place.write_bytes(with_header(header, rest))
    assert same(AttentionRecord.load(place), full())


@pytest.mark.parametrize("inner", [DEEP, '{"a":' * 50_000, "[]", "7", "{}", "", "nul", "\ufeff{}"])
def test_a_header_that_is_none_is_one_line(place, inner):
    place.write_bytes(save({"attentions": torch.ones(1, 1, 1, 1)}, {"introspect": inner}))
    with pytest.raises(RecordError, match="written by AttentionRecord.save"):
        AttentionRecord.load(place)


def test_a_changed_weight_is_noticed(place, content):
    place.write_bytes(content[:-4] + struct.pack("<f", 0.25))
    with pytest.raises(RecordError, match="changed since it was written"):
        AttentionRecord.load(place)


COPIES = {
    "pickle": lambda value: pickle.loads(pickle.dumps(value)),
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
}


@pytest.mark.parametrize("way", COPIES.values(), ids=COPIES)
def test_a_copied_record_is_the_same_and_as_closed(way):
    made = record()
    made = ix.AttentionRecord(
        made.attentions, made.queries, made.keys, parts={"scores": made.attentions.clone()}
    )
    copied = way(made)
    assert same(copied, made)
    with pytest.raises(TypeError):
        copied.parts["scores"] = made.attentions
    assert {copied.keys: 1}[made.keys] == 1
    assert {copied.certificate: 1}[made.certificate] == 1
