"""Parts of speech beside a corpus: the same rules as if the corpus were the treebank itself."""

from __future__ import annotations

import pytest

import introspect as ix
from introspect.errors import InputError
from tests.runs import sets

WORDS = (("Cats", "NOUN", 2, "nsubj"), ("saw", "VERB", 0, "root"), ("it", "PRON", 2, "obj"))
PLAIN = {"threads": 1, "examples": 2, "heads": ["L0H0"]}


def block(*words: tuple[str, str, int, str], after: str = "") -> str:
    text = " ".join(word for word, *_ in words) + after
    rows = [
        "\t".join((str(n), word, "_", tag, "_", "_", str(head), relation, "_", "_"))
        for n, (word, tag, head, relation) in enumerate(words, start=1)
    ]
    return "\n".join([f"# text = {text}", *rows, ""]) + "\n"


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    nouns = ("Cats", "Dogs", "Birds", "Foxes", "Crows", "Bears")
    verbs = ("saw", "ate", "lost", "found")
    blocks = [
        block((noun, *WORDS[0][1:]), (verb, *WORDS[1][1:]), WORDS[2])
        for noun in nouns
        for verb in verbs
    ]
    path = tmp_path_factory.mktemp("pos") / "trees.conllu"
    path.write_text("\n".join(blocks))
    return path


def test_a_plain_text_with_tags_has_the_rules_of_the_treebank(trees, tmp_path):
    of_trees = ix.atlas(sets.model(), str(trees), tmp_path / "trees", **PLAIN)
    texts = [line[9:] for line in trees.read_text().splitlines() if line.startswith("# text")]
    tagged = ix.atlas(sets.model(), texts, tmp_path / "tagged", pos=str(trees), **PLAIN)
    plain = ix.atlas(sets.model(), texts, tmp_path / "plain", **PLAIN)
    key = ["layer", "head", "rule", "half"]
    one, other = (each.rules.set_index(key)["coverage"].sort_index() for each in (of_trees, tagged))
    assert one.equals(other)
    tree_rules = {"noun_before", "verb_before", "pronoun_to_noun", "syntactic_head", "dependents"}
    assert tree_rules <= set(tagged.rules["rule"])
    assert not tree_rules & set(plain.rules["rule"])
    index = (tagged.path / "index.html").read_text()
    assert f"for {len(texts)} of {len(texts)} sampled texts" in index
    # Another file of tags is another run.
    with pytest.raises(ix.errors.OutputError):
        ix.atlas(sets.model(), texts, tmp_path / "plain", pos=str(trees), **PLAIN)


def test_a_file_without_tags_is_refused_before_anything_is_written(tmp_path):
    bare, bad = tmp_path / "bare.conllu", tmp_path / "bad.conllu"
    bare.write_text(block(("Cats", "_", 0, "root")))
    bad.write_text("1\tCats\n\n")
    for path, said in ((bare, "got none"), (bad, "line 1"), (tmp_path / "no.conllu", "no.conllu")):
        with pytest.raises(InputError, match=said):
            ix.atlas("induction", ["a b c"], tmp_path / "out", pos=str(path))
    assert not (tmp_path / "out").exists()


def test_a_treebank_has_its_own(trees, tmp_path):
    with pytest.raises(InputError, match=r"a treebank, which has its own: .*Leave out `pos`"):
        ix.atlas("induction", str(trees), tmp_path / "out", pos=str(trees))
    assert not (tmp_path / "out").exists()


def test_a_bad_sentence_is_named_with_its_own_reason(tmp_path):
    bad = tmp_path / "bad.conllu"
    bad.write_text(block(WORDS[1]) + block(("Cats", "NOUN", 9, "nsubj")))
    with pytest.raises(InputError, match=r"line \d+: Expected the head of word 1.*Mend or remove"):
        ix.atlas("induction", ["a b c"], tmp_path / "out", pos=str(bad))


def test_tags_of_no_text_are_said(trees, tmp_path):
    made = ix.atlas("induction", ["a b c", "d e f"], tmp_path / "out", pos=str(trees), **PLAIN)
    said = "for 0 of 2 sampled texts; the file has no such texts, character for character"
    assert said in made.summary["pos"] and said in (made.path / "index.html").read_text()
