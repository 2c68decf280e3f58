"""Where a view is seen besides its own file: in a browser, a notebook, and as pixels or print."""

from __future__ import annotations

import base64
import sys
import tempfile
import webbrowser
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

from introspect.errors import MissingExtraError, OutputError
from introspect.io import write_atomically

#: Pixels of a PNG for each pixel of the screen, as the page saves it.
SHARPNESS = 3
_BROWSER = "It draws with Chrome or Chromium, which must be installed too; .svg needs neither."


def rendered(svg: str, ending: str) -> bytes:
    """Draw SVG as ``.png`` or ``.pdf`` by kaleido; no network is used.

    Raises:
        MissingExtraError: kaleido is not installed.
        OutputError: there is no Chrome or Chromium, or it failed.
    """
    try:
        import kaleido
        from kaleido.errors import ChromeNotFoundError
    except ImportError as error:
        purpose = f"A picture as {ending}"
        raise MissingExtraError("kaleido", "pictures", purpose, note=_BROWSER) from error
    options = {"format": ending[1:], "scale": SHARPNESS if ending == ".png" else 1}
    try:
        # By default it would load a script for formulas from the network.
        data: bytes = kaleido.calc_fig_sync(_framed(svg), opts=options, kopts={"mathjax": False})
    except ChromeNotFoundError as error:
        raise OutputError(
            f"Expected Chrome or Chromium to draw a picture as {ending}, but kaleido found none. "
            "Install it, or run kaleido_get_chrome; or save the view as .svg, which needs none."
        ) from error
    except Exception as error:
        raise OutputError(
            f"Expected kaleido to draw a picture as {ending}, but it failed: {error}. Save the "
            "view as .svg, which needs no browser."
        ) from error
    return data


def _framed(svg: str) -> dict[str, Any]:
    """Return a Plotly figure of nothing but a picture, since kaleido draws only such figures."""
    root = ElementTree.fromstring(svg)
    source = "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()
    whole = {"x": 0, "y": 1, "sizex": 1, "sizey": 1, "xref": "paper", "yref": "paper"}
    return {
        "data": [],
        "layout": {
            "width": int(root.attrib["width"]),
            "height": int(root.attrib["height"]),
            "margin": {"l": 0, "r": 0, "t": 0, "b": 0},
            "xaxis": {"visible": False},
            "yaxis": {"visible": False},
            "images": [{"source": source, "sizing": "stretch", "layer": "above"} | whole],
        },
    }


def is_in_notebook() -> bool:
    """Return whether this runs in a notebook's kernel."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None


def show_in_notebook(thing: Any, **options: bool) -> None:
    """Display an object below the cell, or with ``raw=True`` what stands for one, by its types."""
    from IPython.display import display

    display(thing, **options)  # type: ignore[no-untyped-call]


def show_in_browser(page: str) -> None:
    """Open a page in the browser, from a file that outlives this program.

    Raises:
        OutputError: there is no browser.
    """
    file = Path(tempfile.mkdtemp(prefix="introspect-")) / "view.html"
    write_atomically(file, page)
    if not webbrowser.open(file.as_uri()):
        raise OutputError(
            f"Expected a browser to show the view in, but found none. Open {str(file)!r} in one."
        )
