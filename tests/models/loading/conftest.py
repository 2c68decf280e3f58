"""A folder with a small model, an empty cache, and a hub that never answers."""

from __future__ import annotations

from pathlib import Path

import huggingface_hub
import pytest

from tests.models.loading.helpers import tiny, tokenizer


@pytest.fixture
def folder(tmp_path) -> Path:
    """A small model as ``save_pretrained`` writes it."""
    place = tmp_path / "tiny-bert"
    tiny().save_pretrained(place)
    tokenizer().save_pretrained(place)
    return place


@pytest.fixture(autouse=True)
def empty_cache(tmp_path_factory, monkeypatch) -> Path:
    """A hub cache with nothing in it."""
    place = tmp_path_factory.mktemp("hub")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(place))
    monkeypatch.setattr("huggingface_hub.utils._cache_manager.HF_HUB_CACHE", str(place))
    return place


@pytest.fixture(autouse=True)
def asked(monkeypatch) -> list[str]:
    """A hub that never answers; what was asked of it."""
    urls: list[str] = []

    class Session:
        def head(self, url: str, **_: object) -> None:
            urls.append(url)
            raise TimeoutError("no route to host")

    monkeypatch.setattr(huggingface_hub, "get_session", Session)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    return urls
