"""Studies: the questions asked of a model, each with the tables that answer it."""
