"""Every text model type of the installed transformers, held against its own eager attention.

    python benchmarks/architectures.py [--types bert,llama] [--json FILE]

For each type a tiny random model is built from its configuration. Where it returns attention
itself, that is the oracle: all kinds and layers must be equal within 1e-5. Then all parts are
captured, and must fit together: softmax(scores) = attention (up to a sink's share) and
attention @ values = head outputs.

Each type runs in a process of its own with a limit on time and memory, two at a time.
"""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import dataclasses
import inspect
import json
import resource
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SECONDS = 120
BYTES = 12 << 30
MOST_PARAMETERS = 30_000_000
PARTS = ("attentions", "scores", "queries", "keys", "values", "head_outputs")
OWN = {
    "self": "attentions",
    "encoder": "encoder_attentions",
    "decoder": "decoder_attentions",
    "cross": "cross_attentions",
}
TASKS = ("CAUSAL_LM", "MASKED_LM", "SEQ_TO_SEQ_CAUSAL_LM", "SEQUENCE_CLASSIFICATION")
TASKS += ("TEXT_ENCODING", "PRETRAINING", "QUESTION_ANSWERING", "TOKEN_CLASSIFICATION")

# Names under which configurations ask for a size, and a small one that fits the others.
SIZES: dict[str, Any] = {
    **dict.fromkeys(
        ("hidden_size", "d_model", "n_embd", "emb_dim", "embedding_size", "dim", "d_embed"), 32
    ),
    **dict.fromkeys(
        ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "num_decoder_layers"), 2
    ),
    **dict.fromkeys(("encoder_layers", "decoder_layers"), 2),
    **dict.fromkeys(("num_attention_heads", "n_head", "n_heads", "num_heads"), 4),
    **dict.fromkeys(("encoder_attention_heads", "decoder_attention_heads", "attention_heads"), 4),
    **dict.fromkeys(("intermediate_size", "d_ff", "n_inner", "ffn_dim", "d_inner", "dff"), 32),
    **dict.fromkeys(("encoder_ffn_dim", "decoder_ffn_dim", "hidden_dim"), 32),
    **dict.fromkeys(("max_position_embeddings", "n_positions", "n_ctx"), 64),
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts"), 4),
    **dict.fromkeys(("moe_num_experts",), 4),
    **dict.fromkeys(("num_experts_per_tok", "moe_topk", "num_key_value_heads"), 2),
    **dict.fromkeys(("moe_intermediate_size", "shared_expert_intermediate_size"), 16),
    **dict.fromkeys(("q_lora_rank", "kv_lora_rank"), 16),
    **dict.fromkeys(("n_group", "topk_group", "n_shared_experts", "first_k_dense_replace"), 1),
    **dict.fromkeys(("head_dim", "d_kv", "v_head_dim", "attention_window"), 8),
    **dict.fromkeys(("qk_rope_head_dim", "qk_nope_head_dim", "rotary_dim", "block_size"), 4),
    **dict.fromkeys(("vocab_size", "vocab_size_per_layer_input"), 99),
    **{"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1},
    **{"sliding_window": 6, "hidden_size_per_layer_input": 8, "global_rope_theta": 10_000.0},
    **{"linear_num_key_heads": 2, "linear_num_value_heads": 4},
    **{"linear_key_head_dim": 8, "linear_value_head_dim": 8, "num_attention_groups": 2},
}
# Where those do not fit together: what to leave out (None) or to set otherwise, tried in turn.
VARIANTS: tuple[dict[str, Any], ...] = (
    {},
    {"head_dim": 4},
    {"head_dim": 4, "num_key_value_heads": 4},
    {"sliding_window": None},
    {"head_dim": None},
    {"rotary_dim": None},
    {"head_dim": None, "sliding_window": None},
    {"block_size": None, "attention_window": None},
    {"num_key_value_heads": None},
)
# What a type needs beside that.
SPECIAL: dict[str, dict[str, Any]] = {
    "gpt_neo": {"attention_types": [[["global", "local"], 1]], "num_layers": 2},
    "luke": {"entity_vocab_size": 20, "entity_emb_size": 16},
    "mluke": {"entity_vocab_size": 20, "entity_emb_size": 16},
    "xmod": {"languages": ["en_XX"], "default_language": "en_XX"},
    "reformer": {
        "axial_pos_embds_dim": [16, 16],
        "axial_pos_shape": [4, 4],
        "attention_head_size": 8,
        "local_attn_chunk_length": 4,
        "lsh_attn_chunk_length": 4,
    },
    "big_bird": {"attention_type": "original_full"},
    "bigbird_pegasus": {"attention_type": "original_full"},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1},
    "bamba": {"attn_layer_indices": [1]},
}


