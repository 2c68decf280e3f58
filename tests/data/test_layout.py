"""What a file holds and how it is read: one reader, and every doubt an error in words."""

from __future__ import annotations

import csv
import io
import json
import re

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from introspect.data import (
    InputSet,
    PlainSentence,
    Reject,
    convert,
    read_case_rows,
    read_sentences,
)
from introspect.errors import InputError, IntrospectError, SelectionError
from introspect.text import CorefCase
from tests.data.helpers import marked
from tests.data.sentence_helpers import written

CAT = "The cat sat on the mat."
FOX = "The fox ran away."
CASE = "The trunk did not fit on the cart because it was too big."
WORDS = f"text;pronoun;antecedent;distractor\n{CASE};it;trunk;cart\n"
MARKED = "The [+trunk] did not fit on the [-cart] because <it> was too big."


OF_WORDS = {"text": CASE, "pronoun": "it", "antecedent": "trunk", "distractor": "cart"}
OF_LISTS = {"Antecedents": ["trunk"], "Distractors": ["cart"]}
RIGHT = {"span": [4, 9], "antecedent": True}
WRONG = {"span": [29, 33], "antecedent": False}
OF_SPANS = {"text": CASE, "pronoun": [42, 44], "candidates": [RIGHT, WRONG]}
TARGET = {"span1_index": 0, "span1_text": "The trunk", "span2_index": 9, "span2_text": "it"}
GAP = "ID\tText\tPronoun\tPronoun-offset\tA\tA-offset\tA-coref\tB\tB-offset\tB-coref\tURL\n"
CONLL = "#begin document (d); part 000\nd 0 0 It - * - - - A * (0)\n\n#end document\n"


def texts_of(path, **options):
    return [s.text for s in read_sentences(InputSet(path, **options))]


def cases_of(path, **options):
    return [marked(case) for _, _, case in read_case_rows(InputSet(path, **options))]


