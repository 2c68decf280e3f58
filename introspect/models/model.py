"""A model with its tokenizer, which captures the attention of a text."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from torch import nn

from introspect.calls import checked_call, checked_class, kind_of_thing
from introspect.changes import guarded
from introspect.errors import ModelError, SelectionError, TextError
from introspect.hooks import (
    GRADIENT_PARTS,
    STEPS,
    Objective,
    capture,
    capture_generation,
    capture_gradients,
    has_own_attention,
    unwrapped,
    verify,
    with_gradients,
)
from introspect.models.batch_capture import BatchCapture
from introspect.models.copies import without_left_hooks
from introspect.models.generation import Generate, Writing, generation_options
from introspect.models.inputs import (
    EncodedText,
    Readable,
    Words,
    as_input_text,
    check_texts,
    encode,
    encode_batch,
    encode_target,
    length_limit,
    num_embeddings,
    with_embeddings,
)
from introspect.models.run_plan import (
    RunPlan,
    checked_kind,
    kinds_of,
    make_record,
    plan_run,
    reader_of,
    run_inputs,
    signed,
)
from introspect.models.tokens import is_tokenizer
from introspect.progress import ProgressLike, following
from introspect.records import AttentionRecord, Kind, TokenSequence


@checked_class
@dataclass(frozen=True, eq=False)
class Model:
    """A transformers module with its tokenizer.

    Args:
        module: the transformers model; of one that PEFT, ``torch.compile`` or DataParallel wraps,
            what is inside.
        tokenizer: its tokenizer. Of one written in Python the characters of tokens are found from
            the tokens; where they are not sure, records have tokens and no characters.
        name: the name to report: hub id or folder.
        revision: the commit on the hub, or a digest of the weights.
        within: what the module is a part of, for the certificate; none for most models.
        unused: weights of its checkpoint that it does not use, for the certificate.

    Raises:
        ModelError: the tokenizer is none of transformers.
    """

    module: nn.Module
    tokenizer: Any
    name: str = "model"
    revision: str | None = None
    within: str | None = None
    unused: str = ""
    # A fast tokenizer keeps its truncation setting in one shared object.
    _tokenizer_lock: threading.RLock = field(
        default_factory=lambda: guarded(threading.RLock()), repr=False
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "module", unwrapped(self.module))
        if not is_tokenizer(self.tokenizer):
            raise ModelError(
                f"Expected a tokenizer of transformers for {self.name}, got "
                f"{type(self.tokenizer).__name__}. Load it with AutoTokenizer.from_pretrained."
            )

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.name}, {type(self.module).__name__}>"

    def __getstate__(self) -> dict[str, Any]:
        # A lock can be neither pickled nor copied, nor can what a run leaves on the module.
        state = {name: value for name, value in vars(self).items() if name != "_tokenizer_lock"}
        return {**state, "module": without_left_hooks(self.module)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in {**state, "_tokenizer_lock": guarded(threading.RLock())}.items():
            object.__setattr__(self, name, value)

    def tokenizing(self) -> threading.RLock:
        """Return the lock to hold while using the tokenizer, whose settings are a shared object."""
        return self._tokenizer_lock

    @property
    def is_encoder_decoder(self) -> bool:
        """Return whether the model reads one text and writes another (T5, BART)."""
        return len(self.kinds) > 1

    @property
    def is_decoder(self) -> bool:
        """Return whether the model continues a text, one token after another (GPT-2)."""
        writes = getattr(self.module, "can_generate", lambda: False)()
        return bool(writes) and not self.is_encoder_decoder

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds of attention: ``self``; or ``encoder``, ``decoder`` and ``cross``."""
        return kinds_of(self.module)

    @property
    def reading_kind(self) -> Kind:
        """The kind of attention over the text that the model reads: ``self`` or ``encoder``."""
        return self.kinds[0]

    @property
    def writing_kinds(self) -> tuple[Kind, ...]:
        """The kinds of the tokens that the output has a row for."""
        return self.kinds[1:] or self.kinds

    @property
    def reader(self) -> nn.Module:
        """The part of the model that reads a text: its encoder, or all of a model without one."""
        return reader_of(self.module)

    @checked_call
    def capture(
        self,
        text: Readable | None = None,
        text_pair: Readable | None = None,
        *,
        words: Sequence[str] | None = None,
        target: str | None = None,
        kind: Kind | None = None,
        include: Sequence[str] = ("attentions",),
        of: Objective | None = None,
        steps: int = STEPS,
        layers: Sequence[int] | None = None,
        rows: Sequence[int] | None = None,
        generate: Generate = False,
        truncation: bool = False,
        certify: bool = False,
    ) -> AttentionRecord:
        """Capture the attention of every layer and head for one text.

        Args:
            text: the input of the model: a text, a list of words without spaces, or a chat as a
                list of messages with role and content. Several texts are for ``capture_many``.
            text_pair: a second text or list of words, for models that read pairs.
            words: in place of ``text``, its words as a list, whatever is in them.
            target: the text that an encoder-decoder writes.
            kind: for encoder-decoders ``encoder`` (the default without a target), ``decoder`` or
                ``cross`` (the default with one).
            include: the parts to keep besides the attention: ``scores``, ``queries``, ``keys``,
                ``values``, ``head_outputs``, ``queries_before_rotary``, ``keys_before_rotary``,
                ``value_norms``, ``residual_norms``, ``contributions``, and with ``of`` also
                ``gradients`` and ``integrated_gradients``;
                they are in ``record.parts``.
            of: the number to differentiate with respect to the attention: a function that computes
                one number, in the graph, from the model's output, such as ``ix.logit_of`` and
                ``ix.similarity_to`` return. The certificate names it.
            steps: the number of points of the integral of integrated gradients.
            layers: only these layers, by the model's own numbers.
            rows: only the attention of the query tokens at these positions; the model runs as it
                was loaded, and a long text costs no more than its rows.
            generate: let the model continue the text, and capture its attention meanwhile:
                ``True`` for up to 20 tokens, a number of tokens, or options of ``module.generate``.
            truncation: truncate a text that is too long for the model, and say so in ``notices``.
            certify: run the model twice more, to add to the certificate how much the capture
                differs from the attention that the model returns itself.

        Raises:
            TextError: the text is empty, or longer than the model reads.
            SelectionError: the model does not have a layer, row or kind, or options are
                incompatible.
            CaptureError: the model's attention cannot be observed, or a part cannot be verified.
        """
        wanted = tuple(dict.fromkeys([include] if isinstance(include, str) else include))
        _check_gradients(wanted, of, steps, rows)
        text = _one_text(text, words)
        options = None if generate is False else generation_options(generate, self.module)
        if options is not None:
            _check_generation(wanted, rows, target)
            kind = self._checked_kind(kind, target, generates=True)
            with self._tokenizer_lock:
                source = self._encode(text, text_pair, truncation=truncation, generates=True)
            return self._capture_writing(kind, source, options, layers, certify=certify)
        plan = self._plan(text, text_pair, kind=kind, target=target, truncation=truncation)
        module, inputs, kind = plan.module, plan.inputs, plan.kind
        plain = [part for part in wanted if part not in GRADIENT_PARTS]
        captured = capture(module, inputs, ("attentions", *plain), layers=layers, rows=rows)
        if certify:
            captured = replace(captured, certificate=verify(module, inputs, captured))
        if of is not None:
            # A number to differentiate may be about a word, whose place only the tokens say.
            of = of.on(plan.tokens) if hasattr(of, "on") else of
            captured = with_gradients(
                captured, capture_gradients(module, inputs, of, wanted, layers=layers, steps=steps)
            )
        queries, keys = plan.queries, plan.keys
        captured_kind = kind if kind in captured.attentions else "self"
        if captured_kind not in captured.attentions and layers is not None:
            raise SelectionError(
                f"Expected `layers` that the {kind} attention of {self.name} has, got "
                f"{list(layers)}. Layers of each kind are numbered from 0."
            )
        record = make_record(
            captured,
            captured_kind,
            queries=queries.tokens if rows is None else queries.tokens.at(rows),
            keys=keys.tokens,
            name=self.name,
            parts=[part for part in wanted if part != "attentions"],
            notices=(*queries.notices, *keys.notices),
        )
        return self._signed(replace(record, kind=kind))

    @checked_call
    def capture_many(
        self,
        texts: Iterable[Readable],
        *,
        batch_size: int = 32,
        include: Sequence[str] = ("attentions",),
        layers: Sequence[int] | None = None,
        kind: Kind | None = None,
        truncation: bool = False,
        progress: ProgressLike = None,
    ) -> Iterator[AttentionRecord]:
        """Capture the attention of many texts, which run in batches; yield a record of each.

        A record equals that of ``capture``, up to the rounding of batches. The records come in the
        order of the texts; as texts run beside others of like length, up to 16 batches are read
        ahead, fewer where texts are long.

        Args:
            texts: texts, lists of words, or chats; one text is a list of one.
            batch_size: the most texts in a batch.
            include: as for ``capture``, without gradients.
            layers: only these layers, by the model's own numbers.
            kind: for encoder-decoders ``encoder``, which is the default.
            truncation: truncate texts that are too long, and say so in the ``notices`` of a record.
            progress: ``True`` for a bar, or a function of the stage, how many records there are,
                and their total if it is known.

        Raises:
            TextError: a text is empty, or longer than the model reads; the message has its number.
            SelectionError: an option is unknown, or the model does not have a layer.
            CaptureError: the model's attention cannot be observed, or a part cannot be verified.

        Example:
            >>> import introspect as ix
            >>> records = ix.load("minilm").capture_many(["The cat sat.", "It slept on."])
            >>> [len(record.keys) for record in records]
            [6, 6]
        """
        if isinstance(texts, str):
            texts = [texts]
        check_texts(texts)
        wanted = tuple(dict.fromkeys([include] if isinstance(include, str) else include))
        _check_gradients(wanted, None, STEPS, None)
        if batch_size < 1:
            raise SelectionError(f"Expected `batch_size` of at least 1, got {batch_size}.")
        kind = self._checked_kind(kind, None)
        many = BatchCapture(
            module=self.reader,
            tokenizer=self.tokenizer,
            name=self.name,
            kind=kind,
            batch_size=batch_size,
            parts=tuple(part for part in wanted if part != "attentions"),
            layers=None if layers is None else tuple(layers),
        )
        encode = partial(self.encoded, truncation=truncation)
        total = len(texts) if isinstance(texts, Sized) else None
        return _told(map(self._signed, many.records(texts, encode)), total, progress)

    def _capture_writing(
        self,
        kind: Kind,
        source: EncodedText,
        options: Mapping[str, Any],
        layers: Sequence[int] | None,
        *,
        certify: bool,
    ) -> AttentionRecord:
        """Capture the attention while the model generates."""
        inputs = run_inputs(self.module, source.inputs)
        pad = {"pad_token_id": self.tokenizer.pad_token_id}
        captured = capture_generation(self.module, inputs, {**pad, **options}, layers=layers)
        writing = Writing(self.module, self.tokenizer, replace(source, inputs=inputs), captured)
        queries, keys = writing.sides(kind)
        record = make_record(
            writing.verified() if certify else captured,
            kind,
            queries=queries,
            keys=keys,
            name=self.name,
            notices=(*source.notices, writing.notice()),
        )
        return self._signed(record)

    def _signed(self, record: AttentionRecord) -> AttentionRecord:
        """Add the model's name, revision and tokenizer class to the certificate of a record."""
        note = record.certificate.note
        if self.within is not None:
            part = f"of the {type(self.module).__name__} in {self.within}, which ran by itself"
            note = f"{part}; {note}" if note else part
        noted = replace(record, certificate=replace(record.certificate, note=note))
        return signed(noted, self, self.tokenizer)

    @checked_call
    def tokens(self, text: str, *, truncation: bool = False) -> TokenSequence:
        """Return the tokens that the model reads for ``text``, without running it."""
        with self._tokenizer_lock:
            return self._encode(text, None, truncation=truncation).tokens

    @checked_call
    def encoded(
        self, texts: Sequence[Readable], *, truncation: bool = False
    ) -> list[EncodedText | TextError]:
        """Return each text as the model reads it, or its error in its place.

        Args:
            texts: texts, lists of words, or chats.
            truncation: truncate texts that are too long, and say so in their notices.
        """
        limit = length_limit(self.module, self.tokenizer)
        with self._tokenizer_lock:
            plain = [text for text in texts if isinstance(text, str)]
            if len(plain) < len(texts):
                return [self._outcome(text, truncation=truncation) for text in texts]
            encoded = encode_batch(self.tokenizer, plain, limit=limit, truncation=truncation)
        rows = num_embeddings(self.module)
        return [with_embeddings(each, rows, self.name) for each in encoded]

    def _outcome(self, text: Readable, *, truncation: bool) -> EncodedText | TextError:
        try:
            return self._encode(text, None, truncation=truncation)
        except TextError as error:
            return error

    def run_plan(
        self, text: Readable, *, target: str | None = None, whole: bool = False
    ) -> RunPlan:
        """Plan a run on a text: the part of the model that runs, its inputs, and its tokens.

        Args:
            text: the input of the model.
            target: the text that an encoder-decoder writes; without it, its encoder runs alone.
            whole: run the whole model, for which an encoder-decoder needs a target.

        Raises:
            TextError: the text is empty, or longer than the model reads.
            SelectionError: a whole encoder-decoder has no target, or another model has one.
        """
        kind: Kind | None = "cross" if whole and self.is_encoder_decoder else None
        return self._plan(text, None, kind=kind, target=target, truncation=False)

    def _plan(
        self,
        text: Readable,
        text_pair: Readable | None,
        *,
        kind: Kind | None,
        target: str | None,
        truncation: bool,
    ) -> RunPlan:
        kind = self._checked_kind(kind, target)
        with self._tokenizer_lock:
            source = self._encode(text, text_pair, truncation=truncation)
            written = None if target is None else self._encode_target(target, truncation)
        return plan_run(self.module, kind, source, written)

    def _encode(
        self,
        text: Readable,
        text_pair: Readable | None,
        *,
        truncation: bool,
        generates: bool = False,
    ) -> EncodedText:
        first = as_input_text(self.tokenizer, text, name=self.name, add_generation_prompt=generates)
        second = None
        if text_pair is not None:
            second = as_input_text(self.tokenizer, text_pair, name=self.name)
            if first.is_templated or second.is_templated:
                raise SelectionError(
                    "Expected no `text_pair` beside a chat, got both. Put all of it in messages."
                )
        encoded = encode(
            self.tokenizer,
            first,
            second,
            limit=length_limit(self.module, self.tokenizer),
            truncation=truncation,
            as_prompt=generates and not self.is_encoder_decoder,
        )
        # Whether it can generate at all is said first.
        can_write = getattr(self.module, "can_generate", bool)()
        return encoded if generates and not can_write else self._readable(encoded)

    def _readable(self, encoded: EncodedText) -> EncodedText:
        """Return a text of tokens that the model has embeddings for.

        Raises:
            TextError: it has others.
        """
        checked = with_embeddings(encoded, num_embeddings(self.module), self.name)
        if isinstance(checked, TextError):
            raise checked
        return checked

    def _encode_target(self, target: str, truncation: bool) -> EncodedText:
        config: Any = self.module.config
        start_id = getattr(config, "decoder_start_token_id", None)
        if start_id is None:
            raise ModelError(
                f"Expected decoder_start_token_id in the configuration of {self.name}, which is "
                "what its decoder reads first. Set it to the id that the model was trained with."
            )
        encoded = encode_target(
            self.tokenizer,
            target,
            start_id=start_id,
            limit=length_limit(self.module, self.tokenizer),
            truncation=truncation,
        )
        return self._readable(encoded)

    @property
    def has_unembedding(self) -> bool:
        """Return whether the model has a head that outputs a number for each vocabulary entry."""
        find: Any = getattr(self.module, "get_output_embeddings", None)
        return find is not None and find() is not None

    @property
    def lm_head_advice(self) -> str:
        """Return what to do where a language-modeling head is missing, for the end of an error."""
        if has_own_attention(self.module):
            return (
                "It is no model of transformers, so no LM head of it is known: load a model of "
                "transformers with ix.load(name, lm_head=True)"
            )
        return "Load it with its LM head (lm_head=True)"

    def _checked_kind(
        self, kind: Kind | None, target: str | None, *, generates: bool = False
    ) -> Kind:
        return checked_kind(
            kind,
            name=self.name,
            kinds=self.kinds,
            has_target=target is not None,
            generates=generates,
        )


