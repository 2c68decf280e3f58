from __future__ import annotations

import pytest

from introspect.models import Model
from tests import models_zoo


@pytest.fixture(scope="session")
def minilm() -> Model:
    return models_zoo.minilm()
