"""Which heads point: the share of a mention, beside what the other words give it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import introspect as ix
from introspect.errors import CallError, MentionError, SelectionError
from introspect.records import AttentionRecord, TokenSequence
from introspect.studies.coreference import PointingHead, pair_table
from introspect.studies.coreference.study import CapturedText
from tests import models_zoo

WORDS = ("the", "old", "cat", "saw", "it")
THE, OLD, CAT, SAW, IT = range(5)


def record_of(*rows: tuple[int, list[float]], heads: int = 1, **options) -> AttentionRecord:
    """Even attention over the words, except in these rows of the first head."""
    weights = torch.full((1, heads, 5, 5), 0.2)
    for row, numbers in rows:
        weights[0, 0, row] = torch.tensor(numbers)
    return AttentionRecord.from_tensors(weights, WORDS, **options)


def first(record, query="it", key="cat") -> dict[str, object]:
    return pair_table(record, query, key).iloc[0].to_dict()


def test_the_numbers_of_the_paper_sentence():
    model = models_zoo.minilm()
    record = model.capture("The animal didn't cross the street because it was too tired.")
    table = pair_table(record, "it", "animal").set_index(["layer", "head"])
    numbers = table[["weight", "others", "ratio"]].round(2)
    assert numbers.loc[(3, 1)].to_list() == [0.68, 0.11, 6.27]
    assert numbers.loc[(5, 11)].to_list() == [0.67, 0.34, 1.98]
    assert table.loc[(3, 1), "points"] and not table.loc[(5, 11), "points"]
    assert table["points"].sum() == 1
    assert table["weight"].is_monotonic_decreasing


def slow(record, query, key, layer, head):
    """The share and what others give, word by word, from the definition."""
    sequence = record.queries
    pattern = record.attentions[layer, head].double()

    def given(word):
        return sum(float(pattern[i, j]) for i in word for k in key for j in k) / len(word)

    taken = {i for word in (*query, *key) for i in word}
    others = [
        word
        for word in sequence.pieces()
        if not sequence.special_tokens_mask[word[0]] and not taken & set(word)
    ]
    share = sum(map(given, query)) / len(query)
    return share, sum(map(given, others)) / len(others)


@pytest.mark.parametrize(
    ("query", "key"), [("it", "The animal"), ("didn't", "street"), ("too tired", "the street")]
)
def test_shares_are_those_of_a_slow_loop(query, key):
    record = models_zoo.minilm().capture(
        "The animal didn't cross the street because it was too tired."
    )
    words = [ix.records.named_words(record.keys, each) for each in (query, key)]
    for row in pair_table(record, query, key).head(12).itertuples():
        share, others = slow(record, *words, row.layer, row.head)
        assert (row.weight, row.others) == pytest.approx((share, others), abs=1e-6)
        assert row.points == (share > 0.5 and share >= 2 * others)


def test_a_mention_is_a_sum_and_a_pronoun_of_several_words_a_mean():
    record = record_of((IT, [0.1, 0.3, 0.4, 0.1, 0.1]), (SAW, [0.0, 0.1, 0.1, 0.4, 0.4]))
    assert first(record, "it", "old cat")["weight"] == pytest.approx(0.7)
    assert first(record, "it", "old cat")["others"] == pytest.approx((0.4 + 0.2) / 2)
    assert first(record, "saw it", "cat")["weight"] == pytest.approx((0.4 + 0.1) / 2)


@pytest.mark.parametrize("others", [0.35, 0.36])
def test_a_head_points_at_twice_what_others_give(others):
    rest = [0.1, 0.1, others, 0.1, 0.8 - others - 0.1]
    rows = [(row, rest) for row in (THE, OLD, SAW)]
    record = record_of((IT, [0.1, 0.1, 0.7, 0.1, 0.0]), *rows)
    assert first(record)["points"] is (others == 0.35)


def test_over_half_is_over_half_whatever_the_rounding():
    assert not first(record_of((IT, [0.0, 0.2, 0.3, 0.5, 0.0])), "it", "old cat")["points"]
    assert first(record_of((IT, [0.0, 0.2, 0.31, 0.49, 0.0])), "it", "old cat")["ratio"] < 2


def test_a_mention_may_be_named_in_each_way():
    record = models_zoo.minilm().capture("It sat. The cat saw it and slept.")
    tables = [
        pair_table(record, "it", key)
        for key in ("The cat", (8, 15), ["The", "cat"], [(8, 11), "cat"], [5, 4], ["cat", "The"])
    ]
    for other in tables[1:]:
        assert other.equals(tables[0])
    assert pair_table(record, 7, "cat").equals(pair_table(record, "it", "cat"))
    assert pair_table(record, "it", ["cat", "cat"]).equals(pair_table(record, "it", "cat"))


def test_several_antecedents_are_one_mention():
    text = "Ann met Bea and they left."
    case = ix.CorefCase.from_words(text, pronoun="they", antecedent="Ann")
    case = replace(case, candidates=(*case.candidates, ix.Candidate((8, 11), antecedent=True)))
    record = models_zoo.minilm().capture(text)
    pointing = CapturedText(case, record).pointing
    own = pointing.table().reset_index(drop=True).rename(columns={"share": "weight"})
    table = pair_table(record, "they", ["Ann", "Bea"])
    assert own.equals(table[list(own.columns)])


def test_rank_and_weight_without_special_tokens_are_those_of_a_slow_loop():
    record = models_zoo.minilm().capture("The animal didn't cross the street because it was tired.")
    sequence = record.queries
    (query,), (key,) = (ix.records.named_words(sequence, each) for each in ("didn't", "street"))
    words = [word for word in sequence.pieces() if not sequence.special_tokens_mask[word[0]]]
    for row in pair_table(record, "didn't", "street").itertuples():
        pattern = record.attentions[row.layer, row.head].double()
        given = {
            word[0]: float(pattern[query][:, word].sum(-1).mean())
            for word in [*words, [0], [len(sequence) - 1]]
        }
        better = [word for word in words if given[word[0]] > given[key[0]] + 1e-6]
        assert row.rank == 1 + len(better)
        kept = 1 - given[0] - given[len(sequence) - 1]
        assert row.without_special == pytest.approx(given[key[0]] / kept, abs=1e-5)
        assert row.difference == pytest.approx(row.weight - row.others, abs=1e-12)


def test_what_a_word_gives_itself_is_no_pointing():
    record = record_of((IT, [0.1, 0.1, 0.1, 0.1, 0.6]))
    assert first(record, "it", "saw it")["weight"] == pytest.approx(0.1)
    for key in ("it", IT, [IT, "it"]):
        with pytest.raises(SelectionError, match="different words"):
            pair_table(record, "it", key)


def causal(record: AttentionRecord) -> AttentionRecord:
    weights = record.attentions.tril()
    return replace(record, attentions=weights / weights.sum(-1, keepdim=True))


def test_words_that_cannot_see_the_mention_are_not_counted():
    record = causal(record_of((IT, [0.1, 0.1, 0.6, 0.1, 0.1])))
    found = first(record)  # the and old come before cat
    assert found["others"] == pytest.approx(0.25)  # saw alone
    assert first(record, "it", ["the", "cat"])["others"] == pytest.approx(0.5)
    late = pair_table(record, "the", "cat")
    assert late["weight"].isna().all() and not late["points"].any()


def test_without_another_word_that_sees_the_mention_no_head_points():
    record = AttentionRecord.from_tensors([[[0.9, 0.1], [0.9, 0.1]]], ["cat", "it"])
    found = first(record)
    assert found["weight"] == pytest.approx(0.9)
    assert found["others"] != found["others"] and found["points"] is False


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("row", [IT, SAW])
def test_attention_that_is_not_finite_is_none(value, row):
    numbers = [0.1, 0.1, 0.6, 0.1, value]
    record = record_of((IT, [0.1, 0.1, 0.6, 0.1, 0.1]), (row, numbers), heads=2)
    table = pair_table(record, "it", "cat")
    assert table.iloc[-1 if row == IT else 0]["head"] == 0
    broken = table[table["head"] == 0].iloc[0]
    assert not broken["points"]
    assert broken[["weight", "others"]].isna().to_list() == [row == IT, row == SAW]


def test_a_pair_of_texts_is_one_text_of_words():
    record = models_zoo.minilm().capture("The cat slept.", "It was tired.")
    table = pair_table(record, "It", "cat").set_index(["layer", "head"])
    # The, slept, both full stops, was and tired.
    rows = [1, 3, 4, 7, 8, 9]
    expected = float(record.attentions[3, 1, rows, 2].mean())
    assert table.loc[(3, 1), "others"] == pytest.approx(expected, abs=1e-6)


def test_attention_from_one_text_to_another_compares_the_words_that_attend():
    weights = torch.tensor([[[0.7, 0.3], [0.2, 0.8], [0.4, 0.6]]])
    record = AttentionRecord.from_tensors(
        weights, ["chat", "noir"], query_tokens=["cat", "black", "the"], kind="cross"
    )
    found = first(record, "cat", "chat")
    assert (found["weight"], found["others"]) == pytest.approx((0.7, 0.3))
    assert found["points"] is True


def test_special_tokens_may_be_asked_about_and_are_no_other_words():
    record = models_zoo.minilm().capture("The cat slept.")
    table = pair_table(record, "cat", "[SEP]").set_index(["layer", "head"])
    expected = float(record.attentions[0, 0, [1, 3, 4], 5].mean())
    assert table.loc[(0, 0), "others"] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("query", "key", "error"),
    [
        ("dog", "cat", MentionError), ("it", "", MentionError), ("it", 9, SelectionError),
        ("it", -1, SelectionError), ("it", [], SelectionError), ("it", (3, 2), MentionError),
        ("it", (0, 99), MentionError), ("it", None, SelectionError), ("it#2", "cat", MentionError),
        ("it", {"cat"}, SelectionError), ("it", 1.5, SelectionError),
    ],
)  # fmt: skip
def test_what_is_no_word_of_the_text_is_refused(query, key, error):
    with pytest.raises(error, match="Expected"):
        pair_table(record_of(), query, key)


def test_a_record_is_asked_for():
    with pytest.raises(CallError, match="capture"):
        ix.pair_table("The cat saw it.", "it", "cat")


def test_heads_are_ranked_by_their_share():
    record = record_of((IT, [0.1, 0.1, 0.6, 0.1, 0.1]), heads=2)
    case = ix.CorefCase.from_words("the old cat saw it", pronoun="it", antecedent="cat")
    tokens = TokenSequence(
        WORDS,
        offsets=((0, 3), (4, 7), (8, 11), (12, 15), (16, 18)),
        word_ids=tuple(range(5)),
        words=WORDS,
        texts=(case.text,),
    )
    record = replace(record, queries=tokens, keys=tokens)
    best, other = CapturedText(case, record).pointing.ranked()
    assert best == PointingHead(ix.Head(0, 0), pytest.approx(0.6), pytest.approx(0.2), True, 3)
    assert not other.points
