"""The shipped models: what each is said to do is measured here on its weights."""

from __future__ import annotations

import math
import random
import re
from contextlib import contextmanager

import pytest
import torch

import introspect as ix
from introspect.data import grammar_cases
from introspect.data.own import ADJECTIVES, FRAMES, Item, nouns
from introspect.models.circuits import CIRCUITS, SYMBOLS, circuit_folder, repeated

SEED = 77  # neither of the trainings nor of the figures in the cards
LARGEST = 2_000_000
QUICK = ix.Options(resamples=200, permutations=200, selections=50)


class Loaded(dict[str, ix.Model]):
    """Each model with its head, loaded when it is first asked for."""

    def __missing__(self, name: str) -> ix.Model:
        self[name] = ix.load(name, lm_head=True)
        return self[name]


@pytest.fixture(scope="module")
def models():
    return Loaded()


def figures(name: str) -> dict[str, str]:
    """The table of a model card."""
    card = (circuit_folder(name) / "README.md").read_text("utf-8")
    rows = re.findall(r"^\| (.+) \| (.+) \|$", card, re.MULTILINE)
    return {what: figure for what, figure in rows if what not in ("what", "---")}


# --- all of them ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CIRCUITS)
def test_it_comes_with_the_package_and_needs_no_network(name):
    folder = circuit_folder(name)
    assert {"config.json", "model.safetensors", "tokenizer.json", "README.md"} <= {
        path.name for path in folder.iterdir()
    }
    assert sum(path.stat().st_size for path in folder.iterdir()) < LARGEST
    assert f'ix.load("{name}"' in (folder / "README.md").read_text("utf-8")
    model = ix.load(name)
    assert model.name == name and model.revision.startswith("sha256:")


@pytest.mark.parametrize("name", CIRCUITS)
def test_it_is_the_same_with_and_without_its_head(name, models):
    text = grammar_cases(2)[0].text if name.startswith("pronoun") else "a b c a b c"
    target = "c b a" if name == "reversal" else None
    bare = ix.load(name).capture(text, target=target, certify=True)
    whole = models[name].capture(text, target=target)
    torch.testing.assert_close(bare.attentions, whole.attentions)
    assert bare.certificate.max_difference_from_eager < 1e-6
    assert not any(bare.keys.unknown_mask)


def test_a_folder_of_the_same_name_does_not_hide_it(tmp_path, monkeypatch):
    (tmp_path / "induction").mkdir()
    monkeypatch.chdir(tmp_path)
    assert ix.load("induction").name == "induction"


# --- induction and shortcut -----------------------------------------------------------------------


