"""The evolution view: its frames as data, and its slider in a browser by what a person does."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from introspect.errors import SelectionError
from introspect.records import AttentionRecord
from introspect.views import evolution_view

from .samples import bare_record

TOKENS = ["我", "写", "代码"]
TIMES = 6


def records(tokens: list[str] | None = None, *, layers: int = 2, heads: int = 2):
    return [
        bare_record(tokens or TOKENS, layers=layers, heads=heads, seed=seed)
        for seed in range(TIMES)
    ]


LOSSES = [1.0 / (1 + place) for place in range(TIMES)]


def assert_shown(page, pattern: torch.Tensor) -> None:
    """The picture comes to be the pattern: it is drawn when the page has found its width."""
    page.wait_for_function(
        """(expected) => {
          const drawn = document.querySelector(".matrix-picture").data?.[0].z.flat();
          return drawn?.every((value, place) => Math.abs(value - expected[place]) < 1e-4);
        }""",
        arg=pattern.flatten().tolist(),
    )


def test_a_caption_writes_its_numbers_the_one_way():
    times = [1024 * place for place in range(TIMES)]
    view = evolution_view(records(), times=times, unit="step", losses=LOSSES)
    assert view.caption(2) == "step 2,048: loss 0.333"


def test_each_frame_is_the_pattern_of_its_time():
    made = records()
    figure = evolution_view(made, losses=LOSSES, layer=1, head=1, place=2).figure
    assert len(figure.frames) == len(figure.layout.sliders[0].steps) == TIMES
    for frame, record in zip(figure.frames, made, strict=True):
        assert torch.equal(torch.tensor(frame.data[0].z), record.attentions[1, 1])
    assert torch.equal(torch.tensor(figure.data[0].z), made[2].attentions[1, 1])
    assert figure.layout.sliders[0].steps[3].label == "epoch 3: loss 0.250"


@pytest.mark.parametrize(
    "wrong",
    [
        {"layer": 2},
        {"head": 2},
        {"head": "sum"},
        {"place": TIMES},
        {"losses": [1.0]},
        {"times": [1]},
        {"times": []},
    ],
)
def test_what_there_is_not_is_refused(wrong):
    with pytest.raises(SelectionError):
        evolution_view(records(), **wrong)


def test_records_must_be_of_one_text():
    with pytest.raises(SelectionError, match="at least one record"):
        evolution_view([])
    others = [
        bare_record(["a", "b", "c"], layers=2, heads=2),
        bare_record(TOKENS, layers=1, heads=2),
        replace(records()[0], layers=(3, 4)),
    ]
    for other in others:
        with pytest.raises(SelectionError, match="record 6 differs from record 0"):
            evolution_view([*records(), other])


def test_more_than_a_page_holds_is_refused(monkeypatch):
    monkeypatch.setattr("introspect.views.evolution.LARGEST_DENSE", 100)
    with pytest.raises(SelectionError, match="at most 100 weights"):
        evolution_view(records())


def test_the_slider_moves_through_the_times(open_page, tmp_path):
    made = records()
    view = evolution_view(made, losses=LOSSES, times=range(0, 60, 10), layer=1, head=0)
    file = view.save(tmp_path / "evolution.html")
    page = open_page(file)
    for place in (0, 3, 5):
        page.fill("input[name=place]", str(place))
        assert_shown(page, made[place].attentions[1, 0])
        reading = page.inner_text(".reading")
        assert f"Epoch {10 * place} of 50, loss {LOSSES[place]:.3g}" in reading
    page.select_option("select[name=layer]", "0")
    page.select_option("select[name=head]", "1")
    assert_shown(page, made[5].attentions[0, 1])
    page.wait_for_function(
        "() => ['place=5', 'layer=0', 'head=1'].every((part) => location.hash.includes(part))"
    )
    again = open_page(file, path_hash=page.evaluate("() => location.hash"))
    assert_shown(again, made[5].attentions[0, 1])
    assert again.input_value("input[name=place]") == "5"


def test_it_plays_to_the_end_and_pauses(open_page):
    page = open_page(evolution_view(records(), losses=LOSSES).to_html())
    page.click("button[name=play]")
    assert page.inner_text("button[name=play]") == "Pause"
    page.wait_for_function("() => document.querySelector('[name=place]').value === '5'")
    page.wait_for_function("() => document.querySelector('[name=play]').textContent === 'Play'")
    page.click("button[name=play]")  # from the end it begins anew
    page.click("button[name=play]")
    assert page.input_value("input[name=place]") != "5"
    assert page.inner_text("button[name=play]") == "Play"


def test_the_curve_is_the_loss(open_page):
    page = open_page(evolution_view(records(), losses=LOSSES, place=2).to_html())
    page.wait_for_function("() => document.querySelector('.evolution-curve').data")
    line, now = page.evaluate(
        "() => document.querySelector('.evolution-curve').data.map(({ x, y }) => ({ x, y }))"
    )
    assert [10**value for value in line["y"]] == pytest.approx(LOSSES)
    assert now["x"] == [2] and 10 ** now["y"][0] == pytest.approx(LOSSES[2])
    assert open_page(evolution_view(records()).to_html()).locator(".evolution-curve").count() == 0


def test_tokens_and_cells_are_read_out(open_page):
    made = records()
    page = open_page(evolution_view(made, place=1).to_html())
    page.hover("[data-side=query][data-token-index='1']")
    row = made[1].attentions[0, 0, 1]
    best = TOKENS[int(row.argmax())]
    assert f"“写” gives most to “{best}” {float(row.max()):.2f}" in page.inner_text(".reading")
    box = page.locator(".matrix-field").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + box["height"] * 0.1)
    assert f"“我” → “代码” {float(made[1].attentions[0, 0, 0, 2]):.2f}" in page.inner_text(
        ".reading"
    )


def test_the_view_can_be_saved(open_page):
    page = open_page(evolution_view(records(), losses=LOSSES).to_html())
    with page.expect_download() as download:
        page.locator('section [name="export-svg"]').click()
    name = download.value.suggested_filename
    assert name.startswith("evolution-view-") and name.endswith("-1.svg")


def test_hostile_tokens_and_missing_weights(open_page):
    made = records(["<img src=x onerror=alert(1)>", "</script>", "שלום"])
    made[0].attentions[0, 0, 0, 0] = torch.nan
    losses = [float("nan"), *LOSSES[1:]]
    page = open_page(evolution_view(made, losses=losses).to_html())
    assert page.locator("img[src=x]").count() == 0
    assert "Hatched" in page.inner_text("section") and "loss unknown" in page.inner_text("section")


def test_one_time_of_one_token(open_page):
    one = AttentionRecord.from_tensors(torch.ones(1, 1, 1, 1), ["one"])
    page = open_page(evolution_view([one]).to_html())
    assert page.is_disabled("button[name=play]")
    assert_shown(page, torch.ones(1))


def test_it_says_which_time_the_sentence_is_of():
    view = evolution_view(records(), losses=LOSSES, times=[0, 5, 10, 20, 50, 200])
    (section,) = view.sections()
    assert section.lead.endswith("The sentence and the heads above are of epoch 200, the last.")
    assert view.record is view.records[-1]
