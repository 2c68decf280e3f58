"""How heavy and how fast the head view and the model view are, beside BertViz's.

    python benchmarks/views.py --tokens 64,128
    python benchmarks/views.py --build
    python benchmarks/views.py --focal
    python benchmarks/views.py --flow
    python benchmarks/views.py --notebook
    python benchmarks/views.py --choice
    python benchmarks/views.py --screen
    python benchmarks/views.py --app

With ``--build``, only the time to make the page of a model view is measured, of 32 layers × 32
heads and 128 tokens, without a browser: at most 3 seconds of one processor are the goal. With
``--focal``, only the sizes of the pages of the neuron and steps views of the same sizes: at most
4 MB are the goal.

With ``--choice``, only what a reader waits for on two pages of one text of 12 layers × 12 heads ×
128 tokens, with a report's chapters and with all views: the milliseconds from a choice of a layer,
a head, the word that attends, the word attended to, a weighting or a granularity until every
chapter says it and what is on the screen is drawn (at most 50 are the goal; the wait for a frame,
up to 17 ms, is in it), the milliseconds that the page's own thread worked for it, and how far the
first figure is from the top.

With ``--screen``, only how far the first figure is from the top at 1,440 × 900 (at most 200 pixels
are the goal), and whether pronoun and antecedent are both seen without scrolling sideways at 1,440,
1,024 and 640 pixels and on A4, in texts of 12 and 30 words, of GAP's kind, and of 512 tokens.

With ``--app``, only how far the first figure of each page of the app is from the top of the window
at 1,440 × 900: at most 200 pixels are the goal. Needs the extra app, too.

With ``--notebook``, only how far the first figure is from the top of what a notebook shows is
measured (at most 200 pixels), how tall the output becomes beside the estimate, and how heavy it is.

With ``--flow``, only the flow view of 12 layers × 512 tokens: how many frames a second are drawn
while its threshold is dragged from one end to the other and back (at least 30 are the goal), and
how far the shares of any node are from 1 (at most 10⁻⁶).

The same record is shown by both: random attention (a softmax of normal scores with a standard
deviation of 2, so that some weights are strong), 12 layers × 12 heads. Random numbers compress
worst. Each measurement opens a file in a browser of its own, the two sides in turn; the median of
the runs is printed:

- file: the size of the page on disk.
- ready: from the start of the navigation until the view is drawn and the main thread has come
  through two animation frames. Ours says so by ``data-ready`` on ``<html>``; BertViz draws all at
  once, so its view is drawn when there is an ``<svg>`` in it.
- hover (head view only): the mouse is moved to a token; from the event in the page until the frame
  after the last change that followed from it is drawn, up to a frame of 17 ms too much. The median
  of 5 tokens.
- nodes: the elements of the page.
- height: of the whole page, in pixels.
- requests: what was asked of a network.

BertViz loads three scripts from a network. They are fetched once from npm, in the versions that it
names (jQuery 2.1.0 for 2.0.0, which npm does not have), and answered from memory, so that its time
has no network in it. Needs the extra dev, Chromium, and node for npm.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import tarfile
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import app_screen
import first_screen
import followed
import torch

from introspect.records import AttentionRecord, layer_shares
from introspect.views import (
    bertviz,
    flow_view,
    head_view,
    model_view,
    neuron_view,
    steps_view,
)

LAYERS = HEADS = 12
LIMIT = 300
#: Longer texts take BertViz minutes, if it shows them at all.
LONGEST_IN_BERTVIZ = {"head": 256, "model": 128}
#: Tokens that are pointed at, by their place among those that have a row.
HOVERED = (1, 3, 5, 7, 9)
#: A measurement that takes this many seconds is not repeated.
SLOW = 30
#: What we aim at for our own pages: view and tokens, then column and number to stay under.
GOALS = {
    ("head", 128): {"file": 4.0, "ready": 1.5, "hover": 0.1},
    ("model", 128): {"file": 4.0, "ready": 2.0, "nodes": 5000},
    ("head", 512): {"file": 30.0, "ready": 3.0, "hover": 0.1, "height": 2700},
    ("model", 512): {"file": 30.0, "ready": 3.0},
    ("head", 2048): {"file": 40.0, "hover": 0.1, "height": 2700},
    ("model", 2048): {"file": 40.0},
}
COLUMNS = {
    "file": ("file MB", "{:.1f}"),
    "ready": ("ready s", "{:.2f}"),
    "hover": ("hover s", "{:.3f}"),
    "nodes": ("nodes", "{:,.0f}"),
    "height": ("height px", "{:,.0f}"),
    "requests": ("requests", "{:.0f}"),
}
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync")
CDN = "https://cdnjs.cloudflare.com/ajax/libs/"
SCRIPTS = {
    "jquery": ("jquery@2.1.0", "dist/jquery.min.js"),
    "d3": ("d3@5.7.0", "dist/d3.min.js"),
    "require": ("requirejs@2.3.6", "require.js"),
}
IS_DRAWN = {
    "ours": "document.documentElement.dataset.ready === 'true'",
    "BertViz": "document.querySelector('#vis svg') !== null",
}
TOKEN = {
    "ours": ".tokens.query .token >> nth={}",
    "BertViz": "#left > g:last-child > g:nth-child({}) > text",
}
# Both speak through the console: a page whose main thread is busy answers no question.
SAY_WHEN_READY = """
addEventListener("DOMContentLoaded", () => {
  const look = () => {
    if (!(IS_DRAWN)) return requestAnimationFrame(look);
    requestAnimationFrame(() => requestAnimationFrame(() =>
      console.debug(`measured ${performance.now()}`)));
  };
  look();
});
"""
SAY_WHEN_HOVERED = """
() => {
  let start = null, hasChanged = false, end = null, quiet = 0;
  const observer = new MutationObserver(() => { hasChanged = true; });
  const everything = { subtree: true, childList: true, attributes: true, characterData: true };
  observer.observe(document.body, everything);
  const look = () => {
    quiet += 1;
    if (hasChanged) {
      hasChanged = false;
      quiet = 0;
      // A task that is posted here runs when the frame has been drawn.
      setTimeout(() => { end = performance.now(); });
    }
    if (end === null || quiet < 3) return requestAnimationFrame(look);
    observer.disconnect();
    console.debug(`measured ${end - start}`);
  };
  addEventListener("mousemove", () => { start = start ?? performance.now(); }, true);
  addEventListener("pointerover", () => {
    start = performance.now();
    hasChanged = false;
    requestAnimationFrame(look);
  }, { capture: true, once: true });
}
"""


@dataclass
class Results:
    """What was measured of one page, run by run."""

    runs: list[dict[str, float]] = field(default_factory=list)
    is_over: bool = False

    def median(self, column: str) -> float | None:
        """The median over the runs that have this number."""
        values = [run[column] for run in self.runs if column in run]
        return statistics.median(values) if values else None


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tokens", default="64,128,256,512,2048", help="lengths, with commas")
    parser.add_argument("--only", choices=["ours", "BertViz"], help="one of the two sides")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--build", action="store_true", help="only the time to make a page")
    parser.add_argument("--focal", action="store_true", help="only the sizes of neuron and steps")
    parser.add_argument("--flow", action="store_true", help="only the flow view while dragged")
    parser.add_argument("--notebook", action="store_true", help="only what a notebook shows")
    parser.add_argument("--choice", action="store_true", help="only how choices are followed")
    parser.add_argument("--screen", action="store_true", help="only what is on the first screen")
    parser.add_argument("--app", action="store_true", help="only the first figures of the app")
    options = parser.parse_args()
    if options.screen or options.app:
        show_screen() if options.screen else show_app()
        return
    if options.choice:
        show_choice(options.runs)
        return
    if options.focal:
        show_focal()
        return
    if options.notebook:
        for length in map(int, options.tokens.split(",")):
            show_notebook(length)
        return
    if options.build or options.flow:
        show_build(options.runs) if options.build else show_flow()
        return
    sides = [options.only] if options.only else ["BertViz", "ours"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scripts = fetched_scripts(folder) if "BertViz" in sides else {}
        for length in map(int, options.tokens.split(",")):
            record = random_record(length)
            for view in ("head", "model"):
                fitting = [s for s in sides if s == "ours" or length <= LONGEST_IN_BERTVIZ[view]]
                pages = {side: written(folder, side, view, record) for side in fitting}
                found = measured(pages, view, scripts, options.runs)
                show(view, length, found)
                for path in pages.values():
                    path.unlink()


def show_build(runs: int, side: int = 32, length: int = 128) -> None:
    """Print the processor time that the page of a large model's view takes, and its size."""
    record = random_record(length, side, side)
    times = []
    for _ in range(runs):
        start = time.process_time()
        page = model_view(record).to_html()
        times.append(time.process_time() - start)
    print(
        f"model view, {length} tokens, {side} layers × {side} heads: "
        f"{statistics.median(times):.2f} s of one processor (goal: < 3), {len(page) / 1e6:.1f} MB"
    )


