"""The folder of an atlas, read back as tables."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import pandas as pd

from introspect.calls import checked_result
from introspect.errors import OutputError, SelectionError
from introspect.io import CARDS, read_run
from introspect.records import Head, HeadLike, as_head

#: The kind of these folders in messages and in ``run.json``.
ATLAS_KIND = "atlas"
# What tells a row of a head on a text from another.
_PLACE = ["layer", "head", "text_id", "query_index"]
#: What stands in a summary for a model without a name.
NOT_NAMED = "not named"
#: What stands in it for a model without a revision.
NOT_KNOWN = "not known"
#: The tables of an atlas, each in a file of its name.
TABLES = ("heads", "rules", "examples", "tokens", "similar", "modes", "maps", "texts")

#: Tables that not every atlas has.
OPTIONAL = ("coreference", "writes", "copying")


@checked_result
@dataclass(frozen=True, eq=False)
class Atlas:
    """What every head of a model does on a corpus.

    Args:
        path: the folder.
        seen_from: the folder that links to its pages start from; by default the working directory.
    """

    path: Path
    seen_from: Path | None = None

    @property
    def link(self) -> str:
        """The path to the folder as links write it."""
        if self.seen_from is None:
            return self.path.as_posix()
        return Path(os.path.relpath(self.path.resolve(), self.seen_from.resolve())).as_posix()

    @classmethod
    def open(
        cls, path: str | os.PathLike[str], seen_from: str | os.PathLike[str] | None = None
    ) -> Atlas:
        """Return the atlas in a folder.

        Args:
            path: the folder.
            seen_from: the folder that a page with links to it is saved in.

        Raises:
            OutputError: the folder holds none, or one that is not finished.
        """
        folder = Path(path)
        run = read_run(folder) if folder.is_dir() else None
        if run is None or run["plan"].get("kind") != ATLAS_KIND:
            raise OutputError(
                f"Expected the folder of an atlas, got {str(path)!r}. Make one: introspect atlas "
                "FILE --out DIR."
            )
        if not (folder / "summary.json").exists():
            raise OutputError(
                f"Expected a finished atlas in {str(path)!r}, but its run was stopped. Run the "
                "same command again to go on."
            )
        return cls(folder, None if seen_from is None else Path(seen_from))

    def beside(self, folder: str | os.PathLike[str]) -> Atlas:
        """Return the same atlas, with links that start from a folder."""
        return replace(self, seen_from=Path(folder))

    @property
    def model(self) -> str | None:
        """The name of the model that it is of; ``None`` if the model had none."""
        name = self.summary["provenance"].get("Model")
        return None if name in (None, NOT_NAMED) else str(name)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} in {str(self.path)!r}: {self.summary['finding']}>"

    @cached_property
    def summary(self) -> dict[str, Any]:
        """The content of ``summary.json``: the finding, the claims, and how it was made."""
        loaded: dict[str, Any] = json.loads((self.path / "summary.json").read_text("utf-8"))
        return loaded

    @property
    def finding(self) -> str:
        """The headline."""
        return str(self.summary["finding"])

    @cached_property
    def heads(self) -> pd.DataFrame:
        """One row for each head: its sentence, its rule, and the means of its distributions."""
        return self._table("heads")

    @cached_property
    def rules(self) -> pd.DataFrame:
        """One row for each head, rule and half of the texts."""
        return self._table("rules")

    @cached_property
    def examples(self) -> pd.DataFrame:
        """The strongest rows of each head, rows of each tenth, and random ones."""
        return self._table("examples")

    @cached_property
    def tokens(self) -> pd.DataFrame:
        """The vocabulary entries with the largest lift as query and as key of each head."""
        return self._table("tokens")

    @cached_property
    def similar(self) -> pd.DataFrame:
        """The heads that are most like each head."""
        return self._table("similar")

    @cached_property
    def modes(self) -> pd.DataFrame:
        """The jobs of each head: groups of its rows, with the rule that each follows."""
        return self._table("modes")

    @cached_property
    def maps(self) -> pd.DataFrame:
        """The places of sampled queries and keys of each head; empty where none could be had."""
        return self._table("maps")

    @cached_property
    def texts(self) -> pd.DataFrame:
        """The texts that examples are from, with their tokens."""
        return self._table("texts")

    @cached_property
    def coreference(self) -> pd.DataFrame:
        """Return what each head does on the cases and with pronouns; empty without cases."""
        return self._optional("coreference")

    @cached_property
    def writes(self) -> pd.DataFrame:
        """The entries that each head adds most to; empty of models without an unembedding."""
        return self._optional("writes")

    @cached_property
    def copying(self) -> pd.DataFrame:
        """Return how far each head copies what it reads; empty of models without an unembedding."""
        return self._optional("copying")

    def head(self, layer: HeadLike | int, head: int | None = None) -> HeadCard:
        """Return what is known of one head.

        Args:
            layer: its layer; or the head, as ``"L3H1"`` or ``(3, 1)``.
            head: its number within the layer.

        Raises:
            SelectionError: the atlas has no such head.
        """
        if head is None and isinstance(layer, int):
            raise SelectionError("Expected a head, got a layer alone. Give it as 3, 1 or 'L3H1'.")
        counts = self.heads.groupby("layer")["head"].max() + 1
        sizes = {int(number): int(count) for number, count in counts.items()}
        chosen = (layer, head) if isinstance(layer, int) and head is not None else layer
        found = as_head(cast("HeadLike", chosen), sizes)
        row = self._of(self.heads, found)
        tables = {name: self._of(getattr(self, name), found) for name in TABLES[1:-1]}
        beside = {name: self._of(getattr(self, name), found) for name in OPTIONAL}
        return HeadCard(found, row.iloc[0], **tables, **beside)

    @property
    def names(self) -> list[str]:
        """The names of all heads, in order."""
        heads = zip(self.heads["layer"], self.heads["head"], strict=True)
        return [str(Head(int(layer), int(head))) for layer, head in heads]

    def has_page(self, head: str) -> bool:
        """Return whether the folder holds a page for a head."""
        return self._page(head).exists()

    def page(self, head: str | None = None) -> str:
        """Return the page of a head, or the index.

        Raises:
            OutputError: it cannot be read.
        """
        path = self._page(head)
        try:
            return path.read_text(encoding="utf-8")
        except OSError as error:
            raise OutputError(
                f"Expected a page of the atlas in {str(path)!r}, but it cannot be read: {error}. "
                "Run the command of the atlas again: it writes the page anew."
            ) from error

    def _page(self, head: str | None) -> Path:
        return self.path / ("index.html" if head is None else f"{CARDS}/{head}.html")

    def search(
        self,
        query: str | None = None,
        *,
        key: str | None = None,
        head: HeadLike | None = None,
        min_weight: float = 0.0,
    ) -> pd.DataFrame:
        """Return the kept examples from one token to another, the largest weight first.

        A row that is among the strongest and in the sample is given once.

        Args:
            query: the token that attends, in any case; by default any.
            key: the token that is attended to.
            head: one head; by default all.
            min_weight: the smallest weight, from 0 to 1.

        Raises:
            SelectionError: the smallest weight is not from 0 to 1, or there is no such head.
        """
        if not 0 <= min_weight <= 1:
            raise SelectionError(f"Expected `min_weight` from 0 to 1, got {min_weight}.")
        table = self.examples if head is None else self.head(head).examples
        kept = table["weight"] >= min_weight
        for column, word in (("query", query), ("key", key)):
            if word is not None:
                kept &= table[column].map(_plain) == _plain(word)
        found = table[kept].sort_values("weight", ascending=False, kind="stable")
        return found.drop_duplicates(_PLACE).reset_index(drop=True)

    def _table(self, name: str) -> pd.DataFrame:
        return pd.read_parquet(self.path / f"{name}.parquet")

    def _optional(self, name: str) -> pd.DataFrame:
        if (self.path / f"{name}.parquet").exists():
            return self._table(name)
        return self.heads.iloc[:0][["layer", "head"]]

    @staticmethod
    def _of(table: pd.DataFrame, head: Head) -> pd.DataFrame:
        rows = table[(table["layer"] == head.layer) & (table["head"] == head.head)]
        return rows.reset_index(drop=True)


@dataclass(frozen=True, eq=False)
class HeadCard:
    """What an atlas knows of one head.

    Args:
        head: the head.
        row: its row of the table of heads.
        rules: its rows of the table of rules.
        examples: its examples.
        tokens: the vocabulary entries that it attends from and to.
        similar: the heads that are most like it.
        modes: its jobs.
        maps: the places of sampled queries and keys.
        coreference: its figures on the cases, and with pronouns; empty without cases.
        writes: the entries that it adds most to; empty without an unembedding.
        copying: how far it copies what it reads; empty without an unembedding.
    """

    head: Head
    row: pd.Series[Any]
    rules: pd.DataFrame
    examples: pd.DataFrame
    tokens: pd.DataFrame
    similar: pd.DataFrame
    modes: pd.DataFrame
    maps: pd.DataFrame
    coreference: pd.DataFrame
    writes: pd.DataFrame
    copying: pd.DataFrame

    @property
    def sentence(self) -> str:
        """Return what it does, in a sentence."""
        return str(self.row["sentence"])

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.head}: {self.sentence}>"


def _plain(token: str) -> str:
    """Return a token in lower case, without the marks that a vocabulary adds."""
    return token.strip().removeprefix("##").lstrip("Ġ▁").strip().casefold()
