"""Views by other methods: the figure's numbers, and the page's by what a person does."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from introspect.errors import SelectionError
from introspect.records import METHODS, AttentionRecord, attributed
from introspect.views import head_view, heatmap_view, layer_view, model_view
from introspect.views.given import page_methods

from .samples import bare_record, record_of

LAYERS, HEADS, N = 3, 4, 7
WHOLE = [name for name, method in METHODS.items() if not method.by_head]
BY_HEAD = [name for name, method in METHODS.items() if method.by_head]


def full_record(*, slope: float = 1.0) -> AttentionRecord:
    """A record with every part, made of random numbers."""
    record = record_of(layers=LAYERS, heads=HEADS)
    generator = torch.Generator().manual_seed(8)

    def numbers(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    parts = {
        "value_norms": numbers(LAYERS, HEADS, N).abs() * 3,
        "residual_norms": numbers(LAYERS, 1, N, N).abs() * 4,
        "contributions": numbers(LAYERS, 1, N, N).softmax(-1),
        "gradients": numbers(LAYERS, HEADS, N, N) * slope,
        "integrated_gradients": numbers(LAYERS, HEADS, N, N) * slope,
    }
    certificate = replace(record.certificate, gradient_of="the length of <b>it</b>")
    return replace(record, parts=parts, certificate=certificate)


def shown(record: AttentionRecord, name: str, head: int = 1) -> torch.Tensor:
    """One head's numbers, or those of all heads together, ``(num_layers, n, n)``."""
    numbers = attributed(record, name).float()
    return numbers[:, 0 if name in WHOLE else head]


# The figures


@pytest.mark.parametrize("name", METHODS)
def test_the_figures_have_the_methods_numbers(name):
    record = full_record()
    expected = shown(record, name)
    heatmap = heatmap_view(record, layer=2, head=1, weights=name)
    torch.testing.assert_close(heatmap.pattern(), expected[2])
    (trace,) = heatmap.figure.data
    largest = float(expected[2].max())
    assert trace.zmax == pytest.approx(1 if METHODS[name].bounded else largest)
    layer = layer_view(record, token=3, head=1, weights=name)
    torch.testing.assert_close(layer.values(), expected[:, 3])
    layer = layer_view(record, token=3, head=1, weights=name, side="key")
    torch.testing.assert_close(layer.values(), expected[..., 3])
    tiles, (height, width) = model_view(record, weights=name).tiles()
    heads = 1 if name in WHOLE else HEADS
    assert tiles.shape == (LAYERS * (N + 2), heads * (N + 2))
    column = 0 if name in WHOLE else 1
    tile = tiles[2 * height : 3 * height, column * width : (column + 1) * width]
    torch.testing.assert_close(tile[1:-1, 1:-1], expected[2])


@pytest.mark.parametrize("name", METHODS)
def test_lines_are_as_strong_as_their_share_of_the_largest(name):
    record = full_record()
    view = head_view(record, layer=1, heads=[1], weights=name, threshold=0.5)
    pattern = shown(record, name)[1]
    of_all = attributed(record, name).float()[1]
    full = 1.0 if METHODS[name].bounded else float(of_all.max())
    expected = {tuple(pair) for pair in (pattern >= full / 2).nonzero().tolist()}
    found = {
        (trace["y"][place], trace["y"][place + 1])
        for trace in view.traces()
        for place in range(0, len(trace["y"]), 3)
    }
    assert found == expected
    assert ("all heads together" in view.figure.layout.title.text) == (name in WHOLE)


def test_one_map_needs_no_head():
    record = full_record()
    view = head_view(record, layer=1, heads=[], weights="alti", threshold=0)
    assert sum(len(trace["y"]) for trace in view.traces()) == 3 * N * N
    assert head_view(record, layer=1, heads=[], weights="norm").traces() == []


def test_by_word_pieces_are_put_together():
    record = full_record()
    words = (None, 0, *range(N - 2))
    sequence = replace(record.keys, word_ids=words)
    record = replace(record, queries=sequence, keys=sequence)
    view = head_view(record, layer=2, weights="alti", granularity="word")
    whole = replace(record, attentions=attributed(record, "alti"), parts={}).words()
    torch.testing.assert_close(view.shown.attentions, whole.attentions)
    torch.testing.assert_close(view.shown.attentions.sum(-1), torch.ones(LAYERS, 1, N - 1))


