"""Other tools: a record of ours, shown by them."""
