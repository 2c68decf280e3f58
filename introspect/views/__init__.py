"""Views: a record becomes a Plotly figure, and a section of a page with its interaction."""
