"""Direct logit attribution: against slow loops over layers named by hand, and its own sum."""

from __future__ import annotations

import copy

import pytest
import torch
import transformers as tf

import introspect as ix
from introspect.errors import CaptureError, ModelError, SelectionError
from introspect.models import Model
from tests import models_zoo as zoo
from tests.studies.heads.test_importance import masked
from tests.studies.lens.test_lens import TARGET, TEXT, gpt2
from tests.tokenizers_zoo import byte_level
from tests.writers_zoo import writer

STREAMS = ("gpt2", "llama", "mistral", "gpt_oss", "bloom", "gptj", "t5")


def own_logits(model: Model, target: str | None = None) -> torch.Tensor:
    inputs = model.run_plan(TEXT, target=target, whole=True).inputs
    with torch.no_grad():
        return model.module(**inputs).logits[0].double()


@pytest.mark.parametrize("position", [-1, 3])
@pytest.mark.parametrize("name", STREAMS)
def test_components_sum_to_the_models_own_logits(name, position):
    model = writer(name)
    target = TARGET if name == "t5" else None
    logits = own_logits(model, target)[position]
    asked = {"token": 40, "position": position, "target": target}
    difference = ix.direct_logit_attribution(model, TEXT, against=77, **asked)
    expected = float(logits[40] - logits[77])
    assert difference["contribution"].sum() == pytest.approx(expected, abs=1e-4)
    assert difference.attrs["logit"] == pytest.approx(expected, abs=1e-4)
    assert difference.attrs["error"] <= 1e-4
    alone = ix.direct_logit_attribution(model, TEXT, **asked)
    # One token alone is centered: what raises all logits alike is said for none.
    centered = float(logits[40] - logits.mean())
    assert alone["contribution"].sum() == pytest.approx(centered, abs=1e-4)
    assert alone.attrs["mean_logit"] == pytest.approx(float(logits.mean()), abs=1e-4)
    heads = difference[difference["head"].notna()]
    kinds = {"decoder", "cross"} if name == "t5" else {"self"}
    assert set(heads["kind"]) == kinds and len(heads) == 12 * len(kinds)
    assert difference["component"].is_unique


def test_what_raises_all_logits_alike_changes_no_part():
    # It changes no probability either.
    model = copy.deepcopy(writer("llama"))
    before = ix.direct_logit_attribution(model, TEXT, token=40)
    chances = own_logits(model)[-1].softmax(-1)
    with torch.no_grad():
        noise = torch.randn(32, generator=torch.Generator().manual_seed(1)) * 3
        model.module.lm_head.weight.add_(noise)
    after = ix.direct_logit_attribution(model, TEXT, token=40)
    assert torch.allclose(own_logits(model)[-1].softmax(-1), chances, atol=1e-4)
    assert abs(after.attrs["mean_logit"] - before.attrs["mean_logit"]) > 0.1
    assert after["contribution"].to_numpy() == pytest.approx(
        before["contribution"].to_numpy(), abs=1e-4
    )


def test_a_heads_part_is_given_with_and_without_its_value_bias():
    model = copy.deepcopy(writer("gpt2"))
    attention = model.module.transformer.h[1].attn
    with torch.no_grad():
        attention.c_attn.bias[64:] = torch.randn(32, generator=torch.Generator().manual_seed(0))
    table = ix.direct_logit_attribution(model, TEXT, token=40, against=77)
    heads = table[table["head"].notna()].set_index("component")
    assert table.loc[table["head"].isna(), "without_value_bias"].isna().all()
    states = []
    handle = model.module.transformer.ln_f.register_forward_pre_hook(
        lambda _, given: states.append(given[0])
    )
    own_logits(model)
    handle.remove()
    norm, unembed = model.module.transformer.ln_f, model.module.lm_head.weight.double()
    row = states[0][0, -1].double()
    gain = norm.weight.double() / (row.var(unbiased=False) + norm.eps).sqrt()
    direction = (unembed[40] - unembed[77]) * gain
    for head in range(4):
        part = slice(8 * head, 8 * head + 8)
        bias = attention.c_attn.bias[64:][part].double() @ attention.c_proj.weight[part].double()
        added = float(((bias - bias.mean()) @ direction).detach())
        found = heads.loc[f"L1H{head}"]
        difference = found["contribution"] - found["without_value_bias"]
        assert difference == pytest.approx(added, abs=1e-5)
        assert abs(added) > 1e-4


