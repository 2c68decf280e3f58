"""What a model predicts after each token of a text that was captured."""

from __future__ import annotations

import pandas as pd

from introspect.errors import CaptureError, ModelError
from introspect.models import Model
from introspect.records import AttentionRecord
from introspect.studies.lens.lens import logit_lens

_MOST_LIKELY = 5


def readings_after(model: Model, record: AttentionRecord, *, text: str) -> pd.DataFrame:
    """Return the readings of the logit lens at the tokens of a record, written ones included.

    Args:
        model: the model that was captured, with its LM head.
        record: the attention of a text that is read from left to right.
        text: the text that the model was given; of an encoder-decoder, that of the encoder.

    Raises:
        ModelError: the model has no LM head, or none that predicts the next token.
        CaptureError: its states cannot be read, or the text is divided otherwise by itself.
    """
    if not model.has_unembedding:
        raise ModelError(
            f"Expected a model with an LM head, got {model.name}: it predicts no words. "
            f"{model.lm_head_advice}, or choose one that writes."
        )
    own = record.queries
    # A text that was cut ends with its last token, not where it was given to end.
    last = max((end for _, end in own.offsets), default=0)
    whole = own.texts[-1][:last] if own.texts else ""
    is_of_decoder = record.kind == "decoder"
    read = logit_lens(
        model,
        text if is_of_decoder else whole,
        top=_MOST_LIKELY,
        target=whole if is_of_decoder else None,
    )
    tokens = tuple(read[read["rank"] == 1].drop_duplicates("position")["token"])
    if tokens[: len(own)] != own.tokens:
        raise CaptureError(
            "Expected the tokens of the record from the text by itself, got others. Read a text "
            "that was not generated, or one without special tokens."
        )
    return read
