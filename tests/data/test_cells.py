"""What stands where a text should be: numbers, dates, lists, marks of none, other files."""

from __future__ import annotations

import datetime
import json

import pandas as pd
import pytest

from introspect.data import InputSet, Reject, convert, read_case_rows, read_sentences
from introspect.data.cells import kind_of_cell, literal_of
from introspect.errors import InputError
from introspect.text import CorefCase
from tests.data.helpers import marked
from tests.data.sentence_helpers import written

CAT = "The cat sat on the mat."
FOX = "The fox ran away."
CASE = "The trunk did not fit on the cart because it was too big."
MARKED = "The [+trunk] did not fit on the [-cart] because <it> was too big."


def read(path, **options):
    """Texts of a file, and the line and kind of each reject."""
    outcomes = list(read_sentences(InputSet(path, **options)))
    rejects = [(one.line, one.kind) for one in outcomes if isinstance(one, Reject)]
    return [one.text for one in outcomes if not isinstance(one, Reject)], rejects


def refusal(path, **options):
    with pytest.raises(InputError) as caught:
        read(path, **options)
    return str(caught.value)


# --- the first line ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "options", "texts", "said"),
    [
        ("a.txt", "Hello there\nHow are you\n", {}, ["Hello there", "How are you"], None),
        ("a.txt", f"id\n{CAT}\n", {}, ["id", CAT], "a text: “id” (--heading"),
        ("a.txt", "frase\nIl gatto dorme\nCiao\n", {}, ["frase", "Il gatto dorme", "Ciao"],
         "a text: “frase” (--heading"),
        ("a.txt", "句子\n狐狸没有过河。\n", {}, ["句子", "狐狸没有过河。"],
         "a text: “句子” (--heading"),
        ("a.txt", f"frase\n{CAT}\n", {"heading": False}, ["frase", CAT], None),
        ("a.txt", f"Ciao!\n{CAT}\n", {}, ["Ciao!", CAT], None),
        ("a.csv", f"frase\n{CAT}\n", {}, ["frase", CAT], "a text: “frase” (--heading"),
        ("a.txt", "text\n", {}, ["text"], None),
        ("a.txt", f"Text\n{CAT}\n", {}, [CAT], "heading: “Text” (--no-heading"),
        ("a.txt", f"\nsentence\n{CAT}\n", {}, [CAT], "heading: “sentence”"),
        ("a.txt", f"text\n{CAT}\n", {"heading": False}, ["text", CAT], None),
        ("a.txt", f"A tale\n{CAT}\n", {"heading": True}, [CAT], None),
        ("a.csv", "Hello there\nHow are you\n", {}, ["Hello there", "How are you"],
         "a text: “Hello there” (--heading"),
        ("a.csv", f"Oh no\n{CAT}\n", {}, ["Oh no", CAT], "a text: “Oh no”"),
        ("a.csv", f"Review text\n{CAT}\n", {}, [CAT], None),
        ("a.csv", f"comment_2\n{CAT}\n", {}, [CAT], None),
        ("a.csv", f"Hello\n{CAT}\n", {"heading": True}, [CAT], None),
        ("a.csv", f"Hello\n{CAT}\n", {"column": "Hello"}, [CAT], None),
        ("a.csv", "Oh no,1\nGood for you,2\n", {}, ["Oh no", "Good for you"], None),
        ("a.csv", f"Hi all,hello\n{CAT},fact\nBye,hello\n", {}, ["Hi all", CAT, "Bye"], None),
        ("a.csv", f"Hi all,greeting\n{CAT},fact\n", {}, [CAT], "heading: “Hi all, greeting”"),
        ("a.csv", f"satz,day\n{CAT},2024-01-02\n", {}, [CAT], None),
        ("a.csv", f"It ran,2024-01-01\n{CAT},2024-01-02\n", {}, ["It ran", CAT], None),
    ],
)  # fmt: skip
def test_no_first_line_is_lost_in_silence(tmp_path, name, content, options, texts, said):
    path = written(tmp_path, name, content)
    assert read(path, **options)[0] == texts
    ((line,), (layout,)) = (InputSet(path, **options).words, InputSet(path, **options).layouts)
    assert ("first line read as" in line) == (said is not None) and (said or "") in line
    assert layout.facts["doubt"] == layout.doubt


