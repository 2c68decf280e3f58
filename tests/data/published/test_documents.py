"""Documents with clusters: the pronoun, the nearest mentions before it, and what was left out."""

from __future__ import annotations

import json

import pytest

from introspect.data.published import (
    ClusterOptions,
    form_of,
    read_clusters,
    read_conll2012,
    read_corefud,
)
from introspect.errors import SelectionError
from tests.data.helpers import marked, written
from tests.data.published.helpers import sample, sorted_out

# --- CoNLL-2012 -------------------------------------------------------------------------------


def conll(name: str, part: int, *sentences: str, tags: str = "") -> str:
    """A document whose words are written ``word/cell``."""
    begin = f"#begin document ({name}); part {part:03}\n"
    kinds = iter(tags.split() or ["-"] * 100)
    body = ""
    for sentence in sentences:
        for number, piece in enumerate(sentence.split()):
            word, _, cell = piece.partition("/")
            body += f"{name}\t{part}\t{number}\t{word}\t{next(kinds)}\t*\t-\tA\t*\t{cell or '-'}\n"
        body += "\n"
    return f"{begin}{body}#end document\n"


ANNA = (
    "Anna/(0) saw the/(1 dog/1) of/- her/(2|(0) mother/2) ./-",
    "It/(1) barked and she/(0) ran ./-",
)


def test_the_sample_marks_the_river():
    (case,), left_out, rejects = sorted_out(read_conll2012(sample("conll2012.conll")))
    assert marked(case) == "[-The fox] did n't cross [+the river] because <it> was too wide ."
    assert (case.id, case.group) == ("own/00/own_0000-8", "own/00/own_0000")
    assert not left_out and not rejects


def test_several_mentions_in_a_cell_parts_and_documents(tmp_path):
    text = conll("a/b", 0, *ANNA) + conll("a/b", 1, *ANNA) + conll("c", 0, *ANNA)
    cases, left_out, rejects = sorted_out(read_conll2012(written(tmp_path, "x.conll", text)))
    both = "Anna saw the dog of her mother . It barked and she ran ."
    assert [marked(case) for case in cases[:3]] == [
        # Her: Anna, and the dog; her mother holds the pronoun itself.
        "[+Anna] saw [-the dog] of <her> mother .",
        # Her mother holds no mention of the dog; of what ends together the longest is taken.
        both.replace("the dog", "[+the dog]")
        .replace("It", "<It>")
        .replace("her mother", "[-her mother]"),
        # The nearest of her own is her, the nearest of the others It.
        both.replace("of her", "of [+her]").replace("It", "[-It]").replace("she", "<she>"),
    ]
    assert [case.group for case in cases] == ["a/b"] * 3 + ["a/b-part1"] * 3 + ["c"] * 3
    assert len({case.id for case in cases}) == 9 and not left_out and not rejects


def test_number_and_window_are_options(tmp_path):
    path = written(tmp_path, "x.conll", conll("a", 0, *ANNA))
    options = ClusterOptions(antecedents=2, distractors=3)
    *_, last = sorted_out(read_conll2012(path, options=options))[0]
    # The distractor that holds a mention of hers is passed over, and what overlaps.
    assert marked(last) == (
        "[+Anna] saw [-the dog] of [+her] mother . [-It] barked and <she> ran ."
    )
    cases, left_out, _ = sorted_out(read_conll2012(path, options=ClusterOptions(sentences=1)))
    assert [marked(case) for case in cases] == ["[+Anna] saw [-the dog] of <her> mother ."]
    assert left_out == {"outside_window": 2}
    cases, left_out, _ = sorted_out(read_conll2012(path, options=ClusterOptions(words=6)))
    assert (cases, left_out) == ([], {"long_sentence": 1, "outside_window": 2})
    only = ClusterOptions(pronouns=("SHE",))
    assert [c.phrase(c.pronoun) for c in sorted_out(read_conll2012(path, options=only))[0]] == [
        "she"
    ]
    assert "at most 1" not in only.statement and "SHE" in only.statement


