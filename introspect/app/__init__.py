"""The app: the same captures, views and reports, in a browser on this machine.

    starting     the server: where it listens, and what it may do
    examples     a text for each model that comes with the package
    questions    from a form to what is asked of a model
    tables       from a record to tables of numbers
    uploads      an uploaded file, checked and probed
    cached       models and records that were had before
    words        the app in Chinese
    marking      texts as Streamlit must be given them
    frames       pages that tell their frame how tall they are
    drawing      words, views and tables on the screen; errors as messages
    pages/       one file for each page, and the frame around them

What is asked and what is computed knows nothing of the screen: only ``cached``, ``drawing`` and
the pages import Streamlit.
"""
