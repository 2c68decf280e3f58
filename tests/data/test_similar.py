"""Which sentences are versions of one schema."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from introspect.data.similar import SimilarTexts, are_similar
from introspect.text import segment_words

WORDS = st.lists(st.sampled_from("abc"), min_size=1, max_size=8).map(" ".join)


def slowly(first: str, second: str) -> bool:
    a, b = ([text[s:e] for s, e in segment_words(text)] for text in (first, second))
    head = 0
    while head < min(len(a), len(b)) and a[head] == b[head]:
        head += 1
    tail = 0
    while tail < min(len(a), len(b)) - head and a[-1 - tail] == b[-1 - tail]:
        tail += 1
    return (head + tail) / max(len(a), len(b)) >= 0.5


@given(WORDS, WORDS)
def test_half_of_the_words_from_both_ends(first, second):
    assert are_similar(first, second) == are_similar(second, first) == slowly(first, second)


@given(st.lists(WORDS, max_size=6))
def test_no_version_is_missed(texts):
    groups = SimilarTexts()
    seen: list[str] = []
    for number, text in enumerate(texts):
        group = groups.group_of(text, str(number))
        assert (group != str(number)) == any(slowly(text, other) for other in seen)
        seen.append(text)


def test_versions_share_a_group_wherever_they_are():
    groups = SimilarTexts()
    assert groups.group_of("The fox did not cross it: too wide.", "1") == "1"
    assert groups.group_of("Anna paid Berta since she sold it.", "2") == "2"
    assert groups.group_of("The fox did not cross it: too tired.", "3") == "1"
    # The last words are those of an earlier one.
    assert groups.group_of("Cleo paid Berta since she sold it.", "4") == "2"
    assert groups.group_of("", "5") == "5"
