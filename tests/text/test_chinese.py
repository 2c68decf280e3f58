"""Words of Chinese texts: by jieba, by character offsets, into records and scores."""

from __future__ import annotations

import sys

import pytest

import introspect as ix
from introspect.errors import MissingExtraError, SelectionError
from introspect.records import resegmented
from introspect.studies.coreference import score_case
from introspect.text import chinese as segmentation
from tests.synthetic import record

TEXT = "狐狸没有过河, because it 太累了。"


@pytest.fixture
def words():
    pytest.importorskip("jieba", reason="jieba (extra chinese) is missing")
    return segmentation.chinese_words


def test_chinese_is_divided_and_other_scripts_are_left_alone(words):
    found = [TEXT[s:e] for s, e in words(TEXT)]
    assert "狐狸" in found and "because" in found and "it" in found
    assert "".join(found) == TEXT.replace(" ", "")


def test_spans_are_in_order_and_apart(words):
    spans = words(TEXT)
    assert all(a < b <= c < d for (a, b), (c, d) in zip(spans, spans[1:], strict=False))


@pytest.mark.parametrize("text", ["", "only English", "狐", "123 狐狸"])
def test_edges(words, text):
    assert all(text[s:e].strip() for s, e in words(text))


def test_a_mention_of_one_word_gets_what_its_characters_get_together(words):
    made = record(TEXT, layers=1, heads=1, seed=3)
    case = ix.CorefCase.from_words(TEXT, pronoun="it", antecedent="狐狸")
    by_character = score_case(made, case)[0].antecedent_weight
    by_word = score_case(resegmented(made, words), case)[0].antecedent_weight
    it = made.queries.tokens.index("it")
    pieces = [i for i, token in enumerate(made.keys.tokens) if token in "狐狸"]
    together = made.attentions[0, 0, it, pieces].double().sum()
    assert float(by_word) == pytest.approx(float(together), abs=1e-7)
    assert float(by_character) == pytest.approx(float(together) / 2, abs=1e-7)
    assert "狐狸" in resegmented(made, words).words().keys.tokens


def test_without_the_library_the_command_is_named(monkeypatch):
    segmentation._jieba.cache_clear()
    monkeypatch.setitem(sys.modules, "jieba", None)
    with pytest.raises(MissingExtraError, match=r'pip install "jieba>='):
        segmentation.chinese_words("狐狸")


def test_record_without_texts_is_refused(words):
    bare = ix.AttentionRecord.from_tensors(record().attentions[:, :, :2, :2], ["a", "b"])
    with pytest.raises(SelectionError, match="Capture the text"):
        resegmented(bare, words)
