"""What capturing attention costs here and in other tools, as shares of the bare model's throughput.

    python benchmarks/others.py [--rounds 15]

A decoder of GPT-2's own size with random weights reads a batch of 32 sequences of 64 tokens. All
sides hold the same weights and run in one process, in turn; a share is the bare model's time over
the side's in the same round: 1 is the speed of the model itself. Before the clock starts, each side
has to give the attention that the model returns by itself.

TransformerLens and nnsight are no dependencies of this project. In an environment of their own:

    python -m venv others
    others/bin/pip install . transformer-lens nnsight
    others/bin/python benchmarks/others.py

What is not installed is left out, and the output says so.
"""

from __future__ import annotations

import argparse
import copy
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
import transformers as tf

import introspect as ix

BATCH, LENGTH = 32, 64
# As many as the pronoun and the candidates of a case have.
ROWS = (20, 40, 60)
# How far from the model's own attention a side may be.
TOLERANCE = 1e-5

Layers = Sequence[torch.Tensor]
#: Runs the model once and gives the attention of each layer, or ``None`` where there is none.
Act = Callable[[], Layers | None]


def main() -> None:
    """Check, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    torch.manual_seed(0)
    bare = tf.GPT2LMHeadModel._from_config(tf.GPT2Config(), attn_implementation="sdpa").eval()
    ids = torch.randint(0, bare.config.vocab_size, (BATCH, LENGTH))
    print_versions()
    sides = {"the bare model, sdpa": lambda: forward(bare, ids)}
    sides |= ours(bare, ids)
    for name, make in (("transformer-lens", with_transformer_lens), ("nnsight", with_nnsight)):
        if installed(name):
            sides |= make(bare, ids)
        else:
            print(f"{name}: not installed, left out; see the head of this file")
    own = own_attention(bare, ids)
    for name, act in sides.items():
        check(name, act(), own)
    print_shares(measured(list(sides.values()), rounds), list(sides))


def forward(model: torch.nn.Module, ids: torch.Tensor) -> None:
    """The model alone."""
    with torch.no_grad():
        model(ids, use_cache=False)


def ours(bare: torch.nn.Module, ids: torch.Tensor) -> dict[str, Act]:
    """Our own ways to capture."""
    inputs = {"input_ids": ids, "use_cache": False}
    layers = range(bare.config.n_layer)

    def capture(**options: object) -> Layers:
        return ix.capture(bare, inputs, **options).attentions["self"]

    return {
        "introspect, whole patterns": lambda: capture(),
        f"introspect, {len(ROWS)} rows": lambda: capture(rows=ROWS),
        # Naming the layers ends the run after the last of them, before the vocabulary's turn.
        "introspect, whole patterns, no further": lambda: capture(layers=layers),
        f"introspect, {len(ROWS)} rows, no further": lambda: capture(layers=layers, rows=ROWS),
        # Here belongs the engine of `introspect probe`, with the same batch.
    }


def with_transformer_lens(bare: torch.nn.Module, ids: torch.Tensor) -> dict[str, Act]:
    """``run_with_cache`` of a bridge around a copy of the model; it sets the copy to eager."""
    from transformer_lens.model_bridge import TransformerBridge

    with tempfile.TemporaryDirectory() as folder:
        tokenizer = any_tokenizer(folder)
        bridge = TransformerBridge.boot_transformers(
            "gpt2", hf_model=copy.deepcopy(bare), tokenizer=tokenizer, device="cpu"
        )

    def run(**options: object) -> Layers:
        with torch.no_grad():
            _, cache = bridge.run_with_cache(ids, **options)
        return [cache["pattern", layer] for layer in range(bare.config.n_layer)]

    return {
        "TransformerLens, patterns only": lambda: run(
            names_filter=lambda name: name.endswith("hook_pattern")
        ),
        "TransformerLens, whole cache": lambda: run(),
    }


def with_nnsight(bare: torch.nn.Module, ids: torch.Tensor) -> dict[str, Act]:
    """A trace that saves the weights that an eager copy of the model's attention returns."""
    import nnsight

    copied = copy.deepcopy(bare)
    copied.set_attn_implementation("eager")
    wrapped = nnsight.NNsight(copied)

    def run() -> Layers:
        with torch.no_grad(), wrapped.trace(ids, use_cache=False):
            found = nnsight.save([layer.attn.output[1] for layer in wrapped.transformer.h])
        return found

    return {"nnsight, weights traced": run}


def any_tokenizer(folder: str) -> tf.PreTrainedTokenizerBase:
    """A tokenizer of one word, as if loaded: the bridge asks for one, and the batch needs none."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel

    word = "<end>"
    made = tf.PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(WordLevel({word: 0}, unk_token=word)),
        bos_token=word,
        eos_token=word,
        pad_token=word,
    )
    made.save_pretrained(folder)
    return tf.AutoTokenizer.from_pretrained(folder)


def own_attention(bare: torch.nn.Module, ids: torch.Tensor) -> Layers:
    """Return what the model returns by itself under eager attention."""
    eager = copy.deepcopy(bare)
    eager.set_attn_implementation("eager")
    with torch.no_grad():
        return eager(ids, output_attentions=True, use_cache=False).attentions


def check(name: str, found: Layers | None, own: Layers) -> None:
    """Refuse a side that gives something else than the model's attention."""
    if found is None:
        return
    if len(found) != len(own):
        raise SystemExit(f"{name}: expected {len(own)} layers, got {len(found)}.")
    for layer, (one, other) in enumerate(zip(found, own, strict=True)):
        expected = other if one.shape == other.shape else other[:, :, list(ROWS)]
        distance = (one - expected).abs().max().item()
        if distance > TOLERANCE:
            raise SystemExit(f"{name}: layer {layer} is {distance:.1e} from the model's own.")


def measured(sides: Sequence[Act], rounds: int) -> list[list[float]]:
    """Seconds of each side in each round; a first round, not counted, has gone before."""
    seconds: list[list[float]] = [[] for _ in sides]
    for _ in range(rounds):
        for act, its in zip(sides, seconds, strict=True):
            start = time.perf_counter()
            act()
            its.append(time.perf_counter() - start)
    return seconds


def print_shares(seconds: list[list[float]], names: list[str]) -> None:
    """For each side its throughput, and its share of the first side's."""
    print(f"\n{'':<40} sequences/s   share of the bare model (quartiles)")
    for name, its in zip(names, seconds, strict=True):
        shares = [bare / one for bare, one in zip(seconds[0], its, strict=True)]
        low, middle, high = statistics.quantiles(shares, n=4)
        rate = BATCH / statistics.median(its)
        print(f"{name:<40} {rate:11.1f}   {middle:5.2f}  ({low:.2f}–{high:.2f})")


def print_versions() -> None:
    """Return what was compared, and on how many threads."""
    packages = ("torch", "transformers", "transformer-lens", "nnsight")
    found = [f"{name} {version(name)}" for name in packages if installed(name)]
    print(f"{', '.join(found)}; {torch.get_num_threads()} threads of {os.cpu_count()} CPUs")
    constraints = Path(__file__).resolve().parents[1] / "constraints.txt"
    tested = f"transformers=={tf.__version__}"
    if tested not in constraints.read_text(encoding="utf-8").splitlines():
        print("This release of transformers is not the one of constraints.txt: compare the shares.")


def installed(name: str) -> bool:
    """Return whether a package is there."""
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True


if __name__ == "__main__":
    main()
