"""Small files of any content: no traceback, no text of its own, every row accounted for."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from introspect.data import LeftOut, Reject, Tally, read_cases
from introspect.data.published import form_of
from introspect.errors import IntrospectError

WORDS = [
    "Ann",
    "saw",
    "her",
    "it",
    "狐狸",
    "他",
    ".",
    "n't",
    "नि",
    "e\u0301",
    "_",
    "a b",
    "“",
    "-",
    "(",
]
NUMBERS = st.integers(-1, 6)
SENTENCE = st.lists(st.sampled_from(WORDS), max_size=6)
TEXT = SENTENCE.map(" ".join)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=4) | TEXT,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)
PAIR = st.tuples(NUMBERS, NUMBERS).map(sorted)
TRIPLE = st.tuples(st.integers(0, 2), NUMBERS, NUMBERS).map(list)
CLUSTERS = st.lists(st.lists(PAIR | TRIPLE, max_size=3), max_size=3)


def objects(**values: st.SearchStrategy) -> st.SearchStrategy:
    """Objects with these keys, of which some are missing or hold something else."""
    return st.fixed_dictionaries({}, optional={k: v | v | v | JSON for k, v in values.items()})


OBJECTS = {
    "wsc": objects(
        text=TEXT,
        label=st.booleans(),
        target=objects(span1_index=NUMBERS, span1_text=TEXT, span2_index=NUMBERS, span2_text=TEXT),
    ),
    "winogrande": objects(
        sentence=TEXT, option1=TEXT, option2=TEXT, answer=st.sampled_from(["1", "2", ""])
    ),
    "knowref": objects(
        sentence_with_pronoun=TEXT.map(lambda text: text.replace("her", "[her]")),
        candidate0=TEXT,
        candidate1=TEXT,
        correct_candidate=st.sampled_from(["candidate0", "candidate_1", "Ann"]),
    ),
    "clusters": objects(
        doc_key=st.sampled_from("ab"),
        sentences=st.lists(SENTENCE, max_size=3),
        document=SENTENCE,
        tokens=SENTENCE,
        text=TEXT,
        clusters=CLUSTERS,
        mention_clusters=CLUSTERS,
        coref_chains=CLUSTERS,
        spans=st.dictionaries(st.sampled_from(["coref_clusters_1", "sc"]), CLUSTERS, max_size=2),
    ),
}


def read(kind: str, content: str):
    """Read a file of this content; the outcomes, and what it held."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        path.write_text(content, encoding="utf-8", newline="")
        form_of(path)
        pronoun = "it" if kind == "winogrande" else None
        return list(read_cases(kind, path, pronoun=pronoun))


def squeezed(text: str) -> str:
    return "".join(text.split())


@pytest.mark.slow
@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_rows_of_json_are_cases_rejects_or_left_out(data):
    kind = data.draw(st.sampled_from(sorted(OBJECTS)))
    rows = data.draw(st.lists(OBJECTS[kind] | OBJECTS[kind] | JSON, min_size=1, max_size=4))
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    outcomes = read(kind, "\n".join(lines))
    tally = Tally.of(outcomes)
    assert tally.cases + tally.rejected + tally.left_out.total() == len(outcomes)
    rejected = [o for o in outcomes if isinstance(o, Reject) and not isinstance(o, LeftOut)]
    cases = [o for o in outcomes if not isinstance(o, Reject)]
    if len(rows) == 1 and isinstance(rows[0], list) and rows[0]:
        rows = rows[0]  # A file that is one array.
    if kind == "wsc":
        # A schema is made of several rows, and says of how many.
        assert sum(case.extra["rows"] for case in cases) + len(rejected) == len(rows)
    elif kind != "clusters":
        assert len(cases) + len(rejected) == len(rows)
    for case in cases if kind == "clusters" else ():
        assert squeezed(case.text) in squeezed("".join(map(text_of, rows)))