def test_tags_say_what_a_pronoun_is_where_there_are_any(tmp_path):
    text = conll("a", 0, "Er/(0) sagt/- er/(0) kommt/-", tags="NE VBZ PRP VBZ")
    (case,), left_out, _ = sorted_out(read_conll2012(written(tmp_path, "x.conll", text)))
    assert marked(case) == "[+Er] sagt <er> kommt" and not left_out
    cases, left_out, _ = sorted_out(
        read_conll2012(written(tmp_path, "x.conll", text.replace("PRP", "NE")))
    )
    assert (cases, left_out) == ([], {"no_pronoun": 1})
    text = text.replace("NE", "-").replace("VBZ", "-").replace("PRP", "-")
    path = written(tmp_path, "x.conll", text)
    assert sorted_out(read_conll2012(path))[1] == {"no_pronoun": 1}
    german = sorted_out(read_conll2012(path, options=ClusterOptions(language="de")))
    assert [marked(case) for case in german[0]] == ["[+Er] sagt <er> kommt"]
    assert german[1] == {"first_mention": 1}


def test_chinese_words_are_put_together_without_spaces(tmp_path):
    text = conll("a", 0, "狐狸/(0) 说 他/(0) 累 。", tags="NN VV PN VA PU")
    path = written(tmp_path, "x.conll", text)
    (case,), _, _ = sorted_out(read_conll2012(path, options=ClusterOptions(language="zh")))
    assert marked(case) == "[+狐狸]说<他>累。"


def test_a_document_without_its_lines_around_it_and_one_left_open(tmp_path):
    bare = "a 0 0 Ann - (1)\na 0 1 slept - -\na 0 2 ; - -\na 0 3 she - (1)\n"
    text = bare + bare.replace("a 0", "a 1") + "# a comment\n" + conll("b", 0, "It/(1) is/-")
    text = text.replace("#end document\n", "") + conll("c", 2, "Ann/(1) : she/(1)")
    cases, left_out, rejects = sorted_out(read_conll2012(written(tmp_path, "x", text)))
    assert [(case.group, marked(case)) for case in cases] == [
        ("a", "[+Ann] slept ; <she>"),
        ("a-part1", "[+Ann] slept ; <she>"),
        ("c-part2", "[+Ann] : <she>"),
    ]
    assert left_out == {"first_mention": 1} and not rejects


@pytest.mark.parametrize(
    ("bad", "line", "kind"),
    [
        (conll("a", 0, "Ann/(0 sees/- her/1)"), 4, "brackets"),
        (conll("a", 0, "Ann/(0 sees/- her/-"), 2, "brackets"),
        (conll("a", 0, "Ann/0 sees/-"), 2, "brackets"),
        (conll("a", 0, "Ann/(0)(1) sees/-"), 2, "brackets"),
        ("#begin document (a); part 000\na 0 0 (0)\n\n#end document\n", 2, "columns"),
        (conll("a", 0, "Ann/(0)").replace("Ann", "\udcff"), 2, "encoding"),
        ("#begin document (a); part 000\n\n#end document\n", 1, "empty"),
    ],
)
def test_a_document_with_a_bad_line_is_rejected_and_the_next_is_read(tmp_path, bad, line, kind):
    text = bad + conll("b", 0, *ANNA)
    path = written(tmp_path, "x", text.encode("utf-8", "surrogateescape"))
    cases, _, (reject,) = sorted_out(read_conll2012(path))
    assert (reject.line, reject.kind, len(cases)) == (line, kind, 3)


def test_pronouns_outside_clusters_and_in_several_are_left_out(tmp_path):
    text = conll("a", 0, "It/- rained , Ann/(0) said she/(0)|(1) saw her/(1)")
    cases, left_out, _ = sorted_out(read_conll2012(written(tmp_path, "x", text)))
    assert [marked(case) for case in cases] == ["It rained , [-Ann] said [+she] saw <her>"] or (
        # She is of both clusters.
        [marked(case) for case in cases] == ["It rained , Ann said [+she] saw <her>"]
    )
    assert left_out == {"no_cluster": 1, "several_clusters": 1}


