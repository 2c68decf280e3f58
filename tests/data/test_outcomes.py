"""Lines, tables, ids and counts: what every reader relies on."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from introspect.data import COLLECTIONS, Reject, SeenIds, Tally, read_cases, read_jsonl
from introspect.data.outcomes import checked_case
from introspect.errors import InputError, SelectionError
from introspect.io import lines as shared
from introspect.io import read_lines, read_table
from tests.data.helpers import split, written

LINE = '{"id": "%s", "text": "A cat and it.", "pronoun": [10, 12], "candidates": [%s]}'
CAT = '{"span": [2, 5], "antecedent": true}'


def case_line(id: str = "w1") -> str:
    return LINE % (id, CAT)


# --- lines ------------------------------------------------------------------------------------


def test_lines_are_numbered_and_blank_ones_left_out(tmp_path):
    path = written(tmp_path, "a", "one\n\n  \ntwo\r\nthree")
    assert [(row.line, row.raw) for row in read_lines(path)] == [
        (1, "one"),
        (4, "two"),
        (5, "three"),
    ]


def test_a_byte_order_mark_is_no_text(tmp_path):
    path = written(tmp_path, "a", b"\xef\xbb\xbfone\n\xef\xbb\xbftwo")
    assert [row.raw for row in read_lines(path)] == ["one", "\ufefftwo"]


def test_a_line_of_another_encoding_is_named_and_the_rest_goes_on(tmp_path):
    path = written(tmp_path, "a", b"one\ncaf\xe9\nthree\n")
    one, bad, three = read_lines(path)
    assert (one.fault, three.fault, three.raw) == (None, None, "three")
    assert bad.fault.kind == "encoding"
    assert "byte 0xE9 at character 3" in str(bad.fault)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_other_encodings_of_unicode_are_read_by_their_mark(tmp_path, encoding):
    lines = ["Die Füchsin 🦊", "", "它太累了。"] * 9_000
    path = written(tmp_path, "a", "\ufeff".encode(encoding) + "\r\n".join(lines).encode(encoding))
    rows = list(read_lines(path, keep_blank=True))
    assert [row.raw for row in rows] == lines
    assert [row.line for row in rows] == list(range(1, len(lines) + 1))


def test_utf_16_that_is_cut_off_is_read_up_to_there(tmp_path):
    path = written(tmp_path, "a", "one\ntwo\nthree".encode("utf-16")[:-1])
    one, two, last = read_lines(path)
    assert (one.raw, two.raw, last.raw) == ("one", "two", "thre")
    assert last.fault.kind == "damaged" and "UTF-16-LE" in str(last.fault)


def test_a_nul_is_a_fault(tmp_path):
    (row,) = read_lines(written(tmp_path, "a", b"a\0b\n"))
    assert row.fault.kind == "nul"


def test_the_separators_of_unicode_end_no_line(tmp_path):
    path = written(tmp_path, "a", "one\u2028two\u0085three\x0cfour\n")
    assert len(list(read_lines(path))) == 1


@pytest.mark.parametrize("end", ["\n", ""])
def test_a_line_that_is_too_long_is_skipped(tmp_path, monkeypatch, end):
    monkeypatch.setattr(shared, "LONGEST_LINE", 1000)
    path = written(tmp_path, "a", f"one\n{'x' * 200_000}{end}" + (f"three{end}" if end else ""))
    rows = list(read_lines(path))
    assert rows[1].fault.kind == "too_long"
    assert [row.raw for row in rows[2:]] == (["three"] if end else [])


def test_the_longest_line_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(shared, "LONGEST_LINE", 10)
    path = written(tmp_path, "a", "x" * 10 + "\n" + "y" * 10)
    assert [row.fault for row in read_lines(path)] == [None, None]


# Without a pronoun WinoGrande is refused before it is read.
NEEDED = {"winogrande": {"pronoun": "it"}}


@pytest.mark.parametrize("kind", sorted(COLLECTIONS))
@pytest.mark.parametrize("name", ["missing", "folder"])
def test_a_file_that_cannot_be_read_is_named(tmp_path, kind, name):
    (tmp_path / "folder").mkdir()
    for file in ("female_occupations.txt", "male_occupations.txt"):
        written(tmp_path, file, "nurse\n")
    with pytest.raises(InputError, match=f"{name}'.*Check the name"):
        list(read_cases(kind, tmp_path / name, **NEEDED.get(kind, {})))


@pytest.mark.parametrize("kind", sorted(COLLECTIONS))
@pytest.mark.parametrize("text", [b"", b"\n \n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_one_reject(tmp_path, kind, text):
    for file in ("female_occupations.txt", "male_occupations.txt"):
        written(tmp_path, file, "nurse\n")
    path = written(tmp_path, "empty", text)
    (reject,) = read_cases(kind, [path], **NEEDED.get(kind, {}))
    assert (reject.source, reject.line, reject.kind) == (str(path), 0, "empty")
    assert "empty" in reject.reason


# --- tables -----------------------------------------------------------------------------------


def test_a_quoted_field_goes_over_lines(tmp_path):
    path = written(tmp_path, "a", 'a,b\n"one\ntwo","say ""hi"""\nx,y\n')
    assert [(row.line, row.fields) for row in read_table(path)] == [
        (1, ("a", "b")),
        (2, ("one\ntwo", 'say "hi"')),
        (4, ("x", "y")),
    ]


