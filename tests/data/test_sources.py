"""Sources that hide, loop, hang or change: noticed, refused, or read once."""

from __future__ import annotations

import io
import os
import socket
import sys
from pathlib import Path

import pytest

import introspect as ix
from introspect.data import InputSet, find_inputs, read_jsonl, read_texts
from introspect.errors import InputError
from introspect.io import opened, read_lines, stdin, tree_of
from introspect.records import AttentionRecord

posix = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no FIFOs here")


def text_in(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"The text of {name}.\n", encoding="utf-8")
    return folder


def names_of(given: object) -> list[str]:
    return [item.name for item in find_inputs(given)]


# --- links ------------------------------------------------------------------------------------


def loop_above(folder: Path) -> None:
    (folder / "sub" / "up").symlink_to(folder, target_is_directory=True)


def loop_beside(folder: Path) -> None:
    (folder / "again").symlink_to(folder / "sub", target_is_directory=True)


def loop_of_itself(folder: Path) -> None:
    (folder / "sub" / "here").symlink_to(folder / "sub", target_is_directory=True)


@pytest.mark.parametrize("link", [loop_above, loop_beside, loop_of_itself])
@pytest.mark.parametrize("given", ["", "**/*.txt", "**"])
def test_each_file_is_found_once_whatever_links_there_are(tmp_path, link, given):
    link(text_in(tmp_path / "data", "a.txt", "sub/b.txt"))
    found = names_of(str(tmp_path / "data" / given))
    assert len(found) == 2
    assert {Path(name).name for name in found} == {"a.txt", "b.txt"}


def test_a_linked_folder_is_read_too(tmp_path):
    text_in(tmp_path / "elsewhere", "b.txt")
    text_in(tmp_path / "data", "a.txt")
    (tmp_path / "data" / "more").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert names_of(tmp_path / "data") == ["a.txt", "more/b.txt"]


def test_a_link_that_leads_nowhere_is_named(tmp_path):
    text_in(tmp_path, "a.txt")
    (tmp_path / "gone.txt").symlink_to(tmp_path / "nowhere")
    for given in (tmp_path, str(tmp_path / "*.txt")):
        with pytest.raises(InputError, match=r"gone\.txt"):
            find_inputs(given)


# --- what is no file ------------------------------------------------------------------------------


def fifo(path: Path) -> None:
    os.mkfifo(path)


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def a_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@posix
@pytest.mark.parametrize(
    ("make", "kind"), [(fifo, "a FIFO"), (a_socket, "a socket"), (a_device, "a device")]
)
def test_what_is_no_file_is_refused_before_it_is_opened(tmp_path, monkeypatch, make, kind):
    folder = text_in(tmp_path / "d", "a.txt")
    monkeypatch.chdir(folder)  # the name of a socket is short
    make(Path("b.txt"))
    for given in ("b.txt", folder, str(folder / "*.txt"), str(folder / "**" / "*.txt")):
        with pytest.raises(InputError, match=kind):
            find_inputs(given)
    for read in (opened, lambda path: list(read_lines(path)), lambda path: list(read_jsonl(path))):
        with pytest.raises(InputError, match=kind):
            read("b.txt")
    with pytest.raises(ix.IntrospectError, match=kind):
        AttentionRecord.load("b.txt")


@posix
def test_a_fifo_is_no_page_no_plan_and_no_table(tmp_path):
    for name in ("a.html", "run.json", "effects.csv", "summary.json"):
        os.mkfifo(tmp_path / name)
    with pytest.raises(InputError, match="0 HTML pages"):
        ix.report_index(tmp_path)
    with pytest.raises(InputError, match="a FIFO"):
        ix.causal_view(tmp_path)
    os.mkdir(tmp_path / "attention")
    os.mkfifo(tmp_path / "attention" / "index.jsonl")
    with pytest.raises(InputError, match="a FIFO"):
        ix.SavedAttention(tmp_path)


# --- folders that may not be read -----------------------------------------------------------------


@pytest.fixture
def closed(tmp_path, monkeypatch) -> Path:
    """A folder with a part that may not be read, whoever runs the tests."""
    text_in(tmp_path / "data", "a.txt", "secret/b.txt")
    scandir = os.scandir

    def refusing(path=".", *args):
        if Path(os.fspath(path)).name == "secret":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path, *args)

    monkeypatch.setattr(os, "scandir", refusing)
    return tmp_path / "data"