# --- CorefUD ----------------------------------------------------------------------------------


def conllu(*words: str, head: str = "", text: str = "") -> str:
    """A sentence whose words are written ``form upos entity [space] [number] [features]``."""
    lines, number = "", 0
    for word in words:
        form, upos, entity, space, given, features = [*word.split(), *["_"] * 5][:6]
        number += given == "_"
        misc = "|".join(
            filter(
                None,
                [f"Entity={entity}" if entity != "_" else "", "SpaceAfter=No" * (space == "No")],
            )
        )
        name = number if given == "_" else given
        lines += f"{name}\t{form}\t_\t{upos}\t_\t{features}\t_\t_\t_\t{misc or '_'}\n"
    return f"{head}{f'# text = {text}' + chr(10) if text else ''}{lines}\n"


def test_the_sample_of_trees_marks_the_river():
    (case,), left_out, rejects = sorted_out(read_corefud(sample("corefud.conllu")))
    assert marked(case) == "[-The fox] did not cross [+the river] because <it> was too wide."
    assert (case.id, case.group, left_out, rejects) == ("d1-8", "d1", {}, [])


def test_nested_mentions_in_the_order_that_the_file_says(tmp_path):
    text = conllu(
        "Anna PROPN (person-e1-1-)",
        "saw VERB",
        "her PRON (animal-e2-2-(person-e1-1-) _ _ Poss=Yes|PronType=Prs",
        "dog NOUN animal-e2) No".replace("animal-e2)", "e2)"),
        ". PUNCT",
        head="# newdoc id = d\n# global.Entity = etype-eid-head-other\n",
    ) + conllu("Who PRON (person-e1-1-) _ _ PronType=Int", "slept VERB", "? PUNCT")
    text += conllu("She PRON (person-e1-1-)", "or CCONJ", "it PRON (animal-e2-1-) No", "? PUNCT")
    cases, left_out, rejects = sorted_out(read_corefud(written(tmp_path, "x.conllu", text)))
    begin = "Anna saw her dog. Who slept ? "
    assert [marked(case) for case in cases] == [
        "[+Anna] saw <her> dog.",
        # Her dog holds a mention of hers.
        begin.replace("Who", "[+Who]") + "<She> or it?",
        begin.replace("her dog", "[+her dog]") + "[-She] or <it>?",
    ]
    assert (left_out, rejects) == ({}, [])


def test_parts_empty_nodes_and_ranges(tmp_path):
    text = conllu(
        "Ann PROPN (e1-)No No".replace("(e1-)No", "(e1-)"),
        "'s PART",
        "big ADJ (e2[1/2]-",
        "old ADJ e2[1/2])",
        "and CCONJ",
        "red ADJ (e2[2/2]-)",
        "_ PRON (e1-) _ 6.1",
        "don't AUX _ _ 7-8",
        "do AUX",
        "n't PART",
        "it PRON (e2-)",
        "her PRON (e1-)",
        head="# newdoc\n# global.Entity = eid-\n",
        text="Ann's big old and red don't it her",
    )
    path = written(tmp_path, "x.conllu", text)
    cases, left_out, rejects = sorted_out(read_corefud(path))
    assert [marked(case) for case in cases] == [
        "[+Ann]'s big old and red don't [-it] <her>",
    ]
    # It has been mentioned in two parts only, and the pronoun that is not written has no place.
    assert left_out == {"discontinuous": 1, "empty_node": 1, "first_mention": 1}
    assert rejects == [] and cases[0].group == "x-1"


def test_a_pronoun_that_shares_its_characters_is_left_out(tmp_path):
    text = conllu("Ann PROPN (e1-)", "vio VERB", "pan NOUN (e2-)", text="Ann vio pan") + conllu(
        "Quiere VERB",
        "dárselo _ _ _ 2-4",
        "dar VERB",
        "se PRON",
        "lo PRON (e2-)",
        "y CCONJ",
        "cómelo _ _ _ 6-7",
        "come VERB",
        "él PRON (e2-)",
        "ella PRON (e1-)",
        text="Quiere dárselo y cómelo ella",
    )
    cases, left_out, rejects = sorted_out(read_corefud(written(tmp_path, "x.conllu", text)))
    assert [marked(case) for case in cases] == ["[+Ann] vio pan Quiere dárselo y [-cómelo] <ella>"]
    assert (left_out, rejects) == ({"contraction": 3}, [])


