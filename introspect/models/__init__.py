"""Models that are found by name, loaded safely, and captured on a text or an image."""

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
from introspect.models.run_plan import make_record, taken
from introspect.models.sources import ALIASES
from introspect.models.tokens import assembled
from introspect.models.vision import VisionModel

__all__ = [
    "ALIASES",
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
    "length_limit",
    "load",
    "load_text",
    "logit_of",
    "make_record",
    "null_model",
    "padded",
    "similarity_to",
    "taken",
]
