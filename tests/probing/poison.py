"""A hook that ends the process which runs the model on a certain token."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Poison:
    """Acts in other processes than that which made it.

    Args:
        token: what it looks for in the input.
        times: how often it acts in all.
        folder: where it notes that.
        home: the process that made it.
    """

    token: int
    times: int
    folder: Path
    home: int

    def __call__(self, module: Any, arguments: Any, named: Any) -> None:
        if os.getpid() == self.home or not (named["input_ids"] == self.token).any():
            return
        before = len(list(self.folder.iterdir()))
        if before < self.times:
            (self.folder / f"{before}-{os.getpid()}").touch()
            os._exit(9)
