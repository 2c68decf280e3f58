"""How fast every chapter of a page follows what is chosen in the sentence; see ``views.py``."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch

from introspect.page import Document
from introspect.records import AttentionRecord, TokenSequence
from introspect.text import CorefCase
from introspect.views import (
    Choice,
    View,
    coreference_view,
    flow_view,
    head_view,
    heatmap_view,
    instrument,
    layer_view,
    model_view,
    neuron_view,
    steps_view,
)

#: Milliseconds to stay under.
GOAL = 50
#: Milliseconds in which the page draws what is off the screen.
IDLE = 400
PARTS = ("scores", "queries", "keys", "values", "head_outputs")
_SIZE = 64
_WORDS = '[data-element="words"] [data-word-index="{}"]'
_STRIP = '[data-element="strip"] [data-layer="{}"][data-head="{}"]'
_CONTROL = '[data-element="instrument"] [name="{}"]'

#: From a choice until what followed from it is drawn: a task posted in a frame runs after it.
MEASURE = """([selector, value]) => new Promise((done) => {
  const target = document.querySelector(selector);
  const start = performance.now();
  if (value === null) {
    target.click();
  } else {
    target.value = value;
    target.dispatchEvent(new Event('change', { bubbles: true }));
  }
  requestAnimationFrame(() => setTimeout(() => done(performance.now() - start)));
})"""


def acts(run: int) -> dict[str, list[tuple[str, str | None]]]:
    """Return what is chosen, by name: clicks and values; the last one of each is measured."""
    word = 4 + 3 * run
    return {
        "layer": [(_STRIP.format(run % 12, 0), None)],
        "head": [(_STRIP.format(run % 12, 1 + run), None)],
        "query": [(_WORDS.format(word), None)],
        "key": [(_WORDS.format(word - 3), None)],
        "weights": [
            (_CONTROL.format("weights"), "raw"),
            (_CONTROL.format("weights"), ("renormalized", "rollout")[run % 2]),
        ],
        "granularity": [
            (_CONTROL.format("weights"), "raw"),
            (_CONTROL.format("granularity"), ("token", "word")[run % 2]),
        ],
    }


def pages_of(record: AttentionRecord, folder: Path) -> dict[str, Path]:
    """Write two pages of one text: with the chapters of a report on it, and with all its views."""
    record = with_parts(record)
    pronoun, antecedent, rival = record.queries.words[4], record.queries.words[1], "word2s"
    case = CorefCase.from_words(
        record.queries.texts[0], pronoun=pronoun, antecedent=antecedent, distractors=[rival]
    )
    of_report = [coreference_view(record, case), model_view(record), head_view(record)]
    others = [heatmap_view, layer_view, flow_view, neuron_view, steps_view]
    views = {
        "a report's chapters": of_report,
        "all views": [*of_report, *(make(record) for make in others)],
    }
    return {name: _written(record, shown, folder / f"{name}.html") for name, shown in views.items()}


def _written(record: AttentionRecord, views: Sequence[View], path: Path) -> Path:
    document = Document("What is chosen")
    document.add_instrument(instrument(record, Choice(query=9, key=3)))
    for view in views:
        document.add_section(view.sections()[0])
    path.write_text(document.to_html(), encoding="utf-8")
    return path


def with_parts(record: AttentionRecord) -> AttentionRecord:
    """Return the record with words of two pieces between special tokens, and what views ask for."""
    layers, heads, length, _ = record.attentions.shape
    words = [f"word{number}s" for number in range(length // 2 - 1)]
    starts = list(accumulate((len(word) + 1 for word in words), initial=0))[:-1]
    spans = [
        span
        for word, start in zip(words, starts, strict=True)
        for span in ((start, start + len(word) - 1), (start + len(word) - 1, start + len(word)))
    ]
    pieces = [piece for word in words for piece in (word[:-1], "##s")]
    tokens = TokenSequence(
        tokens=("[CLS]", *pieces, "[SEP]"),
        offsets=((0, 0), *spans, (0, 0)),
        special_tokens_mask=(True, *(False for _ in pieces), True),
        sequence_ids=(None, *(0 for _ in pieces), None),
        word_ids=(None, *(place // 2 for place in range(len(pieces))), None),
        words=tuple(words),
        texts=(" ".join(words),),
    )
    generator = torch.Generator().manual_seed(length)
    vectors = {
        name: torch.randn(layers, heads, length, _SIZE, generator=generator)
        for name in PARTS
        if name != "scores"
    }
    parts = {"scores": record.attentions.log(), **vectors}
    return replace(record, queries=tokens, keys=tokens, parts=parts)


def measured(page: Any, runs: int) -> dict[str, tuple[float, float]]:
    """Return the median milliseconds until the page has followed each kind of choice.

    First as a reader waits, then as the page's own thread works: with other programs running, the
    first says little.
    """
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    times: dict[str, list[tuple[float, float]]] = {}
    # What is unpacked and compiled once counts for no choice.
    for run in range(-1, runs):
        for name, steps in acts(run % 11).items():
            for step in steps:
                # What is drawn while nobody waits counts for no choice.
                page.wait_for_timeout(IDLE)
                before = _worked(session)
                took = page.evaluate(MEASURE, list(step))
                worked = _worked(session) - before
            if run >= 0:
                times.setdefault(name, []).append((took, worked))
    return {
        name: tuple(statistics.median(column) for column in zip(*values, strict=True))
        for name, values in times.items()
    }


def _worked(session: Any) -> float:
    """Milliseconds of a processor that the page's thread has worked."""
    metrics = session.send("Performance.getMetrics")["metrics"]
    return 1000 * next(each["value"] for each in metrics if each["name"] == "TaskDuration")
