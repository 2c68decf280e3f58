"""Records: checked once, frozen, merged to words, saved and read back exactly."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

import introspect as ix
from introspect.errors import OutputError, RecordError, SelectionError
from introspect.records import AttentionRecord, Certificate, Head, TokenSequence
from tests import models_zoo
from tests.synthetic import TEXT, record

TOKENS = ("a", "b", "c")


def even(layers=2, heads=2, queries=3, keys=3):
    return torch.full((layers, heads, queries, keys), 1 / keys)


def sequence(*tokens: str) -> TokenSequence:
    return TokenSequence(tokens=tokens)


# --- heads ------------------------------------------------------------------------------------


def test_a_head_is_written_short():
    assert str(Head(3, 1)) == "L3H1"
    assert f"{Head(11, 10)}" == "L11H10"
    assert Head(3, 1) == (3, 1)


# --- sequences --------------------------------------------------------------------------------


def test_bare_tokens_are_their_own_words():
    made = sequence(*TOKENS)
    assert made.words == TOKENS
    assert made.word_ids == (0, 1, 2)
    assert made.special_tokens_mask == (False,) * 3
    assert made.pieces() == [[0], [1], [2]]


@pytest.mark.parametrize(
    "part",
    [
        {"token_ids": (1, 2)},
        {"offsets": ((0, 1),)},
        {"special_tokens_mask": (True,) * 4},
        {"unknown_mask": (True,)},
        {"sequence_ids": (0, 0)},
        {"word_ids": (0, 1), "words": ("a", "b")},
    ],
)
def test_parts_of_another_length_are_refused(part):
    with pytest.raises(RecordError, match="each of the 3 tokens"):
        TokenSequence(tokens=TOKENS, **part)


@pytest.mark.parametrize("word", [-1, 2])
def test_a_word_id_without_a_word_is_refused(word):
    with pytest.raises(RecordError, match="word ids from 0 to 1"):
        TokenSequence(tokens=TOKENS, word_ids=(0, 1, word), words=("x", "y"))


def test_specials_are_units_of_their_own():
    made = TokenSequence(
        tokens=("[CLS]", "an", "##imal", "s", "[SEP]", "[PAD]"),
        word_ids=(None, 0, 0, 1, None, None),
        words=("animal", "s"),
    )
    assert made.pieces() == [[0], [1, 2], [3], [4], [5]]
    assert made.at_word_level().tokens == ("[CLS]", "animal", "s", "[SEP]", "[PAD]")


def test_word_level_keeps_what_belongs_to_the_words():
    made = TokenSequence(
        tokens=("[CLS]", "an", "##x", "it"),
        token_ids=(9, 5, 6, 7),
        offsets=((0, 0), (0, 2), (2, 3), (4, 6)),
        word_ids=(None, 0, 0, 1),
        special_tokens_mask=(True, False, False, False),
        unknown_mask=(False, False, True, False),
        sequence_ids=(None, 0, 0, 0),
        words=("anx", "it"),
        texts=("anx it",),
    ).at_word_level()
    assert made.offsets == ((0, 0), (0, 3), (4, 6))
    assert made.token_ids == (9, -1, 7)
    assert made.special_tokens_mask == (True, False, False)
    assert made.unknown_mask == (False, True, False)
    assert made.word_ids == (None, 0, 1)
    assert made.texts == ("anx it",)


def test_a_sequence_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        sequence(*TOKENS).tokens = ()


# --- records ----------------------------------------------------------------------------------


def test_a_record_knows_its_size():
    made = AttentionRecord(even(5, 7), sequence(*TOKENS), sequence(*TOKENS))
    assert (made.num_layers, made.num_heads) == (5, 7)
    assert made.layers == (0, 1, 2, 3, 4)
    assert made.tokens == TOKENS


@pytest.mark.parametrize("shape", [(3, 3), (2, 3, 3), (1, 2, 2, 3, 3)])
def test_another_number_of_dimensions_is_refused(shape):
    with pytest.raises(RecordError, match="num_layers, num_heads, query_len, key_len"):
        AttentionRecord(torch.zeros(shape), sequence(*TOKENS), sequence(*TOKENS))


@pytest.mark.parametrize("shape", [(2, 2, 4, 3), (2, 2, 3, 2)])
def test_tokens_that_do_not_fit_are_refused(shape):
    with pytest.raises(RecordError, match="3 query and 3 key tokens"):
        AttentionRecord(torch.zeros(shape), sequence(*TOKENS), sequence(*TOKENS))


@pytest.mark.parametrize("shape", [(0, 2, 3, 3), (2, 0, 3, 3)])
def test_nothing_to_show_is_refused(shape):
    with pytest.raises(RecordError, match="at least one"):
        AttentionRecord(torch.zeros(shape), sequence(*TOKENS), sequence(*TOKENS))


def test_an_unknown_kind_is_refused():
    with pytest.raises(RecordError, match="self, encoder, decoder, cross"):
        AttentionRecord(even(), sequence(*TOKENS), sequence(*TOKENS), kind="other")


def test_a_number_for_each_layer_is_asked_for():
    with pytest.raises(RecordError, match="each of the 2 layers, got 3"):
        AttentionRecord(even(), sequence(*TOKENS), sequence(*TOKENS), layers=(0, 1, 2))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_attention_becomes_float32(dtype):
    made = AttentionRecord(even().to(dtype), sequence(*TOKENS), sequence(*TOKENS))
    assert made.attentions.dtype == torch.float32


def test_attention_keeps_no_graph():
    leaf = even().requires_grad_()
    made = AttentionRecord(leaf * 1, sequence(*TOKENS), sequence(*TOKENS))
    assert not made.attentions.requires_grad


def test_a_record_cannot_be_changed():
    made = record()
    with pytest.raises(FrozenInstanceError):
        made.attentions = even()


def test_defaults_are_not_shared():
    one, other = record(), record(seed=1)
    assert one.certificate == other.certificate
    assert one.notices == ()


# --- words ------------------------------------------------------------------------------------


@pytest.mark.parametrize("piece", [1, 2, 3, 100])
def test_rows_over_words_sum_to_one(piece):
    words = record(piece=piece).words()
    sums = words.attentions.sum(-1)
    torch.testing.assert_close(sums, torch.ones_like(sums))


def test_the_words_are_those_of_the_text():
    words = record(piece=2).words()
    assert words.tokens == (
        "[CLS]", "The", "animal", "didn't", "cross", "the", "street", "because", "it", "was",
        "too", "tired", ".", "[SEP]",
    )  # fmt: skip
    assert words.keys.texts == (TEXT,)


def test_the_words_of_words_are_the_same():
    words = record(piece=2).words()
    torch.testing.assert_close(words.words().attentions, words.attentions)
    assert words.words().keys == words.keys


def test_words_keep_everything_else():
    made = replace(
        record(), kind="encoder", layers=(4, 9), notices=("cut",), certificate=Certificate("x", 0.5)
    )
    words = made.words()
    assert (words.kind, words.layers, words.notices) == ("encoder", (4, 9), ("cut",))
    assert words.certificate == made.certificate


def test_queries_and_keys_are_merged_each_by_its_own_words():
    made = AttentionRecord(
        torch.tensor([[[[0.2, 0.3, 0.5], [0.4, 0.4, 0.2]]]]),
        queries=TokenSequence(("q1", "q2"), word_ids=(0, 0), words=("q",)),
        keys=TokenSequence(("k1", "k2", "k3"), word_ids=(0, 1, 1), words=("k", "l")),
        kind="cross",
    ).words()
    torch.testing.assert_close(made.attentions, torch.tensor([[[[0.3, 0.7]]]]))


# --- from_tensors -----------------------------------------------------------------------------


def test_bertvizs_list_of_batches_of_one():
    layers = [torch.rand(1, 2, 3, 3) for _ in range(4)]
    made = AttentionRecord.from_tensors(layers, TOKENS)
    assert made.attentions.shape == (4, 2, 3, 3)
    assert torch.equal(made.attentions, torch.cat(layers))
    assert made.certificate.route == "given tensors"


def test_a_tuple_as_transformers_returns_it():
    layers = tuple(torch.rand(1, 2, 3, 3) for _ in range(2))
    assert torch.equal(AttentionRecord.from_tensors(layers, TOKENS).attentions, torch.cat(layers))


def test_one_tensor():
    whole = torch.rand(4, 2, 3, 3)
    assert torch.equal(AttentionRecord.from_tensors(whole, TOKENS).attentions, whole)


def test_one_tensor_with_a_batch_of_one():
    whole = torch.rand(4, 1, 2, 3, 3)
    assert torch.equal(AttentionRecord.from_tensors(whole, TOKENS).attentions, whole[:, 0])


def test_a_single_layer_of_a_single_head():
    assert AttentionRecord.from_tensors(torch.ones(1, 1, 1, 1), ["a"]).num_heads == 1


def test_cross_attention_has_tokens_of_its_own_on_each_side():
    made = AttentionRecord.from_tensors(
        [torch.rand(1, 2, 2, 3)], TOKENS, query_tokens=["x", "y"], kind="cross"
    )
    assert made.queries.tokens == ("x", "y")
    assert made.keys.tokens == TOKENS


@pytest.mark.parametrize(
    "layers",
    [
        [],
        [torch.zeros(2, 2, 3, 3)],
        [torch.zeros(1, 2, 3, 3), torch.zeros(1, 2, 4, 4)],
        [torch.zeros(1, 2, 3, 3), torch.zeros(1, 4, 3, 3)],
        [torch.zeros(3, 3)],
        torch.zeros(3, 3),
        [torch.zeros(2, 4, 4)],
    ],
    ids=["none", "batch", "lengths", "heads", "matrix", "one matrix", "tokens"],
)
def test_tensors_that_do_not_fit_are_refused(layers):
    with pytest.raises(RecordError, match="Expected"):
        AttentionRecord.from_tensors(layers, TOKENS)


# --- saving -----------------------------------------------------------------------------------


def full() -> AttentionRecord:
    """A record with something in every part."""
    made = record(piece=3)
    return replace(
        made,
        kind="encoder",
        layers=(2, 5),
        notices=("Its last 3 characters were cut off: “猫\u2028\x00”",),
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


# Norms of values


def test_norms_are_weights_times_lengths():
    """By hand: weights 0.25 and 0.75 on values of length 8 and 2 bring 2 and 1.5."""
    pattern = torch.tensor([[[[0.25, 0.75], [1.0, 0.0]]]])
    record = AttentionRecord.from_tensors(pattern, ["a", "b"])
    record = replace(record, parts={"value_norms": torch.tensor([[[8.0, 2.0]]])})
    assert ix.norms(record).tolist() == [[[[2.0, 1.5], [8.0, 0.0]]]]


def test_norms_need_their_part_and_its_shape():
    record = AttentionRecord.from_tensors(torch.full((1, 1, 2, 2), 0.5), ["a", "b"])
    with pytest.raises(SelectionError, match="include=\\('value_norms',\\)"):
        ix.norms(record)
    with pytest.raises(RecordError, match=r"'value_norms' as \(1, 1, 2\)"):
        replace(record, parts={"value_norms": torch.ones(1, 1, 2, 1)})


def test_norms_are_saved_and_loaded_with_the_record(tmp_path):
    record = AttentionRecord.from_tensors(torch.full((2, 3, 2, 2), 0.5), ["a", "b"])
    record = replace(record, parts={"value_norms": torch.rand(2, 3, 2)})
    again = AttentionRecord.load(record.save(tmp_path / "one"))
    assert torch.equal(again.parts["value_norms"], record.parts["value_norms"])
    assert torch.equal(record.only([1]).parts["value_norms"], record.parts["value_norms"][1:])


def test_norms_of_the_bundled_model_are_those_of_its_own_layers():
    """‖α v W_O‖ from the attention and the layers' weights, read by their names."""
    model = models_zoo.minilm()
    text = "The animal didn't cross the street because it was too tired."
    record = model.capture(text, include=("value_norms", "values"))
    found = ix.norms(record)
    assert found.shape == record.attentions.shape
    layer, head = 3, 1
    dense = model.module.encoder.layer[layer].attention.output.dense.weight.detach()
    part = dense[:, head * 32 : (head + 1) * 32].T
    values = record.parts["values"][layer, head]
    weights = record.attentions[layer, head]
    for query in range(len(record.queries)):
        for key in range(len(record.keys)):
            length = (weights[query, key] * values[key] @ part).norm()
            assert float(found[layer, head, query, key]) == pytest.approx(float(length), abs=1e-5)
