"""The provenance of a report: what a reader needs to reproduce a figure."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

from introspect.records import ROUNDING, Certificate
from introspect.text import quantity

Row = tuple[str, str]


def provenance_rows(certificate: Certificate, command: str | None) -> list[Row]:
    """Return model, revision, versions and command line as names and values."""
    rows = [
        ("Model", certificate.model or "not named"),
        ("Revision", certificate.revision or "not known"),
        *([("Not used", certificate.unused)] if certificate.unused else []),
        ("Tokenizer", certificate.tokenizer or "not named"),
        ("Numbers", f"{certificate.dtype} on {certificate.device}"),
        ("introspect", version_of_introspect()),
        ("transformers", certificate.transformers_version or "not known"),
        ("torch", certificate.torch_version or "not known"),
        ("plotly", version_of("plotly")),
        ("Python", platform.python_version()),
    ]
    if command:
        rows.append(("Command", command))
    return rows


def certificate_rows(certificate: Certificate) -> list[Row]:
    """Return how attention was captured, and how far it is from the model's own."""
    return [
        ("Route", certificate.route),
        (
            "What the model runs unwatched",
            certificate.attn_implementation or "unknown",
        ),
        (
            "Largest difference from the attention that the model itself returns",
            difference_words(certificate.max_difference_from_eager, certificate.note),
        ),
        (
            "Largest difference of the model’s output, watched and not",
            difference_words(certificate.max_output_difference),
        ),
        ("Largest distance of a row’s sum from 1", _row_sums(certificate.max_row_sum_error)),
        (
            "Largest difference between weights × values and a head’s output",
            difference_words(certificate.max_head_output_error, "the values were not seen"),
        ),
        *_attribution_rows(certificate),
    ]


def _attribution_rows(certificate: Certificate) -> list[Row]:
    """Return the checks on what else was captured, where they were made."""
    rows = []
    if certificate.max_decomposition_error is not None:
        rows.append(
            (
                "Largest difference between an attention block and the sum over its keys",
                difference_words(certificate.max_decomposition_error, ""),
            )
        )
    if certificate.gradient_of is not None:
        value = certificate.gradient_of_value
        rows.append(("Differentiated", f"{certificate.gradient_of}, which is {quantity(value)}"))
    if certificate.max_completeness_error is not None:
        rows.append(
            (
                "Largest difference between integrated gradients and what a layer changes",
                difference_words(certificate.max_completeness_error, ""),
            )
        )
    return rows


def _row_sums(error: float | None) -> str:
    shown = difference_words(error)
    # Far more than rounding: attention sinks take a share of each row that no token receives.
    is_partial = error is not None and error > ROUNDING
    return (
        f"{shown}: rows do not sum to 1, as in models with attention sinks" if is_partial else shown
    )


def difference_words(value: float | None, note: str = "") -> str:
    """Say how far two numbers are apart, or that this was not computed, and why.

    Example:
        >>> difference_words(0.0), difference_words(0.00012)
        ('0 (equal in every bit)', '1.2·10⁻⁴')
    """
    if value is None:
        if note.startswith("not compared"):
            return note
        return f"not computed: {note}" if note else "not computed"
    return "0 (equal in every bit)" if value == 0 else quantity(value)


def version_of_introspect() -> str:
    """Return the version of this package, that of the code which runs."""
    # What is installed may be a link to code that has changed since.
    return str(getattr(sys.modules["introspect"], "__version__"))  # noqa: B009


def version_of(distribution: str) -> str:
    """Return the installed version of a package."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "not installed"
