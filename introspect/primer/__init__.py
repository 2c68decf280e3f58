"""Attention from first principles: small, readable, and shown in the same views as real models.

>>> from introspect import primer
>>> training = primer.train(epochs=100)
>>> record = training.record(["我", "写", "代码"])
>>> record.attentions.shape
torch.Size([1, 1, 3, 3])
"""

from introspect.primer.attention import (
    Attended,
    Heads,
    attend,
    causal_mask,
    cross_attention,
    join_heads,
    multi_head_attention,
    plain_attention,
    self_attention,
    split_heads,
)
from introspect.primer.records import record_of
from introspect.primer.stories import (
    Story,
    cat_and_mouse,
    grey_cat,
    menu,
    tired_or_wide,
    writing_code,
)
from introspect.primer.trainer import (
    GREY_CAT,
    SENTENCES,
    SelfAttention,
    Training,
    Vocabulary,
    train,
)

__all__ = [
    "GREY_CAT",
    "SENTENCES",
    "Attended",
    "Heads",
    "SelfAttention",
    "Story",
    "Training",
    "Vocabulary",
    "attend",
    "cat_and_mouse",
    "causal_mask",
    "cross_attention",
    "grey_cat",
    "join_heads",
    "menu",
    "multi_head_attention",
    "plain_attention",
    "record_of",
    "self_attention",
    "split_heads",
    "tired_or_wide",
    "train",
    "writing_code",
]