@pytest.mark.parametrize("view", [head_view, heatmap_view, layer_view, model_view])
def test_weights_that_a_record_cannot_give_are_refused(view):
    record = record_of()
    with pytest.raises(SelectionError, match=r"raw, .*norm, .*got 'saliency'"):
        view(record, weights="saliency")
    with pytest.raises(SelectionError, match=r"include=\('contributions',\)"):
        view(record, weights="alti")
    with pytest.raises(SelectionError, match=r"include=\('gradients',\) and `of`"):
        view(record, weights="relevance")
    long = bare_record(["a"] * 257)
    with pytest.raises(SelectionError, match="at most 256 tokens to show by rollout, got 257"):
        view(long, weights="rollout")


def test_a_page_has_what_the_record_can_give_and_what_was_named():
    record = full_record()
    assert page_methods(record) == tuple(name for name in METHODS if name != "flow")
    assert page_methods(record, "flow")[-1] == "flow"
    assert page_methods(record_of()) == ("rollout", "even_rollout")


# The page


def numbers_of(page, side: str = "key") -> list[float]:
    texts = page.eval_on_selector_all(
        f'.token[data-side="{side}"]',
        "all => all.map((token) => token.parentElement.children[0].textContent)",
    )
    return [float(text.replace("−", "-")) for text in texts]


def unit(record: AttentionRecord, name: str) -> float:
    largest = float(attributed(record, name).abs().max())
    return 10.0 ** torch.tensor(largest).log10().floor().item() if largest < 0.1 else 1.0


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize("slope", [1.0, 0.001])
def test_the_head_view_by_every_method(open_page, slope):
    record = full_record(slope=slope)
    page = open_page(head_view(record, layer=2, heads=[1], token=3, weights="flow").to_html())
    for name in METHODS:
        page.select_option('[name="weights"]', name)
        expected = shown(record, name)[2, 3] / unit(record, name)
        found = torch.tensor(numbers_of(page))
        torch.testing.assert_close(found, expected, atol=0.0052, rtol=1e-4)
        reading = page.inner_text(".reading")
        is_whole = name in WHOLE
        assert ("all heads together" in reading) == is_whole, reading
        assert page.locator(".chips").is_visible() != is_whole
        assert page.locator('[name="combine"]').count() == (0 if is_whole else 1)
        assert ("Differentiated: the length of <b>it</b>." in reading) == (
            "gradient" in name or name == "relevance"
        )
        if name == "relevance":
            assert ("holds of each token" in reading) and ("in units of " in reading) == (slope < 1)
    page.wait_for_function("() => location.hash.includes('weights=integrated_gradients')")
    again = open_page(
        head_view(record, layer=2, heads=[1], token=3, weights="flow").to_html(),
        path_hash=page.evaluate("location.hash"),
    )
    assert numbers_of(again) == numbers_of(page)


@pytest.mark.browser
def test_arrows_go_through_layers_where_there_is_no_head(open_page):
    record = full_record()
    page = open_page(head_view(record, layer=0, token=3, weights="rollout").to_html())
    page.focus('.token[data-side="query"]')
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Escape")
    assert page.inner_text(".reading").startswith(
        "Showing rollout, up to layer 1, all heads together."
    )
    page.select_option('[name="weights"]', "raw")
    assert page.locator('.chip[aria-pressed="true"]').count() == HEADS
    page.click(".chips .plain:has-text('none')")
    assert page.inner_text(".reading").startswith("No head is shown.")
    page.select_option('[name="weights"]', "rollout")
    page.hover('.token[data-side="query"][data-token-index="3"]')
    expected = shown(record, "rollout")[1, 3]
    torch.testing.assert_close(torch.tensor(numbers_of(page)), expected, atol=0.0052, rtol=0)


@pytest.mark.browser
@pytest.mark.parametrize("name", ["alti", "gradient_attention", "integrated_gradients"])
def test_the_heatmap_by_a_method(open_page, name):
    record = full_record()
    page = open_page(heatmap_view(record, layer=1, head=1).to_html())
    page.select_option('[name="weights"]', name)
    expected = shown(record, name)[1]
    found = page.evaluate("document.querySelector('.js-plotly-plot').data[0].z")
    torch.testing.assert_close(torch.tensor(found), expected, atol=1e-3, rtol=0)
    assert page.is_disabled('[name="head"]') == (name in WHOLE)
    assert page.is_disabled('[name="scale"]') == (not METHODS[name].bounded)
    note = page.inner_text(".matrix-legend")
    assert METHODS[name].number in note
    assert ("What counts against" in note) == (name == "integrated_gradients")


