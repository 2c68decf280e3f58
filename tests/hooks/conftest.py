"""What tests of the hooks may ask for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture
def seeded() -> Iterator[None]:
    """Every module has the same weights each time."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield
