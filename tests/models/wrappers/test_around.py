"""A transformers model inside something else: what is inside is found, or refused in words."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from transformers import pipeline

import introspect as ix
from introspect.errors import CaptureError, IntrospectError, ModelError, SelectionError
from introspect.models import load
from tests.models.wrappers.helpers import CASE, SAME, TEXT, away, llama
from tests.writers_zoo import writer


class Classifier(nn.Module):
    """A head of one's own on a transformers model."""

    def __init__(self, bert: nn.Module) -> None:
        super().__init__()
        self.bert, self.out = bert, nn.Linear(bert.config.hidden_size, 2)

    def forward(self, input_ids, attention_mask=None, token_type_ids=None):
        states = self.bert(input_ids, attention_mask, token_type_ids).last_hidden_state
        return self.out(states[:, 0])


class Inputs(nn.Module):
    """One that takes its inputs in a dictionary, as SentenceTransformer does."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, features):
        return self.model(**features).last_hidden_state.mean(1)


class Prompted(nn.Module):
    """One that puts a prompt of its own before the text."""

    def __init__(self, bert: nn.Module) -> None:
        super().__init__()
        self.bert = bert
        self.prompt = nn.Parameter(torch.zeros(1, 3, bert.config.hidden_size))

    def forward(self, input_ids, attention_mask=None):
        states = self.bert.get_input_embeddings()(input_ids)
        prompt = self.prompt.expand(len(states), -1, -1)
        return self.bert(inputs_embeds=torch.cat([prompt, states], 1)).last_hidden_state


class Reversed(nn.Module):
    """One that gives its model other tokens."""

    def __init__(self, bert: nn.Module) -> None:
        super().__init__()
        self.bert = bert

    def forward(self, input_ids, attention_mask=None):
        return self.bert(input_ids.flip(1), attention_mask)


class Two(nn.Module):
    def __init__(self, one: nn.Module, other: nn.Module) -> None:
        super().__init__()
        self.one, self.other = one, other


class Plain(nn.Module):
    """A model that has nothing to do with transformers."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.out = nn.Embedding(100, 8), nn.Linear(8, 8)

    def forward(self, input_ids):
        return self.out(self.embed(input_ids))


def nameless(module: nn.Module) -> nn.Module:
    """A copy whose forward was replaced by one that names no input."""
    given = copy.deepcopy(module)
    own = given.forward
    given.forward = lambda *args, **named: own(*args, **named)
    return given


WRAPPERS = {
    "DataParallel": lambda m: nn.DataParallel(m),
    "compiled": lambda m: torch.compile(m, backend="eager"),
    "both": lambda m: torch.compile(nn.DataParallel(m), backend="eager"),
    "classifier": lambda m: Classifier(m).eval(),
    "classifier in DataParallel": lambda m: nn.DataParallel(Classifier(m).eval()),
    "dictionary": lambda m: Inputs(m).eval(),
    "sequential": lambda m: nn.Sequential(m),
    "nameless": nameless,
}


@pytest.fixture(params=WRAPPERS)
def wrapped(request, minilm):
    return load((WRAPPERS[request.param](minilm.module), minilm.tokenizer))


def test_a_wrapped_model_is_the_model_inside(wrapped, minilm):
    assert away(wrapped, minilm, TEXT) <= SAME
    assert away(wrapped, minilm, "The fox slept.", "It was tired.") <= SAME
    (many,) = wrapped.capture_many([TEXT])
    assert float((many.attentions - minilm.capture(TEXT).attentions).abs().max()) <= SAME
    certificate = wrapped.capture(TEXT, certify=True).certificate
    assert certificate.max_difference_from_eager <= SAME
    assert certificate.max_output_difference <= SAME


def test_a_wrapped_model_is_scored_and_changed_like_the_model_inside(wrapped, minilm):
    ours, right = (ix.score(each, [CASE]).heads for each in (wrapped, minilm))
    assert ours.margin.equals(right.margin)
    with ix.ablate(wrapped, "L1H3"):
        ours = wrapped.capture(TEXT).attentions
    with ix.ablate(minilm, "L1H3"):
        right = minilm.capture(TEXT).attentions
    assert torch.equal(ours, right)
    assert not torch.equal(ours, minilm.capture(TEXT).attentions)


@pytest.mark.parametrize("name", ["DataParallel", "compiled", "classifier"])
def test_a_bare_wrapper_is_captured_and_changed(minilm, name):
    module = WRAPPERS[name](minilm.module)
    inputs = dict(minilm.tokenizer(TEXT, return_tensors="pt"))
    ours, right = ix.capture(module, inputs), ix.capture(minilm.module, inputs)
    assert torch.equal(ours.attentions["self"][-1], right.attentions["self"][-1])
    with ix.ablate(module, "L0H0"):
        assert not torch.equal(
            ix.capture(module, inputs).attentions["self"][1], right.attentions["self"][1]
        )


@pytest.mark.slow
def test_a_model_that_was_compiled_in_place_is_captured_and_changed(minilm):
    own = copy.deepcopy(minilm.module)
    own.compile(backend="eager")
    inputs = dict(minilm.tokenizer(TEXT, return_tensors="pt"))
    with torch.no_grad():
        own(**inputs)
    model = load((own, minilm.tokenizer))
    assert away(model, minilm, TEXT) == 0
    with ix.ablate(model, "L1H3"), ix.ablate(minilm, "L1H3"):
        assert away(model, minilm, TEXT) == 0


