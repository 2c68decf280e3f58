"""Capture the attention of a model while it generates.

The model reads each new token in a separate run, whose keys come from a cache. The rows of all runs
are joined into one pattern over all tokens that were read, with every key at its absolute position,
even if the cache keeps only the last ones.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from introspect.changes import Changes, scoped
from introspect.errors import CaptureError, SelectionError
from introspect.hooks.arguments import copied, run_arguments, telling_failures
from introspect.hooks.captured import NOT_COMPARED, Captured, TowersByKind, certificate_of, noted
from introspect.hooks.interface import IMPLEMENTATION, watching
from introspect.hooks.loans import borrowed_attention, hook_after
from introspect.hooks.observation import OWN_OUTPUTS, Observation
from introspect.hooks.run import INTERFACE_ROUTE, OUTPUT_ROUTE
from introspect.hooks.unwrapping import (
    check_positions,
    has_own_attention,
    taken_by,
    watched_module,
)
from introspect.hooks.watchers import WholeWatcher

#: The default number of new tokens.
NEW_TOKENS = 20

_WHILE = "while the model wrote"
_RUNNING_MORE = (
    "assistant_model",
    "prompt_lookup_num_tokens",
    "custom_generate",
    "penalty_alpha",
    "dola_layers",
    "assistant_early_exit",
)
# For each run of the model, by kind: layer numbers and weights.
_Steps = list[dict[str, list[tuple[int, torch.Tensor]]]]


class _NothingSeenError(Exception):
    """The interface saw no attention in the model's first run."""


@scoped
def capture_generation(
    module: nn.Module,
    inputs: Mapping[str, Any],
    options: Mapping[str, Any],
    *,
    layers: Sequence[int] | None = None,
    kind: str | None = None,
) -> Captured:
    """Let ``module`` generate, and capture the attention of every token that it reads.

    The last token is generated but never read, so it has no row.

    Args:
        module: a model with an LM head.
        inputs: the prompt, or the input of the encoder: one text.
        options: further arguments of ``module.generate``.
        layers: keep only these layers; of a model with several towers, of that of the words.
        kind: keep only this kind of attention, such as that of one tower.

    Returns:
        Attention over all tokens that were read, ``(1, num_heads, query_len, key_len)`` for each
        layer. The output is the sequence of all tokens, ``(1, length)``; for an encoder-decoder,
        the tokens that its decoder read and generated.

    Raises:
        CaptureError: the model cannot generate, or does not read in text order.
        SelectionError: the options generate several texts at once.
    """
    module = watched_module(module)
    check_positions(module)
    if not getattr(module, "can_generate", lambda: False)():
        remedy = (
            "It is no model of transformers, whose generate() writes: append what it predicts, and "
            "capture it again."
            if has_own_attention(module)
            else "Load it with its LM head: ix.load(name, lm_head=True)."
        )
        raise CaptureError(
            f"Expected a model with a language-model head, to write with, got "
            f"{type(module).__name__}. {remedy}"
        )
    arguments = {**run_arguments(module, inputs), "use_cache": True, **_merged(options)}
    if "attention_mask" in taken_by(module) and "input_ids" in arguments:
        arguments.setdefault("attention_mask", torch.ones_like(arguments["input_ids"]))
    _check_options(module, arguments)
    try:
        observation = Observation(module, layers, None, None, may_stop=False, kind=kind)
        sequence, steps, errors = _watched(module, arguments, observation)
        route = INTERFACE_ROUTE
    except _NothingSeenError:
        observation = Observation(module, layers, None, None, may_stop=False, kind=kind)
        sequence, steps = _own(module, arguments, observation)
        errors = []
        route = OUTPUT_ROUTE
    attentions, numbers = _joined(steps, observation, read=sequence.shape[1] - 1)
    if not attentions:
        raise CaptureError(
            f"Expected attention from {type(module).__name__} while it writes, but it computes it "
            "neither through transformers' attention interface nor returns it."
        )
    certificate = certificate_of(module, attentions, f"{route}, {_WHILE}", errors)
    for note in (observation.tower_note, NOT_COMPARED):
        certificate = noted(certificate, note)
    return Captured(
        attentions=TowersByKind.of(attentions, observation.main_kind),
        layers=TowersByKind.of(numbers, observation.main_kind),
        output=sequence,
        certificate=certificate,
    )


def configured(module: nn.Module, options: Mapping[str, Any], name: str) -> Any:
    """Return an option as ``generate`` reads it: given, in a configuration given, or the model's.

    Args:
        module: the model.
        options: the arguments of ``generate``.
        name: the option.
    """
    configs = (options.get("generation_config"), getattr(module, "generation_config", None))
    values = (options.get(name), *(getattr(config, name, None) for config in configs))
    return next((value for value in values if value is not None), None)