@pytest.mark.parametrize("name", ["llama", "t5"])
def test_without_a_value_bias_both_are_the_same(name):
    target = TARGET if name == "t5" else None
    table = ix.direct_logit_attribution(writer(name), TEXT, token=40, target=target)
    heads = table[table["head"].notna()]
    assert heads["without_value_bias"].to_numpy() == pytest.approx(
        heads["contribution"].to_numpy(), abs=1e-6
    )


def test_gpt2_by_a_slow_loop():
    model, place, token, against = writer("gpt2"), 4, 40, 77
    module = model.module
    ids = torch.tensor([model.tokens(TEXT).token_ids])
    with torch.no_grad():
        states = module(ids, output_hidden_states=True).hidden_states
        kept = []
        handles = [
            block.attn.c_proj.register_forward_pre_hook(lambda _, given: kept.append(given[0]))
            for block in module.transformer.h
        ]
        module(ids)
        for handle in handles:
            handle.remove()
        last = states[-2] + module.transformer.h[-1](states[-2]) - states[-2]
        norm, unembed = module.transformer.ln_f, module.lm_head.weight
        row = last[0, place]
        sigma = float((row.var(unbiased=False) + norm.eps).sqrt())
        direction = unembed[token] - unembed[against]

        def slow(vector: torch.Tensor) -> float:
            mean = sum(map(float, vector)) / 32
            return sum(
                (float(vector[d]) - mean) / sigma * float(norm.weight[d]) * float(direction[d])
                for d in range(32)
            )

        table = ix.direct_logit_attribution(
            model, TEXT, token=token, against=against, position=place
        ).set_index("component")["contribution"]
        assert table["embeddings"] == pytest.approx(slow(states[0][0, place]), abs=1e-5)
        for layer, block in enumerate(module.transformer.h):
            for head in range(4):
                part = slice(8 * head, 8 * head + 8)
                brought = kept[layer][0, place, part] @ block.attn.c_proj.weight[part]
                assert table[f"L{layer}H{head}"] == pytest.approx(slow(brought), abs=1e-5)
            assert table[f"L{layer} bias"] == pytest.approx(slow(block.attn.c_proj.bias), abs=1e-5)
            middle = states[layer] + block.attn(block.ln_1(states[layer]))[0]
            fed = block.mlp(block.ln_2(middle))[0, place]
            assert table[f"L{layer} feed-forward"] == pytest.approx(slow(fed), abs=1e-5)
        bias = sum(float(norm.bias[d]) * float(direction[d]) for d in range(32))
        assert table["final norm bias"] == pytest.approx(bias, abs=1e-5)


def test_llama_takes_no_mean_off_and_shares_keys_among_heads():
    model, token = writer("llama"), 40
    module = model.module
    ids = torch.tensor([model.tokens(TEXT).token_ids])
    kept = []
    layer = module.model.layers[1]
    handle = layer.self_attn.o_proj.register_forward_pre_hook(lambda _, given: kept.append(given))
    final = []
    other = module.model.norm.register_forward_pre_hook(lambda _, given: final.append(given))
    with torch.no_grad():
        module(ids)
    handle.remove(), other.remove()
    row = final[0][0][0, -1].double()
    scale = 1 / (row.square().mean() + module.model.norm.variance_epsilon).sqrt()
    unembedding = module.lm_head.weight.double()
    direction = unembedding[token] - unembedding.mean(0)
    gain = module.model.norm.weight.detach().double() * direction
    table = ix.direct_logit_attribution(model, TEXT, token=token).set_index("component")
    for head in range(4):
        part = slice(8 * head, 8 * head + 8)
        brought = kept[0][0][0, -1, part] @ layer.self_attn.o_proj.weight[:, part].T
        expected = float(((brought.double() * scale * gain).sum()).detach())
        assert table.loc[f"L1H{head}", "contribution"] == pytest.approx(expected, abs=1e-5)
    assert "final norm bias" not in table.index and "L1 bias" not in table.index


