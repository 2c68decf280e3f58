"""The notebooks as they are committed, and what their runner takes for a fault."""

from __future__ import annotations

import copy
import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

import pytest

# Not imported to be found: the readers of notebooks take seconds, in workers too that run no test
# of this file.
pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec(name) is None,
        reason=f"{name} is not installed (the extra notebooks)",
    )
    for name in ("nbclient", "ipykernel")
]

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "notebooks"


@pytest.fixture(scope="module")
def runner() -> Any:
    spec = importlib.util.spec_from_file_location(
        "run_notebooks", ROOT / "tools" / "run_notebooks.py"
    )
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


NAMES = (
    "01_quick_start",
    "02_how_attention_works",
    "03_training_attention",
    "04_reading_heads",
    "05_coreference_on_gap",
    "06_batch_probing",
    "07_coming_from_bertviz",
    "08_atlas",
    "09_own_model",
    "10_figure_for_a_paper",
)


def test_all_notebooks_are_here():
    assert tuple(sorted(path.stem for path in FOLDER.glob("*.ipynb"))) == NAMES


@pytest.fixture(params=NAMES)
def path(request: pytest.FixtureRequest) -> Path:
    return FOLDER / f"{request.param}.ipynb"


# --- as they are committed -------------------------------------------------------------------


def test_it_is_committed_with_its_outputs_and_no_fault(runner, path):
    notebook = runner.read(path)
    cells = list(runner.code_cells(notebook))
    # What only defines and imports gives nothing; every other cell has run, from top to bottom.
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    silent = [cell.source for cell in cells if not cell.outputs]
    assert runner.IN_COLAB in silent[0]
    assert len(silent) <= 3, silent
    assert runner.faults_of(notebook) == []


def test_it_is_written_as_the_runner_writes(runner, path):
    """So that running it again changes nothing but what it gives."""
    notebook = runner.read(path)
    assert runner.written(runner.cleaned(copy.deepcopy(notebook))) == path.read_text("utf-8")


def test_its_first_cell_says_how_to_install(runner, path):
    first = runner.read(path).cells[0]
    assert first.cell_type == "markdown"
    assert 'pip install ".[' in first.source
    assert "introspect_transformers-<version>-py3-none-any.whl[" in first.source
    assert "pip install introspect" not in first.source


def test_its_figures_show_where_scripts_do_not_run(runner, path):
    """A code host shows pictures and tables, and no frames."""
    outputs = [out for cell in runner.code_cells(runner.read(path)) for out in cell.outputs]
    kinds = {kind for out in outputs for kind in out.get("data", {})}
    tables = [out for out in outputs if "<table" in out.get("data", {}).get("text/html", "")]
    assert tables
    assert "image/png" in kinds or path.stem.startswith("07")


# --- with other sentences --------------------------------------------------------------------

