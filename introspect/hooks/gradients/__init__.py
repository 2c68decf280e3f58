"""Derivatives of a number with respect to attention weights.

``graph`` runs a model with its weights in the graph, ``gradients`` computes the gradient at these
weights, and ``integrating`` the mean gradient on the path from zero to them.
"""
