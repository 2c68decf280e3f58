"""A model run with plain PyTorch hooks: its margins, ablations, attention and gradients.

This is the judge, and the other methods stand on it: it imports nothing of introspect's hooks,
interventions or studies.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from benchmarks.circuits.anatomy import Body
from benchmarks.circuits.language import NUMBER, Text

Floats = npt.NDArray[np.float64]
Place = tuple[int, int]
Method = Literal["zero", "mean"]
#: Changes what a layer's heads give, ``(batch, length, heads, head_size)``.
Change = Callable[[int, torch.Tensor], torch.Tensor]


@dataclass(frozen=True, eq=False)
class Batch:
    """Texts of one length.

    Args:
        rows: their numbers among all.
        texts: the texts.
        numbers: their tokens, ``(batch, length)``.
    """

    rows: npt.NDArray[np.int64]
    texts: list[Text]
    numbers: torch.Tensor


class PlainRun:
    """A body and the texts that it reads, in batches of one length: nothing is padded.

    Args:
        body: the model.
        texts: the texts.
    """

    def __init__(self, body: Body, texts: Sequence[Text]) -> None:
        self.body = body
        self.texts = list(texts)
        lengths = np.array([len(text.words) for text in texts])
        self.batches = []
        for length in np.unique(lengths):
            rows = np.flatnonzero(lengths == length)
            chosen = [self.texts[row] for row in rows]
            numbers = torch.tensor([text.numbers for text in chosen])
            self.batches.append(Batch(rows, chosen, numbers))
        self._means: dict[int, torch.Tensor] = {}
        self._states: list[list[Any]] = []

    @property
    def places(self) -> list[Place]:
        """All heads."""
        layers = range(len(self.body.attentions))
        return [(layer, head) for layer in layers for head in range(self.body.heads)]

    def margins(self, without: Sequence[Place] = (), method: Method = "zero") -> Floats:
        """Return by how much the antecedent is ahead, in nats, with some heads ablated."""
        found = np.zeros(len(self.texts))
        # Layers before the first change give what they gave without it.
        same = self.body.layers[: min((layer for layer, _ in without), default=0)]
        with torch.no_grad(), changed(self.body, self._ablation(without, method)):
            for batch, states in zip(self.batches, self.clean_states(), strict=True):
                with repeated(same, states):
                    found[batch.rows] = margins_of(self.body, batch).double().numpy()
        return found

    def clean_states(self) -> list[list[Any]]:
        """Return the output of each layer for each batch."""
        if not self._states:
            for batch in self.batches:
                kept: list[Any] = []
                handles = [
                    layer.register_forward_hook(
                        lambda module, inputs, output, k=kept: k.append(output)
                    )
                    for layer in self.body.layers
                ]
                margins_of(self.body, batch)
                for handle in handles:
                    handle.remove()
                self._states.append(kept)
        return self._states

    def attention(self) -> tuple[Floats, Floats]:
        """Return what each head gives each candidate from the pronoun, and which it gives most.

        Returns:
            Weights, the mean over a mention's words, ``(texts, heads, 2)``, the antecedent first;
            and whether the token with the largest weight is of the antecedent, ``(texts, heads)``.
        """
        return self._of_tokens(lambda batch: attention_rows(self.body, batch))

    def attention_norms(self) -> tuple[Floats, Floats]:
        """Return the same of the norms of what is added, as Kobayashi et al. (2020) define them."""
        return self._of_tokens(lambda batch: norm_rows(self.body, batch))

    def _of_tokens(self, rows_of: Callable[[Batch], torch.Tensor]) -> tuple[Floats, Floats]:
        weights = np.zeros((len(self.texts), len(self.places), 2))
        is_most = np.zeros((len(self.texts), len(self.places)))
        for batch in self.batches:
            rows = rows_of(batch).double().numpy()
            for row, text, own in zip(batch.rows, batch.texts, rows, strict=True):
                for side, mention in enumerate((text.antecedent, text.distractor)):
                    weights[row, :, side] = own[:, [place + 1 for place in mention]].mean(1)
                is_most[row] = np.isin(own.argmax(1), [place + 1 for place in text.antecedent])
        return weights, is_most

    def _ablation(self, without: Sequence[Place], method: Method) -> Change:
        heads: dict[int, list[int]] = {}
        for layer, head in without:
            heads.setdefault(layer, []).append(head)

        def change(layer: int, given: torch.Tensor) -> torch.Tensor:
            if layer not in heads:
                return given
            given = given.clone()
            chosen = heads[layer]
            given[:, :, chosen] = 0 if method == "zero" else self._mean_of(layer)[chosen].to(given)
            return given

        return change

    def _mean_of(self, layer: int) -> torch.Tensor:
        """Return the mean of what each head of a layer gives, over all tokens of all texts."""
        if not self._means:
            sums: dict[int, torch.Tensor] = {}
            tokens = sum(batch.numbers.numel() for batch in self.batches)

            def add(layer: int, given: torch.Tensor) -> torch.Tensor:
                sums[layer] = sums.get(layer, 0) + given.double().sum((0, 1))
                return given

            for batch in self.batches:
                with changed(self.body, add):
                    margins_of(self.body, batch)
            self._means = {number: total / tokens for number, total in sums.items()}
        return self._means[layer]


@contextmanager
def repeated(layers: Sequence[Any], outputs: Sequence[Any]) -> Iterator[None]:
    """Let layers give what they gave before instead of computing it again."""
    for layer, output in zip(layers, outputs, strict=False):
        layer.forward = lambda *args, output=output, **kwargs: output
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


@contextmanager
def changed(body: Body, change: Change) -> Iterator[None]:
    """Let what every head gives pass through a function, before the layer's last product."""

    def hook(layer: int) -> Callable[[Any, tuple[torch.Tensor]], tuple[torch.Tensor]]:
        def inner(module: Any, inputs: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
            given = inputs[0].unflatten(-1, (body.heads, body.head_size))
            return (change(layer, given).flatten(-2),)

        return inner

    handles = [
        attention.output.register_forward_pre_hook(hook(layer))
        for layer, attention in enumerate(body.attentions)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def margins_of(body: Body, batch: Batch) -> torch.Tensor:
    """Return by how much the antecedent is ahead, ``(batch,)``.

    At the pronoun it is the difference of two log-probabilities; for an encoder-decoder that of the
    mean log-probabilities of the candidates' words as what the decoder writes.
    """
    if not body.writes:
        logits = body.module(input_ids=batch.numbers).logits[:, -1].double()
        words = torch.tensor([[_words(text, side)[0] for side in (0, 1)] for text in batch.texts])
        chosen = logits.gather(1, words)
        return chosen[:, 0] - chosen[:, 1]
    encoder = body.module.get_encoder()
    states = encoder(input_ids=batch.numbers)
    return _written(body, batch, states, 0) - _written(body, batch, states, 1)


def log_probabilities(body: Body, batch: Batch, side: int) -> torch.Tensor:
    """Return the log-probability of a candidate, ``(batch,)``; the antecedent is side 0."""
    if body.writes:
        return _written(body, batch, body.module.get_encoder()(input_ids=batch.numbers), side)
    logits = body.module(input_ids=batch.numbers).logits[:, -1].double()
    words = torch.tensor([_words(text, side)[0] for text in batch.texts])
    return logits.log_softmax(-1).gather(1, words[:, None])[:, 0]


def _words(text: Text, side: int) -> list[int]:
    """Return the tokens of a candidate."""
    mention = text.distractor if side else text.antecedent
    return [NUMBER[text.words[place]] for place in mention]


def _written(body: Body, batch: Batch, states: Any, side: int) -> torch.Tensor:
    """Return the mean log-probability of a candidate's words, as the decoder writes them."""
    words = [_words(text, side) for text in batch.texts]
    most = max(map(len, words))
    start, begins = body.module.config.decoder_start_token_id, NUMBER["<s>"]
    padded = torch.tensor([[*one, *[0] * (most - len(one))] for one in words])
    before = torch.tensor([[start, begins]]).expand(len(words), -1)
    logits = body.module(
        encoder_outputs=states, decoder_input_ids=torch.cat([before, padded[:, :-1]], 1)
    ).logits[:, 1:].double()  # fmt: skip
    each = logits.log_softmax(-1).gather(2, padded[:, :, None])[:, :, 0]
    is_word = torch.tensor([[place < len(one) for place in range(most)] for one in words])
    return (each * is_word).sum(1) / is_word.sum(1)


@torch.no_grad()
def attention_rows(body: Body, batch: Batch) -> torch.Tensor:
    """Return the pronoun's attention, ``(batch, heads of all layers, length)``."""
    body.module.set_attn_implementation("eager")
    reader = body.module.get_encoder() if body.writes else body.module
    layers = reader(input_ids=batch.numbers, output_attentions=True).attentions
    body.module.set_attn_implementation("sdpa")
    return torch.cat([layer[:, :, -1] for layer in layers], 1)


@torch.no_grad()
def norm_rows(body: Body, batch: Batch) -> torch.Tensor:
    """Return the norms of what each token adds to the pronoun through each head, same shape."""
    values: dict[int, torch.Tensor] = {}

    def keep(layer: int) -> Callable[[Any, Any, torch.Tensor], None]:
        def hook(module: Any, inputs: Any, output: torch.Tensor) -> None:
            values[layer] = output.unflatten(-1, (body.groups, body.head_size))

        return hook

    handles = [
        attention.value.register_forward_hook(keep(layer))
        for layer, attention in enumerate(body.attentions)
    ]
    try:
        weights = attention_rows(body, batch)
    finally:
        for handle in handles:
            handle.remove()
    added = []
    for layer, attention in enumerate(body.attentions):
        each = attention.output.weight.unflatten(1, (body.heads, body.head_size)).float()
        own = values[layer].float().repeat_interleave(body.heads // body.groups, 2)
        added.append(torch.einsum("blhd,whd->bhlw", own, each).norm(dim=-1))
    return weights.float() * torch.cat(added, 1)


def gate_gradients(run: PlainRun) -> Floats:
    """Return how the loss on each text changes with each head, ``(texts, heads)``.

    The loss is minus the log-probability of the antecedent; a head is multiplied by 1.
    """
    body = _in_float32(run.body)
    found = np.zeros((len(run.texts), len(run.places)))
    for batch in run.batches:
        gates = [torch.ones(len(batch.texts), body.heads) for _ in body.attentions]
        for gate in gates:
            gate.requires_grad_()

        def change(
            layer: int, given: torch.Tensor, gates: list[torch.Tensor] = gates
        ) -> torch.Tensor:
            return given * gates[layer][:, None, :, None]

        with changed(body, change):
            loss = -log_probabilities(body, batch, 0).sum()
        found[batch.rows] = torch.cat(torch.autograd.grad(loss, gates), 1).numpy()
    return found


def patching_estimates(run: PlainRun) -> Floats:
    """Estimate what the margin loses if a head outputs what it does for the minimal pair.

    To first order, ``(texts, heads)``: the sum of the difference of the two times the gradient.
    """
    body = _in_float32(run.body)
    found = np.zeros((len(run.texts), len(run.places)))
    for batch in run.batches:
        swapped = [text.with_markers_swapped for text in batch.texts]
        other = Batch(batch.rows, swapped, torch.tensor([text.numbers for text in swapped]))
        given, margins = _kept(body, batch)
        corrupted, _ = _kept(body, other)
        slopes = torch.autograd.grad(margins.sum(), given)
        each = [
            ((own - theirs) * slope).sum((1, 3))
            for own, theirs, slope in zip(given, corrupted, slopes, strict=True)
        ]
        found[batch.rows] = torch.cat(each, 1).detach().numpy()
    return found


@torch.no_grad()
def patching_effects(run: PlainRun) -> tuple[Floats, Floats]:
    """Return what the margin loses if a head outputs what it does for the minimal pair.

    Returns:
        ``(texts, heads)``; and what it loses on the minimal pair itself, ``(texts,)``.
    """
    found = np.zeros((len(run.texts), len(run.places)))
    total = np.zeros(len(run.texts))
    for batch, states in zip(run.batches, run.clean_states(), strict=True):
        swapped = [text.with_markers_swapped for text in batch.texts]
        other = Batch(batch.rows, swapped, torch.tensor([text.numbers for text in swapped]))
        given, theirs = _kept(run.body, other)
        clean = margins_of(run.body, batch)
        total[batch.rows] = (clean + theirs).double().numpy()
        for column, place in enumerate(run.places):
            same = run.body.layers[: place[0]]
            with repeated(same, states), changed(run.body, _patched(place, given)):
                lost = clean - margins_of(run.body, batch)
            found[batch.rows, column] = lost.double().numpy()
    return found, total


def _patched(place: Place, given: list[torch.Tensor]) -> Change:
    """Return a change that lets one head give what it gave before."""

    def change(layer: int, own: torch.Tensor) -> torch.Tensor:
        if layer != place[0]:
            return own
        own = own.clone()
        own[:, :, place[1]] = given[layer][:, :, place[1]]
        return own

    return change


def _kept(body: Body, batch: Batch) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Run a batch, and keep what each layer's heads give, in the graph of the margins."""
    kept: dict[int, torch.Tensor] = {}

    def change(layer: int, given: torch.Tensor) -> torch.Tensor:
        # The first layer's heads depend on no parameter: they become a leaf here.
        kept[layer] = given if given.requires_grad else given.requires_grad_()
        return kept[layer]

    with changed(body, change):
        margins = margins_of(body, batch)
    return [kept[layer] for layer in sorted(kept)], margins


def _in_float32(body: Body) -> Body:
    """Return a copy in float32 without gradients of parameters."""
    copied = copy.deepcopy(body)
    copied.module.float().requires_grad_(False)
    return copied
