"""Edits of what an attention computes.

``edits`` defines edits and applies them at the attention interface, ``products`` applies them in
models that bypass it, and ``editors`` chooses between the two. ``gates`` are edits with respect to
which a loss is differentiated.
"""
