"""The parts of speech that an atlas is given beside its corpus."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from introspect.data import InputSet, Reject, Sentence, fingerprint, input_set, read_conllu
from introspect.errors import InputError
from introspect.studies.atlas import AtlasSums, Tags
from introspect.text import counted, whole


@dataclass(frozen=True, eq=False)
class GivenTags:
    """Parts of speech from a CoNLL-U file.

    Args:
        name: the file as it was named.
        inputs: the file, for the checks of a run.
        tags: its sentences.
    """

    name: str
    inputs: InputSet
    tags: Tags

    @classmethod
    def read(cls, file: str | os.PathLike[str]) -> GivenTags:
        """Read a file.

        Raises:
            InputError: it is no CoNLL-U file, has a bad line, or no part of speech.
        """
        name = str(file)
        return cls(name, input_set(name, format="conllu"), Tags.of(_sentences(name)))

    @cached_property
    def plan(self) -> dict[str, Any]:
        """The fingerprint of the file, for the plan of a run."""
        return {"pos": fingerprint(self.inputs.files)}

    def said_of(self, sums: AtlasSums) -> str:
        """Return of how many sampled texts the parts of speech are known, in a sentence."""
        texts = [sums.kept.texts[number].text for number in sums.kept.sample]
        known = sum(self.tags.of_text(text) is not None for text in texts)
        found = (
            f"parts of speech from {self.name} for {whole(known)} of "
            f"{counted(len(texts), 'sampled text')}"
        )
        # A file without them gives a space to every word, also before a full stop.
        why = "; the file has no such texts, character for character: its # text or SpaceAfter=No"
        return found if known else f"{found}{why} may be missing"


def _sentences(name: str) -> Iterator[Sentence]:
    has_tags = False
    for row in read_conllu(name):
        if isinstance(row, Reject):
            raise InputError(
                f"Cannot read the parts of speech in {name}, line {row.line}: {row.reason} Mend or "
                "remove that sentence."
            )
        has_tags |= any(word.upos for word in row.words)
        yield row
    if not has_tags:
        raise InputError(
            f"Expected parts of speech (UPOS, column 4) in {name}, got none. Give a tagged file."
        )