def test_quotes_are_text_where_quoting_is_off(tmp_path):
    path = written(tmp_path, "a", 'a\tb\n"one\ttwo"\n')
    rows = list(read_table(path, delimiter="\t", quoting=False))
    assert rows[1].fields == ('"one', 'two"')


def test_too_many_and_too_few_columns_are_faults(tmp_path):
    path = written(tmp_path, "a", "a,b\n1\n1,2,3\n1,2\n,\n")
    _, few, many, sound = read_table(path)
    assert "Expected 2 columns, got 1" in str(few.fault)
    assert "got 3" in str(many.fault)
    assert sound.fault is None


def test_a_quotation_that_does_not_end_is_a_fault(tmp_path):
    path = written(tmp_path, "a", 'a,b\n1,"two\n3,4\n')
    *_, last = read_table(path)
    assert (last.line, last.fault.kind) == (2, "table")
    assert "Lines 2 to 3 cannot" in str(last.fault)
    path = written(tmp_path, "a", 'a,b\n1,"two"x\n3,4\n')
    _, bad, sound = read_table(path)
    assert (bad.line, bad.fault.kind, sound.fields) == (2, "table", ("3", "4"))


def test_a_fault_of_one_line_is_the_fault_of_its_row(tmp_path):
    path = written(tmp_path, "a", b'a,b\n"x\n\xe9","2"\n3,4\n')
    _, bad, sound = read_table(path)
    assert (bad.line, bad.fault.kind) == (2, "encoding")
    assert (sound.line, sound.fault) == (4, None)


def test_a_long_line_in_a_table_swallows_no_other(tmp_path, monkeypatch):
    monkeypatch.setattr(shared, "LONGEST_LINE", 1000)
    path = written(tmp_path, "a", 'a,b\n"' + "x" * 2000 + '","y"\n3,4\n')
    _, bad, sound = read_table(path)
    assert bad.fault.kind == "too_long"
    assert sound.fields == ("3", "4")


def test_a_header_that_cannot_be_read_is_an_error(tmp_path):
    path = written(tmp_path, "a.csv", b"text,pronoun,antecedent,distractor,gr\xf6\xdfe\n")
    with pytest.raises(InputError, match="line 1.*UTF-8"):
        list(read_cases("csv", path))


def test_a_column_named_twice_is_an_error(tmp_path):
    path = written(tmp_path, "a.csv", "text,text,pronoun,antecedent,distractor\n")
    with pytest.raises(InputError, match="'text' is there 2 times"):
        list(read_cases("csv", path))


@pytest.mark.parametrize("kind", ["csv", "gap", "winogender"])
def test_missing_columns_are_named_with_those_found(tmp_path, kind):
    path = written(tmp_path, "a", "this,that\nx,y\n")
    with pytest.raises(InputError, match=r"missing; found: this,\s?that"):
        list(read_cases(kind, path))


# --- rejects ----------------------------------------------------------------------------------


def test_the_row_of_a_reject_is_cut_and_can_be_written(tmp_path):
    path = written(tmp_path, "a", b"\xe9" + b"x" * 300 + b"\nshort\n")
    long, short = read_cases("jsonl", path)
    assert long.row == "\ufffd" + "x" * (shared.ROW_LENGTH - 1) + "…"
    assert short.row == "short"
    long.row.encode()


def test_a_row_over_several_lines_is_kept_as_it_stands(tmp_path):
    path = written(tmp_path, "a", 'text,pronoun,antecedent,distractor\n"It\nis.",he,cat,dog\n')
    (reject,) = read_cases("csv", path)
    assert reject.row == '"It\nis.",he,cat,dog'
    assert (reject.line, reject.kind) == (2, "mention")


# --- characters -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pronoun", "candidates", "kind"),
    [
        ((0, 2), [((3, 4), True), ((3, 4), False)], "same_span"),
        ((0, 2), [((1, 4), True)], "overlap"),
        ((0, 99), [((3, 4), True)], "span"),
        ((2, 0), [((3, 4), True)], "span"),
        ((-2, 1), [((3, 4), True)], "span"),
        ((2, 3), [((3, 4), True)], "span"),
        ((0, 2), [((5, 9), True)], "character"),
        ((0, 2), [((9, 10), True)], "character"),
    ],
)
def test_spans_are_checked(pronoun, candidates, kind):
    with pytest.raises(shared.RowError) as caught:
        checked_case("it a cafe\u0301s", pronoun, candidates)
    assert caught.value.kind == kind


# --- ids and counts ---------------------------------------------------------------------------


@given(st.lists(st.text(max_size=3), max_size=400))
def test_seen_ids_are_a_set(ids):
    seen, expected = SeenIds(), set()
    for id in ids:
        assert seen.add(id) is (id not in expected)
        expected.add(id)