def _check_gradients(
    wanted: Sequence[str], of: Objective | None, steps: int, rows: Sequence[int] | None
) -> None:
    named = [part for part in wanted if part in GRADIENT_PARTS]
    if named and of is None:
        raise SelectionError(
            f"Expected `of` beside {' and '.join(map(repr, named))}: the number to differentiate, "
            "as a function of what the model returns. Give for example of=ix.logit_of(model, "
            "token) with a language-model head, or of=ix.similarity_to(model, text) without one."
        )
    if of is not None and not named:
        raise SelectionError(
            f"Expected {' or '.join(map(repr, GRADIENT_PARTS))} in `include` beside `of`, got "
            f"{', '.join(map(repr, wanted)) or 'nothing'}. Name what to differentiate for."
        )
    if named and rows is not None:
        raise SelectionError(
            f"Expected no `rows` beside {' and '.join(map(repr, named))}, which need the whole "
            "run. Leave `rows` out."
        )
    if steps < 1:
        raise SelectionError(f"Expected `steps` of at least 1, got {steps}.")


def _check_generation(wanted: Sequence[str], rows: Any, target: str | None) -> None:
    if set(wanted) - {"attentions"} or rows is not None or target is not None:
        raise SelectionError(
            "Expected only attention while the model writes, without `rows` or `target`. For other "
            "parts capture the text that it wrote: record.queries.texts[-1]."
        )


def _told(
    records: Iterator[AttentionRecord], total: int | None, progress: ProgressLike
) -> Iterator[AttentionRecord]:
    """Yield records, and tell how many there have been."""
    with following(progress) as tell:
        tell("capturing texts", 0, total)
        for number, record in enumerate(records, start=1):
            tell("capturing texts", number, total)
            yield record


def _one_text(text: Readable | None, words: Sequence[str] | None) -> Readable:
    """Return what is read: the text, or the words given in its place.

    Raises:
        TextError: neither is given, or both; or the words are no list of texts.
    """
    if (text is None) == (words is None):
        given = "none" if text is None else "both"
        raise TextError(
            f"Expected a text or `words`, got {given}. Give model.capture('The cat sat.') or "
            "model.capture(words=['The', 'cat', 'sat'])."
        )
    if words is None:
        assert text is not None
        return text
    listed = [] if isinstance(words, str) or not isinstance(words, Iterable) else list(words)
    if not listed or not all(isinstance(word, str) and word.strip() for word in listed):
        raise TextError(
            f"Expected `words` as a list of words, got {kind_of_thing(words)}. Give for example "
            "words=['The', 'cat', 'sat']."
        )
    return Words(listed)
