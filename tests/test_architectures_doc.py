"""docs/architectures.md says what is so: its rows are made anew from tiny random models."""

from __future__ import annotations

import dataclasses
import importlib
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import transformers

_ROOT = Path(__file__).resolve().parent.parent
_TOOL = _ROOT / "tools" / "architectures"
sys.path.insert(0, str(_TOOL))  # its modules import one another by their names alone
comparing, document, examining, processes, rows_module, texts, tiny = map(
    importlib.import_module,
    ("comparing", "document", "examining", "processes", "rows", "texts", "tiny"),
)
sys.path.remove(str(_TOOL))

# Of every route, every kind, windows, sinks, biases, caps, and shared heads and layers.
SAMPLE = (
    "albert",
    "bert",
    "bloom",
    "deberta-v2",
    "falcon",
    "gemma2",
    "gpt2",
    "gpt_oss",
    "granite_swa",
    "llama",
    "longformer",
    "longt5",
    "mpnet",
    "qwen3_next",
    "roformer",
    "t5",
    "xlnet",
)
_TEXT = document.DOCUMENT.read_text(encoding="utf-8")
_WITH = document.documented_version(_TEXT)

of_this_release = pytest.mark.skipif(
    transformers.__version__ != _WITH,
    reason=f"the document was made with transformers {_WITH}, here is {transformers.__version__}",
)


def bounded(cells):
    """The cells without the last two, what is said of texts and the difference, and the last."""
    return cells[:-2], float(cells[-1].removeprefix("≤ "))


@of_this_release
@pytest.mark.parametrize("name", SAMPLE)
def test_a_row_is_what_it_was(name):
    said, bound = bounded(document.documented(_TEXT)[name])
    row = examining.examine(name)
    now, _ = bounded(document.cells(row))
    assert now == said
    assert row.status == "equal" and row.difference <= bound


@of_this_release
@pytest.mark.parametrize("name", ["llama", "marian", "esm", "tapas"])
def test_what_is_known_of_a_text_is_what_it_was(name):
    assert texts.text_of(name) == document.documented(_TEXT)[name][-2]


@pytest.mark.slow
@of_this_release
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that can be forked")
def test_the_whole_document_is_what_it_was():
    done = subprocess.run(
        [sys.executable, str(_TOOL / "all_types.py"), "--check"],
        capture_output=True,
        text=True,
        timeout=900,
        env={**os.environ, "PYTHONPATH": str(_ROOT), "HF_HUB_OFFLINE": "1"},
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]


def test_the_totals_are_those_that_were_promised():
    covered, equal, different, refused, fitting, before_rotary = (
        int(n) for n in re.findall(r"\*\*(\d+)\*\*", _TEXT)
    )
    assert covered == equal >= 181
    assert different == refused == 0
    assert fitting >= 0.95 * covered
    assert before_rotary >= 128


def test_the_totals_are_those_of_the_table():
    table = _TEXT.partition("## Types that return their attention")[2].partition("\n## ")[0]
    rows = document.documented(table)
    numbers = [int(n) for n in re.findall(r"\*\*(\d+)\*\*", _TEXT)]
    assert len(rows) == numbers[0]
    assert all(bounded(row)[1] <= comparing.EQUAL for row in rows.values())
    assert sum(row[4].split(";")[0] == "all" for row in rows.values()) == numbers[4]
    assert sum(row[6] == "before it" for row in rows.values()) == numbers[5]


def test_every_type_of_transformers_is_in_the_document_once():
    rows = re.findall(r"^\| (\S+) \|", _TEXT, flags=re.MULTILINE)
    names = [name for name in rows if name != "type"]
    assert len(set(names)) == len(names) >= 280
    if transformers.__version__ == _WITH:
        assert set(names) == set(tiny.text_types())


def test_it_is_captured_from_a_model_loaded_by_default():
    built = tiny.tiny("llama")
    assert built.eager.config._attn_implementation == "eager"
    assert built.default.config._attn_implementation == "sdpa"


def test_a_capture_that_fails_is_refused_and_never_silent(monkeypatch):
    def fail(*args, **kwargs):
        raise KeyError("no such thing")

    monkeypatch.setattr(examining.ix, "capture", fail)
    row = examining.examine("bert")
    assert (row.status, row.reason) == ("refused", "the capture fails (KeyError)")


# --- the comparison can fail ------------------------------------------------------------------


@pytest.fixture
def capturing(monkeypatch):
    """Change what is captured before it is compared."""

    def change(part, by):
        original = examining.ix.capture

        def changed(*args, **kwargs):
            captured = original(*args, **kwargs)
            for layers in getattr(captured, part).values():
                layers[-1] = by(layers[-1])
            return captured

        monkeypatch.setattr(examining.ix, "capture", changed)

    return change


@pytest.mark.parametrize(
    "change",
    [
        lambda weights: weights + 2e-5,
        lambda weights: weights.flip(1),
        lambda weights: weights[:, :, 1:],
        lambda weights: weights * float("nan"),
    ],
    ids=["shifted", "other heads", "a row less", "no numbers"],
)
def test_other_attention_is_different(capturing, change):
    capturing("attentions", change)
    assert examining.examine("llama").status == "different"


@pytest.mark.parametrize("part", ["scores", "values", "head_outputs"])
def test_other_parts_do_not_fit_together(capturing, part):
    capturing(part, lambda tensor: tensor.flip(-1))
    assert examining.examine("llama").parts == "do not fit together"


@pytest.mark.parametrize("part", ["queries", "keys"])
def test_other_queries_and_keys_do_not_make_the_scores(capturing, part):
    assert examining.examine("bert").scores == "q·k"
    capturing(part, lambda tensor: tensor.flip(-1))
    assert examining.examine("bert").scores == "q·k and more"


def test_a_difference_is_shown_in_its_row_and_in_the_totals():
    row = examining.examine("bert")
    worse = dataclasses.replace(row, status="different", difference=0.034)
    assert document.cells(worse)[-1] == "3e-02"
    text = document.document([row, worse])
    assert "**2**" in text and "**1** (50%)" in text


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that can be forked")
def test_a_type_that_crashes_or_hangs_costs_one_row(monkeypatch):
    def examine(name, *, text=False):
        if name == "crashes":
            os._exit(11)
        if name == "hangs":
            time.sleep(60)
        return rows_module.Row(name, "equal")

    monkeypatch.setattr(processes, "examine", examine)
    monkeypatch.setattr(processes, "SECONDS", 1)
    rows = processes.examine_all(["bert", "crashes", "hangs", "gpt2"])
    assert [row.status for row in rows] == ["equal", "not built", "not built", "equal"]
    assert [row.reason for row in rows[1:3]] == [
        "its process ended without a result",
        "took over 1 s",
    ]
