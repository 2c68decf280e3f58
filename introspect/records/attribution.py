"""The methods: each a function of a record, all with one signature."""

from __future__ import annotations

import torch

from introspect import functional
from introspect.calls import checked_call
from introspect.errors import SelectionError
from introspect.records.attention import AttentionRecord
from introspect.records.parts import names_of_parts


@checked_call
def rollout(record: AttentionRecord, *, residual: float = 0.5, even: bool = False) -> torch.Tensor:
    """Compute how much of each input token is in each token after every layer, by attention alone.

    In a causal model the first token comes out first whatever the text, because every token sees
    it: compare with ``even=True``.

    Args:
        record: self-attention, all its rows. Of a record of some layers, through those alone.
        residual: the part that bypasses the attention unchanged.
        even: as if every head attended equally to all tokens that its mask lets it see.

    Returns:
        ``(num_layers, 1, n, n)``, float64, from 0 to 1; rows sum to 1.

    Raises:
        SelectionError: attention to another text, or of some rows only.

    Source: Abnar and Zuidema 2020; the formula is in ``introspect.functional``.

    Example:
        >>> layer = torch.tensor([[[1.0, 0.0], [0.5, 0.5]]])
        >>> rollout(AttentionRecord.from_tensors([layer, layer], ["a", "b"]))[-1, 0]
        tensor([[1.0000, 0.0000],
                [0.4375, 0.5625]], dtype=torch.float64)
    """
    check_square(record, "rollout")
    return functional.rollout(_weights(record, even), residual=residual)[:, None]


@checked_call
def flow(record: AttentionRecord, *, residual: float = 0.5, even: bool = False) -> torch.Tensor:
    """Compute the maximum attention flow from each token after every layer to each input token.

    Args:
        record: self-attention, all its rows, of at most 64 tokens.
        residual: the part that bypasses the attention unchanged.
        even: as if every head attended equally to all tokens that its mask lets it see.

    Returns:
        ``(num_layers, 1, n, n)``, float64, from 0 to 1; rows do not sum to 1.

    Raises:
        SelectionError: attention to another text, or of some rows only; or more than 64 tokens.

    Source: Abnar and Zuidema 2020; the network is in ``introspect.functional``.
    """
    check_square(record, "flow")
    return functional.flow(_weights(record, even), residual=residual)[:, None]


def _weights(record: AttentionRecord, even: bool) -> torch.Tensor:
    """Return the attention of a record, or even attention within its masks, as one head."""
    return functional.even_attention(record.attentions)[:, None] if even else record.attentions


@checked_call
def residual_norms(record: AttentionRecord) -> torch.Tensor:
    r"""Compute the norm of the vector that each key contributes through the whole attention block.

    .. math:: \lVert g_i(T_{ij}) \rVert, \qquad
              T_{ij} = \sum_h \alpha^h_{ij} v_j^h W_O^h + [i = j] \, x_i

    where *g* is the layer norm behind the sum, as it acts on a part of the sum; a block that
    normalizes before its attention has none.

    Args:
        record: captured with ``include=("residual_norms",)``.

    Returns:
        ``(num_layers, 1, n, n)``, from 0 up; rows do not sum to 1.

    Raises:
        SelectionError: the record carries none.

    Source: Kobayashi et al. 2021, "Incorporating Residual and Normalization Layers into Analysis of
    Masked Language Models".
    """
    return carried(record, "residual_norms")


@checked_call
def contributions(record: AttentionRecord) -> torch.Tensor:
    """Return the share of each key in the output of one layer's attention block.

    Args:
        record: captured with ``include=("contributions",)``.

    Returns:
        ``(num_layers, 1, n, n)``, from 0 to 1; rows sum to 1.

    Raises:
        SelectionError: the record carries none.

    Source: Ferrando et al. 2022; the formula is in ``introspect.functional``.
    """
    return carried(record, "contributions")