def main() -> None:
    """Run all types, or those named, and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--types", help="only these, with commas")
    parser.add_argument("--json", type=Path, help="write the results to this file too")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(examine(options.one)))
        return
    types = options.types.split(",") if options.types else text_types()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        results = dict(zip(types, pool.map(in_own_process, types), strict=True))
    for name, result in results.items():
        print(f"{name:<28} {result['status']:<22} {describe(result)}")
    print_totals(results)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


def text_types() -> list[str]:
    """Model types that have a text task in transformers' own tables."""
    from transformers.models.auto import modeling_auto as auto

    tables = [getattr(auto, f"MODEL_FOR_{task}_MAPPING_NAMES", {}) for task in TASKS]
    return sorted({name for table in tables for name in table} & set(auto.MODEL_MAPPING_NAMES))


def in_own_process(name: str) -> dict[str, Any]:
    """The result of one type, whatever becomes of its process."""
    command = [sys.executable, __file__, "--one", name]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=SECONDS, preexec_fn=limit_memory
        )
        lines = done.stdout.strip().splitlines()
        return json.loads(lines[-1]) if lines else failed(f"ended with {done.returncode}")
    except subprocess.TimeoutExpired:
        return failed(f"took over {SECONDS} s")


def limit_memory() -> None:
    """Keep a type with huge defaults from taking the machine."""
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))


def failed(why: str) -> dict[str, Any]:
    """A type that was not built, with the reason."""
    return {"status": "not built", "why": why}


def examine(name: str) -> dict[str, Any]:
    """Build a type, and hold its capture against its own attention."""
    import torch
    import transformers

    import introspect as ix

    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    try:
        module, inputs, output = build(name)
    except Exception as error:
        return failed(str(error))
    own = {kind: output.get(key) for kind, key in OWN.items() if output.get(key)}
    own = {kind: [w for w in layers if torch.is_tensor(w)] for kind, layers in own.items()}
    own = {kind: layers for kind, layers in own.items() if layers}
    if not own:
        return {"status": "returns no attention"}
    try:
        captured = ix.capture(module, inputs)
    except ix.IntrospectError as error:
        return {"status": "refused", "why": str(error)}
    result = {"route": captured.certificate.route, **compare(own, captured.attentions)}
    try:
        result["parts"] = largest_misfit(ix.capture(module, inputs, PARTS))
    except ix.IntrospectError as error:
        result["parts"] = str(error)
    return result


def build(name: str) -> tuple[Any, dict[str, Any], Any]:
    """A tiny module that runs, its inputs and its own output; the first reason if none does."""
    import torch
    from transformers import AutoModel
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    reasons = []
    for variant in VARIANTS:
        try:
            config = small_config(CONFIG_MAPPING[name], {**variant, **SPECIAL.get(name, {})})
            torch.manual_seed(0)
            module = AutoModel.from_config(config, attn_implementation="eager").eval()
            if sum(p.numel() for p in module.parameters()) > MOST_PARAMETERS:
                raise ValueError("too large: it has sizes of other names")
            for parameter in module.parameters():
                if parameter.ndim > 1:
                    parameter.data.normal_(0, 0.15)
            inputs = inputs_for(module)
            with torch.no_grad():
                return module, inputs, module(**inputs, output_attentions=True)
        except Exception as error:
            reasons.append(f"{type(error).__name__}: {' '.join(str(error).split())[:120]}")
    raise RuntimeError(reasons[0])