def test_the_first_row_of_a_workbook_is_decided_alike(tmp_path):
    pytest.importorskip("openpyxl")
    above = pd.DataFrame([["My report", None], ["text", "n"], [CAT, 1]])
    above.to_excel(tmp_path / "b.xlsx", index=False, header=False)
    assert "got “My report” above “text, n”" in refusal(tmp_path / "b.xlsx")
    below = pd.DataFrame([[None, None], [None, "text"], [None, CAT]])
    below.to_excel(tmp_path / "c.xlsx", index=False, header=False)
    assert read(tmp_path / "c.xlsx")[0] == [CAT]
    pd.DataFrame([["Hello there"], [CAT]]).to_excel(tmp_path / "a.xlsx", index=False, header=False)
    assert read(tmp_path / "a.xlsx")[0] == ["Hello there", CAT]
    assert "read as a text: “Hello there”" in InputSet(tmp_path / "a.xlsx").words[0]


# --- cells that are no texts ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "kind"),
    [
        ("42", "number"), ("-1,234.5", "number"), ("12 %", "number"), ("$3.50", "number"),
        ("1e-5", "number"), ("2024-01-02", "date"), ("2024-01-02T10:30:00Z", "date"),
        ("1/2/2024", "date"), ("10:30", "date"), ("2024年1月2日", "date"), ("True", "truth"),
        ("NaN", "missing"), ("None", "missing"), ("<NA>", "missing"), ("#REF!", "missing"),
        ("['It', 'ran']", "list"), ("['It' 'ran']", "list"), ('["It", null]', "list"),
        ("('It', 'ran')", "list"), ("{'a': 1}", "list"), ("b'It ran'", "list"), ("[1 2 3]", "list"),
        ("[['It'], ['ran']]", "list"), ("array(['It'], dtype=object)", "list"), ("[]", "list"),
        (CAT, None), ("[sic]", None), ("(1)", None), ("['Tis] so", None), ("{not json}", None),
        ("5 cats", None), ("No. 5", None), ('"Yes", he said', None), ("nano", None), ("()", None),
        ("[1, 2", None), ("[1][2]", None), ("", None), ("In 2024-01-02", None),
    ],
)  # fmt: skip
def test_what_a_cell_is(cell, kind):
    assert kind_of_cell(cell) == kind


def test_texts_in_a_list_come_out_of_it():
    assert literal_of(r"""['it\'s', "x"]""") == ["it's", "x"]


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_a_cell_that_is_no_text_is_rejected_with_the_reason(tmp_path, ending):
    cells = [CAT, "NaN", "None", "['It', 'ran']", "b'It'", FOX]
    table = pd.DataFrame({"text": cells, "n": range(6)})
    path = tmp_path / f"a.{ending}"
    if ending == "csv":
        table.to_csv(path, index=False)
    else:
        table.to_json(path, orient="records", lines=True)
    before = 2 if ending == "csv" else 1
    kinds = ["empty", "empty", "type", "type"]
    assert read(path) == ([CAT, FOX], list(zip(range(before + 1, before + 5), kinds, strict=True)))


def test_numbers_dates_and_formulas_of_a_workbook_are_no_texts(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    rows = [CAT, 5, 2.5, datetime.datetime(2024, 1, 2), True, '=A2&"!"', None, FOX]
    for cells in [("text", "n"), *((cell, 1) for cell in rows)]:
        book.active.append(cells)
    book.save(tmp_path / "a.xlsx")
    texts, rejects = read(tmp_path / "a.xlsx")
    assert texts == [CAT, FOX]
    kinds = ["type", "type", "type", "type", "formula", "empty"]
    assert rejects == list(zip(range(3, 9), kinds, strict=True))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"text": [1, 2]}, "text holds numbers, not texts"),
        ({"day": [datetime.date(2024, 1, 2)], "n": [1]}, "day holds dates, not texts"),
        ({"text": ["['It', 'ran']", "['No']"]}, "text holds lists, not texts: join the words"),
    ],
)
@pytest.mark.parametrize("ending", ["csv", "xlsx"])
def test_a_column_of_other_things_is_no_column_of_texts(tmp_path, table, message, ending):
    path = tmp_path / f"a.{ending}"
    if ending == "xlsx":
        pytest.importorskip("openpyxl")
    (pd.DataFrame(table).to_csv if ending == "csv" else pd.DataFrame(table).to_excel)(
        path, index=False
    )
    assert message in refusal(path)
    assert message in refusal(path, column=next(iter(table)))


