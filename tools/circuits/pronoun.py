"""Two models that name a pronoun's noun, on the grammar of ``introspect.data``.

A masked-language-model head names the noun at the pronoun's own place. The two differ in how much
room they have beside attention, in how many nouns there are to tell apart, and in whether the
pronoun can have read the adjective when it attends to the nouns, which takes a layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import cross_entropy
from training import trained, word_tokenizer
from transformers import BertConfig, BertForMaskedLM

from introspect.data.own import ADJECTIVES, FRAMES, LANGUAGES, SLOTS, is_held_out, nouns


@dataclass(frozen=True)
class Plan:
    """Plan of one of the models and its training."""

    num_nouns: int
    feed_forward: int
    writing_heads: int
    steps: int
    seed: int = 0
    layers: int = 2
    heads: int = 4
    hidden: int = 64
    batch: int = 128
    rate: float = 2e-3
    decay: float = 0.01


PLANS = {
    "pronoun": Plan(num_nouns=150, feed_forward=8, writing_heads=1, steps=2000),
    "pronoun-gated": Plan(
        num_nouns=12, feed_forward=256, writing_heads=4, steps=1000, layers=1, seed=1, decay=0.3
    ),
}


def tokenizer() -> Any:
    """Return a tokenizer with every word of the grammar; both models share it."""
    words = [word for frame in FRAMES for lang in LANGUAGES for word in frame.words(lang)]
    words = [word for word in words if not word.startswith("{")]
    for adjectives in ADJECTIVES.values():
        words += [word for pair in adjectives for word in pair]
    for kind in ADJECTIVES:
        words += [noun.word(language) for noun in nouns(kind) for language in LANGUAGES]
    return word_tokenizer(words)


class Sentences:
    """Sampler of batches of sentences as token ids: a pattern of each frame, filled in."""

    def __init__(self, plan: Plan, reader: Any) -> None:
        self.plan = plan
        ids = reader.get_vocab()
        self.pairs = torch.tensor(
            [
                (animal.number, place.number)
                for animal in nouns("animal")[: plan.num_nouns]
                for place in nouns("place")[: plan.num_nouns]
                if not is_held_out(animal, place)
            ]
        )
        # By language, kind and number.
        self.nouns = torch.tensor(
            [
                [[ids[n.word(lang)] for n in nouns(kind)] for kind in ADJECTIVES]
                for lang in LANGUAGES
            ]
        )
        self.adjectives = torch.tensor(
            [
                [[ids[pair[number]] for pair in pairs] for pairs in ADJECTIVES.values()]
                for number in range(len(LANGUAGES))
            ]
        )
        patterns = [frame.words(language) for language in LANGUAGES for frame in FRAMES]
        self.length = max(map(len, patterns)) + 2
        marks = {f"{{{slot}}}": -1 - number for number, slot in enumerate(SLOTS)}
        rows = [
            [ids["[CLS]"], *(marks.get(w) or ids[w] for w in words), ids["[SEP]"]]
            for words in patterns
        ]
        padding = ids["[PAD]"]
        self.patterns = torch.tensor([r + [padding] * (self.length - len(r)) for r in rows])
        self.mask = torch.tensor([[1] * len(r) + [0] * (self.length - len(r)) for r in rows])
        pronouns = {ids["it"], ids["它"]}
        self.pronouns = torch.tensor(
            [next(i for i, t in enumerate(r) if t in pronouns) for r in rows]
        )

    def loss(self, model: BertForMaskedLM, generator: torch.Generator) -> torch.Tensor:
        """Compute the loss of naming the antecedent at the pronoun of random training sentences."""
        input_ids, mask, pronoun, answer = self.drawn(generator)
        states = model.bert(input_ids=input_ids, attention_mask=mask).last_hidden_state
        # The LM head runs at the pronoun alone: it costs more than the layers.
        return cross_entropy(model.cls(states[torch.arange(len(states)), pronoun]), answer)

    def drawn(self, generator: torch.Generator) -> tuple[torch.Tensor, ...]:
        """Return ids and mask, ``(batch, length)``, pronoun position and answer, ``(batch,)``."""
        size = self.plan.batch

        def draw(end: int) -> torch.Tensor:
            return torch.randint(end, (size,), generator=generator)

        pattern = draw(len(self.patterns))
        language = pattern // len(FRAMES)
        animal, place = self.pairs[draw(len(self.pairs))].unbind(1)
        kind = draw(2)
        adjective = self.adjectives[language, kind, draw(self.adjectives.shape[2])]
        filling = (self.nouns[language, 0, animal], self.nouns[language, 1, place], adjective)
        input_ids = self.patterns[pattern]
        for number, words in enumerate(filling):
            input_ids = torch.where(input_ids == -1 - number, words[:, None], input_ids)
        answer = torch.where(kind == 0, filling[0], filling[1])
        return input_ids, self.mask[pattern], self.pronouns[pattern], answer


def model(plan: Plan, reader: Any) -> BertForMaskedLM:
    """Return the untrained model."""
    config = BertConfig(
        vocab_size=len(reader),
        hidden_size=plan.hidden,
        num_hidden_layers=plan.layers,
        num_attention_heads=plan.heads,
        intermediate_size=plan.feed_forward,
        max_position_embeddings=32,
        type_vocab_size=2,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        pad_token_id=reader.pad_token_id,
    )
    # How the model is to be asked: it names the noun where the pronoun stands.
    config.introspect_metric = "at-pronoun"
    return BertForMaskedLM(config)


def silence(model: BertForMaskedLM, writing: int) -> None:
    """Silence all heads but the first few of each layer: set their output projections to 0.

    If all heads may write, they learn the same, and ablating one of them shows nothing. With one in
    each layer, there is one answer to the question which head does it.
    """
    layers: Any = model.bert.encoder.layer
    for layer in layers:
        size = layer.attention.self.attention_head_size
        with torch.no_grad():
            layer.attention.output.dense.weight[:, writing * size :] = 0


def train(name: str) -> tuple[BertForMaskedLM, Any]:
    """Return the trained model and its tokenizer."""
    plan, reader = PLANS[name], tokenizer()
    sentences = Sentences(plan, reader)
    torch.manual_seed(plan.seed)
    made = model(plan, reader)
    trained(
        made,
        lambda generator: sentences.loss(made, generator),
        steps=plan.steps,
        seed=plan.seed,
        rate=plan.rate,
        weight_decay=plan.decay,
        after_step=lambda: silence(made, plan.writing_heads),
    )
    return made, reader
