"""Schemas as published: WSC, definite pronouns, WinoGrande, KnowRef, BUG."""

from __future__ import annotations

import json

import pytest

from introspect.data.published import (
    form_of,
    read_bug,
    read_dpr,
    read_knowref,
    read_winogrande,
    read_wsc,
)
from introspect.errors import InputError, SelectionError
from tests.data.helpers import marked, written
from tests.data.published.helpers import sample, sorted_out


def lines(*objects: dict[str, object]) -> str:
    return "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in objects)


# --- WSC --------------------------------------------------------------------------------------

TRUNK = "The trunk is not in the cart, because “it” is too big."


def wsc(text: str, first: tuple[int, str], second: tuple[int, str], label: object) -> dict:
    target = dict(zip(("span1_index", "span1_text"), first, strict=True))
    target |= dict(zip(("span2_index", "span2_text"), second, strict=True))
    return {"text": text, "target": target} | ({} if label is None else {"label": label})


def test_rows_of_one_text_and_pronoun_are_one_case():
    cases, left_out, rejects = sorted_out(read_wsc(sample("wsc.jsonl")))
    assert [marked(case) for case in cases] == [
        "[-The fox] did not cross [+the river] because <it> was too wide.",
        "[+The fox] did not cross [-the river] because <it> was too tired.",
    ]
    assert [case.id for case in cases] == ["wsc-1", "wsc-3"]
    assert {case.group for case in cases} == {"wsc-1"}
    assert not left_out and not rejects


def test_rows_that_are_apart_are_joined_and_a_lone_one_offers_no_choice(tmp_path):
    other = "Anna thanked Berta after she won."
    path = written(
        tmp_path,
        "w.jsonl",
        lines(
            wsc(TRUNK, (1, "Trunk"), (8, "it"), True),
            wsc(other, (0, "anna"), (4, "she"), False),
            wsc(TRUNK, (5, "the cart"), (8, "it"), "False"),
        ),
    )
    cases, _, rejects = sorted_out(read_wsc(path))
    assert [marked(case) for case in cases] == [
        "The [+trunk] is not in [-the cart], because “<it>” is too big.",
        "[-Anna] thanked Berta after <she> won.",
    ]
    assert [case.is_forced_choice for case in cases] == [True, False]
    assert [case.extra["rows"] for case in cases] == [2, 1] and not rejects


def test_flat_rows_with_numbers_as_labels_and_two_spaces(tmp_path):
    text = "Two  spaces: Bob paid Carl since he owed it."
    flat = {"text": text, "span1_text": "Bob", "span2_index": 6, "span2_text": "he"}
    path = written(
        tmp_path,
        "w.jsonl",
        lines(
            # Words between spaces of any number.
            flat | {"span1_index": 2, "label": 1},
            # Words of a text divided at each space: an empty one is counted.
            flat | {"span1_index": 5, "span1_text": "Carl", "span2_index": 7, "label": 0},
        ),
    )
    cases, _, _ = sorted_out(read_wsc(path))
    assert [marked(case) for case in cases] == [
        "Two  spaces: [+Bob] paid [-Carl] since <he> owed it."
    ]


