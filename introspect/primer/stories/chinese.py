"""Stories about Chinese sentences, run by a head that is trained on the spot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from introspect.primer.stories.story import (
    Reader,
    Story,
    at_head,
    largest,
    listed,
    losses_of,
    verdict,
    words_of,
)
from introspect.primer.trainer import GREY_CAT, Training, train
from introspect.views import evolution_view, head_view, steps_view

_CODE = ("我", "写", "代码")


def writing_code(language: str = "zh", *, training: Training | None = None) -> Story:
    """Train a head on 我 写 代码 on the spot, and tell whether 写 comes to attend to 代码.

    Args:
        language: of the text, ``en`` or ``zh``; the sentence is Chinese.
        training: the training of a head on ``SENTENCES``, if there is one already.
    """
    words = words_of("code", language)
    training = training or train()
    place = training.sentences.index(_CODE)
    verb = _CODE.index("写")
    before, after = (
        dict(zip(_CODE, weights, strict=True))
        for weights in training.history[place][[0, -1], verb].tolist()
    )
    largest_word = max(after, key=lambda word: after[word])
    figures = {
        "before": before["代码"],
        "shares": listed(after, _CODE),
        "largest": largest_word,
    }
    record = training.record(_CODE)
    return Story(
        title=words["title"],
        text=(
            words["trained"].format(epochs=len(training.losses) - 1, **losses_of(training)),
            verdict(words, largest_word == "代码", **figures),
            words["caveat"],
        ),
        numbers={**after, **{f"before {word}": share for word, share in before.items()}},
        records={"trained": record},
        views={
            "evolution": evolution_view(training.evolution(place), losses=training.losses),
            "trained": steps_view(record, token=verb),
        },
    )


_LIES = "趴在"
_SCENE = ("猫", "垫子上", "壁炉边")


def grey_cat(
    language: str = "zh", *, model: Reader | None = None, training: Training | None = None
) -> Story:
    """Tell 那只灰色的猫懒洋洋地趴在温暖的壁炉边垫子上, from 趴在.

    The story claims that the verb attends to who lies, on what and where. A head that is trained to
    reproduce its words has no reason to, and the text says what it learned instead.

    Args:
        language: of the text, ``en`` or ``zh``; the sentence is Chinese.
        model: a model that knows these characters, such as bert-base-chinese, to be examined too.
        training: the training of a head on ``GREY_CAT``, if there is one already.
    """
    words = words_of("grey_cat", language)
    training = training or train(GREY_CAT)
    sentence = GREY_CAT[0]
    record = training.record(sentence)
    verb = sentence.index(_LIES)
    row = record.attentions[0, 0, verb].tolist()
    numbers = dict(zip(sentence, row, strict=True))
    even = 1 / len(sentence)
    count = sum(numbers[word] > even for word in _SCENE)
    ranked = sorted(numbers, key=lambda word: -numbers[word])
    told = Story(
        title=words["title"],
        text=(
            words["trained"].format(top=listed(numbers, ranked[:3]), **losses_of(training)),
            verdict(words, count == len(_SCENE), count=count, even=even),
            words["caveat"],
        ),
        numbers=numbers,
        records={"trained": record},
        views={
            "trained": steps_view(record, token=verb),
            "evolution": evolution_view(training.evolution(0), losses=training.losses),
        },
    )
    return told if model is None else _lies_in(model, told, words)


def _lies_in(model: Reader, told: Story, words: Mapping[str, Any]) -> Story:
    """Complete the story with what a model that knows the characters does."""
    record = model.capture(GREY_CAT[0], include=("attentions",)).words()
    tokens = record.keys.tokens
    rows = record.attentions[:, :, record.queries.tokens.index(_LIES)]
    together = rows[..., [tokens.index(word) for word in _SCENE]].sum(-1)
    head = largest(record, together)
    numbers = {word: at_head(record, rows[..., tokens.index(word)], head) for word in _SCENE}
    figures = {
        "model": model.name,
        "head": head,
        "shares": listed(numbers, _SCENE),
        "total": sum(numbers.values()),
        "mean": float(together.mean()),
    }
    return Story(
        title=told.title,
        text=(*told.text, words["model"].format(**figures)),
        numbers={**told.numbers, **{f"{model.name} {word}": n for word, n in numbers.items()}},
        records={**told.records, model.name: record},
        views={**told.views, model.name: head_view(record, layer=head.layer, heads=[head.head])},
    )
