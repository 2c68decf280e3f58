"""Every text model type of the installed transformers, held against its own eager attention.

    python tools/architectures.py [--types bert,llama] [--json FILE] [--write | --check]

For each type a tiny random model is built from its configuration: no network, no files. It is
loaded as a user would load it, captured, and compared with the same model run eagerly, which
returns its attention itself. All parts of the capture must then fit together.

Types are read from transformers' own tables, so a new release brings its new types by itself; one
that cannot be built is named with the reason. Each runs in a process of its own with a limit on
time and memory, so that a crash of one costs one row. The result is ``docs/architectures.md``.
"""

from __future__ import annotations

import argparse
import collections
import copy
import dataclasses
import difflib
import functools
import inspect
import json
import math
import multiprocessing
import multiprocessing.connection
import re
import sys
import textwrap
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import nn
from transformers.models.auto import modeling_auto as auto
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

import introspect as ix
from introspect.errors import CaptureError

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "architectures.md"

SECONDS = 60
#: How much memory a type may take beside what all share: keeps huge defaults from taking it all.
BYTES = 4 << 30
#: More than this is no tiny model: its configuration has sizes of names that are not known here.
MOST_PARAMETERS = 10_000_000
MOST_LAYERS = 12

#: Attention is equal up to this much, and parts fit together up to this much.
EQUAL = 1e-5  # the document says so in words, too
FITTING = 1e-4

PARTS = ("attentions", "scores", "queries", "keys", "values", "head_outputs")
OWN = {
    "self": "attentions",
    "encoder": "encoder_attentions",
    "decoder": "decoder_attentions",
    "cross": "cross_attentions",
}

VOCABULARY = 99
PAD = 0
LENGTH = 16
PADDED = 4

_TASKS = (
    "CAUSAL_LM",
    "MASKED_LM",
    "SEQ_TO_SEQ_CAUSAL_LM",
    "SEQUENCE_CLASSIFICATION",
    "TEXT_ENCODING",
    "PRETRAINING",
    "QUESTION_ANSWERING",
    "TOKEN_CLASSIFICATION",
)
# Text towers that stand in no table of tasks.
_TEXT_SUFFIXES = ("_text", "_text_model")

