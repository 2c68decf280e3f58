"""The app: captures, views, and reports in a browser on this machine.

    server     where it listens, and what it may do
    offered    what the app is started with
    entries    what a form holds, as the library takes it; an example for each bundled model
    form       the fields for a text and a model, which pages share
    uploads    an uploaded file, checked and probed
    cached     models, records and results of the library, kept for reuse
    tables     tables of numbers from records and results, and the colors of their cells
    display    words, views and tables on the screen; errors as messages
    chinese    Chinese translations; those of the views’ own pages are in ``chinese_of_pages``
    pages/     one file for each page, and the frame around them

It computes nothing of its own: it asks the library, and shows what that returns. Only ``cached``,
``form``, ``display``, ``server`` and the pages import Streamlit.
"""

from introspect.app.server import LOOPBACK, address_of, check_start, serve

__all__ = [
    "LOOPBACK",
    "address_of",
    "check_start",
    "serve",
]
