"""A model that ends the process which runs it on a certain token."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import BertModel


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

    def act(self, input_ids: Any) -> None:
        if os.getpid() == self.home or not (input_ids == self.token).any():
            return
        before = len(list(self.folder.iterdir()))
        if before < self.times:
            (self.folder / f"{before}").touch()
            os._exit(9)


class Poisoned(BertModel):
    """BERT, with a poison in its configuration, which goes with it to other processes."""

    def forward(self, input_ids=None, attention_mask=None, **named):
        if poison := getattr(self.config, "_poison", None):
            poison.act(input_ids)
        return super().forward(input_ids=input_ids, attention_mask=attention_mask, **named)
