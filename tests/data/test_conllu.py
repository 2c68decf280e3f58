"""CoNLL-U: words, characters and heads, and a reason for each sentence left out."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from introspect.data import Reject, Sentence, read_conllu
from introspect.errors import InputError
from tests.data.helpers import written


def line(number, form, head="0", deprel="root", misc="_", upos="X"):
    return "\t".join([str(number), form, "_", upos, "_", "_", str(head), deprel, "_", misc])


def block(*lines):
    return "\n".join(lines) + "\n\n"


CAT = block(
    "# sent_id = s1",
    "# text = The cat sleeps.",
    line(1, "The", 2, "det", upos="DET"),
    line(2, "cat", 3, "nsubj", upos="NOUN"),
    line(3, "sleeps", 0, "root", "SpaceAfter=No", upos="VERB"),
    line(4, ".", 3, "punct", upos="PUNCT"),
)


def read(folder, text):
    return list(read_conllu(written(folder, "a.conllu", text)))


def forms(sentence):
    return [sentence.text[start:end] for start, end in (word.span for word in sentence.words)]


def test_a_sentence_by_hand(tmp_path):
    (found,) = read(tmp_path, CAT)
    assert (found.id, found.text, found.line) == ("s1", "The cat sleeps.", 1)
    assert [word.form for word in found.words] == ["The", "cat", "sleeps", "."]
    assert [word.span for word in found.words] == [(0, 3), (4, 7), (8, 14), (14, 15)]
    assert [word.head for word in found.words] == [1, 2, None, 2]
    assert [word.deprel for word in found.words] == ["det", "nsubj", "root", "punct"]
    assert [word.upos for word in found.words] == ["DET", "NOUN", "VERB", "PUNCT"]


def test_without_a_text_it_is_put_together(tmp_path):
    (found,) = read(tmp_path, CAT.replace("# text = The cat sleeps.\n", ""))
    assert found.text == "The cat sleeps."
    assert forms(found) == ["The", "cat", "sleeps", "."]


def test_several_spaces_of_the_text_are_kept(tmp_path):
    (found,) = read(tmp_path, CAT.replace("= The cat", "= The\u00a0  cat"))
    assert found.words[1].span == (6, 9)
    assert forms(found) == ["The", "cat", "sleeps", "."]


def test_a_contraction_that_its_words_spell_out_is_divided(tmp_path):
    text = block(
        "# text = I don't.",
        line(1, "I", 2, "nsubj"),
        line("2-3", "don't", "_", "_", "SpaceAfter=No"),
        line(2, "do", 0),
        line(3, "n't", 2, "advmod"),
        line(4, ".", 2, "punct"),
    )
    for file in (text, text.replace("# text = I don't.\n", "")):
        (found,) = read(tmp_path, file)
        assert found.text == "I don't."
        assert [word.span for word in found.words] == [(0, 1), (2, 4), (4, 7), (7, 8)]


def test_words_that_a_contraction_hides_have_all_of_its_characters(tmp_path):
    text = block(
        line("1-2", "del", "_", "_"), line(1, "de", 3, "case"), line(2, "el", 3), line(3, "mar")
    )
    (found,) = read(tmp_path, text)
    assert found.text == "del mar"
    assert [word.span for word in found.words] == [(0, 3), (0, 3), (4, 7)]
    assert [word.form for word in found.words] == ["de", "el", "mar"]


def test_empty_nodes_are_no_words(tmp_path):
    text = block(
        line("0.1", "ghost", "_", "_"),
        line(1, "one", 2, "dep"),
        line("1.1", "ghost", "_", "_"),
        line("1.2", "ghost", "_", "_"),
        line(2, "two", 0),
    )
    (found,) = read(tmp_path, text)
    assert (found.text, [word.head for word in found.words]) == ("one two", [1, None])


def test_without_annotation_there_is_no_head(tmp_path):
    (found,) = read(tmp_path, block(line(1, "one", "_", "_"), line(2, "two", "_", "_", upos="_")))
    assert [(w.head, w.deprel) for w in found.words] == [(None, ""), (None, "")]
    assert found.words[1].upos == ""


def test_forms_may_hold_spaces_and_the_file_may_end_early(tmp_path):
    text = "# text = 1 000 cats\n" + line(1, "1 000", 2, "nummod") + "\r\n" + line(2, "cats")
    (found,) = read(tmp_path, text)
    assert forms(found) == ["1 000", "cats"]


BAD = [
    ("columns", 2, block("# a", "1\tone", line(2, "two"))),
    ("columns", 1, block(line(1, "one").replace("\t", " "))),
    ("form", 1, block(line(1, " "))),
    ("number", 2, block(line(1, "one"), line(3, "two"))),
    ("number", 1, block(line("x", "one"), line(1, "two"))),
    ("number", 2, block(line(1, "one"), line("1-2", "two"), line(2, "two"))),
    ("number", 1, block(line("1-2", "one", "_", "_"), line(1, "one"))),
    ("number", 1, block(line("2-1", "one", "_", "_"), line(1, "one"))),
    ("number", 2, block(line("1-2", "ab", "_"), line("1-2", "ab", "_"), line(1, "a"))),
    ("head", 2, block(line(1, "one"), line(2, "two", 3))),
    ("head", 2, block(line(1, "one"), line(2, "two", 2))),
    ("head", 1, block(line(1, "one", "-1"))),
    ("head", 1, block(line(1, "one", "²"))),
    ("head", 1, block(line(1, "one", ""))),
    ("text", 2, block("# text = two", line(1, "one"))),
    ("text", 1, block("# text = one two", line(1, "one"))),
    ("text", 2, block("# text =", line(1, "one"))),
    ("empty", 1, block("# text = one")),
    ("nul", 2, block(line(1, "one"), line(2, "t\0wo"))),
]


@pytest.mark.parametrize(("kind", "number", "bad"), BAD)
def test_a_bad_line_is_named_and_the_next_sentence_is_read(tmp_path, kind, number, bad):
    before, reject, after = read(tmp_path, CAT + bad + CAT)
    assert isinstance(before, Sentence)
    assert isinstance(after, Sentence)
    assert isinstance(reject, Reject)
    assert (reject.kind, reject.line) == (kind, CAT.count("\n") + number)
    assert reject.source.endswith("a.conllu")
    assert reject.reason.endswith(".")


def test_a_byte_that_is_not_utf_8_is_named(tmp_path):
    (reject,) = read(tmp_path, CAT.encode().replace(b"cat\t", b"c\xe9t\t"))
    assert (reject.kind, reject.line) == ("encoding", 4)


def test_an_empty_file_says_so(tmp_path):
    (reject,) = read(tmp_path, "\n\n")
    assert (reject.line, reject.kind) == (0, "empty")


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(InputError, match="Check the name"):
        next(read_conllu(tmp_path / "none.conllu"))


@pytest.mark.slow
def test_sentences_are_read_one_at_a_time(tmp_path):
    path = written(tmp_path, "many.conllu", CAT * 20_000)
    tracemalloc.start()
    assert sum(1 for _ in read_conllu(path)) == 20_000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000 < path.stat().st_size


words = st.lists(st.text("abé中'.", min_size=1, max_size=4), min_size=1, max_size=8)


@given(words=words, data=st.data())
def test_every_word_is_where_it_says(tmp_path_factory, words, data):
    glued = data.draw(st.lists(st.booleans(), min_size=len(words), max_size=len(words)))
    lines = [
        line(i + 1, form, 0 if i == 0 else 1, misc="A=b|SpaceAfter=No" if glued[i] else "_")
        for i, form in enumerate(words)
    ]
    (found,) = read(tmp_path_factory.mktemp("c"), block(*lines))
    assert forms(found) == words
    expected = "".join(w + " " * (not g) for w, g in zip(words, glued, strict=True))
    assert found.text == expected.rstrip()
    assert all(word.head == 0 for word in found.words[1:])
