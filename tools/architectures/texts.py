"""Whether a saved folder of a type loads with its own tokenizer, and what its tokens say."""

from __future__ import annotations

import copy
import re
import tempfile
from pathlib import Path
from typing import Any

import torch
import transformers
from readers import CORPUS, PYTHON_TOKENIZERS, python_tokenizer
from tiny import module_of, small_configs
from transformers.models.auto.tokenization_auto import TOKENIZER_MAPPING_NAMES

import introspect as ix

VOCABULARY = 640
_OPTIONS: dict[str, dict[str, Any]] = {"MarkupLMTokenizer": {"tags_dict": {}}}
TEXT = "The animal didn't cross it."


def text_of(name: str) -> str:
    """Return what the tokens of a text are known by, after a folder was saved and loaded."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            return _text_of(name, Path(folder))
    except ix.IntrospectError as error:
        return f"refused: {_reason(str(error))}"
    except ImportError as error:
        needed = re.search(r"(?:requires the|install) (\S+)", str(error))
        return f"refused: its tokenizer needs the package {needed[1] if needed else error.name}"
    except Exception as error:
        return f"not tried: {type(error).__name__}"


def _text_of(name: str, folder: Path) -> str:
    tokenizer = tokenizer_of(name, folder / "vocabulary")
    module: Any = _wide(name)
    module.save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    model = ix.load(str(folder / "model"))
    tokens = model.tokens(TEXT)
    if not tokens.texts:
        return f"tokens ({type(tokenizer).__name__})"
    own = type(model.tokenizer).__name__
    return "characters" if model.tokenizer.is_fast else f"characters, from the pieces of {own}"


def tokenizer_of(name: str, folder: Path) -> Any:
    """Return a tiny tokenizer of the class that transformers has for a type."""
    own = TOKENIZER_MAPPING_NAMES.get(name) or "GPT2Tokenizer"
    if own in PYTHON_TOKENIZERS:
        return python_tokenizer(own, folder)
    # Of types that take any tokenizer of the tokenizers library.
    own = "GPT2Tokenizer" if own == "TokenizersBackend" else own
    if own == "PegasusTokenizer":  # its own entries are not those that training makes
        letters = sorted(set("".join(CORPUS)) - {" "})
        entries = ["<pad>", "</s>", "<mask_1>", "<mask_2>", "<unk>", "▁", *letters]
        scores = [0.0 if entry == "<unk>" else -1.0 for entry in entries]
        return transformers.PegasusTokenizer(vocab=list(zip(entries, scores, strict=True)))
    empty = getattr(transformers, own)(**_OPTIONS.get(own, {}))
    return empty.train_new_from_iterator(CORPUS, vocab_size=259, show_progress=False)


def _wide(name: str) -> torch.nn.Module:
    """Return a small model with an embedding for every tokenizer here."""
    first: Exception | None = None
    for config in small_configs(name):
        wide = copy.deepcopy(config)
        sides = [getattr(wide, side, None) for side in ("encoder", "decoder")]
        for part in (wide, *sides):
            for key in ("vocab_size", "src_vocab_size", "tgt_vocab_size", "decoder_vocab_size"):
                if isinstance(getattr(part, key, None), int):
                    setattr(part, key, VOCABULARY)
        try:
            return module_of(wide)
        except Exception as error:
            first = first or error
    assert first is not None
    raise first


def _reason(text: str) -> str:
    """Return the reason that an error gives, without what is another thing on another machine."""
    if found := re.search(r"but (\w+) does not: Words must be", text):
        return f"{found[1]} reads words in boxes on a page"
    if found := re.search(r"(\w+) does not: .*missing .*argument: '(\w+)'", text):
        return f"{found[1]} reads a {found[2]} beside a text"
    return re.sub(r"'/[^']*'|'model'", "it", text.split(". ")[0])
