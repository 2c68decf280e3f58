"""Heads with known roles: on models whose workings are known, and against a slow search."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers as tf

import introspect as ix
from introspect.errors import ModelError, SelectionError
from introspect.models import Model
from introspect.studies.heads import THRESHOLD, random_repeats
from tests import models_zoo as zoo
from tests.tokenizers_zoo import byte_level
from tests.writers_zoo import writer

SMALL = {"num_sequences": 6, "prefix": (0, 5), "period": (4, 9)}
SCORES = ("previous_token", "duplicate_token", "induction")


def called(heads, role: str) -> list[tuple[int, int]]:
    chosen = heads.loc[heads["role"] == role, ["layer", "head"]]
    return [(int(layer), int(head)) for layer, head in chosen.to_numpy()]


@pytest.fixture(scope="module")
def masked() -> Model:
    tokenizer = byte_level()
    config = tf.BertConfig(**{**zoo._ENCODER, "vocab_size": len(tokenizer)})
    return Model(zoo.build("bert", config=config), tokenizer, name="tiny-bert")


# --- known answers --------------------------------------------------------------------------------


def test_induction_has_its_heads_and_they_match_its_card():
    heads = ix.detect_heads(ix.load("induction", lm_head=True))
    assert called(heads, "previous-token") == [(0, 0)]
    assert called(heads, "induction") == [(1, 0), (1, 1), (1, 2), (1, 3)]
    assert called(heads, "duplicate-token") == []
    best = heads.loc[heads["induction"].idxmax()]
    assert (best["layer"], best["head"]) == (1, 1)
    assert best["induction"] == pytest.approx(0.973, abs=0.03)  # of the card, by other sequences
    assert (best["n_sequences"], best["length"]) == (32, 61)


def test_shortcut_has_no_induction_head_unless_the_repetition_stays_in_its_place():
    heads = ix.detect_heads("shortcut")
    assert set(heads["role"]) == {"none"}
    assert heads["induction"].max() < 0.1
    fixed = ix.detect_heads("shortcut", num_sequences=6, prefix=(0, 0), period=(31, 31))
    assert "induction" in set(fixed["role"])  # why the repetition must move


def test_minilm_has_a_previous_token_head_in_its_first_layer():
    heads = ix.detect_heads(zoo.minilm(), num_sequences=8)
    assert called(heads, "previous-token") == [(0, 2)]
    assert called(heads, "induction") == []


@pytest.mark.parametrize("name", ["gpt2", "llama", "bloom", "gptj"])
def test_random_decoders_have_none(name):
    heads = ix.detect_heads(writer(name), **SMALL)
    assert set(heads["role"]) == {"none"} and len(heads) == 12


def test_a_random_masked_model_has_none(masked):
    heads = ix.detect_heads(masked, **SMALL)
    assert set(heads["role"]) == {"none"}
    # Every token is visible: 1 of all.
    length = heads["length"][0]
    for score in SCORES:
        assert heads[f"{score}_baseline"].to_numpy() == pytest.approx(1 / length)


@pytest.mark.parametrize("kind", ["encoder", "decoder"])
@pytest.mark.parametrize("name", ["t5", "bart"])
def test_encoder_decoders_have_two_kinds(name, kind):
    heads = ix.detect_heads(writer(name), kind=kind, **SMALL)
    layers = {"t5": 3, "bart": {"encoder": 3, "decoder": 2}[kind]}[name]
    assert len(heads) == 4 * layers and set(heads["role"]) == {"none"}
    assert heads["induction"].notna().all()


# --- the numbers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["llama", "masked"])
def test_scores_are_those_of_a_slow_search_in_the_models_own_attention(name, masked):
    model = masked if name == "masked" else writer(name)
    heads = ix.detect_heads(model, **SMALL, seed=3)
    options = {key: value for key, value in SMALL.items() if key != "num_sequences"}
    repeats = random_repeats(model, SMALL["num_sequences"], **options, seed=3)
    eager = zoo.eager_twin(model.module)
    found = []
    for row in repeats.ids.tolist():
        with torch.no_grad():
            attentions = eager(torch.tensor([row]), output_attentions=True).attentions
        weights = torch.stack(attentions)[:, 0].double()
        ordinary = [i for i in range(len(row)) if row[i] not in model.tokenizer.all_special_ids]
        previous = [weights[:, :, i, i - 1] for i in ordinary[1:]]
        same, after = [], []
        for i in ordinary:
            earlier = row.index(row[i])
            if earlier < i and row[earlier + 1] == row[i + 1]:
                same.append(weights[:, :, i, earlier])
                after.append(weights[:, :, i, earlier + 1])
        found.append([torch.stack(each).mean(0).numpy() for each in (previous, same, after)])
    by_score = np.array(found)  # sequences, scores, layers, heads
    for number, score in enumerate(SCORES):
        assert heads[score].to_numpy() == pytest.approx(by_score[:, number].mean(0).ravel())
        assert (heads[f"{score}_ci_low"] <= heads[score]).all()
        assert (heads[f"{score}_ci_high"] >= heads[score]).all()
        assert (heads[f"{score}_ci_high"] > heads[f"{score}_ci_low"]).all()


def test_the_baseline_of_a_causal_model_counts_what_each_query_sees():
    model = writer("gpt2")
    heads = ix.detect_heads(model, num_sequences=2, prefix=(2, 2), period=(3, 3))
    # <s> x x a b c a b c </s>: the second a stands at 6 and sees 7 tokens, the b 8.
    assert heads["induction_baseline"].to_numpy() == pytest.approx((1 / 7 + 1 / 8) / 2)
    previous = sum(1 / (i + 1) for i in range(2, 9)) / 7
    assert heads["previous_token_baseline"].to_numpy() == pytest.approx(previous)


def test_what_a_window_hides_is_not_counted_as_0():
    heads = ix.detect_heads(writer("mistral"), num_sequences=3, prefix=(0, 3), period=(9, 9))
    assert heads["induction"].isna().all() and heads["duplicate_token"].isna().all()
    assert heads["previous_token"].notna().all() and set(heads["role"]) <= {
        "previous-token",
        "none",
    }
    within = ix.detect_heads(writer("mistral"), num_sequences=3, prefix=(0, 3), period=(4, 4))
    assert within["induction"].notna().all()


def test_the_same_seed_gives_the_same_table():
    model = writer("llama")
    once, again = (ix.detect_heads(model, **SMALL, seed=5) for _ in range(2))
    assert once.equals(again)
    assert not once.equals(ix.detect_heads(model, **SMALL, seed=6))


def test_a_head_is_called_by_all_of_its_interval():
    model = ix.load("induction")
    low = ix.detect_heads(model)["induction_ci_low"].to_numpy()
    between = float(np.sort(low)[-2])
    assert called(ix.detect_heads(model, threshold=between), "induction") == [(1, 1)]
    assert THRESHOLD == 0.4


# --- sequences ------------------------------------------------------------------------------------


def test_sequences_repeat_a_block_and_nothing_else():
    model = writer("llama")
    repeats = random_repeats(model, 40, prefix=(0, 5), period=(4, 9), seed=1)
    special = set(model.tokenizer.all_special_ids)
    assert repeats.ids.shape == (40, 5 + 18 + 2) and len(repeats) == 40
    assert (repeats.first, repeats.stop) == (1, 24)
    for row, start, period in zip(
        repeats.ids.tolist(), repeats.starts, repeats.periods, strict=True
    ):
        assert row[0] == 0 and row[-1] == 2  # what the tokenizer puts around a text
        body = row[1:-1]
        assert not special & set(body)
        assert row[start - period : start] == row[start : start + period]
        assert len(set(body)) == len(body) - period
    assert set(repeats.periods) == {4, 5, 6, 7, 8, 9}
    assert {s - p for s, p in zip(repeats.starts, repeats.periods, strict=True)} == set(range(1, 7))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_sequences": 1}, "at least two sequences"),
        ({"period": (1, 4)}, "from 2 up"),
        ({"prefix": (3, 2)}, "fewest and most"),
        ({"prefix": (0, 80), "period": (8, 30)}, "at most 128 tokens for tiny-gpt2, got 142"),
        ({"threshold": 1.5}, "from 0 to 1"),
        ({"kind": "encoder"}, "from self for tiny-gpt2"),
    ],
)
def test_what_cannot_be_is_refused(options, message):
    with pytest.raises(SelectionError, match=message):
        ix.detect_heads(writer("gpt2"), **options)


def test_a_small_vocabulary_is_refused():
    tokenizer = byte_level(size=300)
    config = tf.GPT2Config(vocab_size=20, n_embd=32, n_layer=1, n_head=4, n_positions=128)
    model = Model(tf.GPT2Model(config).eval(), tokenizer)
    with pytest.raises(SelectionError, match=r"at least 52 tokens that are not special.*got 16"):
        ix.detect_heads(model)


def test_a_model_without_token_embeddings_is_refused():
    class Bare(tf.GPT2Model):
        def get_input_embeddings(self):
            raise NotImplementedError

    config = tf.GPT2Config(vocab_size=300, n_embd=32, n_layer=1, n_head=4, n_positions=128)
    with pytest.raises(ModelError, match="embedding for each token"):
        ix.detect_heads(Model(Bare(config).eval(), byte_level()))
