from __future__ import annotations

import socket

import pytest

from introspect.models import Model
from tests import models_zoo


@pytest.fixture(scope="session")
def minilm() -> Model:
    return models_zoo.minilm()


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Fail a test that reaches for the network, also where the code takes that for a bad line."""
    reached: list[object] = []

    def refuse(_socket: socket.socket, address: object) -> None:
        reached.append(address)
        raise OSError("tests use no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    yield
    assert not reached