# --- tables of sentences -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_what_separates_the_columns_is_found(tmp_path, name, start, delimiter):
    rows = [["text", "label"], [CAT, "1"], [FOX, "0"]]
    content = start + "\r\n".join(delimiter.join(row) for row in rows)
    assert texts_of(written(tmp_path, name, content)) == [CAT, FOX]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.csv", f"sep=;\ntext;label\n{CAT};1\n", [CAT]),
        ("a.csv", f'"sep=|"\nlabel|text\n1|{CAT}\n', [CAT]),
        ("a.csv", "text;label\nOne, two.;1\nFour, five.;0\n", ["One, two.", "Four, five."]),
        ("a.csv", "text,label\nOne; two; three.,1\nFour.,0\n", ["One; two; three.", "Four."]),
        ("a.csv", f"Text,Label\n{CAT},1\n", [CAT]),
        ("a.csv", f",SENTENCE\n0,{CAT}\n", [CAT]),
        ("a.csv", f"id,comment\na-17,{CAT}\n", [CAT]),
        ("a.csv", f"stars,review\n5,{CAT}\n", [CAT]),
        ("a.csv", f"{CAT},1\n{FOX},0\n", [CAT, FOX]),
        ("a.csv", "A cat sat on a mat,1\nIt ran,0\n", ["A cat sat on a mat", "It ran"]),
        ("a.csv", f"{CAT}\n{FOX}\n", [CAT, FOX]),
        ("a.csv", "它累了。\n狐狸跑了。\n", ["它累了。", "狐狸跑了。"]),
        ("a.tab", f"label\ttext\n1\t{CAT}\n", [CAT]),
        ("a.ndjson", json.dumps({"text": CAT}), [CAT]),
        ("a.json", json.dumps([{"text": CAT}, {"text": FOX}], indent=1), [CAT, FOX]),
        ("a.json", json.dumps({"text": CAT}) + "\n" + json.dumps({"text": FOX}), [CAT, FOX]),
        ("a.json", json.dumps({"text": CAT}, indent=2), [CAT]),
        ("a.jsonl", json.dumps([{"text": CAT}, {"text": FOX}]), [CAT, FOX]),
        ("a.jsonl", json.dumps({"id": "7", "body": CAT}), [CAT]),
    ],
)  # fmt: skip
def test_tables_and_objects_as_people_have_them(tmp_path, name, content, expected):
    assert texts_of(written(tmp_path, name, content)) == expected


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig"])
def test_a_table_in_another_encoding_is_read_by_its_mark(tmp_path, encoding):
    mark = "" if encoding in ("utf-16", "utf-8-sig") else "\ufeff"
    content = (mark + f"text;label\nÜbermaß, {CAT};1\n").encode(encoding)
    assert texts_of(written(tmp_path, "a.csv", content)) == [f"Übermaß, {CAT}"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", '{"id": "0", "tokens": ["A"]}', "found: id, tokens. tokens holds lists"),
        ("a.jsonl", '{"id": "0", "words": ["A"], "tags": [1]}', "words and tags hold lists"),
        ("a.jsonl", '{"key": "a b", "sentences": [["A"]]}', "sentences holds lists"),
        ("a.csv", f"title,body\n{CAT},{FOX}\n", "found: title, body"),
        ("a.csv", f"Satz,Wort,davor,Ablenker\n{CAT},the,Cat,\n{CAT},The,cat,mat|sat\n",
         "these may be cases. Say which is which with columns=… (--columns text=Satz,"),
        ("a.jsonl", json.dumps({"frase": CASE, "pronome": "it", "a": "trunk", "b": "cart"}),
         "--columns text=frase,pronoun=…"),
        ("a.csv", "文章,代词,先行词,干扰项\n箱子太大。,它,箱子,车\n",
         "(--columns text=NAME,pronoun=NAME"),
        ("a.csv", "text;label\nno more columns\nthan one here\n", "it may be semicolon"),
        ("a.csv", "Answer in a few words of yours,1\nnothing,2\n", None),
        ("a.csv", "How was the food on this day\ngood\n", "--heading, --no-heading"),
        ("a.csv", f"sep=/\ntext/label\n{CAT}/1\n", "sep=/"),
        ("a.txt", "text\tlabel\nIt sat.\t1\n", "divided by tabs"),
        ("a.txt", '{"text": "It sat."}\n', "got JSON"),
        ("a.txt", '[{"text": "It sat."}]\n', "got JSON"),
        ("a.csv", f"{CASE};it;trunk;cart\n{CASE};it;cart;trunk\n", "--columns text=1,pronoun"),
    ],
)  # fmt: skip
def test_a_doubt_is_an_error_that_names_what_was_found(tmp_path, name, content, message):
    path = written(tmp_path, name, content)
    if message is None:
        assert texts_of(path) == ["Answer in a few words of yours", "nothing"]
        return
    with pytest.raises(InputError) as caught:
        texts_of(path)
    assert message in str(caught.value)


def test_what_the_caller_says_ends_a_doubt(tmp_path):
    path = written(tmp_path, "a.csv", f"How was the food on this day\n{CAT}\n")
    assert texts_of(path, heading=True) == [CAT]
    assert texts_of(path, heading=False) == ["How was the food on this day", CAT]
    path = written(tmp_path, "b.csv", "text;a|b\nOne;two|three\n")
    assert texts_of(path, delimiter="semicolon", column="a|b") == ["two|three"]
    assert texts_of(path, delimiter="|", column="text;a") == ["One;two"]
    path = written(tmp_path, "c.csv", f"{CAT},{FOX}\n")
    assert texts_of(path, heading=False, column="2") == [FOX]
    with pytest.raises(InputError, match="a delimiter from comma, semicolon"):
        texts_of(path, delimiter="/")


