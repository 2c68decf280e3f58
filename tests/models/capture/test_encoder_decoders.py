"""The kinds of attention of models that read one text and write another."""

from __future__ import annotations

import pytest
import torch

from introspect.errors import ModelError, SelectionError, TextError
from tests import models_zoo as zoo
from tests.closeness import assert_close
from tests.models.capture.helpers import DEPTH, SOURCE, TARGET, tiny, translator


@pytest.mark.parametrize("name", zoo.ENCODER_DECODERS)
def test_the_default_kind_is_the_encoder_and_with_a_target_cross(name):
    model = translator(name)
    assert model.capture(SOURCE).kind == "encoder"
    assert model.capture(SOURCE, target=TARGET).kind == "cross"


@pytest.mark.parametrize("kind", ["encoder", "decoder", "cross"])
@pytest.mark.parametrize("name", zoo.ENCODER_DECODERS)
def test_each_kind_equals_an_eager_run_and_has_its_own_tokens(name, kind):
    model = translator(name)
    record = model.capture(SOURCE, target=TARGET, kind=kind)
    read = model.capture(SOURCE).keys
    written = model.capture(SOURCE, target=TARGET, kind="decoder").keys
    assert record.queries == (read if kind == "encoder" else written)
    assert record.keys == (written if kind == "decoder" else read)
    with torch.no_grad():
        own = zoo.eager_twin(model.module)(
            input_ids=torch.tensor([read.token_ids]),
            decoder_input_ids=torch.tensor([written.token_ids]),
            use_cache=False,
            output_attentions=True,
        )[zoo.OUTPUT_NAMES[kind]]
    depth = DEPTH[name]["encoder" if kind == "encoder" else "decoder"]
    assert record.layers == tuple(range(depth))
    assert_close(record.attentions, torch.stack(own)[:, 0])


@pytest.mark.parametrize(("name", "start"), [("t5", "[PAD]"), ("bart", "[SEP]")])
def test_a_decoder_reads_its_start_token_and_not_the_end(name, start):
    written = translator(name).capture(SOURCE, target=TARGET, kind="decoder").keys
    assert written.tokens == (start, "[CLS]", "die", "Katze")
    assert written.special_tokens_mask == (True, True, False, False)
    assert written.texts == (TARGET,)
    assert written.words == ("die", "Katze")


@pytest.mark.parametrize("name", zoo.ENCODER_DECODERS)
def test_the_encoder_is_the_same_with_and_without_a_target(name):
    model = translator(name)
    alone = model.capture(SOURCE)
    beside = model.capture(SOURCE, target=TARGET, kind="encoder")
    assert_close(alone.attentions, beside.attentions)


@pytest.mark.parametrize("kind", ["decoder", "cross"])
def test_what_needs_a_target_says_so(kind):
    with pytest.raises(SelectionError, match=f"Expected a target for {kind} attention"):
        translator("t5").capture(SOURCE, kind=kind)


def test_plain_self_attention_of_an_encoder_decoder_is_not_guessed():
    with pytest.raises(SelectionError, match="three kinds"):
        translator("t5").capture(SOURCE, kind="self")


@pytest.mark.parametrize("options", [{"target": TARGET}, {"kind": "encoder"}, {"kind": "cross"}])
def test_a_model_of_one_kind_refuses_the_others(options):
    with pytest.raises(SelectionError, match="self-attention only"):
        tiny().capture(SOURCE, **options)


def test_an_unknown_kind_is_refused():
    with pytest.raises(SelectionError, match="self, encoder, decoder, cross"):
        tiny().capture(SOURCE, kind="other")


def test_a_layer_that_only_the_decoder_has_is_refused_for_the_encoder():
    with pytest.raises(SelectionError, match="layers"):
        translator("t5").capture(SOURCE, target=TARGET, kind="encoder", layers=[2])


@pytest.mark.parametrize("target", ["", "  "])
def test_an_empty_target_is_refused(target):
    with pytest.raises(TextError, match="empty one"):
        translator("t5").capture(SOURCE, target=target)


def test_a_model_without_a_start_token_is_refused():
    model = translator("t5")
    model.module.config.decoder_start_token_id = None
    with pytest.raises(ModelError, match="decoder_start_token_id"):
        model.capture(SOURCE, target=TARGET)


def test_a_notice_of_the_target_reaches_the_record():
    record = translator("t5").capture(SOURCE, target="die Maus", kind="cross")
    assert any("4 of the 7 characters" in notice for notice in record.notices)


def test_a_target_with_its_start_token_fits_the_positions_or_is_refused():
    # BART has 40 positions; 38 words, [CLS], [SEP] fit the limit, the start token takes [SEP]'s.
    record = translator("bart").capture(SOURCE, target=" ".join(["Katze"] * 38), kind="decoder")
    assert len(record.keys) == 40
