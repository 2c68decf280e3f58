"""Rows that are too long, empty, damaged, alike or more than memory holds."""

from __future__ import annotations

import inspect
import json
from collections import Counter
from dataclasses import replace

import pandas as pd
import pytest
import torch
from hypothesis import given as forall
from hypothesis import strategies as st

import introspect as ix
from introspect.data import Sentence, case_to_json, write_jsonl
from introspect.errors import CaptureError, MentionError, TextError
from introspect.models import encode
from introspect.runs import WorkerOptions
from introspect.runs.batches import prepare, windows
from introspect.runs.rows import ProbeRow, Shard
from introspect.runs.shard import run_shard
from introspect.runs.worker import Worker
from introspect.studies.heads import SimilarityAnalyzer
from introspect.text import CorefCase
from tests.closeness import assert_close, assert_same_table, tolerance
from tests.runs import sets
from tests.runs.sets import CALL, LIMIT, tables
from tests.tokenizers_zoo import byte_level

pytestmark = pytest.mark.usefixtures("lean")


def reasons(run) -> list[tuple[int, str]]:
    return [(reject.line, reject.kind) for reject in run.rejects]


def roles(run) -> pd.DataFrame:
    return pd.read_parquet(run.folder / "roles.parquet")


def test_lines_that_cannot_be_read_are_named_and_the_others_count(tmp_path):
    path = tmp_path / "hard.txt"
    good = [b"w1 w2 w3", b"w4 w5"]
    bad = {2: b"", 3: b"w1 \xff\xfe w2", 4: b"w1 " * 3_400_000, 5: b"w1 \0 w2", 6: b"w9 " * LIMIT}
    path.write_bytes(b"\n".join([good[0], *bad.values(), good[1]]) + b"\n")
    run = ix.probe(sets.model(), path, tmp_path / "x", **CALL)
    assert reasons(run) == [(2, "empty"), (3, "encoding"), (4, "too_long"), (5, "nul"), (6, "text")]
    assert all(len(reject.row) < 300 for reject in run.rejects)
    clean = sets.text_file(tmp_path, [line.decode() for line in good])
    alone = ix.probe(sets.model(), clean, tmp_path / "y", **CALL)
    assert_same_table(roles(run), roles(alone))
    assert set(roles(run)["n_texts"]) == {2}


def test_half_a_surrogate_pair_is_rejected(tmp_path):
    path = tmp_path / "s.jsonl"
    lines = ['{"sentence": "w1 w2"}', '{"sentence": "w1 \\ud800 w2"}', '{"sentence": "w3"}']
    path.write_text("\n".join(lines))
    run = ix.probe(sets.model(), path, tmp_path / "x", **CALL)
    assert [line for line, _ in reasons(run)] == [2]


def test_rejects_are_in_the_order_of_the_input(tmp_path):
    """Whatever finds them: the reader, the tokenizer, or the check of ids."""
    first, second = sets.cases()[:2]
    long = replace(first, text=first.text + " w1" * LIMIT, id="long")
    unknown = CorefCase.from_words("zz saw it", pronoun="it", antecedent="zz", id="unknown")
    alone = replace(first, candidates=first.candidates[:1], id="alone")
    rows = [first, long, "{", unknown, first, second, alone, "{}", replace(long, id="long-2")]
    path = tmp_path / "c.jsonl"
    path.write_text("\n".join(r if isinstance(r, str) else case_to_json(r) for r in rows))
    run = ix.probe(sets.model(), path, tmp_path / "x", **CALL | {"shard_rows": 4})
    assert [line for line, _ in reasons(run)] == [2, 3, 4, 5, 8, 9]
    kinds = ["text", "json", "mention", "duplicate_id", "missing_key", "text"]
    assert [kind for _, kind in reasons(run)] == kinds
    # A case without a choice has a result, and is counted once: not among the rejects.
    assert (run.num_rejected, run.num_without_choice) == (6, 1)
    assert ("Without a choice", "1") in run.lines()
    assert set(pd.read_parquet(run.folder / "cases.parquet")["id"]) == {
        first.id,
        second.id,
        "alone",
    }


