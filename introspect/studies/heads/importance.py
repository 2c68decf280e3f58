"""Head importance: how much a loss depends on each head, from one backward pass per text."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from introspect.calls import checked_call
from introspect.errors import InputError, ModelError, TextError, naming
from introspect.functional import visible_offsets
from introspect.hooks import Place, attention_layout, capture, gate_gradients
from introspect.models import Model, listed_texts, load_text
from introspect.progress import ProgressLike, following
from introspect.records import TokenSequence
from introspect.statistics import effect_intervals

#: Maps a model's output, and the tokens that it has a row for, to one number in its graph.
Loss = Callable[[Any, TokenSequence], torch.Tensor]

Floats = np.ndarray[Any, Any]
#: The stage of ``head_importance``, as its progress is told.
MEASURING = "measuring the importance of heads"
# The number of copies of a text, each with a different token masked, that run at a time.
_AT_ONCE = 32


@checked_call
def head_importance(
    model: Model | str | os.PathLike[str] | tuple[nn.Module, object],
    texts: Sequence[str] | str,
    *,
    targets: Sequence[str] | None = None,
    loss: Loss | None = None,
    seed: int = 0,
    progress: ProgressLike = None,
) -> pd.DataFrame:
    r"""Measure how fast a loss changes as each head is scaled down, in the mean over texts.

    .. math:: I_h = \frac{1}{|X|} \sum_{x \in X}
        \left| \frac{\partial L(x)}{\partial \xi_h} \right|
        = \frac{1}{|X|} \sum_{x \in X} \left|
            \mathrm{Att}_h(x) \cdot \frac{\partial L(x)}{\partial \mathrm{Att}_h(x)} \right|

    where :math:`\xi_h = 1` is a factor of the head's output. It is a slope at the unchanged model,
    not an effect: of several redundant heads, none may matter, and a model that is sure of its
    answer has small slopes everywhere. For effects, ablate heads.

    The default loss is in nats per token:

    - for a decoder, and for an encoder-decoder: the cross-entropy of each next token;
    - for a masked model: that of each token that is not special, masked one at a time.

    Source: Michel et al. 2019, "Are Sixteen Heads Really Better than One?", section 4.1.

    Args:
        model: as for ``load``; loaded with its LM head, unless ``loss`` is given.
        texts: the texts that are read.
        targets: for an encoder-decoder, what it writes, one for each text.
        loss: another loss, also for models without a head: a function of the model's output for one
            text, a batch of one, and of the tokens that it has a row for; state what it is
            wherever the result is shown.
        seed: the random seed of the intervals.
        progress: ``True`` for a bar on a terminal and in a notebook, and lines elsewhere; or a
            function of the stage, the texts read, and their total.

    Returns:
        A row for each kind of attention, layer and head: ``kind``, ``layer``, ``head``,
        ``importance``, its 95% interval by text (``ci_low``, ``ci_high``; NaN for fewer than five
        texts), ``normalized`` (divided by the root of the layer's sum of squares, as in the paper),
        ``slope`` (the mean with its sign: above 0 where scaling the head up raises the loss) and
        ``n_texts``. ``attrs["loss"]`` says what the loss was.

    Raises:
        InputError: there is no text, or not one target for each.
        ModelError: ``loss`` is missing for a model without an LM head, or gradients are not finite.
        CaptureError: the attention cannot be changed, or the loss depends on no head.

    Example:
        >>> from introspect.models import load
        >>> heads = head_importance(load("induction", lm_head=True), ["a b c d a b c d"])
        >>> heads.attrs["loss"]
        'cross-entropy of the next token'
    """
    loaded = load_text(model, lm_head=loss is None)
    given = listed_texts(texts)
    written: Sequence[str | None] = [None] * len(given) if targets is None else list(targets)
    if not given or len(written) != len(given):
        raise InputError(
            "Expected at least one text, and with `targets` one for each, got "
            f"{len(given)} texts and {len(written)} targets."
        )
    first = loaded.run_plan(given[0], target=written[0], whole=True)
    name, passes = _loss_of(loaded, loss, first.inputs)
    heads = {place: n.heads for place, n in attention_layout(loaded.module).heads_of_text.items()}
    by_text: list[Floats] = []
    with following(progress) as tell:
        for number, (text, target) in enumerate(zip(given, written, strict=True)):
            tell(MEASURING, number, len(given))
            with naming(f"Text {number}"):
                plan = loaded.run_plan(text, target=target, whole=True)
                by_text.append(_slopes(loaded, passes(plan.inputs, plan.tokens), list(heads)))
        tell(MEASURING, len(given), len(given))
    return _table(np.stack(by_text), heads, name, seed)


def _slopes(model: Model, passes: Iterable[_Pass], heads: Sequence[Place]) -> Floats:
    """Return the gradient of the loss of a text by each head's factor, ``(num_heads,)``.

    Raises:
        ModelError: one is not finite.
    """
    total: Any = 0
    for one in passes:
        gradients = gate_gradients(model.module, one.inputs, one.loss)
        total = total + torch.cat([gradients[place].double() for place in heads])
    if not total.isfinite().all():
        raise ModelError(
            f"Expected finite gradients of the loss of {model.name}, got others. In half "
            "precision they may overflow: load it in float32 or bfloat16, and check that "
            "its weights and the loss are finite."
        )
    slopes: Floats = total.cpu().numpy()
    return slopes


def _table(
    gradients: np.ndarray[Any, Any], heads: Mapping[Place, int], loss: str, seed: int
) -> pd.DataFrame:
    """Build a table from gradients, ``(num_texts, heads of all layers and kinds)``."""
    num_texts = len(gradients)
    counts = list(heads.values())
    place = np.repeat(np.arange(len(counts)), counts)
    sizes = np.abs(gradients)
    importance = sizes.mean(0)
    low, high = effect_intervals(sizes, range(num_texts), seed=seed)
    length = np.sqrt(np.bincount(place, importance**2))[place]
    table = pd.DataFrame(
        {
            "kind": np.array([kind for kind, _ in heads])[place],
            "layer": np.array([layer for _, layer in heads])[place],
            "head": np.concatenate([np.arange(count) for count in counts]),
            "importance": importance,
            "ci_low": low,
            "ci_high": high,
            "normalized": np.divide(
                importance, length, out=np.zeros_like(importance), where=length > 0
            ),
            "slope": gradients.mean(0),
            "n_texts": num_texts,
        }
    )
    table.attrs["loss"] = loss
    return table


class _Pass(NamedTuple):
    """One run of the model: its inputs, and the part of the loss that it determines."""

    inputs: dict[str, torch.Tensor]
    loss: Callable[[Any], torch.Tensor]


_Passes = Callable[[dict[str, torch.Tensor], TokenSequence], Iterator[_Pass]]


def _loss_of(
    model: Model, loss: Loss | None, inputs: dict[str, torch.Tensor]
) -> tuple[str, _Passes]:
    """Return the name of the loss, and the runs that it is made of."""
    if loss is not None:
        given = loss

        def own(inputs: dict[str, torch.Tensor], tokens: TokenSequence) -> Iterator[_Pass]:
            yield _Pass(inputs, lambda output: given(output, tokens))

        return getattr(loss, "__name__", type(loss).__name__), own
    if not model.has_unembedding:
        raise ModelError(
            f"Expected a language-model head in {model.name}, to have a loss, but it has none. "
            f"{model.lm_head_advice}, or give `loss`, a function of its output, and say with the "
            "result what it measures."
        )
    if model.is_encoder_decoder or _is_causal(model, inputs):
        return "cross-entropy of the next token", _next_tokens
    mask = model.tokenizer.mask_token_id
    if mask is None:
        raise ModelError(
            f"Expected a mask token in the tokenizer of {model.name}, which reads to both sides, "
            "but it has none. Give `loss`, a function of the model's output."
        )
    return (
        "cross-entropy of each token, masked one at a time",
        lambda inputs, tokens: _masked_tokens(inputs, tokens, mask),
    )


def _is_causal(model: Model, inputs: dict[str, torch.Tensor]) -> bool:
    """Return whether no token of a text attends ahead."""
    captured = capture(model.module, inputs)
    return all(
        bool((visible_offsets(layer)[1] <= 0).all()) for layer in captured.attentions["self"]
    )


def _next_tokens(inputs: dict[str, torch.Tensor], tokens: TokenSequence) -> Iterator[_Pass]:
    if len(tokens) < 2:
        raise TextError(
            f"Expected a text of at least two tokens, to foretell one, got {len(tokens)}. Give a "
            "longer text."
        )
    ids = torch.tensor(tokens.token_ids)

    def loss(output: Any) -> torch.Tensor:
        logits = output.logits[0]
        return cross_entropy(logits[:-1].float(), ids[1:].to(logits.device))

    yield _Pass(inputs, loss)


def _masked_tokens(
    inputs: dict[str, torch.Tensor], tokens: TokenSequence, mask: int
) -> Iterator[_Pass]:
    ordinary = [i for i, special in enumerate(tokens.special_tokens_mask) if not special]
    for first in range(0, len(ordinary), _AT_ONCE):
        places = ordinary[first : first + _AT_ONCE]
        copies = {name: each.repeat(len(places), 1) for name, each in inputs.items()}
        known = copies["input_ids"][0, places].clone()
        copies["input_ids"][range(len(places)), places] = mask

        def loss(output: Any, places: list[int] = places, known: Any = known) -> torch.Tensor:
            logits = output.logits[range(len(places)), places].float()
            total = cross_entropy(logits, known.to(logits.device), reduction="sum")
            return total / len(ordinary)

        yield _Pass(copies, loss)
