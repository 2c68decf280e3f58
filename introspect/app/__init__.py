"""The app: captures, views, and reports in a browser on this machine.

    starting     the server: where it listens, and what it may do
    examples     an example text for each bundled model
    questions    form values turned into a question for a model
    asking       a model's output for a text: hidden states and predicted words
    removal      a text before and after heads are ablated
    effects      the effect of each head on the answer to one case
    tables       tables of numbers made from a record
    uploads      an uploaded file, checked and probed
    cached       models and records kept for reuse
    words        Chinese translations
    marking      texts escaped for Streamlit's Markdown
    frames       pages that report their height to their frame
    choosing     fields that several pages share
    drawing      words, views and tables on the screen; errors as messages
    pages/       one file for each page, and the frame around them

Questions and computations do not depend on the screen: only ``cached``, ``choosing``,
``drawing``, ``form``, and the pages import Streamlit.
"""

from introspect.app.server import LOOPBACK, address_of, check_start, serve

__all__ = [
    "LOOPBACK",
    "address_of",
    "check_start",
    "serve",
]