def test_a_word_of_white_space_parts_paragraphs(tmp_path):
    document = {
        "id": "d",
        "sentences": [["Tom", "ran", "."], [" "], ["He", "fell", "."]],
        "mention_clusters": [[[0, 0, 1], [2, 0, 1]]],
    }
    path = written(tmp_path, "x.jsonl", json.dumps(document))
    (case,), _, _ = sorted_out(read_clusters(path, options=ClusterOptions(sentences=2)))
    assert marked(case) == "[+Tom] ran . <He> fell ."


def test_two_closings_at_a_word_and_documents_one_by_one(tmp_path):
    one = conllu(
        "the DET (1-person-(2-person-",
        "aunt NOUN 2)1)",
        "she PRON (1-person-)",
        head="# newdoc id = {}\n# global.Entity = GRP-etype-\n",
    )
    path = written(tmp_path, "x.conllu", one.replace("{}", "a") + one.replace("{}", "b"))
    cases, _, rejects = sorted_out(read_corefud(path))
    # The other cluster has the same words: they cannot be wrong and right.
    assert [(case.group, marked(case)) for case in cases] == [
        ("a", "[+the aunt] <she>"),
        ("b", "[+the aunt] <she>"),
    ]
    assert not rejects


def test_without_parts_of_speech_the_list_is_used(tmp_path):
    text = conllu("Ann _ (e1--)", "sieht _", "sie _ (e1--)")
    path = written(tmp_path, "x.conllu", text)
    options = ClusterOptions(language="de")
    (case,), _, _ = sorted_out(read_corefud(path, options=options))
    assert marked(case) == "[+Ann] sieht <sie>" and case.group == "x-1"
    assert sorted_out(read_corefud(path))[1] == {"no_pronoun": 1}


@pytest.mark.parametrize("entity", ["e1)", "(e1-", "e1", "()", "(-)", "(e1-)x", "(e1-))"])
def test_brackets_that_do_not_fit_reject_the_document(tmp_path, entity):
    good = conllu("Ann PROPN (e1-)", "or CCONJ", "her PRON (e1-)", head="# newdoc id = b\n")
    bad = conllu("a DET", f"b NOUN {entity}", head="# newdoc id = a\n")
    cases, _, (reject,) = sorted_out(read_corefud(written(tmp_path, "x", bad + good)))
    assert (reject.line, reject.kind, len(cases)) == (3, "brackets", 1)


def test_a_bad_line_of_a_tree_rejects_its_document(tmp_path):
    good = conllu("Ann PROPN (e1-)", "or CCONJ", "her PRON (e1-)", head="# newdoc id = b\n")
    bad = conllu("Ann PROPN (e1-)", head="# newdoc id = a\n") + "1\tAnn\n\n"
    cases, _, (reject,) = sorted_out(read_corefud(written(tmp_path, "x", bad + good)))
    assert (reject.line, reject.kind, len(cases)) == (4, "columns", 1)


# --- JSON -------------------------------------------------------------------------------------

WORDS = ["Ann", "saw", "a", "dog", ".", "It", "bit", "her", "."]
TEXT = "Ann saw a dog. It bit her."
RIGHT = [
    "Ann saw [+a dog] . <It> bit her .".replace("Ann", "[-Ann]"),
    "[+Ann] saw a dog . [-It] bit <her> .",
]
RIGHT_IN_TEXT = [case.replace(" .", ".") for case in RIGHT]
INCLUSIVE = [[[0, 0], [7, 7]], [[2, 3], [5, 5]]]
EXCLUSIVE = [[[0, 1], [7, 8]], [[2, 4], [5, 6]]]
SENTENCES = [WORDS[:5], WORDS[5:]]
IN_SENTENCES = [[[0, 0, 0], [1, 2, 2]], [[0, 2, 3], [1, 0, 0]]]
BEHIND_SENTENCES = [[[0, 0, 1], [1, 2, 3]], [[0, 2, 4], [1, 0, 1]]]
CHARACTERS = [[[0, 3], [22, 25]], [[8, 13], [15, 17]]]


