"""How fast probing is beside the model itself, the usual loop, and one process beside many.

    python benchmarks/probe.py [--rounds 7] [--threads 2] [--only speed,score,many,loop,...]

Ratios in one process, in turn, medians with quartiles: above 1 is faster than what it is held
against. ``speed``: coreference probing against the bare model, which tokenizes the same texts and
runs them in the same batches under sdpa, without any analysis. ``score``: ``ix.score`` against the
same, once with its tables and few draws, once up to the scored cases. ``many``: ``capture_many``
against the same batches, eager, with ``output_attentions=True``. ``loop``: against one text at a
time, eager, with ``output_attentions=True`` and pandas. ``memory``: peak memory of a process that
probes 1,000 and 100,000 sentences. ``tables``: the time from finished shards of 100,000 cases to
tables and report. ``ray``: two actors of one thread against one process of two threads, and whether
the shards are the same bytes as those of one process of one thread.

The collections are not part of the project: name their folder, or a file of cases, with ``--data``;
without it the cases that come with the package are repeated.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import torch

import introspect as ix
from introspect.data import own_cases, read_cases, read_jsonl, write_jsonl
from introspect.models import BatchLimits, Model, length_batches
from introspect.runs import WorkerOptions
from introspect.runs.rows import ProbeRow, Shard
from introspect.runs.shard import run_shard
from introspect.runs.worker import Worker
from introspect.studies.coreference import score_case, score_cases
from introspect.studies.runner import one_thread
from introspect.text import CorefCase

GAP = ("gap", "gap/gap-validation.tsv")
WINOBIAS = (
    "winobias",
    "winobias/pro_stereotyped_type1.txt.dev",
    "winobias/anti_stereotyped_type1.txt.dev",
)
SIZED = ("cases.parquet", "heads.csv", "report.html")
# Shards by which all processes are at work.
SKIPPED = 4
SENTENCE = "The animal number {} did not cross the street because it was too tired to go on."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--only", default="speed,score,many,loop,memory,tables,ray")
    parser.add_argument("--peak", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if given.peak is not None:
        print_peak(given.peak)
        return
    chosen = given.only.split(",")
    model = ix.load("minilm")
    sets = collections(given.data)
    if "speed" in chosen:
        for name, cases in sets.items():
            speed(name, model, cases, given.rounds)
    if "score" in chosen:
        for name, cases in sets.items():
            speed_of_score(name, model, cases, given.rounds)
    if "many" in chosen:
        for name, cases in sets.items():
            speed_of_many(name, model, cases, given.rounds)
    if "loop" in chosen:
        name, cases = list(sets.items())[-1]
        loop(name, model, cases, given.rounds)
    if "memory" in chosen:
        memory()
    if "tables" in chosen:
        tables(model)
    if "ray" in chosen:
        with_ray(model, list(sets.values())[-1])


def collections(folder: Path | None) -> dict[str, list[CorefCase]]:
    """The cases to measure with: of a file of cases, or of the collections in a folder."""
    if folder is not None and folder.is_file():
        return {folder.stem: [c for c in read_jsonl(folder) if isinstance(c, CorefCase)]}
    if folder is None:
        own = [replace(case, id=f"{case.id}-{i}") for i in range(12) for case in own_cases("en")]
        return {"own cases, repeated": own}
    found = {}
    for kind, *files in (GAP, WINOBIAS):
        outcomes = read_cases(kind, [folder / file for file in files])
        found[kind] = [case for case in outcomes if isinstance(case, CorefCase)]
    return found


def probing(model: Model, cases: Sequence[CorefCase]) -> Callable[[], None]:
    """All cases, from texts to what is kept of them."""
    worker = Worker(model, WorkerOptions(), lanes=torch.get_num_threads())
    shard = Shard.of(0, [ProbeRow(str(case.id), case.text, case) for case in cases])

    def run() -> None:
        with one_thread():
            run_shard(worker, worker.prepare(shard))

    return run


def bare(model: Model, cases: Sequence[CorefCase]) -> Callable[[], None]:
    """The model alone: the same texts, tokenized, in batches of like length."""
    texts = [case.text for case in cases]

    def run() -> None:
        lengths = [len(ids) for ids in model.tokenizer(texts)["input_ids"]]
        with torch.no_grad():
            for batch in length_batches(lengths, BatchLimits(), num_heads=12):
                inputs = model.tokenizer(
                    [texts[i] for i in batch], padding=True, return_tensors="pt"
                )
                model.module(**inputs)

    return run


def usual_loop(model: Model, cases: Sequence[CorefCase]) -> Callable[[], None]:
    """One text at a time, eager, all patterns, a row a head into a table."""
    eager = copy.deepcopy(model.module)
    eager.set_attn_implementation("eager")

    def run() -> None:
        rows = []
        for case in cases:
            inputs = model.tokenizer(case.text, return_tensors="pt")
            with torch.no_grad():
                output = eager(**inputs, output_attentions=True)
            record = ix.AttentionRecord(
                attentions=torch.cat(output.attentions),
                queries=model.tokens(case.text),
                keys=model.tokens(case.text),
            )
            for scores in score_case(record, case):
                for layer in range(scores.credit.shape[0]):
                    for head in range(scores.credit.shape[1]):
                        row = (case.id, scores.direction, layer, head, scores.credit[layer, head])
                        rows.append((*row[:4], float(row[4])))
        columns = ["id", "direction", "layer", "head", "credit"]
        pd.DataFrame(rows, columns=columns).groupby(["direction", "layer", "head"]).credit.mean()

    return run


def speed(name: str, model: Model, cases: Sequence[CorefCase], rounds: int) -> None:
    """Probing against the bare model."""
    ours, theirs = in_turn([probing(model, cases), bare(model, cases)], rounds)
    ratios = [b / a for a, b in zip(ours, theirs, strict=True)]
    texts = len(cases) / statistics.median(ours)
    print(f"{name}, {len(cases)} cases: {spread(ratios)} of the bare model; {texts:.0f} cases/s")


def speed_of_score(name: str, model: Model, cases: Sequence[CorefCase], rounds: int) -> None:
    """``ix.score`` against the bare model."""
    few = ix.Options(resamples=10, permutations=10, selections=1)

    def with_tables() -> None:
        ix.score(model, cases, options=few)

    def scored() -> None:
        score_cases(model, cases)

    runs = [with_tables, scored, bare(model, cases)]
    tables_too, ours, theirs = in_turn(runs, rounds)
    for what, seconds in (("ix.score", ours), ("ix.score with its tables", tables_too)):
        ratios = [b / a for a, b in zip(seconds, theirs, strict=True)]
        print(f"{name}, {len(cases)} cases, {what}: {spread(ratios)} of the bare model")


def speed_of_many(name: str, model: Model, cases: Sequence[CorefCase], rounds: int) -> None:
    """``capture_many`` against the eager model, which returns its patterns batch by batch."""
    texts = [case.text for case in cases]
    eager = copy.deepcopy(model.module)
    eager.set_attn_implementation("eager")

    def many() -> None:
        for _ in model.capture_many(texts):
            pass

    def own() -> None:
        lengths = [len(ids) for ids in model.tokenizer(texts)["input_ids"]]
        with torch.no_grad():
            for batch in length_batches(lengths, BatchLimits(texts=32), num_heads=12):
                inputs = model.tokenizer(
                    [texts[i] for i in batch], padding=True, return_tensors="pt"
                )
                eager(**inputs, output_attentions=True)

    def one_by_one() -> None:
        for text in texts:
            model.capture(text)

    ours, theirs, alone = in_turn([many, own, one_by_one], rounds)
    for what, seconds in (("the eager model", theirs), ("capture, text by text", alone)):
        ratios = [b / a for a, b in zip(ours, seconds, strict=True)]
        print(f"{name}, {len(cases)} texts, capture_many: {spread(ratios)} × {what}")


def loop(name: str, model: Model, cases: Sequence[CorefCase], rounds: int) -> None:
    """Probing against the usual loop, on some of the cases."""
    some = cases[:200]
    ours, theirs = in_turn([probing(model, some), usual_loop(model, some)], max(3, rounds // 2))
    ratios = [b / a for a, b in zip(ours, theirs, strict=True)]
    print(f"{name}, {len(some)} cases: {spread(ratios)} × the usual loop")


def in_turn(runs: Sequence[Callable[[], None]], rounds: int) -> list[list[float]]:
    """Seconds of each, in turn, after one that is not counted."""
    for run in runs:
        run()
    found: list[list[float]] = [[] for _ in runs]
    for number in range(rounds):
        order = range(len(runs)) if number % 2 else reversed(range(len(runs)))
        for place in order:
            began = time.perf_counter()
            runs[place]()
            found[place].append(time.perf_counter() - began)
    return found


def spread(values: Sequence[float]) -> str:
    """Median and quartiles."""
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:.2f} ({low:.2f}-{high:.2f})"


def memory() -> None:
    """Peak memory with many sentences against few, each in a process of its own."""
    peaks = {}
    for count in (1_000, 100_000):
        command = [sys.executable, __file__, "--peak", str(count)]
        peaks[count] = float(subprocess.run(command, capture_output=True, check=True).stdout)
        print(f"{count:,} sentences: {peaks[count]:.0f} MB at the most")
    print(f"memory of 100,000 sentences: {peaks[100_000] / peaks[1_000]:.3f} × that of 1,000")


def print_peak(count: int) -> None:
    """Probe so many sentences in a small model, and print the most memory that was used."""
    import resource

    from transformers import BertConfig, BertModel

    minilm = ix.load("minilm")
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(minilm.tokenizer), hidden_size=64, num_hidden_layers=2,
        num_attention_heads=4, intermediate_size=64,
    )  # fmt: skip
    model = ix.load((BertModel(config).eval(), minilm.tokenizer))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sentences.txt"
        with path.open("w") as file:
            file.writelines(SENTENCE.format(number) + "\n" for number in range(count))
        ix.probe(model, path, Path(folder) / "run", analyzers=["roles"])
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def tables(model: Model, count: int = 100_000) -> None:
    """From finished shards of so many cases to tables and report."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        own = own_cases("en")
        cases = [replace(own[i % len(own)], id=f"c{i}", group=f"g{i // 2}") for i in range(count)]
        path = write_jsonl(place / "cases.jsonl", cases)
        del cases
        began = time.perf_counter()
        run = ix.probe(model, path, place / "run")
        whole = time.perf_counter() - began
        summary = pd.read_json(run.folder / "summary.json", typ="series")
        seconds = summary["timings"]
        print(
            f"{count:,} cases: model {seconds['model']:.0f} s, final aggregation "
            f"{whole - seconds['model']:.0f} s, of which shards to tables of cases "
            f"{seconds['gathering']:.0f} s"
        )
        sizes = {name: (run.folder / name).stat().st_size / 2**20 for name in SIZED}
        print(", ".join(f"{name} {size:.1f} MB" for name, size in sizes.items()))
        import resource

        print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10:,.0f} MB at the most")


