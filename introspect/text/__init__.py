"""Text: characters, words of Chinese, and mentions."""

from introspect.text.characters import segment_words, shortened, visible, visible_text
from introspect.text.chinese import chinese_words
from introspect.text.mentions import Candidate, CorefCase, Span, find_mention, occurrences

__all__ = [
    "Candidate",
    "CorefCase",
    "Span",
    "chinese_words",
    "find_mention",
    "occurrences",
    "segment_words",
    "shortened",
    "visible",
    "visible_text",
]
