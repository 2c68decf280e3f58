"""What tests of effects share: the model, its cases, and answers by a hook written by hand."""

from __future__ import annotations

import torch

SIZE = 16  # of a head of the two pronoun models


def slow_margin(model, case, change=None):
    """The model's answer to one case, its heads changed by a hook on the output projection."""
    handle = None
    if change is not None:
        projection = model.module.bert.encoder.layer[0].attention.output.dense

        def before(_, args):
            heads = args[0].clone()
            change(heads.view(*heads.shape[:-1], -1, SIZE))
            return (heads,)

        handle = projection.register_forward_pre_hook(before)
    tokens = model.tokens(case.text)
    with torch.no_grad():
        logits = model.module(input_ids=torch.tensor([tokens.token_ids])).logits[0]
    if handle is not None:
        handle.remove()
    row = logits[tokens.offsets.index(case.pronoun)].double().log_softmax(-1)
    of = {
        c.antecedent: float(row[tokens.token_ids[tokens.offsets.index(c.span)]])
        for c in case.candidates
    }
    return of[True] - of[False]
