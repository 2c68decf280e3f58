"""Each function of the primer against torch, and against numbers worked by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from introspect import primer
from introspect.errors import InputError

EQUAL = {"atol": 1e-6, "rtol": 0.0}


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(params=["one text", "batch", "batch of heads"])
def qkv(request) -> tuple[torch.Tensor, ...]:
    outer = {"one text": (), "batch": (3,), "batch of heads": (3, 4)}[request.param]
    sizes = ((5, 8), (7, 8), (7, 6))
    return tuple(draw(*outer, *size, seed=i) for i, size in enumerate(sizes))


@pytest.mark.parametrize("masked", [False, True])
def test_output_is_torchs(qkv, masked):
    mask = torch.rand(5, 7, generator=torch.Generator().manual_seed(9)) > 0.4 if masked else None
    if masked:
        mask[:, 0] = True
    query, key, value = qkv
    attended = primer.attend(query, key, value, mask)
    expected = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    torch.testing.assert_close(attended.output, expected, **EQUAL)


def test_weights_are_torchs(qkv):
    # torch gives no weights; values that are a unit matrix hand them over as its output.
    query, key, _ = qkv
    unit = torch.eye(7).expand(*key.shape[:-2], 7, 7)
    expected = functional.scaled_dot_product_attention(query, key, unit)
    torch.testing.assert_close(primer.attend(*qkv).weights, expected, **EQUAL)


def test_by_hand():
    # Scores (2, 0) / sqrt(4) = (1, 0); weights e / (e + 1) and the rest.
    query = torch.tensor([[2.0, 0.0, 0.0, 0.0]])
    key = torch.tensor([[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]])
    attended = primer.attend(query, key, torch.tensor([[10.0], [20.0]]))
    share = math.e / (math.e + 1)
    assert attended.scores.tolist() == [[1.0, 0.0]]
    assert attended.weights[0].tolist() == pytest.approx([share, 1 - share])
    assert attended.output.item() == pytest.approx(10 * share + 20 * (1 - share))


def test_a_mask_hides_and_the_causal_one_is_torchs():
    query, key, value = (draw(6, 8, seed=i) for i in range(3))
    attended = primer.attend(query, key, value, primer.causal_mask(6))
    expected = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
    torch.testing.assert_close(attended.output, expected, **EQUAL)
    assert attended.weights.triu(1).abs().max() == 0
    assert attended.weights.sum(-1).tolist() == pytest.approx([1.0] * 6)
    assert attended.scores[0].tolist()[1:] == [-math.inf] * 5


def test_self_attention_projects_first():
    tokens = draw(5, 8)
    matrices = [draw(8, size, seed=i) for i, size in enumerate((6, 6, 4), start=1)]
    attended = primer.self_attention(tokens, *matrices, primer.causal_mask(5))
    query, key, value = (tokens @ matrix for matrix in matrices)
    expected = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
    torch.testing.assert_close(attended.output, expected, **EQUAL)


def test_cross_attention_looks_at_the_others():
    tokens, others = draw(3, 8), draw(5, 4, seed=1)
    w_query, w_key, w_value = draw(8, 6, seed=2), draw(4, 6, seed=3), draw(4, 2, seed=4)
    attended = primer.cross_attention(tokens, others, w_query, w_key, w_value)
    expected = functional.scaled_dot_product_attention(
        tokens @ w_query, others @ w_key, others @ w_value
    )
    assert attended.weights.shape == (3, 5)
    torch.testing.assert_close(attended.output, expected, **EQUAL)


@pytest.mark.parametrize("crosses", [False, True])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("num_heads", [1, 4])
def test_multi_head_attention_is_torchs_module(crosses, masked, num_heads):
    torch.manual_seed(0)
    module = torch.nn.MultiheadAttention(16, num_heads, bias=False, batch_first=True)
    tokens, others = draw(2, 5, 16), draw(2, 5, 16, seed=1)
    seen = others if crosses else tokens
    mask = primer.causal_mask(5) if masked else None
    expected, weights = module(
        tokens,
        seen,
        seen,
        attn_mask=None if mask is None else ~mask,  # torch's is true where it may not look
        average_attn_weights=False,
    )
    made = primer.multi_head_attention(
        tokens,
        *(matrix.T for matrix in module.in_proj_weight.chunk(3)),
        module.out_proj.weight.T,
        num_heads=num_heads,
        others=others if crosses else None,
        mask=mask,
    )
    torch.testing.assert_close(made.output, expected, **EQUAL)
    torch.testing.assert_close(made.heads.weights, weights, **EQUAL)


def test_heads_are_cut_and_joined():
    vectors = draw(2, 5, 12)
    pieces = primer.split_heads(vectors, 3)
    assert pieces.shape == (2, 3, 5, 4)
    assert torch.equal(pieces[1, 2, 4], vectors[1, 4, 8:])
    assert torch.equal(primer.join_heads(pieces), vectors)


def test_plain_attention_has_nothing_to_learn():
    tokens = draw(4, 8)
    expected = functional.scaled_dot_product_attention(tokens, tokens, tokens)
    torch.testing.assert_close(primer.plain_attention(tokens).output, expected, **EQUAL)
    same = torch.ones(3, 2)
    assert primer.plain_attention(same).weights.tolist() == [[pytest.approx(1 / 3)] * 3] * 3


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda x: primer.attend(x, x[:, :3], x), "queries and keys of one size"),
        (lambda x: primer.attend(x, x, x[:2]), "a value for each key"),
        (lambda x: primer.attend(x[0], x, x), r"\(\.\.\., length, dim\)"),
        (lambda x: primer.attend(x, x, x, torch.zeros(4, 4)), "mask of bool"),
        (lambda x: primer.attend(x, x, x, torch.zeros(4, 4).bool()), "attend to some key"),
        (lambda x: primer.split_heads(x, 3), "divide the 8 dimensions"),
        (lambda x: primer.split_heads(x, 0), "divide the 8 dimensions"),
    ],
)
def test_what_does_not_fit_is_refused(act, message):
    with pytest.raises(InputError, match=message):
        act(draw(4, 8))
