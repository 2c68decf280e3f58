"""How far an atlas can be trusted, and what it costs.

    python benchmarks/atlas.py null [--seeds 100]
    python benchmarks/atlas.py copying [--seeds 20]
    python benchmarks/atlas.py planted [--seeds 20]
    python benchmarks/atlas.py cost FILE [--texts 400]
    python benchmarks/atlas.py memory
    python benchmarks/atlas.py pages [DIR]

`null`: a small BERT and a small Llama with random weights, drawn anew for each seed, on the
package's own sentences; printed is in how many of the atlases any head is given a rule.
`copying`: a small Llama with random weights; printed is in how many any head is said to copy or to
write against what it reads, in texts or by its weights. `planted`:
attention made for one head for each rule, on drawn texts with words of pieces and trees; printed
is how often the head is given its rule, and how often another. `cost`: the bare model and the
atlas in turn over the same batches of the texts of a GAP file, both in one thread. `memory`: the
largest resident size of a process that reads 1,000 and 10,000 texts. `pages`: the size of the index
and of the largest head pages of an atlas, by default that of a random Llama with 32 layers of 32
heads, and after how long Chromium has drawn them, from the start of the navigation: the median of
five.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
import transformers as tf

import introspect as ix
from introspect.data import grammar_cases, own_cases, read_cases
from introspect.models import encode_batch, load_text, padded, run_inputs
from introspect.records import Head
from introspect.runs.atlas_writes import writes_of
from introspect.studies.atlas import AtlasAnalyzer
from introspect.studies.atlas.rule_tests import FoundRules
from introspect.studies.runner import BatchRunner
from introspect.text import CorefCase

SMALL: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "what", choices=["null", "copying", "planted", "cost", "memory", "pages", "one"]
    )
    parser.add_argument("file", nargs="?")
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--texts", type=int, default=400)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.what == "null":
        null(options.seeds or 100)
    elif options.what == "copying":
        copying(options.seeds or 20)
    elif options.what == "planted":
        planted(options.seeds or 20)
    elif options.what == "cost":
        cost(options.file, options.texts)
    elif options.what == "memory":
        memory()
    elif options.what == "pages":
        pages(options.file)
    else:
        one(options.texts)


def read(model: Any, texts: list[str], size: int = 32) -> AtlasAnalyzer:
    """Read texts in batches of like length."""
    analyzer, runner = AtlasAnalyzer(), BatchRunner(model)
    encoded = sorted(encode_batch(model.tokenizer, texts, limit=512), key=lambda e: len(e.tokens))
    for start in range(0, len(encoded), size):
        batch = encoded[start : start + size]
        runner.run(
            batch,
            [None] * len(batch),
            [analyzer],
            [f"t{start + i}" for i in range(size)][: len(batch)],
        )
    return analyzer


def random_model(kind: str, seed: int, **sizes: int) -> Any:
    """Return a small model with random weights that reads what minilm reads."""
    tokenizer = ix.load("minilm").tokenizer
    size = len(tokenizer)
    config = (
        tf.BertConfig(vocab_size=size, **SMALL | sizes)
        if kind == "BERT"
        else tf.LlamaConfig(vocab_size=size, num_key_value_heads=2, **SMALL | sizes)
    )
    torch.manual_seed(seed)
    return load_text((tf.AutoModel.from_config(config).eval(), tokenizer))


def null(seeds: int) -> None:
    """Print how many models with random weights have a head with a rule."""
    texts = [case.text for case in (*own_cases("en"), *grammar_cases(150))]
    for kind in ("BERT", "Llama"):
        given = 0
        for seed in range(seeds):
            sums = read(random_model(kind, seed), texts).compute()
            given += bool(FoundRules.of(sums, seed=seed).is_named.any())
        print(f"{kind}, {len(texts)} texts: {given} of {seeds} seeds with a head that has a rule")


def copying(seeds: int) -> None:
    """Print how many language models with random weights have a head that is said to copy."""
    texts = [case.text for case in grammar_cases(60)]
    tokenizer = ix.load("minilm").tokenizer
    config = tf.LlamaConfig(vocab_size=len(tokenizer), num_key_value_heads=2, **SMALL)
    said = {
        "copies": 0,
        "writes against": 0,
        "copies by weights": 0,
        "writes against by weights": 0,
    }
    for seed in range(seeds):
        torch.manual_seed(seed)
        module = tf.AutoModelForCausalLM.from_config(config).eval()
        model = load_text((module, tokenizer), lm_head=True)
        sums = read(model, texts).compute()
        tokens = {number: model.tokens(named.text) for number, named in sums.kept.texts.items()}
        writes = writes_of(model, sums, str, tokens)
        heads = [Head(layer, head) for layer in sums.layers for head in range(sums.num_heads)]
        kinds = {claim.kind for head in heads for claim in writes.claims(head)}
        for kind in said:
            said[kind] += kind in kinds
    print(f"Llama, {len(texts)} texts, {seeds} seeds, those with a head that …: {said}")


def planted(seeds: int) -> None:
    """Print how often planted heads are given their rule, and another."""
    from tests.studies.atlas import planted as made

    right: dict[str, int] = dict.fromkeys(made.OF_TREES, 0)
    wrong = dict(right)
    for seed in range(seeds):
        found = FoundRules.of(made.analyzed(made.OF_TREES, seed=100 + seed).compute(), draws=1000)
        for head, rule in enumerate(made.OF_TREES):
            name = found.names[found.best[0, head]] if found.is_named[0, head] else ""
            right[rule] += name == rule
            wrong[rule] += name not in ("", rule)
    for rule in made.OF_TREES:
        print(f"{rule:22} named {right[rule]:3} of {seeds}, another named {wrong[rule]}")
    total = seeds * len(right)
    print(
        f"all: {sum(right.values()) / total:.1%} named, {sum(wrong.values()) / total:.1%} another"
    )


def cost(file: str, count: int) -> None:
    """Print the throughput of the atlas against the bare model, in turn over the same batches."""
    model = ix.load("minilm")
    cases = (each for each in read_cases("gap", file) if isinstance(each, CorefCase))
    texts = list(dict.fromkeys(case.text for case in cases))[:count]
    encoded = sorted(encode_batch(model.tokenizer, texts, limit=512), key=lambda e: len(e.tokens))
    runner, analyzer = BatchRunner(model), AtlasAnalyzer()
    bare, ours = [], []
    for start in range(0, len(encoded), 32):
        batch = encoded[start : start + 32]
        inputs = run_inputs(model.module, padded(model.tokenizer, batch))
        began = time.process_time()
        with torch.no_grad():
            model.module(**inputs)
        middle = time.process_time()
        ids = [f"t{start + i}" for i in range(len(batch))]
        runner.run(batch, [None] * len(batch), [analyzer], ids)
        bare.append(middle - began)
        ours.append(time.process_time() - middle)
    ratios = [a / b for a, b in zip(bare, ours, strict=True)]
    tokens = sum(len(each.tokens) for each in encoded)
    print(
        f"{len(encoded)} texts, {tokens / len(encoded):.0f} tokens on average: the atlas runs at "
        f"{sum(bare) / sum(ours):.2f} of the bare model's throughput (median of batches "
        f"{statistics.median(ratios):.2f}); {tokens / sum(ours):.0f} tokens a second"
    )


def memory() -> None:
    """Print the largest resident size of processes that make an atlas of few and many texts."""
    for count in (1_000, 10_000):
        command = [sys.executable, __file__, "one", "--texts", str(count)]
        print(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())


def pages(folder: str | None) -> None:
    """Print the sizes of the pages of an atlas, and how long a browser takes to draw them."""
    if folder is not None:
        timed(Path(folder))
        return
    texts = [case.text for case in (*own_cases("en"), *grammar_cases(100))]
    sizes = {"hidden_size": 256, "num_hidden_layers": 32, "num_attention_heads": 32}
    model = random_model("Llama", 0, **sizes)
    shown = ["L0H0", "L15H20", "L31H31"]
    with tempfile.TemporaryDirectory() as made:
        timed(ix.atlas(model, texts, Path(made) / "atlas", heads=shown).path)


def timed(folder: Path) -> None:
    """Print the size of each page of a folder, and the median time until it is drawn."""
    from playwright.sync_api import sync_playwright

    cards = sorted((folder / "heads").iterdir(), key=lambda path: -path.stat().st_size)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        for path in (folder / "index.html", *cards[:3]):
            times = sorted(ready_after(browser, path) for _ in range(5))
            size = path.stat().st_size / 1e6
            print(f"{path.name}: {size:.2f} MB, drawn after {times[2]:.0f} ms (median of 5)")
        browser.close()


NOTES_READY = """new MutationObserver(() => { window.readyAfter ??= performance.now(); }).observe(
    document, { subtree: true, attributeFilter: ["data-ready"] })"""


def ready_after(browser: Any, path: Path) -> float:
    """Return after how many milliseconds a page has drawn all of it."""
    page = browser.new_page()
    page.add_init_script(NOTES_READY)
    page.goto(path.resolve().as_uri(), wait_until="commit")
    page.wait_for_selector("html[data-ready=true]", state="attached")
    after: float = page.evaluate("window.readyAfter")
    page.close()
    return after


def one(count: int) -> None:
    """Make one atlas of drawn texts with a small model, and print the largest resident size."""
    words = sorted({word for case in own_cases("en") for word in case.text.split()})
    generator = torch.Generator().manual_seed(0)
    texts = [
        " ".join(words[i] for i in torch.randint(len(words), (24,), generator=generator).tolist())
        for _ in range(count)
    ]
    with tempfile.TemporaryDirectory() as folder:
        ix.atlas(random_model("BERT", 0), texts, Path(folder) / "atlas", threads=1)
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{count} texts: {size:.0f} MB")


if __name__ == "__main__":
    main()
