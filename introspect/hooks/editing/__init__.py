"""Changing what an attention computes, in models of either kind.

``edits`` says what an edit is and makes it at the attention interface, ``products`` in models that
bypass it, and ``editors`` chooses; ``gates`` are edits that a loss is differentiated by.
"""
