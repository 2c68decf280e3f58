"""One way to write each number, in Python and on the page, held to one table of examples."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from introspect.text import english

TABLE = json.loads(Path(__file__).with_name("numbers.json").read_text(encoding="utf-8"))
NOT_IN_JSON = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def given_values(arguments):
    return [NOT_IN_JSON.get(a, a) if isinstance(a, str) else a for a in arguments]


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [(name, *example) for name, examples in TABLE.items() for example in examples],
)
def test_a_number_is_written_as_the_table_says(name, arguments, expected):
    assert getattr(english, name)(*given_values(arguments)) == expected


def test_a_long_list_says_how_many_more():
    assert english.listed(range(1, 5), most=2) == "1, 2 and 2 more"
    assert english.listed(range(2), most=2) == "0 and 1"


def test_verbs_agree_with_their_number():
    assert english.verb(1, "is", "are") == "is"
    assert english.verb(0, "is", "are") == "are"


def test_a_note_becomes_a_sentence_with_one_full_stop():
    assert english.sentence("no GPU was there") == "No GPU was there."
    assert english.sentence("L0H1 is alone.") == "L0H1 is alone."
    assert english.sentence("first text: “It ran.”") == "First text: “It ran.”"


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_no_number_is_written_with_a_hyphen_or_an_e(value):
    for written in (english.quantity(value), english.signed(value), english.percent(value)):
        assert not set("-e") & set(written)


@given(st.floats(-1e6, 1e6))
def test_a_decimal_is_the_number_up_to_half_of_its_last_place(value):
    read = float(english.decimal(value, 3).replace("−", "-").replace(",", ""))
    assert abs(read - value) <= 0.0005 + 1e-9
