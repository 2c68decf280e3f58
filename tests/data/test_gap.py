"""GAP: as measured, by hand, and what is wrong in it."""

from __future__ import annotations

import pytest

from introspect.data import (
    Tally,
    read_gap,
)
from tests.data.helpers import baseline, collection, marked, split, written

GAP_NAMES = ["ID", "Text", "Pronoun", "Pronoun-offset"]


GAP_NAMES += [f"{name}{rest}" for name in "AB" for rest in ("", "-offset", "-coref")] + ["URL"]


GAP_ROW = ["g1", 'Ann met "Bo" and she left.', "she", "17", "Ann", "0", "TRUE", "Bo", "9", "FALSE"]


GAP_ROW += ["http://page"]


def gap(folder, *rows, **options):
    text = "\n".join("\t".join(row) for row in (GAP_NAMES, *rows))
    return split(read_gap(written(folder, "gap.tsv", text), **options))


def changed(**values):
    given = {name.replace("_", "-"): value for name, value in values.items()}
    return [given.get(n, v) for n, v in zip(GAP_NAMES, GAP_ROW, strict=True)]


@pytest.mark.parametrize(
    ("name", "rows", "usable", "after", "expected"),
    [("validation", 454, 392, 80, (53.8, 47.7)), ("development", 2000, 1799, 353, (49.2, 48.6))],
)
def test_gap_as_measured(name, rows, usable, after, expected):
    path = collection("gap", f"gap-{name}.tsv")
    cases, rejects = split(read_gap(path))
    assert (len(cases), len(cases) + len(rejects)) == (usable, rows)
    assert {reject.kind for reject in rejects} == {"neither"}
    assert baseline(cases) == expected
    assert all(case.is_forced_choice for case in cases)
    following = [c for c in cases if c.antecedents[0].span[0] > c.pronoun[0]]
    assert len(following) == after
    tally = Tally.of(read_gap(path, keep_neither=True))
    assert (tally.cases, tally.outside_choice, tally.rejected) == (rows, rows - usable, 0)


def test_gap_row(tmp_path):
    (case,), _ = gap(tmp_path, GAP_ROW)
    assert marked(case) == '[+Ann] met "[-Bo]" and <she> left.'
    assert (case.id, case.group) == ("g1", "http://page")
    assert dict(case.extra) == {"url": "http://page", "gender": "female"}


def test_gap_quotation_marks_are_text(tmp_path):
    opened = changed(Text='"Ann, Mr. Bo, she left.', A_offset="1", B_offset="10")
    opened[GAP_NAMES.index("Pronoun-offset")] = "14"
    (case,), _ = gap(tmp_path, opened)
    assert marked(case) == '"[+Ann], Mr. [-Bo], <she> left.'


@pytest.mark.parametrize(
    ("values", "kind", "reason"),
    [
        ({"A_coref": "FALSE"}, "neither", "Neither name"),
        ({"A_coref": "true"}, "type", "A-coref as TRUE or FALSE, got 'true'"),
        ({"B_offset": "-9"}, "type", "B-offset as a whole number"),
        ({"B_offset": "٩"}, "type", "B-offset as a whole number"),
        ({"B_offset": "9" * 5000}, "type", "B-offset as a whole number"),
        ({"B_offset": "8"}, "span", "Expected 'Bo' at character 8, got '\"B'"),
        ({"Pronoun_offset": "999"}, "span", "got ''"),
        ({"A": "", "A_offset": "3"}, "span", "Expected ''"),
        ({"A": "she", "A_offset": "17"}, "overlap", "overlaps the pronoun"),
        ({"A": "Bo", "A_offset": "9"}, "same_span", "'Bo'"),
        ({"URL": "x\ty"}, "columns", "Expected 11 columns, got 12"),
        ({"Text": "x" * 200_000}, "table", "131072 characters"),
    ],
)
def test_gap_defects_are_named(tmp_path, values, kind, reason):
    (case,), (reject,) = gap(tmp_path, changed(**values), changed(ID="g2"))
    assert (case.id, reject.line, reject.kind) == ("g2", 2, kind)
    assert reason in reject.reason


def test_gap_rows_with_both_names_right_are_outside_forced_choice(tmp_path):
    (case,), rejects = gap(tmp_path, changed(B_coref="TRUE"))
    assert rejects == []
    assert not case.is_forced_choice