# --- cases wherever they are ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", WORDS),
        ("a.csv", "sep=;\r\n" + WORDS),
        ("a.csv", WORDS.replace("text;pronoun;ante", "Sentence;PRONOUN;Ante")),
        ("a.tsv", WORDS.replace(";", "\t")),
        ("a.jsonl", json.dumps(OF_WORDS)),
        ("a.json", json.dumps([{"Text": CASE, "Pronoun": "it", **OF_LISTS}])),
        ("a.json", json.dumps([OF_SPANS], indent=2)),
    ],
)  # fmt: skip
def test_a_table_of_cases_is_read_as_cases(tmp_path, name, content):
    assert cases_of(written(tmp_path, name, content)) == [MARKED]


def test_cases_in_parquet_and_in_a_workbook(tmp_path):
    table = pd.DataFrame(
        [[CASE, "it", "trunk", "cart"]], columns=["Text", *WORDS.split("\n")[0].split(";")[1:]]
    )
    table.to_parquet(tmp_path / "a.parquet")
    assert cases_of(tmp_path / "a.parquet") == [MARKED]
    pytest.importorskip("openpyxl")
    table.to_excel(tmp_path / "a.xlsx", index=False)
    assert cases_of(tmp_path / "a.xlsx") == [MARKED]
    assert texts_of(tmp_path / "a.xlsx", column="text") == [CASE]
    with pd.ExcelWriter(tmp_path / "b.xlsx") as book:
        table.to_excel(book, sheet_name="one", index=False)
        table.to_excel(book, sheet_name="two", index=False)
    with pytest.raises(InputError, match="one sheet with cells in .*, got one and two"):
        cases_of(tmp_path / "b.xlsx")
    written(tmp_path, "c.xlsx", "text\n")
    with pytest.raises(InputError, match="an Excel workbook .*CSV UTF-8"):
        cases_of(tmp_path / "c.xlsx")


def test_a_workbook_without_its_reader_says_how_to_go_on(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "openpyxl", None)
    with pytest.raises(InputError, match="pip install openpyxl.*CSV UTF-8"):
        texts_of(written(tmp_path, "a.xlsx", "x"))


def test_other_headings_are_named_or_asked_for(tmp_path):
    path = written(
        tmp_path, "a.csv", f"Sentence,Pronoun,Correct,Other,Third\n{CASE},it,trunk,cart,\n"
    )
    with pytest.raises(InputError, match="antecedent and distractor are missing; found: Sentence"):
        cases_of(path)
    columns = {"antecedent": "Correct", "distractor": ["other", "Third"]}
    assert cases_of(path, columns=columns) == [MARKED]
    assert texts_of(path, column="sentence") == [CASE]
    with pytest.raises(InputError, match="the column 'Wrong' for the antecedent"):
        cases_of(path, columns={"antecedent": "Wrong"})
    with pytest.raises(InputError, match="got one for 'gold'"):
        cases_of(path, columns={"gold": "Correct"})


def test_a_column_without_a_role_is_kept_whatever_its_name(tmp_path):
    path = written(
        tmp_path,
        "a.csv",
        f"Text,text2,pronoun,antecedent,distractor,candidates\n{CASE},x,it,trunk,cart,y\n",
    )
    ((_, _, case),) = read_case_rows(InputSet(path))
    assert dict(case.extra) == {"text2": "x", "column candidates": "y"}


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.jsonl", {"text": CASE, "target": TARGET, "idx": 0, "label": True}, "wsc"),
        ("a.jsonl", {"doc_key": "d", "sentences": [["It", "sat"]], "clusters": []}, "clusters"),
        ("a.tsv", GAP, "gap"),
        ("a.conll", CONLL, "conll2012"),
        ("a.txt", f"{CASE}\nit\nThe trunk,the cart\nThe trunk\n\n", "dpr"),
    ],
)  # fmt: skip
def test_a_published_form_is_refused_with_the_command_that_converts(tmp_path, name, content, kind):
    content = content if isinstance(content, str) else json.dumps(content)
    with pytest.raises(InputError, match=f"introspect cases {kind} .*--out cases.jsonl"):
        texts_of(written(tmp_path, name, content))


# --- in memory -----------------------------------------------------------------------------------


