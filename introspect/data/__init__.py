"""Readers of coreference collections: they yield one row at a time, and why others are rejected."""

from introspect.data.catalog import COLLECTIONS, Collection, Conversion, convert, read_cases
from introspect.data.conllu import Sentence, SyntaxWord, read_conllu
from introspect.data.gap import read_gap
from introspect.data.inputs import (
    FORMATS,
    Fingerprint,
    Input,
    Inputs,
    find_inputs,
    fingerprint,
    spooled_stdin,
)
from introspect.data.jsonl import (
    case_from_json,
    case_to_json,
    read_jsonl,
    read_located,
    reject_from_json,
    reject_to_json,
    write_jsonl,
)
from introspect.data.kinds import Content, sniff
from introspect.data.outcomes import NO_CHOICE, Outcome, Reject, SeenIds, Tally
from introspect.data.own import grammar_cases, own_cases
from introspect.data.sentences import PlainSentence, read_sentences
from introspect.data.winobias import read_winobias
from introspect.data.winogender import read_winogender
from introspect.data.words_csv import read_words_csv
from introspect.data.xwino import Schemas, read_xwino

__all__ = [
    "COLLECTIONS",
    "FORMATS",
    "NO_CHOICE",
    "Collection",
    "Content",
    "Conversion",
    "Fingerprint",
    "Input",
    "Inputs",
    "Outcome",
    "PlainSentence",
    "Reject",
    "Schemas",
    "SeenIds",
    "Sentence",
    "SyntaxWord",
    "Tally",
    "case_from_json",
    "case_to_json",
    "convert",
    "find_inputs",
    "fingerprint",
    "grammar_cases",
    "own_cases",
    "read_cases",
    "read_conllu",
    "read_gap",
    "read_jsonl",
    "read_located",
    "read_sentences",
    "read_winobias",
    "read_winogender",
    "read_words_csv",
    "read_xwino",
    "reject_from_json",
    "reject_to_json",
    "sniff",
    "spooled_stdin",
    "write_jsonl",
]
