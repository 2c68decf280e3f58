"""Models of PEFT: against the merged weights, or the model without the adapter."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
import torch

import introspect as ix
from introspect.errors import CaptureError, IntrospectError, ModelError
from introspect.models import load
from introspect.studies.causal import prepare_next_tokens
from tests import towers_zoo
from tests.models.wrappers.helpers import CASE, SAME, TEXT, away, llama, parts_away, trained

peft = pytest.importorskip("peft", reason="peft is missing: pip install peft")
pytestmark = pytest.mark.wrappers

A, B = "The fox did not cross the river.", "It was too wide."
TARGETS = {
    "q and v": ["query", "value"],
    "output projection": ["attention.output.dense"],
    "all linear": "all-linear",
}


def adapted(model, **options):
    options = {"r": 4, "target_modules": ["query"], **options}
    return peft.get_peft_model(copy.deepcopy(model.module), peft.LoraConfig(**options)).eval()


def prompted(kind: str):
    """A decoder with virtual tokens before its text, and the model without them."""
    model = load("induction", lm_head=True)
    config = {
        "prompt": peft.PromptTuningConfig,
        "prefix": peft.PrefixTuningConfig,
        "encoded": peft.PromptEncoderConfig,  # P-tuning
    }[kind]
    wrapped = peft.get_peft_model(
        copy.deepcopy(model.module), config(num_virtual_tokens=4, task_type="CAUSAL_LM")
    )
    return load((wrapped.eval(), model.tokenizer)), wrapped, model


# --- the function of the adapted model ---------------------------------------------------------


@pytest.mark.parametrize("targets", TARGETS.values(), ids=TARGETS)
def test_an_adapted_encoder_is_what_its_merged_weights_are(minilm, targets):
    wrapped = trained(adapted(minilm, target_modules=targets))
    merged = load((copy.deepcopy(wrapped).merge_and_unload(), minilm.tokenizer))
    for given in (wrapped, wrapped.base_model.model):
        model = load((given, minilm.tokenizer))
        assert away(model, merged, TEXT) <= SAME
        assert away(model, merged, A, B) <= SAME
        assert parts_away(model, merged, TEXT) <= SAME
        ours, theirs = (ix.score(each, [CASE], weights="norm").heads for each in (model, merged))
        ours, theirs = (
            table.sort_values(["layer", "head", "direction"]).margin for table in (ours, theirs)
        )
        np.testing.assert_allclose(ours.to_numpy(), theirs.to_numpy(), atol=SAME)


@pytest.mark.parametrize("targets", [["q_proj", "v_proj"], ["o_proj"], "all-linear"], ids=str)
def test_an_adapted_decoder_is_what_its_merged_weights_are(targets):
    plain = llama()
    wrapped = trained(adapted(plain, target_modules=targets, task_type="CAUSAL_LM"))
    model = load((wrapped, plain.tokenizer))
    merged = load((copy.deepcopy(wrapped).merge_and_unload(), plain.tokenizer))
    text = "the cat sat on the mat"
    assert away(model, merged, text) <= SAME
    assert parts_away(model, merged, text) <= SAME
    assert away(model, merged, text, generate={"max_new_tokens": 4, "do_sample": False}) <= SAME
    lenses = [ix.logit_lens(each, text, top=3) for each in (model, merged)]
    assert lenses[0].predicted.tolist() == lenses[1].predicted.tolist()
    tables = [ix.direct_logit_attribution(each, text, token=5) for each in (model, merged)]
    assert tables[0].contribution.to_numpy() == pytest.approx(
        tables[1].contribution.to_numpy(), abs=SAME
    )
    with ix.ablate(model, "L1H0"), ix.ablate(merged, "L1H0"):
        assert away(model, merged, text) <= SAME


def test_an_adapted_unembedding_is_asked_for_its_rows():
    plain = llama()
    wrapped = trained(adapted(plain, target_modules=["lm_head"], task_type="CAUSAL_LM"))
    merged = load((copy.deepcopy(wrapped).merge_and_unload(), plain.tokenizer))
    tables = [
        ix.direct_logit_attribution(each, "the cat sat", token=5, against=6).contribution
        for each in (load((wrapped, plain.tokenizer)), merged)
    ]
    assert tables[0].to_numpy() == pytest.approx(tables[1].to_numpy(), abs=SAME)


@pytest.mark.parametrize("task", ["FEATURE_EXTRACTION", "SEQ_CLS", None])
def test_a_fresh_adapter_is_the_identity_on_a_pair(minilm, task):
    """The wrapper's forward names a few inputs; the segments of a pair must be given too."""
    model = load((adapted(minilm, task_type=task), minilm.tokenizer))
    assert away(model, minilm, A, B) == 0
    assert away(model, minilm, A) == 0
    certificate = model.capture(A, B, certify=True).certificate
    assert certificate.max_difference_from_eager <= SAME
    assert certificate.max_output_difference <= SAME
    assert certificate.note == ""


