"""Views that turn a record into a Plotly figure and an interactive section of a page."""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