def spacy(**others: object) -> dict[str, object]:
    ends = [(0, 3), (4, 7), (8, 9), (10, 13), (13, 14), (15, 17), (18, 21), (22, 25), (25, 26)]
    spans = {
        f"coref_clusters_{i}": [{"start": s, "end": e, "label": "", "kb_id": ""} for s, e in c]
        for i, c in enumerate(CHARACTERS, 1)
    }
    return {
        "text": TEXT,
        "ents": [],
        "sents": [{"start": 0, "end": 14}, {"start": 15, "end": 26}],
        "tokens": [{"id": i, "start": s, "end": e} for i, (s, e) in enumerate(ends)],
        "spans": spans,
        **others,
    }


def test_spans_of_allennlp_in_no_cluster_may_be_distractors(tmp_path):
    words = ["The", "fox", "did", "not", "cross", "the", "river", "as", "it", "was", "wide", "."]
    document = {"document": words, "clusters": [[[5, 6], [8, 8]]]}
    spans = [[0, 1], [5, 6], [8, 8]]
    made = {}
    for name, given in {"with": spans, "without": None, "odd": [[0]]}.items():
        path = written(tmp_path, f"{name}.json", json.dumps({**document, "top_spans": given}))
        made[name] = sorted_out(read_clusters(path))
    (case,) = made["with"][0]
    assert marked(case) == "[-The fox] did not cross [+the river] as <it> was wide ."
    assert [c.antecedent for case in made["without"][0] for c in case.candidates] == [True]
    assert [reject.kind for reject in made["odd"][2]] == ["type"]


FORMS = {
    "e2e-coref": ({"doc_key": "d", "sentences": SENTENCES, "clusters": INCLUSIVE}, RIGHT),
    "LitBank": ({"id": "d", "sentences": SENTENCES, "coref_chains": IN_SENTENCES}, RIGHT),
    "PreCo": ({"id": "d", "sentences": SENTENCES, "mention_clusters": BEHIND_SENTENCES}, RIGHT),
    "AllenNLP": ({"document": WORDS, "clusters": INCLUSIVE, "top_spans": [[0, 0]]}, RIGHT),
    "words": ({"tokens": WORDS, "clusters": INCLUSIVE}, RIGHT),
    "words, exclusive": ({"tokens": WORDS, "clusters": EXCLUSIVE}, RIGHT),
    "a list as text": ({"text": WORDS, "clusters": INCLUSIVE}, RIGHT),
    "spaces": (
        {"words": WORDS, "spaces": [w not in ("dog", "her") for w in WORDS], "clusters": EXCLUSIVE},
        RIGHT_IN_TEXT,
    ),
    "fastcoref": ({"text": TEXT, "clusters": CHARACTERS}, RIGHT_IN_TEXT),
    "spaCy": (spacy(), RIGHT_IN_TEXT),
    "dicts": (
        {
            "id": "d",
            "sentences": [{"tokens": [{"text": w} for w in s]} for s in SENTENCES],
            "coref_chains": IN_SENTENCES,
        },
        RIGHT,
    ),
}


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("form", ["lines", "array", "object"])
def test_each_form_is_told_by_its_keys_and_marks_the_same(tmp_path, name, form):
    document, right = FORMS[name]
    text = {
        "lines": json.dumps(document) + "\n",
        "array": json.dumps([document], indent=1),
        "object": json.dumps(document, indent=2),
    }[form]
    path = written(tmp_path, "x.json", text)
    cases, left_out, rejects = sorted_out(read_clusters(path))
    assert ([marked(case) for case in cases], left_out, rejects) == (right, {}, [])
    assert form_of(path) == "clusters"
    named = document.get("doc_key", document.get("id"))
    # Where a document has no name, its line is one.
    assert {case.group for case in cases} == {named or f"x-{2 if form == 'array' else 1}"}


