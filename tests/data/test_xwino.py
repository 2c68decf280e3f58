"""XWINO: as measured, by hand, and what is wrong in it."""

from __future__ import annotations

import json

import pytest

from introspect.data import (
    Schemas,
    read_cases,
    read_xwino,
)
from tests.data.helpers import baseline, collection, groups_by_size, marked, split, written


def row(text, tokens, pronoun, right, wrong, *, lang="fr", reference="?"):
    def mention(start, end):
        return [" ".join(tokens[start:end]), [start, end], tokens[start:end]]

    candidates = [[*mention(*right), True], [*mention(*wrong), False]]
    fields = [tokens, mention(*pronoun), candidates]
    return "\t".join([lang, "original", reference, text, *map(json.dumps, fields)])


def simple(text, **options):
    """A row of 'A met B as it …': tokens are the words."""
    return row(text, text.split(), (4, 5), (0, 1), (2, 3), **options)


def wino(folder, *rows, name="fr.tsv", **options):
    return split(read_xwino(written(folder, name, "\n".join(rows)), **options))


@pytest.mark.parametrize(
    ("lang", "rows", "groups", "expected"),
    [
        ("en", 273, 134, (50.2, 50.2)),
        ("fr", 83, 42, (49.4, 50.6)),
        ("pt", 263, 128, (49.8, 50.2)),
    ],
)
def test_xwino_as_measured(lang, rows, groups, expected):
    path = collection("xwino", f"{lang}.tsv")
    cases, rejects = split(read_xwino(path))
    assert (len(cases), rejects) == (rows, [])
    assert baseline(cases) == expected
    assert sum(groups_by_size(cases).values()) == groups
    for case, line in zip(cases, path.read_text("utf-8").splitlines(), strict=True):
        *_, text, _, pronoun, candidates = line.split("\t")
        given = [json.loads(pronoun), *json.loads(candidates)]
        found = [case.pronoun, *(c.span for c in case.candidates)]
        assert case.text == text
        for mention, span in zip(given, found, strict=True):
            # Only where the tokens are joined differently may the two be written differently.
            assert case.phrase(span).replace(" ", "") == "".join(mention[2])
        assert [c.antecedent for c in case.candidates] == [c[3] for c in json.loads(candidates)]


def test_xwino_takes_positions_and_not_the_first_place_of_a_word(tmp_path):
    tokens = ["it", "'s", "a", "cat", ",", "a", "``", "cat", "''", "and", "it"]
    line = row('it\'s a cat, a "cat" and it', tokens, (10, 11), (6, 9), (2, 4))
    (case,), _ = wino(tmp_path, line)
    assert marked(case) == 'it\'s [-a cat], a [+"cat"] and <it>'


@pytest.mark.parametrize(
    ("line", "kind", "reason"),
    [
        (simple("A met B as it").replace('"B", "as"', '"C", "as"', 1), "tokens", "'C' at"),
        (
            row("A met B as it does", ["A", "met", "B", "as", "it"], (4, 5), (0, 1), (2, 3)),
            "tokens",
            "end",
        ),
        (simple("A met B as it").replace("[4, 5]", "[3, 4]"), "span", "[3, 4]"),
        (simple("A met B as it").replace("[4, 5]", "[5, 4]"), "span", "[5, 4]"),
        (simple("A met B as it").replace("[4, 5]", "[4, 99]"), "span", "[4, 99]"),
        (simple("A met B as it").replace("[4, 5]", "5"), "type", "a mention as"),
        (simple("A met B as it").replace("[4, 5]", '["4", 5]'), "span", "['4', 5]"),
        (simple("A met B as it").replace("[4, 5]", "[4.0, 5]"), "span", "[4.0, 5]"),
        (simple("A met B as it").replace("[0, 1]", "[false, true]"), "span", "[False, True]"),
        (simple("A met B as it").replace('["A"], true', '["A"], 1'), "type", "true or false"),
        (simple("A met B as it").replace("true], [", "true, 1], ["), "span", "own tokens"),
        (simple("A met B as it").replace('"met"', '""'), "type", "list of tokens"),
        (simple("A met B as it").replace('"met"', "3"), "type", "list of tokens"),
        (simple("A met B as it").rpartition("\t")[0] + "\t[1]", "type", "two candidates"),
        (simple("A met B as it").rpartition("\t")[0] + "\t{}", "type", "lists"),
        (simple("A met B as it").rpartition("\t")[0] + "\t[", "json", "JSON"),
        (simple("A met B as it").rpartition("\t")[0], "columns", "Expected 7 columns, got 6"),
    ],
)
def test_xwino_defects_are_named(tmp_path, line, kind, reason):
    (case,), (reject,) = wino(tmp_path, line, simple("A met B as it"))
    assert (case.id, reject.line, reject.kind) == ("fr-2", 1, kind)
    assert reason in reject.reason