# Names under which configurations ask for a size, and a small one that fits the others.
_SIZES: dict[str, Any] = {
    **dict.fromkeys(("hidden_size", "d_model", "n_embd", "emb_dim", "dim", "d_embed"), 32),
    **dict.fromkeys(("embedding_size", "embedding_dim", "model_dim", "projection_dim"), 32),
    **dict.fromkeys(("num_hidden_layers", "n_layer", "n_layers", "num_layers"), 2),
    **dict.fromkeys(("encoder_layers", "decoder_layers", "num_decoder_layers"), 2),
    **dict.fromkeys(("encoder_ffn_dim", "decoder_ffn_dim", "hidden_dim", "ffn_dim", "dff"), 32),
    **dict.fromkeys(("intermediate_size", "d_ff", "n_inner", "d_inner", "inner_dim"), 32),
    **dict.fromkeys(("num_attention_heads", "n_head", "n_heads", "num_heads", "n_attn_heads"), 4),
    **dict.fromkeys(("encoder_attention_heads", "decoder_attention_heads", "attention_heads"), 4),
    **dict.fromkeys(("num_key_value_heads", "num_experts_per_tok", "top_k_experts", "moe_topk"), 2),
    **dict.fromkeys(("head_dim", "global_head_dim", "d_kv", "v_head_dim", "attention_window"), 8),
    **dict.fromkeys(("qk_rope_head_dim", "qk_nope_head_dim", "rotary_dim", "block_size"), 4),
    **dict.fromkeys(("q_lora_rank", "kv_lora_rank", "o_lora_rank"), 16),
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"), 4),
    **dict.fromkeys(("moe_intermediate_size", "shared_expert_intermediate_size"), 16),
    **dict.fromkeys(("n_group", "topk_group", "n_shared_experts", "first_k_dense_replace"), 1),
    **dict.fromkeys(("max_position_embeddings", "n_positions", "n_ctx"), 64),
    **dict.fromkeys(("vocab_size", "vocab_size_per_layer_input"), VOCABULARY),
    **dict.fromkeys(("mamba_d_state", "mamba_d_head", "hidden_size_per_layer_input"), 8),
    **dict.fromkeys(("linear_key_head_dim", "linear_value_head_dim", "index_head_dim"), 8),
    **{"linear_num_key_heads": 2, "linear_num_value_heads": 4, "num_attention_groups": 2},
    **{"mamba_n_heads": 8, "mamba_expand": 2, "mamba_chunk_size": 4, "chunk_size": 4},
    **{"pad_token_id": PAD, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1},
    **{"sliding_window": 6, "global_rope_theta": 10_000.0},
}
# Where those do not fit together: what to leave out (None) or to set otherwise, tried in turn.
_VARIANTS: tuple[dict[str, Any], ...] = (
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
_ROPE = {"rope_type": "default", "rope_theta": 10_000.0}
_IMAGES_ROPE = {"rope_parameters": {**_ROPE, "mrope_section": [1, 1, 2]}}
_HALF_IMAGES_ROPE = {
    "rope_parameters": {**_ROPE, "mrope_section": [1, 1, 0], "partial_rotary_factor": 0.5}
}
_MAMBA = {"mamba_d_ssm": 64, "mamba_n_heads": 8, "mamba_d_head": 8}
_INDEXER = {
    "indexer_n_heads": 2,
    "indexer_kv_heads": 1,
    "indexer_head_dim": 8,
    "indexer_budget": 8,
    "indexer_compress_ratio": 4,
}
_INNER = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 32,
}
_SPEECH = {
    **dict.fromkeys(("speech_encoder_layers", "t2u_encoder_layers", "t2u_decoder_layers"), 1),
    **dict.fromkeys(("speech_encoder_intermediate_size", "upsample_initial_channel"), 32),
    **dict.fromkeys(("t2u_encoder_ffn_dim", "t2u_decoder_ffn_dim", "unit_embed_dim"), 32),
    **dict.fromkeys(("speech_encoder_attention_heads", "t2u_encoder_attention_heads"), 4),
    **dict.fromkeys(("t2u_decoder_attention_heads",), 4),
    **dict.fromkeys(("t2u_vocab_size", "unit_hifi_gan_vocab_size", "char_vocab_size"), VOCABULARY),
    **dict.fromkeys(("lang_embed_dim", "spkr_embed_dim"), 8),
    **dict.fromkeys(("t2u_pad_token_id", "t2u_bos_token_id", "t2u_eos_token_id"), 1),
}
_READER = {
    **_INNER,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "vocab_size": VOCABULARY,
    "sliding_window": 6,
}
# As the published checkpoints have it; a configuration without it gives BERT.
_DISENTANGLED = {
    "relative_attention": True,
    "pos_att_type": ["c2p", "p2c"],
    "max_relative_positions": 8,
}
_HYBRID = {"layer_types": ["linear_attention", "full_attention"]}
_SPECIAL: dict[str, dict[str, Any]] = {
    "bailing_hybrid": {"layer_group_size": 2, **_HYBRID},
    "bamba": {"attn_layer_indices": [1]},
    "big_bird": {"attention_type": "original_full"},
    "bigbird_pegasus": {"attention_type": "original_full"},
    "blt": {
        "encoder_config": {**_INNER, "hidden_size_global": 32},
        "decoder_config": {**_INNER, "hidden_size_global": 32},
        "global_config": _INNER,
        "patcher_config": _INNER,
        "encoder_hash_byte_group_vocab": VOCABULARY,
        "encoder_hash_byte_group_size": [3],
    },
    "bros": {"hidden_size": 64},
    "cohere_compass_text": {
        "rope_parameters": {"full_attention": _ROPE, "sliding_attention": _ROPE}
    },
    "dbrx": {"attn_config": {"kv_n_heads": 2, "rope_theta": 10_000.0, "clip_qkv": 8.0}},
    "deberta": _DISENTANGLED,
    "deberta-v2": {**_DISENTANGLED, "share_att_key": True, "position_buckets": 4},
    "falcon_h1": _MAMBA,
    "funnel": {"block_sizes": [1, 1], "num_decoder_layers": 1},
    "gemma3n_text": {"num_kv_shared_layers": 0},
    "git": {"vision_config": _INNER},
    "glm4v_moe_text": _HALF_IMAGES_ROPE,
    "glm4v_text": _IMAGES_ROPE,
    "glm_image_text": _IMAGES_ROPE,
    "glm_ocr_text": _IMAGES_ROPE,
    "glm5_next_text": {
        "layer_types": ["linear_attention", "full_attention"],
        "num_key_value_heads": 4,
        "qk_rope_head_dim": 0,
    },
    "gpt_neo": {"attention_types": [[["global", "local"], 1]], "num_layers": 2},
    "granitemoehybrid": {"layer_types": ["mamba", "attention"]},
    "hunyuan_vl_text": {"rope_parameters": {**_ROPE, "xdrope_section": [1, 1, 1, 1]}},
    "hrm_text": {"num_layers_per_stack": 1, "H_cycles": 1, "L_cycles": 1, "num_hidden_layers": 2},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1},
    "kimi_linear": {**_HYBRID, "linear_head_dim": 8, "linear_num_heads": 4},
    "layoutlmv3": {"coordinate_size": 6, "shape_size": 4},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"], "num_dense_layers": 1},
    "lfm3": {"layer_types": ["conv", "full_attention"]},
    "lilt": {"hidden_size": 48},
    "luke": {"entity_vocab_size": 20, "entity_emb_size": 16},
    "mamba2": {"num_heads": 8, "head_dim": 8},
    "mluke": {"entity_vocab_size": 20, "entity_emb_size": 16},
    "phi4_multimodal": {
        "vision_config": {**_INNER, "image_size": 28},
        "audio_config": {
            **_INNER,
            "num_blocks": 1,
            "ext_pw_out_channel": 32,
            "nemo_conv_channels": 32,
        },
    },
    "qwen2_5_vl_text": _IMAGES_ROPE,
    "qwen2_vl_text": _IMAGES_ROPE,
    "qwen3_5_moe_text": _HYBRID,
    "qwen3_5_text": _HYBRID,
    "qwen3_next": _HYBRID,
    "qwen4_exp_text": {**_HYBRID, "ngram_vocab_size_base": 50, "split_ngram_parts": 1, **_INDEXER},
    "recurrent_gemma": {"block_types": ["recurrent", "attention"], "lru_width": 32},
    "reformer": {
        "axial_pos_embds_dim": [16, 16],
        "axial_pos_shape": [4, 4],
        "attention_head_size": 8,
        "local_attn_chunk_length": 4,
        "lsh_attn_chunk_length": 4,
    },
    "roc_bert": {
        "pronunciation_vocab_size": VOCABULARY,
        "pronunciation_embed_dim": 16,
        "shape_vocab_size": VOCABULARY,
        "shape_embed_dim": 16,
    },
    "sam3_lite_text_text_model": {"num_hidden_layers": 3},
    "seamless_m4t": _SPEECH,
    "seamless_m4t_v2": _SPEECH,
    "t5gemma": {
        "encoder": _READER,
        "decoder": {**_READER, "cross_attention_hidden_size": 32},
    },
    "xmod": {"languages": ["en_XX"], "default_language": "en_XX"},
    "zamba": {"layers_block_type": ["mamba", "hybrid"] * 2, "num_hidden_layers": 4},
    "zamba2": {"layers_block_type": ["mamba", "hybrid"], "n_mamba_heads": 8, "mamba_headdim": 8},
    "zaya": {"num_experts_per_tok": 1},
}

