"""Train the small models with known circuits that the package ships.

    python tools/circuits/train.py induction [--out FOLDER]
    python tools/circuits/train.py pronoun --card      # only measure again, and write the card

Each takes less than five minutes on two cores, from a seed. The folder that is written is the one
that ``introspect.load(name)`` reads: configuration, weights, tokenizer and model card.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import copying
import pronoun
import reversal
import torch
from cards import card
from measure import measured
from training import FOLDER, write

import introspect as ix
from introspect.models import Model
from introspect.models.circuits import CIRCUITS

MAKERS = {name: module for module in (copying, reversal, pronoun) for name in module.PLANS}


def main() -> None:
    """Train one model, measure it, and write its folder."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("name", choices=CIRCUITS)
    parser.add_argument("--out", type=Path, default=FOLDER)
    parser.add_argument("--card", action="store_true", help="measure the weights that are there")
    options = parser.parse_args()
    folder = options.out / options.name
    module, tokenizer = _there(folder) if options.card else MAKERS[options.name].train(options.name)
    # Measured as it will be used, without leftover training state.
    model = Model(module, tokenizer, name=options.name)
    with torch.no_grad():
        figures = measured(options.name, model)
    for what, figure in figures.items():
        print(f"{what}: {figure}")
    plan = MAKERS[options.name].PLANS[options.name]
    text = card(options.name, plan, module.num_parameters(), figures)
    if options.card:
        # Loading leaves traces in the tokenizer's settings, which are not to be saved.
        (folder / "README.md").write_text(text, encoding="utf-8")
    else:
        write(module, tokenizer, text, folder)


def _there(folder: Path) -> tuple[Any, Any]:
    model = ix.load(folder, lm_head=True)
    return model.module, model.tokenizer


if __name__ == "__main__":
    main()
