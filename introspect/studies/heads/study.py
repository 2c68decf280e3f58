"""The study of a model's heads by themselves: roles on random tokens, shapes on texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pandas as pd

from introspect.calls import checked_call, checked_result
from introspect.errors import CaptureError, ModelError
from introspect.hooks import capture, verify
from introspect.models import Model, assembled, listed_texts, load_text, make_record
from introspect.progress import ProgressLike, Stages, following
from introspect.records import AttentionRecord, Head, Kind
from introspect.statistics import Claim
from introspect.studies.heads.importance import head_importance
from introspect.studies.heads.known_roles import (
    SCORES,
    THRESHOLD,
    checked_kind,
    detect_heads,
    inputs_for,
    random_repeats,
)
from introspect.studies.heads.pattern_claims import pattern_claims
from introspect.studies.heads.role_claims import known_role_claims
from introspect.studies.heads.shapes import head_patterns


@checked_result
@dataclass(frozen=True, eq=False)
class HeadStudy:
    """Findings on the heads of a model by themselves.

    Args:
        roles: of ``detect_heads``: a row for each head.
        threshold: the score above which a head has a role.
        record: the attention on the first of the random sequences, in the layers of the heads with
            the highest of each score, and how it was captured.
        patterns: of ``head_patterns``, on texts; ``None`` without texts.
        importance: of ``head_importance``, on the same; ``None`` where it was not measured.
        num_texts: the number of texts.
        notes: what was not measured, and why.
    """

    roles: pd.DataFrame
    threshold: float
    record: AttentionRecord
    patterns: pd.DataFrame | None = None
    importance: pd.DataFrame | None = None
    num_texts: int = 0
    notes: tuple[str, ...] = field(default=())

    def __repr__(self) -> str:
        named = int((self.roles["role"] != "none").sum())
        return f"<{type(self).__name__}: {named} of {len(self.roles)} heads have a role>"

    @property
    def claims(self) -> tuple[Claim, ...]:
        """Return the claims of roles and of shapes, each sentence with the numbers behind it."""
        of_patterns = () if self.patterns is None else pattern_claims(self.patterns)[2:]
        return (*known_role_claims(self), *of_patterns)

    def called(self, role: str) -> list[Head]:
        """Return the heads of a role, such as ``induction``."""
        rows = self.roles[self.roles["role"] == role]
        return [Head(int(row.layer), int(row.head)) for row in rows.itertuples()]

    def strongest(self, score: str) -> Head | None:
        """Return the head with the highest score; ``None`` where a mask hides all that counts."""
        if not self.roles[score].notna().any():
            return None
        row = self.roles.loc[self.roles[score].idxmax()]
        return Head(int(row["layer"]), int(row["head"]))


@checked_call
def head_study(
    model: Model | str,
    texts: Sequence[str] | str | None = None,
    *,
    num_sequences: int = 32,
    prefix: tuple[int, int] = (0, 16),
    period: tuple[int, int] = (8, 22),
    kind: Kind | None = None,
    threshold: float = THRESHOLD,
    importance: bool = True,
    seed: int = 0,
    progress: ProgressLike = None,
) -> HeadStudy:
    """Find heads with known roles; on texts, also measure pattern shapes and importance.

    Args:
        model: the model, or its name; without its LM head, importance is left out with a note.
        texts: for ``head_patterns`` and ``head_importance``; without them only roles are measured,
            which need no text.
        num_sequences: the number of random sequences, as for ``detect_heads``.
        prefix: the fewest and most tokens before the block that occurs twice.
        period: the fewest and most tokens of the block.
        kind: the kind of attention.
        threshold: the score above which a head has a role.
        importance: whether to measure importance.
        seed: the random seed of the tokens and the intervals.
        progress: ``True`` for a bar on a terminal and in a notebook, and lines elsewhere; or a
            function of the stage, how much of it is done, and its total.

    Raises:
        SelectionError: the model cannot read the sequences, or does not have the kind.
        ModelError: the model has no token embeddings.
        InputError: there is no text.

    Example:
        >>> from introspect.models import load
        >>> study = head_study(load("induction"), num_sequences=5)
        >>> study.called("previous-token"), study.called("duplicate-token")
        ([Head(layer=0, head=0)], [])
    """
    model = load_text(model, lm_head=texts is not None and importance)
    kind = checked_kind(model, kind)
    shape = {"prefix": prefix, "period": period}
    with following(progress) as tell:
        roles = detect_heads(
            model, num_sequences=num_sequences, kind=kind, threshold=threshold, seed=seed,
            progress=tell, **shape,
        )  # fmt: skip
        study = HeadStudy(
            roles, threshold, record=_record(model, roles, kind, seed, num_sequences, shape)
        )
        if texts is None:
            return study
        return _with_texts(
            study, model, listed_texts(texts), kind, tell, importance=importance, seed=seed
        )


def _with_texts(
    study: HeadStudy,
    model: Model,
    texts: Sequence[str],
    kind: Kind,
    tell: Stages,
    *,
    importance: bool,
    seed: int,
) -> HeadStudy:
    """Add what is measured on texts to a study."""
    patterns = head_patterns(model, texts, progress=tell)
    measured, notes = None, []
    if kind != model.reading_kind:
        notes.append("Shapes are those of the encoder, which reads the texts.")
    if importance and not model.has_unembedding:
        notes.append(
            f"Importance was not measured: {model.name} has no language-model head, so no loss."
        )
    elif importance:
        try:
            measured = _importance(model, texts, seed, tell)
        except (ModelError, CaptureError) as error:
            notes.append(f"Importance was not measured. {error}")
    return replace(
        study,
        patterns=patterns,
        importance=measured,
        num_texts=len(texts),
        notes=tuple(notes),
    )


def _importance(model: Model, texts: Sequence[str], seed: int, tell: Stages) -> pd.DataFrame:
    if model.is_encoder_decoder:
        raise ModelError(
            f"Expected a model that reads one text, but {model.name} reads one and writes another. "
            "Give ix.head_importance what it should write, as `targets`."
        )
    return head_importance(model, texts, seed=seed, progress=tell)


def _record(
    model: Model,
    roles: pd.DataFrame,
    kind: Kind,
    seed: int,
    num_sequences: int,
    shape: dict[str, tuple[int, int]],
) -> AttentionRecord:
    """Capture the record of the first random sequence, with its certificate."""
    repeats = random_repeats(model, num_sequences, seed=seed, **shape)
    module, inputs = inputs_for(model, repeats.ids[:1], kind)
    captured = capture(module, inputs)
    certificate = replace(
        verify(module, inputs, captured),
        model=model.name,
        revision=model.revision,
        tokenizer=type(model.tokenizer).__name__,
    )
    name = kind if kind in captured.attentions else "self"
    best = {int(roles.loc[roles[s].idxmax(), "layer"]) for s in SCORES if roles[s].notna().any()}
    kept = [row for row, layer in enumerate(captured.layers[name]) if layer in best]
    ids = repeats.ids[0].tolist()
    special = [not repeats.first <= place < repeats.stop for place in range(len(ids))]
    tokens = assembled(
        model.tokenizer, ids, special, [(0, 0)] * len(ids), [None] * len(ids), texts=()
    )
    whole = make_record(
        replace(captured, certificate=certificate),
        name,
        queries=tokens,
        keys=tokens,
        name=model.name,
    )
    return whole.only([whole.layers[row] for row in kept])