# What cannot be read off the classes.
_IMAGE = "needs an image beside the text"
_SOUND = "reads and writes sound beside text"
_BESIDE_TEXT = {
    "evolla": "needs a protein beside the text",
    "idefics": _IMAGE,
    "kyutai_speech_to_text": _SOUND,
    "layoutlmv2": _IMAGE,
    "lxmert": _IMAGE,
    "musicgen": _SOUND,
    "musicgen_melody": _SOUND,
}


@dataclasses.dataclass(frozen=True)
class Row:
    """What became of one type.

    Args:
        name: the model type.
        status: ``equal``, ``different`` or ``refused`` where it returns attention itself;
            ``silent`` where it does not; ``elsewhere`` where its text part is another type;
            ``not built``.
        model: the class that was built.
        route: how its attention was captured.
        kinds: which kinds of attention.
        parts: ``all``, or why there are not all, or do not fit together.
        scores: what they are made of.
        difference: the largest from its own attention.
        misfit: the largest among its parts.
        reason: why there is no more to say, or what else is to be known.
        detail: the error in full; not in the document.
        seconds: how long it took; not in the document.
    """

    name: str
    status: str
    model: str = ""
    route: str = ""
    kinds: str = ""
    parts: str = ""
    scores: str = ""
    difference: float | None = None
    misfit: float | None = None
    reason: str = ""
    detail: str = ""
    seconds: float = 0.0


class ElsewhereError(Exception):
    """The type reads more than text, or none; the message says what, or which type its text is."""


# Without the types that its own code does not have.
_AUTO: Any = transformers.AutoModel


# --- the types, and a tiny model of each ----------------------------------------------------------


@functools.cache
def text_types() -> tuple[str, ...]:
    """Model types that have a text task in transformers' own tables, and text towers."""
    tables = [getattr(auto, f"MODEL_FOR_{task}_MAPPING_NAMES", {}) for task in _TASKS]
    named = {name for table in tables for name in table}
    named |= {name for name in auto.MODEL_MAPPING_NAMES if name.endswith(_TEXT_SUFFIXES)}
    return tuple(sorted(named & set(auto.MODEL_MAPPING_NAMES)))