@checked_call
def alti(record: AttentionRecord) -> torch.Tensor:
    r"""Compute the contributions of each input token to each token after every layer.

    .. math:: M_l = C_l C_{l-1} \cdots C_1

    Args:
        record: captured with ``include=("contributions",)``; of some layers, through those alone.

    Returns:
        ``(num_layers, 1, n, n)``, float64, from 0 to 1; rows sum to 1.

    Raises:
        SelectionError: the record carries no contributions.

    Source: Ferrando et al. 2022, "Measuring the Mixing of Contextual Information in the
    Transformer", section 3.3.
    """
    return functional.layer_product(contributions(record)[:, 0])[:, None]


@checked_call
def gradient_attention(record: AttentionRecord) -> torch.Tensor:
    r"""Multiply each weight by its gradient, and keep the positive part: :math:`(A ∇A)^+`.

    Args:
        record: captured with ``include=("gradients",)`` and ``of``, which names the number.

    Returns:
        ``(num_layers, num_heads, query_len, key_len)``, from 0 up, in units of that number.

    Raises:
        SelectionError: the record carries no gradients.

    Source: Chefer et al. 2021; the formula is in ``introspect.functional``.
    """
    return functional.gradient_attention(record.attentions, carried(record, "gradients"))


@checked_call
def relevance(record: AttentionRecord) -> torch.Tensor:
    r"""Compute what the layers so far add to a token from each input token: :math:`R_l - I`.

    Args:
        record: self-attention, captured with ``include=("gradients",)`` and ``of``.

    Returns:
        ``(num_layers, 1, n, n)``, float64, from 0 up. The identity that *R* starts from is
        subtracted: it stands for each token's own state, and is 1 however small the rest is.

    Raises:
        SelectionError: the record carries no gradients, or is attention to another text.

    Source: Chefer et al. 2021, "Generic Attention-model Explainability for Interpreting Bi-Modal
    and Encoder-Decoder Transformers".
    """
    check_square(record, "relevance")
    total = functional.relevance(record.attentions, carried(record, "gradients"))
    return (total - torch.eye(total.shape[-1], dtype=total.dtype))[:, None]


@checked_call
def integrated_gradients(record: AttentionRecord) -> torch.Tensor:
    """Return how much each weight of a layer contributes to a number, integrated from no attention.

    Args:
        record: captured with ``include=("integrated_gradients",)`` and ``of``.

    Returns:
        ``(num_layers, num_heads, query_len, key_len)``, of either sign. Over a layer they sum to
        the change of the number when that layer's attention is removed, within
        ``record.certificate.max_completeness_error``.

    Raises:
        SelectionError: the record carries none.

    Source: Hao et al. 2021, "Self-Attention Attribution: Interpreting Information Interactions
    Inside Transformer".
    """
    return carried(record, "integrated_gradients")


def why_not_square(record: AttentionRecord) -> str | None:
    """Say why a record is not self-attention with all its rows; return ``None`` if it is."""
    if record.queries == record.keys:
        return None
    return (
        f"it is {record.kind} attention of {len(record.queries)} query tokens to "
        f"{len(record.keys)} others"
    )


def check_square(record: AttentionRecord, name: str) -> None:
    """Raise a ``SelectionError`` unless a record is self-attention with all its rows.

    Args:
        record: the attention.
        name: what needs that, in words.
    """
    if reason := why_not_square(record):
        raise SelectionError(
            f"Expected attention of a text to itself, with all its rows, for {name}, but {reason}. "
            "Capture self-attention, without `rows`."
        )


def carried(record: AttentionRecord, name: str) -> torch.Tensor:
    """Return a part of a record.

    Raises:
        SelectionError: the record carries none.
    """
    if name not in record.parts:
        also = " and `of`" if name in names_of_parts("gradient") else ""
        raise SelectionError(
            f"Expected a record with {name}, but it carries "
            f"{', '.join(record.parts) or 'the attention only'}. Capture it with "
            f"include=({name!r},){also}; a record by word has none."
        )
    return record.parts[name]