def test_a_head_of_the_last_layer_says_what_is_lost_without_it():
    """Where nothing follows but the norm, and that scale is kept, removing is subtracting."""
    model = gpt2(tf.GPT2LMHeadModel)
    block = model.module.transformer.h[-1]
    block.mlp.c_proj.weight.data.zero_(), block.mlp.c_proj.bias.data.zero_()
    norm = model.module.transformer.ln_f
    found = ix.direct_logit_attribution(model, TEXT, token=40, against=77)
    assert "L1 feed-forward" not in found["component"].tolist()  # it adds nothing
    scales = []
    handle = norm.register_forward_pre_hook(
        lambda _, given: scales.append((given[0].var(-1, unbiased=False) + norm.eps).sqrt())
    )
    before = own_logits(model)[-1]
    without = copy.deepcopy(model.module)
    without.transformer.h[-1].attn.c_proj.weight.data[8:16] = 0
    after = own_logits(Model(without, model.tokenizer))[-1]
    handle.remove()
    unembed = model.module.lm_head.weight
    bias = float((norm.bias @ (unembed[40] - unembed[77])).detach())
    ratio = float(scales[1][0, -1] / scales[0][0, -1])
    lost = float(before[40] - before[77]) - (float(after[40] - after[77]) - bias) * ratio - bias
    head = found.set_index("component").loc["L1H1", "contribution"]
    assert head == pytest.approx(lost, abs=1e-5)


def test_the_induction_heads_of_induction_say_the_answer():
    model = ix.load("induction", lm_head=True)
    table = ix.direct_logit_attribution(model, "K 7 q Z f K 7", token="q", against="Z")
    said = table.set_index("component")["contribution"]
    heads = said[[f"L1H{head}" for head in range(4)]]
    assert heads.sum() > 2 and said[[f"L0H{head}" for head in range(4)]].abs().sum() < heads.sum()
    assert table.attrs["token"] == "q" and table.attrs["against"] == "Z"
    assert (table.attrs["position"], table.attrs["at"]) == (7, "7")


def test_shortcut_sums_as_well():
    model = ix.load("shortcut", lm_head=True)
    table = ix.direct_logit_attribution(model, "a b c d a b", token="c", against="d")
    assert table["contribution"].sum() == pytest.approx(table.attrs["logit"], abs=1e-4)


def test_half_precision_and_interventions():
    model = writer("gpt2")
    half = Model(copy.deepcopy(model.module).bfloat16(), model.tokenizer)
    table = ix.direct_logit_attribution(half, TEXT, token=40)
    assert table["contribution"].sum() == pytest.approx(table.attrs["logit"], abs=0.1)
    with ix.ablate(model, heads=[(1, 2)]):
        without = ix.direct_logit_attribution(model, TEXT, token=40).set_index("component")
    assert without.loc["L1H2", "contribution"] == 0
    assert without["contribution"].abs().min() == 0 and without.loc["L1H1", "contribution"] != 0


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["openai", "bart"])
def test_models_that_normalise_the_sum_are_refused(name):
    model = writer(name)
    with pytest.raises(CaptureError, match="no residual stream in that sense"):
        ix.direct_logit_attribution(
            model, TEXT, token=40, target=TARGET if name == "bart" else None
        )


