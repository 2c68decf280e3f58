"""What the bundled model is known to do, and eager runs of every kind."""

from __future__ import annotations

import pytest
import torch

from introspect.errors import SelectionError
from tests import models_zoo as zoo
from tests.closeness import assert_close
from tests.models.capture.helpers import tiny, weight
from tests.synthetic import TEXT

# --- known values -----------------------------------------------------------------------------


@pytest.mark.parametrize(("head", "expected"), [((3, 1), 0.68), ((5, 11), 0.67)])
def test_two_heads_of_minilm_look_from_it_to_animal(minilm, head, expected):
    record = minilm.capture(TEXT)
    assert weight(record, head, "it", "animal") == pytest.approx(expected, abs=0.005)


def test_with_wide_for_tired_the_head_turns_to_the_street(minilm):
    record = minilm.capture(TEXT.replace("tired", "wide"))
    assert weight(record, (3, 1), "it", "animal") == pytest.approx(0.28, abs=0.005)
    assert weight(record, (3, 1), "it", "street") == pytest.approx(0.12, abs=0.005)


def test_the_shape_of_a_minilm_record(minilm):
    record = minilm.capture(TEXT)
    assert record.attentions.shape == (6, 12, 16, 16)
    assert record.attentions.dtype == torch.float32
    assert record.layers == (0, 1, 2, 3, 4, 5)
    assert record.kind == "self"
    assert record.notices == ()
    assert record.queries == record.keys


def test_the_words_of_the_demo_sentence(minilm):
    record = minilm.capture(TEXT).words()
    assert record.tokens == (
        "[CLS]", "The", "animal", "didn't", "cross", "the", "street", "because", "it", "was",
        "too", "tired", ".", "[SEP]",
    )  # fmt: skip
    sums = record.attentions.sum(-1)
    torch.testing.assert_close(sums, torch.ones_like(sums), atol=1e-5, rtol=0)


def test_the_certificate_of_a_record_names_the_model(minilm):
    certificate = minilm.capture(TEXT).certificate
    assert certificate.model == "sentence-transformers/all-MiniLM-L6-v2"
    assert certificate.revision
    assert certificate.tokenizer == type(minilm.tokenizer).__name__


def test_a_record_is_certified_on_demand(minilm):
    assert minilm.capture(TEXT).certificate.max_difference_from_eager is None
    certificate = minilm.capture(TEXT, certify=True).certificate
    assert certificate.max_difference_from_eager <= 1e-6
    assert certificate.max_output_difference <= 1e-5


@pytest.mark.parametrize("name", [*zoo.ENCODERS, *zoo.DECODERS])
def test_a_record_equals_an_eager_run_of_the_tokens_it_names(name):
    model = tiny(name)
    record = model.capture("the cat sat on the mat")
    with torch.no_grad():
        own = zoo.eager_twin(model.module)(
            input_ids=torch.tensor([record.keys.token_ids]), output_attentions=True
        ).attentions
    assert_close(record.attentions, torch.stack(own)[:, 0])


# --- chosen rows ------------------------------------------------------------------------------


def test_rows_are_those_tokens_as_queries_over_all_keys(minilm):
    whole = minilm.capture(TEXT)
    index = whole.tokens.index("it")
    record = minilm.capture(TEXT, rows=[index, 2])
    assert record.queries.tokens == ("it", whole.tokens[2])
    assert record.keys == whole.keys
    expected = whole.attentions[:, :, [index, 2]]
    torch.testing.assert_close(record.attentions, expected, atol=1e-5, rtol=0)
    assert "selected rows" in record.certificate.route


def test_rows_beyond_the_text_are_refused_with_the_range(minilm):
    with pytest.raises(SelectionError, match=r"0–15"):
        minilm.capture(TEXT, rows=[99])
