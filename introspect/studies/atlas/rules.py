"""Rules: where a head with a certain job would look from each token of a text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from introspect.errors import InputError
from introspect.studies.atlas.rule_text import RuleText

#: True where a rule sends a query to a key, ``(num_tokens, num_tokens)``.
Targets = npt.NDArray[np.bool_]
#: A function of a text that returns where its tokens are to look.
RuleFunction = Callable[[RuleText], Targets]


@dataclass(frozen=True)
class Rule:
    """A rule and its words.

    Args:
        targets: the function from a text to ``(num_tokens, num_tokens)``, true where a query is to
            look; a query without such a key is not asked.
        words: where it sends attention, as it stands in a sentence after "goes".
        name: how it is called in a sentence.
        needs: what a text must come with: nothing, tags, a tree, a coreference case, or mentions.
        is_of_special: whether its keys are special tokens; those of other rules never are.
        is_beside: whether it is measured beside the others, and is no head's rule.
    """

    targets: RuleFunction
    words: str
    name: str
    needs: str = ""
    is_of_special: bool = False
    is_beside: bool = False


def previous(text: RuleText, distance: int = 1) -> Targets:
    """Return the token so many places before.

    Example:
        >>> previous(RuleText.of(["a", "b", "c"])).astype(int).tolist()
        [[0, 0, 0], [1, 0, 0], [0, 1, 0]]
    """
    return np.eye(len(text), k=-distance, dtype=bool)


def following(text: RuleText, distance: int = 1) -> Targets:
    """Return the token so many places after.

    Example:
        >>> following(RuleText.of(["a", "b", "c"]), 2).astype(int).tolist()
        [[0, 0, 1], [0, 0, 0], [0, 0, 0]]
    """
    return np.eye(len(text), k=distance, dtype=bool)


def itself(text: RuleText) -> Targets:
    """Return the token itself.

    Example:
        >>> itself(RuleText.of(["a", "b"])).astype(int).tolist()
        [[1, 0], [0, 1]]
    """
    return np.eye(len(text), dtype=bool)


def first(text: RuleText) -> Targets:
    """Return the first token of the text that is not special, for the tokens after it.

    Example:
        >>> first(RuleText.of(["[CLS]", "a", "b"], special=[0])).astype(int).tolist()
        [[0, 0, 0], [0, 0, 0], [0, 1, 0]]
    """
    found = np.zeros((len(text), len(text)), dtype=bool)
    places = np.flatnonzero(~text.is_special)
    if len(places):
        found[places[1:], places[0]] = True
    return found


def special(text: RuleText) -> Targets:
    """Return all special tokens.

    Example:
        >>> special(RuleText.of(["[CLS]", "a"], special=[0])).astype(int).tolist()
        [[1, 0], [1, 0]]
    """
    return np.broadcast_to(text.is_special, (len(text), len(text))).copy()


def same_token_before(text: RuleText) -> Targets:
    """Return earlier occurrences of the same vocabulary entry.

    Example:
        >>> same_token_before(RuleText.of(["a", "b", "a"])).astype(int).tolist()
        [[0, 0, 0], [0, 0, 0], [1, 0, 0]]
    """
    entries = text.entries
    return np.tril(entries[:, None] == entries[None, :], k=-1)


def after_same_token(text: RuleText) -> Targets:
    """Return the tokens that followed earlier occurrences of the same entry (induction).

    Example:
        >>> after_same_token(RuleText.of(["a", "b", "a"])).astype(int).tolist()
        [[0, 0, 0], [0, 0, 0], [0, 1, 0]]
    """
    same = same_token_before(text)
    found = np.zeros_like(same)
    found[:, 1:] = same[:, :-1]
    # What follows the occurrence just before is the token itself.
    np.fill_diagonal(found, False)
    return found


def previous_punctuation(text: RuleText) -> Targets:
    """Return the nearest punctuation mark before.

    Example:
        >>> previous_punctuation(RuleText.of(["a", ",", "b", "c"])).astype(int)[3].tolist()
        [0, 1, 0, 0]
    """
    return nearest_before(text.is_punctuation)


def sentence_start(text: RuleText) -> Targets:
    """Return the first token of the sentence that the token is in, for the tokens after it.

    Example:
        >>> sentence_start(RuleText.of(["a", ".", "b", "c"])).astype(int).tolist()
        [[0, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0]]
    """
    found = np.zeros((len(text), len(text)), dtype=bool)
    start = np.maximum.accumulate(np.where(text.starts_sentence, np.arange(len(text)), -1))
    rows = np.flatnonzero((start >= 0) & ~text.starts_sentence & ~text.is_special)
    found[rows, start[rows]] = True
    return found


def word_start(text: RuleText) -> Targets:
    """Return the first piece of the word that the token continues.

    Example:
        >>> text = RuleText.of(["walk", "##ing", "on"], words=[0, 0, 1])
        >>> word_start(text).astype(int).tolist()
        [[0, 0, 0], [1, 0, 0], [0, 0, 0]]
    """
    found = np.zeros((len(text), len(text)), dtype=bool)
    begin: dict[int, int] = {}
    for place, word in enumerate(text.words):
        if word >= 0 and begin.setdefault(word, place) != place:
            found[place, begin[word]] = True
    return found


def rarest(text: RuleText) -> Targets:
    """Return the token with the largest vocabulary id, for the other tokens.

    Vocabularies list their entries by frequency, or in the order in which they were merged.

    Example:
        >>> rarest(RuleText.of(["a", "b", "c"], ids=[5, 9, 7])).astype(int).tolist()
        [[0, 1, 0], [0, 0, 0], [0, 1, 0]]
    """
    found = np.zeros((len(text), len(text)), dtype=bool)
    ids = np.where(text.is_special, -1, text.ids)
    if len(ids) and ids.max() >= 0:
        found[:, ids == ids.max()] = True
        found[ids == ids.max()] = False
    return found


def noun_before(text: RuleText) -> Targets:
    """Return the nearest noun before.

    Example:
        >>> noun_before(RuleText.of(["cat", "sat"], tags=["NOUN", "VERB"])).astype(int).tolist()
        [[0, 0], [1, 0]]
    """
    return _word_before(text, "NOUN", "PROPN")


def verb_before(text: RuleText) -> Targets:
    """Return the nearest verb before.

    Example:
        >>> verb_before(RuleText.of(["sat", "on"], tags=["VERB", "ADP"])).astype(int).tolist()
        [[0, 0], [1, 0]]
    """
    return _word_before(text, "VERB", "AUX")


def pronoun_to_noun(text: RuleText) -> Targets:
    """Return the nearest noun before, for pronouns.

    Example:
        >>> tags = ["NOUN", "VERB", "PRON"]
        >>> text = RuleText.of(["cat", "saw", "it"], tags=tags)
        >>> pronoun_to_noun(text).astype(int).tolist()
        [[0, 0, 0], [0, 0, 0], [1, 0, 0]]
    """
    return noun_before(text) & text.tagged("PRON")[:, None]


def syntactic_head(text: RuleText) -> Targets:
    """Return the syntactic head of the word.

    Example:
        >>> syntactic_head(RuleText.of(["cats", "sleep"], heads=[1, -1])).astype(int).tolist()
        [[0, 1], [0, 0]]
    """
    governors = text.heads
    found = (governors[:, None] == text.tree_words[None, :]) & (governors >= 0)[:, None]
    return np.asarray(found, dtype=bool)


def dependents(text: RuleText) -> Targets:
    """Return all dependents of the word.

    Example:
        >>> dependents(RuleText.of(["cats", "sleep"], heads=[1, -1])).astype(int).tolist()
        [[0, 0], [1, 0]]
    """
    return syntactic_head(text).T


def antecedent(text: RuleText) -> Targets:
    """Return the antecedents of the case, for its pronoun.

    Example:
        >>> text = RuleText.of(["cat", "ate", "it"], pronoun=[2], antecedent=[0])
        >>> antecedent(text).astype(int).tolist()
        [[0, 0, 0], [0, 0, 0], [1, 0, 0]]
    """
    return text.is_pronoun[:, None] & text.is_antecedent[None, :]


def nearest_before(is_key: npt.NDArray[np.bool_]) -> Targets:
    """Return for every token the nearest marked one before it.

    Example:
        >>> nearest_before(np.array([True, False, False])).astype(int).tolist()
        [[0, 0, 0], [1, 0, 0], [1, 0, 0]]
    """
    found = np.zeros((len(is_key), len(is_key)), dtype=bool)
    last = np.maximum.accumulate(np.where(is_key, np.arange(len(is_key)), -1))
    rows = np.flatnonzero(last[:-1] >= 0) + 1 if len(is_key) else np.zeros(0, np.int64)
    found[rows, last[rows - 1]] = True
    return found


def _word_before(text: RuleText, *tags: str) -> Targets:
    """Return all pieces of the nearest word before with one of these tags."""
    found = nearest_before(text.tagged(*tags))
    rows, keys = found.nonzero()
    # A word of several pieces is one, and a piece of it does not stand before itself.
    of_word = text.tree_words[None, :] == text.tree_words[keys][:, None]
    own = text.tree_words[rows] == text.tree_words[keys]
    found[rows] = of_word & ~own[:, None]
    return found


def _at(distance: int) -> RuleFunction:
    return lambda text: previous(text, -distance) if distance < 0 else following(text, distance)


def _place_rules() -> dict[str, Rule]:
    counts = {2: "second", 3: "third", 4: "fourth"}
    rules = {
        "previous": Rule(previous, "to the previous token", "previous token"),
        "next": Rule(following, "to the next token", "next token"),
    }
    for number, ordinal in counts.items():
        rules[f"before_{number}"] = Rule(
            _at(-number), f"to the {ordinal} token before", f"{ordinal} token before"
        )
        rules[f"after_{number}"] = Rule(
            _at(number), f"to the {ordinal} token after", f"{ordinal} token after"
        )
    return rules


#: Every rule of the package, by name.
RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "special": Rule(special, "to special tokens", "special tokens", is_of_special=True),
        "self": Rule(itself, "to the token itself", "token itself"),
        **_place_rules(),
        "first": Rule(first, "to the first token of the text", "first token of the text"),
        "same_token_before": Rule(
            same_token_before, "to the same token before", "same token before"
        ),
        "after_same_token": Rule(
            after_same_token,
            "to what followed the same token before",
            "what followed the same token before",
        ),
        "previous_punctuation": Rule(
            previous_punctuation, "to the last punctuation mark", "last punctuation mark"
        ),
        "sentence_start": Rule(
            sentence_start, "to the start of the sentence", "start of the sentence"
        ),
        "word_start": Rule(word_start, "to the first piece of the word", "first piece of the word"),
        "rarest": Rule(rarest, "to the rarest token of the text", "rarest token of the text"),
        "noun_before": Rule(
            noun_before, "to the nearest noun before", "nearest noun before", "tags"
        ),
        "verb_before": Rule(
            verb_before, "to the nearest verb before", "nearest verb before", "tags"
        ),
        "pronoun_to_noun": Rule(
            pronoun_to_noun,
            "from a pronoun to the nearest noun before",
            "nearest noun before a pronoun",
            "tags",
        ),
        "syntactic_head": Rule(syntactic_head, "to the syntactic head", "syntactic head", "tree"),
        "dependents": Rule(dependents, "to dependents", "dependents", "tree"),
        "antecedent": Rule(
            antecedent, "from the pronoun to its antecedent", "antecedent of the pronoun", "case"
        ),
    }
)


def targets_of(name: str, rule: Rule, text: RuleText) -> Targets:
    """Return where a rule sends a text, checked, without keys that it does not ask about.

    Raises:
        InputError: the rule raises an error, or does not return a mask of the text.
    """
    try:
        found = np.asarray(rule.targets(text))
    except Exception as error:
        raise InputError(
            f"Expected the rule {name!r} to return where each token looks, but it raised "
            f"{type(error).__name__}: {error}. The text: {text.text[:60]!r}."
        ) from error
    if found.shape != (len(text), len(text)) or found.dtype != np.bool_:
        raise InputError(
            f"Expected the rule {name!r} to return bool of shape ({len(text)}, {len(text)}), true "
            f"where a query is to look, got {found.dtype} of shape {found.shape}. Return "
            "numpy.zeros((len(text), len(text)), dtype=bool) with True at the places."
        )
    return found & (text.is_special if rule.is_of_special else ~text.is_special)
