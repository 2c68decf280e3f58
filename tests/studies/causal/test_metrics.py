"""Each metric against a slow loop over the model's own output."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers as tf

import introspect as ix
from introspect.data import grammar_cases
from introspect.errors import InputError, ModelError, SelectionError
from introspect.models import Model
from introspect.studies.causal import METRICS, default_metric, prepare_answers
from introspect.studies.causal.metrics import substituted
from introspect.text import CorefCase
from tests import models_zoo as zoo
from tests.tokenizers_zoo import byte_level

TEXTS = (
    "The animal didn't cross the street because it was too tired.",
    "The wombat didn't fit in the burrow because it was too small.",
    "The cat chased the mouse until it was caught.",
)
NAMES = (("animal", ["street"]), ("burrow", ["wombat"]), ("mouse", ["cat"]))


@pytest.fixture(scope="module")
def cases():
    return [
        CorefCase.from_words(text, pronoun="it", antecedent=good, distractors=bad, id=f"c{i}")
        for i, (text, (good, bad)) in enumerate(zip(TEXTS, NAMES, strict=True))
    ]


def sized(tokenizer, config_class, model_class, **sizes):
    torch.manual_seed(3)
    config = config_class(vocab_size=len(tokenizer), **sizes)
    return Model(model_class(config).eval(), tokenizer, name=model_class.__name__)


@pytest.fixture(scope="module")
def masked():
    return sized(
        zoo.minilm().tokenizer, tf.BertConfig, tf.BertForMaskedLM,
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48,
    )  # fmt: skip


@pytest.fixture(scope="module")
def decoder():
    return sized(byte_level(), tf.GPT2Config, tf.GPT2LMHeadModel, n_embd=32, n_layer=2, n_head=4)


@pytest.fixture(scope="module")
def writer():
    return sized(
        zoo.minilm().tokenizer, tf.T5Config, tf.T5ForConditionalGeneration,
        d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4, decoder_start_token_id=0,
    )  # fmt: skip


def log_probability(model, ids, place, token, **more):
    with torch.no_grad():
        logits = model.module(input_ids=torch.tensor([ids]), **more).logits[0, place]
    return float(logits.double().log_softmax(-1)[token])


def in_place(model, case, candidate):
    text, span = substituted(case, candidate)
    tokens = model.tokens(text)
    places = [
        i for i, (start, end) in enumerate(tokens.offsets)
        if start < end and start < span[1] and span[0] < end
    ]  # fmt: skip
    return list(tokens.token_ids), places, tokens


def close(found, expected):
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_pseudo_likelihood_masks_each_token_in_turn(masked, cases):
    answers = prepare_answers(masked, cases, batch_size=4)
    assert answers.metric.name == "pseudo-likelihood"
    mask = masked.tokenizer.mask_token_id
    expected = []
    for case in cases:
        row = []
        for candidate in case.candidates:
            ids, places, _ = in_place(masked, case, candidate)
            found = []
            for place in places:
                masked_ids = [*ids[:place], mask, *ids[place + 1 :]]
                found.append(log_probability(masked, masked_ids, place, ids[place]))
            row.append(sum(found) / len(found))
        expected.append(row)
    assert any(len(in_place(masked, c, c.candidates[0])[1]) > 1 for c in cases), "no long word"
    close(answers.scores(), expected)
    close(answers.margins(), [good - bad for good, bad in expected])


def test_a_decoder_is_asked_for_what_follows(decoder, cases):
    answers = prepare_answers(decoder, cases)
    assert answers.metric.name == "continuation"
    expected = []
    for case in cases:
        row = []
        for candidate in case.candidates:
            ids, places, tokens = in_place(decoder, case, candidate)
            after = [i for i in range(places[-1] + 1, len(ids)) if tokens.offsets[i] != (0, 0)]
            assert len(after) < len(ids) - places[-1] - 1, "no end token: the test shows less"
            row.append(sum(log_probability(decoder, ids, i - 1, ids[i]) for i in after))
        expected.append(row)
    close(answers.scores(), expected)


def test_an_encoder_decoder_is_asked_to_write_the_candidate(writer, cases):
    answers = prepare_answers(writer, cases)
    assert answers.metric.name == "target"
    expected = []
    for case in cases:
        ids = list(writer.tokens(case.text).token_ids)
        row = []
        for candidate in case.candidates:
            phrase = case.phrase(candidate.span)
            wanted = writer.tokenizer(phrase)["input_ids"]
            special = writer.tokenizer.all_special_ids
            start = writer.module.config.decoder_start_token_id
            given = torch.tensor([[start, *wanted]])
            found = [
                log_probability(writer, ids, place, token, decoder_input_ids=given)
                for place, token in enumerate(wanted)
                if token not in special
            ]
            row.append(sum(found) / len(found))
        expected.append(row)
    close(answers.scores(), expected)


def test_at_the_pronoun_the_candidates_own_token_is_read():
    model = ix.load("pronoun", lm_head=True)
    cases = grammar_cases(6, "zh")
    answers = prepare_answers(model, cases)
    assert answers.metric.name == "at-pronoun"
    expected = []
    for case in cases:
        tokens = model.tokens(case.text)
        place = tokens.offsets.index(case.pronoun)
        expected.append(
            [
                log_probability(
                    model, tokens.token_ids, place, tokens.token_ids[tokens.offsets.index(c.span)]
                )
                for c in case.candidates
            ]
        )
    close(answers.scores(), expected)
    assert (answers.margins() > 0).all()


def test_the_surrogate_is_a_cosine_and_says_so(cases):
    model = zoo.minilm()
    answers = prepare_answers(model, cases, batch_size=4)
    assert answers.metric.is_surrogate
    assert "surrogate" in answers.metric.words

    def state(text):
        ids = torch.tensor([model.tokens(text).token_ids])
        with torch.no_grad():
            return model.module(input_ids=ids).last_hidden_state[0].double().mean(0)

    expected = []
    for case in cases:
        own = state(case.text)
        texts = [substituted(case, candidate)[0] for candidate in case.candidates]
        expected.append([float(torch.cosine_similarity(own, state(t), dim=0)) for t in texts])
    close(answers.scores(), expected)


def test_the_surrogate_of_an_encoder_decoder_is_of_its_encoder(writer, cases):
    bare = Model(writer.module.get_encoder(), writer.tokenizer)
    of_all = prepare_answers(writer, cases, "surrogate").scores()
    ids = torch.tensor([writer.tokens(cases[0].text).token_ids])
    with torch.no_grad():
        own = bare.module(input_ids=ids).last_hidden_state[0].double().mean(0)
    other, _ = substituted(cases[0], cases[0].candidates[1])
    ids = torch.tensor([writer.tokens(other).token_ids])
    with torch.no_grad():
        theirs = bare.module(input_ids=ids).last_hidden_state[0].double().mean(0)
    close(of_all[0, 1], float(torch.cosine_similarity(own, theirs, dim=0)))


def test_batches_change_nothing(masked, cases):
    close(
        prepare_answers(masked, cases, batch_size=1).scores(),
        prepare_answers(masked, cases, batch_size=64).scores(),
    )


def test_of_several_candidates_the_best_of_each_side_counts(masked, cases):
    text = "The cat chased the mouse and the dog until it was caught."
    three = CorefCase.from_words(text, pronoun="it", antecedent="mouse", distractors=["cat", "dog"])
    answers = prepare_answers(masked, [three, cases[2]])
    scores, margins = answers.scores(), answers.margins()
    assert np.isnan(scores[1, 2])
    mouse, cat, dog = scores[0]
    assert margins[0] == mouse - max(cat, dog)
    assert margins[1] == scores[1, 0] - scores[1, 1]


def test_cases_that_cannot_be_asked_are_named(masked, decoder, cases):
    alone = CorefCase.from_words(TEXTS[0], pronoun="it", antecedent="animal")
    answers = prepare_answers(masked, [alone, *cases])
    assert [number for number, _ in answers.rejected] == [0]
    assert "distractor" in answers.rejected[0][1]
    with pytest.raises(InputError, match="distractor"):
        prepare_answers(masked, [alone])
    last = CorefCase.from_words(
        "The cat saw the mouse and it", pronoun="it", antecedent="mouse", distractors=["cat"]
    )
    assert "last one" in prepare_answers(decoder, [last, *cases]).rejected[0][1]
    unknown = CorefCase.from_words(
        "The 🦊 saw the 🐭 and it ran.", pronoun="it", antecedent="🐭", distractors=["🦊"]
    )
    assert "vocabulary has nothing" in prepare_answers(masked, [unknown, *cases]).rejected[0][1]


def test_a_metric_that_does_not_fit_the_model_is_refused(decoder, cases):
    with pytest.raises(ModelError, match="mask token"):
        prepare_answers(decoder, cases, "pseudo-likelihood")
    with pytest.raises(ModelError, match="lm_head=True"):
        prepare_answers(zoo.minilm(), cases, "pseudo-likelihood").scores()
    with pytest.raises(ModelError, match="without its LM head"):
        prepare_answers(decoder, cases, "surrogate").scores()
    with pytest.raises(SelectionError, match="pseudo-likelihood, at-pronoun"):
        prepare_answers(decoder, cases, "accuracy")


def test_the_default_follows_from_the_head(masked, decoder, writer):
    names = [default_metric(model).name for model in (masked, decoder, writer, zoo.minilm())]
    assert names == ["pseudo-likelihood", "continuation", "target", "surrogate"]
    assert list(METRICS) == [*names[:1], "at-pronoun", *names[1:]]
