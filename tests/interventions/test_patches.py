"""Values from another run: whole parts, single heads and places, references."""

from __future__ import annotations

import pytest

import introspect as ix
from introspect.errors import CaptureError, SelectionError
from introspect.hooks import capture
from tests.interventions.helpers import HEADS, built, hooked, inputs_of, run, same


@pytest.mark.parametrize("part", ["queries", "keys", "values", "attentions", "head_outputs"])
@pytest.mark.parametrize("name", ["bert", "gpt2", "llama", "t5", "deberta"])
def test_patching_all_of_a_part_makes_that_part_the_sources(name, part):
    model, inputs = built(name, "eager"), inputs_of(name)
    kind = "cross" if name == "t5" else "self"
    source = {n: t.flip(0) if "mask" not in n else t for n, t in inputs.items()}
    if name == "deberta" and part in ("queries", "keys"):
        with (
            pytest.raises(CaptureError, match="several products"),
            ix.patch(model, source, part=part),
        ):
            pass
        return
    of_source = getattr(capture(model, source, (part,)), part)[kind][1]
    with ix.patch(model, source, part=part, layers=[1], kind=kind):
        captured = capture(model, inputs, ("attentions",) if part == "attentions" else (part,))
    found = getattr(captured, part)[kind][1]
    if (name, part) == ("deberta", "values"):
        # A product's own record keeps what it was given, so its result must tell.
        with ix.patch(model, source, part=part, layers=[1]):
            captured = capture(model, inputs, ("attentions", "head_outputs"))
        found = captured.head_outputs[kind][1]
        of_source = captured.attentions[kind][1] @ of_source
    same(found, of_source)


def test_patching_one_head_at_one_place_is_that_and_no_more():
    model, inputs = built("gpt2"), inputs_of("gpt2")
    source = inputs["input_ids"].flip(0)
    of_source = capture(model, {"input_ids": source}, ("head_outputs",)).head_outputs["self"][1]
    with ix.patch(model, {"input_ids": source}, "L1H2", positions={4: 2}):
        found = run(model, {"input_ids": inputs["input_ids"]})

    def put(heads):
        heads[:, 4, 2] = of_source[:, 2, 2]

    with hooked(model.h[1].attn.c_proj, put):
        same(found, run(model, {"input_ids": inputs["input_ids"]}))


def test_shared_keys_and_values_are_patched_for_all_heads_that_share_them():
    model, inputs = built("llama"), inputs_of("llama")
    with pytest.raises(SelectionError, match="share"):
        ix.patch(model, inputs, "L1H0", part="values")
    source = {**inputs, "input_ids": inputs["input_ids"].flip(0)}
    with ix.patch(model, source, ["L1H2", "L1H3"], part="values"):
        captured = capture(model, inputs, ("values",)).values["self"][1]
    same(captured[:, 1], capture(model, source, ("values",)).values["self"][1][:, 1])
    same(captured[:, 0], capture(model, inputs, ("values",)).values["self"][1][:, 0])


def test_a_module_that_all_layers_share_is_changed_in_one_layer_only():
    model, inputs = built("albert"), inputs_of("albert")
    layer = model.encoder.albert_layer_groups[0].albert_layers[0]
    calls = []

    def before(_, args):
        calls.append(None)
        heads = args[0].clone()
        if len(calls) == 2:
            heads.view(*heads.shape[:-1], HEADS, -1)[..., 3, :] = 0
        return (heads, *args[1:])

    handle = layer.attention.dense.register_forward_pre_hook(before)
    expected = run(model, inputs)
    handle.remove()
    with ix.ablate(model, "L1H3"):
        same(run(model, inputs), expected)
        same(run(model, inputs), expected)  # a second run counts its layers anew


def test_resampling_takes_what_a_reference_has_at_the_same_place():
    model, inputs = built("bert"), inputs_of("bert")
    reference = {
        "input_ids": inputs["input_ids"][:1],
        "attention_mask": inputs["attention_mask"][:1],
    }
    outputs = capture(model, reference, ("head_outputs",)).head_outputs["self"][1]
    with ix.ablate(model, "L1H2", method="resample", reference=[reference]):
        found = run(model, inputs)

    def put(heads):
        heads[:, :, 2] = outputs[0, 2]

    with hooked(model.encoder.layer[1].attention.output.dense, put):
        same(found, run(model, inputs))


def test_a_reference_that_is_too_short_to_resample_from_is_refused():
    model, inputs = built("bert"), inputs_of("bert")
    short = {"input_ids": inputs["input_ids"][:, :3]}
    with (
        ix.ablate(model, "L0H0", method="resample", reference=short),
        pytest.raises(CaptureError, match="at least 9 tokens"),
    ):
        run(model, inputs)
