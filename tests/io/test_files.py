"""Files appear whole or not at all."""

from __future__ import annotations

import os
import stat

import pytest

from introspect.errors import OutputError
from introspect.io import (
    check_destination,
    check_page_file,
    check_view_file,
    write_atomically,
)

is_root = pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")


def test_text_is_written_as_utf_8(tmp_path):
    path = write_atomically(tmp_path / "a.html", "it → animal 猫\n")
    assert path.read_bytes() == "it → animal 猫\n".encode()


def test_line_ends_stay_as_they_are(tmp_path):
    assert write_atomically(tmp_path / "a", "a\nb\r\nc").read_bytes() == b"a\nb\r\nc"


def test_bytes_are_written_as_they_are(tmp_path):
    assert write_atomically(tmp_path / "a", b"\x00\xff").read_bytes() == b"\x00\xff"


def test_an_old_file_is_replaced_and_nothing_else_is_left(tmp_path):
    (tmp_path / "a.html").write_text("old and longer")
    write_atomically(str(tmp_path / "a.html"), "new")
    assert [path.name for path in tmp_path.iterdir()] == ["a.html"]
    assert (tmp_path / "a.html").read_text() == "new"


def test_the_file_obeys_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        path = write_atomically(tmp_path / "a", "x")
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)


@pytest.mark.parametrize("step", ["fdopen", "replace", "chmod"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_leaves_the_old_file_and_no_part(tmp_path, monkeypatch, step, error):
    (tmp_path / "a.html").write_text("old")

    def fail(*_: object, **__: object) -> None:
        raise error

    expected = OutputError if isinstance(error, OSError) else KeyboardInterrupt
    with monkeypatch.context() as patch, pytest.raises(expected):
        if step == "fdopen":
            patch.setattr("os.fdopen", fail)
        else:
            patch.setattr(f"pathlib.Path.{step}", fail)
        write_atomically(tmp_path / "a.html", "new")
    assert [path.name for path in tmp_path.iterdir()] == ["a.html"]
    assert (tmp_path / "a.html").read_text() == "old"


def test_a_failed_write_says_why_and_keeps_the_cause(tmp_path, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", fail)
    with pytest.raises(OutputError, match="No space left on device") as caught:
        write_atomically(tmp_path / "a", "x")
    assert isinstance(caught.value.__cause__, OSError)


def test_text_that_cannot_be_encoded_leaves_nothing(tmp_path):
    with pytest.raises(UnicodeEncodeError):
        write_atomically(tmp_path / "a", "\ud83d")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(OutputError, match=r"'a\.html'.*does not exist"):
        write_atomically(tmp_path / "missing" / "a.html", "x")
    assert not (tmp_path / "missing").exists()


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="is not a folder"):
        write_atomically(tmp_path / "file" / "a.html", "x")


def test_a_folder_in_the_place_of_the_file_is_named(tmp_path):
    (tmp_path / "a.html").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        write_atomically(tmp_path / "a.html", "x")


@is_root
def test_a_folder_that_may_not_be_written_is_named(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(OutputError, match="read-only for you"):
            write_atomically(tmp_path / "a.html", "x")
    finally:
        tmp_path.chmod(0o700)


def test_a_folder_the_system_calls_read_only_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(OutputError, match="read-only for you"):
        check_destination(tmp_path / "a.html")


def test_too_long_a_name_is_an_output_error(tmp_path):
    with pytest.raises(OutputError):
        write_atomically(tmp_path / ("x" * 300), "x")
    assert list(tmp_path.iterdir()) == []


def test_a_destination_is_checked_without_touching_it(tmp_path):
    assert check_destination(tmp_path / "a.html") == tmp_path / "a.html"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("check", [check_destination, check_view_file, check_page_file])
@pytest.mark.parametrize("wrong", [None, 3, b"a.html", ["a.html"]])
def test_what_is_no_name_is_refused_in_words(check, wrong):
    with pytest.raises(OutputError, match="Expected a file name, as a string or a path, got "):
        check(wrong)


@pytest.mark.parametrize(
    ("check", "ending"), [(check_view_file, ".svg"), (check_page_file, ".html")]
)
def test_too_long_a_name_of_a_view_or_page_is_an_output_error(tmp_path, check, ending):
    with pytest.raises(OutputError):
        write_atomically(check(tmp_path / ("x" * 300 + ending)), "x")