def show_focal(side: int = 32, length: int = 128, size: int = 128) -> None:
    """Print how large the pages of the views of one head are, and how many heads they hold."""
    record = random_record(length, side, side)
    vectors = {
        name: torch.randn(side, side, length, size)
        for name in ("queries", "keys", "values", "head_outputs")
    }
    record = replace(record, parts={"scores": record.attentions.log(), **vectors})
    for make in (neuron_view, steps_view):
        view = make(record)
        megabytes = len(view.to_html()) / 1e6
        held = len(view.held or ())
        print(
            f"{view.title}, {length} tokens, {side} layers × {side} heads: {megabytes:.1f} MB "
            f"(goal: < 4) with {held} heads"
        )


def show_notebook(length: int) -> None:
    """Print where the first figure of an output is, how tall it becomes, and how heavy it is."""
    from playwright.sync_api import sync_playwright

    record = random_record(length)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=list(FLAGS)
        )
        for view in (head_view(record), model_view(record)):
            kept = view._repr_mimebundle_()
            page = browser.new_page(viewport={"width": 1000, "height": 900})
            page.set_content(f"<!doctype html><body style='margin:0'>{kept['text/html']}")
            frame = page.frame_locator("iframe")
            frame.locator("html[data-ready=true]").wait_for(state="attached", timeout=LIMIT * 1000)
            page.wait_for_timeout(500)
            tops = [
                frame.locator(f'[data-element="{name}"]').bounding_box()["y"]
                for name in ("words", "strip")
            ]
            height = page.locator("iframe").bounding_box()["height"]
            sizes = [len(kept.get(kind, "")) / 1e6 for kind in ("text/html", "image/svg+xml")]
            print(
                f"{view.title} in a notebook, {length} tokens: first figure at {max(tops):.0f} px "
                f"(goal: < 200), {height:.0f} px tall (estimated {view.frame_height}), "
                f"{sizes[0]:.2f} MB and a picture of {sizes[1]:.2f} MB",
                flush=True,
            )
            page.close()
        browser.close()


