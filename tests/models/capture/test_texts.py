"""Texts that are refused, cut, unknown or paired."""

from __future__ import annotations

import threading
import time

import pytest
import torch

from introspect.errors import TextError
from introspect.models import length_limit
from tests import models_zoo as zoo
from tests.closeness import assert_close
from tests.models.capture.helpers import CHINESE, tiny, tokenizer

# --- texts that are refused -------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", " ", "\n\t", "\u2003"])
def test_an_empty_text_is_refused(text):
    with pytest.raises(TextError, match="empty one"):
        tiny().capture(text)


def test_an_empty_second_text_is_refused():
    with pytest.raises(TextError, match="empty one"):
        tiny().capture("the cat", "")


@pytest.mark.parametrize("text", [None, 3, b"the cat", ["the cat", 3]])
def test_what_is_no_text_is_refused(text):
    with pytest.raises(TextError, match="Expected a text"):
        tiny().capture(text)


def test_half_a_surrogate_pair_is_refused_with_its_place():
    with pytest.raises(TextError, match="character 4 is half of a surrogate pair"):
        tiny().capture("the \ud83d cat")


def test_a_text_of_which_no_token_is_made_is_refused(minilm):
    with pytest.raises(TextError, match="makes none"):
        minilm.capture("\x00\x01")


# --- length -----------------------------------------------------------------------------------


def test_too_long_a_text_is_refused_with_both_lengths_and_the_way_out():
    # 41 words and two special tokens, where 40 positions are.
    with pytest.raises(TextError, match=r"at most 40 tokens, got 43.*--truncation"):
        tiny().capture("the cat " * 20 + "sat")


def test_a_text_of_just_the_limit_is_read_whole():
    record = tiny().capture(" ".join(["cat"] * 38))
    assert len(record.keys) == 40
    assert record.notices == ()


def test_a_cut_text_says_what_was_cut():
    text = "the cat " * 19 + "it was the dog"
    record = tiny().capture(text, truncation=True)
    assert len(record.keys) == 40
    (notice,) = record.notices
    assert "Its last 14 characters were truncated" in notice
    assert "“it was the dog”" in notice


def test_a_text_that_is_cut_at_its_beginning_says_so():
    model = tiny()
    side, model.tokenizer.truncation_side = model.tokenizer.truncation_side, "left"
    try:
        (notice,) = model.capture("it was the dog " + "the cat " * 19, truncation=True).notices
    finally:
        model.tokenizer.truncation_side = side
    assert "Its first 14 characters were truncated" in notice and "“it was the dog”" in notice


def test_a_long_cut_is_shortened_and_still_counted():
    text = "the cat " * 19 + "it was the dog " * 100
    (notice,) = tiny().capture(text, truncation=True).notices
    assert f"Its last {15 * 100 - 1:,} characters" in notice
    assert " … " in notice
    assert notice.endswith("it was the dog”")
    assert len(notice) < 1000


def test_truncation_of_a_short_text_cuts_nothing():
    assert tiny().capture("the cat sat", truncation=True).notices == ()


def test_one_cut_does_not_cut_the_next_text():
    model = tiny()
    model.capture("the cat " * 30, truncation=True)
    with pytest.raises(TextError, match="at most 40"):
        model.capture("the cat " * 30)


def test_a_cut_in_one_thread_does_not_cut_in_another(monkeypatch):
    # The tokenizer keeps its setting in one place; a pause after each change of it lets the other
    # thread in, as an unlucky moment would.
    model, faults = tiny(), []
    change = type(model.tokenizer).set_truncation_and_padding

    def change_and_pause(*arguments: object, **options: object) -> None:
        change(*arguments, **options)
        time.sleep(0.002)

    monkeypatch.setattr(type(model.tokenizer), "set_truncation_and_padding", change_and_pause)
    long = "the cat " * 30
    barrier = threading.Barrier(2, timeout=30)

    def cut() -> None:
        for _ in range(25):
            barrier.wait()
            if len(model.tokens(long, truncation=True)) != 40:
                faults.append("not cut")

    def refuse() -> None:
        for _ in range(25):
            barrier.wait()
            try:
                model.tokens(long)
                faults.append("cut")
            except TextError:
                pass

    threads = [threading.Thread(target=job) for job in (cut, refuse)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []


def test_roberta_reads_two_tokens_less_than_it_has_positions():
    model = tiny("roberta")
    assert model.module.config.max_position_embeddings == 40
    assert length_limit(model.module, model.tokenizer) == 38
    assert len(model.capture(" ".join(["cat"] * 36)).keys) == 38
    with pytest.raises(TextError, match="at most 38 tokens, got 39"):
        model.capture(" ".join(["cat"] * 37))


def test_one_token_more_would_have_failed_in_the_model():
    # The limit above is RoBERTa's own and not caution.
    module = zoo.build("roberta")
    with torch.no_grad(), pytest.raises((IndexError, RuntimeError), match="out of"):
        module(input_ids=torch.full((1, 39), 5))


@pytest.mark.parametrize("name", [n for n in zoo.ALL if n not in ("roberta", "t5")])
def test_the_limit_is_the_number_of_positions(name):
    assert length_limit(zoo.build(name), tokenizer()) == 40


def test_a_model_without_positions_has_the_tokenizers_limit():
    words = tokenizer()
    assert length_limit(zoo.build("t5"), words) == 512
    words.model_max_length = int(1e30)
    assert length_limit(zoo.build("t5"), words) is None


# --- what the model does not know -------------------------------------------------------------


def test_a_text_the_model_mostly_does_not_know_says_so_loudly(minilm):
    (notice,) = minilm.capture(CHINESE).notices
    assert notice.startswith("Most of this text is unknown to the model")
    assert "16 of the 21 characters as [UNK]" in notice


def test_a_text_the_model_partly_does_not_know_says_so(minilm):
    (notice,) = minilm.capture("The animal saw a 🐈 in the street.").notices
    assert notice.startswith("Part of this text is unknown to the model")
    assert "reads 1 of the 26 characters" in notice


def test_unknown_tokens_are_marked_in_the_record(minilm):
    keys = minilm.capture(CHINESE).keys
    assert sum(keys.unknown_mask) == 16
    assert keys.tokens.count("[UNK]") == 16
    assert "".join(keys.words) == CHINESE


# --- pairs ------------------------------------------------------------------------------------


def test_a_pair_is_read_as_two_segments(minilm):
    record = minilm.capture("The cat sat.", "It was happy.")
    inputs = minilm.tokenizer("The cat sat.", "It was happy.", return_tensors="pt")
    assert inputs["token_type_ids"].sum() > 0
    with torch.no_grad():
        own = zoo.eager_twin(minilm.module)(**inputs, output_attentions=True).attentions
    assert_close(record.attentions, torch.stack(own)[:, 0])
    assert record.keys.texts == ("The cat sat.", "It was happy.")
    assert record.keys.sequence_ids == (None, 0, 0, 0, 0, None, 1, 1, 1, 1, None)


def test_segments_change_what_a_pair_attends_to(minilm):
    pair = minilm.capture("The cat sat.", "It was happy.")
    ids = torch.tensor([pair.keys.token_ids])
    with torch.no_grad():
        own = zoo.eager_twin(minilm.module)(input_ids=ids, output_attentions=True).attentions
    assert (pair.attentions - torch.stack(own)[:, 0]).abs().max() > 0.01
