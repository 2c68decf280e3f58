"""Every reader: on the public files, whose counts are known, and on each defect."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter

import pytest

from introspect.cases import (
    Schemas,
    Tally,
    read_cases,
    read_gap,
    read_winobias,
    read_winogender,
    read_words_csv,
    read_xwino,
)
from introspect.errors import InputError, SelectionError
from tests.cases.helpers import baseline, collection, marked, split, written


def groups_by_size(cases) -> dict[int, int]:
    return dict(Counter(Counter(case.group for case in cases).values()))


# --- WinoBias ---------------------------------------------------------------------------------

BIAS = "pro_stereotyped_type1.txt.dev"


def bias(folder, text, name=BIAS, **options):
    options = options or {
        "occupations": ["nurse", "cook", "cook aide", "construction worker", "worker", "CEO"]
    }
    return split(read_winobias(written(folder, name, text), **options))


@pytest.mark.parametrize(
    ("name", "usable", "nearest", "first"),
    [
        ("pro_stereotyped_type1.txt.dev", 387, 50.6, 49.4),
        ("anti_stereotyped_type1.txt.dev", 387, 50.6, 49.4),
        ("pro_stereotyped_type2.txt.dev", 389, 100.0, 0.0),
        ("anti_stereotyped_type2.txt.dev", 389, 100.0, 0.0),
    ],
)
def test_winobias_as_measured(name, usable, nearest, first):
    path = collection("winobias", name)
    cases, rejects = split(read_winobias(path))
    assert (len(cases), len(cases) + len(rejects)) == (usable, 396)
    assert baseline(cases) == (nearest, first)
    assert max(groups_by_size(cases)) == 2
    lines = path.read_text().splitlines()
    for case in cases:
        number = int(case.id.rpartition("-")[2])
        assert case.text == re.sub(r"^\d+ |[\[\]]", "", lines[number - 1]).strip()
        bracketed = [case.phrase(c.span) for c in case.antecedents] + [case.phrase(case.pronoun)]
        assert sorted(bracketed) == sorted(re.findall(r"\[(.*?)\]", lines[number - 1]))


def test_winobias_versions_of_a_pair_are_one_group():
    names = [f"{s}_stereotyped_type{t}.txt.dev" for s in ("pro", "anti") for t in (1, 2)]
    paths = [collection("winobias", name) for name in names]
    tally = Tally()
    cases, _ = split(tally.watch(read_cases("winobias", paths)))
    assert (tally.cases, dict(tally.rejects)) == (1552, {"brackets": 30, "occupations": 2})
    assert max(groups_by_size(cases)) == 4
    words = {case.group: set() for case in cases}
    for case in cases:
        words[case.group] |= {case.phrase(c.span).lower() for c in case.candidates}
    # Two pairs of the collection are about three occupations, as its README counts.
    assert sum(len({w.removeprefix("the ") for w in found}) != 2 for found in words.values()) <= 2


def test_winobias_line(tmp_path):
    (case,), _ = bias(tmp_path, "3 [The nurse] fed the cook 's dog because [she] was kind .\n")
    assert marked(case) == "[+The nurse] fed [-the cook] 's dog because <she> was kind ."
    assert (case.id, case.group) == ("pro-type1-dev-3", "type1-dev-2")
    assert dict(case.extra) == {"stereotype": "pro", "type": 1, "split": "dev", "gender": "female"}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        # The distractor is made like the antecedent: with an article or without one.
        ("1 The [nurse] met a cook and [he] left", "The [+nurse] met a [-cook] and <he> left"),
        ("1 [The nurse] met a cook and [he] left", "[+The nurse] met [-a cook] and <he> left"),
        ("1 [A nurse] met Cook and [he] left", "[+A nurse] met [-Cook] and <he> left"),
        (
            "1 A worker met [the construction worker] and paid [him]",
            "[-A worker] met [+the construction worker] and paid <him>",
        ),
        (
            "1 The cook aide met [the cook] and [he] left",
            "[-The cook aide] met [+the cook] and <he> left",
        ),
        ("1 The cook met [the CEO] as [his] cook", "[-The cook] met [+the CEO] as <his> cook"),
        (
            "1 The cooking nurse met [the cook] and [she] left",
            "The cooking [-nurse] met [+the cook] and <she> left",
        ),
    ],
)
def test_winobias_finds_the_other_occupation(tmp_path, line, expected):
    (case,), _ = bias(tmp_path, line)
    assert marked(case) == expected


@pytest.mark.parametrize(
    ("line", "kind", "reason"),
    [
        ("1 [The nurse] told the cook that [he] lost [his] hat", "brackets", "got 2 and 1"),
        ("1 [The nurse] told [the cook] that [he] left", "brackets", "got 1 and 2"),
        ("1 [The nurse] told the cook", "brackets", "got 0 and 1"),
        ("1 [The [the nurse] told the cook that [he] left", "brackets", "in pairs"),
        ("1 [The nurse] told the cook that he] left", "brackets", "in pairs"),
        ("1 [] [The nurse] told the cook that [he] left", "brackets", "in pairs"),
        ("1 [The nurse] told the baker that [he] left", "occupations", "got none"),
        ("1 [The nurse] told the nurse that [he] left", "occupations", "got none"),
        ("1 [The nurse] told the cook and the CEO that [he] left", "occupations", "ceo, cook"),
        ("[The nurse] told the cook that [he] left", "number", "a number"),
        ("1", "number", "a number"),
        ("9" * 5000 + " [The nurse] told the cook that [he] left", "number", "a number"),
    ],
)
def test_winobias_defects_are_named(tmp_path, line, kind, reason):
    good = "2 The nurse met [the cook] and [she] left"
    (case,), (reject,) = bias(tmp_path, f"{line}\n{good}\n")
    assert (reject.line, reject.kind, reject.row[:50]) == (1, kind, line[:50])
    assert reason in reject.reason
    assert case.id.endswith("-2")


def test_winobias_needs_its_lists(tmp_path):
    line = "1 [The nurse] met the cook and [he] left"
    written(tmp_path, "male_occupations.txt", "cook\n")
    with pytest.raises(InputError, match=r"but female_occupations.txt are not there.*occupations"):
        bias(tmp_path, line, occupations=None)
    written(tmp_path, "female_occupations.txt", "nurse\n")
    (case,), _ = bias(tmp_path, line, occupations=None)
    assert len(case.candidates) == 2


def test_winobias_in_a_file_of_another_name(tmp_path):
    (case,), _ = bias(tmp_path, "1 [The nurse] met the cook and [he] left", "mine.txt")
    assert (case.id, case.group) == ("mine.txt-1", "mine.txt-1")
    assert dict(case.extra) == {"gender": "male"}


# --- Winogender -------------------------------------------------------------------------------

TEMPLATES = (
    "occupation(0)\tother-participant(1)\tanswer\tsentence\n"
    "baker\tguest\t0\tThe $OCCUPATION thanked the $PARTICIPANT because $NOM_PRONOUN was glad.\n"
    "baker\tguest\t1\tA $PARTICIPANT told the $OCCUPATION about $POSS_PRONOUN day.\n"
)


def test_winogender_templates_give_all_sentences():
    path = collection("winogender", "all_sentences.tsv")
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))
    cases, rejects = split(read_winogender(collection("winogender", "templates.tsv")))
    assert (len(rows), len(cases), rejects) == (720, 720, [])
    assert [(f"{c.id}.txt", c.text) for c in cases] == [
        (row["sentid"], row["sentence"]) for row in rows
    ]
    assert split(read_winogender(path)) == (cases, [])


def test_winogender_as_measured():
    path = collection("winogender", "templates.tsv")
    cases, _ = split(read_winogender(path, genders=["neutral"], someone=False))
    assert (len(cases), baseline(cases)) == (120, (50.0, 50.0))
    assert groups_by_size(cases) == {2: 60}
    assert Counter(case.extra["answer"] for case in cases) == {"occupation": 60, "participant": 60}
    assert all(0 <= case.extra["percent_female"] <= 100 for case in cases)
    assert cases[0].extra["percent_female"] == 40.34


def test_winogender_mentions_are_the_words_of_the_template():
    for case in split(read_winogender(collection("winogender", "templates.tsv")))[0]:
        words = {case.phrase(c.span).lower() for c in case.candidates}
        extra = case.extra
        other = "someone" if extra["someone"] else extra["participant"]
        assert words == {extra["occupation"], other}
        (right,) = case.antecedents
        right_word = extra["occupation"] if extra["answer"] == "occupation" else other
        assert case.phrase(right.span).lower() == right_word
        forms = {"male": "he his him", "female": "she her", "neutral": "they their them"}
        assert case.phrase(case.pronoun) in forms[extra["gender"]].split()


def test_winogender_template_by_hand(tmp_path):
    cases, _ = split(read_winogender(written(tmp_path, "t.tsv", TEMPLATES)))
    assert [marked(case) for case in cases[2:6:3] + cases[6:7] + cases[9:10]] == [
        "The [+baker] thanked the [-guest] because <they> were glad.",
        "The [+baker] thanked [-someone] because <they> were glad.",
        "A [+guest] told the [-baker] about <his> day.",
        "[+Someone] told the [-baker] about <his> day.",
    ]
    assert (cases[0].id, cases[0].group) == ("baker.guest.0.male", "baker-guest")
    assert "percent_female" not in cases[0].extra


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ("a\tb\t2\tThe $OCCUPATION and the $PARTICIPANT $NOM_PRONOUN", "type"),
        ("a\tb\t1\tThe $OCCUPATION and $NOM_PRONOUN", "template"),
        ("a\tb\t1\tThe $OCCUPATION and the $PARTICIPANT $PRONOUN", "template"),
        ("a\tb\t1\t$OCCUPATION $PARTICIPANT $NOM_PRONOUN $ACC_PRONOUN", "template"),
        ("a\tb\t1", "columns"),
    ],
)
def test_winogender_defects_are_named(tmp_path, row, kind):
    cases, (reject,) = split(read_winogender(written(tmp_path, "t.tsv", TEMPLATES + row)))
    assert (len(cases), reject.line, reject.kind) == (12, 4, kind)


def test_winogender_sentences_are_held_against_the_templates(tmp_path):
    text = (
        "sentid\tsentence\n"
        "baker.guest.1.male.txt\tA guest told the baker about his day.\n"
        "baker.guest.1.female.txt\tA guest told the baker about a day.\n"
        "baker.visitor.1.male.txt\tA visitor told the baker about his day.\n"
    )
    path = written(tmp_path, "all_sentences.tsv", text)
    with pytest.raises(InputError, match=r"Expected templates.tsv beside"):
        list(read_winogender(path))
    written(tmp_path, "templates.tsv", TEMPLATES)
    (case,), rejects = split(read_winogender(path))
    assert case.id == "baker.guest.1.male"
    assert [(reject.line, reject.kind) for reject in rejects] == [(3, "template"), (4, "template")]
    assert split(read_winogender(path, genders="neutral"))[0] == []


@pytest.mark.parametrize("genders", [[], "other", ["male", "x"]])
def test_winogender_has_three_genders(tmp_path, genders):
    with pytest.raises(SelectionError, match="male, female, neutral"):
        list(read_winogender(written(tmp_path, "t.tsv", TEMPLATES), genders=genders))


def test_winogender_statistics_that_are_none(tmp_path):
    written(tmp_path, "occupations-stats.tsv", "occupation\tbls_pct_female\nbaker\tmany\n")
    with pytest.raises(InputError, match="bls_pct_female.*many"):
        list(read_winogender(written(tmp_path, "t.tsv", TEMPLATES)))


# --- GAP --------------------------------------------------------------------------------------

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
        ({"Text": "x" * 200_000}, "table", "field limit"),
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


# --- XWINO ------------------------------------------------------------------------------------


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


def test_xwino_twins_are_one_group(tmp_path):
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


def test_xwino_holds_neither_many_twins_nor_many_rejects(tmp_path):
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


def test_xwino_rows_of_one_reference_are_twins(tmp_path):
    texts = ["X va Y si elle part", "V est W ou il dort"]
    cases, _ = wino(tmp_path, *(simple(text, reference="A met B as it left") for text in texts))
    assert cases[0].group == cases[1].group
    assert cases[0].extra["reference"] == "A met B as it left"


def test_xwino_languages_are_no_twins(tmp_path):
    cases, _ = wino(tmp_path, simple("A met B as it"), simple("A met B as it", lang="pt"))
    assert cases[0].group != cases[1].group


# --- tables of words --------------------------------------------------------------------------


def words(folder, text, name="my.csv"):
    return split(read_words_csv(written(folder, name, text)))


def test_a_table_of_words(tmp_path):
    text = (
        "id,text,pronoun,antecedent,distractor,distractor_2,group,lang\n"
        'w1,"Yes, it hit the cat, the dog and it slept.",it#2,cat,dog,,g,en\n'
        '\n,"The cat, the dog and a cow saw it.",it,cat,dog | a cow,,,en\n'
        ",The cat and the dog saw it.,it,cat,,dog,,\n"
    )
    cases, rejects = words(tmp_path, text)
    assert rejects == []
    assert [marked(case) for case in cases] == [
        "Yes, it hit the [+cat], the [-dog] and <it> slept.",
        "The [+cat], the [-dog] and [-a cow] saw <it>.",
        "The [+cat] and the [-dog] saw <it>.",
    ]
    assert [(case.id, case.group) for case in cases] == [
        ("w1", "g"),
        ("my-4", None),
        ("my-5", None),
    ]
    assert [dict(case.extra) for case in cases] == [{"lang": "en"}, {"lang": "en"}, {"lang": ""}]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_tables_as_spreadsheets_write_them(tmp_path, delimiter, start):
    rows = [
        ["text", "pronoun", "antecedent", "distractor"],
        ["A cat; a dog, it.", "it", "cat", "dog"],
    ]
    text = start + "\r\n".join(delimiter.join(f'"{cell}"' for cell in row) for row in rows)
    (case,), _ = words(tmp_path, text)
    assert marked(case) == "A [+cat]; a [-dog], <it>."


@pytest.mark.parametrize(
    ("line", "kind", "reason"),
    [
        ("A cat saw it.,she,cat,", "mention", "Expected the pronoun 'she'"),
        ("It saw it and a cat.,it#3,cat,", "mention", "it#1 to it#"),
        (f"A cat saw it.,it#{'9' * 5000},cat,", "mention", "Expected a pronoun"),
        ("A cat saw it.,it,cat,dog", "mention", "Expected the distractor 'dog'"),
        ("A cat saw a cat and it.,it,cat,", "mention", "cat#2"),
        ("A cat saw it.,it,it,cat", "overlap", "overlaps"),
        ("A cat saw it.,it,cat,cat", "same_span", "'cat'"),
        ("A cat saw it.,it,,", "no_candidates", "an antecedent or a distractor"),
        ("A cat saw it.,it,, | ", "no_candidates", "an antecedent or a distractor"),
        (" ,it,cat,", "mention", "empty"),
        ("A cat saw it.,it,cat", "columns", "Expected 4 columns, got 3"),
        ("A cat, it.,it,cat,", "columns", "Expected 4 columns, got 5"),
    ],
)
def test_defects_of_a_table_of_words_are_named(tmp_path, line, kind, reason):
    text = f"text,pronoun,antecedent,distractor\n{line}\nA cat and it.,it,cat,\n"
    (case,), (reject,) = words(tmp_path, text)
    assert (case.id, reject.line, reject.kind) == ("my-3", 2, kind)
    assert reason in reject.reason


def test_only_wrong_candidates_are_a_case_outside_forced_choice(tmp_path):
    (case,), _ = words(tmp_path, "text,pronoun,antecedent,distractor\nA cat saw it.,it,,cat\n")
    assert not case.is_forced_choice
