"""What a report loads: only what it shows."""

from __future__ import annotations

import subprocess
import sys

import pytest

SHOW = """
import sys
import introspect as ix
ix.report
names = [name for name in sys.modules if name.startswith("introspect.")]
print(*names, sep="\\n")
"""


@pytest.mark.slow
def test_a_report_of_a_text_loads_no_other_report_no_reader_and_no_intervention():
    shown = subprocess.run(
        [sys.executable, "-c", SHOW], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "introspect.reporting.texts" in shown and "introspect.views.model" in shown
    for needless in ("reporting.causal", "reporting.heads", "reporting.lens",
                     "views.causal", "views.lens", "views.forest", "interventions",
                     "studies.causal", "studies.heads", "data.own", "data.gap"):  # fmt: skip
        assert f"introspect.{needless}" not in shown, needless
