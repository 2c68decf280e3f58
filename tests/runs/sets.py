"""Small models and sets for the tests of probing, the same in every process."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import transformers as tf

import introspect as ix
from introspect import runs
from introspect.data import own_cases, write_jsonl
from introspect.models import Model, load_text
from introspect.runs.findings import CaseSet
from introspect.text import CorefCase
from tests import models_zoo
from tests.tokenizers_zoo import word_level

#: As little as still makes every table.
FEW = ix.Options(resamples=50, permutations=50, selections=5)
#: One thread, so that every process has the same plan; shards small enough for several.
CALL: dict[str, Any] = {"options": FEW, "threads": 1, "shard_rows": 8}
#: The longest text that ``bert`` reads, in tokens.
LIMIT = 40
#: The files and folders of a probe of cases.
FILES = (
    "heads.parquet", "heads.csv", "cases.parquet", "baselines.csv", "held_out.csv",
    "minimal_pairs.csv", "summary.json", "report.html", "rejects.jsonl", "run.json", "shards",
)  # fmt: skip
#: What must be the same after a stop, byte for byte.
TABLES = (
    "heads.parquet", "heads.csv", "cases.parquet", "baselines.csv", "held_out.csv",
    "minimal_pairs.csv", "rejects.jsonl",
)  # fmt: skip


def cases() -> list[CorefCase]:
    return own_cases("en")


@functools.cache
def tokenizer() -> Any:
    words = [word for case in cases() for word in case.text.split(" ")]
    return word_level([*words, *(f"w{number}" for number in range(300))])


@functools.cache
def model(name: str = "bert", *, seed: int = 7) -> Model:
    """A random model that knows every word of our cases."""
    configs = models_zoo.ALL | LEGACY
    config = configs[name]()
    config.vocab_size = len(tokenizer())
    config.pad_token_id = tokenizer().pad_token_id
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        module = tf.AutoModel.from_config(config)
        for part in module.parameters():
            fan_in = part.shape[-1] if part.dim() > 1 else 4
            part.add_(torch.randn(part.shape) / fan_in**0.5)
    return load_text((module.eval(), tokenizer()))


LEGACY: dict[str, Callable[[], Any]] = {
    "bloom": lambda: tf.BloomConfig(vocab_size=64, hidden_size=32, n_layer=3, n_head=4),
    "deberta": lambda: tf.DebertaV2Config(
        vocab_size=64,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=48,
        max_position_embeddings=40,
        relative_attention=True,
        pos_att_type=["p2c", "c2p"],
    ),
}


def case_file(folder: Path) -> Path:
    """Our cases, and among them rows without a result: five shards of ``CALL``."""
    path = folder / "cases.jsonl"
    first = cases()[0]
    long = replace(first, text=first.text + " w1" * LIMIT, id="long")
    write_jsonl(path, [*cases()[:3], long, *cases()[3:], first])
    lines = path.read_text(encoding="utf-8").splitlines()
    lines[20:20] = ["{", '{"text": "w1"}']
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def text_file(folder: Path, texts: Sequence[str], name: str = "texts.txt") -> Path:
    path = folder / name
    path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    return path


def tables(folder: Path, names: Sequence[str] = TABLES) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in names}


def leave_out_the_long(replace_: Callable[[Any, str, Any], Any]) -> None:
    """No linear probe and no views of single cases: most of the time, and in no table."""
    replace_(CaseSet, "linear", lambda _, **_options: (None, None))
    replace_(CaseSet, "hardest", lambda *_: [])
    replace_(CaseSet, "shown_pairs", lambda *_: [])


def divide_small(replace_: Callable[[Any, str, Any], Any]) -> None:
    """Small shards also for the command line, which has no option for them."""
    replace_(runs, "probe", functools.partial(runs.probe, shard_rows=CALL["shard_rows"]))
