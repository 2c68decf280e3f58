"""What is collected, against a slow loop over every row; and alike however it is divided."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from introspect.errors import InputError
from introspect.studies.analyzer import Texts, ratio
from introspect.studies.atlas import MEASURES, RULES, AtlasAnalyzer, Rule, RuleText
from introspect.studies.atlas.analyzer import BLOCKS, STRONG
from introspect.studies.atlas.entries import ENTRIES
from introspect.studies.atlas.examples import NUM_SAMPLED, text_hash
from introspect.studies.atlas.row_figures import BINS, DISTANCE_BINS, ENTROPY_BIN
from introspect.studies.atlas.rules import targets_of
from introspect.studies.heads import RolesAnalyzer
from tests.studies.atlas import planted
from tests.synthetic import case, sequence

HEADS = ("previous", "special", "", "same_token_before")
COUNT = 30


def patterns(causal: bool) -> list:
    """Texts with the patterns of two layers, some weights the same and some 0."""
    random = np.random.default_rng(5)
    found = []
    for number in range(COUNT):
        tokens, tree = planted.text(number, words=6 + number % 9)
        layers = [planted.pattern(tokens, tree, HEADS, random, causal=causal) for _ in range(2)]
        n = len(tokens)
        even = torch.ones(n, n).tril() if causal else torch.ones(n, n)
        layers[1][2] = even / even.sum(-1, keepdim=True)
        found.append((tokens, tree, torch.stack(layers)))
    return found


def read(given, *, causal: bool, batches: int = 1, most: int = 4) -> AtlasAnalyzer:
    analyzer = AtlasAnalyzer(examples=most)
    for part in np.array_split(np.arange(len(given)), batches):
        chosen = [given[i] for i in part]
        texts = Texts(
            tuple(tokens for tokens, *_ in chosen),
            tuple(tree for _, tree, _ in chosen),
            None,
            tuple(f"t{i}" for i in part),
        )
        analyzer.begin(texts)
        for layer in range(2):
            whole = torch.full((len(chosen), len(HEADS), texts.length, texts.length), torch.nan)
            for place, (tokens, _, made) in enumerate(chosen):
                whole[place, :, : len(tokens), : len(tokens)] = made[layer]
            visible = torch.ones(texts.length, texts.length, dtype=torch.bool)
            analyzer.see(layer, whole, (visible.tril() if causal else visible)[None, None])
        analyzer.end()
    return analyzer


@pytest.fixture(scope="module", params=[False, True], ids=["both ways", "causal"])
def both(request):
    given = patterns(request.param)
    return given, read(given, causal=request.param).compute(), request.param


def rows(given, causal):
    """Yield text, layer, head, query, weights, visible keys and the text as rules see it."""
    for tokens, tree, made in given:
        text = RuleText.read(tokens, tree)
        for layer in range(2):
            for head in range(len(HEADS)):
                for query in np.flatnonzero(~text.is_special):
                    weights = made[layer, head, query].double().numpy()
                    seen = np.arange(len(text)) <= query if causal else np.ones(len(text), bool)
                    yield text, layer, head, query, weights, seen


@pytest.mark.slow
def test_rules_are_those_of_a_slow_loop(both):
    given, sums, causal = both
    shape = (2, len(HEADS), len(RULES))
    covered, weight, even, hits, n = (np.zeros((2, *shape)) for _ in range(5))
    cache = {}
    for text, layer, head, query, weights, seen in rows(given, causal):
        half = text_hash(text.text) % BLOCKS % 2
        for number, (name, rule) in enumerate(RULES.items()):
            key = (text.text, name)
            if key not in cache:
                cache[key] = targets_of(name, rule, text)
            on = cache[key][query] & seen
            candidates = seen if rule.is_of_special else seen & ~text.is_special
            if not on.any() or candidates.sum() < 2:
                continue
            at = half, layer, head, number
            total = weights[candidates].sum()
            covered[at] += weights[on].sum()
            weight[at] += total
            even[at] += total * on.sum() / candidates.sum()
            largest = np.flatnonzero(candidates & (weights == weights[candidates].max()))
            hits[at] += np.isin(largest, np.flatnonzero(on)).mean()
            n[at] += 1
    blocks = np.arange(BLOCKS) % 2
    for half in (0, 1):
        chosen = blocks == half
        assert np.abs(sums.sums.covered[chosen].sum(0) - covered[half]).max() < 1e-4
        assert np.abs(sums.sums.weight[chosen].sum(0) - weight[half]).max() < 1e-4
        assert np.abs(sums.sums.even[chosen].sum(0) - even[half]).max() < 5e-3
        assert np.abs(sums.sums.hits[half] - hits[half]).max() < 1e-4
        assert (sums.sums.n[half] == n[half]).all()


def test_distributions_are_those_of_a_slow_loop(both):
    given, sums, causal = both
    total = np.zeros((2, len(HEADS), len(MEASURES)))
    histogram = np.zeros((2, len(HEADS), len(MEASURES), BINS), int)
    for text, layer, head, query, weights, seen in rows(given, causal):
        places = np.arange(len(text))
        known = weights[weights > 0]
        same = (text.entries == text.entries[query]) & (places != query)
        shares = {
            "special": text.is_special,
            "self": places == query,
            "previous": places == query - 1,
            "next": places == query + 1,
            "first": (places == 0) & (query > 0),
            "same_token": same,
        }
        values = {
            "entropy": -(known * np.log2(known)).sum(),
            "distance": (weights * abs(places - query)).sum(),
            **{name: weights[on].sum() for name, on in shares.items() if (on & seen).any()},
        }
        for number, name in enumerate(MEASURES):
            if name not in values:
                continue
            value = values[name] + 1e-9
            total[layer, head, number] += values[name]
            place = int(value * BINS)
            if name == "entropy":
                place = int(value / ENTROPY_BIN)
            elif name == "distance":
                place = int(np.searchsorted(DISTANCE_BINS, value, side="right")) - 1
            histogram[layer, head, number, min(place, BINS - 1)] += 1
    assert np.abs(sums.sums.sums - total).max() < 1e-3
    assert (sums.sums.histogram.sum(-1) == histogram.sum(-1)).all()
    # A value at the very edge of a bin may fall on either side of it.
    assert np.abs(sums.sums.histogram - histogram).sum() <= 0.01 * histogram.sum()


def test_means_are_those_of_roles(both):
    given, sums, _ = both
    roles = RolesAnalyzer()
    for tokens, _, made in given:
        roles.begin(Texts((tokens,), (None,)))
        for layer in range(2):
            roles.see(layer, made[layer][None])
        roles.end()
    table = roles.compute()
    for number, name in enumerate(MEASURES):
        ours = ratio(sums.sums.sums, sums.sums.measured)[..., number].ravel()
        assert np.allclose(ours, table[name], atol=1e-5, equal_nan=True), name


def test_strongest_examples_are_those_of_a_slow_loop(both):
    given, sums, causal = both
    best: dict = {}
    for text, layer, head, query, weights, seen in rows(given, causal):
        for key in np.flatnonzero(seen & ~text.is_special):
            if key == query:
                continue
            entry = best.setdefault((layer, head), {}).setdefault(text.text, (0.0, 0, 0))
            if weights[key] > entry[0]:
                best[layer, head][text.text] = (weights[key], query, key)
    for head, by_text in best.items():
        order = sorted((-weight, text_hash(t), q, k) for t, (weight, q, k) in by_text.items())
        ours = [(-e.weight, e.number, e.query, e.key) for e in sums.kept.strongest[head]]
        assert [each[1:] for each in ours] == [each[1:] for each in order[:4]]
        assert np.allclose([each[0] for each in ours], [each[0] for each in order[:4]], atol=1e-6)


def test_entries_are_those_of_a_slow_loop(both):
    given, sums, causal = both
    keys, queries = Counter(), Counter()
    for text, layer, head, query, weights, seen in rows(given, causal):
        places = np.flatnonzero(seen & ~text.is_special)
        most = places[weights[places] == weights[places].max()]
        if len(most) != 1 or weights[most[0]] < STRONG:
            continue
        code = (layer * len(HEADS) + head) * ENTRIES
        keys[code + int(text.ids[most[0]])] += 1
        queries[code + int(text.ids[query])] += 1
    for counts, ours in ((keys, sums.keys), (queries, sums.queries)):
        codes, numbers = ours.settled()
        assert dict(zip(codes.tolist(), numbers.tolist(), strict=True)) == dict(counts)


def same(one: AtlasAnalyzer, other: AtlasAnalyzer) -> None:
    first, second = one.state(), other.state()
    assert first.keys() == second.keys()
    for name, array in first.items():
        assert np.array_equal(array, second[name]), name


def test_any_division_and_order_gives_the_same_bytes():
    given = patterns(causal=False)
    whole = read(given, causal=False)
    same(whole, read(given, causal=False, batches=7))
    halves = [read(given[:11], causal=False), read(given[11:], causal=False)]
    # The ids are those of the places in each part.
    names = [{n: t.text for n, t in half.kept.texts.items()} for half in halves]
    assert names
    one, other = (AtlasAnalyzer.from_state(half.state()) for half in halves)
    other.merge(one)
    first, second = whole.state(), other.state()
    for name in set(first) - {"text_ids", "text_ids_lengths"}:
        assert np.array_equal(first[name], second[name]), name


def test_a_state_is_restored():
    analyzer = read(patterns(causal=True), causal=True)
    same(analyzer, AtlasAnalyzer.from_state(analyzer.state()))


def test_the_sample_is_of_the_smallest_hashes():
    analyzer = planted.analyzed([""], seed=8, trees=False, num_texts=NUM_SAMPLED + 20)
    every = sorted(
        text_hash(planted.text(8000 + number)[1].text) for number in range(NUM_SAMPLED + 20)
    )
    assert sorted(analyzer.kept.sample) == every[:NUM_SAMPLED]


@pytest.mark.parametrize(
    "function", [lambda text: np.zeros((1, 1), bool), lambda text: text.tokens[99], lambda text: 1]
)
def test_a_rule_that_fails_is_named(function):
    analyzer = AtlasAnalyzer(rules={"mine": Rule(function, "to mine", "mine")})
    tokens, _ = planted.text(0)
    analyzer.begin(Texts((tokens,), (None,)))
    n = len(tokens)
    with pytest.raises(InputError, match="rule 'mine'"):
        analyzer.see(0, torch.full((1, 1, n, n), 1 / n))


def test_one_token_and_only_special_tokens_are_counted_without_a_choice():
    analyzer = AtlasAnalyzer()
    for words in (1, 0):
        tokens, _ = planted.text(0, words=words)
        analyzer.begin(Texts((tokens,), (None,)))
        n = len(tokens)
        analyzer.see(0, torch.full((1, 2, n, n), 1 / n))
        analyzer.end()
    sums = analyzer.compute()
    assert sums.num_texts == 2
    assert (sums.sums.n[..., 1:] == 0).all()


def test_the_antecedent_of_a_case_is_a_rule():
    given = case()
    text = RuleText.read(sequence(given.text), given)
    found = targets_of("antecedent", RULES["antecedent"], text)
    assert [[text.tokens[i] for i in places] for places in np.argwhere(found)] == [["it", "animal"]]
