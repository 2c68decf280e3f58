"""Methods from a record: one signature on five architectures, their identities, and errors."""

from __future__ import annotations

import pytest
import torch
import transformers as tf

import introspect as ix
from introspect.errors import CaptureError, ModelError, RecordError, SelectionError
from introspect.models import Model
from introspect.models.circuits import repeated
from introspect.records import LARGEST_SHOWN, METHODS, AttentionRecord, attributed, offered
from introspect.reporting import certificate_rows
from introspect.text import quantity
from tests import models_zoo as zoo
from tests.synthetic import TEXT
from tests.synthetic import record as synthetic
from tests.tokenizers_zoo import word_level

HEADS = {
    "bert": tf.BertForMaskedLM,
    "gpt2": tf.GPT2LMHeadModel,
    "llama": tf.LlamaForCausalLM,
    "t5": tf.T5ForConditionalGeneration,
}
ALL = ("value_norms", "residual_norms", "contributions", "gradients", "integrated_gradients")
BY_HEAD = {name for name, method in METHODS.items() if method.by_head}


def tokenizer():
    words = word_level(["the", "cat", "sat", "on", "mat", "it", "was", "die", "Katze"])
    words.eos_token = "[SEP]"
    return words


def tiny(name: str) -> Model:
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(5)
        module = HEADS[name](zoo.ALL[name]()).eval()
        for part in module.parameters():
            part.add_(torch.randn(part.shape) * 0.2)
    return Model(module, tokenizer(), name=f"tiny-{name}")


def captured(name: str, **options) -> AttentionRecord:
    model = tiny(name)
    if name == "t5":
        options = {"target": "die Katze", "kind": "encoder", **options}
    return model.capture(
        "the cat sat on it",
        include=ALL,
        of=ix.logit_of(model, "cat", position=1),
        steps=4,
        **options,
    )


@pytest.fixture(scope="module")
def of_minilm() -> AttentionRecord:
    pytest.importorskip("captum")
    model = zoo.minilm()
    of = ix.similarity_to(model, TEXT.replace(" it ", " the animal "))
    return model.capture(TEXT, include=ALL, of=of, steps=16)


def check_all(record: AttentionRecord) -> None:
    """Every method: its shape, its range and its identity."""
    layers, heads, queries, keys = record.attentions.shape
    found = {name: attributed(record, name).double() for name in METHODS}
    for name, tensor in found.items():
        own = heads if name in BY_HEAD else 1
        assert tensor.shape == (layers, own, queries, keys), name
        assert tensor.isfinite().all(), name
        assert tensor.abs().max() > 0, name
        if name != "integrated_gradients":
            assert tensor.min() >= 0, name
        if METHODS[name].bounded:
            assert tensor.max() <= 1 + 1e-6, name
    ones = torch.ones(layers, 1, queries, dtype=torch.float64)
    for name in ("rollout", "alti"):
        torch.testing.assert_close(found[name].sum(-1), ones, atol=1e-5, rtol=0)
    torch.testing.assert_close(ix.contributions(record).double().sum(-1), ones, atol=1e-5, rtol=0)
    assert (found["flow"] >= found["rollout"] - 1e-6).all()
    assert record.certificate.max_decomposition_error <= 1e-5
    # The recursion of relevance, from the maps of single heads.
    identity = torch.eye(keys, dtype=torch.float64)
    steps = [identity + layer.mean(0) for layer in found["gradient_attention"]]
    product = torch.linalg.multi_dot([*steps[::-1], identity])
    torch.testing.assert_close(found["relevance"][-1, 0] + identity, product)


@pytest.mark.parametrize("name", HEADS)
def test_every_method_on_a_model_with_a_head(name):
    pytest.importorskip("captum")
    record = captured(name)
    check_all(record)
    assert record.certificate.gradient_of == "logit of 'cat' at position 1"
    assert offered(record) == tuple(name for name in METHODS if name != "flow")


@pytest.mark.slow
def test_every_method_on_minilm(of_minilm):
    check_all(of_minilm)
    certificate = of_minilm.certificate
    assert certificate.gradient_of.startswith("surrogate: cosine of the sentence")
    assert certificate.gradient_of_value == pytest.approx(0.989, abs=0.002)
    assert certificate.max_completeness_error <= 1e-5
    rows = dict(certificate_rows(certificate))
    assert rows["Differentiated"].startswith("surrogate: cosine of the sentence")
    assert rows["Differentiated"].endswith(f", which is {quantity(certificate.gradient_of_value)}")
    assert sum("Largest difference between" in name for name in rows) == 3


def test_a_causal_model_has_nothing_of_what_comes_later():
    pytest.importorskip("captum")
    record = captured("gpt2")
    for name in METHODS:
        tensor = attributed(record, name).double()
        assert torch.equal(tensor, tensor.tril()), name


