"""Records are saved and read back exactly; what is no record is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from introspect.errors import OutputError, RecordError
from introspect.records import AttentionRecord, Certificate
from tests.records.helpers import TOKENS, even, sequence
from tests.synthetic import record


def full() -> AttentionRecord:
    """A record with something in every part."""
    made = record(piece=3)
    return replace(
        made,
        kind="encoder",
        layers=(2, 5),
        notices=("Its last 3 characters were truncated: “猫\u2028\x00”",),
        certificate=Certificate(
            route="attention interface",
            max_row_sum_error=1e-7,
            max_difference_from_eager=0.1 + 0.2,
            note="«why»",
            model="m",
        ),
        queries=replace(made.queries, token_ids=tuple(range(len(made.queries)))),
    )


def test_a_saved_record_is_read_back_exactly(tmp_path):
    made = full()
    assert made.save(tmp_path / "r.safetensors") == tmp_path / "r.safetensors"
    back = AttentionRecord.load(tmp_path / "r.safetensors")
    assert torch.equal(back.attentions, made.attentions)
    assert back.queries == made.queries
    assert back.keys == made.keys
    assert (back.kind, back.layers, back.notices) == (made.kind, made.layers, made.notices)
    assert back.certificate == made.certificate


def test_a_record_that_was_read_is_written_as_the_same_bytes(tmp_path):
    full().save(tmp_path / "a")
    AttentionRecord.load(tmp_path / "a").save(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_numbers_that_are_none_come_back(tmp_path):
    tokens = sequence(*TOKENS)
    values = even()
    values[0, 0, 0] = torch.tensor([torch.nan, torch.inf, -0.0])
    AttentionRecord(values, tokens, tokens).save(tmp_path / "a")
    back = AttentionRecord.load(tmp_path / "a").attentions
    assert back.view(torch.int32).equal(values.view(torch.int32))


@given(tokens=st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=5))
def test_any_tokens_come_back(tmp_path_factory, tokens):
    path = tmp_path_factory.mktemp("record") / "r"
    size = len(tokens)
    AttentionRecord.from_tensors(even(1, 1, size, size), tokens).save(path)
    assert AttentionRecord.load(path).tokens == tuple(tokens)


def test_anyone_can_read_the_tensor(tmp_path):
    made = full()
    made.save(tmp_path / "r.safetensors")
    assert torch.equal(load_file(tmp_path / "r.safetensors")["attentions"], made.attentions)


def test_a_missing_file_is_a_record_error(tmp_path):
    with pytest.raises(RecordError, match="cannot be read"):
        AttentionRecord.load(tmp_path / "missing")


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_file_that_was_cut_off_is_a_record_error(tmp_path, share):
    path = full().save(tmp_path / "r")
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(RecordError, match=r"AttentionRecord\.save"):
        AttentionRecord.load(path)


@pytest.mark.parametrize("content", [b"", b"{}", b"hello", b"\xff" * 64, b"\x00" * 64])
def test_another_file_is_a_record_error(tmp_path, content):
    (tmp_path / "r").write_bytes(content)
    with pytest.raises(RecordError, match=r"AttentionRecord\.save"):
        AttentionRecord.load(tmp_path / "r")


def test_tensors_of_another_program_are_a_record_error(tmp_path):
    save_file({"attentions": even()}, tmp_path / "r")
    with pytest.raises(RecordError, match=r"AttentionRecord\.save"):
        AttentionRecord.load(tmp_path / "r")


def rewritten(path, **changes):
    """The file with another header around the same tensor."""
    made = full()
    made.save(path)
    header = json.loads(_metadata(path)) | changes
    save_file({"attentions": made.attentions}, path, metadata={"introspect": json.dumps(header)})
    return path


def _metadata(path) -> str:
    from safetensors import safe_open

    with safe_open(str(path), framework="pt") as stream:
        return stream.metadata()["introspect"]


@pytest.mark.parametrize(
    "changes",
    [
        {"format": "introspect.attention-record/99"},
        {"layers": [0, 1, 2]},
        {"kind": "other"},
        {"keys": {"tokens": ["one"]}},
        {"keys": {"nonsense": [1]}},
        {"keys": None},
        {"certificate": {"nonsense": 1}},
        {"notices": None},
        {"queries": {"tokens": 5}},
        {"queries": {"tokens": ["x"], "offsets": [[1, 2, 3]]}},
        {"keys": []},
    ],
)
def test_a_header_that_does_not_fit_is_a_record_error(tmp_path, changes):
    with pytest.raises(RecordError):
        AttentionRecord.load(rewritten(tmp_path / "r", **changes))


def test_saving_into_a_missing_folder_is_an_output_error(tmp_path):
    with pytest.raises(OutputError, match="does not exist"):
        full().save(tmp_path / "missing" / "r")


def test_norms_are_saved_and_loaded_with_the_record(tmp_path):
    record = AttentionRecord.from_tensors(torch.full((2, 3, 2, 2), 0.5), ["a", "b"])
    record = replace(record, parts={"value_norms": torch.rand(2, 3, 2)})
    again = AttentionRecord.load(record.save(tmp_path / "one"))
    assert torch.equal(again.parts["value_norms"], record.parts["value_norms"])
    assert torch.equal(record.only([1]).parts["value_norms"], record.parts["value_norms"][1:])
