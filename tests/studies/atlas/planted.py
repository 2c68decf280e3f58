"""Texts with pieces of words, repetitions and sentences, and heads made to follow a rule."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from introspect.data import Sentence, SyntaxWord
from introspect.records import TokenSequence
from introspect.studies.analyzer import Texts
from introspect.studies.atlas import RULES, AtlasAnalyzer, RuleText
from introspect.studies.atlas.rules import targets_of

_TAGS = ("NOUN", "VERB", "PRON", "ADP", "DET")
#: Rules that plain texts have keys for.
PLAIN = tuple(name for name, rule in RULES.items() if not rule.needs)
#: Rules that a treebank has keys for.
OF_TREES = tuple(name for name, rule in RULES.items() if rule.needs in ("", "tags", "tree"))


def text(seed: int, *, words: int = 22, special: bool = True) -> tuple[TokenSequence, Sentence]:
    """Return a text of drawn words, some of two pieces, in sentences, with a drawn tree."""
    random = np.random.default_rng(seed)
    tokens, ids, word_ids, offsets, forms = [], [], [], [], []
    place = 0
    for number in range(words):
        is_stop = number % 7 == 6 or number == words - 1
        is_comma = not is_stop and random.random() < 0.1 and number > 0
        entry = int(random.integers(60))
        pieces = ["."] if is_stop else [","] if is_comma else [f"w{entry}"]
        if len(pieces[0]) > 1 and entry % 4 == 0:
            pieces.append("ing")
        start = place
        for piece in pieces:
            tokens.append(piece)
            ids.append(1000 if piece == "ing" else 2 if piece in ".," else 10 + entry)
            word_ids.append(number)
            offsets.append((place, place + len(piece)))
            place += len(piece)
        tag = "PUNCT" if is_stop or is_comma else _TAGS[entry % len(_TAGS)]
        head = None if number == 0 else int(random.integers(number))
        forms.append(SyntaxWord("".join(pieces), (start, place), head, "dep", tag))
        place += 1
    said = " ".join(word.form for word in forms)
    ends = (1,) * special
    sequence = TokenSequence(
        tokens=("[CLS]",) * special + tuple(tokens) + ("[SEP]",) * special,
        token_ids=ends + tuple(ids) + ends,
        offsets=((0, 0),) * special + tuple(offsets) + ((0, 0),) * special,
        word_ids=(None,) * special + tuple(word_ids) + (None,) * special,
        special_tokens_mask=(True,) * special + (False,) * len(tokens) + (True,) * special,
        sequence_ids=(None,) * special + (0,) * len(tokens) + (None,) * special,
        words=tuple(word.form for word in forms),
        texts=(said,),
    )
    return sequence, Sentence(said, tuple(forms))


def pattern(
    sequence: TokenSequence,
    item: Sentence | None,
    rules: Sequence[str],
    random: np.random.Generator,
    *,
    weight: float = 0.7,
    causal: bool = False,
) -> torch.Tensor:
    """Return a head for each rule, which gives its keys that much; a random one for no name."""
    read = RuleText.read(sequence, item)
    visible = np.tri(len(sequence), dtype=bool) if causal else np.ones((len(sequence),) * 2, bool)
    heads = []
    for name in rules:
        noise = random.gamma(1.0, size=visible.shape) * visible
        rows = noise / noise.sum(-1, keepdims=True)
        if name:
            on = targets_of(name, RULES[name], read) & visible
            share = on * random.gamma(4.0, size=on.shape)
            total = share.sum(-1, keepdims=True)
            to_rule = np.divide(share, total, out=np.zeros_like(share), where=total > 0)
            rows = np.where(total > 0, weight * to_rule + (1 - weight) * rows, rows)
        heads.append(rows)
    return torch.from_numpy(np.stack(heads)).float()


def analyzed(
    rules: Sequence[str],
    seed: int,
    *,
    num_texts: int = 120,
    trees: bool = True,
    causal: bool = False,
    weight: float = 0.7,
    words: int = 22,
) -> AtlasAnalyzer:
    """Return an analyzer that has read texts with one planted head for each rule."""
    random = np.random.default_rng(seed)
    analyzer = AtlasAnalyzer()
    for number in range(num_texts):
        sequence, tree = text(1000 * seed + number, words=words)
        item = tree if trees else None
        analyzer.begin(Texts((sequence,), (item,), None, (f"t{number}",)))
        made = pattern(sequence, item, rules, random, weight=weight, causal=causal)
        shown = torch.ones(made.shape[-1], made.shape[-1], dtype=torch.bool)
        analyzer.see(0, made[None], (shown.tril() if causal else shown)[None, None])
        analyzer.end()
    return analyzer
