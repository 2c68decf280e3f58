"""Everything that a user is handed pickles, deep-copies and has a hash."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import re

import pytest

import introspect as ix
from introspect.data import grammar_cases
from introspect.models import load
from tests import models_zoo
from tests.views.samples import record_of

TEXT = "a b c d a b c"


@pytest.fixture(scope="module")
def made() -> dict[str, object]:
    """One of each kind of thing that the package returns."""
    writer = load("induction", lm_head=True)
    asked = load("pronoun", lm_head=True)
    cases = grammar_cases(6)
    record = record_of("Ann saw Bo, and she ran.")
    parts = writer.capture(TEXT, include=("scores", "queries", "keys", "values", "head_outputs"))
    case = ix.CorefCase.from_words(
        "Ann saw Bo, and she ran.", pronoun="she", antecedent="Ann", distractors=["Bo"]
    )
    extra = dataclasses.replace(case, extra={"source": {"page": [1, {"line": 2}]}})
    causal = ix.causal_study(asked, cases, share=None, minimal_pairs=False)
    module = models_zoo.build("bert")
    return {
        "record": record, "record with parts": parts, "tokens": record.keys, "head": ix.Head(3, 1),
        "certificate": parts.certificate, "case": case, "case with more": extra,
        "candidate": case.candidates[0], "scores": ix.score(asked, cases),
        "coreference study": ix.coreference_study(asked, cases), "causal study": causal,
        "effects": causal.effects, "report": ix.report(asked, cases[:2]),
        "lens": ix.logit_lens(writer, TEXT), "lens study": ix.lens_study(writer, TEXT),
        "head study": ix.head_study(writer, num_sequences=4),
        "head view": ix.head_view(record, layer=0), "model view": ix.model_view(record),
        "layer view": ix.layer_view(record), "heatmap view": ix.heatmap_view(record),
        "flow view": ix.flow_view(record),
        "neuron view": ix.neuron_view(parts), "steps view": ix.steps_view(parts),
        "compare view": ix.compare_view(record, record), "causal view": ix.causal_view(causal),
        "coreference view": ix.coreference_view(record, case),
        "evolution view": ix.evolution_view(record),
        "captured": ix.capture(module, models_zoo.batch("bert")),
        "model": asked,
    }  # fmt: skip


NAMES = (
    "record", "record with parts", "tokens", "head", "certificate", "case", "case with more",
    "candidate", "scores", "coreference study", "causal study", "effects", "report", "lens",
    "lens study", "head study", "head view", "model view", "layer view", "heatmap view",
    "flow view", "neuron view", "steps view", "compare view", "causal view", "coreference view",
    "evolution view", "captured", "model",
)  # fmt: skip


def shown(value: object) -> str:
    """What a thing says of itself, without where it is in memory."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


@pytest.mark.parametrize("name", NAMES)
def test_what_is_handed_out_pickles_and_copies(made, name):
    for copied in (pickle.loads(pickle.dumps(made[name])), copy.deepcopy(made[name])):
        assert type(copied) is type(made[name])
        assert shown(copied) == shown(made[name])
        if isinstance(made[name], ix.Drawing):
            assert copied.to_html() == made[name].to_html()


@pytest.mark.parametrize("name", [name for name in NAMES if name != "lens"])  # a DataFrame
def test_what_is_handed_out_has_a_hash(made, name):
    assert len({made[name], made[name]}) == 1


def test_a_case_and_its_copy_are_one(made):
    case = made["case with more"]
    copied = pickle.loads(pickle.dumps(case))
    assert copied == case and hash(copied) == hash(case)
    assert copied != made["case"]


def test_a_copied_model_captures_the_same(made):
    model = made["model"]
    copied = pickle.loads(pickle.dumps(model))
    one, other = (each.capture("a b c", certify=True) for each in (model, copied))
    assert one.attentions.equal(other.attentions)
    assert other.certificate.max_difference_from_eager is not None


def test_a_copied_study_can_be_reported(made):
    study = pickle.loads(pickle.dumps(made["causal study"]))
    assert ix.causal_report(study).finding == ix.causal_report(made["causal study"]).finding
