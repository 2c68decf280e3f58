"""What a head does with pronouns on a corpus: how much of them goes to possible antecedents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from introspect.data import PRONOUNS
from introspect.statistics import share_intervals
from introspect.studies.analyzer import ratio
from introspect.studies.atlas.analyzer import BLOCKS, AtlasSums, is_checking
from introspect.studies.atlas.rule_text import Flags, RuleText
from introspect.studies.atlas.rules import Rule, Targets
from introspect.text import CorefCase, segment_words

#: The name of the rule that is measured where cases are given.
REFERENCE = "reference"


@dataclass(frozen=True)
class Mentions:
    """Words that tell pronouns and possible antecedents where a corpus has no parts of speech.

    A pronoun is one of the cases, or of the language whose list has most of them. A possible
    antecedent is a word before it that ends a candidate of the cases, or has a capital letter and
    does not begin a sentence; a pronoun is none.

    Args:
        pronouns: words in lower case.
        nouns: the last words of candidates, in lower case.
    """

    pronouns: frozenset[str]
    nouns: frozenset[str]

    @classmethod
    def of(cls, cases: Iterable[CorefCase]) -> Mentions:
        """Collect the words of cases.

        Example:
            >>> from introspect.data import grammar_cases
            >>> found = Mentions.of(grammar_cases(4))
            >>> "it" in found.pronouns, "the" in found.nouns
            (True, False)
        """
        pronouns: Counter[str] = Counter()
        nouns = set()
        for case in cases:
            start, end = case.pronoun
            pronouns[case.text[start:end].lower()] += 1
            for candidate in case.candidates:
                start, end = candidate.span
                words = segment_words(case.text[start:end])
                nouns |= {case.text[start + b : start + e].lower() for b, e in words[-1:]}
        known = {
            language: sum(count for word, count in pronouns.items() if word in words)
            for language, words in PRONOUNS.items()
        }
        language = max(known, key=lambda each: known[each])
        listed = PRONOUNS[language] if known[language] else frozenset()
        every = listed | pronouns.keys()
        return cls(every, frozenset(nouns - every))

    def __call__(self, text: RuleText) -> Targets:
        """Return the words before a pronoun that may be its antecedent.

        With parts of speech, these are the nouns and names before a word tagged as a pronoun.

        Example:
            >>> text = RuleText.of(["The", "cat", "saw", "Bob", "when", "it", "ate"])
            >>> Mentions(frozenset({"it"}), frozenset({"cat"}))(text)[5].astype(int).tolist()
            [0, 1, 0, 1, 0, 0, 0]
        """
        if any(text.tags):
            is_pronoun, is_noun = text.tagged("PRON"), text.tagged("NOUN", "PROPN")
        else:
            is_pronoun, is_noun = self._by_words(text)
        return np.asarray(np.tril(is_pronoun[:, None] & is_noun[None, :], k=-1))

    def _by_words(self, text: RuleText) -> tuple[Flags, Flags]:
        forms = dict(enumerate(text.forms))
        begins = {text.words[place] for place in np.flatnonzero(text.starts_sentence).tolist()}
        own = [forms.get(word, "") for word in text.words.tolist()]
        is_pronoun = np.array([form.lower() in self.pronouns for form in own], dtype=bool)
        is_noun = np.array(
            [
                form.lower() in self.nouns or (form[:1].isupper() and word not in begins)
                for form, word in zip(own, text.words.tolist(), strict=True)
            ],
            dtype=bool,
        )
        return is_pronoun, is_noun & ~is_pronoun


def reference_rule(cases: Iterable[CorefCase]) -> Rule:
    """Return the rule from pronouns to possible antecedents, which is nobody's best rule."""
    return Rule(
        Mentions.of(cases),
        "from pronouns to earlier words that may be antecedents",
        "possible antecedent of a pronoun",
        "mentions",
        is_beside=True,
    )


REFERENCE_COLUMNS = (
    "layer", "head", "n_pronoun_rows", "num_groups", "pronoun_rows", "coverage", "coverage_ci_low",
    "coverage_ci_high", "coverage_even", "coverage_mean_of_heads", "part", "part_ci_low",
    "part_ci_high", "part_even", "part_mean_of_heads",
)  # fmt: skip


def reference_table(sums: AtlasSums) -> pd.DataFrame:
    """Return what each head gives from pronouns to possible antecedents, on the checking half.

    ``pronoun_rows`` is the share of its rows that start at a pronoun with a possible antecedent
    before it and another choice, ``num_groups`` the blocks of texts that have one; ``coverage`` is
    the share of their weight outside special tokens that goes there; ``part`` is that weight as a
    share of all that the head gives outside special tokens. Beside each are the 95% interval by
    blocks of texts, even attention of the same weight,
    and the mean of all heads.

    Args:
        sums: what was collected, with ``REFERENCE`` among the rules.
    """
    rule = list(sums.rules).index(REFERENCE)
    blocks = np.flatnonzero(is_checking(np.arange(BLOCKS)))
    blocks = blocks[sums.sums.total[blocks].any((1, 2))]
    size = len(sums.layers) * sums.num_heads
    covered, weight, even = (
        getattr(sums.sums, name)[blocks][..., rule].reshape(len(blocks), size)
        for name in ("covered", "weight", "even")
    )
    total = sums.sums.total[blocks].reshape(len(blocks), size)
    n = sums.sums.n[1].reshape(-1, len(sums.rules))
    columns: dict[str, Any] = {
        "layer": np.repeat(sums.layers, sums.num_heads),
        "head": np.tile(np.arange(sums.num_heads), len(sums.layers)),
        "n_pronoun_rows": n[:, rule],
        "num_groups": np.count_nonzero(weight > 0, axis=0),
        "pronoun_rows": ratio(n[:, rule], n.max(-1)),
    }
    for name, whole in (("coverage", weight), ("part", total)):
        share = ratio(covered.sum(0), whole.sum(0))
        low, high = share_intervals(covered, whole)
        columns |= {
            name: share,
            f"{name}_ci_low": low,
            f"{name}_ci_high": high,
            f"{name}_even": ratio(even.sum(0), whole.sum(0)),
            f"{name}_mean_of_heads": np.nanmean(share) if np.isfinite(share).any() else np.nan,
        }
    return pd.DataFrame(columns)[list(REFERENCE_COLUMNS)]
