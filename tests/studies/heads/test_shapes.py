"""Positional heads, rare words and classes: planted, by a slow loop, and in any division."""

from __future__ import annotations

import pandas as pd
import pytest
import torch

from introspect.errors import InputError, SelectionError
from introspect.functional import PATTERN_CLASSES
from introspect.records import AttentionRecord, TokenSequence
from introspect.studies.analyzer import Texts
from introspect.studies.heads import POSITIONAL, RARE_WORD, PatternsAnalyzer
from introspect.studies.heads.shapes import token_counts
from tests.synthetic import padded

TEXTS = [
    "5 6 7 8 9 5 6 7 8 20",
    "5 6 21 7 8 9 5 6 5 9 8 7",
    "5 22 6 7",
    "5 5 6 6 7 7 8 8 9 9 30 31",  # two that are equally rare
]
#: 5 to 9 are common, each number above less so than the one before.
FREQUENCIES = {**dict.fromkeys(range(5, 10), 100.0), 20: 3.0, 21: 2.0, 22: 1.0, 30: 1.0, 31: 1.0}


def tokens(text: str) -> TokenSequence:
    ids = [1, *map(int, text.split()), 2]
    return TokenSequence(
        tokens=tuple(map(str, ids)),
        token_ids=tuple(ids),
        special_tokens_mask=(True, *[False] * (len(ids) - 2), True),
        sequence_ids=(None, *[0] * (len(ids) - 2), None),
    )


def random_record(text: str, *, causal: bool = False, seed: int = 0) -> AttentionRecord:
    sequence = tokens(text)
    n = len(sequence)
    scores = torch.randn(2, 3, n, n, generator=torch.Generator().manual_seed(seed)) * 2
    if causal:
        scores = scores.masked_fill(torch.ones(n, n).triu(1).bool(), -torch.inf)
    return AttentionRecord(scores.softmax(-1), sequence, sequence)


def planted(text: str) -> AttentionRecord:
    """Heads: previous, next, the rarest token, [SEP]; and the same in a layer that looks evenly."""
    sequence = tokens(text)
    n = len(sequence)
    pattern = torch.full((1, 5, n, n), 0.3 / n)
    numbers = [FREQUENCIES.get(i, 1000.0) for i in sequence.token_ids]
    rarest = numbers.index(min(numbers))
    for i in range(n):
        for head, key in enumerate((i - 1, i + 1, rarest, n - 1)):
            pattern[0, head, i, min(max(key, 0), n - 1)] += 0.7
    pattern[0, 4] = 1 / n
    return AttentionRecord(pattern / pattern.sum(-1, keepdim=True), sequence, sequence)


def computed(*records, frequencies=FREQUENCIES, **options) -> pd.DataFrame:
    analyzer = PatternsAnalyzer(frequencies, **options)
    for item in records:
        analyzer.update(item)
    return analyzer.compute()


def test_planted_heads_are_found():
    found = computed(*map(planted, TEXTS[:3])).to_dict("records")
    previous, following, rare, _, even = found
    assert (previous["position"], previous["position_share"]) == (-1, 1.0)
    assert (following["position"], following["position_share"]) == (1, 1.0)
    assert [head["is_positional"] for head in found] == [True, True, False, False, False]
    assert [head["is_rare_word"] for head in found] == [False, False, True, False, False]
    assert rare["rare_share"] == 1.0 and rare["n_rare"] == 9 + 11 + 3
    assert rare["rare_chance"] == pytest.approx((9 / 12 + 11 / 14 + 3 / 6) / 23, abs=1e-6)
    # All tokens see all, and every ordinary one has a token before it.
    n = [len(tokens(text)) for text in TEXTS[:3]]
    chance = sum((k - 2) / k for k in n) / sum(k - 2 for k in n)
    assert previous["position_chance"] == pytest.approx(chance, abs=1e-6)
    assert {head["even_pattern"] for head in found} == {even["pattern"]}
    # The third text is too short to have a class: six tokens are to be seen.
    assert [head["pattern"] for head in found] == [
        "diagonal", "diagonal", "vertical", "vertical", "heterogeneous",
    ]  # fmt: skip
    assert [head["n_classed"] for head in found] == [2] * 5
    assert even["position_share"] == 0.0 and even["rare_share"] == 0.0  # a tie is no maximum
    assert (POSITIONAL, RARE_WORD) == (0.9, 0.5)


def test_a_head_is_positional_from_nine_in_ten():
    sequence = tokens("5 6 7 8 9 5 6 7 8 20")
    pattern = torch.full((1, 2, 12, 12), 0.01)
    for i in range(12):
        pattern[0, :, i, max(i - 1, 0)] = 0.5
    pattern[0, :, 4, 8] = 0.6  # one of ten looks elsewhere,
    pattern[0, 1, 5, 8] = 0.6  # or two
    found = computed(AttentionRecord(pattern / pattern.sum(-1, keepdim=True), sequence, sequence))
    assert found["position_share"].tolist() == [0.9, 0.8]
    assert found["is_positional"].tolist() == [True, False]


def test_a_place_that_few_queries_have_makes_no_positional_head():
    sequence = TokenSequence(tuple("abcdefghijk"), token_ids=tuple(range(11)))
    pattern = torch.full((1, 1, 11, 11), 0.01)
    for query, key in enumerate([5, 5, 5, 5, 5, 0, 1, 9, 0, 1, 2]):  # the last three look 8 back
        pattern[0, 0, query, key] = 0.9
    found = computed(AttentionRecord(pattern / pattern.sum(-1, keepdim=True), sequence, sequence))
    # Each nearer place has two of them at most.
    assert abs(found["position"].item()) < 8 and found["position_share"].item() < 0.3


