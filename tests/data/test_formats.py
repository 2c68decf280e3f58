"""Sentences from every format, whole: texts, ids, lines and columns."""

from __future__ import annotations

import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from introspect.data import PlainSentence, read_sentences
from introspect.data.cells import kind_of_cell
from introspect.errors import InputError
from tests.data.sentence_helpers import (
    CODECS,
    FILES,
    LINES_BEFORE,
    WRITERS,
    as_csv,
    as_txt,
    packed,
    texts,
    written,
)

TEXTS = ["The cat sat.", 'She said "no", twice.', "  Ein Übermaß an 猫 und 😀 ", "{not json}"]


# --- formats ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("format", "ending"), FILES)
def test_each_format_gives_texts_ids_and_lines(tmp_path, format, ending):
    content = WRITERS[format](TEXTS)
    content = packed(content, CODECS[ending]) if ending else content
    path = written(tmp_path, f"a.{format}{ending}", content)
    before = LINES_BEFORE.get(format, 0)
    assert list(read_sentences(path)) == [
        PlainSentence(f"{path.name}:{line}", text, str(path), line)
        for line, text in enumerate(TEXTS, before + 1)
    ]


# What ends a line in one of the formats, or is no text by itself.
NO_TEXT = st.characters(codec="utf-8", exclude_characters="\0")
ONE_LINE = st.text(
    st.characters(codec="utf-8", exclude_characters="\0\r\n\t\ufeff"), min_size=1
).filter(lambda text: text.strip() and kind_of_cell(text) is None)
SEVERAL_LINES = st.text(NO_TEXT, min_size=1).filter(
    lambda text: text.strip() and kind_of_cell(text) is None
)


@pytest.mark.parametrize("format", ["txt", "tsv"])
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(given_texts=st.lists(ONE_LINE, min_size=1, max_size=5))
def test_lines_come_back_as_they_were_written(tmp_path, format, given_texts):
    path = written(tmp_path, f"a.{format}.gz", packed(WRITERS[format](given_texts), "gzip"))
    assert texts(read_sentences(path)) == given_texts


@pytest.mark.parametrize("format", ["csv", "jsonl", "parquet"])
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(given_texts=st.lists(SEVERAL_LINES, min_size=1, max_size=5))
def test_texts_of_several_lines_come_back_as_they_were_written(tmp_path, format, given_texts):
    path = written(tmp_path, f"a.{format}", WRITERS[format](given_texts))
    assert texts(read_sentences(path)) == given_texts


def test_the_line_of_a_quoted_field_is_its_first(tmp_path):
    path = written(tmp_path, "a.csv", 'text\n"one\ntwo"\nthree\n')
    assert [(s.line, s.text) for s in read_sentences(path)] == [(2, "one\ntwo"), (4, "three")]


def test_quotation_marks_of_a_tsv_are_characters(tmp_path):
    path = written(tmp_path, "a.tsv", 'label\ttext\n1\t"open\n2\tnext\n')
    assert texts(read_sentences(path)) == ['"open', "next"]


def test_trees_give_their_texts(tmp_path):
    row = "1\tGo\tgo\tVERB\t_\t_\t0\troot\t_\t_"
    path = written(tmp_path, "a.conllu", f"# text = Go\n{row}\n\n# text = Go\n{row}\n")
    assert [(s.id, s.text) for s in read_sentences(path)] == [
        ("a.conllu:1", "Go"),
        ("a.conllu:4", "Go"),
    ]


def test_a_format_may_be_said(tmp_path):
    path = written(tmp_path, "a.dat", as_csv(TEXTS))
    assert texts(read_sentences(path, format="csv")) == TEXTS
    assert len(texts(read_sentences(path, format="txt"))) == 1 + len(TEXTS)


def test_a_compressed_file_needs_no_ending(tmp_path):
    path = written(tmp_path, "a.txt", packed(as_txt(TEXTS), "zstd"))
    assert texts(read_sentences(path)) == TEXTS


def test_several_packed_parts_are_one(tmp_path):
    for ending, codec in CODECS.items():
        content = packed(b"one\n", codec) + packed(b"two\n", codec)
        path = written(tmp_path, f"a.txt{ending}", content)
        assert texts(read_sentences(path)) == ["one", "two"]


# --- columns ----------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize(
    ("rows", "column", "expected"),
    [
        ([{"review": "a"}], None, "a"),
        ([{"review": "a", "text": "b"}], None, "b"),
        ([{"sentence": "a", "note": "b"}], None, "a"),
        ([{"review": "a", "text": "b"}], "review", "a"),
    ],
)
def test_the_column_is_asked_for_or_clear(tmp_path, format, rows, column, expected):
    path = written(tmp_path, f"a.{format}", rows_as(format, rows))
    assert texts(read_sentences(path, column=column)) == [expected]


@pytest.mark.parametrize("format", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize(
    ("rows", "column", "message"),
    [
        ([{"one": "a", "two": "b"}], None, "found: one, two. Name one with column"),
        ([{"text": "a", "sentence": "b"}], None, "found: text, sentence"),
        ([{"one": "a", "two": "b"}], "three", "'three' in .*found: one, two"),
    ],
)
def test_a_column_is_never_guessed(tmp_path, format, rows, column, message):
    path = written(tmp_path, f"a.{format}", rows_as(format, rows))
    with pytest.raises(InputError, match=message):
        list(read_sentences(path, column=column))


def rows_as(format, rows):
    if format == "jsonl":
        return as_txt([json.dumps(row) for row in rows])
    if format == "parquet":
        target = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(rows), target)
        return target.getvalue()
    return as_txt([",".join(rows[0]), *(",".join(row.values()) for row in rows)])


@pytest.mark.parametrize("format", ["jsonl", "parquet"])
def test_the_only_column_of_texts_is_taken_among_numbers(tmp_path, format):
    path = written(tmp_path, f"a.{format}", rows_as(format, [{"label": 1, "review": "good"}]))
    assert texts(read_sentences(path)) == ["good"]
    if format == "parquet":
        with pytest.raises(InputError, match="Expected texts in the column 'label'"):
            list(read_sentences(path, column="label"))


def test_a_column_that_is_null_in_the_first_row_may_be_meant(tmp_path):
    path = written(tmp_path, "a.jsonl", rows_as("jsonl", [{"id": "1", "body": None}]))
    with pytest.raises(InputError, match="found: id, body"):
        list(read_sentences(path))


def test_packed_categories_are_texts(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": pa.array(["a", "b", "a"]).dictionary_encode()}), path)
    assert texts(read_sentences(path)) == ["a", "b", "a"]