@pytest.mark.browser
@pytest.mark.parametrize("name", ["residual_norm", "norm", "relevance"])
def test_the_layer_view_by_a_method(open_page, name):
    record = full_record()
    page = open_page(layer_view(record, token=3, head=1).to_html())
    page.select_option('[name="weights"]', name)
    rows = page.eval_on_selector_all(
        ".layer-line:not(.layer-head)",
        "all => all.map((line) => [...line.querySelectorAll('.layer-cells span')]"
        ".map((cell) => Number(cell.textContent)))",
    )
    expected = shown(record, name)[:, 3]
    torch.testing.assert_close(torch.tensor(rows).T, expected, atol=0.0052, rtol=1e-3)
    is_whole = name in WHOLE
    assert page.is_disabled('[name="combine"]') == page.is_disabled('[name="head"]') == is_whole
    corner = page.inner_text(".layer-corner")
    assert corner == ("up to layer" if METHODS[name].through else "layer")
    assert METHODS[name].number in page.inner_text(".matrix-note")


def tile_of(page, row: int, column: int) -> torch.Tensor:
    page.wait_for_function("() => document.querySelector('.maps .js-plotly-plot')?.data?.length")
    values = page.evaluate("document.querySelector('.maps .js-plotly-plot').data[0].z")
    size = N + 2
    lines = values[row * size + 1 : (row + 1) * size - 1]
    return torch.tensor([line[column * size + 1 : (column + 1) * size - 1] for line in lines])


@pytest.mark.browser
def test_the_model_view_by_methods(open_page):
    record = full_record()
    page = open_page(model_view(record, weights="alti").to_html())
    assert page.locator(".cell").count() == LAYERS
    torch.testing.assert_close(tile_of(page, 2, 0), shown(record, "alti")[2], atol=1e-4, rtol=0)
    assert page.is_disabled('[name="sort"]')
    page.click('.cell[data-layer="2"]')
    head = page.locator('section[data-view="head"]')
    assert page.inner_text(".detail h3") == "layer 2"
    assert head.locator('[name="weights"]').input_value() == "alti"
    assert "ALTI, up to layer 2, all heads" in head.locator(".reading").inner_text()
    weights = page.locator('section[data-view="model"] [name="weights"]')
    weights.select_option("gradient_attention")
    assert page.locator(".cell").count() == LAYERS * HEADS
    expected = shown(record, "gradient_attention", head=3)[1]
    torch.testing.assert_close(tile_of(page, 1, 3), expected, atol=1e-4, rtol=0)
    page.click('.cell[data-layer="1"][data-head="3"]')
    assert head.locator('[name="weights"]').input_value() == "gradient_attention"
    assert "L1H3" in head.locator(".reading").inner_text()
    weights.select_option("raw")
    torch.testing.assert_close(tile_of(page, 1, 3), record.attentions[1, 3], atol=1e-4, rtol=0)


@pytest.mark.browser
def test_a_missing_number_is_missing_in_the_page(open_page):
    record = full_record()
    record.parts["contributions"][0, 0, 3] = torch.nan
    page = open_page(heatmap_view(record, layer=0, weights="alti").to_html())
    found = page.evaluate("document.querySelector('.js-plotly-plot').data[0].z")
    assert found[3] == [None] * N and None not in found[2]
    assert "Hatched: missing." in page.inner_text(".matrix-legend")


@pytest.mark.browser
def test_attention_to_another_text_offers_no_rollout(open_page):
    record = AttentionRecord.from_tensors(
        torch.rand(2, 3, 2, 4, generator=torch.Generator().manual_seed(3)).softmax(-1),
        ["x", "y", "z", "w"],
        query_tokens=["a", "b"],
        kind="cross",
    )
    page = open_page(heatmap_view(record).to_html())
    assert page.locator('[name="weights"]').count() == 0
    page = open_page(head_view(record).to_html())
    options = page.eval_on_selector_all('[name="weights"] option', "all => all.map((o) => o.value)")
    assert options == ["raw", "renormalized"]


def test_a_page_computes_rollout_once(monkeypatch):
    calls = []
    method = METHODS["rollout"]

    def counted(record):
        calls.append(1)
        return method.function(record)

    monkeypatch.setitem(METHODS, "rollout", replace(method, function=counted))
    view = layer_view(record_of(), weights="rollout")
    assert view.figure.data and view.to_html()
    assert len(calls) == 1
