"""Training of a single head of attention, with what it attends to, epoch by epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from introspect.errors import InputError
from introspect.primer.attention import Attended, self_attention
from introspect.primer.records import record_of, word_sequence
from introspect.records import AttentionRecord

#: Short Chinese sentences, word by word.
SENTENCES = (
    ("我", "写", "代码"),
    ("你", "写", "诗"),
    ("他", "读", "诗"),
    ("我", "读", "代码"),
    ("她", "喝", "茶"),
    ("你", "喝", "咖啡"),
)

#: 那只灰色的猫懒洋洋地趴在温暖的壁炉边垫子上, and sentences that share its words.
GREY_CAT = (
    ("那只", "灰色的", "猫", "懒洋洋地", "趴在", "温暖的", "壁炉边", "垫子上"),
    ("那只", "黑色的", "狗", "安静地", "躺在", "柔软的", "窗边", "地毯上"),
    ("那只", "灰色的", "狗", "懒洋洋地", "躺在", "温暖的", "窗边", "垫子上"),
    ("那只", "黑色的", "猫", "安静地", "趴在", "柔软的", "壁炉边", "地毯上"),
)


class Vocabulary:
    """The words of some sentences, numbered in order of first occurrence.

    Example:
        >>> Vocabulary([["我", "写", "代码"]]).ids(["代码", "我"]).tolist()
        [2, 0]
    """

    def __init__(self, sentences: Sequence[Sequence[str]]) -> None:
        self.words = tuple(dict.fromkeys(word for sentence in sentences for word in sentence))
        self._numbers = {word: number for number, word in enumerate(self.words)}

    def __len__(self) -> int:
        return len(self.words)

    def ids(self, words: Sequence[str]) -> torch.Tensor:
        """Return the numbers of words, ``(length,)``.

        Raises:
            InputError: a word is not in the vocabulary.
        """
        if unknown := [word for word in words if word not in self._numbers]:
            raise InputError(
                f"Expected words of the vocabulary, got {unknown[0]!r}. It has "
                f"{' '.join(self.words)}."
            )
        return torch.tensor([self._numbers[word] for word in words])


class SelfAttention(nn.Module):
    r"""One head of self-attention that can be trained.

    .. math:: \mathrm{softmax}\left(\frac{X W_q (X W_k)^\top}{\sqrt{d}}\right) X W_v W_{out}

    Args:
        dim: the number of dimensions of the word vectors.
        key_dim: the number of dimensions of queries, keys and values; ``dim`` by default.
        seed: the random seed of the initial weights.

    Example:
        >>> head = SelfAttention(4)
        >>> head(torch.eye(4)).shape, head.attend(torch.eye(4)).weights.shape
        (torch.Size([4, 4]), torch.Size([4, 4]))
    """

    def __init__(self, dim: int, key_dim: int | None = None, *, seed: int = 0) -> None:
        super().__init__()
        inner = key_dim or dim
        generator = torch.Generator().manual_seed(seed)

        def matrix(rows: int, columns: int) -> nn.Parameter:
            return nn.Parameter(torch.randn(rows, columns, generator=generator) / rows**0.5)

        self.w_query = matrix(dim, inner)
        self.w_key = matrix(dim, inner)
        self.w_value = matrix(dim, inner)
        self.w_out = matrix(inner, dim)

    def attend(self, tokens: torch.Tensor, mask: torch.Tensor | None = None) -> Attended:
        """Compute attention before the output projection, ``(..., length, key_dim)``."""
        return self_attention(tokens, self.w_query, self.w_key, self.w_value, mask)

    def forward(self, tokens: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Compute the output, ``(..., length, dim)``."""
        return self.attend(tokens, mask).output @ self.w_out


