"""Stream plain sentences from texts, tables, Parquet, compressed files, folders, and data sets.

Each sentence has an id that is the same on every machine; unreadable input becomes a ``Reject`` in
its place.
"""

from introspect.sentences.fingerprints import Fingerprint, fingerprint
from introspect.sentences.inputs import FORMATS, Input, Inputs, find_inputs, spooled_stdin
from introspect.sentences.reading import PlainSentence, read_sentences
from introspect.sentences.sniffing import sniff

__all__ = [
    "FORMATS",
    "Fingerprint",
    "Input",
    "Inputs",
    "PlainSentence",
    "find_inputs",
    "fingerprint",
    "read_sentences",
    "sniff",
    "spooled_stdin",
]