class Clock:
    """Hears when each shard is done."""

    def __init__(self) -> None:
        self.heard: list[tuple[float, int]] = []
        self._rows = 0

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        """Note how many rows have been added."""
        if stage == "probing rows" and done > self._rows:
            self.heard.append((time.perf_counter(), done - self._rows))
            self._rows = done

    @property
    def rows_per_second(self) -> float:
        """Once all processes are at work: after the first shards, before the last."""
        (first, _), *later = self.heard[SKIPPED:]
        return sum(rows for _, rows in later) / (later[-1][0] - first)


def with_ray(model: Model, cases: Sequence[CorefCase]) -> None:
    """Two actors of one thread against one process of two lanes, once both are at work."""
    from introspect.runs import RayOptions

    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        many = [replace(case, id=f"{case.id}-{i}") for i in range(8) for case in cases]
        path = write_jsonl(place / "cases.jsonl", many)
        clocks = {name: Clock() for name in ("serial", "ray")}
        for name, clock in clocks.items():
            ix.probe(
                model, path, place / name, engine=name, threads=2, shard_rows=256,
                ray=RayOptions(actors=2), options=ix.Options(10, 10, 1), progress=clock,
            )  # fmt: skip
        same = all(
            (place / "ray" / "shards" / file.name).read_bytes() == file.read_bytes()
            for file in (place / "serial" / "shards").glob("*.safetensors")
        )
        ratio = clocks["ray"].rows_per_second / clocks["serial"].rows_per_second
        print(f"ray, two actors: {ratio:.2f} of serial; same bytes: {same}")


if __name__ == "__main__":
    main()
