"""Where the first figure of each page of the app is: see ``views.py --app``."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import introspect as ix
from introspect.app.entries import EXAMPLES
from introspect.models.circuits import repeated

SIZE = {"width": 1440, "height": 900}
_SECONDS = 90
#: The top of the first figure that is drawn: where a page has a sentence and a strip, of the lower
#: of both; otherwise of the first table, drawing, or picture.
_TOP = """() => {
  const drawn = (part) => {
    const { top, width, height } = part.getBoundingClientRect();
    const isSeen = getComputedStyle(part).visibility === 'visible' && top >= 0;
    return isSeen && width > 60 && height > 30;
  };
  const tops = [];
  const add = (part, above) => tops.push(part.getBoundingClientRect().top + above);
  for (const frame of document.querySelectorAll('[data-testid=stMain] iframe')) {
    const inside = frame.contentDocument;
    if (inside?.documentElement?.dataset.ready !== 'true') return null;
    const above = frame.getBoundingClientRect().top;
    const pair = ['words', 'strip'].map((name) => inside.querySelector(`[data-element=${name}]`));
    if (pair.every((part) => part && drawn(part))) {
      tops.push(Math.max(...pair.map((part) => part.getBoundingClientRect().top)) + above);
      continue;
    }
    const all = [...inside.querySelectorAll('[data-element], svg, canvas, img, table')];
    for (const part of all.filter(drawn)) add(part, above);
  }
  for (const table of document.querySelectorAll('[data-testid=stDataFrame]')) add(table, 0);
  return tops.length ? Math.min(...tops) : null;
}"""


def rows_of(browser: Any, folder: Path) -> Iterator[tuple[str, float]]:
    """Yield each page of the app, in each of its ways, and where its first figure is."""
    with _served(_small_atlas(folder)) as url:
        for title, path, query, act in _pages(_small_vision_model(folder)):
            page = browser.new_page(viewport=SIZE)
            page.set_default_timeout(_SECONDS * 1000)
            page.goto(f"{url}/{path}?{urllib.parse.urlencode(query)}")
            page.get_by_text("not why the model decides. What is").wait_for()
            if act is not None:
                act(page)
            yield title, _settled(page)
            page.close()


_Act = Callable[[Any], None]
_Page = tuple[str, str, dict[str, str], _Act | None]


def _pages(vision: Path) -> Iterator[_Page]:
    for view in ("Heat map", "Numbers", "Head view", "Model view", "Layer view", "Steps view",
                 "Neuron view", "Flow view"):  # fmt: skip
        yield f"One text, {view}", "", {"view": view}, None
    yield "A pronoun", "pronoun", {}, None
    yield "Ablate heads", "heads", {}, None
    yield "Ablate heads, mean", "heads", {}, _radio("Mean")
    yield "Ablate heads, an edge", "heads", {}, _radio("Cut an edge")
    yield "Ablate heads, states", "heads", {}, _radio("Hidden states")
    predicted = {"model": "pronoun", "text": EXAMPLES["pronoun"].text}
    yield "Ablate heads, predictions", "heads", predicted, _radio("Predictions")
    yield "Ablate heads, effects", "heads", predicted, _radio("Effect of each head")
    yield "Compare, texts", "compare", {}, None
    yield "Compare, models", "compare", predicted, _radio("Another model")
    yield "Logit lens", "lens", predicted, None
    yield "Playback", "playback", {"model": "induction", "text": "a b c d a b"}, None
    yield "A picture", "picture", {}, _picture(vision)
    yield "Roles of heads", "roles", {"model": "induction"}, None
    yield "Roles of heads, own texts", "roles", {"model": "induction", "texts": "a b c a b c"}, None
    yield "An atlas, all heads", "atlas", {}, None
    yield "An atlas, one head", "atlas", {"card": "L1H1"}, None
    yield "An atlas, search", "atlas", {"part": "Search in examples"}, None
    yield "A set of cases, probed", "sets", {}, _press("Try the example")


def _radio(name: str) -> _Act:
    return lambda page: page.get_by_role("radio", name=name, exact=True).click()


def _press(name: str) -> _Act:
    return lambda page: page.get_by_role("button", name=name, exact=True).click()


def _picture(model: Path) -> _Act:
    def act(page: Any) -> None:
        field = page.get_by_label("Model of pictures: hub id or folder")
        field.fill(str(model))
        field.press("Enter")
        page.locator("input[type=file]").set_input_files(model / "picture.png")

    return act


def _settled(page: Any) -> float:
    """Return where the first figure is, once it no longer moves."""
    before, since, end = None, time.monotonic(), time.monotonic() + _SECONDS
    while time.monotonic() < end:
        top = None if page.get_by_test_id("stStatusWidget").count() else page.evaluate(_TOP)
        if top is None or top != before:
            before, since = top, time.monotonic()
        elif time.monotonic() - since > 1:
            return float(top)
        page.wait_for_timeout(100)
    raise TimeoutError(f"no figure at {page.url} within {_SECONDS} seconds")


def _small_atlas(folder: Path) -> Path:
    texts = [each.text for each in repeated(20)]
    ix.atlas("induction", texts, folder / "atlas", heads=["L0H0", "L1H1"], threads=1)
    return folder / "atlas"


def _small_vision_model(folder: Path) -> Path:
    from PIL import Image
    from transformers import ViTConfig, ViTImageProcessor, ViTModel

    model = folder / "vit"
    config = ViTConfig(
        hidden_size=32, num_hidden_layers=3, num_attention_heads=4, intermediate_size=64,
        image_size=64, patch_size=8,
    )  # fmt: skip
    ViTModel(config).save_pretrained(model)
    ViTImageProcessor(size={"height": 64, "width": 64}).save_pretrained(model)
    Image.new("RGB", (96, 64), (200, 30, 30)).save(model / "picture.png")
    return model


@contextmanager
def _served(atlas: Path) -> Iterator[str]:
    """Serve the app with an atlas, in a process of its own."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    command = [sys.executable, "-m", "introspect", "app", "--port", str(port)]
    url = f"http://127.0.0.1:{port}"
    command += ["--atlas", str(atlas)]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, stdout=quiet, stderr=quiet)
    try:
        _wait(f"{url}/_stcore/health")
        yield url
    finally:
        process.terminate()
        process.wait()


def _wait(url: str) -> None:
    for _ in range(_SECONDS * 10):
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError(f"the app does not answer at {url}")