def test_cross_attention_has_what_is_of_its_heads_and_says_what_it_has_not():
    model = tiny("t5")
    of = ix.logit_of(model, "cat", position=1)
    include = ("value_norms", "gradients")
    record = model.capture("the cat sat", target="die Katze", include=include, of=of)
    assert record.kind == "cross" and len(record.queries) != len(record.keys)
    assert offered(record) == ("norm", "gradient_attention")
    for name in offered(record):
        assert attributed(record, name).shape == record.attentions.shape
    for name in ("rollout", "flow", "relevance"):
        with pytest.raises(SelectionError, match=f"with all its rows, for {name}, but it is cross"):
            attributed(record, name)
    with pytest.raises(CaptureError, match="contributions of the cross attention of tiny-t5"):
        model.capture("the cat sat", target="die Katze", include=("contributions",))


def test_the_encoder_alone_has_them_without_a_target():
    model = Model(zoo.build("t5"), tokenizer(), name="tiny-t5")
    record = model.capture(
        "the cat sat", include=("contributions", "gradients"), of=lambda out: out[0][0].norm()
    )
    assert record.kind == "encoder"
    assert ix.alti(record).shape == ix.relevance(record).shape == (2, 1, 5, 5)


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if method.part])
def test_a_missing_part_is_named(name):
    record = tiny("bert").capture("the cat sat")
    part = METHODS[name].part
    with pytest.raises(SelectionError, match=rf"include=\('{part}',\)"):
        attributed(record, name)


def test_by_word_there_is_rollout_and_flow():
    record = tiny("bert").capture("the cat sat", include=("contributions",)).words()
    assert ix.rollout(record).shape == ix.flow(record).shape
    with pytest.raises(SelectionError, match="a record by word has none"):
        ix.alti(record)


def test_selected_rows_have_no_rollout():
    record = tiny("bert").capture("the cat sat", rows=[1])
    with pytest.raises(SelectionError, match="1 query tokens to 5 others"):
        ix.rollout(record)


def test_methods_through_layers_go_through_those_of_the_record():
    record = tiny("bert").capture("the cat sat", include=("contributions",))
    some = record.only([1, 2])
    expected = ix.contributions(record)[2, 0] @ ix.contributions(record)[1, 0]
    torch.testing.assert_close(ix.alti(some)[-1, 0].float(), expected)


def test_a_page_of_a_long_record_offers_none():
    weights = torch.full((1, 1, LARGEST_SHOWN + 1, LARGEST_SHOWN + 1), 1 / LARGEST_SHOWN)
    record = AttentionRecord.from_tensors(weights, ["a"] * (LARGEST_SHOWN + 1))
    assert offered(record) == ()


def test_an_unknown_method_is_refused():
    with pytest.raises(SelectionError, match="one of norm, residual_norm, .*, got 'saliency'"):
        attributed(tiny("bert").capture("the cat sat"), "saliency")


def test_parts_are_saved_and_read_again(of_minilm, tmp_path):
    again = AttentionRecord.load(of_minilm.save(tmp_path / "record"))
    assert again.certificate == of_minilm.certificate
    for name in METHODS:
        if name != "flow":
            assert torch.equal(attributed(again, name), attributed(of_minilm, name))


@pytest.mark.parametrize("part", ["gradients", "contributions"])
def test_a_part_that_does_not_fit_the_attention_is_refused(part):
    record = tiny("bert").capture("the cat sat")
    with pytest.raises(RecordError, match=f"the part '{part}' as"):
        AttentionRecord(
            attentions=record.attentions,
            queries=record.queries,
            keys=record.keys,
            parts={part: torch.zeros(3, 2, 5, 5)},
        )


def test_they_find_the_weight_that_a_known_circuit_rests_on():
    """The shipped model copies what followed the last time, by heads that look there."""
    pytest.importorskip("captum")
    model = ix.load("induction", lm_head=True)
    for text in repeated(4, seed=5):
        query, match = text.queries[-1], text.matches[-1]
        ids = model.tokenizer(text.text)["input_ids"]
        record = model.capture(
            text.text,
            include=("gradients", "integrated_gradients"),
            of=ix.logit_of(model, ids[query + 1], position=query),
        )
        for method in (ix.gradient_attention, ix.integrated_gradients, ix.relevance):
            row = method(record)[1, :, query].sum(0).clone()
            if method is ix.relevance:
                row[query] = 0  # what it holds of itself
            assert int(row.argmax()) == match
        # In the last layer only the row of the place where the symbol is named counts.
        rest = ix.integrated_gradients(record)[1].sum(0)
        rest[query] = 0
        assert rest.abs().max() < 1e-6
        whole = float(ix.integrated_gradients(record)[1].sum())
        assert record.certificate.max_completeness_error < 0.02 * whole


# --- what is differentiated -------------------------------------------------------------------