@dataclasses.dataclass(frozen=True, eq=False)
class Tiny:
    """A small model, loaded eagerly and by default, with inputs and what the eager one returns."""

    eager: nn.Module
    default: nn.Module
    inputs: dict[str, Any]
    output: Any


def tiny(name: str) -> Tiny:
    """A small model of a type that runs.

    Raises:
        ElsewhereError: the type reads more than text.
        Exception: the first reason why none of the small configurations ran.
    """
    if beside := _BESIDE_TEXT.get(name) or _other_input(name):
        raise ElsewhereError(beside)
    first: Exception | None = None
    for variant in _VARIANTS:
        try:
            config = small_config(CONFIG_MAPPING[name], {**variant, **_SPECIAL.get(name, {})})
            return _run(config)
        except ElsewhereError:
            raise
        except Exception as error:
            first = first or error
    assert first is not None
    raise first


def _run(config: Any) -> Tiny:
    _check_size(config)
    eager = _module(config, "eager")
    inputs = inputs_for(eager)
    with torch.no_grad():
        output = eager(**inputs, output_attentions=True)
    return Tiny(eager, _module(config, None), inputs, output)


def _other_input(name: str) -> str | None:
    """What a type reads in the place of text."""
    found: Any = _AUTO._model_mapping[CONFIG_MAPPING[name]]
    model = found[0] if isinstance(found, (list, tuple)) else found
    if "input_ids" in inspect.signature(model.forward).parameters:
        return None
    return f"reads no text: its main input is `{model.main_input_name}`"


def small_config(cls: Any, changes: Mapping[str, Any]) -> Any:
    """A configuration with small sizes."""
    aliases = getattr(cls, "attribute_map", None) or {}
    known = set(inspect.signature(cls.__init__).parameters) | set(aliases)
    if dataclasses.is_dataclass(cls):
        known |= {field.name for field in dataclasses.fields(cls)}
    chosen: dict[str, Any] = {}
    for key, value in {**_SIZES, **changes}.items():
        if value is not None and (key in known or key in changes):
            chosen.setdefault(aliases.get(key, key), value)
    config = cls(**chosen)
    config.architectures = config.architectures or []  # Funnel has several, and asks which
    text = config.get_text_config()
    if text is not config and not {"encoder", "decoder"} <= set(changes):
        raise ElsewhereError(
            f"reads more than text; its text part is of the type `{text.model_type}`"
        )
    return config


def _check_size(config: Any) -> None:
    """Refuse what would not be tiny, before any memory is taken."""
    layers = getattr(config, "num_hidden_layers", 0)
    if isinstance(layers, int) and layers > MOST_LAYERS:
        raise ValueError("too large: it has sizes of other names")
    with torch.device("meta"):
        shape = _AUTO.from_config(copy.deepcopy(config))
    if sum(parameter.numel() for parameter in shape.parameters()) > MOST_PARAMETERS:
        raise ValueError("too large: it has sizes of other names")


def _module(config: Any, implementation: str | None) -> nn.Module:
    """A model with the same weights every time, whatever the implementation.

    They are far larger than a fresh model's, which attends almost evenly to everything and would
    hide a mistake; their standard deviation keeps the size of what passes through a layer.
    """
    options = {} if implementation is None else {"attn_implementation": implementation}
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(7)
        # A copy: the model notes in its configuration which implementation it runs.
        module = _AUTO.from_config(copy.deepcopy(config), dtype=torch.float32, **options)
        torch.manual_seed(8)
        for parameter in module.parameters():
            fan_in = parameter.shape[-1] if parameter.dim() > 1 else 4
            parameter.add_(torch.randn(parameter.shape) / math.sqrt(fan_in))
    return module.eval()  # type: ignore[no-any-return]


def inputs_for(module: nn.Module) -> dict[str, Any]:
    """Two texts, one of them padded; what an encoder-decoder has written so far."""
    taken = inspect.signature(module.forward).parameters
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(5, VOCABULARY, (2, LENGTH), generator=generator)
    inputs: dict[str, Any] = {"input_ids": ids}
    if "attention_mask" in taken:
        mask = torch.ones_like(ids)
        mask[1, -PADDED:] = 0
        ids[1, -PADDED:] = PAD
        inputs["attention_mask"] = mask
    if "bbox" in taken:
        boxes = torch.randint(0, 40, (2, LENGTH, 4), generator=generator)
        inputs["bbox"] = boxes.sort(-1).values
    if getattr(module.config, "is_encoder_decoder", False) and "decoder_input_ids" in taken:
        inputs["decoder_input_ids"] = torch.randint(5, VOCABULARY, (2, 7), generator=generator)
    if "use_cache" in taken:
        inputs["use_cache"] = False
    return inputs


