"""Word association as a baseline: which candidate goes with what follows, before any layer."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from introspect.models import StaticEmbeddings
from introspect.records import TokenSequence
from introspect.studies.coreference.association import association_credit
from introspect.text import CorefCase

TEXT = "dog road it tired"
IDS = {"dog": 0, "road": 1, "it": 2, "tired": 3, ".": 4}
# *tired* points where *dog* does.
VECTORS = torch.tensor([[4.0, 1.0], [-4.0, 1.0], [0.0, 0.0], [3.0, 0.0], [0.0, -9.0]])


class Embedded(nn.Module):
    def __init__(self, vectors: torch.Tensor) -> None:
        super().__init__()
        self.table = nn.Embedding.from_pretrained(vectors)

    def get_input_embeddings(self) -> nn.Embedding:
        return self.table


def tokens(text: str) -> TokenSequence:
    words = text.split()
    starts = [text.index(word) for word in words]
    return TokenSequence(
        tuple(words),
        token_ids=tuple(IDS[word] for word in words),
        offsets=tuple((s, s + len(w)) for s, w in zip(starts, words, strict=True)),
        words=tuple(words),
        word_ids=tuple(range(len(words))),
        texts=(text,),
    )


def credit(text: str, antecedent: str, distractor: str, vectors: torch.Tensor = VECTORS) -> float:
    case = CorefCase.from_words(
        text, pronoun="it", antecedent=antecedent, distractors=[distractor], id="x"
    )
    words = text.split()
    places = [[words.index(word)] for word in (antecedent, distractor)]
    order = [c.antecedent for c in case.candidates]
    places = places if order[0] else places[::-1]
    return association_credit(tokens(text), case, places, StaticEmbeddings.of(Embedded(vectors)))


def test_the_candidate_that_goes_with_what_follows_is_chosen():
    """Cosines by hand, around the mean of the five vectors, (0.6, −1.4)."""
    mean = VECTORS.mean(0)
    near = torch.cosine_similarity(VECTORS[3] - mean, VECTORS[0] - mean, dim=0)
    far = torch.cosine_similarity(VECTORS[3] - mean, VECTORS[1] - mean, dim=0)
    assert near > far
    assert credit(TEXT, "dog", "road") == 1
    assert credit(TEXT, "road", "dog") == 0


def test_a_candidate_that_follows_is_not_what_follows():
    """*road* stands after *it*, and is no evidence for itself."""
    assert credit("dog it road tired", "dog", "road") == 1


def test_nothing_that_follows_is_a_tie_and_no_embeddings_are_no_answer():
    assert credit("dog road it .", "dog", "road") == 0.5
    case = CorefCase.from_words(TEXT, pronoun="it", antecedent="dog", distractors=["road"], id="x")
    assert math.isnan(association_credit(tokens(TEXT), case, [[0], [1]], None))
    unknown = replace(tokens(TEXT), token_ids=(9, 1, 2, 3))
    embeddings = StaticEmbeddings.of(Embedded(VECTORS))
    assert math.isnan(association_credit(unknown, case, [[0], [1]], embeddings))


@pytest.mark.parametrize("module", [nn.Linear(2, 2), Embedded(VECTORS).to("meta")])
def test_a_model_without_embeddings_in_memory_has_none(module):
    assert StaticEmbeddings.of(module) is None