@pytest.mark.slow
def test_two_thousand_identical_sentences_are_two_thousand(tmp_path):
    one = ix.probe(sets.model(), sets.text_file(tmp_path, ["w1 w2 w3 w1"], "1.txt"), tmp_path / "x")
    many = sets.text_file(tmp_path, ["w1 w2 w3 w1"] * 2_000, "n.txt")
    run = ix.probe(sets.model(), many, tmp_path / "y", **CALL | {"shard_rows": 500})
    assert json.loads((run.folder / "summary.json").read_text())["texts"] == 2_000
    ours, theirs = roles(run), roles(one)
    counts = [name for name in theirs if theirs[name].dtype.kind in "iu" and name.startswith("n_")]
    assert_same_table(ours.drop(columns=counts), theirs.drop(columns=counts))
    for name in counts:
        assert (ours[name] == 2_000 * theirs[name]).all(), name


def test_identical_cases_have_identical_results(tmp_path):
    case = sets.cases()[0]
    path = write_jsonl(tmp_path / "c.jsonl", [replace(case, id=f"c{i}") for i in range(300)])
    run = ix.probe(sets.model(), path, tmp_path / "x", **CALL | {"shard_rows": 128})
    cases = pd.read_parquet(run.folder / "cases.parquet")
    assert set(Counter(cases["id"]).values()) == {24} and cases["id"].nunique() == 300
    spread = cases.groupby(["layer", "head", "direction"], observed=True)["antecedent_weight"]
    assert spread.agg(lambda values: values.max() - values.min()).max() < tolerance()


# Texts longer than the model


def tokens_of(text: str):
    return encode(sets.model().tokenizer, text).tokens


def row(item, text: str | None = None) -> ProbeRow:
    return ProbeRow("r", item.text if text is None else text, None if text else item)