def test_bert_is_refused_and_so_is_a_factor_between():
    with pytest.raises(CaptureError, match="as BERT does"):
        ix.direct_logit_attribution(masked(), TEXT, token=40)
    plain = writer("llama")
    config = tf.GraniteConfig(
        vocab_size=len(plain.tokenizer), hidden_size=32, intermediate_size=48,
        num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, residual_multiplier=0.3,
    )  # fmt: skip
    granite = Model(tf.GraniteForCausalLM(config).eval(), plain.tokenizer)
    with pytest.raises(CaptureError, match="a norm or a factor stands between"):
        ix.direct_logit_attribution(granite, TEXT, token=40)


def test_a_norm_of_what_heads_bring_is_no_hindrance():
    table = ix.direct_logit_attribution(writer("gemma3"), TEXT, token=40)
    assert table.contribution.sum() == pytest.approx(table.attrs["logit"], abs=1e-4)


class Capped(tf.GPT2LMHeadModel):
    def forward(self, input_ids=None, **kwargs):
        output = super().forward(input_ids=input_ids, **kwargs)
        output.logits = 0.1 * torch.tanh(output.logits / 0.1)
        return output


class Doubled(tf.GPT2LMHeadModel):
    def forward(self, input_ids=None, **kwargs):
        output = super().forward(input_ids=input_ids, **kwargs)
        output.logits = 2 * output.logits
        return output


def test_capped_logits_are_refused_and_scaled_ones_are_not():
    with pytest.raises(CaptureError, match="may be capped"):
        ix.direct_logit_attribution(gpt2(Capped), TEXT, token=40)
    table = ix.direct_logit_attribution(gpt2(Doubled), TEXT, token=40)
    plain = ix.direct_logit_attribution(gpt2(tf.GPT2LMHeadModel), TEXT, token=40)
    doubled = 2 * plain["contribution"].to_numpy()
    assert table["contribution"].to_numpy() == pytest.approx(doubled, abs=1e-5)


@pytest.mark.parametrize("secret", ["a line", "the embeddings", "the heads again"])
def test_something_that_is_added_in_secret_is_refused(secret):
    """Also what another module gave, or the heads' own: neither is a feed-forward."""
    model = gpt2(tf.GPT2LMHeadModel)
    transformer = model.module.transformer
    block = transformer.h[1]
    block.mlp.c_proj.weight.data.zero_(), block.mlp.c_proj.bias.data.zero_()
    assert len(ix.direct_logit_attribution(model, TEXT, token=40))
    added = {"a line": torch.linspace(0, 1, 32)}
    handles = [
        part.register_forward_hook(lambda _, given, result, name=name: added.update({name: result}))
        for name, part in (
            ("the embeddings", transformer.drop),
            ("the heads again", block.attn.c_proj),
        )
    ]

    def add(_, given, result):
        state = result[0] if isinstance(result, tuple) else result
        changed = state + added[secret].view(-1, state.shape[-1])
        return (changed, *result[1:]) if isinstance(result, tuple) else changed

    handles.append(block.register_forward_hook(add))
    with pytest.raises(CaptureError, match="passes on something else"):
        ix.direct_logit_attribution(model, TEXT, token=40)
    for handle in handles:
        handle.remove()


def test_what_does_not_exist_is_refused():
    model = writer("gpt2")
    with pytest.raises(ModelError, match="Expected a language-model head"):
        ix.direct_logit_attribution(zoo.minilm(), TEXT, token=40)
    for options, message in (
        ({"token": 300}, "from 0 to 299"),
        ({"token": 4, "against": -1}, "from 0 to 299"),
        ({"token": "a cat sat"}, "one piece"),
        ({"token": 4, "position": 99}, "`position` from -"),
    ):
        with pytest.raises(SelectionError, match=message):
            ix.direct_logit_attribution(model, TEXT, **options)
    shared = tf.AlbertForMaskedLM(tf.AlbertConfig(**zoo._ENCODER | {"vocab_size": 300})).eval()
    with pytest.raises(CaptureError, match="share a layer"):
        ix.direct_logit_attribution(Model(shared, byte_level(), name="albert"), TEXT, token=4)
