"""The text that a model generates, and the record of its attention meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from introspect.errors import SelectionError
from introspect.hooks import NEW_TOKENS, Captured, configured, is_encoder_decoder, verify
from introspect.models.inputs import EncodedText
from introspect.models.tokens import assembled, without_characters
from introspect.records import TokenSequence
from introspect.text import Span, shortened


def continued(tokenizer: Any, tokens: TokenSequence, new_ids: Sequence[int]) -> TokenSequence:
    """Append the tokens that a model generated after ``tokens``, which continue the last text.

    If a character consists of several tokens, each of them stands for that character. The new ones
    are marked as generated.

    Args:
        tokenizer: the tokenizer that made the tokens.
        tokens: the tokens that the model had read.
        new_ids: the vocabulary ids that it then generated.
    """
    special_ids = set(tokenizer.all_special_ids)
    special = [i in special_ids for i in new_ids]
    number = max(len(tokens.texts) - 1, 0)
    numbers = [*tokens.sequence_ids, *(None if flag else number for flag in special)]
    if not tokens.texts:
        new = without_characters(tokenizer, new_ids, special, numbers[len(tokens) :])
        return _joined(tokens, new).generated_from(len(tokens))
    read = [i for i in tokens.token_ids if i not in special_ids]
    written = [
        _written(tokenizer, read, [i for i in new_ids[:count] if i not in special_ids])
        for count in range(len(new_ids) + 1)
    ]
    before = tokens.texts[-1]
    spans = [
        (0, 0) if is_special else _within(before + written[-1], span, len(before))
        for span, is_special in zip(_spans(written), special, strict=True)
    ]
    whole = assembled(
        tokenizer,
        [*tokens.token_ids, *new_ids],
        [*tokens.special_tokens_mask, *special],
        [*tokens.offsets, *spans],
        numbers,
        [*tokens.texts[:-1], before + written[-1]],
    )
    return whole.generated_from(len(tokens))


def _joined(first: TokenSequence, second: TokenSequence) -> TokenSequence:
    """Return two sequences without texts, one after the other."""
    count = len(first.words)
    word_ids = [None if word is None else word + count for word in second.word_ids]
    return TokenSequence(
        first.tokens + second.tokens,
        token_ids=first.token_ids + second.token_ids,
        word_ids=(*first.word_ids, *word_ids),
        special_tokens_mask=first.special_tokens_mask + second.special_tokens_mask,
        unknown_mask=first.unknown_mask + second.unknown_mask,
        sequence_ids=first.sequence_ids + second.sequence_ids,
        words=first.words + second.words,
    )


def _written(tokenizer: Any, read: list[int], new: list[int]) -> str:
    """Decode the new tokens after those that were read, so that a leading space is kept."""
    options = {"clean_up_tokenization_spaces": False}
    return str(tokenizer.decode([*read, *new], **options))[len(tokenizer.decode(read, **options)) :]


def _spans(written: Sequence[str]) -> list[Span]:
    """Return the span of each token in the growing text; byte tokens span their whole character."""
    whole = written[-1]
    ends = [0]
    for text in written[1:]:
        # Bytes of an incomplete character decode differently once it is complete.
        ends.append(max(ends[-1], _common(text, whole)))
    return [
        (start, next((end for end in ends[index:] if end > start), start))
        for index, start in enumerate(ends[:-1], start=1)
    ]


def _common(a: str, b: str) -> int:
    """Return the length of the common prefix of two texts."""
    pairs = enumerate(zip(a, b, strict=False))
    return next((i for i, (x, y) in pairs if x != y), min(len(a), len(b)))


def _within(text: str, span: Span, first: int) -> Span:
    """Shift ``span`` by ``first``, and trim leading spaces."""
    start, end = first + span[0], first + span[1]
    inner = text[start:end]
    return start + (len(inner) - len(inner.lstrip()) if inner.strip() else 0), end


Generate = bool | int | Mapping[str, Any]


def generation_options(generate: Generate, module: nn.Module) -> dict[str, Any] | None:
    """Return the options of ``module.generate``, or ``None`` if nothing is to be generated.

    A length that is configured, in a ``generation_config`` among the options or the model's own,
    is kept: 20 tokens are for a model that names none, and the most with ``True``.

    Args:
        generate: what ``Model.capture`` is given.
        module: the model.

    Raises:
        SelectionError: ``generate`` is neither a bool nor a number of tokens nor options.
    """
    if isinstance(generate, bool):
        own = configured(module, {}, "max_new_tokens") or NEW_TOKENS
        return {"max_new_tokens": min(own, NEW_TOKENS)} if generate else None
    if isinstance(generate, int) and generate > 0:
        return {"max_new_tokens": generate}
    if isinstance(generate, Mapping):
        lengths = ("max_new_tokens", "max_length")
        has_length = any(configured(module, generate, name) is not None for name in lengths)
        return {**({} if has_length else {"max_new_tokens": NEW_TOKENS}), **generate}
    raise SelectionError(
        "Expected `generate` as True, a number of tokens from 1, or options of module.generate, "
        f"got {generate!r}. Give for example generate=20 or generate={{'do_sample': True}}."
    )


@dataclass(frozen=True, eq=False)
class Writing:
    """The tokens that a model read and generated in one run.

    Args:
        module: the model.
        tokenizer: its tokenizer.
        source: the prompt, or the input of the encoder.
        captured: the results of the generation; the output is the sequence of token ids.
    """

    module: nn.Module
    tokenizer: Any
    source: EncodedText
    captured: Captured

    @property
    def tokens(self) -> TokenSequence:
        """All tokens, including the last one; for an encoder-decoder those of the decoder."""
        ids = [int(i) for i in self._sequence[0]]
        if not self._has_encoder:
            given = self.source.tokens
            return continued(self.tokenizer, given, ids[len(given) :])
        start = TokenSequence(
            tokens=(self.tokenizer.convert_ids_to_tokens(ids[0]),),
            token_ids=(ids[0],),
            word_ids=(None,),
            special_tokens_mask=(True,),
            sequence_ids=(None,),
            texts=("",),
        )
        return continued(self.tokenizer, start, ids[1:])

    def sides(self, kind: str) -> tuple[TokenSequence, TokenSequence]:
        """Return the queries and keys of a kind of attention: the tokens that were read."""
        tokens = self.tokens
        read = tokens.at(range(len(tokens) - 1))
        return (
            self.source.tokens if kind == "encoder" else read,
            self.source.tokens if kind in ("encoder", "cross") else read,
        )

    def notice(self) -> str:
        """Return the notice that explains the rows to the reader."""
        tokens = self.tokens
        given = 1 if self._has_encoder else len(self.source.tokens)
        written = self._written(tokens, given)
        return (
            f"The model wrote {len(tokens) - given} tokens: “{shortened(written, 240)}”. The row "
            "of a token shows what the model attended to while it read that token, to write the "
            f"next one. The last token, “{tokens.tokens[-1].strip()}”, was read by nobody and has "
            "no row."
        )

    def _written(self, tokens: TokenSequence, given: int) -> str:
        """Return the text that the model wrote."""
        if not tokens.texts:
            ids = list(tokens.token_ids[given:])
            return str(self.tokenizer.decode(ids, skip_special_tokens=True)).strip()
        begin = 0 if self._has_encoder else len(self.source.tokens.texts[-1])
        return tokens.texts[-1][begin:].strip()

    def verified(self) -> Captured:
        """Return the capture with its difference from eager attention over the same tokens."""
        name = "decoder_input_ids" if self._has_encoder else "input_ids"
        inputs: dict[str, torch.Tensor] = dict(self.source.inputs) if self._has_encoder else {}
        inputs[name] = self._sequence[:, :-1]
        captured = replace(self.captured, output=None)
        certificate = verify(self.module, inputs, captured)
        return replace(self.captured, certificate=certificate)

    @property
    def _sequence(self) -> torch.Tensor:
        sequence: torch.Tensor = self.captured.output
        return sequence

    @property
    def _has_encoder(self) -> bool:
        return is_encoder_decoder(self.module)