#: Drags the threshold by a step a frame; the mean time of a frame, in milliseconds.
DRAG = """async () => {
  const input = document.querySelector('[data-view=flow] [name=threshold]');
  const last = Number(input.max);
  const frame = () => new Promise((done) => requestAnimationFrame(done));
  const begin = await frame();
  for (let step = 0; step <= 2 * last; step += 4) {
    input.value = String(Math.abs(last - step));
    input.dispatchEvent(new Event('input', { bubbles: true }));
    await frame();
  }
  return ((await frame()) - begin) / (last / 2 + 2);
}"""


def show_flow(length: int = 512) -> None:
    """Print how fast the flow view follows its threshold, into one word and into every token."""
    from playwright.sync_api import sync_playwright

    record = random_record(length, LAYERS, 2)
    off = float((layer_shares(record, "rollout").sum(-1) - 1).abs().max())
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=list(FLAGS)
        )
        for every in (False, True):
            path = flow_view(record, every=every).save(Path(name) / "flow.html")
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.goto(path.as_uri(), timeout=LIMIT * 1000)
            page.wait_for_selector("html[data-ready]", state="attached")
            frames = 1000 / page.evaluate(DRAG)
            print(
                f"flow view, {LAYERS} layers × {length} tokens, into "
                f"{'every token' if every else 'one word'}: {frames:.0f} frames a second "
                f"(goal: ≥ 30), {path.stat().st_size / 1e6:.1f} MB"
            )
            page.close()
        browser.close()
    print(f"shares of a node: 1 within {off:.1g} (goal: 1e-06)")