@dataclass(frozen=True, eq=False)
class Training:
    """The result of a training.

    Args:
        module: the trained head.
        vocabulary: its words.
        vectors: the vector of each word, ``(num_words, dim)``; they are not trained.
        sentences: the sentences that it was trained on.
        losses: the mean squared error before each epoch, and after the last.
        history: for each sentence its attention before each epoch, and after the last:
            ``(num_epochs + 1, length, length)``.
    """

    module: SelfAttention
    vocabulary: Vocabulary
    vectors: torch.Tensor
    sentences: tuple[tuple[str, ...], ...]
    losses: tuple[float, ...]
    history: tuple[torch.Tensor, ...]

    def record(self, words: Sequence[str]) -> AttentionRecord:
        """Record what the trained head attends to in a sentence, with all parts.

        Raises:
            InputError: a word is not in the vocabulary.
        """
        attended = self.module.attend(self.vectors[self.vocabulary.ids(words)])
        return record_of(attended, words)

    def evolution(self, sentence: int = 0) -> list[AttentionRecord]:
        """Return a sentence's attention before each epoch and after the last, as records.

        Raises:
            InputError: there is no such sentence.
        """
        if not 0 <= sentence < len(self.sentences):
            raise InputError(f"Expected `sentence` in 0–{len(self.sentences) - 1}, got {sentence}.")
        words = word_sequence(self.sentences[sentence])
        return [
            AttentionRecord(attentions=weights[None, None], queries=words, keys=words)
            for weights in self.history[sentence]
        ]


def train(
    sentences: Sequence[Sequence[str]] = SENTENCES,
    *,
    dim: int = 24,
    epochs: int = 200,
    rate: float = 0.02,
    seed: int = 2,
) -> Training:
    """Train one head of attention to reproduce the vectors of the words that it reads.

    The loss is the mean squared error between output and input. To reproduce a word it would be
    enough to attend to that word alone; but any mixture of words from which the last two matrices
    can recover it does as well, and one head must serve all words. So what it learns to attend to
    depends on the initial weights, and nothing in the task makes 写 attend to 代码.

    Args:
        sentences: the sentences, each a list of words.
        dim: the number of dimensions of the word vectors, which are random and stay fixed.
        epochs: the number of times that all sentences are seen.
        rate: the learning rate of the optimizer (Adam).
        seed: the random seed of vectors and weights.

    Raises:
        InputError: there is no sentence, or an empty one; no dimension, or fewer than 0 epochs.

    Example:
        >>> training = train(epochs=50)
        >>> training.losses[-1] < training.losses[0]
        True
    """
    chosen = tuple(tuple(sentence) for sentence in sentences)
    if not chosen or not all(chosen):
        raise InputError("Expected sentences with words in them, got none or an empty one.")
    if dim < 1 or epochs < 0:
        raise InputError(f"Expected `dim` from 1 and `epochs` from 0 up, got {dim} and {epochs}.")
    vocabulary = Vocabulary(chosen)
    generator = torch.Generator().manual_seed(seed)
    vectors = torch.randn(len(vocabulary), dim, generator=generator)
    module = SelfAttention(dim, seed=seed + 1)
    optimizer = torch.optim.Adam(module.parameters(), lr=rate)
    inputs = [vectors[vocabulary.ids(sentence)] for sentence in chosen]
    losses: list[float] = []
    history: list[list[torch.Tensor]] = [[] for _ in chosen]
    for epoch in range(epochs + 1):
        loss = _loss(module, inputs, history)
        losses.append(loss.item())
        if epoch < epochs:
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    recorded = tuple(torch.stack(weights) for weights in history)
    return Training(module.eval(), vocabulary, vectors, chosen, tuple(losses), recorded)


def _loss(
    module: SelfAttention, inputs: Sequence[torch.Tensor], history: Sequence[list[torch.Tensor]]
) -> torch.Tensor:
    """Compute the mean error over all sentences, and append their attention to the history."""
    errors = []
    for tokens, weights in zip(inputs, history, strict=True):
        attended = module.attend(tokens)
        weights.append(attended.weights.detach())
        errors.append(((attended.output @ module.w_out - tokens) ** 2).mean())
    return torch.stack(errors).mean()
