"""Files about the project agree: the version, the workflows, the hooks and the forms."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

import introspect

ROOT = Path(__file__).resolve().parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("[0-9]*.yml"))
# The elements of a form and what each must have, as GitHub describes them.
ELEMENTS = {"markdown", "textarea", "input", "dropdown", "checkboxes"}


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def read_yaml(path: Path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def targets() -> set[str]:
    """The targets of the Makefile."""
    return set(re.findall(r"^([a-z-]+):(?!=)", text_of("Makefile"), re.MULTILINE))


# --- the version -----------------------------------------------------------------------------


def test_each_promise_of_security_names_tests_that_there_are():
    rows = re.findall(r"^\| (.+) \| (.+) \| (`tests/.+`) \|$", text_of("SECURITY.md"), re.MULTILINE)
    assert len(rows) >= 10
    for promise, _, files in rows:
        for file in re.findall(r"`([^`]+)`", files):
            assert (ROOT / file).is_file(), (promise, file)


def test_the_version_is_in_one_place():
    project = tomllib.loads(text_of("pyproject.toml"))
    assert "version" not in project["project"]
    assert project["project"]["dynamic"] == ["version"]
    path = project["tool"]["hatch"]["version"]["path"]
    assert f'__version__ = "{introspect.__version__}"\n' in text_of(path)


def test_the_citation_names_this_version():
    citation = yaml.safe_load(text_of("CITATION.cff"))
    assert citation["version"] == introspect.__version__
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors", "license"} <= citation.keys()
    assert citation["license"] == tomllib.loads(text_of("pyproject.toml"))["project"]["license"]


def test_the_changelog_has_a_section_for_this_version():
    heading = re.search(r"^## (\S+)", text_of("CHANGELOG.md"), re.MULTILINE)
    assert heading and heading[1] == introspect.__version__


def test_this_version_is_supported():
    line = ".".join(introspect.__version__.split(".")[:2])
    assert f"| {line} | yes |" in text_of("SECURITY.md")


@pytest.mark.parametrize(
    "page",
    [
        *("README.md", "README.zh-CN.md", "docs/tutorial.md"),
        *sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("notebooks/*.ipynb")),
    ],
)
def test_pages_name_the_wheel_without_a_version(page):
    wheels = re.findall(r"introspect_transformers-([\w.<>]+)-py3-none-any", text_of(page))
    assert set(wheels) == {"<version>"}


def test_the_dockerfile_copies_what_there_is_and_installs_extras_that_there_are():
    dockerfile = text_of("Dockerfile")
    copied = re.findall(r"^COPY (.+) \S+$", dockerfile, re.MULTILINE)
    assert all((ROOT / name).exists() for line in copied for name in line.split())
    project = tomllib.loads(text_of("pyproject.toml"))["project"]
    (extras,) = re.findall(r'"\.\[([\w,]+)\]"', dockerfile)
    assert set(extras.split(",")) <= project["optional-dependencies"].keys()
    (model,) = project["optional-dependencies"]["offline"]
    assert f"--no-deps {model}" in dockerfile
    assert all(f"--no-deps {model}" in text_of(page) for page in ("README.md", "README.zh-CN.md"))


# --- what others meet ------------------------------------------------------------------------


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_runs_targets_of_the_makefile_with_few_rights(path):
    workflow = read_yaml(path)
    assert workflow["permissions"] == {"contents": "read"}
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    made = re.findall(r"\bmake ([a-z-]+)", "\n".join(step.get("run", "") for step in steps))
    assert made and set(made) <= targets()
    assert all("timeout-minutes" in job for job in workflow["jobs"].values())


def test_the_workflows_run_every_python_that_the_package_declares():
    project = tomllib.loads(text_of("pyproject.toml"))["project"]
    declared = re.findall(r"Python :: (3\.\d+)", "\n".join(project["classifiers"]))
    matrix = read_yaml(ROOT / ".github/workflows/tests.yml")["jobs"]["test"]["strategy"]["matrix"]
    assert matrix["python"] == declared
    assert project["requires-python"] == f">={declared[0]}"


def test_the_hooks_run_targets_of_the_makefile():
    (local,) = read_yaml(ROOT / ".pre-commit-config.yaml")["repos"]
    assert local["repo"] == "local"
    made = [hook["entry"] for hook in local["hooks"] if hook["language"] == "system"]
    assert made
    assert {entry.removeprefix("make -s ") for entry in made} <= targets()
    # One version of the small checks, however many there are.
    assert len({tuple(hook.get("additional_dependencies", ())) for hook in local["hooks"]}) == 2


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_a_form_is_one_that_github_takes(path):
    form = read_yaml(path)
    assert {"name", "description", "body"} <= form.keys()
    elements = form["body"]
    assert {element["type"] for element in elements} <= ELEMENTS
    asked = [element for element in elements if element["type"] != "markdown"]
    assert asked and all(element["attributes"]["label"] for element in asked)
    names = [element["id"] for element in asked]
    assert len(set(names)) == len(names)
    for element in asked:
        if element["type"] == "dropdown":
            assert len(set(element["attributes"]["options"])) == len(
                element["attributes"]["options"]
            )


def test_the_first_form_is_about_wrong_sentences_and_numbers():
    assert "wrong" in read_yaml(FORMS[0])["name"]


def test_the_source_archive_has_the_files_about_the_project():
    include = tomllib.loads(text_of("pyproject.toml"))["tool"]["hatch"]["build"]["targets"]["sdist"]
    missing = [name for name in include["include"] if not (ROOT / name).exists()]
    assert missing == []
    assert {"SECURITY.md", "CITATION.cff", "CODE_OF_CONDUCT.md", ".github"} <= {*include["include"]}