def test_indices_that_count_characters_as_in_chinese(tmp_path):
    text = "这时候放在床上枕头旁边的手机响了，我感到奇怪，因为欠费已被停机两个月，现在它突然响了。"
    path = written(
        tmp_path,
        "w.jsonl",
        lines(
            wsc(text, (5, "床"), (37, "它"), "false"),
            wsc(text, (12, "手机"), (37, "它"), "true"),
            wsc("Ann saw Bea and she ran.", (8, "Bea"), (16, "she"), True),
            wsc("Ann saw Bea and she ran.", (8, "Bea"), (16, "sh"), True),
        ),
    )
    cases, _, (reject,) = sorted_out(read_wsc(path))
    assert [marked(case) for case in cases] == [
        text.replace("床", "[-床]").replace("手机", "[+手机]").replace("它", "<它>"),
        "Ann saw [+Bea] and <she> ran.",
    ]
    assert (reject.line, reject.kind) == (4, "span")


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        (wsc(TRUNK, (1, "trunk"), (8, "it"), None), "label"),
        (wsc(TRUNK, (1, "trunk"), (8, "it"), -1), "label"),
        (wsc(TRUNK, (1, "trunk"), (8, "it"), "perhaps"), "label"),
        (wsc(TRUNK, (2, "trunk"), (8, "it"), True), "span"),
        (wsc(TRUNK, (1, "tru"), (8, "it"), True), "span"),
        (wsc(TRUNK, (1, "trunk"), (88, "it"), True), "span"),
        (wsc(TRUNK, (1, "trunk"), (-1, "it"), True), "span"),
        (wsc(TRUNK, (True, "trunk"), (8, "it"), True), "type"),
        (wsc(TRUNK, (8, "it"), (8, "it"), True), "overlap"),
        ({"text": TRUNK, "target": []}, "type"),
        ({"text": TRUNK, "target": {}}, "missing_key"),
        ({"text": 3}, "type"),
    ],
)
def test_a_row_that_is_no_question_is_rejected(tmp_path, row, kind):
    path = written(tmp_path, "w.jsonl", lines(row, wsc(TRUNK, (1, "trunk"), (8, "it"), True)))
    cases, _, (reject,) = sorted_out(read_wsc(path))
    assert (reject.line, reject.kind, len(cases)) == (1, kind, 1)


def test_a_question_asked_twice_is_rejected_once(tmp_path):
    row = wsc(TRUNK, (1, "trunk"), (8, "it"), True)
    path = written(tmp_path, "w.jsonl", lines(row, row))
    (case,), _, (reject,) = sorted_out(read_wsc(path))
    assert (reject.line, reject.kind, case.extra["rows"]) == (2, "same_span", 1)


# --- definite pronouns ------------------------------------------------------------------------


def test_four_lines_are_a_schema_and_two_sentences_a_group():
    cases, _, rejects = sorted_out(read_dpr(sample("dpr.txt")))
    assert [marked(case) for case in cases] == [
        "[-The fox] did not cross [+the river] because <it> was too wide.",
        "[+The fox] did not cross [-the river] because <it> was too tired.",
    ]
    assert {case.group for case in cases} == {"dpr-1"} and not rejects
    assert [case.id for case in cases] == ["dpr-1", "dpr-6"]


def test_the_first_pronoun_is_meant_and_names_are_found_apart(tmp_path):
    path = written(
        tmp_path,
        "d.txt",
        "\n\nJo's dog bit Jo because he teased him, and he laughed. \nhe\n Jo , Jo's dog\njo\n"
        "\n\n\nAnna paid Berta since she sold it.\nshe\nAnna,Berta\nBerta",
    )
    cases, _, rejects = sorted_out(read_dpr(path))
    assert [marked(case) for case in cases] == [
        "[-Jo's dog] bit [+Jo] because <he> teased him, and he laughed.",
        "[-Anna] paid [+Berta] since <she> sold it.",
    ]
    assert not rejects and len({case.group for case in cases}) == 2


def test_without_empty_lines_each_four_lines_are_a_schema(tmp_path):
    text = "A fox saw a hen and it fled.\nit\na fox,a hen\na hen\n"
    path = written(tmp_path, "d.txt", text + text.replace("hen", "cat").replace("fled", "ran"))
    cases, _, rejects = sorted_out(read_dpr(path))
    assert [marked(case) for case in cases] == [
        "[-A fox] saw [+a hen] and <it> fled.",
        "[-A fox] saw [+a cat] and <it> ran.",
    ]
    assert not rejects