def test_a_bare_adapted_module_is_captured_like_the_model_in_it(minilm):
    wrapped = adapted(minilm, task_type="FEATURE_EXTRACTION")
    inputs = dict(minilm.tokenizer(A, B, return_tensors="pt"))
    ours, right = (ix.capture(each, inputs).attentions["self"] for each in (wrapped, minilm.module))
    assert all(torch.equal(a, b) for a, b in zip(ours, right, strict=True))


def test_two_ways_to_adapt_beside_lora(minilm):
    for config in (
        peft.IA3Config(target_modules=["value"], feedforward_modules=[]),
        peft.VeraConfig(r=4, target_modules=["query", "value"], projection_prng_key=0),
    ):
        wrapped = peft.get_peft_model(copy.deepcopy(minilm.module), config).eval()
        with torch.no_grad():
            for name, part in wrapped.named_parameters():
                if "ia3" in name or "vera_lambda" in name:
                    part.add_(0.2)
        merged = load((copy.deepcopy(wrapped).merge_and_unload(), minilm.tokenizer))
        assert away(load((wrapped, minilm.tokenizer)), merged, A, B) <= SAME


@pytest.mark.parametrize("name", ["llava", "mllama"])
def test_an_adapter_over_several_towers_is_what_its_merged_weights_are(name):
    model, inputs = towers_zoo.build(name)
    options = peft.LoraConfig(r=4, target_modules=["q_proj", "v_proj", "o_proj"])
    wrapped = trained(peft.get_peft_model(copy.deepcopy(model), options))
    merged = copy.deepcopy(wrapped).merge_and_unload()
    plain, mine, its = (ix.capture(each, inputs) for each in (model, wrapped, merged))
    assert mine.layers == its.layers == plain.layers
    for kind, layers in mine.attentions.items():
        far = [
            float((a - b).abs().max()) for a, b in zip(layers, its.attentions[kind], strict=True)
        ]
        assert max(far) <= SAME
    one = ix.capture(wrapped, inputs, kind="vision", layers=[1])
    assert torch.equal(one.attentions["vision"][0], mine.attentions["vision"][1])
    away_from_plain = mine.attentions["text"][-1] - plain.attentions["text"][-1]
    assert away_from_plain.abs().max() > 1e-3


