"""Words and chats as one text, and the tokens of what a model wrote after a text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from introspect.errors import ModelError, SelectionError, TextError
from introspect.models import Model, encode
from introspect.models.generation import continued
from introspect.models.inputs import Words, as_input_text
from tests import models_zoo as zoo
from tests.tokenizers_zoo import byte_level, sentencepiece, word_level

WORDS = ["the", "New York", "cat", "didn't", "sit."]
CHAT = [
    {"role": "user", "content": "the cat"},
    {"role": "assistant", "content": "sat on the mat"},
]
TEMPLATE = "{% for m in messages %}<s>{{ m['role'] }} {{ m['content'] }}</s>{% endfor %}"


@pytest.fixture
def chatty():
    tokenizer = byte_level(size=301)
    tokenizer.chat_template = TEMPLATE
    yield tokenizer
    tokenizer.chat_template = None


def model(tokenizer) -> Model:
    return Model(zoo.build("bert"), tokenizer, name="tiny")


@pytest.mark.parametrize("tokenizer", [byte_level(), sentencepiece()], ids=["bytes", "pieces"])
def test_given_words_are_the_words_of_the_record(tokenizer):
    encoded = encode(tokenizer, as_input_text(tokenizer, Words(WORDS), name="tiny"))
    assert list(encoded.tokens.words) == WORDS
    assert encoded.tokens.texts == (" ".join(WORDS),)
    merged = encoded.tokens.at_word_level()
    pairs = zip(merged.tokens, merged.word_ids, strict=True)
    # A space that is a token of its own belongs to no word.
    assert [token for token, word in pairs if word is not None] == WORDS


def test_given_words_are_read_as_the_text_of_them():
    tokenizer = byte_level()
    joined = encode(tokenizer, as_input_text(tokenizer, Words(WORDS), name="tiny"))
    assert joined.tokens.token_ids == encode(tokenizer, " ".join(WORDS)).tokens.token_ids


def test_a_record_of_words_has_a_row_for_each():
    tokenizer = word_level(["the", "cat", "sat"])
    record = model(tokenizer).capture(["the", "cat", "sat"], ["the", "cat"]).words()
    assert record.tokens == ("[CLS]", "the", "cat", "sat", "[SEP]", "the", "cat", "[SEP]")


@pytest.mark.parametrize("given", [[], ["a", ""], ["a", " "], ["a", 3], [{"content": "x"}], ()])
def test_what_is_neither_text_words_nor_chat_is_refused(given):
    with pytest.raises(TextError, match="Expected a text"):
        model(word_level(["a"])).capture(given)


def test_a_chat_goes_through_the_template(chatty):
    encoded = encode(chatty, as_input_text(chatty, CHAT, name="tiny"))
    assert encoded.tokens.texts[0] == "<s>user the cat</s><s>assistant sat on the mat</s>"
    marked = [
        token
        for token, special in zip(
            encoded.tokens.tokens, encoded.tokens.special_tokens_mask, strict=True
        )
        if special
    ]
    # The template's own, and none that the tokenizer would add to a plain text.
    assert marked == ["<s>", "</s>", "<s>", "</s>"]


def test_a_chat_needs_a_template():
    with pytest.raises(ModelError, match="chat template"):
        model(byte_level()).capture(CHAT)


def test_a_template_that_refuses_the_roles_says_so(chatty):
    chatty.chat_template = "{{ raise_exception('roles must alternate') }}"
    with pytest.raises(TextError, match="roles must alternate"):
        model(chatty).capture(CHAT)


def test_a_chat_has_no_second_text(chatty):
    with pytest.raises(SelectionError, match="text_pair"):
        model(chatty).capture(CHAT, "the cat")


# --- continued ---------------------------------------------------------------------------------


@pytest.mark.parametrize("tokenizer", [byte_level(), sentencepiece()], ids=["bytes", "pieces"])
@given(text=st.text("the cat 中🐈é", min_size=1, max_size=12), cut=st.integers(1, 40))
def test_going_on_gives_what_reading_all_of_it_gives(tokenizer, text, cut):
    """Any place to go on from: the tokens after it have the spans they have in the whole."""
    whole = encode(tokenizer, "the cat" + text).tokens
    last = len(whole) - 1
    cut = min(cut, last)
    # Before a cut inside a character the text so far has no end.
    while cut > 1 and whole.offsets[cut][0] < whole.offsets[cut - 1][1]:
        cut -= 1
    if cut <= 1:
        return
    before = whole.at(range(cut))
    end = max(end for _, end in before.offsets)
    start = type(before)(**{**vars(before), "texts": (whole.texts[0][:end],)})
    gone_on = continued(tokenizer, start, whole.token_ids[cut:last])
    assert gone_on.token_ids == whole.token_ids[:last]
    if gone_on.texts == whole.texts:
        assert gone_on.offsets == whole.offsets[:last]
        assert gone_on.tokens == whole.tokens[:last]
    else:  # spaces at a text's end belong to no token, and are not in what was read
        assert "".join(gone_on.texts[0].split()) == "".join(whole.texts[0].split())


def test_an_end_token_is_special_and_not_in_the_text():
    tokenizer = byte_level()
    prompt = encode(tokenizer, "the cat", as_prompt=True).tokens
    gone_on = continued(tokenizer, prompt, [tokenizer.eos_token_id])
    assert gone_on.tokens[-1] == "</s>"
    assert gone_on.special_tokens_mask[-1]
    assert gone_on.texts == ("the cat",)


def test_bytes_that_make_no_character_stand_for_the_mark_of_it():
    tokenizer = byte_level()
    prompt = encode(tokenizer, "the cat", as_prompt=True).tokens
    letters = tokenizer("中", add_special_tokens=False).input_ids
    if len(letters) == 1:
        letters = tokenizer("🦉", add_special_tokens=False).input_ids
    gone_on = continued(tokenizer, prompt, [letters[0], *tokenizer("mat").input_ids[1:-1]])
    assert gone_on.texts[0].startswith("the cat\ufffd")
    length = len(prompt)
    start, end = gone_on.offsets[length]
    assert gone_on.texts[0][start:end] == "\ufffd"
