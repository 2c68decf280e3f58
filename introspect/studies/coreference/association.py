"""Word association: which candidate goes with the words after the pronoun, before any layer."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from introspect.functional import smallest
from introspect.models import StaticEmbeddings
from introspect.records import TokenSequence
from introspect.text import CorefCase

# Cosines that differ by less are the same: sums in another order differ in the last digits.
_DIGITS = 9


def association_credit(
    tokens: TokenSequence,
    case: CorefCase,
    candidates: Sequence[Sequence[int]],
    embeddings: StaticEmbeddings | None,
) -> float:
    r"""Return the credit of choosing the candidate that is closest in meaning to what follows.

    .. math:: \cos\Big(\frac{1}{|F|} \sum_{t \in F} E_t - \bar E,
              \frac{1}{|C|} \sum_{t \in C} E_t - \bar E\Big)

    of the tokens *F* after the pronoun that are in no candidate, the tokens *C* of a candidate, and
    the input embeddings *E* of the model. No layer and no head has a part in it: *tired* goes with
    *animal*, and *wide* with *street*, wherever they stand.

    Args:
        tokens: the tokens of the case's text.
        case: the case.
        candidates: the tokens of each candidate, as places.
        embeddings: the input embeddings; ``None`` if they are not known.

    Returns:
        From 0 to 1; a tie where nothing follows, and NaN where embeddings are not known or not
        finite.
    """
    antecedents = [candidate.antecedent for candidate in case.candidates]
    followed = _following(tokens, case, {place for own in candidates for place in own})
    if embeddings is None:
        return float("nan")
    if not followed:
        return smallest([0.0] * len(antecedents), antecedents)
    vectors = [
        embeddings.mean_of([tokens.token_ids[place] for place in places])
        for places in (followed, *candidates)
    ]
    known = [vector for vector in vectors if vector is not None]
    if len(known) < len(vectors):
        return float("nan")
    context, *others = known
    cosines = [float(torch.cosine_similarity(context, other, dim=0)) for other in others]
    # Embeddings of a broken checkpoint may not be finite.
    if not all(map(math.isfinite, cosines)):
        return float("nan")
    return smallest([-round(cosine, _DIGITS) for cosine in cosines], antecedents)


def _following(tokens: TokenSequence, case: CorefCase, excluded: set[int]) -> list[int]:
    """Return the tokens with a letter or digit after the pronoun that are in no candidate."""
    return [
        place
        for place, (start, end) in enumerate(tokens.offsets)
        if start >= case.pronoun[1]
        and place not in excluded
        and any(map(str.isalnum, case.text[start:end]))
    ]
