"""Check that a capture is the model's own attention, and that its parts are consistent."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from tiny import Tiny

#: Attention counts as equal, and parts as consistent, up to this much.
EQUAL = 1e-5  # the document says so in words, too
FITTING = 1e-4

PARTS = ("attentions", "scores", "queries", "keys", "values", "head_outputs")
OWN = {
    "self": "attentions",
    "encoder": "encoder_attentions",
    "decoder": "decoder_attentions",
    "cross": "cross_attentions",
}


def own_attention(built: Tiny) -> dict[str, list[torch.Tensor]]:
    """Return the patterns that a model itself returned, by kind.

    Some return something else under that name: blocks of a pattern (LongT5), a layer's output
    (RWKV, YOSO), the state of a layer that has no attention weights (MiniMax).
    """
    types = getattr(built.eager.config, "layer_types", None) or ()
    found: dict[str, list[torch.Tensor]] = {}
    for kind, key in OWN.items():
        returned = built.output.get(key) or ()
        for number, weights in enumerate(returned):
            of_all = len(returned) == len(types)  # others return those with attention alone
            is_linear = of_all and "linear" in str(types[number])
            if torch.is_tensor(weights) and weights.ndim == 4 and not is_linear:
                found.setdefault(kind, []).append(weights)
    return found


def compare(
    own: Mapping[str, list[torch.Tensor]], captures: Sequence[Mapping[str, list[torch.Tensor]]]
) -> dict[str, Any]:
    """Check that every returned layer is there, in order and equal, in every capture."""
    largest, beside = 0.0, ""
    for ours in captures:
        for kind, layers in own.items():
            # A model of several towers returns the attention of the one that reads words.
            mine = ours.get(kind) or (ours.get("text", []) if kind == "self" else [])
            if len(mine) > len(layers):
                beside = f"{len(mine)} layers captured, of which it returns {len(layers)}"
                mine = _same_ones(layers, mine)
            if [m.shape for m in mine] != [w.shape for w in layers]:
                why = f"{kind}: other layers than it returns, or of another shape"
                return {"status": "different", "reason": why}
            largest = max(largest, *map(_difference, layers, mine))
    status = "equal" if largest <= EQUAL else "different"
    return {"status": status, "difference": largest, "reason": beside}


def _same_ones(own: Iterable[torch.Tensor], ours: Iterable[torch.Tensor]) -> list[torch.Tensor]:
    """Return those of the captured patterns that equal the model's own, in order.

    A model of several transformers returns the layers of some (BLT: those over bytes).
    """
    rest = iter(ours)
    found = (
        next((m for m in rest if m.shape == w.shape and _difference(w, m) <= EQUAL), None)
        for w in own
    )
    return [mine for mine in found if mine is not None]


def _difference(theirs: torch.Tensor, mine: torch.Tensor) -> float:
    if (theirs < -1e-3).any():
        theirs = theirs.softmax(-1)  # it returns its scores under that name
    difference = float((theirs.double() - mine.double()).abs().max())
    return math.inf if math.isnan(difference) else difference


def check_parts(captured: Any) -> dict[str, Any]:
    """Check that the parts follow from each other, and return what the scores are made of.

    The scores' softmax must be the attention, up to what a sink takes of it, and the attention
    times the values the heads' output, again up to a sink's share where the model keeps that out
    of its attention (Granite SWA).
    """
    misfit, words, sources = 0.0, "all", set()
    for attention, scores, queries, keys, values, output in _layers_of(captured):
        expected = attention @ _repeated(values, output.shape[1])
        of_output = _size(expected - output)
        if of_output > FITTING:
            share = (expected * output).sum(-1, True) / expected.square().sum(-1, True)
            of_output = _size(share.clamp(0, 1) * expected - output)
            words = "all; a sink takes a share of the head outputs"
        misfit = max(misfit, _misfit_of_scores(attention, scores), of_output)
        sources.add(_source_of_scores(scores, queries, _repeated(keys, queries.shape[1])))
    if misfit > FITTING:
        words = UNFIT
    return {"parts": words, "scores": max(sources, key=SOURCES.index), "misfit": misfit}


UNFIT = "do not fit together"

#: What the scores are made of, from the simplest on.
SOURCES = ("q·k", "q·k + position", "q·k and more")


def _misfit_of_scores(attention: torch.Tensor, scores: torch.Tensor) -> float:
    shares = attention.sum(-1, keepdim=True)
    known = (shares > 0.01).expand_as(attention)  # a sink that takes all leaves few digits
    return _size((scores.float().softmax(-1) - attention / shares)[known])


def _source_of_scores(scores: torch.Tensor, queries: torch.Tensor, keys: torch.Tensor) -> str:
    """Return whether queries times keys, up to a factor, are the scores of all that is not masked.

    What remains may depend on the position alone: then it is the same in both texts. A number
    added to all scores of a query changes nothing, so rows are compared around their mean.
    """
    if queries.shape[:2] != keys.shape[:2] or queries.shape[-1] != keys.shape[-1]:
        return SOURCES[2]
    products = queries @ keys.transpose(-1, -2)
    if products.shape != scores.shape:
        return SOURCES[2]
    seen = scores > _MASKED
    if _are_proportional(products, scores, seen):
        return SOURCES[0]
    in_both = seen[0] & seen[1]
    if _are_proportional(products[0] - products[1], scores[0] - scores[1], in_both):
        return SOURCES[1]
    return SOURCES[2]


#: A score below this was masked.
_MASKED = -1e3


def _are_proportional(given: torch.Tensor, wanted: torch.Tensor, seen: torch.Tensor) -> bool:
    given, wanted = (_around_mean(tensor, seen) for tensor in (given, wanted))
    factor = (given * wanted).sum() / given.square().sum()
    return _size(factor * given - wanted) <= FITTING * max(1.0, _size(wanted))


def _around_mean(scores: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
    """Center each row on its mean, and set masked entries to zero."""
    masked = scores.masked_fill(~seen, 0)
    mean = masked.sum(-1, True) / seen.sum(-1, True).clamp(min=1)
    return (masked - mean).masked_fill(~seen, 0)


def _repeated(shared: torch.Tensor, heads: int) -> torch.Tensor:
    """Repeat keys or values that several heads share, once for each head."""
    return shared.repeat_interleave(heads // shared.shape[1], dim=1)


def _size(difference: torch.Tensor) -> float:
    """Return the largest absolute entry; infinite if any is not a number."""
    size = float(difference.abs().max()) if difference.numel() else 0.0
    return math.inf if math.isnan(size) else size


def _layers_of(captured: Any) -> Iterator[tuple[torch.Tensor, ...]]:
    """Yield all parts of every layer of every kind."""
    for kind in captured.attentions:
        yield from zip(*(getattr(captured, name)[kind] for name in PARTS), strict=True)