# --- a prompt before the text ------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["prompt", "prefix", "encoded"])
def test_places_in_a_text_are_refused_where_a_prompt_stands_before_it(kind):
    model, wrapped, plain = prompted(kind)
    text = "x a b c d e f g h a b c d"
    uses = {
        "capture": lambda: model.capture(text),
        "rows": lambda: model.capture(text, rows=[2]),
        "many": lambda: list(model.capture_many([text])),
        "certify": lambda: model.capture(text, certify=True),
        "generate": lambda: model.capture(text, generate=True),
        "roles": lambda: ix.detect_heads(model),
        "margins": lambda: prepare_next_tokens(model, [text], [[10, 11]]).margins(),
        "lens": lambda: ix.logit_lens(model, text),
        "attribution": lambda: ix.direct_logit_attribution(model, text, token="c"),
        "ablate": lambda: ix.ablate(model, "L0H0"),
        "scale": lambda: ix.scale(model, "L0H0", 2),
        "knock_out": lambda: ix.knock_out(model, [(2, 1)]),
        "bare": lambda: ix.knock_out(wrapped, [(2, 1)]),
        "importance": lambda: ix.head_importance(model, [text]),
    }
    for name, use in uses.items():
        with pytest.raises(CaptureError, match="get_base_model"):
            use()
        assert name
    base = load((wrapped.get_base_model(), plain.tokenizer))
    assert away(base, plain, text) == 0


def test_the_attention_of_a_prompted_model_is_had_as_it_is():
    _, wrapped, plain = prompted("prompt")
    ids = plain.tokenizer("a b c a b", return_tensors="pt").input_ids
    captured = ix.capture(wrapped, {"input_ids": ids, "attention_mask": torch.ones_like(ids)})
    assert captured.attentions["self"][0].shape[2:] == (ids.shape[1] + 4,) * 2
    with pytest.raises(CaptureError, match="as many queries as tokens"):
        ix.capture(wrapped, {"input_ids": ids}, rows=[1])


# --- a folder ----------------------------------------------------------------------------------


@pytest.fixture
def adapter(tmp_path):
    """A folder with a base and one with its adapter, and the model that both make."""
    model = llama()
    model.module.save_pretrained(tmp_path / "base")
    model.tokenizer.save_pretrained(tmp_path / "base")
    model.module.config._name_or_path = str(tmp_path / "base")
    wrapped = trained(adapted(model, target_modules=["q_proj", "o_proj"], task_type="CAUSAL_LM"))
    wrapped.peft_config["default"].base_model_name_or_path = str(tmp_path / "base")
    wrapped.save_pretrained(tmp_path / "adapter")
    return tmp_path / "adapter", load((wrapped, model.tokenizer))


@pytest.mark.parametrize("lm_head", [False, True])
def test_an_adapter_folder_loads_with_its_base(adapter, lm_head):
    folder, expected = adapter
    model = load(folder, lm_head=lm_head)
    assert model.name == "adapter"
    assert model.has_unembedding == lm_head
    assert away(model, expected, "the cat sat") <= SAME
    assert "on base" in model.revision


def test_an_adapter_folder_says_what_it_lacks(adapter):
    folder, _ = adapter
    config = json.loads((folder / "adapter_config.json").read_text())
    for base, words in ((None, "base_model_name_or_path"), ("./nowhere", "nowhere")):
        changed = {**config, "base_model_name_or_path": base}
        (folder / "adapter_config.json").write_text(json.dumps(changed))
        with pytest.raises(ModelError, match=words):
            load(folder)
    (folder / "adapter_config.json").write_text("{")
    with pytest.raises(ModelError, match="cannot be read"):
        load(folder)
    (folder / "adapter_config.json").write_text(json.dumps(config))
    (folder / "adapter_model.safetensors").unlink()
    with pytest.raises(ModelError, match="Expected weights"):
        load(folder)


def test_an_adapter_of_another_base_is_refused(adapter, tmp_path):
    folder, _ = adapter
    other = load("minilm")
    other.module.save_pretrained(tmp_path / "bert")
    other.tokenizer.save_pretrained(tmp_path / "bert")
    config = json.loads((folder / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = str(tmp_path / "bert")
    (folder / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(IntrospectError):
        load(folder)


def test_a_folder_with_a_model_and_an_adapter_is_refused(adapter):
    folder, expected = adapter
    expected.module.save_pretrained(folder)
    with pytest.raises(ModelError, match="got both"):
        load(folder)