def test_seen_ids_grow():
    seen = SeenIds()
    assert all(seen.add(f"case-{i}") for i in range(20_000))
    assert not any(seen.add(f"case-{i}") for i in range(20_000))


def test_an_id_of_an_earlier_case_is_rejected(tmp_path):
    path = written(tmp_path, "a.jsonl", "\n".join(map(case_line, ["w1", "w2", "w1"])))
    cases, (reject,) = split(read_jsonl(path))
    assert [case.id for case in cases] == ["w1", "w2"]
    assert (reject.line, reject.kind) == (3, "duplicate_id")
    assert "'w1'" in reject.reason


def test_ids_are_told_apart_across_files(tmp_path):
    first = written(tmp_path, "a.jsonl", case_line())
    second = written(tmp_path, "b.jsonl", case_line() + "\n" + case_line("w2"))
    cases, (reject,) = split(read_cases("jsonl", [first, second]))
    assert [case.id for case in cases] == ["w1", "w2"]
    assert (reject.source, reject.line) == (str(second), 1)


def test_a_kind_that_is_not_there_is_refused_at_once():
    with pytest.raises(
        SelectionError,
        match="winobias, winogender, gap, xwino, wsc, .*, csv, jsonl, got 'ontonotes'",
    ):
        read_cases("ontonotes", [])


def test_no_files_are_refused_at_once():
    with pytest.raises(InputError, match="at least one file"):
        read_cases("gap", [])


def test_every_collection_says_what_it_is():
    for collection in COLLECTIONS.values():
        assert collection.description
        assert collection.license


def test_a_tally_counts_cases_and_rejects_by_kind(tmp_path):
    lines = [case_line(), "{", "[]", case_line(), case_line("w2").replace("true", "false")]
    path = written(tmp_path, "a.jsonl", "\n".join(lines))
    tally = Tally.of(read_jsonl(path))
    assert (tally.cases, tally.outside_choice, tally.rejected) == (2, 2, 3)
    assert tally.rejects == {"json": 1, "type": 1, "duplicate_id": 1}


def test_a_tally_watches_what_passes(tmp_path):
    path = written(tmp_path, "a.jsonl", case_line() + "\n{\n")
    tally = Tally()
    watched = tally.watch(read_jsonl(path))
    next(watched)
    assert (tally.cases, tally.rejected) == (1, 0)
    assert isinstance(next(watched), Reject)
    assert tally.rejected == 1


# --- streaming --------------------------------------------------------------------------------


def gap_header() -> str:
    names = ["ID", "Text", "Pronoun", "Pronoun-offset"]
    names += [f"{name}{rest}" for name in "AB" for rest in ("", "-offset", "-coref")]
    return "\t".join([*names, "URL"]) + "\n"


REST = " and so on" * 10


def numbered_lines(kind: str, count: int):
    if kind == "jsonl":
        yield from (case_line(f"case-{i}") + "\n" for i in range(count))
    elif kind == "csv":
        yield "text,pronoun,antecedent,distractor\n"
        yield from (f"A cat and it and dog{REST}.,it,cat,dog\n" for _ in range(count))
    elif kind == "gap":
        yield gap_header()
        row = f"A cat and it and dog{REST}.\tit\t10\tcat\t2\tTRUE\tdog\t17\tFALSE\tu"
        yield from (f"case-{i}\t{row}\n" for i in range(count))
    elif kind == "winobias":
        yield from (
            f"{i} [The nurse] met the cook and [she] left{REST}\n" for i in range(1, count + 1)
        )
    else:
        row = '["it", "cat", "dog"]\t["it", [0, 1], ["it"]]\t' + (
            '[["cat", [1, 2], ["cat"], true], ["dog", [2, 3], ["dog"], false]]'
        )
        yield from (f"fr\toriginal\t?\tit cat dog\t{row}\n" for _ in range(count))


@pytest.mark.parametrize(
    ("kind", "count"),
    [
        ("jsonl", 10_000),
        *(
            pytest.param(kind, 10_000, marks=pytest.mark.slow)
            for kind in ("csv", "gap", "winobias", "xwino")
        ),
    ],
)
def test_a_large_file_is_never_in_memory(tmp_path, kind, count):
    for file in ("female_occupations.txt", "male_occupations.txt"):
        written(tmp_path, file, "nurse\ncook\n")
    path = tmp_path / "large"
    with path.open("w", encoding="utf-8") as stream:
        stream.writelines(numbered_lines(kind, count))
    outcomes = read_cases(kind, path)
    watched = 2_500  # watching makes reading slow
    tracemalloc.start()
    try:
        ids = {next(outcomes).id is not None for _ in range(watched)}
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert ids == {True}
    assert peak < 1_000_000 < path.stat().st_size
    assert sum(1 for _ in outcomes) == count - watched


def test_seen_ids_are_small():
    tracemalloc.start()
    try:
        seen = SeenIds()
        for i in range(20_000):
            seen.add(f"a-rather-long-name-of-a-case-{i}")
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 32 * 20_000
    assert peak < 64 * 20_000
