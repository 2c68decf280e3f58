"""Small tokenizers of the common families, trained or written here: no network, no files."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

_CORPUS = [
    "The animal didn't cross the street because it was too tired.",
    "the cat sat on the mat and it was happy 🐈 she said hello hello hello",
    "中文文字 汉字中文 中文",
]
_BYTES = [f"<0x{value:02X}>" for value in range(256)]


@functools.cache
def byte_level(*, add_prefix_space: bool = False, size: int = 300) -> Any:
    """As GPT-2 and RoBERTa: every byte is a letter of the vocabulary."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space)
    backend.decoder = decoders.ByteLevel()
    backend.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(_CORPUS, trainer)
    _add_pair_template(backend, "<s>", "</s>")
    return _fast(backend, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>")


def byte_level_with_half_of(character: str) -> Any:
    """A byte-level vocabulary of single bytes, and one token of the character's first two."""
    letters = pre_tokenizers.ByteLevel(add_prefix_space=False).pre_tokenize_str(character)[0][0]
    names = ["<s>", "</s>", *pre_tokenizers.ByteLevel.alphabet(), letters[:2]]
    backend = Tokenizer(
        models.BPE(
            vocab={name: index for index, name in enumerate(names)},
            merges=[(letters[0], letters[1])],
        )
    )
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    _add_pair_template(backend, "<s>", "</s>")
    return _fast(backend, bos_token="<s>", eos_token="</s>")


@functools.cache
def sentencepiece() -> Any:
    """As Llama 2 and T5: words begin with ▁, and unknown characters fall back to their bytes."""
    pieces = ["▁The", "▁the", "▁cat", "▁it", "▁was", "▁", "s", "t", "a", "c", "i", "w", "."]
    vocabulary = [(token, 0.0) for token in ["<pad>", "<unk>", "<s>", "</s>"]]
    vocabulary += [(token, -8.0) for token in _BYTES]
    vocabulary += [(piece, -1.0 - place / 10) for place, piece in enumerate(pieces)]
    backend = Tokenizer(models.Unigram(vocabulary, unk_id=1, byte_fallback=True))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    _add_pair_template(backend, "<s>", "</s>")
    return _fast(backend, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>")


def word_level(words: Iterable[str]) -> Any:
    """Splits at spaces only, so that a hostile word stays one token."""
    names = ["[UNK]", "[PAD]", "[CLS]", "[SEP]", *dict.fromkeys(words)]
    backend = Tokenizer(models.WordLevel({w: i for i, w in enumerate(names)}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Split(" ", "removed")
    _add_pair_template(backend, "[CLS]", "[SEP]")
    return _fast(
        backend, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]"
    )


def _add_pair_template(backend: Tokenizer, first: str, last: str) -> None:
    template = processors.TemplateProcessing(
        single=f"{first} $A {last}",
        pair=f"{first} $A {last} $B:1 {last}:1",
        special_tokens=[(token, backend.token_to_id(token)) for token in (first, last)],
    )
    present = backend.post_processor
    backend.post_processor = (
        template if present is None else processors.Sequence([present, template])
    )


def _fast(backend: Tokenizer, **special: str) -> Any:
    names: Sequence[str] = ["input_ids", "attention_mask"]
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, model_input_names=names, model_max_length=512, **special
    )
