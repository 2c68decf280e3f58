"""What the analyzers of plain text cost, as ratios to the model's own forward of the same batch.

    python benchmarks/analyzers.py [--collection winobias FILE] [--collection gap FILE] [--runs 15]

All in one process and one thread: the plain SDPA forward of a batch, and the analyzer over all its
layers from ``begin`` to ``end``, in turn; medians of pairs, of processor time. The attention is
captured beforehand.
Without a collection the texts are the package's own, as they are and six in a row.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from itertools import islice

import torch

import introspect as ix
from introspect.data import own_cases, read_cases
from introspect.studies.analyzer import BatchAnalyzer, Texts
from introspect.studies.heads import RolesAnalyzer, SimilarityAnalyzer
from introspect.text import CorefCase

BATCH = 32
# Comparing every two heads takes seconds on long texts: fewer runs are enough to see it.
ANALYZERS: dict[str, tuple[Callable[[], BatchAnalyzer], int]] = {
    "roles": (RolesAnalyzer, 1),
    "similarity": (SimilarityAnalyzer, 5),
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="minilm")
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--analyzer", choices=ANALYZERS, action="append")
    parser.add_argument("--collection", nargs=2, action="append", metavar=("KIND", "FILE"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = ix.load(options.model)
    for name, sentences in batches(options.collection):
        texts = Texts(tuple(model.tokens(text) for text in sentences), (None,) * len(sentences))
        inputs = dict(model.tokenizer(sentences, return_tensors="pt", padding=True))
        layers = ix.capture(model.module, inputs).attentions["self"]
        print(
            f"{name}: {len(texts)} texts, {sum(texts.lengths) / len(texts):.0f} tokens on average, "
            f"padded to {texts.length}"
        )
        for analyzer in options.analyzer or ANALYZERS:
            make, fraction = ANALYZERS[analyzer]
            compare(analyzer, model.module, inputs, make(), texts, layers, options.runs // fraction)


def batches(collections: list[tuple[str, str]] | None) -> list[tuple[str, list[str]]]:
    """A batch of texts of each collection."""
    if not collections:
        own = [case.text for case in own_cases()]
        short = [own[i % len(own)] for i in range(BATCH)]
        rows = [" ".join(own[(i + k) % len(own)] for k in range(6)) for i in range(BATCH)]
        return [("own texts", short), ("six own texts in a row", rows)]
    found = []
    for kind, path in collections:
        cases = (case for case in read_cases(kind, path) if isinstance(case, CorefCase))
        found.append((kind, [case.text for case in islice(cases, BATCH)]))
    return found


def compare(
    name: str,
    module: torch.nn.Module,
    inputs: dict[str, torch.Tensor],
    analyzer: BatchAnalyzer,
    texts: Texts,
    layers: list[torch.Tensor],
    runs: int,
) -> None:
    """Run both in turn, and print the median of the ratios."""

    def plain() -> None:
        with torch.no_grad():
            module(**inputs)

    def analyze() -> None:
        # Masks are worked out anew, as they are for each batch.
        analyzer.begin(Texts(texts.sequences, texts.items))
        for layer, attentions in enumerate(layers):
            analyzer.see(layer, attentions)
        analyzer.end()

    pairs = [(seconds(analyze), seconds(plain)) for _ in range(max(runs, 2) + 1)][1:]
    ratios = [ours / theirs for ours, theirs in pairs]
    low, _, high = statistics.quantiles(ratios, n=4)
    ours, theirs = (1000 * statistics.median(side) for side in zip(*pairs, strict=True))
    print(
        f"  {name:<12} {statistics.median(ratios):6.3f} x the forward  "
        f"(quartiles {low:.3f}–{high:.3f}; {ours:.0f} of {theirs:.0f} ms)"
    )


def seconds(act: Callable[[], None]) -> float:
    """Return how long it keeps the processor, which is all of it for one thread."""
    start = time.process_time()
    act()
    return time.process_time() - start


if __name__ == "__main__":
    main()
