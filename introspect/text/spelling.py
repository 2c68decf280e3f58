"""What the pieces of a vocabulary spell, in each of the ways in which vocabularies spell."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import cache
from typing import NamedTuple

_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>|<\|byte(\d{1,3})\|>")
#: What Moses writes for characters that its own format uses, and for a hyphen within a word.
_MOSES = {
    "&amp;": "&", "&apos;": "'", "&quot;": '"', "&lt;": "<", "&gt;": ">", "&#124;": "|",
    "&#91;": "[", "&#93;": "]", "@-@": "-",
}  # fmt: skip
_OF_MOSES = re.compile("|".join(map(re.escape, _MOSES)))
_JAPANESE = {"<SP>": " ", "<BR>": "\n", "<TAB>": "\t"}


@cache
def _bytes_of_letters() -> dict[str, int]:
    """Return the byte of each letter of byte-level vocabularies, and of each Latin-1 character."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    letters = {chr(256 + place): byte for place, byte in enumerate(others)}
    return {**{chr(byte): byte for byte in range(256)}, **letters}


def spelled_bytes(piece: str) -> bytes | None:
    """Return the bytes that a piece of a vocabulary of bytes spells, or ``None``.

    Example:
        >>> spelled_bytes("Ġit"), spelled_bytes("中")
        (b' it', None)
    """
    known = _bytes_of_letters()
    return bytes(known[mark] for mark in piece) if all(mark in known for mark in piece) else None


def _as_sentencepiece(piece: str) -> bytes:
    if match := _BYTE.fullmatch(piece):
        value = int(match[1], 16) if match[1] else int(match[2])
        return bytes([value]) if value < 256 else piece.encode()
    return piece.replace("▁", " ").encode()


_SPELLINGS: tuple[Callable[[str], bytes | None], ...] = (
    str.encode,
    spelled_bytes,
    _as_sentencepiece,
    lambda piece: piece.removeprefix("##").encode(),
    lambda piece: piece.removesuffix("@@").encode(),
    lambda piece: _JAPANESE[piece].encode() if piece in _JAPANESE else _as_sentencepiece(piece),
    lambda piece: piece.removesuffix("</w>").encode(),
)


class Letter(NamedTuple):
    """A character that pieces spell, and the first and last piece that have a part of it."""

    mark: str
    first: int
    last: int


#: The letters between two unknown pieces; or an unknown piece, as its number.
Run = list[Letter] | int


def spelled(pieces: Sequence[str], unknown: Collection[str]) -> Iterator[list[Run]]:
    """Yield what the pieces spell, by each way in which they can be spelled."""
    for spell in _SPELLINGS:
        runs = _runs(pieces, unknown, spell)
        if runs is not None:
            yield runs
    runs = _runs(pieces, unknown, _SPELLINGS[-1])
    if runs is not None:
        yield [run if isinstance(run, int) else _without_escapes(run) for run in runs]


def _runs(
    pieces: Sequence[str], unknown: Collection[str], spell: Callable[[str], bytes | None]
) -> list[Run] | None:
    """Return what the pieces spell, or ``None`` if they cannot be spelled so."""
    runs: list[Run] = []
    found: list[tuple[int, bytes]] = []
    try:
        for number, piece in enumerate(pieces):
            if piece in unknown:
                runs += [list(_letters(found)), number]
                found = []
            elif (part := spell(piece)) is None:
                return None
            else:
                found.append((number, part))
        return [*runs, list(_letters(found))]
    except UnicodeDecodeError:
        return None


def _letters(given: Sequence[tuple[int, bytes]]) -> Iterator[Letter]:
    """Yield the characters of pieces that are spelled as bytes.

    Raises:
        UnicodeDecodeError: the bytes are no text.
    """
    owners = [number for number, part in given for _ in part]
    start = 0
    for mark in b"".join(part for _, part in given).decode():
        end = start + len(mark.encode())
        yield Letter(mark, owners[start], owners[end - 1])
        start = end


def _without_escapes(letters: list[Letter]) -> list[Letter]:
    """Return the letters with each of Moses' escapes as the character that it stands for."""
    left: list[Letter] = []
    start = 0
    for match in _OF_MOSES.finditer("".join(letter.mark for letter in letters)):
        first, last = letters[match.start()], letters[match.end() - 1]
        left += [*letters[start : match.start()], Letter(_MOSES[match[0]], first.first, last.last)]
        start = match.end()
    return [*left, *letters[start:]]
