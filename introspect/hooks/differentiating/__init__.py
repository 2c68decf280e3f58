"""How a number changes with the weights of attention.

``graph`` runs a model with its weights in the graph, ``gradients`` takes the slope there, and
``integrating`` the mean slope on the way to it.
"""
