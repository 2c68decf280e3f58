"""How often a head is named for a relation that means nothing: trees drawn by chance.

Real attention on real sentences, and trees in which every word's syntactic head and relation are
drawn at random, so that no head can follow them. Prints the share of relations for which some head
passes (adjusted p at most 0.05), and what a table of best heads in-sample would have said. Also how
often a head that does follow one relation is found, planted with a known strength.

    python benchmarks/random_trees.py --model minilm --seeds 20
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import torch

import introspect as ix
from introspect.data import Sentence, SyntaxWord, grammar_cases, own_cases
from introspect.records import AttentionRecord
from introspect.studies.heads import SyntaxAnalyzer
from introspect.text import segment_words

RELATIONS = tuple(f"rel{i}" for i in range(20))
PLANTED = "rel0"


def random_tree(text: str, random: np.random.Generator) -> Sentence:
    """Draw a head for every word but one, and relations by Zipf's law."""
    spans = segment_words(text)
    shares = 1 / np.arange(1, len(RELATIONS) + 1)
    root = int(random.integers(len(spans)))
    words = []
    for index, (start, end) in enumerate(spans):
        others = [j for j in range(len(spans)) if j != index]
        head = None if index == root else int(random.choice(others))
        relation = str(random.choice(RELATIONS, p=shares / shares.sum()))
        words.append(SyntaxWord(text[start:end], (start, end), head, relation))
    return Sentence(text, tuple(words))


def planted(record: AttentionRecord, tree: Sentence, strength: float, seed: int) -> AttentionRecord:
    """Let the first head follow one relation in this share of its pairs."""
    random = np.random.default_rng(seed)
    attentions = record.attentions.clone()
    tokens = [
        [i for i, (s, e) in enumerate(record.keys.offsets) if s < w.span[1] and w.span[0] < e]
        for w in tree.words
    ]
    for index, word in enumerate(tree.words):
        if word.deprel == PLANTED and word.head is not None and random.random() < strength:
            row = torch.full((attentions.shape[-1],), 1e-3)
            row[tokens[word.head]] = 1.0
            attentions[0, 0, tokens[index]] = row / row.sum()
    return replace(record, attentions=attentions)


def relations_of(
    records: Sequence[AttentionRecord], seed: int, strength: float = 0.0
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the tables of heads and of relations on trees drawn by a seed."""
    random = np.random.default_rng(seed)
    analyzer = SyntaxAnalyzer()
    for number, record in enumerate(records):
        tree = random_tree(record.keys.texts[0], random)
        read = planted(record, tree, strength, seed * 10_000 + number) if strength else record
        analyzer.update(read, tree)
    table = analyzer.compute()
    return table, analyzer.relations(table)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="minilm")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--strength", type=float, default=0.6)
    options = parser.parse_args()
    model = ix.load(options.model)
    texts = dict.fromkeys(case.text for case in (*own_cases("en"), *grammar_cases(40)))
    records = [model.capture(text) for text in texts]
    named = in_sample = total = tables = found = 0
    for seed in range(options.seeds):
        table, relations = relations_of(records, seed)
        best = table.loc[table.groupby("relation")["accuracy"].idxmax()]
        in_sample += int((best["accuracy"] > best["baseline_accuracy"]).sum())
        named += int(relations["is_followed"].sum())
        tables += bool(relations["is_followed"].any())
        total += len(relations)
        _, with_head = relations_of(records, seed, options.strength)
        row = with_head[with_head["relation"] == PLANTED].iloc[0]
        found += bool(row["is_followed"] and row["layer"] == 0 and row["head"] == 0)
    print(f"{len(records)} sentences, {options.seeds} seeds, {total} relations that mean nothing")
    print(f"best head in-sample above the best offset in-sample: {in_sample / total:.1%}")
    print(f"relations for which a head is named: {named / total:.1%}")
    print(f"tables in which any head is named: {tables / options.seeds:.1%}")
    print(f"head planted in {options.strength:.0%} of pairs, found: {found / options.seeds:.1%}")


if __name__ == "__main__":
    main()
