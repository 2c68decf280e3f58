"""A tiny tokenizer of each class of transformers that is written in Python: no network.

Its vocabulary is written or trained here, on a few sentences; the class is transformers' own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import transformers

CORPUS = (
    "The animal didn't cross the street because it was too tired.",
    "The doctor asked the nurse to help her, and she said it was late.",
    "un chat dort sur le lit, déjà fatigué; MKTAYIAKQR",
    "中文文字 汉字中文 そうだね 日本語",
)
_LETTERS = sorted({mark for text in CORPUS for mark in text.lower() + text if not mark.isspace()})
_WORDS = sorted({word.strip(".,;").lower() for text in CORPUS for word in text.split()})
_MERGES = [("t", "h"), ("a", "n"), ("i", "t</w>"), ("th", "e</w>"), ("a", "s</w>"), ("e", "r")]
_RESIDUES = "LAGVSERTIDPKQNFYMHWCXBUZO.-"


def python_tokenizer(name: str, folder: Path) -> Any:
    """Return a tiny tokenizer of a class, whose files are written to a folder.

    Raises:
        KeyError: no vocabulary of this class is known here.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return _MAKERS[name](getattr(transformers, name), folder)


def _json(folder: Path, name: str, entries: Iterable[str]) -> str:
    numbered = {entry: number for number, entry in enumerate(dict.fromkeys(entries))}
    return _text(folder, name, json.dumps(numbered, ensure_ascii=False))


def _lines(folder: Path, name: str, entries: Iterable[str]) -> str:
    return _text(folder, name, "".join(f"{entry}\n" for entry in dict.fromkeys(entries)))


def _text(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def sentencepiece_file(folder: Path, name: str, **options: Any) -> str:
    """Train a SentencePiece vocabulary, and return its file."""
    import sentencepiece

    with (folder / name).open("wb") as file:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(CORPUS), model_writer=file, vocab_size=options.pop("size", 120),
            character_coverage=1.0, hard_vocab_limit=False, minloglevel=9, **options,
        )  # fmt: skip
    return str(folder / name)


def _pieces(file: str) -> list[str]:
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor(model_file=file)
    return [processor.id_to_piece(number) for number in range(processor.get_piece_size())]


def _marian(cls: Any, folder: Path) -> Any:
    source = sentencepiece_file(folder, "source.spm")
    target = sentencepiece_file(folder, "target.spm", size=90)
    entries = ["</s>", "<unk>", ">>fra<<", *_pieces(source)[3:], *_pieces(target)[3:], "<pad>"]
    vocabulary = _json(folder, "vocab.json", entries)
    return cls(source, target, vocabulary, source_lang="en", target_lang="fr")


def _m2m(cls: Any, folder: Path) -> Any:
    spm = sentencepiece_file(folder, "sentencepiece.bpe.model")
    entries = ["<s>", "<pad>", "</s>", "<unk>", *_pieces(spm)[3:]]
    return cls(_json(folder, "vocab.json", entries), spm, src_lang="en", tgt_lang="fr")


def _spiece(cls: Any, folder: Path, **options: Any) -> Any:
    return cls(vocab_file=sentencepiece_file(folder, "spiece.model", **options))


def _gpt_sw3(cls: Any, folder: Path) -> Any:
    return _spiece(cls, folder, size=400, byte_fallback=True, pad_id=3)


def _merges(folder: Path, name: str, *, ending: str = "", header: str = "") -> str:
    return _text(folder, name, header + "".join(f"{a} {b}{ending}\n" for a, b in _MERGES))


def _pieces_of_bpe(mark: str, *, is_last: bool) -> list[str]:
    """Return the entries of a BPE that marks a word's last piece, or all others."""
    joined = [a + b for a, b in _MERGES]
    if is_last:
        escaped = ["&", "apos;", "@-@</w>", "&apos;", "&apos;s</w>", "&apos;t</w>"]
        return [*_LETTERS, *(letter + mark for letter in _LETTERS), *joined, *escaped]
    plain = [entry.removesuffix("</w>") for entry in joined]
    return [*_LETTERS, *(letter + mark for letter in _LETTERS), *plain, *(p + mark for p in plain)]


def _bpe(cls: Any, folder: Path, *, special: Sequence[str], **options: Any) -> Any:
    vocabulary = _json(folder, "vocab.json", [*special, *_pieces_of_bpe("</w>", is_last=True)])
    return cls(vocabulary, _merges(folder, "merges.txt", ending=" 1"), **options)


_FAIRSEQ = ("<s>", "<pad>", "</s>", "<unk>")
_OF_XLM = ("<s>", "</s>", "<pad>", "<unk>", *(f"<special{number}>" for number in range(10)))


def _fsmt(cls: Any, folder: Path) -> Any:
    entries = [*_FAIRSEQ, *_pieces_of_bpe("</w>", is_last=True)]
    return cls(
        langs=["en", "de"], src_vocab_file=_json(folder, "vocab-src.json", entries),
        tgt_vocab_file=_json(folder, "vocab-tgt.json", [*_FAIRSEQ, *reversed(entries)]),
        merges_file=_merges(folder, "merges.txt", ending=" 1"),
    )  # fmt: skip