def test_marks_of_none_in_a_table_of_cases(tmp_path):
    rows = [
        (CASE, "it", "trunk", "['cart']", "nan"),
        (CASE, "it", "trunk", "NaN", "nan"),
        (CASE, "", "trunk", "cart", "g"),
        (CASE, "nan", "trunk", "cart", "g"),
        ("NaN", "it", "trunk", "cart", "g"),
        ("['It', 'ran']", "it", "trunk", "cart", "g"),
    ]
    columns = ["text", "pronoun", "antecedent", "distractor", "group"]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / "a.csv", index=False)
    outcomes = [one for *_, one in read_case_rows(InputSet(tmp_path / "a.csv"))]
    cases = [one for one in outcomes if isinstance(one, CorefCase)]
    assert [marked(case) for case in cases] == [MARKED, MARKED.replace("[-cart]", "cart")]
    assert [case.group for case in cases] == [None, None]
    rejects = [one for one in outcomes if isinstance(one, Reject)]
    assert [one.kind for one in rejects] == ["empty", "empty", "empty", "type"]
    assert "the column 'pronoun', got an empty cell" in rejects[0].reason


# --- files of other kinds ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.pdf", "x", "got a PDF. Copy or export its text"),
        ("a.DOCX", "x", "got a document of a word processor. Copy or export"),
        ("a.html", "x", "got a web page. Save the page as text"),
        ("a.png", "x", "got a picture. Write the texts"),
        ("a.tar.gz", "x", "got an archive. Unpack it"),
        ("a.xls", "x", "got a spreadsheet in a form that is not read. Save its table"),
        ("a.pkl", "x", "never loaded. Read it in Python"),
        ("a.md", "x", "Rename it, or say what it is with format="),
        ("a.txt", b"%PDF-1.7 x", "got a PDF"),
        ("a.csv", b"PK\x03\x04x", "end its name in .xlsx"),
        ("a.txt", b"\xef\xbb\xbf<!DOCTYPE html><html>", "got a web page"),
        ("a.txt", "{\\rtf1 x}", "got rich text"),
        ("a.txt", '<?xml version="1.0"?><schema><text>', "the Winograd Schema Challenge"),
        ("a.txt", '<?xml version="1.0"?><a>', "got XML"),
        ("a.txt", "['It', 'ran']\n['No']\n", "got a list of words"),
        ("a.csv", "text,n\nCafé,1\nÜber,2\n".encode("cp1252"), "(cp1252): line 2 is then “Café,1”"),
        ("a.txt", "它跑了。\n它很累。\n".encode("gb18030"), "GBK): line 1 is then “它跑了。”"),
        ("a.txt", "It ran.\nIt sat.\n".encode("utf-16-le"), "UTF-16 without a byte order mark"),
    ],
)  # fmt: skip
def test_what_is_no_plain_text_is_named_with_what_to_hand_over(tmp_path, name, content, message):
    assert message in refusal(written(tmp_path, name, content))


def test_one_line_of_another_encoding_is_rejected_alone(tmp_path):
    content = "Übermaß\n".encode() + "Café\nThé\n".encode("cp1252")
    texts, rejects = read(written(tmp_path, "a.txt", content))
    assert texts == ["Übermaß"] and rejects == [(2, "encoding"), (3, "encoding")]


CHAT = {"messages": [{"role": "user", "content": "Hi there"}]}
SQUAD = {"title": "A tale", "paragraphs": [{"context": CAT, "qas": []}]}