def test_xwino_minimal_pairs_are_one_group(tmp_path):
    texts = [
        "A met B as it left",
        "A met B as it came",
        "C saw D when he slept",
        "A met B as it left",
    ]
    cases, _ = wino(tmp_path, *map(simple, texts))
    assert [case.group for case in cases] == ["fr-1", "fr-1", "fr-3", "fr-4"]


def test_xwino_rejects_keep_their_place(tmp_path):
    good = [simple("A met B as it left"), simple("A met B as it came"), simple("C saw D when he")]
    path = written(tmp_path, "fr.tsv", "\n".join(["x", good[0], "x", good[1], "x", good[2], "x"]))
    outcomes = list(read_xwino(path))
    assert [getattr(o, "line", None) or o.id for o in outcomes] == [
        1, "fr-2", 3, "fr-4", 5, "fr-6", 7,
    ]  # fmt: skip
    assert outcomes[1].group == outcomes[3].group == "fr-2"


def test_xwino_holds_neither_many_minimal_pairs_nor_many_rejects(tmp_path):
    good = simple("A met B as it left")
    cases, rejects = wino(tmp_path, *["x"] * 3, good, *["x"] * 200, *[good] * 200)
    assert (len(cases), len(rejects)) == (201, 203)
    assert [case.id for case in cases[:2]] == ["fr-4", "fr-205"]


@pytest.mark.parametrize("first", ["en", "fr"])
def test_xwino_translations_are_in_the_group_of_their_reference(tmp_path, first):
    texts = ["A met B as it left", "A met B as it came", "C saw D when he slept"]
    french = ["X va Y si elle part", "X va Y si elle vient", "V est W ou il dort"]
    rows = {
        "en": [simple(text, lang="en") for text in texts],
        # The second of the schema stands alone, and first.
        "fr": [simple(french[i], reference=texts[i]) for i in (1, 2)],
    }
    order = ["en", "fr"] if first == "en" else ["fr", "en"]
    paths = [written(tmp_path, f"{lang}.tsv", "\n".join(rows[lang])) for lang in order]
    cases, _ = split(read_cases("xwino", paths))
    groups = {case.id: case.group for case in cases}
    assert groups["en-1"] == groups["en-2"] == groups["fr-1"]
    assert groups["en-3"] == groups["fr-2"] != groups["en-1"]
    schemas = Schemas()
    again = [case for path in paths for case in read_xwino(path, schemas=schemas)]
    assert again == cases


def test_xwino_rows_of_one_reference_are_a_minimal_pair(tmp_path):
    texts = ["X va Y si elle part", "V est W ou il dort"]
    cases, _ = wino(tmp_path, *(simple(text, reference="A met B as it left") for text in texts))
    assert cases[0].group == cases[1].group
    assert cases[0].extra["reference"] == "A met B as it left"


def test_xwino_languages_are_no_minimal_pairs(tmp_path):
    cases, _ = wino(tmp_path, simple("A met B as it"), simple("A met B as it", lang="pt"))
    assert cases[0].group != cases[1].group