def test_what_is_in_memory_is_an_input(tmp_path):
    assert texts_of([CAT, FOX]) == [CAT, FOX]
    assert [s.id for s in read_sentences([CAT, FOX])] == ["texts:1", "texts:2"]
    table = pd.DataFrame({"review": [CAT, None, FOX], "stars": [5, 1, 2.5]})
    outcomes = list(read_sentences(table))
    assert [s.text for s in outcomes if isinstance(s, PlainSentence)] == [CAT, FOX]
    assert [(r.line, r.kind) for r in outcomes if isinstance(r, Reject)] == [(2, "type")]
    assert texts_of(pd.DataFrame({"a": [CAT], "b": [FOX]}), column="b") == [FOX]
    case = CorefCase.from_words(CASE, pronoun="it", antecedent="trunk", distractors=["cart"])
    assert cases_of([case]) == cases_of(case) == [MARKED]
    path = written(tmp_path, "a.txt", f"{CAT}\n")
    assert texts_of([str(path)]) == [CAT]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (None, "got NoneType"),
        (3, "got int"),
        ({"text": CAT}, "got dict"),
        (b"text", "got bytes"),
        ([1, 2], "a list of int"),
        ([CAT, 3], "a list of int and paths or texts"),
        ([None], "a list of NoneType"),
        ([], "got nothing"),
        (["missing.txt"], "there is none"),
        (["no/such/file"], "there is none"),
        (CAT, r"give a list: \[text\]"),
    ],
)
def test_what_is_no_input_is_refused_in_words(inputs, message):
    with pytest.raises(InputError, match=message):
        texts_of(inputs)


# --- what was read is said -----------------------------------------------------------------------


def test_what_was_read_is_said(tmp_path):
    path = written(tmp_path, "a.csv", f"text;label\n{CAT};1\n")
    (line,) = InputSet(path).words
    assert line == (
        f"reading plain sentences from a.csv (semicolons between columns; text from “text”); "
        f"first text: “{CAT}”"
    )
    (layout,) = InputSet(path).layouts
    assert layout.facts["columns"] == {"text": ["text"]} and layout.facts["delimiter"] == ";"
    for name in ("b/a.txt", "b/b.txt", "b/c.txt"):
        written(tmp_path, name, f"{FOX}\n")
    (line,) = InputSet(tmp_path / "b").words
    assert (
        line
        == f"reading plain sentences from a.txt; first text: “{FOX}”, and 2 more files read alike"
    )


# --- whatever comes ------------------------------------------------------------------------------

CELL = st.text(st.sampled_from('ab ,;|\t"\n.!?1狐él\u0301'), max_size=8)
HEADINGS = st.sampled_from(
    ["text", "Sentence", "id", "label", "pronoun", "antecedent", "distractor", "x y"]
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    heading=st.lists(HEADINGS, min_size=0, max_size=4),
    rows=st.lists(st.lists(CELL, min_size=1, max_size=4), min_size=1, max_size=5),
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
    name=st.sampled_from(["a.csv", "a.tsv", "a.txt"]),
)
def test_no_table_gives_a_text_that_is_not_in_it(tmp_path, heading, rows, delimiter, name):
    target = io.StringIO()
    csv.writer(target, delimiter=delimiter).writerows([heading, *rows] if heading else rows)
    check_read(written(tmp_path, name, target.getvalue()), rows, [heading])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | CELL,
    lambda each: st.lists(each, max_size=2),
    max_leaves=3,
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    rows=st.lists(st.dictionaries(HEADINGS, JSON, min_size=1, max_size=3), min_size=1, max_size=4),
    is_array=st.booleans(),
    broken=st.booleans(),
)
def test_no_objects_give_a_text_that_is_not_in_them(tmp_path, rows, is_array, broken):
    content = json.dumps(rows) if is_array else "\n".join(map(json.dumps, rows))
    path = written(tmp_path, "a.jsonl", content + ("\n{broken" if broken and not is_array else ""))
    check_read(path, [row.values() for row in rows])