def test_the_samples_of_clusters():
    cases, left_out, rejects = sorted_out(read_clusters(sample("e2e.jsonl")))
    assert [marked(case) for case in cases] == [
        "The fox did n't cross [+the river] because <it> was too wide .",
        "[+The fox] did n't cross the river because <it> was too tired .",
    ]
    assert [case.group for case in cases] == ["own_0000", "own_0001"]
    (case,), _, _ = sorted_out(read_clusters(sample("clusters.json")))
    assert marked(case) == "[-The fox] did n't cross [+the river] because <it> was too wide ."
    assert not left_out and not rejects


def test_a_doubt_about_the_second_number_is_refused_and_can_be_answered(tmp_path):
    doubtful = {"tokens": ["Ann", "'s", "old", "dog", "ran", "."], "clusters": [[[0, 1], [2, 3]]]}
    path = written(tmp_path, "x.jsonl", json.dumps(doubtful))
    _, _, (reject,) = sorted_out(read_clusters(path))
    assert reject.kind == "offsets" and "offsets=inclusive|exclusive" in reject.reason
    for offsets in ("inclusive", "exclusive"):
        assert sorted_out(read_clusters(path, offsets=offsets))[2] == []
    with pytest.raises(SelectionError, match="inclusive, exclusive, characters"):
        read_clusters(path, offsets="half-open").__next__()


@pytest.mark.parametrize(
    ("document", "kind"),
    [
        # Half-open where the form includes the last word.
        ({"sentences": SENTENCES, "clusters": EXCLUSIVE}, "offsets"),
        ({"document": WORDS, "clusters": [[[0, 1], [7, 9]]]}, "offsets"),
        # And the other way.
        ({"sentences": SENTENCES, "mention_clusters": IN_SENTENCES}, "offsets"),
        ({"tokens": WORDS, "clusters": [[[0, 0], [7, 9]]]}, "offsets"),
        # Characters that include the last one, or words instead.
        ({"text": TEXT, "clusters": [[[0, 2], [22, 24]]]}, "offsets"),
        ({"text": TEXT, "clusters": [[[0, 1], [7, 8]]]}, "offsets"),
        ({"text": TEXT, "clusters": [[[0, 3], [22, 99]]]}, "span"),
        ({"tokens": WORDS, "clusters": [[[0, 0], [7, 70]]]}, "span"),
        ({"sentences": SENTENCES, "clusters": [[[-1, 0]]]}, "span"),
        ({"sentences": SENTENCES, "coref_chains": [[[2, 0, 0]]]}, "span"),
        ({"sentences": SENTENCES, "coref_chains": [[[0, 5, 9]]]}, "span"),
        # Two forms at once, and none.
        ({"text": TEXT, "tokens": WORDS, "clusters": INCLUSIVE}, "form"),
        ({"sentences": SENTENCES, "clusters": [], "mention_clusters": []}, "form"),
        ({"tokens": WORDS, "ner_tags": []}, "form"),
        (spacy(spans={"sc": []}), "form"),
        (spacy(spans={"coref_clusters_1": [{"start": 0}]}), "type"),
        (spacy(tokens=[{"start": 5, "end": 2}]), "span"),
        ({"sentences": SENTENCES, "clusters": [[[0, True]]]}, "type"),
        ({"sentences": SENTENCES, "clusters": [[["Ann", "her"]]]}, "type"),
        ({"sentences": SENTENCES, "clusters": [["Ann", "her"]]}, "type"),
        ({"sentences": SENTENCES, "clusters": [3]}, "type"),
        ({"sentences": [["Ann", 3]], "clusters": []}, "type"),
        ({"sentences": [], "clusters": []}, "empty"),
        ({"sentences": [["[CLS]", "Ann", "##a"]], "clusters": []}, "pieces"),
        ({"text": " ", "clusters": []}, "text"),
    ],
)
def test_a_document_that_leaves_a_doubt_is_rejected(tmp_path, document, kind):
    good = FORMS["e2e-coref"][0]
    path = written(tmp_path, "x.jsonl", f"{json.dumps(document)}\n{json.dumps(good)}\n")
    cases, _, (reject,) = sorted_out(read_clusters(path))
    assert (reject.line, reject.kind, len(cases)) == (1, kind, 2), reject.reason