@pytest.mark.parametrize("name", ["DataParallel", "compiled"])
def test_a_wrapped_writer_writes_and_is_read(name):
    plain = llama()
    model = load((WRAPPERS[name](plain.module), plain.tokenizer))
    text = "the cat sat"
    assert away(model, plain, text, generate={"max_new_tokens": 4, "do_sample": False}) <= SAME
    assert ix.logit_lens(model, text).equals(ix.logit_lens(plain, text))
    tables = [ix.direct_logit_attribution(each, text, token=5) for each in (model, plain)]
    assert tables[0].equals(tables[1])


def test_an_encoder_decoder_in_a_wrapper_has_its_kinds():
    plain = writer("t5")
    model = load((nn.DataParallel(plain.module), plain.tokenizer))
    assert model.kinds == ("encoder", "decoder", "cross")
    for kind in ("encoder", "cross"):
        ours, right = (each.capture("a b", target="b", kind=kind) for each in (model, plain))
        assert torch.equal(ours.attentions, right.attentions)


def test_what_has_its_tokenizer_with_it_needs_no_pair(minilm):
    made = pipeline("feature-extraction", model=minilm.module, tokenizer=minilm.tokenizer)
    assert away(load(made), minilm, TEXT) == 0
    st = pytest.importorskip("sentence_transformers")
    sentences = st.SentenceTransformer(minilm.module.config.name_or_path, device="cpu")
    for given in (sentences, (sentences, minilm.tokenizer)):
        model = load(given)
        assert away(model, minilm, TEXT) <= SAME
        assert "in SentenceTransformer, which ran by itself" in model.capture(TEXT).certificate.note


def test_the_certificate_says_what_a_model_is_a_part_of(minilm):
    model = load((Classifier(minilm.module).eval(), minilm.tokenizer))
    note = model.capture(TEXT).certificate.note
    assert note == (
        "of the BertModel in Classifier, which ran by itself; not compared with a run of the model "
        "as it was loaded"
    )


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda m: Prompted(m), "gives it something else"),
        (lambda m: Reversed(m), "gives it something else"),
        (lambda m: Two(m, copy.deepcopy(m)), r"got 2 \(BertModel, BertModel\)"),
        (lambda m: Plain(), r"Plain .*none was found\. It called .*linear"),
        (lambda m: nn.TransformerEncoderLayer(8, 2), "got TransformerEncoderLayer, which is none"),
    ],
)
def test_what_reads_something_else_than_its_text_is_refused_at_load(minilm, make, words):
    with pytest.raises(ModelError, match=words):
        load((make(minilm.module).eval(), minilm.tokenizer))


def test_a_module_without_a_tokenizer_is_refused_with_the_pair(minilm):
    with pytest.raises(ModelError, match=r"load\(\(module, tokenizer\)\)"):
        load(minilm.module)


# --- ten odd things, and every function that takes a model ---------------------------------------


def encoder() -> nn.Module:
    layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
    return nn.TransformerEncoder(layer, 1).eval()


ODD = {
    "none": lambda m: None,
    "number": lambda m: 3,
    "path": lambda m: "no/such/folder/at/all",
    "tokenizer": lambda m: m.tokenizer,
    "plain": lambda m: Plain().eval(),
    "encoder": lambda m: encoder(),
    "linear": lambda m: nn.Linear(2, 2),
    "empty": lambda m: nn.Module(),
    "pair of a plain module": lambda m: (Plain().eval(), m.tokenizer),
    "pair with no tokenizer": lambda m: (m.module, None),
    "two models": lambda m: (Two(m.module, copy.deepcopy(m.module)), m.tokenizer),
    "weights elsewhere": lambda m: (copy.deepcopy(m.module).to("meta"), m.tokenizer),
}


@pytest.mark.parametrize("name", ODD)
def test_every_function_refuses_an_odd_model_in_its_own_words(minilm, name):
    given = ODD[name](minilm)
    uses = [
        lambda: load(given).capture(TEXT),
        lambda: ix.report(given, [CASE]),
        lambda: ix.score(given, [CASE]),
        lambda: ix.detect_heads(given),
        lambda: ix.logit_lens(given, TEXT),
        lambda: ix.direct_logit_attribution(given, TEXT, token="it"),
        lambda: ix.head_importance(given, [TEXT]),
        lambda: ix.causal_effects(given, [CASE]),
    ]
    for use in uses:
        with pytest.raises(IntrospectError, match="Expected|needs"):
            use()


@pytest.mark.parametrize("name", ["none", "number", "path", "plain", "encoder", "linear", "empty"])
def test_every_intervention_and_the_low_level_refuse_an_odd_model(minilm, name):
    given = ODD[name](minilm)
    ids = {"input_ids": torch.tensor([[1, 2, 3]])}
    for use in (
        lambda: ix.ablate(given, "L0H0"),
        lambda: ix.scale(given, "L0H0", 2),
        lambda: ix.knock_out(given, [(1, 0)]),
        lambda: ix.capture(given, ids),
    ):
        with pytest.raises((CaptureError, SelectionError), match="Expected"):
            use()


@pytest.mark.parametrize("inputs", [TEXT, None, 3, ["a"], {"no_such_input": torch.ones(1, 2)}, {}])
def test_inputs_that_a_model_does_not_take_are_said(minilm, inputs):
    with pytest.raises(CaptureError, match="Expected"):
        ix.capture(minilm.module, inputs)