def check_read(path, rows, headings=()):
    """Every row is read or rejected once, with a text that stands in a cell of it; or an error."""
    cells = {cell for row in [*rows, *headings] for cell in row if isinstance(cell, str)}
    content_of_file = path.read_bytes().decode()
    try:
        inputs = InputSet(path)
        content = inputs.content
        outcomes = (
            [outcome for _, _, outcome in read_case_rows(inputs)]
            if content == "cases"
            else list(read_sentences(inputs))
        )
    except IntrospectError as error:
        assert str(error).startswith(("Expected", str(path)))
        return
    for outcome in outcomes:
        if not isinstance(outcome, Reject):
            assert outcome.text in cells or outcome.text in content_of_file
    check_counts(path, inputs, len(outcomes))
    if path.suffix == ".jsonl":
        extra = len(path.read_text().splitlines()) > 1 and "{broken" in path.read_text()
        assert len(rows) <= len(outcomes) <= len(rows) + extra


def check_counts(path, inputs, number):
    """Every row below a heading has one outcome: by lines, or by the csv module of Python."""
    (layout,) = inputs.layouts
    with path.open(encoding="utf-8", newline="") as stream:
        content = stream.read()
    if path.suffix == ".txt":
        rows = re.findall(r"[^\n]*\n|[^\n]+$", content)
    elif path.suffix in (".csv", ".tsv") and layout.reader.table is not None:
        table = layout.reader.table
        mode = csv.QUOTE_MINIMAL if table.quoting else csv.QUOTE_NONE
        lines = re.findall(r"[^\n]*\n|[^\n]+$", content)
        rows = list(csv.reader(lines, delimiter=table.delimiter, quoting=mode))
        rows = ["".join(row).strip() for row in rows]
        first = next((place for place, row in enumerate(rows) if row), 0)
        rows = rows[first + 1 :] if table.has_heading else rows
    else:
        return
    if layout.content == "cases":
        rows = [row for row in rows if row]
    if path.suffix == ".txt" and layout.reader.heading:
        rows = rows[layout.reader.heading.line :]
    assert number == max(len(rows), 1)  # Without a row, the file as a whole is rejected.


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    lines=st.lists(
        st.sampled_from(
            ["", "# text = It sat", "1\tIt\tit\tPRON\t_\t_\t2\tnsubj\t_\t_",
             "2\tsat\tsit\tVERB\t_\t_\t0\troot\t_\t_", "1\tIt", "x"]
        ),
        min_size=1,
        max_size=8,
    )
)  # fmt: skip
def test_every_block_of_a_treebank_is_read_or_rejected(tmp_path, lines):
    path = written(tmp_path, "a.conllu", "\n".join(lines))
    outcomes = list(read_sentences(path))
    blocks = [block for block in re.split(r"\n\n+", "\n".join(lines)) if block.strip()]
    assert len(outcomes) == max(len(blocks), 1)
    for outcome in outcomes:
        if not isinstance(outcome, Reject):
            assert set(outcome.text.split()) <= {"It", "sat"}


def test_a_blank_line_above_a_heading_is_no_row(tmp_path):
    assert texts_of(written(tmp_path, "a.csv", f"\n,\ntext,n\n{CAT},1\n")) == [CAT]


def test_a_converted_table_has_the_headings_that_are_named(tmp_path):
    path = written(tmp_path, "a.csv", f"Sentence,Pronoun,Correct,Other\n{CASE},it,trunk,cart\n")
    columns = {"antecedent": "Correct", "distractor": "Other"}
    assert convert("csv", [path], tmp_path / "cases.jsonl", columns=columns).tally.cases == 1
    assert cases_of(tmp_path / "cases.jsonl") == [MARKED]
    with pytest.raises(SelectionError, match="`columns` .*for csv only, got them for 'gap'"):
        convert("gap", [path], tmp_path / "x.jsonl", columns=columns)