@pytest.mark.parametrize(
    ("block", "line", "kind"),
    [
        ("A fox saw a hen.\nit\na fox,a hen\na hen", 1, "mention"),
        ("A fox saw it.\nit\na fox,a hen\na hen", 1, "mention"),
        ("A fox saw a hen and it fled.\nit\na fox,a hen\na cat", 3, "candidates"),
        ("A fox saw a hen and it fled.\nit\na fox\na fox", 3, "candidates"),
        ("A fox saw a hen and it fled.\nit\na fox,a hen", 1, "lines"),
        ("A fox saw a hen and it fled.\nit\na fox,\udc80a hen\na hen", 3, "encoding"),
    ],
)
def test_a_schema_that_cannot_be_read_is_rejected_and_the_next_is_read(tmp_path, block, line, kind):
    text = f"{block}\n\nA fox saw a hen and it ran.\nit\na fox,a hen\na hen\n"
    path = written(tmp_path, "d.txt", text.encode("utf-8", "surrogateescape"))
    cases, _, (reject,) = sorted_out(read_dpr(path))
    assert (reject.line, reject.kind, len(cases)) == (line, kind, 1)


# --- WinoGrande -------------------------------------------------------------------------------


TROPHY = "The trophy does not fit in the case because it is too small, and it is sold."
CHOICES = ["the trophy", "the case"]
AT = TROPHY.index("it is")


@pytest.mark.parametrize(
    "row",
    [
        {"sentence": TROPHY, "pronoun": "it", "candidates": CHOICES, "label": 1},
        {
            "text": TROPHY,
            "pronoun": "it",
            "options": CHOICES,
            "label": "1",
            "pronoun_loc": AT,
        },
        {"text": TROPHY, "pronoun": "it", "candidates": CHOICES, "answer": "The case"},
    ],
)
def test_schemas_are_read_from_json_too(tmp_path, row):
    path = written(tmp_path, "d.jsonl", lines(row, {**row, "label": -1, "answer": None}))
    assert form_of(path) == "dpr"
    (case,), _, (reject,) = sorted_out(read_dpr(path))
    text = "[-The trophy] does not fit in [+the case] because <it> is too small, and it is sold."
    assert marked(case) == text and case.id == "d-1"
    assert (reject.line, reject.kind) == (2, "label")


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"label": 2}, "label"),
        ({"label": "the fox"}, "label"),
        ({"label": True}, "label"),
        ({"pronoun": "she"}, "mention"),
        ({"candidates": ["a fox", "the case"]}, "mention"),
        ({"candidates": ["the case"]}, "label"),
        ({"candidates": "the case"}, "missing_key"),
        ({"pronoun_loc": 3}, "span"),
        ({"pronoun_loc": 900}, "span"),
    ],
)
def test_a_schema_in_json_that_cannot_be_read_is_rejected(tmp_path, change, kind):
    row = {"sentence": TROPHY, "pronoun": "it", "candidates": CHOICES, "label": 1}
    cases, _, (reject,) = sorted_out(
        read_dpr(written(tmp_path, "d.json", json.dumps([{**row, **change}, row])))
    )
    assert (len(cases), reject.kind) == (1, kind)


def wino(sentence: str, answer: object, **others: object) -> dict[str, object]:
    return {"sentence": sentence, "option1": "Ian", "option2": "Dennis", "answer": answer, **others}


def test_a_blank_is_read_only_with_a_pronoun(tmp_path):
    path = written(tmp_path, "w.jsonl", lines(wino("Ian told Dennis that _ was late.", "1")))
    with pytest.raises(SelectionError, match="has none of its own.*--pronoun it"):
        read_winogrande(path)
    for word in ("", "the man", "_", "1"):
        with pytest.raises(SelectionError, match="Expected a pronoun"):
            read_winogrande(path, pronoun=word)
    (case,), _, _ = sorted_out(read_winogrande(path, pronoun="he"))
    assert marked(case) == "[+Ian] told [-Dennis] that <he> was late."
    assert case.extra["filled"] == "he"