@forall(
    st.lists(st.integers(0, 290), min_size=1, max_size=150),
    st.integers(min_value=8, max_value=60),
)
def test_the_parts_of_a_text_have_each_token_once(numbers, limit):
    text = " ".join(f"w{number}" for number in numbers)
    whole = tokens_of(text)
    parts = windows(ProbeRow("r", text), whole, limit)
    read = [tokens_of(part.text) for part in parts]
    assert all(len(tokens) <= limit for tokens in read)
    assert [t for tokens in read for t in tokens.tokens[1:-1]] == list(whole.tokens[1:-1])
    assert [part.id for part in parts] == [f"r#{i}" for i in range(1, len(parts) + 1)]
    # As few as there can be, so that a text is not torn without need: 4 are spared.
    assert len(parts) == -(-len(numbers) // (limit - 2 - 4))


def test_parts_are_cut_between_words_where_words_have_several_tokens():
    tokenizer = byte_level()
    text = "zebra " + "hello quagga " * 12 + "x" * 40 + " the end"
    whole = encode(tokenizer, text).tokens
    parts = windows(ProbeRow("r", text), whole, 26)
    joined = "".join(part.text.replace(" ", "") for part in parts)
    assert joined == text.replace(" ", "")
    words = text.split()
    # Only the word that no part can hold is divided.
    cut = [part.text.split()[0] for part in parts if part.text.split()[0] not in words]
    assert all(set(word) == {"x"} for word in cut) and cut


def far(gap: int, before: int = 60, after: int = 60) -> CorefCase:
    """A case with so many words between its mentions, and around them."""
    front = [f"w{i % 290}" for i in range(before)]
    between = [f"w{i}" for i in range(gap)]
    behind = [f"w{i % 290}" for i in range(after)]
    text = " ".join([*front, "w291", *between, "w292", "w293", *behind])
    return CorefCase.from_words(
        text, pronoun="w293", antecedent="w291", distractors=["w292"], id="far", group="g"
    )


@forall(st.integers(0, 31), st.integers(0, 90), st.integers(0, 90))
def test_a_case_is_cut_around_its_mentions(gap, before, after):
    case = far(gap, before, after)
    whole = tokens_of(case.text)
    (part,) = windows(ProbeRow("far", case.text, case), whole, LIMIT)
    cut = part.item
    assert cut.text == part.text and cut.text in case.text and part.id == "far"
    said = [cut.phrase(cut.pronoun), *(cut.phrase(c.span) for c in cut.candidates)]
    assert said == ["w293", "w291", "w292"]
    assert [c.antecedent for c in cut.candidates] == [True, False]
    assert (cut.id, cut.group) == ("far", "g")
    taken = len(tokens_of(cut.text))
    assert taken == min(LIMIT - 4, len(whole))  # all that fits
    # As much before as after, where there is as much.
    words = cut.text.split(" ")
    room = LIMIT - 4 - 2 - (gap + 3)
    front, back = words.index("w291"), len(words) - 1 - words.index("w293")
    if min(before, after) > room:
        assert abs(front - back) <= 1


def test_mentions_that_begin_inside_a_word_are_kept_whole():
    case = far(5)
    glued = replace(
        case,
        text=case.text.replace("w293", "«w293»"),
        pronoun=(case.pronoun[0] + 1, case.pronoun[1] + 1),
    )
    (part,) = windows(ProbeRow("r", glued.text, glued), tokens_of(glued.text), LIMIT)
    assert part.item.phrase(part.item.pronoun) == "w293"


def test_mentions_too_far_apart_and_trees_are_refused():
    case = far(LIMIT)
    with pytest.raises(MentionError, match="34 tokens .* they are 43 apart"):
        windows(ProbeRow("r", case.text, case), tokens_of(case.text), LIMIT)
    text = "w1 " * LIMIT + "w2"
    tree = object.__new__(Sentence)
    with pytest.raises(TextError, match="a tree cannot be divided"):
        windows(ProbeRow("r", text, tree), tokens_of(text), LIMIT)
    with pytest.raises(TextError, match="room for a word in 6 tokens"):
        windows(ProbeRow("r", text), tokens_of(text), 6)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """The first row of all is too long: what is captured for the certificate must not be it."""
    long = " ".join(f"w{i}" for i in range(100))
    return sets.text_file(tmp_path_factory.mktemp("mixed"), [long, "w1 w2", long + " w7", "w3"])


def test_long_texts_are_rejected_or_read_in_parts(mixed, tmp_path):
    run = ix.probe(sets.model(), mixed, tmp_path / "x", **CALL)
    assert reasons(run) == [(1, "text"), (3, "text")]
    assert str(LIMIT) in run.rejects[0].reason
    windowed = ix.probe(sets.model(), mixed, tmp_path / "y", long="window", **CALL)
    assert windowed.rejects == ()
    # The parts are as texts of their own.
    rows = [line.split(" ") for line in mixed.read_text().splitlines()]
    size = LIMIT - 2 - 4
    parts = [
        " ".join(words[first : first + size])
        for words in rows
        for first in range(0, len(words), size)
    ]
    alone = ix.probe(sets.model(), sets.text_file(tmp_path, parts), tmp_path / "z", **CALL)
    assert_same_table(roles(windowed), roles(alone))
    assert json.loads((tmp_path / "y" / "summary.json").read_text())["texts"] == len(parts)


def test_long_cases_are_read_around_their_mentions(tmp_path):
    near, apart = far(5), replace(far(LIMIT), id="apart")
    path = write_jsonl(tmp_path / "c.jsonl", [near, apart, *sets.cases()[:3]])
    run = ix.probe(sets.model(), path, tmp_path / "x", long="window", **CALL)
    assert reasons(run) == [(2, "mention")]
    assert "apart" in run.rejects[0].reason
    (part,) = windows(ProbeRow("far", near.text, near), tokens_of(near.text), LIMIT)
    alone = ix.score(sets.model(), [part.item], options=sets.FEW)
    ours = run.scores.cases[run.scores.cases["id"] == "far"]["antecedent_weight"]
    theirs = alone.cases["antecedent_weight"]
    assert_close(ours.to_numpy(), theirs.to_numpy())


def test_long_trees_are_rejected(tmp_path):
    words = [f"w{i}" for i in range(50)]
    short = "1\tw1\t_\tNOUN\t_\t_\t0\troot\t_\t_\n2\tw2\t_\tNOUN\t_\t_\t1\tnmod\t_\t_\n"
    long = "".join(
        f"{i}\t{word}\t_\tNOUN\t_\t_\t{i - 1}\t{'nmod' if i > 1 else 'root'}\t_\t_\n"
        for i, word in enumerate(words, start=1)
    )
    path = tmp_path / "t.conllu"
    path.write_text(f"{short}\n{long}\n{short}\n")
    run = ix.probe(sets.model(), path, tmp_path / "x", long="window", **CALL)
    assert [kind for _, kind in reasons(run)] == ["text"]
    assert "a tree cannot be divided" in run.rejects[0].reason


TREE = "1\t{}\t_\tDET\t_\t_\t2\tdet\t_\t_\n2\t{}\t_\tNOUN\t_\t_\t0\troot\t_\t_\n"


def test_trees_and_patterns_have_pages_and_a_table_of_relations(tmp_path):
    path = tmp_path / "t.conllu"
    path.write_text("\n".join(TREE.format("The", noun) for noun in ("cat", "dog", "man")))
    run = ix.probe(
        sets.model(), path, tmp_path / "x", analyzers=["syntax", "patterns", "roles"], **CALL
    )
    # The first page is the report; the others stand beside it.
    assert {page.name for page in run.folder.glob("*.html")} == {
        "report.html", "syntax.html", "patterns.html",
    }  # fmt: skip
    assert run.finding.startswith("What ")
    page = (run.folder / "syntax.html").read_text(encoding="utf-8")
    assert "could be tested over 3 sentences" in page
    relations = pd.read_csv(run.folder / "relations.csv")
    assert relations[["relation", "n", "n_sentences"]].values.tolist() == [["det", 3, 3]]
    again = ix.probe(
        sets.model(), path, tmp_path / "x", analyzers="patterns", overwrite=True, **CALL
    )
    assert [page.name for page in again.folder.glob("*.html")] == ["report.html"]
    assert not (again.folder / "relations.csv").exists()
    assert "The shapes of" in again.finding


# Memory


def short_of_memory(monkeypatch, module, most: int, error: Exception, *, never: int = 0) -> None:
    """The model fails on batches of more than so many texts, and on texts of so many tokens."""
    forward = module.forward

    def limited(*arguments, **named):
        size, length = named["input_ids"].shape
        if size > most or length == never:
            raise error
        return forward(*arguments, **named)

    limited.__signature__ = inspect.signature(forward)
    monkeypatch.setattr(module, "forward", limited)


ERRORS = [
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
    RuntimeError("CUDA error: out of memory"),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    MemoryError(),
]


@pytest.mark.slow
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_batches_are_divided_where_memory_does_not_suffice(error, tmp_path, monkeypatch):
    path = write_jsonl(tmp_path / "c.jsonl", sets.cases())
    call = CALL | {"shard_rows": 32, "analyzers": ["coreference", "roles"]}
    small = ix.probe(sets.model(), path, tmp_path / "x", batch_size=3, **call)
    short_of_memory(monkeypatch, sets.model().module, 3, error)
    run = ix.probe(sets.model(), path, tmp_path / "y", **call)
    summary = json.loads((tmp_path / "y" / "summary.json").read_text())
    # 32 texts, then 16 and 16, then 8 and 8, …: 15 divisions until 16 batches of 2 fit.
    assert summary["capture"]["batches_divided_for_want_of_memory"] == 15
    assert summary["texts"] == 32
    ours, theirs = run.scores.cases, small.scores.cases
    assert list(ours["id"]) == list(theirs["id"])
    assert_close(ours["antecedent_weight"], theirs["antecedent_weight"])
    assert_same_table(roles(run), roles(small))


def test_a_text_that_memory_never_holds_is_rejected_as_that(tmp_path, monkeypatch):
    path = sets.text_file(tmp_path, ["w1 w2", "w1 w2 w3 w4 w5", "w1 w2 w3", "w9"])
    short_of_memory(monkeypatch, sets.model().module, 64, MemoryError(), never=7)
    run = ix.probe(sets.model(), path, tmp_path / "x", **CALL)
    assert reasons(run) == [(2, "memory")]
    assert "7 tokens" in run.rejects[0].reason
    assert json.loads((tmp_path / "x" / "summary.json").read_text())["texts"] == 3


def test_a_first_text_that_memory_never_holds_leaves_a_report(tmp_path, monkeypatch):
    path = sets.text_file(tmp_path, ["w1 w2 w3 w4 w5", "w1 w2"])
    short_of_memory(monkeypatch, sets.model().module, 64, MemoryError(), never=7)
    run = ix.probe(sets.model(), path, tmp_path / "x", **CALL)
    assert run.report.exists()


def test_another_error_of_the_model_is_no_want_of_memory(tmp_path, monkeypatch):
    path = sets.text_file(tmp_path, ["w1 w2"])
    short_of_memory(monkeypatch, sets.model().module, 0, RuntimeError("shapes do not fit"))
    with pytest.raises(Exception, match="shapes do not fit"):
        ix.probe(sets.model(), path, tmp_path / "x", **CALL)


def test_memory_that_is_missing_at_the_end_of_a_batch_counts_nothing_twice(tmp_path, monkeypatch):
    """Where an analyzer has taken the batch when the next one finds no memory, the probe ends."""
    path = write_jsonl(tmp_path / "c.jsonl", sets.cases()[:8])
    call = CALL | {"analyzers": ["coreference", "roles", "similarity"]}
    whole = ix.probe(sets.model(), path, tmp_path / "x", **call)
    end, failed = SimilarityAnalyzer.end, []

    def failing(self):
        if not failed:
            failed.append(1)
            raise MemoryError
        end(self)

    monkeypatch.setattr(SimilarityAnalyzer, "end", failing)
    with pytest.raises(CaptureError, match=r"add up a batch.*--batch-size"):
        ix.probe(sets.model(), path, tmp_path / "y", **call)
    assert failed
    run = ix.probe(sets.model(), path, tmp_path / "y", **call)
    assert tables(run.folder) == tables(whole.folder)
    assert_same_table(roles(run), roles(whole))
    # As the first one to count, it is asked again with half of the texts.
    failed.clear()
    alone = ix.probe(
        sets.model(), path, tmp_path / "z", **CALL | {"analyzers": ["similarity", "roles"]}
    )
    assert failed
    assert_same_table(roles(alone), roles(whole))


def test_a_shard_of_rejects_only_is_a_shard(tmp_path):
    path = sets.text_file(tmp_path, ["w1 " * 50] * 3 + ["w1 w2"])
    run = ix.probe(sets.model(), path, tmp_path / "x", **CALL | {"shard_rows": 3})
    assert len(run.rejects) == 3
    assert len(list((tmp_path / "x" / "shards").glob("*.safetensors"))) == 2


def test_prepared_rows_know_their_places():
    rows = [ProbeRow("a", "w1 " * 60), ProbeRow("b", "w1"), ProbeRow("c", " ")]
    prepared = prepare(sets.model(), Shard.of(0, rows), limit=LIMIT, long="window")
    assert [r.id for r in prepared.rows] == ["a#1", "a#2", "b"]
    assert prepared.places == (0, 0, 1)
    assert list(prepared.rejects) == [2]
    result = run_shard(Worker(sets.model(), WorkerOptions(analyzers=("roles",))), prepared)
    assert result.counts.rows == 3 and len(result.rejects) == 1


def test_cases_without_a_choice_alone_have_results_and_a_report(tmp_path):
    cases = [replace(case, candidates=case.candidates[:1]) for case in sets.cases()[:3]]
    run = ix.probe(sets.model(), write_jsonl(tmp_path / "c.jsonl", cases), tmp_path / "x", **CALL)
    assert (reasons(run), run.num_rejected, run.num_without_choice) == ([], 0, 3)
    assert pd.read_parquet(run.folder / "cases.parquet")["id"].nunique() == 3


def test_rows_with_and_without_a_choice_and_rejected_ones_are_all_rows(tmp_path):
    first, second, third = sets.cases()[:3]
    lone = replace(second, candidates=second.candidates[:1])
    path = write_jsonl(tmp_path / "c.jsonl", [first, lone, third])
    path.write_text(path.read_text("utf-8") + '{"text": "w1"}\n{"text":\n', "utf-8")
    run = ix.probe(sets.model(), path, tmp_path / "x", **CALL)
    summary = json.loads((run.folder / "summary.json").read_text("utf-8"))
    assert (summary["texts"], summary["rejected"], summary["outside_forced_choice"]) == (3, 2, 1)
    assert pd.read_parquet(run.folder / "cases.parquet")["id"].nunique() == 3
