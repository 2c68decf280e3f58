"""What the person who starts the app names, before any page is drawn."""

from __future__ import annotations

_folders: list[str] = []


def offer_atlas(folder: str) -> None:
    """Let the page for an atlas begin with a folder."""
    _folders[:] = [folder]


def offered_atlas() -> str | None:
    """Return the folder that the page for an atlas begins with; none by default."""
    return next(iter(_folders), None)
