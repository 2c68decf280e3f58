"""The text that a model generates, and the record of its attention meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from introspect.errors import SelectionError
from introspect.hooks import NEW_TOKENS, Captured, verify
from introspect.models.continuation import continued
from introspect.models.encoding import Encoded
from introspect.records import TokenSequence
from introspect.text import shortened

__all__ = ["Generate", "Writing", "generation_options"]

Generate = bool | int | Mapping[str, Any]


def generation_options(generate: Generate) -> dict[str, Any] | None:
    """Return the options of ``module.generate``, or ``None`` if nothing is to be generated.

    Raises:
        SelectionError: ``generate`` is neither a bool nor a number of tokens nor options.
    """
    if isinstance(generate, bool):
        return {"max_new_tokens": NEW_TOKENS} if generate else None
    if isinstance(generate, int) and generate > 0:
        return {"max_new_tokens": generate}
    if isinstance(generate, Mapping):
        has_length = {"max_new_tokens", "max_length"} & set(generate)
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
    source: Encoded
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
        begin = 0 if self._has_encoder else len(self.source.tokens.texts[-1])
        written = tokens.texts[-1][begin:].strip()
        return (
            f"The model wrote {len(tokens) - given} tokens: “{shortened(written, 240)}”. The row "
            "of a token shows where the model looked while it read that token, to write the next "
            f"one. The last token, “{tokens.tokens[-1].strip()}”, was read by nobody and has no "
            "row."
        )

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
        return bool(self.module.config.is_encoder_decoder)  # type: ignore[union-attr]
