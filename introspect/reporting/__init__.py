"""Reports: findings in words, with the views and the provenance beside them.

Each is in the module of its name: a report of one kind loads nothing of the others.
"""
