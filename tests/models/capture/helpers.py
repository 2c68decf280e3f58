"""Small models of words, for captures of texts."""

from __future__ import annotations

from introspect.models import Model
from tests import models_zoo as zoo
from tests.tokenizers_zoo import word_level

CHINESE = "那只灰色的猫懒洋洋地趴在温暖的壁炉边垫子上"
WORDS = ["the", "cat", "sat", "on", "mat", "and", "dog", "ran", "it", "was", "die", "Katze"]


def tokenizer(**special: str):
    words = word_level(WORDS)
    for name, token in special.items():
        setattr(words, name, token)
    return words


def tiny(name: str = "bert", **special: str) -> Model:
    return Model(zoo.build(name), tokenizer(**special), name=f"tiny-{name}")


def translator(name: str) -> Model:
    return tiny(name, eos_token="[SEP]")


def weight(record, head: tuple[int, int], source: str, target: str) -> float:
    layer, number = head
    row, column = (record.tokens.index(token) for token in (source, target))
    return record.attentions[layer, number, row, column].item()


DEPTH = {"t5": {"encoder": 2, "decoder": 3}, "bart": {"encoder": 3, "decoder": 2}}
SOURCE, TARGET = "the cat sat on the mat", "die Katze"
