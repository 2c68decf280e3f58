"""Numbers, lists and counts in English: one way to write each, for everything a person reads.

``page/assets/numbers.js`` writes them alike for the page; ``tests/text/numbers.json`` is the table
of examples that both are held to. Ties are rounded away from zero, as JavaScript and Plotly do.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Context, Decimal

#: Written where there is no number: NaN or nothing.
NO_NUMBER = "–"

_SMALL = 0.001
_LARGE = 100
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
# As many digits as any float has before and after its point.
_EXACT = Context(prec=1100, rounding=ROUND_HALF_UP)


def decimal(value: float | None, places: int = 2) -> str:
    """Return a number with a fixed number of decimals.

    Example:
        >>> decimal(0.678), decimal(-0.2), decimal(-0.001), decimal(1024, 1)
        ('0.68', '−0.20', '0.00', '1,024.0')
    """
    if value is None or math.isnan(value):
        return NO_NUMBER
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    rounded = Decimal(float(value)).quantize(Decimal(1).scaleb(-places), context=_EXACT)
    return f"{'−' if rounded < 0 else ''}{abs(rounded):,.{places}f}"


def signed(value: float | None, places: int = 2) -> str:
    """Return a number with its sign; one that rounds to 0 has none.

    Example:
        >>> signed(-0.126), signed(0.5, 1), signed(0.001)
        ('−0.13', '+0.5', '0.00')
    """
    return _with_plus(decimal(value, places))


def whole(value: float | None) -> str:
    """Return a whole number, with commas between thousands.

    Example:
        >>> whole(1024)
        '1,024'
    """
    return decimal(value, 0)


def quantity(value: float | None) -> str:
    """Return a number of any size with three significant digits.

    Below 0.001 it has two and a power of ten; from 100 on it is whole.

    Example:
        >>> quantity(19.0026), quantity(-0.000146), quantity(1234.5), quantity(0)
        ('19.0', '−1.5·10⁻⁴', '1,235', '0')
    """
    if value is None or not math.isfinite(value):
        return decimal(value)
    if value == 0:
        return "0"
    size = abs(float(value))
    sign = "−" if value < 0 else ""
    if size >= _LARGE:
        return f"{sign}{whole(size)}"
    rounded = Context(prec=2 if size < _SMALL else 3, rounding=ROUND_HALF_UP).create_decimal(size)
    exponent = rounded.adjusted()
    if size < _SMALL:
        return f"{sign}{rounded.scaleb(-exponent):.1f}·10{str(exponent).translate(_RAISED)}"
    return f"{sign}{rounded:.{2 - exponent}f}"


def percent(value: float | None, places: int = 1) -> str:
    """Return a share in percent.

    Example:
        >>> percent(0.681), percent(0.3, 0), percent(float("nan"))
        ('68.1%', '30%', '–')
    """
    return _with_unit(decimal(_hundredfold(value), places))


def signed_percent(value: float | None, places: int = 1) -> str:
    """Return a difference of shares in percentage points, with its sign.

    Example:
        >>> signed_percent(-0.021)
        '−2.1'
    """
    return signed(_hundredfold(value), places)


def interval(low: str, high: str) -> str:
    """Return a 95% confidence interval from its two ends; empty where there is none.

    Example:
        >>> interval("65.2", "74.5"), interval("−0.30", "0.12"), interval("–", "–")
        (' (95% CI 65.2–74.5)', ' (95% CI −0.30 to 0.12)', '')
    """
    if NO_NUMBER in (low, high):
        return ""
    # A dash beside a sign would read as another sign.
    is_signed = any(end.startswith(("−", "+")) for end in (low, high))
    return f" (95% CI {low}{' to ' if is_signed else '–'}{high})"


def percent_interval(value: float | None, low: float | None, high: float | None) -> str:
    """Return a share in percent with its 95% interval, where there is one.

    Example:
        >>> percent_interval(0.7, 0.652, 0.745)
        '70.0% (95% CI 65.2–74.5)'
    """
    return f"{percent(value)}{percent_ends(low, high)}"


def percent_ends(low: float | None, high: float | None) -> str:
    """Return the 95% interval of a share in percent, to follow the share and what it is of.

    Example:
        >>> percent_ends(0.652, 0.745)
        ' (95% CI 65.2–74.5)'
    """
    return interval(*(decimal(_hundredfold(end), 1) for end in (low, high)))


def p_value(value: float | None) -> str:
    """Return a p-value for a sentence.

    Example:
        >>> p_value(0.0123), p_value(0.0002)
        ('p = 0.012', 'p < 0.001')
    """
    cell = p_cell(value)
    return f"p {cell}" if cell.startswith("<") else f"p = {cell}"


def p_cell(value: float | None) -> str:
    """Return a p-value for a table whose column says that it is one.

    Example:
        >>> p_cell(0.0123), p_cell(0.0002)
        ('0.012', '< 0.001')
    """
    return f"< {_SMALL}" if value is not None and value < _SMALL else decimal(value, 3)


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun.

    Args:
        number: how many there are.
        noun: the noun for one.
        plural: the noun for several; with an added *s* by default.

    Example:
        >>> counted(1, "group"), counted(1024, "group"), counted(2, "query", "queries")
        ('1 group', '1,024 groups', '2 queries')
    """
    return f"{whole(number)} {noun if number == 1 else plural or f'{noun}s'}"


def verb(number: int, singular: str, plural: str) -> str:
    """Return the form of a verb that agrees with a number of things."""
    return singular if number == 1 else plural


def listed(names: Iterable[object], last: str = "and", *, most: int | None = None) -> str:
    """Return names as a list in words; of many the first, and how many more.

    Example:
        >>> listed("abc"), listed("ab", "or"), listed("abcd", most=2)
        ('a, b and c', 'a or b', 'a, b and 2 more')
    """
    parts = [str(name) for name in names]
    if most is not None and len(parts) > most:
        parts = [*parts[:most], f"{whole(len(parts) - most)} more"]
    return f" {last} ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]]))


def capitalized(text: str) -> str:
    """Return a text with its first letter large and the others as they are."""
    return text[:1].upper() + text[1:]


def sentence(note: str) -> str:
    """Return a note as a sentence: its first letter large, and a full stop unless it has an end.

    Example:
        >>> sentence("first text: “It sat.”"), sentence("no text")
        ('First text: “It sat.”', 'No text.')
    """
    ends = note.endswith((".", ".”", "!”", "?”"))
    return capitalized(note) if ends else f"{capitalized(note)}."


def _hundredfold(value: float | None) -> float | None:
    return None if value is None else 100 * value


def _with_plus(text: str) -> str:
    has_sign = text.startswith("−") or not text.strip("0.,") or text == NO_NUMBER
    return text if has_sign else f"+{text}"


def _with_unit(text: str) -> str:
    return text if text == NO_NUMBER else f"{text}%"