def test_a_query_that_sees_itself_alone_has_no_choice():
    sequence = TokenSequence(tuple("abcd"), token_ids=(0, 1, 2, 3))
    pattern = torch.eye(4)[None, None] * 0.6 + torch.ones(4, 4).tril() * 0.1
    found = computed(AttentionRecord(pattern / pattern.sum(-1, keepdim=True), sequence, sequence))
    assert (found["n_rows"].item(), found["n_tokens"].item()) == (3, 4)
    assert (found["position"].item(), found["position_share"].item()) == (0, 1.0)


def test_equally_rare_tokens_say_nothing():
    alone = computed(planted(TEXTS[3]))
    assert (alone["n_rare"] == 0).all() and alone["rare_share"].isna().all()
    assert not alone["is_rare_word"].any()
    without = computed(planted(TEXTS[0]), frequencies=None)
    assert (without["n_rare"] == 0).all()


@pytest.mark.parametrize("causal", [False, True])
def test_counts_are_those_of_a_slow_loop(causal):
    records = [random_record(text, causal=causal, seed=i) for i, text in enumerate(TEXTS)]
    table = computed(*records, reach=3).set_index(["layer", "head"])
    for layer in range(2):
        for head in range(3):
            rows, rare, rare_rows = 0, 0, 0
            at = dict.fromkeys((0, -1, 1, -2, 2, -3, 3), 0)
            could = dict.fromkeys(at, 0)
            for item in records:
                ids, n = item.keys.token_ids, len(item.keys)
                ordinary = range(1, n - 1)
                lowest = min(FREQUENCIES[ids[i]] for i in ordinary)
                rarest = [i for i in ordinary if FREQUENCIES[ids[i]] == lowest]
                for i in ordinary:
                    row = item.attentions[layer, head, i].tolist()
                    visible = range(i + 1) if causal else range(n)
                    best = max(visible, key=row.__getitem__)
                    rows += 1
                    for offset in at:
                        could[offset] += i + offset in visible
                        at[offset] += best == i + offset
                    if len(rarest) == 1 and i != rarest[0] and rarest[0] in visible:
                        rare_rows += 1
                        rare += best == rarest[0]
            kept = {o: at[o] for o in at if 2 * could[o] >= rows}
            position = max(kept, key=kept.__getitem__)
            found = table.loc[(layer, head)]
            assert (found["n_rows"], found["n_rare"]) == (rows, rare_rows)
            assert found["position"] == position
            assert found["position_share"] == at[position] / could[position]
            assert found["rare_share"] == rare / rare_rows


@pytest.mark.parametrize("causal", [False, True])
def test_any_division_padding_and_merge_gives_the_same_table(causal):
    records = [random_record(text, causal=causal, seed=i) for i, text in enumerate(TEXTS)]
    expected = computed(*records)
    batched = PatternsAnalyzer(FREQUENCIES)
    batched.begin(Texts(tuple(item.keys for item in records), (None,) * 4))
    for layer, attentions in enumerate(padded(records)):
        batched.see(layer, attentions)
    batched.end()
    pd.testing.assert_frame_equal(batched.compute(), expected, check_exact=True)
    first, second = PatternsAnalyzer(FREQUENCIES), PatternsAnalyzer(FREQUENCIES)
    for item in records[2:]:
        first.update(item)
    for item in records[:2]:
        second.update(item)
    first.merge(second)
    first.merge(PatternsAnalyzer(FREQUENCIES))  # with nothing in it
    again = PatternsAnalyzer.from_state(first.state())
    pd.testing.assert_frame_equal(again.compute(), expected, check_exact=True)


def test_rows_without_numbers_are_left_out():
    full = random_record(TEXTS[0])
    weights = full.attentions.clone()
    weights[0, 0, 3] = torch.nan
    weights[0, 1, 4] = 0
    broken = AttentionRecord(weights, full.queries, full.keys)
    assert computed(broken)["n_rows"].tolist() == [9, 9, 10, 10, 10, 10]
    assert (computed(broken)["n_tokens"] == 10).all()


def test_classes_are_shares_of_texts():
    even = planted(TEXTS[0]).attentions[:, 4:]
    sequence = tokens(TEXTS[0])
    table = computed(
        AttentionRecord(planted(TEXTS[0]).attentions[:, :1], sequence, sequence),
        AttentionRecord(planted(TEXTS[0]).attentions[:, 1:2], sequence, sequence),
        AttentionRecord(even, sequence, sequence),
    )
    (found,) = table.to_dict("records")
    assert found["pattern"] == "diagonal" and found["n_classed"] == 3
    assert {name: found[name] for name in PATTERN_CLASSES} == pytest.approx(
        {"vertical": 0, "diagonal": 2 / 3, "vertical_diagonal": 0, "block": 0,
         "heterogeneous": 1 / 3}
    )  # fmt: skip


def test_counts_of_a_set_leave_special_tokens_out():
    assert token_counts(map(tokens, ["5 6 5", "6 7"])) == {5: 2, 6: 2, 7: 1}


def test_what_does_not_fit_is_refused():
    with pytest.raises(SelectionError, match="at least 1"):
        PatternsAnalyzer(reach=0)
    one, other = PatternsAnalyzer(FREQUENCIES), PatternsAnalyzer()
    with pytest.raises(InputError, match="the same `frequencies`"):
        one.merge(other)
    one.update(random_record(TEXTS[0]))
    with pytest.raises(InputError, match="records of one model"):
        one.update(planted(TEXTS[0]))
    assert one.compute()["n_texts"].iloc[0] == 1
