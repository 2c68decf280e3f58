"""The stories: their numbers against the model's own, and texts that follow from the numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from string import Formatter

import pytest
import torch

import introspect as ix
from introspect import primer
from introspect.errors import SelectionError
from introspect.primer.stories.english import CHASE, PARTS, TIRED, WIDE
from introspect.primer.stories.story import all_words
from introspect.records import AttentionRecord, find_tokens
from tests.tokenizers_zoo import word_level
from tests.views.test_every_view import page_of

LANGUAGES = ("en", "zh")


@pytest.fixture(scope="module")
def minilm():
    return ix.load("minilm")


@pytest.fixture(scope="module")
def trained() -> dict[str, primer.Training]:
    return {"code": primer.train(), "cat": primer.train(primer.GREY_CAT)}


@dataclass
class Fake:
    """A model that answers with attention of our choice."""

    answers: dict[str, AttentionRecord]
    name: str = "fake"

    def capture(self, text, *, include=()):
        return self.answers[text if isinstance(text, str) else " ".join(text)]


def reading(text: str, weights: dict[tuple[int, str, str], float]):
    """A record of one layer over a text, with some weights from word to word, by head."""
    model = ix.load(_tiny(text))
    record = model.capture(text, include=PARTS)
    record.attentions.zero_()
    for (head, source, target), weight in weights.items():
        source_, target_ = (find_tokens(record.keys, word)[0] for word in (source, target))
        record.attentions[0, head, source_, target_] = weight
    return record


def _tiny(text: str):
    import transformers as tf

    tokenizer = word_level(text.replace(".", " .").split(" "))
    tokenizer.backend_tokenizer.pre_tokenizer = _whitespace()
    config = tf.BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        max_position_embeddings=32,
    )
    return tf.BertModel(config), tokenizer


def _whitespace():
    from tokenizers import Regex, pre_tokenizers

    return pre_tokenizers.Split(Regex(r"[\w']+|[^\w\s]"), "removed", invert=True)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_menu_comes_out_of_the_softmax(language):
    story = primer.menu(language)
    hot, sweet = story.numbers.values()
    assert hot == pytest.approx(math.exp(2.7726 / 2) / (math.exp(2.7726 / 2) + 1))
    assert (round(hot, 2), round(sweet, 2)) == (0.8, 0.2)
    assert "80%" in str(story) and "20%" in str(story)
    record = story.records["toy"]
    assert record.kind == "cross" and record.attentions.shape == (1, 1, 1, 2)
    assert story.views["toy"].contributions().sum(0).tolist() == pytest.approx([hot, sweet])


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_toy_of_cat_and_mouse(language):
    story = primer.cat_and_mouse(language=language)
    # Scores (2·2 + 2·1) / √4 = 3 for both nouns, 0 for the three others.
    share = math.exp(3) / (2 * math.exp(3) + 3)
    assert story.numbers["toy cat"] == pytest.approx(share)
    assert story.numbers["toy mouse"] == pytest.approx(share)
    assert f"{share:.2f}" in story.text[0]
    view = story.views["toy"]
    assert view.scores.tolist() == pytest.approx([0, 3, 0, 0, 3])
    assert view.contributions().sum(0).tolist() == pytest.approx(
        [share, share, 1 / (2 * math.exp(3) + 3)]
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_cat_and_mouse_by_minilm(minilm, language):
    story = primer.cat_and_mouse(minilm, language)
    weights = minilm.capture(CHASE).attentions
    cat, mouse = weights[:, :, 3, 2], weights[:, :, 3, 5]  # [CLS] the cat chased the mouse . [SEP]
    row, head = divmod(int((cat + mouse).argmax()), 12)
    assert story.numbers["cat"] == pytest.approx(cat[row, head].item(), abs=1e-6)
    assert f"L{row}H{head}" in story.text[1]
    least = torch.minimum(cat, mouse)
    assert min(story.numbers["fair_cat"], story.numbers["fair_mouse"]) == pytest.approx(
        least.max().item(), abs=1e-6
    )
    assert story.numbers["mean_mouse"] == pytest.approx(mouse.mean().item(), abs=1e-6)
    says_so = {"en": "no head does what", "zh": "没有一个头做故事里说的事"}[language]
    assert (says_so in story.text[2]) == (least.max().item() <= 0.25)
    view = story.views[minilm.name]
    assert (view.token, min(view.weights[[2, 5]])) == (3, pytest.approx(least.max().item()))


def test_a_head_that_does_is_said_to():
    weights = {(1, "chased", "cat"): 0.4, (1, "chased", "mouse"): 0.5, (0, "chased", "cat"): 1.0}
    story = primer.cat_and_mouse(Fake({CHASE: reading(CHASE, weights)}))
    assert "L0H0: from *chased* 1.00 to *cat* and 0.00" in story.text[1]
    assert "L0H1: 0.40 to *cat* and 0.50" in story.text[1]
    assert "So one head does what the story says" in story.text[2]


@pytest.mark.parametrize("language", LANGUAGES)
def test_writing_code_says_what_was_learnt(trained, language):
    story = primer.writing_code(language, training=trained["code"])
    after = trained["code"].history[0][-1, 1].tolist()
    assert [story.numbers[word] for word in ("我", "写", "代码")] == pytest.approx(after)
    largest = ("我", "写", "代码")[after.index(max(after))]
    says_not = {"en": f"most to {largest}, not to 代码", "zh": f"“{largest}”，不是“代码”"}
    assert (says_not[language] in story.text[1]) == (largest != "代码")
    assert story.views["evolution"].losses == trained["code"].losses


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_grey_cat_says_what_was_learnt(trained, language):
    training = trained["cat"]
    assert training.losses[0] > 10 * training.losses[-1]
    story = primer.grey_cat(language, training=training)
    words = primer.GREY_CAT[0]
    assert "".join(words) == "那只灰色的猫懒洋洋地趴在温暖的壁炉边垫子上"
    after = dict(zip(words, training.history[0][-1, 4].tolist(), strict=True))
    assert story.numbers == pytest.approx(after)
    above = [word for word in ("猫", "垫子上", "壁炉边") if after[word] > 1 / 8]
    told = {"en": ", as the story says", "zh": "与故事相符"}[language] in story.text[1]
    assert told == (len(above) == 3)
    assert told or str(len(above)) in story.text[1]
    largest = max(after, key=after.get)
    assert f"{largest} {after[largest]:.2f}" in story.text[0]


def test_the_grey_cat_by_a_model():
    words = primer.GREY_CAT[0]
    text = " ".join(words)
    weights = {(1, "趴在", "猫"): 0.3, (1, "趴在", "垫子上"): 0.4, (0, "趴在", "壁炉边"): 0.2}
    record = reading(text, weights)
    story = primer.grey_cat(
        "en", model=Fake({text: record}), training=primer.train(primer.GREY_CAT, epochs=1)
    )
    told = "L0H1: 猫 0.30, 垫子上 0.40, 壁炉边 0.00, 0.70 together; the mean over all heads is 0.45"
    assert told in story.text[3]


@pytest.mark.parametrize("language", LANGUAGES)
def test_tired_or_wide_by_minilm(minilm, language):
    story = primer.tired_or_wide(minilm, language)
    shown = [
        round(story.numbers[name], 2) for name in ("tired_animal", "wide_animal", "wide_street")
    ]
    assert shown == [0.68, 0.28, 0.12]
    assert "L3H1" in story.text[0]
    assert {"en": "does not turn", "zh": "没有转向"}[language] in story.text[1]
    tired, wide = (story.records[name].attentions[:, :, 10] for name in ("tired", "wide"))
    turned = (tired[..., 2] > tired[..., 8]) & (wide[..., 8] > wide[..., 2])
    assert story.numbers["turning"] == int(turned.sum())


def test_a_head_that_turns_is_said_to():
    weights = {(1, "it", "animal"): 0.9}, {(1, "it", "street"): 0.8, (1, "it", "animal"): 0.1}
    texts = (TIRED, WIDE)
    model = Fake({text: reading(text, given) for text, given in zip(texts, weights, strict=True)})
    story = primer.tired_or_wide(model)
    assert "L0H1" in story.text[0] and "It turns to *street*" in story.text[1]
    assert story.numbers["turning"] == 1


def test_a_head_that_always_prefers_street_is_not_said_to_turn():
    weights = {(1, "it", "animal"): 0.3, (1, "it", "street"): 0.6}
    model = Fake({text: reading(text, weights) for text in (TIRED, WIDE)})
    story = primer.tired_or_wide(model)
    assert "It does not turn to *street*" in story.text[1]
    assert story.numbers["turning"] == 0
    assert "street* between the two sentences: 0 of " in story.text[2]


def test_both_languages_tell_the_same_with_the_same_figures():
    def figures(told: object) -> object:
        if isinstance(told, dict):
            return {key: figures(value) for key, value in told.items()}
        if isinstance(told, list):
            return [figures(value) for value in told]
        return sorted({part[1] for part in Formatter().parse(told) if part[1]})

    english, chinese = (figures(all_words(language)) for language in LANGUAGES)
    assert english == chinese


@pytest.mark.parametrize("name", ["menu", "cat_and_mouse", "writing_code", "grey_cat"])
def test_another_language_is_refused(name):
    with pytest.raises(SelectionError, match="en, zh, got 'fr'"):
        getattr(primer, name)(language="fr")


@pytest.mark.browser
def test_the_views_open(open_page, minilm, trained):
    told = [
        primer.menu("zh"),
        primer.cat_and_mouse(minilm),
        primer.writing_code(training=trained["code"]),
        primer.grey_cat(training=trained["cat"]),
    ]
    views = [view for story in told for view in story.views.values()]
    shown = open_page(page_of(views)).locator("section[data-view]")
    assert shown.count() == len(views) > 4
    for section in shown.all():
        assert section.locator("[data-side=query]").count() > 0