def show_screen() -> None:
    """Print where the first figure is, and whether both words of a pair are seen."""
    from playwright.sync_api import sync_playwright

    print(row("", ["figure px", *map(str, first_screen.WIDTHS), "A4"]))
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=list(FLAGS)
        )
        for title, cells in first_screen.rows_of(browser, Path(name)):
            print(row(title, cells), flush=True)
        browser.close()


def show_app() -> None:
    """Print where the first figure of each page of the app is."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=list(FLAGS)
        )
        for title, top in app_screen.rows_of(browser, Path(name)):
            print(f"{title:>30} {top:.0f} px", flush=True)
        browser.close()


def show_choice(runs: int, length: int = 128) -> None:
    """Print how long every chapter of a page takes to follow each kind of choice."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        paths = followed.pages_of(random_record(length), Path(name))
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=list(FLAGS)
        )
        print(f"{LAYERS} layers × {HEADS} heads × {length} tokens, ms from a choice until drawn")
        for number, (shown, path) in enumerate(paths.items()):
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.goto(path.as_uri(), timeout=LIMIT * 1000)
            page.wait_for_selector("html[data-ready]", state="attached")
            times = followed.measured(page, runs)
            if number == 0:
                print(row("", [*times, "figure px"]))
            top = page.locator('[data-element="words"]').bounding_box()["y"]
            print(row(shown, [*(f"{took:.0f}" for took, _ in times.values()), f"{top:.0f}"]))
            print(row("  of the processor", [f"{worked:.0f}" for _, worked in times.values()]))
            page.close()
        print(row("our goal", [*([f"< {followed.GOAL}"] * len(times)), "< 200"]), flush=True)
        browser.close()


def random_record(length: int, layers: int = LAYERS, heads: int = HEADS) -> AttentionRecord:
    """The same random attention for each side."""
    generator = torch.Generator().manual_seed(length)
    attentions = torch.empty(layers, heads, length, length)
    # Layer by layer: of 2,048 tokens one copy of all weights has 2.4 GB.
    for layer in attentions:
        layer.normal_(std=2, generator=generator)
        torch.softmax(layer, -1, out=layer)
    return AttentionRecord.from_tensors(attentions, [f"word{index}" for index in range(length)])


def written(folder: Path, side: str, view: str, record: AttentionRecord) -> Path:
    """The page of one side as a file."""
    path = folder / f"{side}-{view}.html"
    if side == "ours":
        shown = head_view(record) if view == "head" else model_view(record)
        return shown.save(path)
    theirs = bertviz.head_view if view == "head" else bertviz.model_view
    body = theirs(record, as_html=True).data
    with path.open("w", encoding="utf-8") as stream:
        stream.write('<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<body>\n')
        stream.write(body)
        stream.write("\n</body>\n</html>\n")
    return path


def fetched_scripts(folder: Path) -> dict[str, bytes]:
    """The scripts that BertViz asks a network for."""
    found = {}
    for name, (package, inner) in SCRIPTS.items():
        command = ["npm", "pack", "--silent", package]
        answer = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
        archive = folder / answer.stdout.split()[-1]
        with tarfile.open(archive) as stream:
            member = stream.extractfile(f"package/{inner}")
            assert member is not None
            found[name] = member.read()
    return found


def measured(
    pages: dict[str, Path], view: str, scripts: dict[str, bytes], runs: int
) -> dict[str, Results]:
    """Each page in turn, as often as asked for, the slow ones once."""
    found = {side: Results() for side in pages}
    for _ in range(runs):
        for side, path in pages.items():
            results = found[side]
            if results.is_over or any(run["ready"] > SLOW for run in results.runs):
                continue
            run = one_run(side, path, view, scripts)
            results.is_over = "ready" not in run
            results.runs.append(run)
    return found


