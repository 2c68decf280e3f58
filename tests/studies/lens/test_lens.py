"""The logit lens: against each model's own states, norms and heads, named by hand."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
import transformers as tf

import introspect as ix
from introspect.data import grammar_cases
from introspect.errors import CaptureError, ModelError, SelectionError
from introspect.hooks import find_projections, replayed_results
from introspect.models import Model
from introspect.studies.lens import lens
from introspect.studies.lens.lens import NO_STREAM
from tests import models_zoo as zoo
from tests.studies.heads.test_importance import masked
from tests.tokenizers_zoo import byte_level
from tests.writers_zoo import CONFIGS, writer

TEXT = "The cat sat on the mat."
TARGET = "the mat was happy"

#: From the state of any layer to logits, by the names that each file has.
HEADS = {
    "gpt2": lambda m, h: m.lm_head(m.transformer.ln_f(h)),
    "llama": lambda m, h: m.lm_head(m.model.norm(h)),
    "bloom": lambda m, h: m.lm_head(m.transformer.ln_f(h)),
    "bert": lambda m, h: m.cls(h),
    "t5": lambda m, h: m.lm_head(m.decoder.final_layer_norm(h) * 32**-0.5),
}


def read_by_hand(model: Model, name: str) -> list[torch.Tensor]:
    """The logits of every layer, embeddings first, from the states that transformers returns."""
    plan = model.run_plan(TEXT, target=TARGET if name == "t5" else None, whole=True)
    inputs = plan.inputs
    with torch.no_grad():
        output = model.module(**inputs, output_hidden_states=True)
        states = output.decoder_hidden_states if name == "t5" else output.hidden_states
        if name == "bert":
            return [HEADS[name](model.module, state)[0] for state in states]
        # Of the last layer they return what the final norm made of it.
        return [HEADS[name](model.module, state)[0] for state in states[:-1]] + [output.logits[0]]


@pytest.mark.parametrize("name", HEADS)
def test_each_layer_reads_as_the_models_own_head_reads_its_state(name):
    model = masked() if name == "bert" else writer(name)
    target = TARGET if name == "t5" else None
    table = ix.logit_lens(model, TEXT, top=3, target=target)
    expected = read_by_hand(model, name)
    assert table["layer"].unique().tolist() == [-1, 0, 1, 2]
    for layer, logits in zip(range(-1, 3), expected, strict=True):
        chances = logits.softmax(-1)
        for position in range(len(logits)):
            rows = table[(table["layer"] == layer) & (table["position"] == position)]
            best = chances[position].topk(3)
            assert rows["rank"].tolist() == [1, 2, 3]
            assert rows["probability"].to_numpy() == pytest.approx(best.values.numpy(), abs=1e-6)
            named = model.tokenizer.convert_ids_to_tokens(best.indices.tolist())
            assert rows["predicted"].tolist() == named
    tokens = model.run_plan(TEXT, target=target, whole=True).tokens.tokens
    assert table["token"].tolist()[::3] == [*tokens] * 4
    assert table.attrs["error"] <= 1e-5


@pytest.mark.parametrize("name", CONFIGS)
def test_the_note_is_for_models_with_the_norm_behind(name):
    model = writer(name)
    table = ix.logit_lens(model, TEXT, top=1, target=TARGET if model.is_encoder_decoder else None)
    assert table.attrs["note"] == (NO_STREAM if name in ("openai", "bart") else None)


def test_of_a_masked_model_there_is_a_note():
    assert ix.logit_lens(masked(), TEXT, top=1).attrs["note"] == NO_STREAM


def test_induction_knows_the_answer_after_its_second_layer():
    model = ix.load("induction", lm_head=True)
    table = ix.logit_lens(model, "K 7 q Z f K 7", top=1)
    read = table[table["position"] == 7].set_index("layer")
    assert read.loc[1, "predicted"] == "q" and read.loc[1, "probability"] > 0.99
    assert "q" not in read.loc[[-1, 0], "predicted"].tolist()


def test_the_pronouns_noun_is_read_at_the_pronoun():
    model = ix.load("pronoun", lm_head=True)
    case = grammar_cases(2, "en", 77)[0]
    table = ix.logit_lens(model, case.text, top=1)
    place = model.tokens(case.text).offsets.index(case.pronoun)
    read = table[table["position"] == place].set_index("layer")
    assert read.loc[1, "predicted"] == case.extra["answer"]
    assert read.loc[-1, "predicted"] != case.extra["answer"]


def test_interventions_count_and_nothing_stays_behind():
    model = ix.load("induction", lm_head=True)
    text = "K 7 q Z f K 7"
    before = ix.logit_lens(model, text, top=1)
    with ix.ablate(model, heads=[(1, head) for head in range(4)]):
        without = ix.logit_lens(model, text, top=1)
    assert without["predicted"].iloc[-1] != "q" and before["predicted"].iloc[-1] == "q"
    state = zoo.State.of(model.module)
    assert ix.logit_lens(model, text, top=1).equals(before) and zoo.State.of(model.module) == state


class ReadsTwoStates(tf.GPT2LMHeadModel):
    """Its logits follow from the embeddings as well."""

    def forward(self, input_ids=None, **kwargs):
        output = super().forward(input_ids=input_ids, **kwargs)
        output.logits = output.logits + self.transformer.wte(input_ids) @ self.lm_head.weight.T
        return output


def gpt2(kind: type, **options) -> Model:
    tokenizer = byte_level()
    config = tf.GPT2Config(vocab_size=len(tokenizer), n_embd=32, n_layer=2, n_head=4, **options)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return Model(kind(config).eval(), tokenizer, name="tiny")


def test_a_head_that_reads_more_than_the_last_state_is_refused():
    with pytest.raises(CaptureError, match="follow from the last layer's state alone"):
        ix.logit_lens(gpt2(ReadsTwoStates), TEXT)
    assert len(ix.logit_lens(gpt2(tf.GPT2LMHeadModel), TEXT))


def test_both_ways_of_reading_read_alike(monkeypatch):
    model, ways = writer("gpt2"), []

    class Failing(lens._Reader):
        def __call__(self, state):
            if self._by_token:
                ways.append("quick")
                raise RuntimeError("shape '[1, 1, 32]' is invalid")
            return super().__call__(state)

    quick = ix.logit_lens(model, TEXT, top=2)
    monkeypatch.setattr(lens, "_Reader", Failing)
    slow = ix.logit_lens(model, TEXT, top=2)
    assert ways == ["quick"]  # tried once, and not again
    assert slow["predicted"].tolist() == quick["predicted"].tolist()
    assert slow["probability"].to_numpy() == pytest.approx(quick["probability"].to_numpy())


@pytest.mark.parametrize("name", ["gpt2", "t5"])
def test_the_layers_are_computed_twice_however_many_states_are_read(name, monkeypatch):
    """On the text, and on other tokens to prove the reader; every reading repeats the second."""
    model, computed, kept = writer(name), [], []
    target = "the dog barked" if name == "t5" else None
    # What does the work of a layer: its output projections.
    ways = find_projections(model.module, model.run_plan(TEXT, target=target, whole=True).inputs)
    for projection in ways.values():
        layer = projection.layer
        kept.append(layer.register_forward_hook(lambda *_: computed.append(1)))
    read = ix.logit_lens(model, TEXT, target=target)
    for handle in kept:
        handle.remove()
    assert read["layer"].nunique() > 2
    assert len(computed) == 2 * len(ways)
    assert all("forward" not in vars(part) for part in model.module.modules())


def test_results_are_replayed_in_one_thread_and_put_back():
    module, other = torch.nn.Linear(2, 2), torch.ones(1, 2)
    own = module(other)
    with ThreadPoolExecutor(1) as pool:
        with pytest.raises(KeyError), replayed_results({module: "as before"}):
            assert module(other) == "as before"
            assert torch.equal(pool.submit(module, other).result(), own)
            raise KeyError
        assert torch.equal(module(other), own)
        with replayed_results({module: "outer"}):
            with replayed_results({module: "inner"}):
                assert module(other) == "inner"
            assert module(other) == "outer"
    assert "forward" not in vars(module)


def test_models_without_what_it_takes_are_refused():
    with pytest.raises(ModelError, match="Expected a language-model head in .*MiniLM"):
        ix.logit_lens(zoo.minilm(), TEXT)
    shared = tf.AlbertForMaskedLM(tf.AlbertConfig(**zoo._ENCODER | {"vocab_size": 300})).eval()
    with pytest.raises(CaptureError, match="share a layer"):
        ix.logit_lens(Model(shared, byte_level(), name="albert"), TEXT)
    with pytest.raises(SelectionError, match="target"):
        ix.logit_lens(writer("t5"), TEXT)


@pytest.mark.parametrize("top", [0, 301])
def test_top_is_within_the_vocabulary(top):
    with pytest.raises(SelectionError, match=f"from 1 to 300, .* got {top}"):
        ix.logit_lens(writer("gpt2"), TEXT, top=top)
