"""The ways in which tokenizers normalize a text before they divide it, character by character."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from functools import cache

_PUNCTUATION = str.maketrans(
    {
        **dict.fromkeys("“”„«»《》「」″", '"'),
        **dict.fromkeys("‘’‚`´′", "'"),
        **dict.fromkeys("–—−‐‑‒―━ー", "-"),
        **{"。": ".", "、": ",", "【": "[", "】": "]", "〈": "<", "〉": ">", "∶": ":", "·": "."},
    }
)


def _as_is(mark: str) -> str:
    return mark


def _unspaced(mark: str) -> str:
    return "" if mark.isspace() else mark


@cache
def _decomposed(mark: str) -> str:
    parts = unicodedata.normalize("NFKD", mark)
    return "".join(p for p in parts if unicodedata.category(p)[0] not in "CZ" and p != "\ufffd")


@cache
def _caseless(mark: str) -> str:
    return "".join(map(_decomposed, _decomposed(mark).casefold()))


@cache
def _unaccented(mark: str) -> str:
    return "".join(part for part in _caseless(mark) if unicodedata.category(part) != "Mn")


@cache
def _plain(mark: str) -> str:
    return "".join(map(_unaccented, mark.translate(_PUNCTUATION)))


#: From what changes least to what changes most.
FOLDS: tuple[Callable[[str], str], ...] = (
    _as_is, _unspaced, _decomposed, _caseless, _unaccented, _plain,
)  # fmt: skip
