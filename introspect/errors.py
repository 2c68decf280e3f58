"""Every error the package raises.

    IntrospectError
    ├── InputError            what the caller gave cannot be used
    │   ├── CallError         a function was called with something else than it takes
    │   ├── TextError         a text is empty or too long
    │   ├── MentionError      a pronoun or candidate is missing, ambiguous or outside the text
    │   └── SelectionError    a layer, head, token or option that does not exist
    ├── RecordError           the parts of a record do not fit together, or a saved one is damaged
    ├── ModelError            a model or tokenizer cannot be found, trusted or used
    ├── CaptureError          the model ran, but what was asked for could not be observed
    ├── OutputError           a result cannot be written where it was asked for
    └── MissingExtraError     an optional package is not installed

Each message says what was expected, what came, and what to do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = [
    "CallError",
    "CaptureError",
    "InputError",
    "IntrospectError",
    "MentionError",
    "MissingExtraError",
    "ModelError",
    "OutputError",
    "RecordError",
    "SelectionError",
    "TextError",
    "naming",
]


class IntrospectError(Exception):
    """Base class of all errors of the package."""


class InputError(IntrospectError, ValueError):
    """What the caller gave cannot be used."""


class CallError(InputError, TypeError):
    """A function was called with something else than it takes; the message has the right call."""


class TextError(InputError):
    """A text is empty, or longer than the model reads."""


class MentionError(InputError):
    """A pronoun or candidate is not in the text, is there several times, or its span is wrong."""


class SelectionError(InputError):
    """A layer, head, token or option that does not exist."""


class RecordError(IntrospectError, ValueError):
    """The parts of a record do not fit together, or a saved record is damaged."""


class ModelError(IntrospectError):
    """A model or its tokenizer cannot be found, trusted or used."""


class CaptureError(IntrospectError):
    """The model ran, but what was asked for could not be observed."""


class OutputError(IntrospectError, OSError):
    """A result cannot be written where it was asked for."""


class MissingExtraError(IntrospectError, ImportError):
    """An optional package is not installed; the message has the pip command."""

    def __init__(self, package: str, extra: str, purpose: str, note: str = "") -> None:
        super().__init__(
            f"{purpose} needs the package {package!r}, which is not installed. "
            f"Install it with: {install_command(extra, package)}{note and '. ' + note}"
        )
        self.package = package
        self.extra = extra


def install_command(extra: str, package: str) -> str:
    """Return the pip command that installs what an extra lists, by the names of its packages.

    It works however this package was installed: from a checkout, a wheel or a repository.

    Args:
        extra: the extra, ``pictures``.
        package: what the extra is for, which is all that is named where the metadata is missing.
    """
    from importlib.metadata import PackageNotFoundError, requires

    try:
        lines = requires("introspect-transformers") or []
    except PackageNotFoundError:
        lines = []
    asks = re.compile(rf"(?P<needed>[^;]+?)\s*;.*\bextra\s*==\s*[\"']{re.escape(extra)}[\"']")
    found = [match["needed"] for line in lines if (match := asks.match(line))]
    return " ".join(["pip install", *(f'"{needed}"' for needed in found or [package])])


@contextmanager
def naming(place: str) -> Iterator[None]:
    """Prefix an error that leaves the block with the name of a step or an item.

    The error keeps its class, and has the original as its cause.

    Example:
        >>> with naming("Case w1"):
        ...     raise TextError("Expected a text, got none.")
        Traceback (most recent call last):
        introspect.errors.TextError: Case w1: Expected a text, got none.
    """
    try:
        yield
    except MissingExtraError:
        raise  # This is about the installation, not about the place.
    except IntrospectError as error:
        raise type(error)(f"{place}: {error}") from error
