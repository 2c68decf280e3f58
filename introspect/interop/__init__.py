"""Interoperability: show a record in other tools."""
