"""What becomes of the heads' outputs: the ``projection``, the ``blocks``, what is ``derived``."""
