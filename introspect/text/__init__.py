"""Text: characters, words of Chinese, and mentions."""

from introspect.text.characters import segment_words, shortened, visible, visible_text
from introspect.text.chinese import chinese_words
from introspect.text.english import (
    NO_NUMBER,
    capitalized,
    counted,
    decimal,
    interval,
    listed,
    p_cell,
    p_value,
    percent,
    percent_ends,
    percent_interval,
    quantity,
    sentence,
    signed,
    signed_percent,
    verb,
    whole,
)
from introspect.text.mentions import Candidate, CorefCase, Span, find_mention, occurrences

__all__ = [
    "NO_NUMBER",
    "Candidate",
    "CorefCase",
    "Span",
    "capitalized",
    "chinese_words",
    "counted",
    "decimal",
    "find_mention",
    "interval",
    "listed",
    "occurrences",
    "p_cell",
    "p_value",
    "percent",
    "percent_ends",
    "percent_interval",
    "quantity",
    "segment_words",
    "sentence",
    "shortened",
    "signed",
    "signed_percent",
    "verb",
    "visible",
    "visible_text",
    "whole",
]
