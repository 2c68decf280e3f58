"""The collections that can be read, and ``read_cases``, which reads any of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from types import MappingProxyType

from introspect.data.case_rows import read_words_csv
from introspect.data.gap import read_gap
from introspect.data.jsonl import read_jsonl
from introspect.data.outcomes import Outcome, SeenIds
from introspect.data.published import (
    ClusterOptions,
    read_bug,
    read_clusters,
    read_conll2012,
    read_corefud,
    read_dpr,
    read_knowref,
    read_winogrande,
    read_wsc,
)
from introspect.data.winobias import read_winobias
from introspect.data.winogender import read_winogender
from introspect.data.xwino import Schemas, read_xwino
from introspect.errors import InputError, SelectionError
from introspect.io import PathLike


@dataclass(frozen=True)
class Collection:
    """A collection: what it is, its license, and caveats about its numbers."""

    description: str
    license: str
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
        "wsc": Collection(
            "WSC as SuperGLUE publishes it (Levesque et al., KR 2012; Wang et al., NeurIPS 2019): "
            "Winograd schemas, a row for each candidate",
            "CC BY 4.0",
            "Many schemas have one candidate in the file and are outside forced choice; the "
            "accuracy on the others is not that of the benchmark, which asks row by row.",
        ),
        "dpr": Collection(
            "Definite pronouns (Rahman and Ng, EMNLP 2012): sentences in pairs, each with a "
            "pronoun and two candidates",
            "none stated",
            "The first occurrence of the pronoun and of each candidate is taken, the pronoun's as "
            "the authors say.",
        ),
        "winogrande": Collection(
            "WinoGrande (Sakaguchi et al., AAAI 2020): sentences with a blank and two options",
            "CC BY 4.0",
            "The blanks were filled with a pronoun that you chose: the text is not the "
            "collection's own, and figures do not compare with its leaderboard.",
        ),
        "knowref": Collection(
            "KnowRef and KnowRef-60K (Emami et al., ACL 2019 and COLING 2020): sentences of the "
            "web with a pronoun and two names",
            "CC BY 4.0",
            "Names were exchanged by a program; where one was not, its gender may give the answer "
            "away.",
        ),
        "bug": Collection(
            "BUG (Levy et al., Findings of EMNLP 2021): sentences of corpora with a profession and "
            "a pronoun",
            "none stated",
            "A row names one person only: no case offers a choice, and there is no accuracy.",
        ),
        "conll2012": Collection(
            "documents in the format of CoNLL-2012 (OntoNotes, Pradhan et al., 2012; LitBank)",
            "that of the corpus: OntoNotes by agreement with the LDC, LitBank CC BY 4.0",
            "OntoNotes has no singletons: what is mentioned once is no distractor.",
        ),
        "corefud": Collection(
            "CorefUD (Nedoluzhko et al., LREC 2022) and other trees in CoNLL-U with Entity=",
            "that of each treebank, most CC BY or CC BY-NC",
            "Zero pronouns and mentions in several parts are left out.",
        ),
        "clusters": Collection(
            "documents with clusters as JSON, in the forms of e2e-coref, LitBank, PreCo, AllenNLP, "
            "fastcoref and spaCy",
            "that of the corpus: LitBank CC BY 4.0, PreCo for research",
            "Clusters that a model predicted are no reference: a score is agreement with it.",
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
        "wsc": read_wsc,
        "dpr": read_dpr,
        "winogrande": read_winogrande,
        "knowref": read_knowref,
        "bug": read_bug,
        "conll2012": read_conll2012,
        "corefud": read_corefud,
        "clusters": read_clusters,
        "csv": read_words_csv,
        "jsonl": read_jsonl,
    }
)

#: Which kinds take an option.
TAKES = {
    "options": ("conll2012", "corefud", "clusters"),
    "offsets": ("clusters",),
    "pronoun": ("winogrande",),
    "columns": ("csv",),
}
_MEANING = {
    "options": "the options of clusters (--sentences, --words, --antecedents, --distractors, "
    "--language, --pronouns)",
    "offsets": "`offsets` (--offsets)",
    "pronoun": "`pronoun` (--pronoun)",
    "columns": "`columns` (--columns)",
}


def read_cases(
    kind: str,
    paths: PathLike | Iterable[PathLike],
    *,
    options: ClusterOptions | None = None,
    offsets: str | None = None,
    pronoun: str | None = None,
    columns: Mapping[str, str | Sequence[str]] | None = None,
) -> Iterator[Outcome]:
    """Yield the cases of one or several files of a collection, and a ``Reject`` for each bad row.

    A case that repeats the id of an earlier one, in any of the files, is rejected.

    Args:
        kind: a key of ``COLLECTIONS``.
        paths: one or several files, read in this order.
        options: how cases are made of clusters (conll2012, corefud, clusters).
        offsets: what the numbers of clusters count, as in ``read_clusters``.
        pronoun: the word for the blanks of WinoGrande.
        columns: the columns of a table, as in ``read_words_csv``.

    Raises:
        SelectionError: the kind is unknown, or does not take an option.
        InputError: no file is given; or, while reading, a file is missing or lacks columns.
    """
    if kind not in _READERS:
        raise SelectionError(f"Expected a kind of cases from {', '.join(_READERS)}, got {kind!r}.")
    files = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    if not files:
        raise InputError(f"Expected at least one file of kind {kind!r}, got none. Name one.")
    given = {"options": options, "offsets": offsets, "pronoun": pronoun, "columns": columns}
    shared = _taken(kind, {name: value for name, value in given.items() if value is not None})
    shared["seen"] = SeenIds()
    if kind == "xwino":
        shared["schemas"] = Schemas()
    if kind == "winogrande":
        read_winogrande(files[0], pronoun=pronoun)  # Without a pronoun it is refused at once.
    return chain.from_iterable(map(partial(_READERS[kind], **shared), files))


def _taken(kind: str, options: dict[str, object]) -> dict[str, object]:
    """Return the options given, if the kind takes them all."""
    for name in options:
        if kind not in TAKES[name]:
            raise SelectionError(
                f"Expected {_MEANING[name]} for {' or '.join(TAKES[name])} only, got them for "
                f"{kind!r}. Leave them out."
            )
    return options
