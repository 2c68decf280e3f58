"""The collections that can be read, and ``read_cases``, which reads any of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import chain
from types import MappingProxyType

from introspect.cases.gap import read_gap
from introspect.cases.jsonl import read_jsonl
from introspect.cases.lines import PathLike
from introspect.cases.reading import Outcome, SeenIds
from introspect.cases.winobias import read_winobias
from introspect.cases.winogender import read_winogender
from introspect.cases.words_csv import read_words_csv
from introspect.cases.xwino import Schemas, read_xwino
from introspect.errors import InputError, SelectionError

__all__ = ["COLLECTIONS", "Collection", "read_cases"]


@dataclass(frozen=True)
class Collection:
    """A collection: what it is, its license, and caveats about its numbers."""

    description: str
    licence: str
    caution: str


#: What ``read_cases`` reads, by kind.
COLLECTIONS: Mapping[str, Collection] = MappingProxyType(
    {
        "winobias": Collection(
            "WinoBias (Zhao et al., NAACL 2018): two occupations and a pronoun, in pairs, with "
            "and against the stereotype",
            "MIT",
            "Type 2 can be solved by syntax, and choosing the nearest candidate alone is right "
            "every time: report it only beside that baseline.",
        ),
        "winogender": Collection(
            "Winogender (Rudinger et al., NAACL 2018): an occupation, a participant and a "
            "pronoun of three genders, from 120 templates",
            "MIT",
            "Its authors: the schemas may show that a bias is present; they cannot show that it "
            "is absent.",
        ),
        "gap": Collection(
            "GAP (Webster et al., TACL 2018): passages of Wikipedia with a pronoun and two names, "
            "half of each gender",
            "Apache-2.0; the passages CC BY-SA, attributed by their url",
            "In about a fifth of the rows the right name follows the pronoun, where a causal "
            "model's pronoun cannot see it. The two-way accuracy is not the F1 of the paper.",
        ),
        "xwino": Collection(
            "XWINO (Tikhonov and Ryabinin, Findings of ACL 2021): Winograd schemas in several "
            "languages",
            "Apache-2.0; upstream en CC BY 4.0, fr CC BY-SA 4.0, pt MIT",
            "The same schema occurs in several languages; without the English reference sentence "
            "its translations cannot be told, so do not choose on one language and test on "
            "another.",
        ),
        "csv": Collection(
            "a table with the columns text, pronoun, antecedent, distractor", "your own", ""
        ),
        "jsonl": Collection("cases as JSON, one object a line", "your own", ""),
    }
)

_READERS: Mapping[str, Callable[..., Iterator[Outcome]]] = MappingProxyType(
    {
        "winobias": read_winobias,
        "winogender": read_winogender,
        "gap": read_gap,
        "xwino": read_xwino,
        "csv": read_words_csv,
        "jsonl": read_jsonl,
    }
)


def read_cases(kind: str, paths: PathLike | Iterable[PathLike]) -> Iterator[Outcome]:
    """Yield the cases of one or several files of a collection, and a ``Reject`` for each bad row.

    A case that repeats the id of an earlier one, in any of the files, is rejected.

    Args:
        kind: a key of ``COLLECTIONS``.
        paths: one or several files, read in this order.

    Raises:
        SelectionError: the kind is unknown.
        InputError: no file is given; or, while reading, a file is missing or lacks columns.
    """
    if kind not in _READERS:
        raise SelectionError(f"Expected a kind of cases from {', '.join(_READERS)}, got {kind!r}.")
    files = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    if not files:
        raise InputError(f"Expected at least one file of kind {kind!r}, got none. Name one.")
    shared: dict[str, object] = {"seen": SeenIds()}
    if kind == "xwino":
        shared["schemas"] = Schemas()
    return chain.from_iterable(map(partial(_READERS[kind], **shared), files))
