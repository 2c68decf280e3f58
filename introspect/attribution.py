"""Attribution through attention: further methods, each from a record to an attention-shaped tensor.

Every method has one signature, ``method(record) -> (num_layers, num_heads, query_len, key_len)``. A
method that takes the heads of a layer together has one in their place. What a method needs beside
the attention is captured with ``include``; where it is missing the error names it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch

from introspect.errors import SelectionError
from introspect.functional import alti as _alti
from introspect.functional import flow as _flow
from introspect.functional import relevance as _relevance
from introspect.functional import rollout as _rollout
from introspect.records import AttentionRecord
from introspect.weighting import norms

__all__ = [
    "LARGEST_SHOWN",
    "METHODS",
    "Method",
    "alti",
    "attributed",
    "contributions",
    "flow",
    "gradient_attention",
    "integrated_gradients",
    "offered",
    "parts_of",
    "relevance",
    "residual_norms",
    "rollout",
    "why_not_square",
]

#: A page of more tokens has none of these but norms: a map is as large as the attention of a head
#: in every layer.
LARGEST_SHOWN = 512


def rollout(record: AttentionRecord, *, residual: float = 0.5) -> torch.Tensor:
    """How much of each input token is in each token after every layer, by attention alone.

    Args:
        record: self-attention, all its rows. Of a record of some layers, through those alone.
        residual: the part that goes past the attention unchanged.

    Returns:
        ``(num_layers, 1, n, n)``, float64, from 0 to 1; rows sum to 1.

    Raises:
        SelectionError: attention to another text, or of some rows only.

    Source: Abnar and Zuidema 2020; the formula is in ``introspect.functional.rollout``.

    Example:
        >>> layer = torch.tensor([[[1.0, 0.0], [0.5, 0.5]]])
        >>> rollout(AttentionRecord.from_tensors([layer, layer], ["a", "b"]))[-1, 0]
        tensor([[1.0000, 0.0000],
                [0.4375, 0.5625]], dtype=torch.float64)
    """
    _check_square(record, "rollout")
    return _rollout.rollout(record.attentions, residual=residual)[:, None]


def flow(record: AttentionRecord, *, residual: float = 0.5) -> torch.Tensor:
    """The maximum flow of attention from each token after every layer to each input token.

    Args:
        record: self-attention, all its rows, of at most 64 tokens.
        residual: the part that goes past the attention unchanged.

    Returns:
        ``(num_layers, 1, n, n)``, float64, from 0 to 1; rows do not sum to 1.

    Raises:
        SelectionError: attention to another text, or of some rows only; or more than 64 tokens.

    Source: Abnar and Zuidema 2020; the network is in ``introspect.functional.flow``.
    """
    _check_square(record, "flow")
    return _flow.flow(record.attentions, residual=residual)[:, None]


def residual_norms(record: AttentionRecord) -> torch.Tensor:
    r"""How long the vector is that each key brings through the whole attention block.

    .. math:: \lVert g_i(T_{ij}) \rVert, \qquad
              T_{ij} = \sum_h \alpha^h_{ij} v_j^h W_O^h + [i = j] \, x_i

    where *g* is the layer norm behind the sum, as it acts on a part of the sum; a block that
    normalises before its attention has none.

    Args:
        record: captured with ``include=("residual_norms",)``.

    Returns:
        ``(num_layers, 1, n, n)``, from 0 up; rows do not sum to 1.

    Raises:
        SelectionError: the record carries none.

    Source: Kobayashi et al. 2021, "Incorporating Residual and Normalization Layers into Analysis of
    Masked Language Models".
    """
    return _part(record, "residual_norms")


def contributions(record: AttentionRecord) -> torch.Tensor:
    """The share of each key in what the attention block of one layer gives.

    Args:
        record: captured with ``include=("contributions",)``.

    Returns:
        ``(num_layers, 1, n, n)``, from 0 to 1; rows sum to 1.

    Raises:
        SelectionError: the record carries none.

    Source: Ferrando et al. 2022; the formula is in ``introspect.functional.alti``.
    """
    return _part(record, "contributions")


def alti(record: AttentionRecord) -> torch.Tensor:
    """The contributions of each input token to each token after every layer.

    Args:
        record: captured with ``include=("contributions",)``; of some layers, through those alone.

    Returns:
        ``(num_layers, 1, n, n)``, float64, from 0 to 1; rows sum to 1.

    Raises:
        SelectionError: the record carries no contributions.

    Source: Ferrando et al. 2022, "Measuring the Mixing of Contextual Information in the
    Transformer".
    """
    return _alti.alti(contributions(record)[:, 0])[:, None]


def gradient_attention(record: AttentionRecord) -> torch.Tensor:
    r"""Each weight times how steeply a number rises with it, where it rises: :math:`(A ∇A)^+`.

    Args:
        record: captured with ``include=("gradients",)`` and ``of``, which says of what number.

    Returns:
        ``(num_layers, num_heads, query_len, key_len)``, from 0 up, in units of that number.

    Raises:
        SelectionError: the record carries no gradients.

    Source: Chefer et al. 2021; the formula is in ``introspect.functional.relevance``.
    """
    return _relevance.gradient_attention(record.attentions, _part(record, "gradients"))


def relevance(record: AttentionRecord) -> torch.Tensor:
    r"""What the layers up to each one add to a token, of each input token: :math:`R_l - I`.

    Args:
        record: self-attention, captured with ``include=("gradients",)`` and ``of``.

    Returns:
        ``(num_layers, 1, n, n)``, float64, from 0 up. The identity that *R* begins with is taken
        off: it stands for each token's own state, and is 1 however small the rest is.

    Raises:
        SelectionError: the record carries no gradients, or is attention to another text.

    Source: Chefer et al. 2021, "Generic Attention-model Explainability for Interpreting Bi-Modal
    and Encoder-Decoder Transformers".
    """
    _check_square(record, "relevance")
    total = _relevance.relevance(record.attentions, _part(record, "gradients"))
    return (total - torch.eye(total.shape[-1], dtype=total.dtype))[:, None]


def integrated_gradients(record: AttentionRecord) -> torch.Tensor:
    """How much of a number each weight of a layer brings, from no attention up to all of it.

    Args:
        record: captured with ``include=("integrated_gradients",)`` and ``of``.

    Returns:
        ``(num_layers, num_heads, query_len, key_len)``, of either sign. Over a layer they sum to
        what the number changes by when that layer's attention is taken away, within
        ``record.certificate.max_completeness_error``.

    Raises:
        SelectionError: the record carries none.

    Source: Hao et al. 2021, "Self-Attention Attribution: Interpreting Information Interactions
    Inside Transformer".
    """
    return _part(record, "integrated_gradients")


@dataclass(frozen=True)
class Method:
    """One way to weigh what a token gets of another.

    Args:
        function: from a record to the tensor.
        part: what has to be captured beside the attention; ``None`` where the attention will do.
        label: its name in words.
        number: what one number says.
        by_head: whether each head has a map of its own; else one map is for all of them.
        through: whether a layer's map is of all layers up to it.
        bounded: whether its numbers lie between 0 and 1.
        square: whether it is for attention of a text to itself only.
        offered: whether a page offers it where the record can give it, also if nobody named it;
            not one that takes long.
    """

    function: Callable[[AttentionRecord], torch.Tensor]
    part: str | None
    label: str
    number: str
    by_head: bool = False
    through: bool = False
    bounded: bool = False
    square: bool = True
    offered: bool = True

    @property
    def is_gradient(self) -> bool:
        """Whether it needs a number to differentiate."""
        return self.part is not None and "gradients" in self.part


#: The methods by the name that ``weights=`` has for them in the views.
METHODS = {
    "norm": Method(
        norms,
        "value_norms",
        "by norm",
        "weight × length of what the key brings",
        by_head=True,
        square=False,
    ),
    "residual_norm": Method(
        residual_norms,
        "residual_norms",
        "norm with residual",
        "length of what the key brings through the block",
    ),
    "rollout": Method(
        rollout,
        None,
        "rollout",
        "share of the input token, by rollout",
        through=True,
        bounded=True,
    ),
    "flow": Method(
        flow,
        None,
        "flow",
        "maximum flow to the input token",
        through=True,
        bounded=True,
        offered=False,
    ),
    "alti": Method(
        alti,
        "contributions",
        "ALTI",
        "contribution of the input token, by ALTI",
        through=True,
        bounded=True,
    ),
    "gradient_attention": Method(
        gradient_attention,
        "gradients",
        "gradient × attention",
        "weight × its gradient, where positive",
        by_head=True,
        square=False,
    ),
    "relevance": Method(
        relevance,
        "gradients",
        "relevance",
        "relevance of the input token, by gradients through all layers",
        through=True,
    ),
    "integrated_gradients": Method(
        integrated_gradients,
        "integrated_gradients",
        "integrated gradients",
        "integrated gradient of the weight",
        by_head=True,
        square=False,
    ),
}


_slow: WeakKeyDictionary[AttentionRecord, dict[str, torch.Tensor]] = WeakKeyDictionary()


def attributed(record: AttentionRecord, weights: str) -> torch.Tensor:
    """The numbers of a method by its name.

    Args:
        record: the attention, and what the method needs beside it.
        weights: a name in ``METHODS``.

    Returns:
        ``(num_layers, num_heads or 1, query_len, key_len)``.

    Raises:
        SelectionError: there is no such method, or the record cannot give it.
    """
    if weights not in METHODS:
        raise SelectionError(f"Expected a method as one of {', '.join(METHODS)}, got {weights!r}.")
    method = METHODS[weights]
    if method.offered:
        return method.function(record)
    # A view is drawn and written from the same numbers, and these take seconds.
    known = _slow.setdefault(record, {})
    if weights not in known:
        known[weights] = method.function(record)
    return known[weights]


def parts_of(weights: str, own: Sequence[str] = ("raw",)) -> tuple[str, ...]:
    """What has to be captured beside the attention for weights that need no more than a text.

    Args:
        weights: one of ``own``, or a method's name.
        own: names that need nothing.

    Raises:
        SelectionError: there are no such weights, or they need a number to differentiate.
    """
    if weights in own:
        return ()
    alone = [name for name, method in METHODS.items() if not method.is_gradient]
    if weights not in METHODS:
        known = ", ".join((*own, *alone))
        raise SelectionError(f"Expected `weights` as one of {known}, got {weights!r}.")
    if weights not in alone:
        raise SelectionError(
            f"Expected weights that follow from the text alone, got {weights!r}, which needs a "
            "number to differentiate. In Python: model.capture(text, include=("
            f"{METHODS[weights].part!r},), of=...)."
        )
    part = METHODS[weights].part
    return () if part is None else (part,)


def offered(record: AttentionRecord) -> tuple[str, ...]:
    """The methods that a page offers of a record, by name: those it can give without long work."""
    is_square = why_not_square(record) is None
    return tuple(
        name
        for name, method in METHODS.items()
        if method.offered
        and (method.part is None or method.part in record.parts)
        and (is_square or not method.square)
        and (name == "norm" or len(record.keys) <= LARGEST_SHOWN)
    )


def why_not_square(record: AttentionRecord) -> str | None:
    """Why a record is not attention of a text to itself with all its rows; ``None`` where it is."""
    if record.queries == record.keys:
        return None
    return (
        f"it is {record.kind} attention of {len(record.queries)} query tokens to "
        f"{len(record.keys)} others"
    )


def _check_square(record: AttentionRecord, name: str) -> None:
    if reason := why_not_square(record):
        raise SelectionError(
            f"Expected attention of a text to itself, with all its rows, for {name}, but {reason}. "
            "Capture self-attention, without `rows`."
        )


def _part(record: AttentionRecord, name: str) -> torch.Tensor:
    if name not in record.parts:
        also = " and `of`" if "gradients" in name else ""
        raise SelectionError(
            f"Expected a record with {name}, but it carries "
            f"{', '.join(record.parts) or 'the attention only'}. Capture it with "
            f"include=({name!r},){also}; a record by word has none."
        )
    return record.parts[name]
