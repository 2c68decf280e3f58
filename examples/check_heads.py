"""In CI: fail if a fine-tuned model has lost heads that point from pronouns to antecedents."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import pandas as pd

import introspect as ix

CASES = [
    ix.CorefCase.from_words(text, pronoun="it", antecedent=antecedent, distractors=[other])
    for text, antecedent, other in (
        ("The animal didn't cross the street because it was too tired.", "animal", "street"),
        ("The trophy didn't fit in the suitcase because it was too big.", "trophy", "suitcase"),
        ("The book didn't fit on the shelf because it was too thick.", "book", "shelf"),
    )
]


def lost_heads(
    before: ix.Model, after: ix.Model, cases: Sequence[ix.CorefCase], allowed: float = 0.1
) -> pd.DataFrame:
    """Return the heads that were right on all cases, and are no longer on so many.

    Args:
        before: the model that was fine-tuned.
        after: the fine-tuned model.
        cases: cases with a pronoun and its possible antecedents.
        allowed: the loss of accuracy that is accepted.
    """
    accuracy = [
        ix.score(model, cases).heads.query("direction == 'pronoun_to_candidate'")
        .set_index(["layer", "head"])["accuracy"]
        for model in (before, after)
    ]  # fmt: skip
    table = pd.DataFrame(dict(zip(("before", "after"), accuracy, strict=True)))
    return table[(table.before == 1) & (table.before - table.after > allowed)]


def main() -> int:
    """Print the heads that were lost; return 1 if there are any."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("before")
    parser.add_argument("after")
    options = parser.parse_args()
    lost = lost_heads(ix.load(options.before), ix.load(options.after), CASES)
    print(lost.to_string() if len(lost) else "No head was lost.")
    return 1 if len(lost) else 0


if __name__ == "__main__":
    raise SystemExit(main())