def test_elements_of_an_array_on_one_line_are_rows_of_their_own(tmp_path):
    path = written(tmp_path, "a.json", json.dumps([{"text": CAT}, {"text": FOX}]))
    assert [s.id for s in read_sentences(path)] == ["a.json:1", "a.json:2"]
    path = written(tmp_path, "b.json", json.dumps([CAT, FOX]))
    assert texts_of(path) == [CAT, FOX]
    path = written(tmp_path, "c.jsonl", f"{json.dumps(CAT)}\n{json.dumps(FOX)}\n")
    assert texts_of(path) == [CAT, FOX]


def test_a_number_is_the_place_of_a_column_and_no_heading(tmp_path):
    path = written(tmp_path, "a.csv", f"{CAT},{FOX},1\n{FOX},{CAT},0\n")
    with pytest.raises(InputError, match="found: 1, 2, 3"):
        texts_of(path)
    assert texts_of(path, column="1") == [CAT, FOX]
    assert texts_of(pd.DataFrame([[CAT, FOX]]), column=0) == [CAT]
    assert texts_of(written(tmp_path, "b.csv", f"0,1\n{CAT},{FOX}\n"), column="0") == [CAT]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", f"My survey,\n,\nid,text\n1,{CAT}\n", "above the heading"),
        ("a.csv", f"Report,\ntext,label\n{CAT},1\n", "got “Report” above “text, label”"),
        ("a.csv", f"Export of today\nid,text\n1,{CAT}\n", "above the heading"),
        ("a.csv", f"# today\ntext;label\n{CAT};1\n{FOX};0\n", "above the heading"),
        ("a.csv", f"text^label\n{CAT}^1\n{FOX}^0\n", r"separated by '\^': “text\^label”"),
        ("a.csv", f"Satz~Nummer\n{CAT}~1\n{FOX}~0\n", "separated by '~'"),
        ("a.csv", f"text；label\n{CAT}；1\n{FOX}；0\n", "separated by '；'"),
        ("a.txt", f"1::{CAT}\n2::{FOX}\n", "separated by '::'"),
        ("a.txt", f"id:text\n1:{CAT}\n", "separated by ':'"),
        ("a.txt", f"{CAT}\t1\n{FOX}\t0\n", "divided by tabs"),
        ("a.txt", "The\tDT\ncat\tNN\n\nIt\tPRP\n", "divided by tabs"),
    ],
)
def test_what_stands_above_or_between_is_asked_for(tmp_path, name, content, message):
    with pytest.raises(InputError, match=message):
        texts_of(written(tmp_path, name, content))


def test_marks_of_texts_separate_no_columns(tmp_path):
    lines = ["No: it ran.", "Yes: it sat.", "It ran (fast).", "It cost 5 € / 6 $."]
    assert texts_of(written(tmp_path, "a.txt", "\n".join(lines) + "\n")) == lines
    lines = ["A~b ran.", "A~b sat."]
    assert texts_of(written(tmp_path, "b.txt", "\n".join(lines)), heading=False) == lines


def test_old_line_ends_are_a_fault_and_not_one_text(tmp_path):
    (reject,) = read_sentences(written(tmp_path, "a.txt", f"{CAT}\r{FOX}\r"))
    assert reject.kind == "line_ends" and "line ends" in reject.reason


def test_columns_of_a_table_in_memory_have_names_of_their_own():
    with pytest.raises(InputError, match="'text' is there 2 times"):
        texts_of(pd.DataFrame([[CAT, "x"]], columns=["text", "text"]))
    assert texts_of(pd.Series([CAT, FOX])) == [CAT, FOX]


def test_the_columns_of_objects_are_those_of_the_first_rows_together(tmp_path):
    other = {**OF_WORDS, "distractors": ["cart"]}
    del other["distractor"]
    content = f"{json.dumps(other)}\n{json.dumps(OF_WORDS)}\n"
    assert cases_of(written(tmp_path, "a.jsonl", content)) == [MARKED, MARKED]


def test_a_heading_alone_is_not_called_an_empty_file(tmp_path):
    (reject,) = read_sentences(written(tmp_path, "a.csv", "text,label\n"))
    assert reject.kind == "empty" and "no row to read" in reject.reason