def _continued(cls: Any, folder: Path, *, special: Sequence[str]) -> Any:
    """As CTRL: a piece that is continued ends in @@."""
    entries = [*special, *_pieces_of_bpe("@@", is_last=False)]
    merges = _merges(folder, "merges.txt", header="#version: 0.2\n")
    return cls(_json(folder, "vocab.json", entries), merges)


def _fairseq(cls: Any, folder: Path) -> Any:
    """As PhoBERT, whose vocabulary has a count beside each entry."""
    entries = [f"{entry} 1" for entry in _pieces_of_bpe("@@", is_last=False)]
    merges = _merges(folder, "bpe.codes", ending=" 1")
    return cls(_lines(folder, "vocab.txt", entries), merges)


def wordpieces() -> list[str]:
    """Return the entries of a WordPiece vocabulary that lacks a few letters and all Japanese."""
    known = [letter for letter in _LETTERS if letter not in "qz" and not "ぁ" <= letter <= "ん"]
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[X_SEP]", "[EMPTY]"]
    return [*special, *known, *(f"##{letter}" for letter in known), *_WORDS, "##ing", "##ed"]


def _wordpiece(cls: Any, folder: Path, **options: Any) -> Any:
    return cls(_lines(folder, "vocab.txt", wordpieces()), **options)


def _roc_bert(cls: Any, folder: Path) -> Any:
    entries = dict.fromkeys(wordpieces())
    files = [_json(folder, f"word_{name}.json", entries) for name in ("shape", "pronunciation")]
    return cls(_lines(folder, "vocab.txt", entries), *files)


def _esm(cls: Any, folder: Path) -> Any:
    entries = ["<cls>", "<pad>", "<eos>", "<unk>", *_RESIDUES, "<null_1>", "<mask>"]
    return cls(_lines(folder, "vocab.txt", entries))


def _neox_japanese(cls: Any, folder: Path) -> Any:
    marks = ["<SP>", "<BR>", "<TAB>", "<BLOCK>", "<KIGOU>", "<U2000U2BFF>"]
    letters = [letter for letter in _LETTERS if letter not in ",<>"]
    special = ["<|startoftext|>", "<|endoftext|>"]
    entries = [*letters, *marks, *(f"<|byte{n}|>" for n in range(256)), *special]
    emoji = json.dumps({"emoji": {"😀": "<|emoji1|>"}, "emoji_inv": {"<|emoji1|>": "😀"}})
    files = _lines(folder, "vocab.txt", [*entries, "<|emoji1|>"]), emoji
    return cls(files[0], _text(folder, "emoji.json", files[1]))


def _cpmant(cls: Any, folder: Path) -> Any:
    special = ["<d>", "</d>", "<s>", "</s>", "<pad>", "<unk>", "</n>", "</_>"]
    return cls(_lines(folder, "vocab.txt", [*special, *_LETTERS, *_WORDS]))


def _without_files(cls: Any, folder: Path) -> Any:
    return cls()


def _with(maker: Callable[..., Any], **options: Any) -> Callable[[Any, Path], Any]:
    return lambda cls, folder: maker(cls, folder, **options)


_MAKERS: dict[str, Callable[[Any, Path], Any]] = {
    "BertGenerationTokenizer": _spiece,
    "BertJapaneseTokenizer": _with(
        _wordpiece, word_tokenizer_type="basic", subword_tokenizer_type="wordpiece"
    ),
    "BertweetTokenizer": _fairseq,
    "BioGptTokenizer": _with(_bpe, special=_FAIRSEQ),
    "BlenderbotSmallTokenizer": _with(
        _continued, special=("__null__", "__start__", "__end__", "__unk__", "__newln__")
    ),
    "ByT5Tokenizer": _without_files,
    "CTRLTokenizer": _with(_continued, special=("<unk>", "Links")),
    "CanineTokenizer": _without_files,
    "CpmAntTokenizer": _cpmant,
    "EsmTokenizer": _esm,
    "FSMTTokenizer": _fsmt,
    "FlaubertTokenizer": _with(_bpe, special=_OF_XLM),
    "GPTNeoXJapaneseTokenizer": _neox_japanese,
    "GPTSw3Tokenizer": _gpt_sw3,
    "M2M100Tokenizer": _m2m,
    "MarianTokenizer": _marian,
    "PLBartTokenizer": _with(_spiece),
    "PerceiverTokenizer": _without_files,
    "PhobertTokenizer": _fairseq,
    "ProphetNetTokenizer": _wordpiece,
    "RoCBertTokenizer": _roc_bert,
    "TapasTokenizer": _wordpiece,
    "XLMTokenizer": _with(_bpe, special=_OF_XLM),
}

#: The classes whose tiny tokenizers are made here.
PYTHON_TOKENIZERS = tuple(_MAKERS)
