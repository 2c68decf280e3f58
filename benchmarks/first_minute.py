"""What a new user waits for: the command line, the page of a report, its acts.

    python benchmarks/first_minute.py [--runs 7]

Prints medians with the smallest and the largest value. The page is opened in headless Chromium with
the network off, in a new context each time; beside it, a page of the same size without views, so
that the browser's own share is seen.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import introspect as ix

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
TEXT = "The animal didn't cross the street because it was too tired."


def timed(act: Callable[[], object], runs: int) -> list[float]:
    """Seconds of each of some runs, after one that is not counted."""
    act()
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        act()
        seconds.append(time.perf_counter() - start)
    return seconds


def show(name: str, seconds: list[float]) -> float:
    """Print a row; give its median."""
    middle = statistics.median(seconds)
    print(f"{name:<44} {middle:7.3f} s   ({min(seconds):.3f}–{max(seconds):.3f})")
    return middle


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=7)
    runs = parser.parse_args().runs
    show("introspect --help", timed(lambda: command("--help"), runs))
    show("python -c pass", timed(lambda: python("pass"), runs))
    model = ix.load("minilm")
    case = ix.CorefCase.from_words(TEXT, pronoun="it", antecedent="animal", distractors=["street"])
    show(
        "ix.report(model, [case])",
        timed(lambda: ix.report(model, [case]), runs),
    )
    html = ix.report(model, [case]).html
    print(f"{'size of the page':<44} {len(html.encode()) / 1e6:7.3f} MB")
    with tempfile.TemporaryDirectory() as folder:
        measure_page(Path(folder), html, runs)


def measure_page(folder: Path, html: str, runs: int) -> None:
    """Time until the page is interactive, and the slowest acts of its reader."""
    from playwright.sync_api import sync_playwright

    page_file, bare_file = folder / "report.html", folder / "bare.html"
    page_file.write_text(html, encoding="utf-8")
    padding = "x" * len(html)
    bare_file.write_text(f'<html data-ready="true"><!--{padding}--></html>', encoding="utf-8")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)

        def open_and_wait(file: Path) -> None:
            context = browser.new_context(offline=True)
            page = context.new_page()
            page.goto(file.as_uri())
            page.wait_for_selector("html[data-ready=true]", state="attached")
            context.close()

        ready = show(
            "report: opened until data-ready", timed(lambda: open_and_wait(page_file), runs)
        )
        bare = show("an empty page of that size", timed(lambda: open_and_wait(bare_file), runs))
        print(f"{'ratio':<44} {ready / bare:7.2f}")
        page = browser.new_page()
        page.goto(page_file.as_uri())
        page.wait_for_selector("html[data-ready=true]", state="attached")
        milliseconds = page.evaluate(SLIDER)
        show("layer slider moved until drawn", [value / 1000 for value in milliseconds])
        browser.close()


# Each step of the slider, until the frame after the lines were drawn.
SLIDER = """async () => {
  const slider = document.querySelector('[data-view="head"] input[name="layer"]');
  const frame = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  document.querySelector('[data-view="head"] .chips .plain').click();
  const times = [];
  for (let layer = 0; layer <= Number(slider.max); layer += 1) {
    const start = performance.now();
    slider.value = layer;
    slider.dispatchEvent(new Event("input"));
    await frame();
    times.push(performance.now() - start);
  }
  return times;
}"""


def command(*arguments: str) -> None:
    """Run the command line in a process of its own."""
    code = f"import sys; sys.argv = {['introspect', *arguments]!r}\n" + (
        "from introspect.cli import main; main()"
    )
    python(code)


def python(code: str) -> None:
    """Run Python in a process of its own."""
    subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)


if __name__ == "__main__":
    main()
