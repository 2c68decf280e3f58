"""The head that is trained before your eyes, and the records that all views show."""

from __future__ import annotations

import pytest
import torch

import introspect as ix
from introspect import primer
from introspect.errors import InputError, RecordError


@pytest.fixture(scope="module")
def training() -> primer.Training:
    return primer.train()


@torch.no_grad()
def error_by_hand(training: primer.Training) -> float:
    """The loss in plain loops over words and dimensions."""
    module, means = training.module, []
    for sentence in training.sentences:
        vectors = [training.vectors[training.vocabulary.words.index(word)] for word in sentence]
        queries, keys, values = (
            [vector @ matrix for vector in vectors]
            for matrix in (module.w_query, module.w_key, module.w_value)
        )
        total = 0.0
        for query, vector in zip(queries, vectors, strict=True):
            scores = torch.stack([query @ key for key in keys]) / len(query) ** 0.5
            shares = scores.exp() / scores.exp().sum()
            mixed = sum(share * value for share, value in zip(shares, values, strict=True))
            total += float(((mixed @ module.w_out - vector) ** 2).mean())
        means.append(total / len(sentence))
    return sum(means) / len(means)


def test_the_loss_falls(training):
    assert len(training.losses) == 201
    assert training.losses[0] > 10 * training.losses[-1]
    assert training.losses[-1] == pytest.approx(error_by_hand(training), rel=1e-3, abs=1e-6)


def test_the_attention_of_every_epoch_is_kept(training):
    assert [tuple(weights.shape) for weights in training.history] == [(201, 3, 3)] * 6
    for weights in training.history:
        torch.testing.assert_close(weights.sum(-1), torch.ones(201, 3))
    record = training.record(training.sentences[0])
    torch.testing.assert_close(record.attentions[0, 0], training.history[0][-1])
    assert not torch.allclose(training.history[0][0], training.history[0][-1], atol=0.1)


def test_the_evolution_is_of_records(training):
    records = training.evolution(1)
    assert len(records) == 201
    assert records[0].tokens == ("你", "写", "诗") and records[0].keys.texts == ("你写诗",)
    assert torch.equal(records[7].attentions[0, 0], training.history[1][7])
    with pytest.raises(InputError, match="0–5, got 6"):
        training.evolution(6)


def test_the_same_seed_gives_the_same_training():
    one, two, other = (primer.train(epochs=3, seed=seed) for seed in (0, 0, 1))
    assert one.losses == two.losses != other.losses


def test_nothing_to_train_on_is_refused():
    for wrong in ([], [[]], [["我"], []]):
        with pytest.raises(InputError, match="sentences with words"):
            primer.train(wrong)
    for wrong in ({"dim": 0}, {"epochs": -1}):
        with pytest.raises(InputError, match="`dim` from 1 and `epochs` from 0 up"):
            primer.train(**wrong)
    assert len(primer.train(epochs=0).losses) == 1


def test_an_unknown_word_is_named(training):
    with pytest.raises(InputError, match="got '猫'"):
        training.record(["我", "猫"])


def test_a_record_has_all_parts_and_every_view_shows_it(training):
    record = training.record(["我", "写", "代码"])
    assert record.attentions.shape == (1, 1, 3, 3)
    assert record.keys.texts == ("我写代码",) and record.keys.offsets[-1] == (2, 4)
    torch.testing.assert_close(
        record.attentions @ record.parts["values"], record.parts["head_outputs"]
    )
    torch.testing.assert_close(record.parts["scores"].softmax(-1), record.attentions)
    for view in (ix.head_view, ix.model_view, ix.heatmap_view, ix.layer_view):
        assert view(record).figure.data
    steps = ix.steps_view(record, token=1)
    torch.testing.assert_close(steps.contributions().sum(0), record.parts["head_outputs"][0, 0, 1])
    neuron = ix.neuron_view(record, token=1)
    torch.testing.assert_close(neuron.products().sum(-1) / 24**0.5, record.parts["scores"][0, 0, 1])


def test_a_record_of_heads_layers_and_another_sequence():
    tokens, others = torch.randn(3, 8), torch.randn(5, 8)
    unit = torch.eye(8)
    made = primer.multi_head_attention(tokens, unit, unit, unit, unit, num_heads=2, others=others)
    record = primer.record_of([made.heads] * 3, list("abcde"), query_tokens=list("xyz"))
    assert record.attentions.shape == (3, 2, 3, 5)
    assert record.kind == "cross" and record.queries.tokens == ("x", "y", "z")
    assert record.parts["values"].shape == (3, 2, 5, 4)


def test_masked_scores_are_shown_as_masked():
    attended = primer.plain_attention(torch.randn(3, 4), primer.causal_mask(3))
    record = primer.record_of(attended, ["a", "b", "c"])
    assert torch.isfinite(record.parts["scores"]).all()
    assert ix.steps_view(record, token=0).scores.isnan().tolist() == [False, True, True]


def test_a_batch_is_refused():
    with pytest.raises(RecordError, match="one item of the batch"):
        primer.record_of(primer.plain_attention(torch.randn(2, 2, 3, 4)), list("abc"))
    with pytest.raises(RecordError, match="at least one layer"):
        primer.record_of([], ["a"])