def test_gradients_without_a_number_are_refused_and_the_other_way_round():
    model = tiny("bert")
    with pytest.raises(SelectionError, match="Expected `of` beside 'gradients'"):
        model.capture("the cat sat", include=("gradients",))
    with pytest.raises(SelectionError, match="in `include` beside `of`, got 'attentions'"):
        model.capture("the cat sat", of=ix.logit_of(model, "cat"))
    options = {"include": ("gradients",), "of": ix.logit_of(model, "cat")}
    with pytest.raises(SelectionError, match="no `rows`"):
        model.capture("the cat sat", rows=[1], **options)
    with pytest.raises(SelectionError, match="`steps` of at least 1, got 0"):
        model.capture("the cat sat", steps=0, **options)
    with pytest.raises(SelectionError, match="only attention while the model writes"):
        tiny("gpt2").capture("the cat sat", generate=2, **options)


def test_a_logit_needs_a_head_a_token_and_a_place():
    model, headless = tiny("bert"), Model(zoo.build("bert"), tokenizer())
    options = {"include": ("gradients",)}
    with pytest.raises(ModelError, match="state a surrogate"):
        headless.capture("the cat sat", of=ix.logit_of(headless, "cat"), **options)
    with pytest.raises(SelectionError, match="one piece of the vocabulary, got 'the cat'"):
        ix.logit_of(model, "the cat")
    with pytest.raises(SelectionError, match="which is none"):
        ix.logit_of(model, "")
    with pytest.raises(SelectionError, match="Expected `position` in -5–4, got 5"):
        model.capture("the cat sat", of=ix.logit_of(model, "cat", position=5), **options)
    with pytest.raises(SelectionError, match="of the model's 64, numbered from 0, got 64"):
        model.capture("the cat sat", of=ix.logit_of(model, 64), **options)


def test_the_logit_is_the_models_own():
    model = tiny("gpt2")
    ids = model.tokenizer("the cat sat", return_tensors="pt")
    token = model.tokenizer.convert_tokens_to_ids("mat")
    for of in (ix.logit_of(model, "mat", position=2), ix.logit_of(model, token, position=2)):
        record = model.capture("the cat sat", include=("gradients",), of=of)
        with torch.no_grad():
            expected = model.module(input_ids=ids["input_ids"]).logits[0, 2, token]
        assert record.certificate.gradient_of_value == pytest.approx(float(expected), abs=1e-5)
        assert str(of) == "logit of 'mat' at position 2"


def test_similarity_is_a_cosine_of_means_and_needs_states():
    model = Model(zoo.build("bert"), tokenizer())
    of = ix.similarity_to(model, "the cat sat on")

    def mean(text: str) -> torch.Tensor:
        with torch.no_grad():
            return model.module(**model.tokenizer(text, return_tensors="pt"))[0][0].mean(0)

    a, b = mean("the mat"), mean("the cat sat on")
    record = model.capture("the mat", include=("gradients",), of=of)
    expected = float(a @ b / (a.norm() * b.norm()))
    assert record.certificate.gradient_of_value == pytest.approx(expected, abs=1e-5)
    # Of a text with itself it is at its largest, and rests on nothing.
    same = model.capture("the cat sat on", include=("gradients",), of=of)
    assert same.certificate.gradient_of_value == pytest.approx(1, abs=1e-5)
    assert same.parts["gradients"].abs().max() < 1e-4 < record.parts["gradients"].abs().max()
    with pytest.raises(ModelError, match="take ix.logit_of"):
        ix.similarity_to(tiny("bert"), "the cat")


def test_gradients_of_another_run_are_refused():
    from introspect.hooks import capture, capture_gradients, with_gradients

    model, inputs = zoo.build("bert"), zoo.batch("bert")
    other = capture_gradients(
        model, {"input_ids": inputs["input_ids"].flip(1)}, lambda o: o[0].sum()
    )
    with pytest.raises(CaptureError, match="the same attention in a second run"):
        with_gradients(capture(model, inputs), other)


def test_rollout_of_even_attention_names_the_first_token_of_a_causal_model_too():
    # Whatever the text, so a rollout that names it shows nothing but the mask.
    made = synthetic(TEXT, layers=4, causal=True)
    even = ix.rollout(made, even=True)[-1, 0]
    assert even[-1].argmax() == 0
    assert torch.allclose(
        even, ix.rollout(synthetic(TEXT, layers=4, causal=True, seed=5), even=True)[-1, 0]
    )
    n = len(made.keys)
    mask = torch.ones(n, n).tril()
    layers = (mask / mask.sum(-1, keepdim=True)).expand(4, 1, n, n)
    by_hand = ix.rollout(AttentionRecord(layers, made.queries, made.keys))
    assert torch.allclose(even, by_hand[-1, 0], atol=1e-6)
    flat = ix.rollout(synthetic(TEXT), even=True)[-1, 0].double()
    assert torch.allclose(flat[0, 1:], flat[0, 1].expand(n - 1))


def test_flow_of_even_attention_is_that_of_an_even_record():
    made = synthetic("a b c", layers=2, heads=1)
    n = len(made.keys)
    even = AttentionRecord(torch.full((2, 1, n, n), 1 / n), made.queries, made.keys)
    assert torch.allclose(ix.flow(made, even=True), ix.flow(even), atol=1e-4)
