"""What is put into folders and caches to be loaded."""

from __future__ import annotations

import functools
import json
import shutil
from pathlib import Path

import torch

from tests import models_zoo
from tests.tokenizers_zoo import word_level

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
EXPECTED_SHAPE = (3, 4, 5, 5)


@functools.cache
def tiny() -> torch.nn.Module:
    return models_zoo.build("bert")


def tokenizer():
    return word_level(["the", "cat", "sat"])


def put_in_cache(cache: Path, hub_id: str, source: Path) -> Path:
    place = cache / f"models--{hub_id.replace('/', '--')}"
    snapshot = place / "snapshots" / COMMIT
    shutil.copytree(source, snapshot)
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text(COMMIT)
    return snapshot


def change_json(path: Path, **changes: object) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(content | changes), encoding="utf-8")