@pytest.mark.parametrize(
    ("name", "rows", "message"),
    [
        ("a.jsonl", [CHAT, CHAT], "messages holds a chat, messages with role and content"),
        ("a.jsonl", [{"id": "1", **CHAT}, {"id": "2", **CHAT}], "the content of each message"),
        ("a.json", [{"version": "2", "data": [SQUAD]}], "questions as SQuAD has them"),
        ("a.json", [{"text": {"0": CAT}, "n": {"0": 1}}], 'orient="records"'),
        ("a.json", [{"text": [CAT, FOX], "n": [1, 2]}], "text holds lists of texts"),
        ("a.json", [{"train": [{"text": CAT}], "test": [{"text": CAT}]}], "objects with text"),
    ],
)
def test_nested_json_is_named(tmp_path, name, rows, message):
    assert message in refusal(written(tmp_path, name, "\n".join(map(json.dumps, rows))))


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
@pytest.mark.parametrize("indent", [None, 2])
def test_the_only_list_inside_is_read_and_said(tmp_path, name, indent):
    content = json.dumps({"data": [{"text": CAT}, {"text": FOX}], "version": 1}, indent=indent)
    path = written(tmp_path, name, content)
    assert read(path) == ([CAT, FOX], [])
    assert "the list under “data” is read" in InputSet(path).words[0]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.csv", f'text,n\n{CAT},1\n"He said "no" twice",1\n', "at character 11 a field goes on"),
        ("a.csv", f'text,n\n{CAT},1\n"open,2\n', "opens a field, and none closes it"),
        ("a.jsonl", f'{{"text": "{CAT}"}}\n{{"text": "a" "b"}}\n', "at character 14 a comma"),
        ("a.jsonl", f'{{"text": "{CAT}"}}\n{{"text": "a\n', "a quotation mark that ends the text"),
        ("a.jsonl", f'{{"text": "{CAT}"}}\n{{text: 1}}\n', 'a key in quotation marks, "…"'),
        ("a.json", f'[{{"text": "{CAT}"}},\n {{"text": }}]\n', "at character 11 of line 2 a value"),
    ],
)
def test_faults_of_quoting_and_of_json_are_said_in_words(tmp_path, name, content, reason):
    outcomes = list(read_sentences(written(tmp_path, name, content)))
    (reject,) = (one for one in outcomes if isinstance(one, Reject))
    assert reason in reject.reason
    assert not any(word in reject.reason for word in ("Expecting", "delimiter", "char ", "EOF"))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"text": [b"It ran."]}, "text holds bytes, not texts: decode them"),
        ({"text": [None]}, "text holds no value in any row"),
        ({"text": ["['It', 'ran']"]}, "text holds lists, not texts"),
    ],
)
def test_what_a_column_of_parquet_holds_is_said(tmp_path, table, message):
    pd.DataFrame({**table, "n": [1]}).to_parquet(tmp_path / "a.parquet")
    assert message in refusal(tmp_path / "a.parquet")


def test_only_files_that_are_read_alike_are_counted_as_such(tmp_path):
    for name in ("a.txt", "b.txt", "c.txt"):
        written(tmp_path, name, f"{CAT}\n")
    written(tmp_path, "d.jsonl", json.dumps({"text": CAT}))
    written(tmp_path, "e.csv", f"text\n{CAT}\n")
    lines = InputSet(tmp_path).words
    assert [line.endswith("read alike") for line in lines] == [True, False, False]
    assert lines[0].endswith("and 2 more files read alike")


def test_a_collection_is_not_read_from_another_kind_of_file(tmp_path):
    for name, content, message in (
        ("a.pdf", "x", "got a PDF"),
        ("a.txt", b"%PDF-1.7", "got a PDF"),
        ("a.txt", "Caf\xe9\nTh\xe9\n".encode("cp1252"), "likely Windows-1252"),
        ("a.xml", "<?xml version='1.0'?><collection><schema>", "the Winograd Schema Challenge"),
    ):
        with pytest.raises(InputError, match=message):
            convert("dpr", [written(tmp_path, name, content)], tmp_path / "out.jsonl")
    assert not (tmp_path / "out.jsonl").exists()


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("is_array", [True, False])
def test_cases_are_converted_from_an_array_too(tmp_path, indent, is_array):
    case = {
        "text": CASE,
        "pronoun": [42, 44],
        "candidates": [
            {"span": [4, 9], "antecedent": True},
            {"span": [29, 33], "antecedent": False},
        ],
    }
    rows = [{**case, "id": "a"}, {**case, "id": "b"}]
    content = json.dumps(rows, indent=indent)
    if not is_array:
        content = "\n".join(json.dumps(row, indent=indent) for row in rows)
    path = written(tmp_path, "a.json", content)
    done = convert("jsonl", [path], tmp_path / "out.jsonl")
    assert (done.tally.cases, done.tally.rejected) == (2, 0)
