"""Readers of coreference collections: they yield one row at a time, and why others are rejected."""

from introspect.cases.catalogue import COLLECTIONS, Collection, read_cases
from introspect.cases.conllu import Sentence, SyntaxWord, read_conllu
from introspect.cases.conversion import Conversion, convert
from introspect.cases.gap import read_gap
from introspect.cases.grammar import grammar_cases
from introspect.cases.jsonl import (
    case_from_json,
    case_to_json,
    read_jsonl,
    read_located,
    reject_from_json,
    reject_to_json,
    write_jsonl,
)
from introspect.cases.lines import RowError
from introspect.cases.own import own_cases
from introspect.cases.reading import NO_CHOICE, Outcome, Reject, SeenIds, Tally
from introspect.cases.winobias import read_winobias
from introspect.cases.winogender import read_winogender
from introspect.cases.words_csv import read_words_csv
from introspect.cases.xwino import Schemas, read_xwino

__all__ = [
    "COLLECTIONS",
    "NO_CHOICE",
    "Collection",
    "Conversion",
    "Outcome",
    "Reject",
    "RowError",
    "Schemas",
    "SeenIds",
    "Sentence",
    "SyntaxWord",
    "Tally",
    "case_from_json",
    "case_to_json",
    "convert",
    "grammar_cases",
    "own_cases",
    "read_cases",
    "read_conllu",
    "read_gap",
    "read_jsonl",
    "read_located",
    "read_winobias",
    "read_winogender",
    "read_words_csv",
    "read_xwino",
    "reject_from_json",
    "reject_to_json",
    "write_jsonl",
]
