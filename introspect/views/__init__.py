"""Views that turn a record into a Plotly figure and an interactive section of a page."""
