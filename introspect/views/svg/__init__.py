"""A Plotly figure as SVG, written here: text stays text, and nothing is loaded or run.

It draws what the views' figures consist of: maps, lines, points, bars, shapes, pictures, words,
axes, color bars and a legend. What a figure leaves open is filled in as Plotly does.
"""

from introspect.views.svg.figure import svg_of
from introspect.views.svg.labels import plain_of

__all__ = ["plain_of", "svg_of"]