def small_config(cls: type, changes: dict[str, Any]) -> Any:
    """A configuration with small sizes; of a model of several kinds of input, its text part's."""
    aliases = getattr(cls, "attribute_map", None) or {}
    known = set(inspect.signature(cls.__init__).parameters) | set(aliases)
    if dataclasses.is_dataclass(cls):
        known |= {field.name for field in dataclasses.fields(cls)}
    chosen: dict[str, Any] = {}
    for key, value in {**SIZES, **changes}.items():
        if value is not None and (key in known or key in changes):
            chosen.setdefault(aliases.get(key, key), changes.get(key, value))
    config = cls(**chosen)
    if config.get_text_config() is not config:
        raise ValueError("it reads more than text: its text part is a type of its own")
    return config


def inputs_for(module: Any) -> dict[str, Any]:
    """Two texts, one of them padded."""
    import torch

    torch.manual_seed(1)
    taken = inspect.signature(module.forward).parameters
    ids = torch.randint(5, 90, (2, 16))
    mask = torch.ones_like(ids)
    mask[1, 12:] = 0
    inputs: dict[str, Any] = {"input_ids": ids}
    if "attention_mask" in taken:
        inputs["attention_mask"] = mask
    if "bbox" in taken:
        inputs["bbox"] = torch.zeros(2, 16, 4, dtype=torch.long)
    if module.config.is_encoder_decoder and "decoder_input_ids" in taken:
        inputs["decoder_input_ids"] = ids[:, :8]
    if "use_cache" in taken:
        inputs["use_cache"] = False
    return inputs


def compare(own: dict[str, list[Any]], ours: Any) -> dict[str, Any]:
    """Whether all kinds and layers are there and equal."""
    largest = 0.0
    for kind, layers in own.items():
        if len(ours.get(kind, ())) != len(layers):
            return {
                "status": "other layers",
                "why": f"{kind}: returns {len(layers)}, captured {len(ours.get(kind, ()))}",
            }
        for theirs, mine in zip(layers, ours[kind], strict=True):
            if (theirs < -1e-3).any():
                theirs = theirs.softmax(-1)  # it returns its scores under that name
            if theirs.shape != mine.shape:
                shapes = f"{tuple(theirs.shape)}, captured {tuple(mine.shape)}"
                return {"status": "other shape", "why": f"{kind}: returns {shapes}"}
            largest = max(largest, float((theirs.double() - mine.double()).abs().max()))
    return {"status": "equal" if largest < 1e-5 else "DIFFERENT", "largest": largest}


def largest_misfit(captured: Any) -> float:
    """How far scores, attention, values and head outputs are from fitting together."""
    misfit = 0.0
    for attention, scores, values, output in layers_of(captured):
        softmax = scores.float().softmax(-1)
        shares = attention.sum(-1, keepdim=True)
        known = shares > 0.01  # a sink that takes nearly all leaves few digits to compare
        misfit = max(
            misfit, float((softmax - attention / shares).abs()[known.expand_as(softmax)].max())
        )
        repeated = values.repeat_interleave(output.shape[1] // values.shape[1], dim=1)
        misfit = max(misfit, float((attention @ repeated - output).abs().max()))
    return misfit


def layers_of(captured: Any) -> Iterator[tuple[Any, ...]]:
    """Attention, scores, values and head outputs of every layer of every kind."""
    names = ("attentions", "scores", "values", "head_outputs")
    for kind in captured.attentions:
        yield from zip(*(getattr(captured, name)[kind] for name in names), strict=True)


def describe(result: dict[str, Any]) -> str:
    """The rest of a row."""
    parts = result.get("parts")
    shown = f"parts {parts:.0e}" if isinstance(parts, float) else parts or ""
    largest = f"{result['largest']:.0e}" if "largest" in result else ""
    return "  ".join(x for x in (largest, result.get("route"), result.get("why"), shown) if x)


def print_totals(results: dict[str, dict[str, Any]]) -> None:
    """How many of each."""
    print()
    for status, count in collections.Counter(r["status"] for r in results.values()).most_common():
        print(f"{count:>4} {status}")
    measured = [r for r in results.values() if "route" in r]
    for route, count in collections.Counter(r["route"] for r in measured).most_common():
        print(f"{count:>4} by {route}")
    fitting = sum(isinstance(r["parts"], float) and r["parts"] < 1e-4 for r in measured)
    print(f"{fitting:>4} of {len(measured)} with all parts fitting together")


if __name__ == "__main__":
    main()