def one_run(side: str, path: Path, view: str, scripts: dict[str, bytes]) -> dict[str, float]:
    """One page in a browser of its own; what did not end in time is left out."""
    from playwright.sync_api import TimeoutError as OutOfTime
    from playwright.sync_api import sync_playwright

    run: dict[str, float] = {"file": path.stat().st_size / 1e6}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=list(FLAGS)
        )
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        asked: list[str] = []
        answer_from_memory(page, scripts, asked)
        try:
            run["ready"] = seconds_until_ready(page, side, path)
            run["nodes"] = page.evaluate("document.querySelectorAll('*').length")
            run["height"] = page.evaluate("document.documentElement.scrollHeight")
            if view == "head":
                run["hover"] = statistics.median(seconds_of_hover(page, side, i) for i in HOVERED)
        except OutOfTime:
            pass
        run["requests"] = len(asked)
        browser.close()
    return run


def answer_from_memory(page: Any, scripts: dict[str, bytes], asked: list[str]) -> None:
    """Answer BertViz's requests, refuse all others, and note each."""

    def answer(route: Any) -> None:
        asked.append(route.request.url)
        name = route.request.url.removeprefix(CDN).split("/")[0].removesuffix(".js")
        if name in scripts:
            route.fulfill(body=scripts[name], content_type="text/javascript")
        else:
            route.abort()

    page.route(lambda url: url.startswith("http"), answer)


def seconds_until_ready(page: Any, side: str, path: Path) -> float:
    """From the start of the navigation until the view is drawn."""
    page.add_init_script(SAY_WHEN_READY.replace("IS_DRAWN", IS_DRAWN[side]))
    with waiting(page) as said:
        page.goto(path.as_uri(), wait_until="commit", timeout=LIMIT * 1000)
    return milliseconds(said) / 1000


def seconds_of_hover(page: Any, side: str, index: int) -> float:
    """From the mouse on a token until what it changed is drawn."""
    page.mouse.move(2, 2)
    page.wait_for_timeout(300)
    token = page.locator(TOKEN[side].format(index)).first
    token.scroll_into_view_if_needed()
    box = token.bounding_box(timeout=LIMIT * 1000)
    page.evaluate(SAY_WHEN_HOVERED)
    with waiting(page) as said:
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    return milliseconds(said) / 1000


def waiting(page: Any) -> Any:
    """Until the page says what it measured."""
    return page.expect_console_message(
        lambda message: message.text.startswith("measured "), timeout=LIMIT * 1000
    )


def milliseconds(said: Any) -> float:
    """The number in a message."""
    return float(said.value.text.split()[1])


def show(view: str, length: int, found: dict[str, Results]) -> None:
    """A table for one view and length."""
    print(f"\n{view} view, {length} tokens, {LAYERS} layers × {HEADS} heads")
    print(row("", [heading for heading, _ in COLUMNS.values()]))
    for side, results in found.items():
        print(row(side, [number(results, column) for column in COLUMNS]))
    if len(found) == 2:
        print(row("ours / BertViz", [ratio(found, column) for column in COLUMNS]))
    goals = GOALS.get((view, length), {})
    if "ours" in found and goals:
        print(row("our goal", [goal(goals, column) for column in COLUMNS]), flush=True)


def row(name: str, cells: list[str]) -> str:
    """A line of the table."""
    return f"  {name:<20}" + "".join(f"{cell:>12}" for cell in cells)


def number(results: Results, column: str) -> str:
    """A measurement as it is printed."""
    value = results.median(column)
    if value is not None:
        return COLUMNS[column][1].format(value)
    return f"over {LIMIT} s" if results.is_over and column == "ready" else "–"


def ratio(found: dict[str, Results], column: str) -> str:
    """Ours by BertViz's."""
    ours, theirs = (found[side].median(column) for side in ("ours", "BertViz"))
    return f"{ours / theirs:.3f}" if ours is not None and theirs else "–"


def goal(goals: dict[str, float], column: str) -> str:
    """Return what to stay under."""
    return "< " + COLUMNS[column][1].format(goals[column]) if column in goals else "–"


if __name__ == "__main__":
    main()
