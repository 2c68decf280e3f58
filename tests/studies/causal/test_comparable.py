"""Answers that can be compared, and those that cannot: named, never counted."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers as tf
from tokenizers import Tokenizer, models, pre_tokenizers

import introspect as ix
from introspect.errors import InputError, ModelError, SelectionError
from introspect.models import Model
from introspect.records import Head
from introspect.statistics import effect_intervals, effect_test
from introspect.studies.causal import (
    METRICS,
    Resampling,
    measure_effects,
    mediation,
    prepare_answers,
    prepare_next_tokens,
)
from introspect.studies.causal.effects import effects_of
from introspect.text import Candidate, CorefCase
from tests.studies.causal.test_metrics import sized
from tests.tokenizers_zoo import byte_level, word_level
from tests.writers_zoo import writer

TEXTS = (
    "The animal didn't cross the street because it was too tired.",
    "The wombat didn't fit in the burrow because it was too small.",
    "The cat chased the mouse until it was caught.",
)
NAMES = (("animal", "street"), ("burrow", "wombat"), ("mouse", "cat"))


@pytest.fixture(scope="module")
def cases():
    return [
        CorefCase.from_words(text, pronoun="it", antecedent=good, distractors=[bad])
        for text, (good, bad) in zip(TEXTS, NAMES, strict=True)
    ]


def reasons(model, *cases, **options):
    """Why each case cannot be asked, beside one that can."""
    good = CorefCase.from_words(TEXTS[2], pronoun="it", antecedent="mouse", distractors=["cat"])
    answers = prepare_answers(model, [*cases, good], **options)
    assert answers.cases == (good,)
    return [why for _, why in answers.rejected]


def test_candidates_of_one_name_are_no_choice():
    text = "The dog saw the dog because it was near."
    same = CorefCase(text, (28, 30), (Candidate((4, 7), True), Candidate((16, 19))))
    capital = text.replace("the dog", "the Dog")
    other = CorefCase(capital, (28, 30), (Candidate((4, 7), True), Candidate((16, 19))))
    for found in reasons(writer("gpt2"), same):
        assert "'dog' and 'dog' it is asked the same" in found
    # A model that takes no notice of capitals cannot tell these two apart either.
    masked = sized(
        ix.load("minilm").tokenizer, tf.BertConfig, tf.BertForMaskedLM,
        hidden_size=32, num_hidden_layers=1, num_attention_heads=4, intermediate_size=48,
    )  # fmt: skip
    assert "'dog' and 'Dog'" in reasons(masked, other)[0]
    assert len(prepare_answers(writer("gpt2"), [other]).cases) == 1
    # Articles are read too: with others the two are another question.
    articles = text.replace("The dog saw the dog", "A dog, saw the dog")
    apart = CorefCase(articles, (28, 30), (Candidate((2, 5), True), Candidate((15, 18))))
    assert len(prepare_answers(writer("gpt2"), [apart]).cases) == 1


def joining() -> Tokenizer:
    """Characters, but for one pair that it joins: a word and what follows it."""
    names = ["<s>", "<pad>", *dict.fromkeys("狗追猫，因为它太累。"), "猫太"]
    backend = Tokenizer(
        models.BPE(vocab={name: number for number, name in enumerate(names)}, merges=[("猫", "太")])
    )
    backend.pre_tokenizer = pre_tokenizers.Split("，", "isolated")
    return tf.PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<s>", pad_token="<pad>", unk_token=None,
        model_input_names=["input_ids", "attention_mask"],
    )  # fmt: skip


def test_an_end_of_other_tokens_is_not_compared():
    """After 猫 the sum would be of 累。, after 狗 of 太累。, which can only be less."""
    model = writer("gpt2", joining())
    text = "狗追猫，因为它太累。"
    case = CorefCase.from_words(text, pronoun="它", antecedent="狗", distractors=["猫"])
    with pytest.raises(InputError, match="after '猫' they are others than after '狗'"):
        prepare_answers(model, [case])
    alike = CorefCase.from_words(
        text.replace("猫", "因"), pronoun="它", antecedent="狗", distractors=["追"]
    )
    assert [len(q.reads) for q in prepare_answers(model, [alike]).batches[0].questions] == [3, 3]


def test_numbers_that_are_not_finite_are_an_error_not_a_wrong_answer(cases):
    model = writer("gpt2")
    with torch.no_grad():
        model.module.transformer.h[0].attn.c_proj.weight[0, 0] = torch.nan
    with pytest.raises(ModelError, match="finite numbers from tiny-gpt2, got nan for case-3"):
        prepare_answers(model, cases, batch_size=1).margins()
    with pytest.raises(ModelError, match="got nan for the token after 0:0"):
        prepare_next_tokens(model, ["the cat"]).margins()
    bare = Model(model.module.transformer, model.tokenizer, name="bare")
    with pytest.raises(ModelError, match="from bare, got nan for case-3"):
        prepare_answers(bare, cases, batch_size=1).margins()


def test_half_precision_that_overflows_says_what_to_do(cases):
    model = writer("gpt2")
    model.module.half()
    answers = prepare_answers(model, cases)
    assert np.isfinite(answers.margins()).all()
    with ix.scale(model, "L1", 1e6), pytest.raises(ModelError, match="load it in float32"):
        answers.margins()


def test_a_target_that_the_vocabulary_does_not_have_is_named():
    tokenizer = word_level(["the", "cat", "saw", "a", "dog", "because", "it", "ran", "."])
    torch.manual_seed(3)
    module = tf.T5ForConditionalGeneration(
        tf.T5Config(
            vocab_size=len(tokenizer), d_model=32, d_kv=8, d_ff=48, num_layers=1, num_heads=4,
            decoder_start_token_id=0,
        )
    )  # fmt: skip
    model = Model(module.eval(), tokenizer)
    text = "the cat saw a zyx because it ran ."
    case = CorefCase.from_words(text, pronoun="it", antecedent="cat", distractors=["zyx"])
    with pytest.raises(InputError, match="its vocabulary has nothing for 'zyx'"):
        prepare_answers(model, [case])


def test_cases_without_an_id_are_called_as_in_the_tables_of_scores(cases):
    model = writer("gpt2")
    names = list(dict.fromkeys(ix.score(model, cases).cases["id"]))
    assert prepare_answers(model, cases).names == names == ["case-1", "case-2", "case-3"]


def test_resampling_from_the_cases_themselves_needs_no_longer_texts(cases):
    """What is read is longer than any of the cases: it has a candidate for *it*."""
    model = writer("gpt2")
    answers = prepare_answers(model, cases)
    longest = max(len(model.tokens(text)) for text in answers.texts)
    assert answers.batches[-1].mask.shape[1] > longest
    table = ix.causal_effects(model, cases, "L1H2", method="resample")
    resampling = Resampling(answers, "self", [Head(1, 2)], seed=0)
    margins = answers.margins() - resampling.margins(Head(1, 2))
    assert table["effect"].tolist() == pytest.approx([margins.mean()], abs=1e-5)


def test_a_model_that_sees_the_next_token_is_not_asked_for_it():
    masked = sized(
        byte_level(), tf.BertConfig, tf.BertForMaskedLM,
        hidden_size=32, num_hidden_layers=1, num_attention_heads=4, intermediate_size=48,
    )  # fmt: skip
    for model in (masked, writer("t5")):
        with pytest.raises(ModelError, match="Expected a decoder"):
            prepare_next_tokens(model, ["the cat"])


def test_a_text_without_a_position_is_read_and_not_asked():
    model = writer("gpt2")
    both = prepare_next_tokens(model, ["the cat", "the dog sat"], [[], [1, 2]]).margins()
    alone = prepare_next_tokens(model, ["the dog sat"], [[1, 2]]).margins()
    np.testing.assert_allclose(both, alone, atol=1e-5)
    with pytest.raises(SelectionError, match="at least one position"):
        prepare_next_tokens(model, ["the cat"], [[]])


def test_pairs_whose_questions_are_of_each_others_lengths_are_not_compared():
    """The *cat* of one and the *mouse* of the other are alike in length, and not in meaning."""
    words = ["cat", "saw", "the", "mouse", "because", "it", "ran", "."]
    model = writer("gpt2", word_level(words))
    texts = ("cat saw the mouse because it ran .", "the cat saw mouse because it ran .")
    cases = [
        CorefCase.from_words(text, pronoun="it", antecedent=good, distractors=[bad], group="g")
        for text, good, bad in zip(texts, ("cat", "mouse"), ("mouse", "cat"), strict=True)
    ]
    with pytest.raises(InputError, match="g: its cases have other numbers of tokens"):
        mediation(model, cases)


class Asked:
    """Cases of which each is a group."""

    chance = 0.5
    metric = METRICS["surrogate"]

    def __init__(self, count):
        self.groups = [str(number) for number in range(count)]


def test_effects_of_a_millionth_are_tested_as_those_of_one():
    """What is no credit is not counted in whole numbers: there they were all 0."""
    random = np.random.default_rng(0)
    large = random.normal(2, 1, (20, 2))
    groups = range(20)
    for size in (1e-6, 1e-9):
        small = large * size
        for one, other in zip(
            effect_intervals(small, groups), effect_intervals(large, groups), strict=True
        ):
            np.testing.assert_allclose(one, other * size, rtol=1e-9)
        tests = [effect_test(each, groups) for each in (small, large)]
        np.testing.assert_array_equal(tests[0].p_value, tests[1].p_value)
        head = Head(0, 0)
        table, _ = effects_of(Asked(20), small[:, 0], {head: np.zeros(20)}, [head], {head: []})
        assert table["ci_low"][0] > 0 and table["p_value"][0] < 0.01


def test_numbers_that_leave_nothing_to_do_are_refused(cases):
    answers = prepare_answers(writer("gpt2"), cases)
    wrong = {
        "`batch_size` of at least 1, got 0": lambda: prepare_answers(
            answers.model, cases, batch_size=0
        ),
        "`batch_size` of at least 1, got -1": lambda: prepare_next_tokens(
            answers.model, ["the cat"], batch_size=-1
        ),
        "`controls` from 0 up, got -1": lambda: measure_effects(answers, controls=-1),
    }
    for message, make in wrong.items():
        with pytest.raises(SelectionError, match=message):
            make()
