"""The one table of a capture's parts: what it names, and the shapes it says."""

from __future__ import annotations

from dataclasses import fields

import pytest
import torch

from introspect.hooks import (
    EDITABLE,
    GRADIENT_PARTS,
    PARTS,
    Captured,
    capture,
    capture_gradients,
)
from introspect.records import (
    CAPTURE_PARTS,
    METHODS,
    PARTS_BY_NAME,
    AttentionRecord,
    names_of_editable,
    names_of_parts,
)
from tests import models_zoo as zoo

# The widths of the tiny models; Llama's keys and values are shared by two heads each.
SIZES = {"num_layers": 3, "num_heads": 4, "head_dim": 8, "value_dim": 8}
SIZES |= {"query_len": zoo.LENGTH, "key_len": zoo.LENGTH}


def shape_of(captured: Captured, name: str) -> tuple[int, ...]:
    """The shape of a part in a record of the first text."""
    return tuple(torch.stack([layer[0] for layer in getattr(captured, name)["self"]]).shape)


def test_the_table_names_each_part_once():
    names = [part.name for part in CAPTURE_PARTS]
    assert len(names) == len(set(names))
    assert tuple(PARTS_BY_NAME) == tuple(names)


def test_the_table_names_the_parts_of_a_capture_and_no_others():
    others = {"layers", "modules", "output", "certificate", "visible"}
    assert {part.name for part in CAPTURE_PARTS} == {f.name for f in fields(Captured)} - others


def test_lists_of_parts_keep_their_names_and_order():
    watched = ("attentions", "scores", "queries", "keys", "values", "head_outputs")
    rotary = ("queries_before_rotary", "keys_before_rotary")
    assert (*watched, *rotary, "value_norms", "residual_norms", "contributions") == PARTS
    assert GRADIENT_PARTS == ("gradients", "integrated_gradients")
    assert EDITABLE == ("queries", "keys", "values", "attentions", "head_outputs")
    assert names_of_parts("attention") == watched
    assert names_of_editable("before") == ("queries", "keys", "values")


@pytest.mark.parametrize(("model", "shared"), [("bert", 4), ("llama", 2)])
def test_the_shapes_said_are_those_of_a_capture(model, shared):
    sizes = SIZES | {"num_key_value_heads": shared}
    # What a padded batch adds is no part of a block's sum.
    inputs = {key: one[:1] for key, one in zoo.batch(model).items()}
    # BERT has no rotary embedding.
    parts = [name for name in PARTS if model != "bert" or "rotary" not in name]
    captured = capture(zoo.build(model), inputs, parts)
    for name in parts:
        assert shape_of(captured, name) == PARTS_BY_NAME[name].sizes(sizes), name


def test_the_shapes_said_are_those_of_gradients():
    pytest.importorskip("captum", reason="captum (an extra) is missing")
    inputs = {key: one[:1] for key, one in zoo.batch("bert").items()}
    captured = capture_gradients(
        zoo.build("bert"), inputs, lambda output: output[0][0, 2].square().sum(), GRADIENT_PARTS
    )
    for name in GRADIENT_PARTS:
        assert shape_of(captured, name) == PARTS_BY_NAME[name].sizes(SIZES), name


def test_a_part_comes_after_the_parts_it_is_derived_from():
    names = [part.name for part in CAPTURE_PARTS]
    for part in CAPTURE_PARTS:
        assert all(names.index(other) < names.index(part.name) for other in part.behind)


def test_methods_need_parts_of_the_table():
    assert {method.part for method in METHODS.values()} - {None} <= set(PARTS_BY_NAME)


@pytest.mark.parametrize("name", names_of_parts("projection", "block", "gradient"))
def test_a_record_takes_a_part_in_the_shape_said(name):
    part = PARTS_BY_NAME[name]
    given = torch.zeros(part.sizes({"num_layers": 2, "num_heads": 3, "query_len": 4, "key_len": 4}))
    record = AttentionRecord.from_tensors(torch.zeros(2, 3, 4, 4), list("abcd"))
    kept = AttentionRecord(record.attentions, record.queries, record.keys, parts={name: given})
    assert kept.parts[name].shape == given.shape


def test_shapes_are_said_in_words():
    assert PARTS_BY_NAME["scores"].shape == "(num_layers, num_heads, query_len, key_len)"
    assert PARTS_BY_NAME["residual_norms"].shape == "(num_layers, 1, query_len, key_len)"