def test_offsets_choose_between_a_text_and_its_words(tmp_path):
    both = {"text": TEXT, "tokens": WORDS, "clusters": INCLUSIVE}
    path = written(tmp_path, "x.jsonl", json.dumps(both))
    cases, _, _ = sorted_out(read_clusters(path, offsets="inclusive"))
    assert [marked(case) for case in cases] == RIGHT
    path = written(tmp_path, "x.jsonl", json.dumps(both | {"clusters": CHARACTERS}))
    cases, _, _ = sorted_out(read_clusters(path, offsets="characters"))
    assert [marked(case) for case in cases] == RIGHT_IN_TEXT


def test_a_text_is_divided_into_sentences_and_parts_of_speech_count(tmp_path):
    text = "Mr. Fox saw Mrs. Hen! “Why?” she asked. He ran.\n\nIt rained."
    clusters = [[[0, 7], [40, 42]], [[12, 20], [29, 32]]]
    path = written(tmp_path, "x.jsonl", json.dumps({"text": text, "clusters": clusters}))
    options = ClusterOptions(sentences=4)
    cases, left_out, _ = sorted_out(read_clusters(path, options=options))
    assert [marked(case) for case in cases] == [
        "[-Mr. Fox] saw [+Mrs. Hen]! “Why?” <she> asked.",
        "[+Mr. Fox] saw Mrs. Hen! “Why?” [-she] asked. <He> ran.",
    ]
    assert left_out == {"no_cluster": 1}
    tagged = spacy()
    for token, tag in zip(
        tagged["tokens"],
        ["PROPN", "VERB", "DET", "NOUN", "PUNCT", "NOUN", "VERB", "PRON", "PUNCT"],
        strict=False,
    ):
        token["pos"] = tag
    path = written(tmp_path, "x.jsonl", json.dumps(tagged))
    assert [marked(c) for c in sorted_out(read_clusters(path))[0]] == RIGHT_IN_TEXT[1:]


def test_a_few_mentions_inside_words_are_left_out(tmp_path):
    clusters = [*CHARACTERS, [[4, 6]]]
    path = written(tmp_path, "x.jsonl", json.dumps({"text": TEXT, "clusters": clusters}))
    cases, left_out, _ = sorted_out(read_clusters(path))
    assert [marked(case) for case in cases] == RIGHT_IN_TEXT
    assert left_out == {"divides_word": 1}


def test_two_documents_of_one_name_are_told(tmp_path):
    line = json.dumps(FORMS["e2e-coref"][0]) + "\n"
    cases, _, rejects = sorted_out(read_clusters(written(tmp_path, "x.jsonl", line + line)))
    assert len(cases) == 2 and [reject.kind for reject in rejects] == ["duplicate_id"] * 2


@pytest.mark.parametrize(
    "option",
    [
        {"sentences": 0},
        {"sentences": True},
        {"words": 0},
        {"words": 2_001},
        {"antecedents": 0},
        {"distractors": -1},
        {"language": "tlh"},
        {"pronouns": "he"},
        {"pronouns": ()},
    ],
)
def test_options_that_cannot_be_are_refused(option):
    with pytest.raises(SelectionError, match="Expected"):
        ClusterOptions(**option)


def test_the_rule_is_stated():
    assert ClusterOptions().statement == (
        "Each pronoun (by part of speech, or else the list for 'en') with the nearest earlier "
        "mentions in its sentence and the 2 before it: 1 of its own cluster at most, 1 of others."
    )
    assert "in its sentence, at most 50 words: 2 of" in ClusterOptions(1, 50, 2).statement
