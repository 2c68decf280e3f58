"""Interventions agree with hooks written by hand, and leave everything else as it was."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import nn
from transformers import GPT2LMHeadModel

import introspect as ix
from introspect.errors import CaptureError, SelectionError
from introspect.hooks import capture
from tests import models_zoo as zoo

HEADS = 4

# Where the output projection of each layer is: written down here, found by nobody.
PROJECTIONS: dict[str, dict[str, Callable[[nn.Module], list[nn.Module]]]] = {
    "bert": {"self": lambda m: [layer.attention.output.dense for layer in m.encoder.layer]},
    "roberta": {"self": lambda m: [layer.attention.output.dense for layer in m.encoder.layer]},
    "gpt2": {"self": lambda m: [layer.attn.c_proj for layer in m.h]},
    "llama": {"self": lambda m: [layer.self_attn.o_proj for layer in m.layers]},
    "gemma2": {"self": lambda m: [layer.self_attn.o_proj for layer in m.layers]},
    "gpt_oss": {"self": lambda m: [layer.self_attn.o_proj for layer in m.layers]},
    "t5": {
        "encoder": lambda m: [block.layer[0].SelfAttention.o for block in m.encoder.block],
        "decoder": lambda m: [block.layer[0].SelfAttention.o for block in m.decoder.block],
        "cross": lambda m: [block.layer[1].EncDecAttention.o for block in m.decoder.block],
    },
    "bart": {
        "encoder": lambda m: [layer.self_attn.out_proj for layer in m.encoder.layers],
        "decoder": lambda m: [layer.self_attn.out_proj for layer in m.decoder.layers],
        "cross": lambda m: [layer.encoder_attn.out_proj for layer in m.decoder.layers],
    },
    "deberta": {"self": lambda m: [layer.attention.output.dense for layer in m.encoder.layer]},
    "deberta-v2": {"self": lambda m: [layer.attention.output.dense for layer in m.encoder.layer]},
    "gptj": {"self": lambda m: [layer.attn.out_proj for layer in m.h]},
    "falcon": {"self": lambda m: [layer.self_attention.dense for layer in m.h]},
}
PLACES = [(name, kind) for name, kinds in PROJECTIONS.items() for kind in kinds]


def built(name: str, implementation: str | None = None) -> nn.Module:
    if name in zoo.LEGACY:
        # Some have an sdpa of their own, but it is their eager products that are changed.
        return zoo.build(name, "eager", config=zoo.LEGACY[name]())
    return zoo.build(name, implementation)


def inputs_of(name: str) -> dict[str, torch.Tensor]:
    return zoo.batch(name)


def run(model: nn.Module, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    with torch.no_grad():
        return model(**inputs).last_hidden_state


@contextmanager
def hooked(projection: nn.Module, change: Callable[[torch.Tensor], None]) -> Iterator[None]:
    """The hand-written way: the projection is given other outputs of heads."""

    def before(_: nn.Module, args: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        heads = args[0].clone()
        change(heads.view(*heads.shape[:-1], HEADS, -1))
        return (heads, *args[1:])

    handle = projection.register_forward_pre_hook(before)
    try:
        yield
    finally:
        handle.remove()


def same(a: torch.Tensor, b: torch.Tensor) -> None:
    """Within a millionth of the largest value; outputs of these models reach ten."""
    scale = max(1.0, float(b.abs().max()))
    torch.testing.assert_close(a, b, atol=1e-6 * scale, rtol=0)


@pytest.fixture(params=PLACES, ids=lambda place: "-".join(place))
def place(request):
    name, kind = request.param
    model, inputs = built(name), inputs_of(name)
    return model, kind, PROJECTIONS[name][kind](model)[1], inputs


def test_zero_is_a_zeroed_input_of_the_output_projection(place):
    model, kind, projection, inputs = place
    clean, state = run(model, inputs), zoo.State.of(model)
    with ix.ablate(model, [(1, 2)], kind=kind):
        found = run(model, inputs)
    with hooked(projection, lambda heads: heads[..., 2, :].zero_()):
        expected = run(model, inputs)
    same(found, expected)
    assert (expected - clean).abs().max() > 1e-3, "the head does nothing: the test shows nothing"
    assert zoo.State.of(model) == state
    assert torch.equal(run(model, inputs), clean)


def test_a_whole_layer_ablated_is_its_attention_zeroed(place):
    model, kind, projection, inputs = place
    with ix.ablate(model, "L1", kind=kind):
        found = run(model, inputs)
    with hooked(projection, lambda heads: heads.zero_()):
        assert torch.equal(found, run(model, inputs))


def test_scaling_is_a_scaled_input_of_the_output_projection(place):
    model, kind, projection, inputs = place
    with ix.scale(model, (1, 3), -1.5, kind=kind):
        found = run(model, inputs)
    with hooked(projection, lambda heads: heads[..., 3, :].mul_(-1.5)):
        same(found, run(model, inputs))


def test_a_mean_is_over_the_tokens_of_the_reference_without_padding(place):
    model, kind, projection, inputs = place
    given = []
    handle = projection.register_forward_pre_hook(lambda _, args: given.append(args[0]))
    run(model, inputs)
    handle.remove()
    side = "decoder_attention_mask" if kind in ("decoder", "cross") else "attention_mask"
    rows = given[0][inputs[side].bool()]
    mean = rows.view(len(rows), HEADS, -1).mean(0)
    with ix.ablate(model, (1, 0), method="mean", reference=inputs, kind=kind):
        found = run(model, inputs)

    def put(heads):
        heads[..., 0, :] = mean[0]

    with hooked(projection, put):
        same(found, run(model, inputs))


def test_uniform_attends_alike_to_what_the_mask_leaves(place):
    model, kind, projection, inputs = place
    captured = capture(model, inputs, ("attentions", "values"))
    row = captured.layers[kind].index(1)
    weights, values = captured.attentions[kind][row], captured.values[kind][row]
    seen = (weights > 0).float()
    alike = seen / seen.sum(-1, keepdim=True)
    repeated = values.repeat_interleave(HEADS // values.shape[1], dim=1)
    expected_heads = (alike @ repeated).transpose(1, 2)
    with ix.ablate(model, (1, 1), method="uniform", kind=kind):
        found = run(model, inputs)
        again = capture(model, inputs).attentions[kind][row]
    same(again[:, 1], alike[:, 1])

    def put(heads):
        heads[..., 1, :] = expected_heads[:, :, 1]

    with hooked(projection, put):
        same(found, run(model, inputs))


def test_knocked_out_edges_get_nothing_and_the_rest_of_the_row_grows(place):
    model, kind, projection, inputs = place
    captured = capture(model, inputs, ("attentions", "values"))
    row = captured.layers[kind].index(1)
    weights, values = captured.attentions[kind][row], captured.values[kind][row]
    cut = weights.clone()
    sinks = 1 - weights.sum(-1)
    cut[:, 2, 3, 1] = 0
    for item in range(len(cut)):  # the slow way: what is left of the row, and of its sink
        left = cut[item, 2, 3].sum() + sinks[item, 2, 3].clamp(min=0)
        cut[item, 2, 3] /= left
    repeated = values.repeat_interleave(HEADS // values.shape[1], dim=1)
    expected = (cut @ repeated).transpose(1, 2)
    with ix.knock_out(model, [(3, 1)], (1, 2), kind=kind):
        found = run(model, inputs)
    same_rows = [0, 1, 2]

    def put(heads):
        heads[:, 3, 2] = expected[:, 3, 2]
        assert torch.isfinite(heads[:, same_rows]).all()

    with hooked(projection, put):
        same(found, run(model, inputs))


def test_what_changes_nothing_leaves_the_output_as_it_was_to_the_last_bit(place):
    model, kind, _, inputs = place
    clean = run(model, inputs)
    own = capture(model, inputs, ("attentions", "head_outputs", "values"))
    nothing = {
        "scaled by one": ix.scale(model, "L1", 1, kind=kind),
        "no edge": ix.knock_out(model, torch.zeros(1, *_size(own, kind)).bool(), kind=kind),
        "same": ix.intervene(
            model, [ix.Edit(kind, 1, part, lambda x, _: x.clone()) for part in ("attentions",)]
        ),
    }
    for words, intervention in nothing.items():
        with intervention:
            assert torch.equal(run(model, inputs), clean), words
    with ix.patch(model, inputs, kind=kind):
        assert torch.equal(run(model, inputs), clean)


def _size(captured, kind):
    return captured.attentions[kind][1].shape[2:]


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


def test_only_the_positions_that_are_named_are_changed():
    model, inputs = built("llama"), inputs_of("llama")
    with ix.ablate(model, "L1H2", positions=[5]):
        found = run(model, inputs)
    with hooked(model.layers[1].self_attn.o_proj, lambda heads: heads[:, 5, 2].zero_()):
        same(found, run(model, inputs))


def test_several_at_once_are_all_done():
    model, inputs = built("gpt2"), inputs_of("gpt2")
    with ix.ablate(model, "L0H1"), ix.scale(model, "L2H0", 2), ix.ablate(model, "L0H3"):
        found = run(model, inputs)
    projections = [layer.attn.c_proj for layer in model.h]

    def first(heads):
        heads[..., [1, 3], :] = 0

    with hooked(projections[0], first), hooked(projections[2], lambda h: h[..., 0, :].mul_(2)):
        same(found, run(model, inputs))


@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
def test_both_implementations_are_changed_alike(implementation):
    model, inputs = built("mistral", implementation), inputs_of("mistral")
    with ix.knock_out(model, [(5, 4), (6, 4)], layers=[1]):
        found = run(model, inputs)
        assert not capture(model, inputs).attentions["self"][1][:, :, [5, 6], [4, 4]].any()
    other = built("mistral", "sdpa" if implementation == "eager" else "eager")
    with ix.knock_out(other, [(5, 4), (6, 4)], layers=[1]):
        read = inputs["attention_mask"].bool()  # of padding each kernel makes something else
        same(found[read], run(other, inputs)[read])


def test_the_model_is_as_it_was_after_an_exception():
    model, inputs = built("bert"), inputs_of("bert")
    clean, state = run(model, inputs), zoo.State.of(model)
    with pytest.raises(ZeroDivisionError), ix.ablate(model, "L1"):
        raise ZeroDivisionError
    assert zoo.State.of(model) == state
    assert torch.equal(run(model, inputs), clean)


def test_another_thread_sees_the_model_as_it_is():
    model, inputs = built("bert"), inputs_of("bert")
    clean, found = run(model, inputs), []
    with ix.ablate(model, "L1"):
        thread = threading.Thread(target=lambda: found.append(run(model, inputs)))
        thread.start()
        thread.join()
        assert not torch.equal(run(model, inputs), clean)
    assert torch.equal(found[0], clean)


def test_another_model_is_left_alone():
    model, other, inputs = built("bert"), built("bert"), inputs_of("bert")
    clean = run(other, inputs)
    with ix.ablate(model, "L1"):
        assert torch.equal(run(other, inputs), clean)
        assert not torch.equal(run(model, inputs), clean)


def test_an_intervention_that_changed_nothing_says_so():
    model = built("bert")
    with pytest.warns(UserWarning, match="changed nothing"), ix.ablate(model, "L1H0"):
        pass


def test_gradients_flow_through_an_intervention():
    model, inputs = built("bert"), inputs_of("bert")
    with ix.ablate(model, "L1H2"):
        model(**inputs).last_hidden_state.square().sum().backward()
    weight = model.encoder.layer[1].attention.output.dense.weight.grad
    size = weight.shape[1] // HEADS
    assert not weight[:, 2 * size : 3 * size].any()
    assert weight[:, :size].any()


def test_a_capture_within_sees_the_changed_model():
    model = ix.load("pronoun")
    text = "The fox did not cross the river because it was too wide."
    before = model.capture(text, include=("head_outputs",))
    with ix.ablate(model, "L0H0"):
        within = model.capture(text, include=("head_outputs",))
        rows = model.capture(text, rows=[5])
        with pytest.raises(CaptureError, match="certify"):
            model.capture(text, certify=True)
    assert not within.parts["head_outputs"][0, 0].any()
    assert torch.equal(within.attentions[0], before.attentions[0])
    assert (within.attentions[1] - before.attentions[1]).abs().max() > 0.1
    same(rows.attentions, within.attentions[:, :, [5]])


def test_a_model_that_writes_is_changed_at_every_step():
    model, inputs = built("gpt2"), {"input_ids": zoo.batch("gpt2")["input_ids"][:1]}
    writing = GPT2LMHeadModel(model.config).eval()
    writing.transformer.load_state_dict(model.state_dict())
    options = {"max_new_tokens": 4, "do_sample": False, "pad_token_id": zoo.PAD}
    with ix.ablate(writing, "L1"):
        found = writing.generate(**inputs, **options)
    with hooked(writing.transformer.h[1].attn.c_proj, lambda heads: heads.zero_()):
        assert torch.equal(found, writing.generate(**inputs, **options))


BAD = {
    "a layer that is not there": (lambda m: ix.ablate(m, "L7H0"), "0–2"),
    "a head that is not there": (lambda m: ix.ablate(m, (1, 4)), "head of 0–3"),
    "no head": (lambda m: ix.ablate(m, []), "at least one head"),
    "no name of a head": (lambda m: ix.ablate(m, "head 3"), "such as 'L3H1'"),
    "no method": (lambda m: ix.ablate(m, "L1", method="delete"), "zero, mean, uniform, resample"),
    "no reference": (lambda m: ix.ablate(m, "L1", method="mean"), "texts in `reference`"),
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
    with pytest.raises(CaptureError, match="inputs are not known"):
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
