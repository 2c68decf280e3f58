"""What a view is saved and shown as: a page or a picture, as its name says, or nothing."""

from __future__ import annotations

import struct
import sys
import types
import webbrowser
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

import pytest

import introspect as ix
from introspect.errors import IntrospectError, MissingExtraError, OutputError
from introspect.page import Document
from introspect.reporting import Report

from .samples import record_of


def view() -> ix.HeadView:
    return ix.head_view(record_of(), layer=1, heads=[0], token=3)


@pytest.mark.parametrize("name", ["a.html", "a.htm", "A.HTML"])
def test_a_page_is_saved_where_the_name_says_so(tmp_path, name):
    path = view().save(tmp_path / name)
    assert path.read_text(encoding="utf-8") == view().to_html()


@pytest.mark.parametrize("name", ["a.svg", "A.SVG"])
def test_a_picture_is_saved_where_the_name_says_so(tmp_path, name):
    path = view().save(str(tmp_path / name))
    assert path == tmp_path / name
    assert path.read_text(encoding="utf-8") == view().to_svg()
    assert path.read_text(encoding="utf-8").startswith("<svg ")


@pytest.mark.parametrize("name", ["a.foo", "a", "a.jpg", "a.html.txt", ".svg", "a.svgz", "a.eps"])
def test_any_other_name_is_refused_and_nothing_written(tmp_path, name):
    expected = r"ends in \.html, \.svg, \.png or \.pdf, got "
    with pytest.raises(OutputError, match=expected) as error:
        view().save(tmp_path / name)
    assert repr(name) in str(error.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.svg", "a.png", "a.html"])
def test_a_missing_folder_is_named_before_anything_is_drawn(tmp_path, monkeypatch, name):
    monkeypatch.setattr(ix.HeadView, "figure", property(lambda _: pytest.fail("drawn")))
    with pytest.raises(OutputError, match="does not exist"):
        view().save(tmp_path / "missing" / name)


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("a.pdf", "open it in a browser and print it"),
        ("a.svg", r"view\.save"),
        ("a.png", r"view\.save"),
        ("a.foo", "Save it as 'a.html'"),
        ("a", "Save it as 'a.html'"),
    ],
)
def test_a_report_is_a_page_and_no_other_file(tmp_path, name, advice):
    report = Report(html="<p>", finding="", scores=None)
    for save in (report.save, Document("A page").save):
        with pytest.raises(OutputError, match="since a report is a page") as error:
            save(tmp_path / name)
        error.match(advice)
    assert list(tmp_path.iterdir()) == []
    assert report.save(tmp_path / "a.html").read_text(encoding="utf-8") == "<p>"


# --- pixels and print -----------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [".png", ".pdf"])
def test_without_kaleido_the_error_has_the_command_and_what_else_is_needed(
    tmp_path, monkeypatch, ending
):
    monkeypatch.setitem(sys.modules, "kaleido", None)
    (tmp_path / f"a{ending}").write_text("older")
    with pytest.raises(MissingExtraError) as error:
        view().save(tmp_path / f"a{ending}")
    assert f"A picture as {ending} needs the package 'kaleido'" in str(error.value)
    error.match(r'pip install "kaleido>=')
    error.match("Chrome or Chromium, which must be installed too")
    assert (tmp_path / f"a{ending}").read_text() == "older"


class NoChrome(RuntimeError):
    pass


def with_kaleido(monkeypatch, draw) -> None:
    """Put a kaleido in place that draws with a function of figure and options."""
    errors = types.ModuleType("kaleido.errors")
    errors.ChromeNotFoundError = NoChrome
    fake = types.ModuleType("kaleido")
    fake.errors = errors
    fake.calc_fig_sync = lambda figure, opts, kopts: draw(figure, opts, kopts)
    monkeypatch.setitem(sys.modules, "kaleido", fake)
    monkeypatch.setitem(sys.modules, "kaleido.errors", errors)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (NoChrome("x"), r"Expected Chrome or Chromium.*found none\. Install it.*save .* as \.svg"),
        (ValueError("it broke"), r"it failed: it broke\. Save the view as \.svg"),
    ],
)
def test_a_browser_that_is_missing_or_fails_is_told_in_words(tmp_path, monkeypatch, error, said):
    def draw(*_):
        raise error

    with_kaleido(monkeypatch, draw)
    with pytest.raises(OutputError, match=said):
        view().save(tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []


def test_kaleido_is_handed_the_same_picture_and_may_load_nothing(tmp_path, monkeypatch):
    calls = []
    with_kaleido(monkeypatch, lambda *given: calls.append(given) or b"drawn")
    assert view().save(tmp_path / "a.pdf").read_bytes() == b"drawn"
    ((figure, options, more),) = calls
    assert (options["format"], more) == ("pdf", {"mathjax": False})
    source = figure["layout"]["images"][0]["source"].partition("base64,")[2]
    import base64

    assert base64.b64decode(source).decode() == view().to_svg()


@pytest.mark.slow
@pytest.mark.browser
def test_real_pixels_and_print(tmp_path, browser):
    pytest.importorskip("kaleido")
    png = view().save(tmp_path / "a.png").read_bytes()
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", png[16:24])
    assert f'width="{width // 3}" height="{height // 3}"' in view().to_svg()
    pdf = view().save(tmp_path / "a.pdf").read_bytes()
    assert pdf.startswith(b"%PDF") and b"/Font" in pdf and b"/Subtype /Image" not in pdf


# --- shown ----------------------------------------------------------------------------------------


def test_outside_a_notebook_a_view_opens_as_a_page_in_the_browser(monkeypatch):
    opened = []
    monkeypatch.setattr(webbrowser, "open", lambda address: opened.append(address) or True)
    assert view().show() is None
    (address,) = opened
    file = Path(url2pathname(urlparse(address).path))
    assert file.read_text(encoding="utf-8") == view().to_html()
    file.unlink()
    file.parent.rmdir()


def test_without_a_browser_the_page_is_named(monkeypatch):
    monkeypatch.setattr(webbrowser, "open", lambda _: False)
    with pytest.raises(IntrospectError, match=r"found none\. Open '.*view\.html' in one") as error:
        view().show()
    file = Path(str(error.value).split("'")[1])
    assert file.read_text(encoding="utf-8").startswith("<!doctype html>")
    file.unlink()
    file.parent.rmdir()


def test_in_a_notebook_a_view_shows_itself(monkeypatch):
    display = pytest.importorskip("IPython.display")
    shown = []
    monkeypatch.setattr("introspect.views.shown.is_in_notebook", lambda: True)
    monkeypatch.setattr("introspect.views.base.is_in_notebook", lambda: True)
    monkeypatch.setattr(display, "display", shown.append)
    monkeypatch.setattr(webbrowser, "open", lambda _: pytest.fail("a browser opened"))
    own = view()
    assert own.show() is None
    assert shown == [own]


KERNEL = types.SimpleNamespace(kernel=object())


@pytest.mark.parametrize(
    ("shell", "expected"), [(KERNEL, True), (types.SimpleNamespace(), False), (None, False)]
)
def test_only_a_kernel_is_a_notebook(monkeypatch, shell, expected):
    from introspect.views.shown import is_in_notebook

    fake = types.ModuleType("IPython")
    fake.get_ipython = lambda: shell
    monkeypatch.setitem(sys.modules, "IPython", fake)
    assert is_in_notebook() is expected
