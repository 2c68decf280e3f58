"""Weights kept elsewhere (accelerate) or quantized (bitsandbytes): right, or refused truly."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

import introspect as ix
from introspect.errors import CaptureError, ModelError
from introspect.hooks import find_projections
from introspect.models import load
from introspect.runs.plan import weights_digest
from introspect.runs.ray_engine import _Parcel
from tests.models.wrappers.helpers import CASE, SAME, TEXT, away, llama, parts_away

pytestmark = pytest.mark.wrappers


def everywhere(module: nn.Module, folder) -> nn.Module:
    """All weights come only to compute."""
    accelerate = pytest.importorskip("accelerate")
    return accelerate.cpu_offload(copy.deepcopy(module), execution_device=torch.device("cpu"))


def one_on_disk(module: nn.Module, folder) -> nn.Module:
    """The weights of the second layer are on disk."""
    accelerate = pytest.importorskip("accelerate")
    parts = {name.rpartition(".")[0] for name, _ in module.named_parameters()}
    where = {part: "disk" if ".1." in part else "cpu" for part in sorted(parts)}
    return accelerate.dispatch_model(
        copy.deepcopy(module), where, main_device="cpu", offload_dir=str(folder), force_hooks=True
    )


KEPT = {"everywhere": everywhere, "one on disk": one_on_disk}


@pytest.fixture(params=KEPT)
def kept(request, minilm, tmp_path):
    return load((KEPT[request.param](minilm.module, tmp_path), minilm.tokenizer))


def test_weights_kept_elsewhere_give_what_they_give_in_memory(kept, minilm):
    assert away(kept, minilm, TEXT, certify=True) <= SAME
    assert away(kept, minilm, TEXT, "It slept.") <= SAME
    assert away(kept, minilm, TEXT, rows=[3]) <= SAME
    assert parts_away(kept, minilm, TEXT) <= SAME
    ours, right = (ix.score(each, [CASE]).heads.margin for each in (kept, minilm))
    assert ours.to_numpy() == pytest.approx(right.to_numpy(), abs=SAME, nan_ok=True)
    with ix.ablate(kept, "L1H3"), ix.ablate(minilm, "L1H3"):
        assert away(kept, minilm, TEXT) <= SAME


def test_a_model_kept_elsewhere_has_the_digest_of_its_weights(kept, minilm):
    assert weights_digest(kept.module) == weights_digest(minilm.module)
    empty = copy.deepcopy(minilm.module).to("meta")
    with pytest.raises(ModelError, match="on the meta device"):
        weights_digest(empty)


def test_a_model_of_other_packages_is_not_sent_to_workers(kept):
    with pytest.raises(ModelError, match="engine='serial'"):
        _Parcel.of(kept)


@pytest.mark.parametrize("name", KEPT)
def test_a_writer_kept_elsewhere_is_read_and_divided(name, tmp_path):
    plain = llama()
    model = load((KEPT[name](plain.module, tmp_path), plain.tokenizer))
    text = "the cat sat"
    assert ix.logit_lens(model, text).predicted.equals(ix.logit_lens(plain, text).predicted)
    tables = [ix.direct_logit_attribution(each, text, token=5) for each in (model, plain)]
    assert tables[0].contribution.to_numpy() == pytest.approx(
        tables[1].contribution.to_numpy(), abs=SAME
    )
    options = {"max_new_tokens": 3, "do_sample": False}
    assert away(model, plain, text, generate=options) <= SAME


# --- quantized ---------------------------------------------------------------------------------


def nf4(module: nn.Module, bnb) -> nn.Module:
    for name, part in list(module.named_children()):
        if type(part) is nn.Linear and name != "lm_head":
            small = bnb.nn.Linear4bit(
                part.in_features, part.out_features, bias=part.bias is not None,
                compute_dtype=torch.float32, quant_type="nf4",
            )  # fmt: skip
            small.weight = bnb.nn.Params4bit(
                part.weight.data.clone(), requires_grad=False, quant_type="nf4"
            )
            if part.bias is not None:
                small.bias = nn.Parameter(part.bias.data.clone(), requires_grad=False)
            setattr(module, name, small.to("cpu"))
        else:
            nf4(part, bnb)
    return module


def whole(module: nn.Module, bnb) -> nn.Module:
    """The same weights as plain layers: what they are when they are not packed."""
    for name, part in list(module.named_children()):
        if isinstance(part, bnb.nn.Linear4bit):
            plain = nn.Linear(part.in_features, part.out_features, bias=part.bias is not None)
            part.state_dict()  # undoes the packing of a run
            weight = bnb.functional.dequantize_4bit(part.weight.data, part.weight.quant_state)
            plain.weight = nn.Parameter(weight.float())
            if part.bias is not None:
                plain.bias = nn.Parameter(part.bias.data.float())
            setattr(module, name, plain)
        else:
            whole(part, bnb)
    return module


@pytest.fixture
def quantized():
    """A quantized writer, and what its weights stand for."""
    bnb = pytest.importorskip("bitsandbytes")
    plain = load("induction", lm_head=True)
    packed = nf4(copy.deepcopy(plain.module), bnb).eval()
    # A processor packs the weights in its first run, and rounds their scales.
    ix.capture(packed, {"input_ids": torch.tensor([[1, 2, 3]])})
    unpacked = whole(copy.deepcopy(packed), bnb).eval()
    return load((packed, plain.tokenizer)), load((unpacked, plain.tokenizer))


def test_a_quantized_model_is_captured_as_it_runs(quantized):
    model, _ = quantized
    record = model.capture("a b c d a b", certify=True)
    assert record.certificate.max_difference_from_eager <= SAME
    assert record.certificate.max_output_difference <= SAME
    lens = ix.logit_lens(model, "a b c d a b")
    assert lens.attrs["error"] <= SAME


def test_norms_of_a_quantized_model_are_those_of_its_whole_weights(quantized):
    model, plain = quantized
    text = "a b c d a b"
    ids = {"input_ids": torch.tensor([model.tokens(text).token_ids])}
    maps = [find_projections(each.module, ids) for each in (model, plain)]
    for place, projection in maps[0].items():
        torch.testing.assert_close(projection.by_head, maps[1][place].by_head, atol=SAME, rtol=0)


def test_a_quantized_model_is_divided_or_refused_for_its_rounding(quantized):
    model, _ = quantized
    try:
        table = ix.direct_logit_attribution(model, "a b c d a b", token="c")
    except CaptureError as error:
        assert "Linear4bit layers are quantized" in str(error)
    else:
        assert table.attrs["error"] <= 1e-4


def test_a_model_with_a_gate_is_read_by_the_lens():
    from transformers import Qwen3NextConfig, Qwen3NextForCausalLM

    plain = llama()
    config = Qwen3NextConfig(
        vocab_size=len(plain.tokenizer), hidden_size=32, intermediate_size=48, head_dim=8,
        num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        layer_types=["linear_attention", "full_attention"], num_experts=2, num_experts_per_tok=1,
        moe_intermediate_size=16, shared_expert_intermediate_size=16, linear_num_value_heads=2,
        linear_num_key_heads=2,
    )  # fmt: skip
    model = load((Qwen3NextForCausalLM(config).eval(), plain.tokenizer))
    lens = ix.logit_lens(model, "the cat sat")
    assert sorted(set(lens.layer)) == [-1, 0, 1]
    with pytest.raises(CaptureError, match="such as a gate"):
        ix.direct_logit_attribution(model, "the cat sat", token=5)
