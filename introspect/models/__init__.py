"""Models that are found by name, loaded safely, and captured on a text or an image."""

from introspect.models.batches import BatchLimits, is_out_of_memory, length_batches, num_heads_of
from introspect.models.inputs import (
    EncodedText,
    Readable,
    TooLongError,
    encode,
    encode_batch,
    encode_target,
    length_limit,
    padded,
)
from introspect.models.loader import hush, load, load_text
from introspect.models.model import Model
from introspect.models.null import null_model
from introspect.models.objectives import logit_of, similarity_to
from introspect.models.run_plan import make_record, not_whole, taken
from introspect.models.sources import ALIASES
from introspect.models.tokens import assembled
from introspect.models.vision import VisionModel

__all__ = [
    "ALIASES",
    "BatchLimits",
    "EncodedText",
    "Model",
    "Readable",
    "TooLongError",
    "VisionModel",
    "assembled",
    "encode",
    "encode_batch",
    "encode_target",
    "hush",
    "is_out_of_memory",
    "length_batches",
    "length_limit",
    "load",
    "load_text",
    "logit_of",
    "make_record",
    "not_whole",
    "null_model",
    "num_heads_of",
    "padded",
    "similarity_to",
    "taken",
]