# --- one type -------------------------------------------------------------------------------------


def examine(name: str) -> Row:
    """Build a type, and hold its capture against its own attention."""
    start = time.monotonic()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        row = _examine(name)
    return dataclasses.replace(row, seconds=time.monotonic() - start)


def _examine(name: str) -> Row:
    try:
        built = tiny(name)
    except ElsewhereError as text:
        return Row(name, "elsewhere", reason=str(text))
    except Exception as error:
        return Row(name, "not built", reason=stable_reason(error), detail=repr(error))
    row = Row(name, "silent", type(built.default).__name__)
    own = own_attention(built)
    if not own:
        row = dataclasses.replace(row, reason=_what_it_returns(built.output))
    try:
        captured = ix.capture(built.default, built.inputs)
    except CaptureError as error:
        return dataclasses.replace(row, status="refused" if own else "silent", detail=str(error))
    except Exception as error:  # a mistake of ours: never a silent row
        why = f"the capture fails ({type(error).__name__})"
        return dataclasses.replace(row, status="refused", reason=why, detail=repr(error))
    attentions = [captured.attentions]
    row = dataclasses.replace(row, route=captured.certificate.route, kinds=_kinds(captured))
    try:
        whole = ix.capture(built.default, built.inputs, PARTS)
        attentions.append(whole.attentions)
        row = dataclasses.replace(row, **check_parts(whole))
    except ix.IntrospectError as error:
        row = dataclasses.replace(row, parts=_attention_alone(error), detail=str(error))
    except RuntimeError as error:  # of shapes that cannot be multiplied
        row = dataclasses.replace(row, parts=_UNFIT, detail=repr(error))
    return dataclasses.replace(row, **compare(own, attentions)) if own else row


def _what_it_returns(output: Any) -> str:
    """What a model gives where another gives its patterns."""
    returned = [w for key in OWN.values() for w in output.get(key) or () if torch.is_tensor(w)]
    if not returned:
        return "returns nothing under that name"
    return f"what it returns under that name has {returned[0].ndim} dimensions, a pattern has 4"


def _kinds(captured: Any) -> str:
    """Which kinds were captured, and what is to be known of them."""
    notes = [captured.certificate.note] if captured.certificate.note else []
    for kind, layers in captured.attentions.items():
        queries, keys = layers[0].shape[-2:]
        if kind in ("self", "encoder") and keys < queries:
            notes.append(f"{kind}: over a window around each token, as the model returns it")
    named = ", ".join(kind for kind in OWN if captured.attentions.get(kind))
    return f"{named} ({'; '.join(notes)})" if notes else named


def _attention_alone(error: ix.IntrospectError) -> str:
    """Why there is attention, but not what it is made of."""
    why = re.search(r"computes attention by itself, but (.+?)\. Ask", str(error))
    return f"attention alone: {why[1] if why else stable_reason(error)}"


def own_attention(built: Tiny) -> dict[str, list[torch.Tensor]]:
    """The patterns that a model returned itself, by kind.

    Some return another thing under that name: blocks of a pattern (LongT5), what a layer gives
    (RWKV, YOSO), the state of a layer that has no attention weights (MiniMax).
    """
    types = getattr(built.eager.config, "layer_types", None) or ()
    found: dict[str, list[torch.Tensor]] = {}
    for kind, key in OWN.items():
        returned = built.output.get(key) or ()
        for number, weights in enumerate(returned):
            of_all = len(returned) == len(types)  # others return those with attention alone
            is_linear = of_all and "linear" in str(types[number])
            if torch.is_tensor(weights) and weights.ndim == 4 and not is_linear:
                found.setdefault(kind, []).append(weights)
    return found


def compare(
    own: Mapping[str, list[torch.Tensor]], captures: Sequence[Mapping[str, list[torch.Tensor]]]
) -> dict[str, Any]:
    """Whether every layer that it returns is there, in that order and equal, in every capture."""
    largest, beside = 0.0, ""
    for ours in captures:
        for kind, layers in own.items():
            mine = ours.get(kind, [])
            if len(mine) > len(layers):
                beside = f"{len(mine)} layers captured, of which it returns {len(layers)}"
                mine = _same_ones(layers, mine)
            if [m.shape for m in mine] != [w.shape for w in layers]:
                why = f"{kind}: other layers than it returns, or of another shape"
                return {"status": "different", "reason": why}
            largest = max(largest, *map(_difference, layers, mine))
    status = "equal" if largest <= EQUAL else "different"
    return {"status": status, "difference": largest, "reason": beside}