def test_twins_are_a_group_and_a_sentence_begins_with_a_capital(tmp_path):
    path = written(
        tmp_path,
        "w.jsonl",
        lines(
            wino("Ian met Dennis. _ was glad.", 2, qID="3ABC-2"),
            wino("Ian met Dennis. _ was sad.", 1, qID="3ABC-1"),
            wino("Dennis or Ian? “_ was it,” he said.", "2"),
        ),
    )
    cases, _, rejects = sorted_out(read_winogrande(path, pronoun="he"))
    assert [marked(case) for case in cases] == [
        "[-Ian] met [+Dennis]. <He> was glad.",
        "[+Ian] met [-Dennis]. <He> was sad.",
        "[+Dennis] or [-Ian]? “<He> was it,” he said.",
    ]
    assert [case.group for case in cases] == ["3ABC", "3ABC", "w-3"] and not rejects
    assert [case.id for case in cases] == ["3ABC-2", "3ABC-1", "w-3"]


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        (wino("Ian told Dennis that the _ was late.", "1"), "determiner"),
        (wino("Ian told Dennis. The _ was late.", "1"), "determiner"),
        (wino("Ian told Dennis that _'s dog was late.", "1"), "possessive"),
        (wino("Ian told Dennis that he was late.", "1"), "blank"),
        (wino("Ian told _ that _ was late.", "1"), "blank"),
        (wino("Ian told Dennis that _ was late.", ""), "label"),
        (wino("Ian told Dennis that _ was late.", "3"), "label"),
        (wino("Ian told Dora that _ was late.", "1"), "mention"),
        ({"sentence": "_"}, "missing_key"),
    ],
)
def test_a_blank_that_takes_no_pronoun_is_rejected(tmp_path, row, kind):
    path = written(tmp_path, "w.jsonl", lines(row))
    cases, _, (reject,) = sorted_out(read_winogrande(path, pronoun="he"))
    assert (cases, reject.kind) == ([], kind)


# --- KnowRef ----------------------------------------------------------------------------------


def knowref(sentence: str, right: str, key: str = "sentence_with_pronoun") -> dict[str, object]:
    return {key: sentence, "candidate0": "Ann", "candidate1": "Bea", "correct_candidate": right}


def test_the_word_in_brackets_is_the_pronoun(tmp_path):
    rows = [
        knowref("Bea sees Ann before Ann leaves [her] .", "Bea"),
        knowref("Ann saw Bea, but [she] slept.", "candidate_1", "swapped_sentence"),
        knowref("Ann saw Bea, but [ she ] slept.", "candidate0"),
    ]
    right = [
        "[+Bea] sees [-Ann] before Ann leaves <her> .",
        "[-Ann] saw [+Bea], but <she> slept.",
        "[+Ann] saw [-Bea], but <she> slept.",
    ]
    array = written(tmp_path, "k.json", json.dumps(rows, indent=1))
    by_line = written(tmp_path, "k.jsonl", lines(*rows))
    for path in (array, by_line):
        cases, _, rejects = sorted_out(read_knowref(path))
        assert [marked(case) for case in cases] == right and not rejects


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        (knowref("Ann saw Bea, but she slept.", "Ann"), "brackets"),
        (knowref("Ann saw [Bea], but [she] slept.", "Ann"), "brackets"),
        (knowref("Ann saw Bea, but [she] slept.", "Cleo"), "candidates"),
        (knowref("Ann saw Cleo, but [she] slept.", "Ann"), "mention"),
        ({"swapped_sentence": "a"}, "missing_key"),
    ],
)
def test_a_row_without_its_names_or_pronoun_is_rejected(tmp_path, row, kind):
    path = written(tmp_path, "k.json", json.dumps([row, knowref("Ann saw Bea: [she].", "Ann")]))
    cases, _, (reject,) = sorted_out(read_knowref(path))
    assert (reject.kind, len(cases)) == (kind, 1)


# --- BUG --------------------------------------------------------------------------------------

HEADING = (
    ",sentence_text,tokens,profession,g,profession_first_index,g_first_index,predicted gender,"
    "stereotype,distance,num_of_pronouns,corpus,data_index\n"
)