def copied(model, texts) -> dict[str, object]:
    """Loss, share right, and by head the mean weight on the match and on the token before.

    The match is found by looking for the token itself, not by counting.
    """
    losses, right, matching, before = [], [], [], []
    for text in texts:
        record = model.capture(text.text)
        ids = list(record.keys.token_ids)
        with torch.no_grad():
            chances = model.module(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
        for query in range(1, len(ids) - 1):
            before.append(record.attentions[:, :, query, query - 1])
            if ids[query] not in ids[:query]:
                continue
            match = ids.index(ids[query]) + 1
            assert ids[match] == ids[query + 1]
            losses.append(-chances[query, ids[query + 1]].item())
            right.append(chances[query].argmax().item() == ids[query + 1])
            matching.append(record.attentions[:, :, query, match])
    return {
        "loss": sum(losses) / len(losses),
        "right": sum(right) / len(right),
        "matching": torch.stack(matching).mean(0),
        "previous": torch.stack(before).mean(0),
    }


ANYWHERE = repeated(60, SEED)
FIXED = repeated(60, SEED, prefix=0, period=31)


@pytest.fixture(scope="module")
def induction(models):
    return copied(models["induction"], ANYWHERE)


@pytest.fixture(scope="module")
def shortcut(models):
    return {
        "anywhere": copied(models["shortcut"], ANYWHERE),
        "fixed": copied(models["shortcut"], FIXED),
    }


def test_induction_copies_wherever_the_repetition_is(induction):
    assert induction["loss"] < 0.1
    assert induction["right"] > 0.97


def test_induction_has_a_previous_token_head_and_induction_heads(induction):
    previous, matching = induction["previous"], induction["matching"]
    assert int(previous.argmax()) // 4 == 0 and previous[0].max() > 0.7
    assert int(matching.argmax()) // 4 == 1 and matching[1].max() > 0.8
    assert matching[0].max() < 0.3


def test_shortcut_has_the_same_low_loss_and_no_induction_head(shortcut, induction):
    assert shortcut["fixed"]["loss"] < 0.1 and shortcut["fixed"]["right"] > 0.97
    assert shortcut["anywhere"]["loss"] > 2 and shortcut["anywhere"]["right"] < 0.2
    assert shortcut["anywhere"]["matching"].max() < 0.2
    assert induction["matching"].max() > 4 * shortcut["anywhere"]["matching"].max()


def test_the_cards_of_the_two_say_so(induction, shortcut):
    card = figures("induction")
    best = float(card["prefix-matching, after a random prefix"].split()[1])
    assert best == pytest.approx(induction["matching"].max().item(), abs=0.03)
    card = figures("shortcut")
    best = float(card["prefix-matching, after a random prefix"].split()[1])
    assert best == pytest.approx(shortcut["anywhere"]["matching"].max().item(), abs=0.05)
    assert float(card["loss, at the fixed place"]) == pytest.approx(
        shortcut["fixed"]["loss"], abs=0.03
    )


def test_repeated_sequences_are_what_they_say():
    for text in repeated(50, 3):
        symbols = text.text.split()
        assert len(symbols) == text.prefix + 2 * text.period <= 63
        assert symbols[-text.period :] == symbols[text.prefix : -text.period]
        assert len(set(symbols)) == text.prefix + text.period
        for query, match in zip(text.queries, text.matches, strict=True):
            # Position 0 is <s>: position p is symbol p - 1.
            assert symbols[query - 1] == symbols[match - 2] and symbols[query] == symbols[match - 1]
    assert {text.prefix for text in repeated(200, 4)} == set(range(17))


# --- reversal -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_reversal_writes_backwards_and_reads_from_behind(models):
    model, generator = models["reversal"], random.Random(SEED)
    right, weights = [], []
    for _ in range(60):
        symbols = generator.choices(SYMBOLS, k=generator.randint(3, 16))
        record = model.capture(" ".join(symbols), generate={"max_new_tokens": 20})
        right.append(record.queries.texts[-1].split() == symbols[::-1])
        cross = model.capture(" ".join(symbols), target=" ".join(symbols[::-1]))
        for step, symbol in enumerate(reversed(symbols)):
            place = len(symbols) - 1 - step
            assert cross.keys.tokens[place] == symbol
            weights.append(cross.attentions[:, :, step, place])
    mirrored = torch.stack(weights).mean(0)
    assert sum(right) / len(right) > 0.95
    assert mirrored.max() > 0.5
    card = figures("reversal")["cross-attention on the anti-diagonal"]
    head, weight = card.split()
    assert float(weight) == pytest.approx(mirrored.max().item(), abs=0.05)
    assert head == f"L{int(mirrored.argmax()) // 4}H{int(mirrored.argmax()) % 4}"


# --- pronoun and pronoun-gated --------------------------------------------------------------------


def held_out(name: str, language: str):
    few = {"num_nouns": 12} if name == "pronoun-gated" else {}
    return grammar_cases(100, language, SEED, **few)


def answers(model, cases) -> list[bool]:
    found = []
    for case in cases:
        tokens = model.tokens(case.text)
        place = tokens.offsets.index(case.pronoun)
        logits = model.module(input_ids=torch.tensor([tokens.token_ids])).logits[0, place]
        answer = model.tokenizer.convert_ids_to_tokens(int(logits.argmax()))
        found.append(answer == case.extra["answer"])
    return found


def choices(model, cases) -> tuple[torch.Tensor, torch.Tensor]:
    """By head: how often the antecedent gets more from the pronoun, and what it gets."""
    better, given = [], []
    for case in cases:
        record = model.capture(case.text)
        place = record.keys.offsets.index
        row = record.attentions[:, :, place(case.pronoun)]
        right, wrong = (
            row[..., place(c.span)] for c in sorted(case.candidates, key=lambda c: not c.antecedent)
        )
        better.append((right > wrong).float())
        given.append(right)
    return torch.stack(better).mean(0), torch.stack(given).mean(0)


@contextmanager
def without(model, layer: int, head: int):
    """The head's part of the output projection is 0 for a while."""
    weight = model.module.bert.encoder.layer[layer].attention.output.dense.weight
    before = weight.detach().clone()
    with torch.no_grad():
        weight[:, 16 * head : 16 * (head + 1)] = 0
        yield
        weight.copy_(before)


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("name", ["pronoun", "pronoun-gated"])
def test_the_pronouns_noun_is_named(models, name, language):
    right = answers(models[name], held_out(name, language))
    assert sum(right) >= 0.98 * len(right)
    card = figures(name)[f"right, {language}"]
    assert float(card.rstrip("%")) == pytest.approx(sum(right), abs=2)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_head_of_pronoun_looks_at_the_antecedent(models, language):
    better, given = choices(models["pronoun"], held_out("pronoun", language))
    assert better[1, 0] == 1 and given[1, 0] > 0.95
    # The others were kept from writing, and tell nothing apart.
    others = torch.ones(2, 4, dtype=torch.bool)
    others[1, 0] = False
    assert ((better[others] - 0.5).abs() < 0.25).all() and given[others].max() < 0.3


def test_without_the_heads_of_its_circuit_the_answer_is_gone(models):
    cases = held_out("pronoun", "en")
    with without(models["pronoun"], 1, 0):
        assert sum(answers(models["pronoun"], cases)) < 0.4 * len(cases)
    with without(models["pronoun"], 0, 0):
        # It still names one of the two nouns, and does not know which.
        assert 0.35 * len(cases) < sum(answers(models["pronoun"], cases)) < 0.65 * len(cases)
    with without(models["pronoun"], 1, 1):
        assert sum(answers(models["pronoun"], cases)) >= 0.98 * len(cases)
    assert sum(answers(models["pronoun"], cases)) >= 0.98 * len(cases)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_no_head_of_pronoun_gated_tells_them_apart(models, language):
    cases = held_out("pronoun-gated", language)
    better, given = choices(models["pronoun-gated"], cases)
    assert torch.equal(better, torch.full_like(better, 0.5))
    assert given.max() > 0.45  # and yet it reads them
    scores = ix.score("pronoun-gated", cases, options=QUICK).heads
    assert scores["accuracy"].between(0.4, 0.6).all()


def test_scores_find_the_head_and_find_none():
    found = ix.score("pronoun", held_out("pronoun", "zh"), options=QUICK).choice
    assert (str(found.head), found.accuracy) == ("L1H0", 1.0) and found.p_value < 0.05
    none = ix.score("pronoun-gated", held_out("pronoun-gated", "zh"), options=QUICK)
    assert none.choice.accuracy < 0.6 and none.choice.p_value > 0.05
    assert none.minimal_pairs["both_right"].max() < 0.5


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_word_is_a_token_of_its_own(models, language):
    """Also in Chinese, where nothing stands between words and the longest is taken."""
    model = models["pronoun"]
    for number in range(150):
        animal, place = nouns("animal")[number], nouns("place")[(7 * number) % 150]
        for frame in FRAMES:
            for kind in ADJECTIVES:
                item = Item(frame, animal, place, kind, number % 8)
                tokens = model.tokens(item.case(language).text)
                assert tokens.tokens[1:-1] == item.words(language)
                assert not any(tokens.unknown_mask)


def test_the_story_of_the_animal_and_the_street_is_true_of_it(models):
    from introspect import primer

    story = primer.tired_or_wide(models["pronoun"])
    assert "It turns to *street*" in story.text[1]
    assert min(story.numbers["tired_animal"], story.numbers["wide_street"]) > 0.95
    assert math.isclose(story.numbers["turning"], 1, abs_tol=3)
