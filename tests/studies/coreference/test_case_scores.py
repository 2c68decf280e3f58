"""One case: from character spans to a number for every head, direction and candidate."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

import introspect as ix
from introspect.errors import MentionError, SelectionError
from introspect.functional import FLOOR, MENTION_OPTIONS
from introspect.records import AttentionRecord, Head
from introspect.studies.coreference import DIRECTIONS, score_case
from tests.synthetic import TEXT, case, plant, record


def test_the_two_directions_come_in_order():
    scores = score_case(record(), case())
    assert tuple(s.direction for s in scores) == DIRECTIONS
    assert DIRECTIONS == ("pronoun_to_candidate", "candidate_to_pronoun")


@pytest.mark.parametrize("piece", [100, 2])
def test_a_planted_head_is_found(piece):
    planted = plant(record(piece=piece), (1, 2), "it", "animal", 0.9)
    forward, _ = score_case(planted, case())
    assert forward.ranked()[0] == Head(1, 2)
    assert forward.antecedent_weight[1, 2].item() == pytest.approx(0.9, abs=0.1)
    assert forward.credit[1, 2] == 1
    assert forward.margin[1, 2] > 0.3


def test_a_head_planted_from_candidate_to_pronoun_is_found_in_that_direction():
    planted = plant(record(), (0, 1), "animal", "it", 0.9)
    forward, backward = score_case(planted, case())
    assert backward.ranked()[0] == Head(0, 1)
    assert backward.antecedent_weight[0, 1].item() == pytest.approx(0.9, abs=1e-6)
    assert forward.antecedent_weight[0, 1] < 0.5


def test_a_head_planted_on_the_distractor_gets_no_credit():
    forward, _ = score_case(plant(record(), (1, 2), "it", "street", 0.9), case())
    assert forward.credit[1, 2] == 0
    assert forward.ranked()[-1] == Head(1, 2)


def test_weights_come_in_the_order_of_the_candidates():
    turned = case()
    turned = replace(turned, candidates=turned.candidates[::-1])
    one, other = score_case(record(), case())[0], score_case(record(), turned)[0]
    assert torch.equal(one.weights, other.weights.flip(0))
    assert torch.equal(one.credit, other.credit)


def test_an_apostrophe_word_counts_only_the_pieces_of_the_mention():
    text = "The animal's owner said it was tired."
    forward, _ = score_case(
        plant(record(text), (0, 0), "it", "owner", 0.5),
        case(text, antecedents=["owner"], distractors=["animal's"]),
    )
    assert forward.antecedent_weight[0, 0].item() == pytest.approx(0.5, abs=1e-6)


# --- an independent, slow implementation -----------------------------------------------------


def slow_scores(made, given, mention, direction):
    """Every head by plain loops over characters, written from the methods and not from the code."""
    tokens = made.keys
    matrix = made.attentions.double().tolist()

    def words_of(span):
        words = {}
        for index, (start, end) in enumerate(tokens.offsets):
            inside = set(range(start, end)) & set(range(*span))
            if inside and not tokens.special_tokens_mask[index]:
                words.setdefault(tokens.word_ids[index], []).append(index)
        return list(words.values())

    pronoun = words_of(given.pronoun)
    results = {}
    for layer, heads in enumerate(matrix):
        for head, rows in enumerate(heads):
            weights = []
            for candidate in given.candidates:
                other = words_of(candidate.span)
                sources, targets = (
                    (pronoun, other) if direction == "pronoun_to_candidate" else (other, pronoun)
                )
                pairs = [
                    [sum(sum(rows[i][j] for j in t) for i in s) / len(s) for t in targets]
                    for s in sources
                ]
                flat = [value for row in pairs for value in row]
                weights.append(
                    {
                        "mean": sum(flat) / len(flat),
                        "sum": sum(flat),
                        "max": max(flat),
                        "last": pairs[-1][-1],
                    }[mention]
                )
            gold = [w for w, c in zip(weights, given.candidates, strict=True) if c.antecedent]
            rest = [w for w, c in zip(weights, given.candidates, strict=True) if not c.antecedent]
            if sum(weights) < FLOOR:
                credit, margin = len(gold) / len(weights), math.nan
            else:
                best = max(weights)
                credit = gold.count(best) / weights.count(best)
                margin = max(gold) / (max(gold) + max(rest)) - 0.5
            results[layer, head] = (max(gold), max(rest), credit, margin)
    return results


WORDS = [
    "the",
    "old",
    "grey",
    "cat",
    "saw",
    "that",
    "a",
    "small",
    "dog",
    "chased",
    "its",
    "own",
    "tail",
    "while",
    "it",
    "slept",
]


def random_case(seed):
    generator = torch.Generator().manual_seed(seed)

    def pick(low, high):
        return int(torch.randint(low, high, (), generator=generator))

    length = pick(8, len(WORDS))
    text = " ".join(WORDS[:length])
    pronoun = WORDS[pick(0, length)]
    mentions = []
    for start in range(0, length - 1, 2):
        width = pick(1, 3)
        phrase = " ".join(WORDS[start : start + width])
        if pronoun not in phrase.split():
            mentions.append(phrase)
    cut = pick(1, len(mentions))
    made = record(
        text,
        layers=2,
        heads=2,
        seed=seed,
        piece=pick(1, 7),
        special=bool(pick(0, 2)),
    )
    if pick(0, 3) == 0:  # blunt weights, so that ties are common
        made = replace(made, attentions=(made.attentions * 4).round() / 4)
    return made, case(text, pronoun=pronoun, antecedents=mentions[:cut], distractors=mentions[cut:])


@pytest.mark.slow
@pytest.mark.parametrize("mention", MENTION_OPTIONS)
def test_hundreds_of_cases_equal_a_slow_implementation(mention):
    ties = blind = 0
    for seed in range(100):
        made, given = random_case(seed)
        for scores in score_case(made, given, mention=mention):
            slow = slow_scores(made, given, mention, scores.direction)
            for (layer, head), (gold, rest, credit, margin) in slow.items():
                at = (layer, head)
                assert scores.antecedent_weight[at].item() == pytest.approx(gold, abs=1e-12)
                assert scores.distractor_weight[at].item() == pytest.approx(rest, abs=1e-12)
                assert scores.margin[at].item() == pytest.approx(margin, abs=1e-9, nan_ok=True)
                assert scores.credit[at].item() == pytest.approx(credit)
                ties += 0 < credit < 1
                blind += math.isnan(margin)
    assert ties > 5  # the cases reach the corners they were made for
    assert blind > 5


# --- what the mask makes impossible ----------------------------------------------------------


def test_a_causal_pronoun_sees_what_stands_before_it_and_is_not_seen_from_there():
    forward, backward = score_case(record(causal=True), case())
    assert forward.observable.tolist() == [True, True]
    assert backward.observable.tolist() == [False, False]
    assert forward.is_observable
    assert not backward.is_observable


def test_one_candidate_after_the_pronoun_is_enough_to_make_a_direction_impossible():
    text = "Because it was tired the animal left the street."
    forward, backward = score_case(record(text, causal=True), case(text))
    assert not forward.is_observable
    assert backward.is_observable

    text = "The animal said it was on the street."
    forward, backward = score_case(record(text, causal=True), case(text))
    assert not forward.is_observable
    assert not backward.is_observable


def test_heads_that_cannot_look_are_not_ranked():
    _, backward = score_case(record(causal=True), case())
    assert backward.ranked() == []


def test_only_the_layers_that_can_look_are_ranked():
    # A sliding window in layer 0 that does not reach the animal.
    attentions = record().attentions.clone()
    attentions[0].tril_().triu_(-2)
    tokens = record().keys
    forward, _ = score_case(AttentionRecord(attentions, queries=tokens, keys=tokens), case())
    assert forward.observable.tolist() == [False, True]
    assert {head.layer for head in forward.ranked()} == {1}


def test_heads_carry_the_models_own_layer_numbers():
    base = plant(record(), (1, 0), "it", "animal", 0.95)
    forward, _ = score_case(replace(base, layers=(3, 7)), case())
    assert forward.ranked()[0] == Head(7, 0)
    assert forward.row(Head(7, 0)) == 1


# --- cases outside forced choice --------------------------------------------------------------


def test_without_a_distractor_there_is_no_credit_and_no_margin():
    forward, _ = score_case(record(), case(distractors=[]))
    assert forward.credit.isnan().all()
    assert forward.margin.isnan().all()
    assert forward.distractor_weight.isnan().all()
    assert forward.antecedent_weight.isfinite().all()
    assert torch.equal(forward.preference, forward.antecedent_weight)


def test_without_an_antecedent_there_is_no_credit_and_no_margin():
    forward, _ = score_case(record(), case(antecedents=[]))
    assert forward.credit.isnan().all()
    assert forward.margin.isnan().all()
    assert forward.antecedent_weight.isnan().all()
    assert forward.distractor_weight.isfinite().all()


# --- what is refused ----------------------------------------------------------------------------


def test_a_record_of_another_text_is_refused():
    with pytest.raises(MentionError, match="own text"):
        score_case(record(TEXT.replace("tired", "wide")), case())


def test_a_record_without_a_text_is_refused():
    bare = AttentionRecord.from_tensors(torch.ones(1, 1, 2, 2) / 2, ["a", "b"])
    with pytest.raises(MentionError, match="characters of each token.*not known.*from_tokens"):
        score_case(bare, case())


def test_cross_attention_is_refused():
    with pytest.raises(SelectionError, match="cross-attention"):
        score_case(replace(record(), kind="cross"), case())


def test_an_unknown_way_to_join_mentions_is_refused():
    with pytest.raises(SelectionError, match="mean, sum, max, last"):
        score_case(record(), case(), mention="median")


def test_a_mention_that_was_cut_off_is_named():
    whole = record()
    tokens = whole.keys
    kept = slice(0, 6)  # up to the word before "street"
    parts = {
        name: getattr(tokens, name)[kept]
        for name in (
            "tokens",
            "token_ids",
            "offsets",
            "word_ids",
            "special_tokens_mask",
            "unknown_mask",
            "generated_mask",
            "sequence_ids",
        )
    }
    short = replace(tokens, **parts)
    cut = AttentionRecord(whole.attentions[..., kept, kept], queries=short, keys=short)
    with pytest.raises(MentionError, match="pronoun 'it'.*truncated"):
        score_case(cut, case())


def test_renormalized_weights_equal_a_slow_loop():
    """Specials and the own position dropped from each row by hand, then word by word."""
    made = record(layers=2, heads=3, seed=5, piece=4)
    asked = case()
    forward, backward = score_case(made, asked, weights="renormalized")
    keys = made.keys
    outside = [i for i, flag in enumerate(keys.special_tokens_mask) if flag]

    def pieces(span):
        inside = [
            i for i, (s, e) in enumerate(keys.offsets) if s < span[1] and span[0] < e and s < e
        ]
        words = sorted({keys.word_ids[i] for i in inside})
        return [[i for i in inside if keys.word_ids[i] == word] for word in words]

    def weight(layer, head, source, target):
        total = 0.0
        for one in source:
            for other in target:
                rows = []
                for i in one:
                    row = made.attentions[layer, head, i].double().tolist()
                    kept = [w if k not in outside and k != i else 0.0 for k, w in enumerate(row)]
                    rows.append(sum(kept[j] for j in other) / sum(kept))
                total += sum(rows) / len(rows)
        return total / (len(source) * len(target))

    pronoun = pieces(asked.pronoun)
    for number, candidate in enumerate(asked.candidates):
        other = pieces(candidate.span)
        for layer in range(2):
            for head in range(3):
                there = float(forward.weights[number, layer, head])
                back = float(backward.weights[number, layer, head])
                assert there == pytest.approx(weight(layer, head, pronoun, other), abs=1e-6)
                assert back == pytest.approx(weight(layer, head, other, pronoun), abs=1e-6)
    (row,) = [i for word in pronoun for i in word]
    taken = made.attentions[:, :, row, [*outside, row]].double().sum(-1)
    torch.testing.assert_close(forward.removed_mass, taken, atol=1e-6, rtol=0)


def test_row_with_nothing_left_is_no_evidence():
    made = record(layers=1, heads=1)
    pattern = torch.zeros_like(made.attentions)
    pattern[..., 0] = 1.0
    forward, _ = score_case(replace(made, attentions=pattern), case(), weights="renormalized")
    assert float(forward.weights.sum()) == 0
    assert float(forward.credit) == 0.5
    assert float(forward.removed_mass) == 1.0


def test_unknown_weights_are_refused():
    with pytest.raises(SelectionError, match="raw, renormalized"):
        score_case(record(), case(), weights="nonsense")


def with_norms(**options) -> AttentionRecord:
    made = record(**options)
    generator = torch.Generator().manual_seed(3)
    norms = 5 * torch.rand(*made.attentions.shape[:2], len(made.keys), generator=generator)
    return replace(made, parts={"value_norms": norms})


@pytest.mark.parametrize("mention", ["mean", "sum", "max", "last"])
def test_norm_weights_are_scored_like_a_record_of_products(mention):
    made = with_norms(layers=2, heads=3)
    products = replace(made, attentions=ix.norms(made), parts={})
    found = score_case(made, case(), mention=mention, weights="norm")
    expected = score_case(products, case(), mention=mention)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours.weights, theirs.weights, equal_nan=True)
        torch.testing.assert_close(ours.credit, theirs.credit, equal_nan=True)
        assert float(ours.removed_mass.abs().max()) == 0
    assert not torch.equal(found[0].weights, score_case(made, case(), mention=mention)[0].weights)


def test_long_values_turn_a_choice_by_hand():
    """The distractor gets more attention, and the antecedent's value is ten times as long."""
    made = record(layers=1, heads=1)
    asked = case()
    gold, other = (
        next(i for i, (s, e) in enumerate(made.keys.offsets) if s <= c.span[0] < e)
        for c in sorted(asked.candidates, key=lambda c: not c.antecedent)
    )
    pattern = torch.full_like(made.attentions, 0.01)
    pattern[..., gold], pattern[..., other] = 0.1, 0.4
    norms = torch.ones(1, 1, len(made.keys))
    norms[..., gold] = 10
    made = replace(made, attentions=pattern, parts={"value_norms": norms})
    assert float(score_case(made, asked)[0].credit) == 0
    by_norm = score_case(made, asked, weights="norm")[0]
    assert float(by_norm.credit) == 1
    assert float(by_norm.antecedent_weight) > float(by_norm.distractor_weight)


def test_norms_need_a_record_that_carries_them():
    with pytest.raises(SelectionError, match="value_norms"):
        score_case(record(), case(), weights="norm")
