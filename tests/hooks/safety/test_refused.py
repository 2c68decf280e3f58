"""What cannot be captured is said."""

from __future__ import annotations

import pytest
import torch
import transformers as tf

from introspect.errors import SelectionError
from introspect.hooks import capture
from tests import models_zoo as zoo
from tests.closeness import assert_close

SMALL = {"vocab_size": zoo.VOCABULARY, "hidden_size": 32, "num_hidden_layers": 2}
BYPASSING = {
    "bloom": lambda: tf.BloomConfig(vocab_size=zoo.VOCABULARY, hidden_size=32, n_layer=2, n_head=4),
    "mpnet": lambda: tf.MPNetConfig(**SMALL, num_attention_heads=4, intermediate_size=48),
    "deberta": lambda: tf.DebertaV2Config(**SMALL, num_attention_heads=4, intermediate_size=48),
}


@pytest.mark.parametrize("name", BYPASSING)
def test_an_architecture_that_bypasses_the_interface_gives_its_own_output(name):
    model = zoo.build(name, config=BYPASSING[name]())
    before = zoo.State.of(model)
    inputs = {"input_ids": torch.tensor([[4, 5, 6]])}
    captured = capture(model, inputs)
    assert captured.certificate.route == "the model's own output"
    with torch.no_grad():
        own = zoo.eager_twin(model)(**inputs, output_attentions=True).attentions
    assert len(own) == len(captured.attentions["self"])
    for ours, theirs in zip(captured.attentions["self"], own, strict=True):
        assert_close(ours, theirs)
    assert zoo.State.of(model) == before


@pytest.mark.parametrize("include", [("score",), ("attentions", "query"), ("",), ()])
def test_an_unknown_part_is_refused(include):
    with pytest.raises(SelectionError, match="Expected `include` from attentions, scores"):
        capture(zoo.build("bert"), zoo.batch("bert"), include)


def test_only_the_layers_asked_for_are_kept():
    model, inputs = zoo.build("bert"), zoo.batch("bert")
    whole, some = capture(model, inputs), capture(model, inputs, layers=[2, 0])
    assert some.layers == {"self": [0, 2]}
    assert torch.equal(some.attentions["self"][0], whole.attentions["self"][0])
    assert torch.equal(some.attentions["self"][1], whole.attentions["self"][2])


@pytest.mark.parametrize("layers", [[3], [0, 7], [-1]])
def test_a_layer_the_model_does_not_have_is_refused_and_the_model_put_back(layers):
    model = zoo.build("bert")
    before = zoo.State.of(model)
    with pytest.raises(SelectionError, match="among 0–2 for BertModel"):
        capture(model, zoo.batch("bert"), layers=layers)
    assert zoo.State.of(model) == before


def test_an_empty_choice_of_layers_is_refused():
    with pytest.raises(SelectionError, match="layers"):
        capture(zoo.build("bert"), zoo.batch("bert"), layers=[])
