"""The plan of a probe: everything that its results depend on, written first, checked on resume."""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import nn

from introspect.data import InputSet, fingerprint
from introspect.errors import ModelError, OutputError
from introspect.hooks import own_parameter
from introspect.io import check_version, read_run, remove_run, shown, write_run
from introspect.models import Model, is_fast
from introspect.reporting import version_of_introspect
from introspect.runs.worker import WorkerOptions
from introspect.studies.coreference import Options
from introspect.text import shortened

Plan = dict[str, Any]
_LONGEST_SHOWN = 200
_OF_THE_MODEL = ("revision", "config", "tokenizer")
# Of a digest its first characters do.
_DIGEST = r"(?:sha256:)?([0-9a-f]{12})[0-9a-f]{28,52}\b"


def make_plan(
    model: Model,
    inputs: InputSet,
    options: WorkerOptions,
    claims: Options,
    *,
    shard_rows: int,
    null_model: bool | int,
) -> Plan:
    """Return everything that the tables depend on, as plain JSON.

    Each batch is computed with one thread, because sums of floats depend on how they are divided.

    Raises:
        InputError: the input cannot be read.
    """
    parameter = next(model.module.parameters())
    plan = {
        "input": fingerprint(inputs.files),
        "read": [layout.facts for layout in inputs.layouts],
        "model": model.name,
        "revision": model.revision or weights_digest(model.module),
        "config": config_digest(model.module),
        "tokenizer": tokenizer_digest(model.tokenizer),
        "dtype": str(parameter.dtype).removeprefix("torch."),
        "device": parameter.device.type,
        "threads": 1,
        **asdict(options),
        "claims": asdict(claims),
        "null_model": null_model,
        "shard_rows": shard_rows,
        "introspect": version_of_introspect(),
        "code": code_digest(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }
    plain_plan: Plan = json.loads(json.dumps(plan))
    return plain_plan


def begin_run(
    folder: Path, plan: Plan, work: Sequence[str], *, overwrite: bool, command: str | None
) -> Mapping[str, int]:
    """Write the plan, or check it against the existing one; return the permissions to keep.

    Args:
        folder: the folder of the run, which is held.
        plan: everything that the results depend on.
        work: the names of the folders within it that are written as the run goes.
        overwrite: start again, even if the folder holds another run.
        command: the command line.

    Raises:
        OutputError: the folder was begun with another plan or version, or cannot be written.
    """
    version = version_of_introspect()
    if not overwrite and (run := read_run(folder)) is not None:
        check_version(folder, run, version)
        check_same(plan, run["plan"], folder)
        return {}
    modes = remove_run(folder)
    write_run(folder, plan, work, command=command, version=version)
    return modes


def check_same(given: Mapping[str, Any], begun: Mapping[str, Any], folder: Path) -> None:
    """Check that the work in a folder was begun with the same plan.

    Raises:
        OutputError: the plans differ; the message names what has changed.
    """
    changed = [name for name in {**begun, **given} if given.get(name) != begun.get(name)]
    if "model" in changed:
        # Another model has another revision, configuration and tokenizer.
        changed = [name for name in changed if name not in _OF_THE_MODEL]
    if changed:
        changes = "; ".join(
            f"{name}: {_shown(begun.get(name))} → {_shown(given.get(name))}" for name in changed
        )
        raise OutputError(
            f"Expected the plan that {shown(folder)!r} was begun with, but this has changed: "
            f"{changes}. Go on as it was begun, name another folder, or add --overwrite to start "
            "again."
        )


def _shown(value: Any) -> str:
    """Return an entry of a plan in words; of files their names and the digests of their bytes."""
    if isinstance(value, list) and value and all(map(_is_fingerprint, value)):
        return ", ".join(f"{file['name']} ({str(file['sha256'])[:12]})" for file in value)
    return shortened(re.sub(_DIGEST, r"\1", str(value)), _LONGEST_SHOWN)


def _is_fingerprint(value: Any) -> bool:
    return isinstance(value, dict) and {"name", "sha256"} <= value.keys()


def checksum(parts: Sequence[object]) -> str:
    """Return a checksum of cases or texts."""
    return "sha256:" + hashlib.sha256("\n".join(map(repr, parts)).encode()).hexdigest()


@cache
def code_digest() -> str:
    """Return the SHA-256 of this package's own Python files."""
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


#: The configuration keys that saving or loading changes and no result depends on.
_WRITTEN_WHEN_SAVED = ("architectures", "dtype", "torch_dtype", "transformers_version")


def config_digest(module: nn.Module) -> str | None:
    """Return the SHA-256 of the configuration, such as the heads, which weights do not show."""
    config: Any = getattr(module, "config", None)
    if config is None:
        return None
    given = {
        name: value
        for name, value in config.to_dict().items()
        if not name.startswith("_") and name not in _WRITTEN_WHEN_SAVED
    }
    content = json.dumps(given, sort_keys=True, default=str)
    return f"sha256:{hashlib.sha256(content.encode()).hexdigest()}"


def tokenizer_digest(tokenizer: Any) -> str:
    """Return the tokenizer's class and SHA-256, without its padding and truncation settings."""
    if is_fast(tokenizer):
        given = json.loads(tokenizer.backend_tokenizer.to_str())
    else:
        given = _files_of(tokenizer)
    content = json.dumps({**given, "padding": None, "truncation": None}, sort_keys=True)
    return f"{type(tokenizer).__name__} sha256:{hashlib.sha256(content.encode()).hexdigest()}"


def _files_of(tokenizer: Any) -> dict[str, str]:
    """Return the SHA-256 of each file that a tokenizer written in Python is saved as."""
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        return {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in Path(folder).iterdir()
            if path.is_file()
        }


def weights_digest(module: nn.Module) -> str:
    """Return the SHA-256 of all parameters and buffers, for a model without a revision."""
    digest = hashlib.sha256()
    for name, tensor in module.state_dict().items():
        if tensor.device.type == "meta":
            owner, _, own = name.rpartition(".")
            kept = own_parameter(module.get_submodule(owner), own)
            tensor = tensor if kept is None else kept
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        if tensor.device.type == "meta":
            raise ModelError(
                f"Expected weights in memory, or kept elsewhere by accelerate, but {name} of "
                f"{type(module).__name__} is on the meta device. Load the weights first."
            )
        flat = tensor.detach().cpu().contiguous().flatten()
        digest.update(flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b"")
    return f"sha256:{digest.hexdigest()}"