def _merged(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options with those that a configuration among them holds too written into it."""
    config = options.get("generation_config")
    if config is None:
        return dict(options)
    own = copy.deepcopy(config)
    rest = {}
    for name, value in options.items():
        if name == "generation_config":
            continue
        # The tokenizer's padding is only for a configuration that has none.
        if name == "pad_token_id" and own.pad_token_id is not None:
            continue
        if hasattr(own, name):
            setattr(own, name, value)
        else:
            rest[name] = value
    return {**rest, "generation_config": own}


def _check_options(module: nn.Module, arguments: Mapping[str, Any]) -> None:
    def option(name: str) -> Any:
        return configured(module, arguments, name)

    several = [name for name in ("num_beams", "num_return_sequences") if (option(name) or 1) > 1]
    # These run the model, or another one, on more than the text.
    refused = [name for name in _RUNNING_MORE if option(name) not in (None, False)]
    refused += ["guidance_scale"] if option("guidance_scale") not in (None, 1) else []
    if several or refused:
        raise SelectionError(
            f"Expected options under which the model writes one text, token by token, got "
            f"{', '.join(several + refused)}. Leave them out, or set them to 1: rows of several "
            "texts cannot stand in one pattern."
        )


def _watched(
    module: nn.Module, arguments: dict[str, Any], observation: Observation
) -> tuple[torch.Tensor, _Steps, list[torch.Tensor]]:
    """Generate a text; return the sequence, each run's attention and the errors (interface)."""
    watcher = WholeWatcher(("attentions",), observation.see)
    steps: _Steps = []

    def end_of_run(*_: Any) -> None:
        if observation.has_seen_nothing and steps:
            return  # the part that reads the words has ended already
        if observation.has_seen_nothing or observation.main_kind in observation.unseen_towers:
            raise _NothingSeenError
        if not steps:
            observation.check(module)
        if not observation.has_towers and (note := observation.tower_note):
            raise CaptureError(
                f"Expected the attention of one tower while {type(module).__name__} writes, got "
                f"that of several: {note}. Leave the picture out, or capture without generating."
            )
        steps.append(observation.turn())

    with (
        torch.no_grad(),
        borrowed_attention(module, IMPLEMENTATION),
        Changes() as changes,
        watching(watcher),
    ):
        # Some write by the part that reads the words alone, others by all of the model.
        hook_after(changes, {observation.reader, module}, end_of_run)
        observation.attach(changes)
        sequence = _written(module, arguments)
    return _as_sequence(sequence), steps, watcher.output_errors


def _written(module: Any, arguments: Mapping[str, Any]) -> Any:
    """Let the model write; a cache that it is given stays as it is."""
    own = {name: copied(name, value) for name, value in arguments.items()}
    with telling_failures(module, own):
        return module.generate(**own)


def _own(
    module: nn.Module, arguments: dict[str, Any], observation: Observation
) -> tuple[torch.Tensor, _Steps]:
    """Generate a text; return the sequence and each run's attention as the model returns it."""
    if len([name for name in observation.towers_of_words if name]) > 1:
        raise CaptureError(
            f"Expected one tower that reads words, to tell whose attention "
            f"{type(module).__name__} returns while it writes, got "
            f"{', '.join(observation.towers_of_words)}. Capture the question with its answer "
            "instead, without generating."
        )
    with torch.no_grad(), borrowed_attention(module, "eager"):
        returned = {"output_attentions": True, "return_dict_in_generate": True}
        output = _written(module, _merged({**arguments, **returned}))
    steps: _Steps = []
    for kind, names in OWN_OUTPUTS.items():
        runs = next((output[name] for name in names if output.get(name)), ())
        for index, run in enumerate([runs] if kind == "encoder" else runs):
            steps += [{}] * (index + 1 - len(steps))
            name = observation.main_kind or kind if kind == "self" else kind
            chosen = [
                (number, weights)
                for number, weights in enumerate(run)
                if observation.is_kept(name, number)
            ]
            if chosen:
                steps[index] = {**steps[index], name: chosen}
                observation.mark(name, [number for number, _ in chosen])
    return _as_sequence(output.sequences), steps


def _as_sequence(output: Any) -> torch.Tensor:
    sequence: torch.Tensor = getattr(output, "sequences", output)
    return sequence


def _joined(
    steps: _Steps, observation: Observation, *, read: int
) -> tuple[dict[str, list[torch.Tensor]], dict[str, list[int]]]:
    """Build patterns over all tokens that were read, and list their layer numbers, by kind."""
    patterns: dict[str, list[torch.Tensor]] = {}
    numbers: dict[str, list[int]] = {}
    for kind in dict.fromkeys(kind for step in steps for kind in step):
        runs = [step[kind] for step in steps if kind in step]
        numbers[kind] = [number for number, _ in runs[0]]
        by_layer = [[run[row][1] for run in runs] for row in range(len(runs[0]))]
        if kind == "encoder" or not observation.is_main(kind):
            patterns[kind] = [weights[0] for weights in by_layer]
        else:
            is_cross = kind == "cross" or "-to-" in kind
            patterns[kind] = [_placed(weights, read, is_cross) for weights in by_layer]
    return patterns, numbers


def _placed(runs: Sequence[torch.Tensor], read: int, is_cross: bool) -> torch.Tensor:
    """Place the rows of all runs in one pattern, with every key at its own position.

    A run with fewer keys than tokens read has the last ones; a run with more has unfilled slots,
    with no weight on them. The keys of cross-attention belong to the other text, and all of them
    are always present.
    """
    batch, heads = runs[0].shape[:2]
    keys = runs[0].shape[3] if is_cross else read
    pattern = runs[0].new_zeros(batch, heads, read, keys)
    position = 0
    for weights in runs:
        # Some devices begin one run too many before they know that the text has ended.
        if position == read and weights.shape[2] == 1:
            break
        first = 0 if _reads_all_again(weights, position) else position
        position = first + weights.shape[2]
        kept = keys if is_cross else min(weights.shape[3], position)
        if position > read or weights[..., kept:].any():
            raise _out_of_order(position, read)
        columns = slice(None) if is_cross else slice(position - kept, position)
        pattern[:, :, first:position, columns] = weights[..., :kept]
    if position != read:
        raise _out_of_order(position, read)
    return pattern


def _reads_all_again(weights: torch.Tensor, position: int) -> bool:
    """Return whether a run starts over at the first token, as it does without a cache."""
    return position > 0 and weights.shape[2] == position + 1


def _out_of_order(rows: int, read: int) -> CaptureError:
    return CaptureError(
        f"Expected the model to read {read} tokens one after the other while it writes, got "
        f"{rows} rows of attention, in another order or with other tokens between. "
        "Capture the text that it wrote instead."
    )
