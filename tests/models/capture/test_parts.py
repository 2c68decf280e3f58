"""Chosen layers, further parts, and models that stay what they are."""

from __future__ import annotations

import pytest
import torch
import transformers as tf

from introspect.errors import CaptureError, ModelError, RecordError, SelectionError, TextError
from introspect.models import Model
from introspect.records import AttentionRecord
from tests import models_zoo as zoo
from tests.models.capture.helpers import tiny, tokenizer

# --- layers -----------------------------------------------------------------------------------


def test_chosen_layers_keep_their_numbers():
    model = tiny()
    whole, some = model.capture("the cat"), model.capture("the cat", layers=[2, 1])
    assert some.layers == (1, 2)
    assert torch.equal(some.attentions, whole.attentions[1:])


@pytest.mark.parametrize("layers", [[3], [-1], [0, 99]])
def test_a_layer_that_is_not_there_is_refused(layers):
    with pytest.raises(SelectionError, match="0–2"):
        tiny().capture("the cat", layers=layers)


def test_an_unknown_part_is_refused():
    with pytest.raises(SelectionError, match="Expected `include`"):
        tiny().capture("the cat", include=("query",))


# --- models that stay what they are -----------------------------------------------------------


def test_what_is_no_tokenizer_is_refused():
    with pytest.raises(ModelError, match="tokenizer of transformers for model, got function"):
        Model(zoo.build("bert"), lambda text: text.split())


@pytest.mark.parametrize("text", ["", "the cat " * 40])
def test_a_refused_text_leaves_the_model_as_it_was(text):
    model = tiny()
    before = zoo.State.of(model.module)
    with pytest.raises(TextError):
        model.capture(text)
    assert zoo.State.of(model.module) == before


def test_a_model_with_a_head_is_captured_too():
    config = zoo.ENCODERS["bert"]()
    module = tf.BertForMaskedLM(config).eval()
    record = Model(module, tokenizer()).capture("the cat sat", certify=True)
    assert record.attentions.shape == (3, 4, 5, 5)
    assert record.certificate.max_difference_from_eager <= 1e-6
    assert record.certificate.max_output_difference <= 1e-5


# --- further parts ----------------------------------------------------------------------------


def test_further_parts_are_in_the_record_and_fit_its_attention(tmp_path):
    parts = ("scores", "queries", "keys", "values", "head_outputs")
    record = tiny().capture("the cat sat", include=parts)
    assert tuple(record.parts) == parts
    torch.testing.assert_close(record.parts["scores"].softmax(-1), record.attentions)
    torch.testing.assert_close(
        record.attentions @ record.parts["values"], record.parts["head_outputs"]
    )
    again = AttentionRecord.load(record.save(tmp_path / "record"))
    assert all(torch.equal(again.parts[name], record.parts[name]) for name in parts)
    assert not record.words().parts


def test_a_part_of_the_wrong_size_is_refused():
    record = tiny().capture("the cat sat")
    with pytest.raises(RecordError, match="the part 'scores' as"):
        AttentionRecord(
            attentions=record.attentions,
            queries=record.queries,
            keys=record.keys,
            parts={"scores": torch.zeros(99, 1, 1, 1)},
        )


def test_attention_within_windows_is_refused_with_what_to_do():
    config = tf.LongformerConfig(
        vocab_size=64,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=48,
        attention_window=[4, 4],
        max_position_embeddings=40,
    )
    model = Model(tf.LongformerModel(config).eval(), tiny().tokenizer)
    with pytest.raises(CaptureError, match=r"windows or blocks.*introspect\.capture"):
        model.capture("the cat sat on the mat")
