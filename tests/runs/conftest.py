"""What the tests of probing share."""

from __future__ import annotations

import pytest

from tests.runs import sets


@pytest.fixture(scope="module")
def lean():
    """Probes without what takes most of their time in small sets, and changes no table."""
    with pytest.MonkeyPatch.context() as patched:
        sets.leave_out_the_long(patched.setattr)
        yield
