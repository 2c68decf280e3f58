"""A registry, by name, of the analyzers that process a model's attention batch by batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from introspect.errors import SelectionError
from introspect.studies.atlas import ATLAS_KIND, AtlasAnalyzer
from introspect.studies.coreference import CoreferenceAnalyzer
from introspect.studies.heads import (
    PatternsAnalyzer,
    RolesAnalyzer,
    SimilarityAnalyzer,
    SyntaxAnalyzer,
)


@dataclass(frozen=True)
class AnalyzerKind:
    """An analyzer and its inputs.

    Args:
        make: the class, a ``BatchAnalyzer``; it returns an empty analyzer.
        description: what it finds, in one line.
        takes: what a text must come with: a coreference case, nothing, or a treebank's sentence.
        options: the names of the options that the class takes.
    """

    make: Any
    description: str
    takes: Literal["cases", "sentences", "conllu"]
    options: tuple[str, ...] = ()


#: Every batch analyzer, by its name on the command line.
ANALYZERS: Mapping[str, AnalyzerKind] = MappingProxyType(
    {
        "coreference": AnalyzerKind(
            CoreferenceAnalyzer,
            "which heads attend from a pronoun to its antecedent, beside baselines and held out",
            takes="cases",
            options=("mention", "weights", "last_position"),
        ),
        "patterns": AnalyzerKind(
            PatternsAnalyzer,
            "positional heads and the shape of every head's patterns: vertical, diagonal, block, …",
            takes="sentences",
        ),
        "roles": AnalyzerKind(
            RolesAnalyzer,
            "entropy, sinks, positions, repetitions, punctuation and distance of every head",
            takes="sentences",
        ),
        "similarity": AnalyzerKind(
            SimilarityAnalyzer,
            "how far apart every two heads are; several times the cost of the model on long texts",
            takes="sentences",
        ),
        "syntax": AnalyzerKind(
            SyntaxAnalyzer,
            "which heads follow which relation of a treebank, beside the best fixed offset",
            takes="conllu",
        ),
    }
)


#: The analyzer of the command ``atlas``, which has no table for a probe.
ATLAS = AnalyzerKind(
    AtlasAnalyzer,
    "what every head does: rules, distributions, vocabulary entries and examples",
    takes="sentences",
    options=("examples", "rules", "pos"),
)


def find_analyzer(name: str) -> AnalyzerKind:
    """Return the analyzer with this name.

    Raises:
        SelectionError: there is no analyzer with this name.

    Example:
        >>> find_analyzer("roles").takes
        'sentences'
    """
    if name == ATLAS_KIND:
        return ATLAS
    if name not in ANALYZERS:
        raise SelectionError(
            f"Expected an analyzer from {', '.join(sorted(ANALYZERS))}, got {name!r}."
        )
    return ANALYZERS[name]