def _same_ones(own: Iterable[torch.Tensor], ours: Iterable[torch.Tensor]) -> list[torch.Tensor]:
    """Those of ours that are equal to its own, in their order.

    A model of several transformers returns the layers of some (BLT: those over bytes).
    """
    rest = iter(ours)
    found = (
        next((m for m in rest if m.shape == w.shape and _difference(w, m) <= EQUAL), None)
        for w in own
    )
    return [mine for mine in found if mine is not None]


def _difference(theirs: torch.Tensor, mine: torch.Tensor) -> float:
    if (theirs < -1e-3).any():
        theirs = theirs.softmax(-1)  # it returns its scores under that name
    difference = float((theirs.double() - mine.double()).abs().max())
    return math.inf if math.isnan(difference) else difference


def check_parts(captured: Any) -> dict[str, Any]:
    """Whether the parts follow from each other, what the scores are made of, and the misfit.

    The scores' softmax must be the attention, up to what a sink takes of it, and the attention
    times the values the heads' output, again up to a sink's share where the model keeps that out
    of its attention (Granite SWA).
    """
    misfit, words, sources = 0.0, "all", set()
    for attention, scores, queries, keys, values, output in _layers_of(captured):
        expected = attention @ _repeated(values, output.shape[1])
        of_output = _size(expected - output)
        if of_output > FITTING:
            share = (expected * output).sum(-1, True) / expected.square().sum(-1, True)
            of_output = _size(share.clamp(0, 1) * expected - output)
            words = "all; a sink takes a share of the head outputs"
        misfit = max(misfit, _misfit_of_scores(attention, scores), of_output)
        sources.add(_source_of_scores(scores, queries, _repeated(keys, queries.shape[1])))
    if misfit > FITTING:
        words = _UNFIT
    return {"parts": words, "scores": max(sources, key=SOURCES.index), "misfit": misfit}


_UNFIT = "do not fit together"

#: What the scores are made of, from the simplest on.
SOURCES = ("q·k", "q·k + position", "q·k and more")


def _misfit_of_scores(attention: torch.Tensor, scores: torch.Tensor) -> float:
    shares = attention.sum(-1, keepdim=True)
    known = (shares > 0.01).expand_as(attention)  # a sink that takes all leaves few digits
    return _size((scores.float().softmax(-1) - attention / shares)[known])


def _source_of_scores(scores: torch.Tensor, queries: torch.Tensor, keys: torch.Tensor) -> str:
    """Whether queries times keys, times a number, are the scores of all that is not masked.

    What remains may depend on the position alone: then it is the same in both texts. A number
    added to all scores of a query changes nothing, so rows are compared around their mean.
    """
    if queries.shape[:2] != keys.shape[:2] or queries.shape[-1] != keys.shape[-1]:
        return SOURCES[2]
    products = queries @ keys.transpose(-1, -2)
    if products.shape != scores.shape:
        return SOURCES[2]
    seen = scores > _MASKED
    if _are_proportional(products, scores, seen):
        return SOURCES[0]
    in_both = seen[0] & seen[1]
    if _are_proportional(products[0] - products[1], scores[0] - scores[1], in_both):
        return SOURCES[1]
    return SOURCES[2]


#: A score below this was masked.
_MASKED = -1e3


def _are_proportional(given: torch.Tensor, wanted: torch.Tensor, seen: torch.Tensor) -> bool:
    given, wanted = (_around_mean(tensor, seen) for tensor in (given, wanted))
    factor = (given * wanted).sum() / given.square().sum()
    return _size(factor * given - wanted) <= FITTING * max(1.0, _size(wanted))


