"""What an intervention refuses, and edges by words."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import introspect as ix
from introspect.errors import CaptureError, SelectionError
from tests.interventions.helpers import built, inputs_of, run

BAD = {
    "a layer that is not there": (lambda m: ix.ablate(m, "L7H0"), "L0H0–L2H3, got L7H0"),
    "a whole layer that is not there": (lambda m: ix.ablate(m, "L7"), "L0–L2 for .*, got L7"),
    "a head that is not there": (lambda m: ix.ablate(m, (1, 4)), "L1H0–L1H3, got L1H4"),
    "no head": (lambda m: ix.ablate(m, []), "at least one head"),
    "no name of a head": (lambda m: ix.ablate(m, "head 3"), "such as L3H1"),
    "no method": (lambda m: ix.ablate(m, "L1", method="delete"), "zero, mean, uniform, resample"),
    "no reference": (
        lambda m: ix.ablate(m, "L1", method="mean"),
        r"texts in `reference`.*Give reference=\[…\]",
    ),
    "an empty reference": (
        lambda m: ix.ablate(m, "L1", method="mean", reference=[]),
        "at least one text",
    ),
    "a reference too many": (lambda m: ix.ablate(m, "L1", reference=[{}]), "no `reference`"),
    "a text for a bare module": (
        lambda m: ix.ablate(m, "L1", method="mean", reference="A text."),
        "ix.load",
    ),
    "another kind": (lambda m: ix.ablate(m, "L1", kind="cross"), "from self"),
    "no edge": (lambda m: ix.knock_out(m, []), "at least one edge"),
    "no number": (lambda m: ix.scale(m, "L1", float("nan")), "finite"),
    "no part": (lambda m: ix.patch(m, {}, part="scores"), "from queries"),
}


@pytest.mark.parametrize("words", BAD)
def test_bad_input_is_refused_at_once(words):
    make, message = BAD[words]
    with pytest.raises(SelectionError, match=message):
        make(built("bert"))


def test_a_model_with_several_kinds_of_attention_asks_which():
    with pytest.raises(SelectionError, match="encoder, decoder, cross"):
        ix.ablate(built("t5"), "L0H0")


def test_a_model_without_attention_is_refused():
    with pytest.raises(CaptureError, match="got Linear, which is none"):
        ix.ablate(nn.Linear(2, 2), "L0H0")
    with pytest.raises(SelectionError, match="ix.load"):
        ix.ablate("bert", "L0H0")


def test_positions_and_edges_beyond_the_text_are_refused_when_it_is_known():
    model, inputs = built("bert"), inputs_of("bert")
    with ix.ablate(model, "L1", positions=[40]), pytest.raises(SelectionError, match="0–8"):
        run(model, inputs)
    with ix.knock_out(model, [(0, 40)]), pytest.raises(CaptureError, match="keys 0–8"):
        run(model, inputs)
    other = {"input_ids": inputs["input_ids"][:, :4]}
    with ix.patch(model, other, "L1"), pytest.raises(CaptureError, match="one length"):
        run(model, inputs)
    cut = ix.Edit("self", 1, "values", lambda values, _: values[:, :1])
    with ix.intervene(model, [cut]), pytest.raises(CaptureError, match="keep their shape"):
        run(model, inputs)


def test_edges_by_words():
    model = ix.load("minilm")
    text = "The animal didn't cross the street because it was too tired."
    assert ix.edges_between(model, text, "it", "animal") == [(10, 2)]
    both = ix.edges_between(model, text, "it", "animal", both_ways=True)
    assert both == [(10, 2), (2, 10)]
    with ix.knock_out(model, both, "L3H1"):
        weights = model.capture(text).attentions[3, 1]
    assert weights[10, 2] == weights[2, 10] == 0
    torch.testing.assert_close(weights.sum(-1), torch.ones(len(weights)))