CAFE = {"text": "Zoë's café closed; its owner, 李雷, left <b>quietly</b> — naïve?"}
OTHERS: dict[str, list[dict[str, str]]] = {
    "01_quick_start": [
        {
            "text": "Anna told Maria that she had won.",
            "other_text": "Maria told Anna, before the long and tiresome race, that she had lost.",
            "pronoun": "she",
            "antecedent": "Anna",
            "distractor": "Maria",
        },
        {
            "text": "The bookkeeper thanked the xylophonist because he was unflappably generous.",
            "other_text": "The bookkeeper scolded the xylophonist because he was rude.",
            "pronoun": "he",
            "antecedent": "xylophonist",
            "distractor": "bookkeeper",
        },
    ],
    "04_reading_heads": [{"text": "Yes."}, CAFE],
    "07_coming_from_bertviz": [
        {"text": "Yes.", "other_text": "No, never, and I mean it."},
        CAFE | {"other_text": CAFE["text"]},
    ],
    "08_atlas": [
        {
            "text": "Anna told Maria that she had won.",
            "pronoun": "she",
            "antecedent": "Anna",
            "distractor": "Maria",
            "word": "李雷",
        }
    ],
    "09_own_model": [{"text": "Yes."}, CAFE],
    "10_figure_for_a_paper": [
        {
            "text": "Anna told Maria that she had won.",
            "pronoun": "she",
            "antecedent": "Anna",
            "distractor": "Maria",
        }
    ],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_every_cell_survives_another_sentence(runner, name):
    """One kernel for all sentences: its start takes longer than they do."""
    if name.startswith("07"):
        pytest.importorskip("bertviz", reason="bertviz is not installed")
    committed = runner.read(FOLDER / f"{name}.ipynb")
    notebook = copy.deepcopy(committed)
    notebook.cells = [
        cell for texts in OTHERS[name] for cell in runner.with_texts(committed, texts).cells
    ]
    fresh, faults = runner.executed(notebook)
    count = len(committed.cells)
    for place in range(0, len(fresh.cells), count):
        part = runner.nbformat.from_dict({**fresh, "cells": fresh.cells[place : place + count]})
        faults += runner.faults_of(part)
    assert faults == []


@pytest.mark.parametrize("name", OTHERS)
def test_the_first_cell_holds_the_sentence_and_the_model(runner, name):
    notebook = runner.read(FOLDER / f"{name}.ipynb")
    colab, first, *later = runner.code_cells(notebook)
    assert runner.IN_COLAB in colab.source
    given = OTHERS[name][0]
    changed = runner.parameters(runner.with_texts(notebook, given))
    assert all(f"{key} = {text!r}" in changed.source for key, text in given.items())
    assert "model = ix.load(" in first.source or name.startswith("09")  # which makes its own
    # No later cell names a word of the sentence itself.
    own = runner.texts_of(first)
    words = {own[key] for key in own if key in ("pronoun", "antecedent", "distractor")}
    assert not [cell.source for cell in later for word in words if f'"{word}"' in cell.source]


def test_only_texts_of_the_first_cell_can_be_others(runner, tmp_path):
    notebook = runner.read(notebook_of(runner, tmp_path, "text = 'a'\nnumber = 1", "later = 'b'"))
    assert next(runner.code_cells(runner.with_texts(notebook, {"text": "it's"}))).source == (
        'text = "it\'s"\nnumber = 1'
    )
    for name in ("number", "later", "nothing"):
        with pytest.raises(ValueError, match=rf"first cell gives a text, got \['{name}'\]"):
            runner.with_texts(notebook, {name: "c"})


def test_outputs_of_another_sentence_are_not_written(runner, tmp_path):
    path = notebook_of(runner, tmp_path, "text = 'a'")
    with pytest.raises(SystemExit):
        runner.main([str(path), "--write", "--set", "text=b"])


# --- what is a fault -------------------------------------------------------------------------


def notebook_of(runner: Any, tmp_path: Path, *sources: str, outputs: tuple[str, ...] = ()) -> Path:
    """A notebook of cells that have not run, or that once printed something."""
    cells = []
    for number, source in enumerate(sources):
        said = outputs[number : number + 1]
        printed = [{"output_type": "stream", "name": "stdout", "text": text} for text in said]
        cells.append(
            {
                "cell_type": "code",
                "id": f"old-{number}",
                "metadata": {"execution": {"iopub.status.busy": "2020-01-01T00:00:00Z"}},
                "execution_count": None,
                "source": source,
                "outputs": printed,
            }
        )
    content = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    path = tmp_path / "made.ipynb"
    notebook = runner.nbformat.from_dict(content)
    path.write_text(runner.written(notebook), encoding="utf-8")
    return path


def printing(runner: Any, text: str) -> Any:
    """A notebook with one cell that has printed something."""
    output = {"output_type": "stream", "name": "stdout", "text": text}
    cell = {
        **{"cell_type": "code", "id": "a", "metadata": {}, "execution_count": 1, "source": ""},
        "outputs": [output],
    }
    content = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    return runner.nbformat.from_dict(content)


@pytest.mark.slow
def test_a_fresh_kernel_runs_all_cells_and_the_same_again(runner, tmp_path):
    path = notebook_of(
        runner,
        tmp_path,
        "import os, sys\nprint('one', end=' ')\nsys.stdout.flush()\nprint('two')\nstate = 1",
        "print(state, os.environ['HF_HUB_OFFLINE'], os.listdir())",
        "print(sys.executable == os.environ['EXPECTED'], 'http' in os.environ['https_proxy'])",
    )
    with runner.environment({"EXPECTED": sys.executable}):
        assert runner.renew(path) == []
        first = path.read_text("utf-8")
        assert runner.check(path) == []
        assert runner.renew(path) == []
    assert path.read_text("utf-8") == first
    cells = list(runner.code_cells(runner.read(path)))
    assert [cell.outputs[0].text for cell in cells] == ["one two\n", "1 1 []\n", "True True\n"]
    assert [len(cell.outputs) for cell in cells] == [1, 1, 1]
    assert "2020" not in first and '"id": "cell-1"' in first


@pytest.mark.slow
def test_what_goes_wrong_is_told_and_nothing_is_written(runner, tmp_path, capsys):
    path = notebook_of(
        runner,
        tmp_path,
        "import warnings\nwarnings.warn('mind the gap')",
        "1 / 0",
        "print('never')",
    )
    before = path.read_text("utf-8")
    assert runner.main([str(path), "--write"]) == 1
    told = capsys.readouterr().err
    assert "mind the gap" in told and "ZeroDivisionError" in told and "never" not in told
    assert path.read_text("utf-8") == before


@pytest.mark.slow
def test_a_cell_that_asks_a_network_fails(runner, tmp_path):
    path = notebook_of(
        runner, tmp_path, "import urllib.request as r\nr.urlopen('http://example.org', timeout=5)"
    )
    faults = runner.check(path)
    assert any("URLError" in fault and "refused" in fault for fault in faults), faults


def test_other_text_than_the_committed_is_a_fault(runner, tmp_path):
    path = notebook_of(runner, tmp_path, "print(6 * 7)", outputs=("41\n",))
    (fault,) = runner.check(path)
    assert "code cell 1 no longer says '41\\n', but '42\\n'" in fault


@pytest.mark.parametrize(
    ("said", "says", "trains", "is_alike"),
    [
        ("share 0.49999", "share 0.50001", False, True),
        ("share 0.68", "share 0.69", False, False),
        ("loss 0.00013. 0.5012", "loss 0.00015. 0.5008", True, True),
        ("loss 0.00013.", "loss 0.00015.", False, False),
        ("weight 0.50", "weight 0.60", True, False),
        ("41 cases", "42 cases", True, False),
        ("2 heads", "2.0 heads", True, False),
        ("1.5e-09 of it", "2.5e-09 of it", False, True),
        ("L3H1 has 0.68", "L3H2 has 0.68", True, False),
        ("one 0.68", "two 0.68", True, False),
        ("0.68", "0.68 0.68", True, False),
    ],
)
def test_decimals_may_differ_as_processors_round(runner, said, says, trains, is_alike):
    before, after = printing(runner, said), printing(runner, says)
    before.metadata["introspect"] = {"trains": trains}
    assert (runner.differences(before, after) == []) is is_alike


def test_text_is_not_compared_without_the_file_it_was_made_with(runner):
    made = printing(runner, "1")
    made.metadata["introspect"] = {"made_with": ["INTROSPECT_GAP"]}
    assert not runner.is_comparable(made, {})
    assert runner.is_comparable(made, {"INTROSPECT_GAP": "gap.tsv"})
    assert runner.is_comparable(printing(runner, "1"), {})


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (f"see {Path.home()}/file", "path of this machine"),
        ("see /home/someone/file", "path of this machine"),
        (f"see {sys.prefix}/lib", "path of this machine"),
        ("<thing at 0x7f00aa>", "address in memory"),
        ("x" * 3_000_000, "3.0 MB"),
    ],
    ids=["home", "another home", "environment", "address", "size"],
)
def test_what_must_not_be_committed(runner, text, fault):
    (found, *_) = runner.faults_of(printing(runner, text))
    assert fault in found
    assert runner.faults_of(printing(runner, "nothing wrong")) == []


def test_a_picture_that_spells_a_path_is_no_fault(runner):
    assert runner.faults_of(printing(runner, "a" * 60 + "/tmp/" + "b" * 60)) == []
    assert runner.faults_of(printing(runner, "'/tmp/bbbbbbb'"))


def test_the_environment_is_put_back(runner):
    before = dict(os.environ)
    with runner.environment({"HF_HUB_OFFLINE": "perhaps", "NEW_ONE": "1"}):
        assert os.environ["NEW_ONE"] == "1"
    assert dict(os.environ) == before
