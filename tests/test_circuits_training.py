"""What the small models are trained on: what is drawn, and that nothing held out is among it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from introspect.data.own import ADJECTIVES, is_held_out, nouns

TOOLS = Path(__file__).resolve().parent.parent / "tools" / "circuits"


@pytest.fixture
def tools(monkeypatch):
    """The modules of the trainings, importable for one test."""
    names = ("copying", "pronoun", "reversal", "training")
    monkeypatch.syspath_prepend(str(TOOLS))
    for name in names:
        monkeypatch.delitem(sys.modules, name, raising=False)
    import importlib

    yield {name: importlib.import_module(name) for name in names}
    for name in names:
        sys.modules.pop(name, None)


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", ["pronoun", "pronoun-gated"])
def test_sentences_are_of_the_grammar_and_none_is_held_out(tools, name):
    module = tools["pronoun"]
    plan, reader = module.PLANS[name], module.tokenizer()
    sentences = module.Sentences(plan, reader)
    by_word = {
        word: noun
        for kind in ADJECTIVES
        for noun in nouns(kind)
        for word in (noun.english, noun.chinese)
    }
    kinds = {word: kind for kind, pairs in ADJECTIVES.items() for pair in pairs for word in pair}
    seen = set()
    for seed in range(4):
        for row in zip(*sentences.drawn(draws(seed)), strict=True):
            ids, mask, pronoun, answer = (part.tolist() for part in row)
            words = reader.convert_ids_to_tokens(ids[: sum(mask)])
            assert words[0] == "[CLS]" and words[-1] == "[SEP]" and words[pronoun] in ("it", "它")
            found = {by_word[word].kind: by_word[word] for word in words if word in by_word}
            assert not is_held_out(found["animal"], found["place"])
            assert max(noun.number for noun in found.values()) < plan.num_nouns
            (kind,) = (kinds[word] for word in words if word in kinds)
            assert by_word[reader.convert_ids_to_tokens(answer)] == found[kind]
            seen.add((words[pronoun], kind, words[1]))
    assert len({(pronoun, kind) for pronoun, kind, _ in seen}) == 4


def test_only_the_heads_that_may_write_do(tools):
    module = tools["pronoun"]
    made = module.model(module.PLANS["pronoun"], module.tokenizer())
    module.silence(made, 1)
    for layer in made.bert.encoder.layer:
        weight = layer.attention.output.dense.weight
        assert weight[:, 16:].abs().max() == 0 and weight[:, :16].abs().max() > 0


@pytest.mark.parametrize("name", ["induction", "shortcut"])
def test_what_is_asked_for_can_be_copied(tools, name):
    module = tools["copying"]
    sequences = module.Sequences(module.PLANS[name], module.tokenizer())
    starts = set()
    for row, known in zip(*sequences.drawn(draws()), strict=True):
        ids = row.tolist()
        places = known.nonzero().flatten().tolist()
        assert len(places) >= 7 and ids[0] == sequences.start
        for place in places:
            first = ids.index(ids[place])
            assert first < place and ids[first + 1] == ids[place + 1]
        starts.add(places[0])
    assert (len(starts) == 1) == (name == "shortcut")


def test_targets_are_sources_from_behind(tools):
    module = tools["reversal"]
    sequences = module.Sequences(module.PLANS["reversal"], module.tokenizer())
    lengths = set()
    for source, target in zip(*sequences.drawn(draws()), strict=True):
        end = source.tolist().index(sequences.end)
        assert target[:end].tolist() == source[:end].flip(0).tolist()
        assert target[end] == sequences.end
        assert set(source[end + 1 :].tolist()) <= {sequences.padding}
        lengths.add(end)
    assert min(lengths) == 3 and max(lengths) == 16


def test_training_lowers_the_loss_and_is_seeded(tools):
    def run() -> torch.Tensor:
        torch.manual_seed(0)
        module = torch.nn.Linear(2, 1)
        tools["training"].trained(
            module,
            lambda generator: module(torch.randn(8, 2, generator=generator)).square().mean(),
            steps=50,
            seed=0,
            rate=0.05,
        )
        return module.weight.detach()

    assert torch.equal(run(), run())
    assert run().abs().max() < 0.2


def test_a_folder_as_it_is_shipped(tools, tmp_path):
    import introspect as ix

    module = tools["reversal"]
    reader = module.tokenizer()
    tools["training"].write(module.model(reader), reader, "# a card\n", tmp_path / "it")
    assert (tmp_path / "it" / "README.md").read_text() == "# a card\n"
    assert ix.load(tmp_path / "it").capture("a b").keys.tokens == ("a", "b", "</s>")