def _around_mean(scores: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
    """Each row without its mean, and zero where it is masked."""
    masked = scores.masked_fill(~seen, 0)
    mean = masked.sum(-1, True) / seen.sum(-1, True).clamp(min=1)
    return (masked - mean).masked_fill(~seen, 0)


def _repeated(shared: torch.Tensor, heads: int) -> torch.Tensor:
    """Keys or values that several heads share, once for each head."""
    return shared.repeat_interleave(heads // shared.shape[1], dim=1)


def _size(difference: torch.Tensor) -> float:
    """The largest entry without its sign; infinite where there is no number."""
    size = float(difference.abs().max()) if difference.numel() else 0.0
    return math.inf if math.isnan(size) else size


def _layers_of(captured: Any) -> Iterator[tuple[torch.Tensor, ...]]:
    """All parts of every layer of every kind."""
    for kind in captured.attentions:
        yield from zip(*(getattr(captured, name)[kind] for name in PARTS), strict=True)


def stable_reason(error: BaseException) -> str:
    """Why a type does not run, in words that are the same on every machine."""
    text = str(error)
    if "too large" in text:
        return "its small sizes are not known here"
    if needed := re.search(r"requires the (\S+) library", text):
        return f"needs the package {needed[1]}"
    if "Unrecognized configuration" in text or "Could not find" in text:
        return "transformers has no base model class for it"
    return f"does not run at small sizes ({type(error).__name__})"


# --- all types, each in its own process -----------------------------------------------------------


def examine_all(names: Iterable[str], workers: int = 2) -> list[Row]:
    """The rows of these types, whatever becomes of their processes."""
    torch.set_num_threads(1)  # also because a fork of a process with threads may hang
    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    examine("llama")  # here, so that what every type imports is imported once
    context = multiprocessing.get_context("fork")
    waiting = collections.deque(names)
    order = list(waiting)
    running: dict[Any, tuple[str, Any, float]] = {}
    rows: dict[str, Row] = {}
    while waiting or running:
        while waiting and len(running) < workers:
            name = waiting.popleft()
            receiver, sender = context.Pipe(duplex=False)
            process = context.Process(target=_child, args=(name, sender))
            process.start()
            sender.close()
            running[receiver] = (name, process, time.monotonic() + SECONDS)
        soonest = min(deadline for _, _, deadline in running.values())
        pause = max(0.0, soonest - time.monotonic())
        ready = multiprocessing.connection.wait(list(running), pause)
        late = [r for r, (_, _, deadline) in running.items() if deadline <= time.monotonic()]
        for receiver in {*ready, *late}:
            name, process, _ = running.pop(receiver)
            rows[name] = _received(name, receiver, receiver in ready)
            process.kill()
            process.join()
    return [rows[name] for name in order]


def _child(name: str, sender: Any) -> None:
    """Examine one type, and send its row."""
    _limit_memory()
    sys.stdout = sys.stderr = open("/dev/null", "w")  # noqa: SIM115
    sender.send(examine(name))
    sender.close()


def _received(name: str, receiver: Any, is_ready: bool) -> Row:
    if not is_ready:
        return Row(name, "not built", reason=f"took over {SECONDS} s")
    try:
        return receiver.recv()  # type: ignore[no-any-return]
    except EOFError:
        return Row(name, "not built", reason="its process ended without a result")


def _limit_memory() -> None:
    """Keep a type with huge defaults from taking the machine."""
    taken = Path("/proc/self/statm")
    if taken.exists():
        import resource  # not on every system

        size = int(taken.read_text().split()[0]) * resource.getpagesize() + BYTES
        resource.setrlimit(resource.RLIMIT_AS, (size, size))


# --- the document ---------------------------------------------------------------------------------

_HEAD = """\
# Architectures

Every text model type of **transformers {version}**, captured by `introspect` and held against what
the model returns itself. Made by `python tools/architectures.py --write`; a test makes it anew and
fails on a difference.

{totals}

## How to read it

With `output_attentions=True`, which is what BertViz is fed with, transformers returns attention
only from a model loaded with `attn_implementation="eager"`; `introspect` takes it from the model as
you loaded it. For each type a tiny random model is built, loaded by default and eagerly with the
same weights, and run on two texts, one of them padded. The last column is the largest difference
between what was captured from the one and what the other returns, over all layers, heads and
tokens. It shows that the numbers are the model's own; it says nothing about what they mean.

- **Route**: how they were had. *Attention interface* is the place in transformers that most models
  compute attention through; it is watched in the same way for all of them. Models that compute
  attention by themselves are run eagerly and asked for *the model's own output*.
- **Kinds**: self-attention; of an encoder-decoder that of the encoder, of the decoder, and across.
- **Parts**: *all* means that scores, queries, keys, values and head outputs were captured too and
  fit together within 1e-4: softmax(scores) = attention, up to what an attention sink takes of it,
  and attention · values = head outputs. Where a sink takes a share of the head outputs, they are
  attention · values times what it leaves.
- **Scores**: what goes into the softmax. *q·k*: queries times keys, scaled and masked;
  *+ position*: with a term that depends on the position alone; *and more*: with other terms, for
  example relative positions that depend on the content, boxes on a page, or a cap.
"""

_COVERED = """
## Types that return their attention

| type | class | route | kinds | parts | scores | largest difference |
|---|---|---|---|---|---|---|
"""
_SILENT = """
## Types that return no pattern of attention

Where nothing is captured, `ix.capture` raises a `CaptureError`: it makes no pattern up.

| type | class | what it returns | captured |
|---|---|---|---|
"""
_ELSEWHERE = """
## Types that read more than text, or none

| type | reason |
|---|---|
"""
_NOT_BUILT = """
## Types that were not built

| type | reason |
|---|---|
"""


def document(rows: Sequence[Row]) -> str:
    """The whole document."""
    version = transformers.__version__
    text = _HEAD.format(version=version, totals="\n".join(map(_point, totals(rows))))
    for heading, statuses in (
        (_COVERED, ("equal", "different", "refused")),
        (_SILENT, ("silent",)),
        (_ELSEWHERE, ("elsewhere",)),
        (_NOT_BUILT, ("not built",)),
    ):
        lines = [f"| {' | '.join(cells(row))} |\n" for row in rows if row.status in statuses]
        text += heading + "".join(lines) if lines else ""
    return text


def _point(text: str) -> str:
    return textwrap.fill(text, 100, initial_indent="- ", subsequent_indent="  ")


def totals(rows: Sequence[Row]) -> list[str]:
    """What the document says at its top."""
    count = collections.Counter(row.status for row in rows)
    covered = [row for row in rows if row.status in ("equal", "different", "refused")]
    fitting = sum(row.parts.split(";")[0] == "all" for row in covered)
    return [
        f"Types that return their attention: **{len(covered)}**. Captured equal to it within 1e-5: "
        f"**{count['equal']}** ({_percent(count['equal'], len(covered))}); different: "
        f"**{count['different']}**; refused: **{count['refused']}**.",
        "Queries, keys, values and head outputs captured and verified: "
        f"**{fitting}** of them ({_percent(fitting, len(covered))}).",
        f"Types that return no pattern of attention: {count['silent']}.",
        f"Types that read more than text, or none: {count['elsewhere']}.",
        f"Types that were not built: {count['not built']}.",
    ]


def _percent(part: int, whole: int) -> str:
    """Rounded down, so that 100 % means all."""
    return f"{math.floor(1000 * part / whole) / 10:g} %" if whole else "none"


def cells(row: Row) -> tuple[str, ...]:
    """What a row of the document says."""
    if row.status in ("elsewhere", "not built"):
        return row.name, row.reason
    if row.status == "silent":
        captured = f"{row.route}: {row.kinds}; parts: {row.parts}" if row.route else "nothing"
        return row.name, row.model, row.reason, captured
    kinds = f"{row.kinds}; {row.reason}" if row.reason and row.status == "equal" else row.kinds
    said = row.name, row.model, row.route, kinds, row.parts, row.scores, bound(row)
    return tuple(cell or "–" for cell in said)


def bound(row: Row) -> str:
    """The difference as a bound that rounding does not move from machine to machine."""
    if row.status == "refused" or row.difference is None:
        return row.reason or row.status
    for limit in (1e-6, EQUAL):
        if row.difference <= limit:
            return f"≤ {limit:.0e}".replace("e-0", "e-")
    return f"{row.difference:.0e}"


def documented(text: str) -> dict[str, tuple[str, ...]]:
    """The rows of a document by type."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    rows = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines]
    return {row[0]: row for row in rows if row[0] != "type"}


def documented_version(text: str) -> str:
    """The transformers that a document was made with."""
    found = re.search(r"\*\*transformers ([^*]+)\*\*", text)
    return found[1] if found else ""


def main() -> int:
    """Run all types, or those named, and print the document, write it, or compare it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--types", help="only these, with commas")
    parser.add_argument("--json", type=Path, help="write the rows to this file too")
    parser.add_argument("--workers", type=int, default=2, help="how many types at a time")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--write", action="store_true", help=f"write docs/{DOCUMENT.name}")
    what.add_argument("--check", action="store_true", help="fail if it would change")
    options = parser.parse_args()
    if options.types and (options.write or options.check):
        parser.error("the document is of all types: leave out --types")
    names = options.types.split(",") if options.types else text_types()
    start = time.monotonic()
    rows = examine_all(names, options.workers)
    print(f"{len(rows)} types in {time.monotonic() - start:.0f} s", file=sys.stderr)
    if options.json:
        listed = [dataclasses.asdict(row) for row in rows]
        options.json.write_text(json.dumps(listed, indent=1), encoding="utf-8")
    text = document(rows)
    if options.check:
        return check(text)
    if options.write:
        DOCUMENT.write_text(text, encoding="utf-8")
        text = "\n".join(totals(rows))
    print(text)
    return 0


def check(text: str) -> int:
    """Print what would change in the document; 1 if anything would."""
    written = DOCUMENT.read_text(encoding="utf-8") if DOCUMENT.exists() else ""
    name = f"docs/{DOCUMENT.name}"
    lines = difflib.unified_diff(
        written.splitlines(), text.splitlines(), name, f"{name} as it would be", lineterm=""
    )
    changes = "\n".join(lines)
    print(changes or f"{name} is up to date")
    return 1 if changes else 0


if __name__ == "__main__":
    sys.exit(main())