def test_indices_count_the_tokens_or_the_words_between_spaces(tmp_path):
    with_tokens = "\"['The', 'nurse', ',', 'he', 'said', '.']\""
    path = written(
        tmp_path,
        "b.csv",
        HEADING
        + f'0,"The nurse, he said.",{with_tokens},nurse,he,1,3,Male,1,2,1,wiki,0\n'
        + '1,"The “Doctor” left  when she could.",,doctor,she,1,5,Female,-1,4,1,covid,0\n'
        + f'2,"The nurse --- he said.",{with_tokens},nurse,he,1,3,Male,1,2,1,wiki,0\n',
    )
    cases, _, rejects = sorted_out(read_bug(path))
    assert [marked(case) for case in cases] == [
        "The [+nurse], <he> said.",
        "The “[+Doctor]” left  when <she> could.",
        "The [+nurse] , <he> said .",
    ]
    assert not rejects and not any(case.is_forced_choice for case in cases)
    assert dict(cases[0].extra) == {"gender": "Male", "stereotype": "1", "corpus": "wiki"}


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ("0,The nurse said he.,,nurse,he,2,3,M,0,1,1,w,0", "span"),
        ("0,The nurse said he.,,nurse,he,1,30,M,0,1,1,w,0", "span"),
        ("0,The nurse said he.,,nurse,he,one,3,M,0,1,1,w,0", "type"),
        ("0,The nurse said he.,[nurse,nurse,he,1,3,M,0,1,1,w,0", "tokens"),
        ("0,The nurse said the.,,nurse,he,1,3,M,0,1,1,w,0", "span"),
    ],
)
def test_a_word_that_is_not_at_its_index_is_rejected(tmp_path, row, kind):
    path = written(tmp_path, "b.csv", HEADING + row + "\n")
    cases, _, (reject,) = sorted_out(read_bug(path))
    assert (cases, reject.kind, reject.line) == ([], kind, 2)


def test_a_table_without_its_columns_is_refused(tmp_path):
    path = written(tmp_path, "b.csv", "sentence_text,profession\na,b\n")
    with pytest.raises(InputError, match="g_first_index"):
        list(read_bug(path))


# --- which form -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (lines(wsc(TRUNK, (1, "trunk"), (8, "it"), True)), "wsc"),
        (lines(wsc(TRUNK, (1, "trunk"), (8, "it"), None)["target"] | {"text": TRUNK}), "wsc"),
        ("{\n" + lines(wsc(TRUNK, (1, "trunk"), (8, "it"), True)), "wsc"),
        (lines(wino("Ian told Dennis that _ was late.", "1")), "winogrande"),
        (json.dumps([knowref("Ann saw [her]", "Ann")], indent=2), "knowref"),
        (HEADING, "bug"),
        ("A fox saw a hen and it fled.\nit\na fox,a hen\na hen\n", "dpr"),
        ("A fox saw a hen.\nIt fled.\nA fox, a hen.\nA hen.\n", None),
        ("One sentence.\nAnother one.\n", None),
        ("text,label\nA fox.,1\n", None),
        ('{"text": "A fox.", "label": 1}\n', None),
        ('{"sentence": "A snake_case word.", "label": 1}\n', None),
        ("[1, 2]\n", None),
        ("[[[\n", None),
        ("{", None),
        ("", None),
    ],
)
def test_a_file_is_told_by_its_first_rows(tmp_path, text, kind):
    assert form_of(written(tmp_path, "file", text)) == kind


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("wsc.jsonl", "wsc"),
        ("dpr.txt", "dpr"),
        ("conll2012.conll", "conll2012"),
        ("corefud.conllu", "corefud"),
        ("e2e.jsonl", "clusters"),
        ("clusters.json", "clusters"),
        ("array.json", None),
        ("excel.csv", None),
        ("headings.csv", None),
        ("ids.jsonl", None),
        ("semicolon.csv", None),
        ("tabs.csv", None),
    ],
)
def test_the_samples_are_told(name, kind):
    assert form_of(sample(name)) == kind
