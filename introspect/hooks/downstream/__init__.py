"""The heads' outputs in their ``projection`` and ``blocks``, and the parts ``derived`` there."""