@pytest.mark.parametrize("given", ["", "**", "**/*.txt"])
def test_a_folder_with_an_unreadable_part_is_refused(closed, given):
    with pytest.raises(InputError, match="secret' may not be read"):
        find_inputs(str(closed / given))


def test_named_files_beside_an_unreadable_part_are_read(closed):
    assert names_of(closed / "a.txt") == ["a.txt"]
    assert names_of(str(closed / "*.txt")) == ["a.txt"]


def test_a_list_of_pages_says_what_it_could_not_look_into(closed):
    from tests.views.samples import record_of

    ix.head_view(record_of("Ann saw Bo")).save(closed / "a.html")
    assert "1 folder that may not be read" in ix.report_index(closed).read_text(encoding="utf-8")


def test_a_tree_is_told_apart(tmp_path):
    text_in(tmp_path, "b.txt", "a/c.txt", ".hidden/d.txt")
    tree = tree_of(tmp_path)
    assert [path.as_posix() for path in tree.files] == ["a/c.txt", "b.txt"]
    assert tree.unreadable == tree.others == ()
    assert len(tree_of(tmp_path, hidden=True).files) == 3


# --- names ----------------------------------------------------------------------------------------

ODD = os.fsdecode(b"caf\xe9.txt")


@pytest.fixture
def odd(tmp_path) -> Path:
    """A file whose name is no UTF-8."""
    try:
        (tmp_path / ODD).write_text("One.\n")
    except OSError:
        pytest.skip("names are UTF-8 here")
    return tmp_path


def test_a_name_that_is_no_text_is_refused_in_words(odd):
    for given in (odd / ODD, odd, str(odd / "*.txt"), [odd / ODD]):
        with pytest.raises(InputError, match=r"name in UTF-8, got b'.*caf\\xe9.txt'. Rename") as e:
            find_inputs(given)
        str(e.value).encode()


def test_a_page_of_such_a_name_is_listed_by_its_bytes(odd):
    from tests.views.samples import record_of

    ix.head_view(record_of("Ann saw Bo")).save(odd / "a.html")
    (odd / "a.html").rename(odd / os.fsdecode(b"caf\xe9.html"))
    assert "caf%E9.html" in ix.report_index(odd).read_text(encoding="utf-8")


def test_a_model_in_such_a_folder_is_refused_in_words(odd):
    place = odd / os.fsdecode(b"m\xe9")
    place.mkdir()
    (place / "config.json").write_text("{}")
    with pytest.raises(ix.IntrospectError, match="UTF-8") as caught:
        ix.load(place)
    str(caught.value).encode()


# --- standard input -------------------------------------------------------------------------------


def give(monkeypatch, content: bytes, raw: type = io.BytesIO) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(raw(content), encoding="utf-8"))


class Pipe(io.BytesIO):
    """A stream that cannot be asked for its place."""

    def seekable(self) -> bool:
        return False


@pytest.mark.parametrize("raw", [io.BytesIO, Pipe])
def test_standard_input_is_read_from_its_start_each_time(monkeypatch, raw):
    give(monkeypatch, b"one\ntwo\n", raw)
    first = read_lines("-")
    assert next(first).raw == "one"
    assert [row.raw for row in read_lines("-")] == ["one", "two"]
    assert [row.raw for row in first] == ["two"]
    assert read_texts(InputSet("-")) == ["one", "two"]


@pytest.mark.parametrize("take", [1, 5, None])
def test_standard_input_that_was_read_before_is_refused(monkeypatch, take):
    give(monkeypatch, b"one\ntwo\n")
    sys.stdin.buffer.read(take)
    with pytest.raises(InputError, match="bytes of it have been read already"):
        stdin()
    with pytest.raises(InputError, match="read already"):
        find_inputs("-")


def test_standard_input_without_anything_is_said(monkeypatch):
    for raw in (io.BytesIO, Pipe):
        give(monkeypatch, b"", raw)
        with pytest.raises(InputError, match="it is empty, or has been read before"):
            find_inputs("-")
    give(monkeypatch, b"one\n", Pipe)
    sys.stdin.buffer.read()
    with pytest.raises(InputError, match="it is empty, or has been read before"):
        find_inputs("-")