def text_of(row: object) -> str:
    """All strings of a row, in order."""
    if isinstance(row, str):
        return row
    if isinstance(row, dict):
        return "".join(map(text_of, row.values()))
    return "".join(map(text_of, row)) if isinstance(row, list) else ""


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_every_document_of_clusters_has_an_outcome(data):
    rows = data.draw(st.lists(OBJECTS["clusters"], min_size=1, max_size=3))
    for row in rows:
        outcomes = read("clusters", json.dumps(row))
        assert outcomes
        pronouns = [o for o in outcomes if not isinstance(o, Reject) or isinstance(o, LeftOut)]
        if any(isinstance(o, Reject) and not isinstance(o, LeftOut) for o in outcomes):
            assert (
                len(outcomes) == 1
                or not pronouns
                or all(o.kind in ("duplicate_id",) for o in outcomes if type(o) is Reject)
            )


CELLS = st.sampled_from(["-", "(0)", "(0", "0)", "(1|(0", "0)|1)", "(2)|(0)", "0", "((", "_"])
LINES = st.one_of(
    st.tuples(st.sampled_from(WORDS), CELLS).map(lambda p: f"a 0 0 {p[0]} - * {p[1]}"),
    st.sampled_from(
        ["", "#begin document (a); part 000", "#end document", "# note", "a b", "\t\t\t"]
    ),
    st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=6),
)


@given(st.lists(LINES, max_size=12))
@settings(max_examples=300, deadline=None)
def test_lines_of_conll_are_documents(lines):
    content = "\n".join(lines)
    outcomes = read("conll2012", content)
    assert outcomes
    for case in outcomes:
        if not isinstance(case, Reject):
            assert squeezed(case.text) in squeezed(words_of(lines))


def words_of(lines: list[str]) -> str:
    columns = [line.split("\t") if "\t" in line.strip() else line.split() for line in lines]
    return "".join(each[3] for each in columns if len(each) > 4)


ENTITIES = st.sampled_from(
    ["_", "Entity=(e1-)", "Entity=(e1-", "Entity=e1)", "Entity=(e1[1/2]-)", "Entity=x"]
)
NODES = st.tuples(
    st.sampled_from(["1", "2", "3", "1.1", "1-2", "x"]), st.sampled_from(WORDS), ENTITIES
).map(
    lambda n: (
        f"{n[0]}\t{n[1]}\t_\t{'PRON' if n[1] in ('it', 'her') else 'X'}" + "\t_" * 5 + f"\t{n[2]}"
    )
)
TREES = st.lists(
    NODES | NODES | st.sampled_from(["", "# newdoc id = a", "# newdoc", "# text = it", "1\tit"]),
    max_size=10,
)


@given(TREES)
@settings(max_examples=300, deadline=None)
def test_lines_of_trees_are_documents(lines):
    assert read("corefud", "\n".join(lines))


@given(st.lists(TEXT | st.sampled_from(["it", "her", "Ann,her", "Ann", "", ""]), max_size=12))
@settings(max_examples=200, deadline=None)
def test_blocks_of_lines_are_schemas(lines):
    outcomes = read("dpr", "\n".join(lines))
    blocks = [b for b in "\n".join(line.strip() for line in lines).split("\n\n") if b.strip()]
    sizes = [len(b.strip("\n").split("\n")) for b in blocks]
    assert len(outcomes) == (sum(n // 4 if n % 4 == 0 else 1 for n in sizes) or 1)


@given(
    st.binary(max_size=60),
    st.sampled_from(["wsc", "dpr", "conll2012", "corefud", "clusters", "bug"]),
)
@settings(max_examples=200, deadline=None)
def test_bytes_are_refused_in_words(content, kind):
    with TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        path.write_bytes(content)
        try:
            form_of(path)
            outcomes = list(read_cases(kind, path))
        except IntrospectError:
            return
    assert all(isinstance(outcome, Reject) for outcome in outcomes)
