"""What a model attends to while it writes: held against one eager run over all that it read."""

from __future__ import annotations

import copy

import pytest
import torch
from transformers import GenerationConfig

from introspect.errors import CaptureError, SelectionError
from introspect.hooks import capture_generation
from introspect.models import Model
from tests import models_zoo as zoo
from tests import writers_zoo
from tests.tokenizers_zoo import byte_level
from tests.writers_zoo import CONFIGS, ENCODER_DECODERS, WINDOW, WITH_WINDOWS, writer

PROMPT = "the cat sat on the mat and it"
NEW = 14
DECODERS = [name for name in CONFIGS if name not in ENCODER_DECODERS]
# One token at a time and all at once are different kernels in float32, which differ from one
# processor to another; a wrong mask or position is off by more than 1e-2.
SAME = 1e-5
OUTPUTS = {"encoder": "encoder_attentions", "decoder": "decoder_attentions"}


@pytest.fixture(params=DECODERS)
def decoder(request):
    return writer(request.param)


def eagerly(model: Model, **inputs: torch.Tensor):
    with torch.no_grad():
        twin = writers_zoo.eager_twin(model.module)
        return twin(**inputs, output_attentions=True, use_cache=False)


def ids(sequence) -> torch.Tensor:
    return torch.tensor([sequence.token_ids])


# --- the oracle: one eager run over the same tokens --------------------------------------------


def test_the_rows_are_those_of_one_run_over_all_tokens(decoder):
    record = decoder.capture(PROMPT, generate=NEW)
    expected = torch.cat(eagerly(decoder, input_ids=ids(record.queries)).attentions)
    torch.testing.assert_close(record.attentions, expected, atol=SAME, rtol=0)


def test_what_it_wrote_is_what_it_writes_unwatched(decoder):
    record = decoder.capture(PROMPT, generate=NEW)
    prompt = ids(decoder.tokens(PROMPT))[:, :-1]  # without the end token
    written = decoder.module.generate(
        input_ids=prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=NEW,
        do_sample=False, pad_token_id=1,
    )  # fmt: skip
    assert list(record.queries.token_ids) == written[0, :-1].tolist()


@pytest.mark.parametrize("name", WITH_WINDOWS)
@pytest.mark.parametrize("cache", ["dynamic", "static"])
def test_keys_keep_their_places_when_the_cache_forgets(name, cache):
    model = writer(name)
    options = {"max_new_tokens": NEW, "cache_implementation": cache}
    record = model.capture(PROMPT, generate=options)
    expected = torch.cat(eagerly(model, input_ids=ids(record.queries)).attentions)
    torch.testing.assert_close(record.attentions, expected, atol=SAME, rtol=0)
    last = record.attentions[0, :, -1]
    assert (last[:, -WINDOW:] > 0).all()
    assert (last[:, :-WINDOW] == 0).all()


@pytest.mark.parametrize("name", ENCODER_DECODERS)
@pytest.mark.parametrize("kind", ["encoder", "decoder", "cross"])
def test_an_encoder_decoder_writes_too(name, kind):
    model = writer(name)
    record = model.capture(PROMPT, generate=NEW, kind=kind)
    source = model.capture(PROMPT, generate=NEW, kind="encoder").keys
    written = model.capture(PROMPT, generate=NEW, kind="decoder").keys
    own = eagerly(model, input_ids=ids(source), decoder_input_ids=ids(written))
    expected = torch.cat(own[f"{kind}_attentions"])
    torch.testing.assert_close(record.attentions, expected, atol=SAME, rtol=0)
    assert len(written) == NEW
    # All but the token that it begins with.
    assert written.generated_mask == (False,) + (True,) * (NEW - 1)
    assert not any(source.generated_mask)
    assert len(record.queries) == (len(source) if kind == "encoder" else NEW)


def test_a_prompt_that_is_read_in_parts_gives_the_same_rows():
    model = writer("mistral")
    options = {"max_new_tokens": NEW, "prefill_chunk_size": 3}
    parts = model.capture(PROMPT, generate=options).attentions
    whole = model.capture(PROMPT, generate=NEW).attentions
    torch.testing.assert_close(parts, whole, atol=SAME, rtol=0)


def test_without_a_cache_the_rows_are_the_same():
    model = writer("llama")
    again = model.capture(PROMPT, generate={"max_new_tokens": NEW, "use_cache": False})
    whole = model.capture(PROMPT, generate=NEW)
    torch.testing.assert_close(again.attentions, whole.attentions, atol=SAME, rtol=0)


@pytest.mark.parametrize("name", ["llama", "bloom"])
def test_sampling_draws_what_it_would_draw_unwatched(name):
    model = writer(name)
    prompt = ids(model.tokens(PROMPT))[:, :-1]
    options = {"max_new_tokens": NEW, "do_sample": True}
    torch.manual_seed(3)
    unwatched = model.module.generate(
        input_ids=prompt, attention_mask=torch.ones_like(prompt), pad_token_id=1, **options
    )
    torch.manual_seed(3)
    record = model.capture(PROMPT, generate=options)
    assert list(record.queries.token_ids) == unwatched[0, :-1].tolist()


# --- the record --------------------------------------------------------------------------------


def test_the_tokens_go_on_from_the_prompt():
    record = writer("llama").capture(PROMPT, generate=NEW)
    prompt = writer("llama").tokens(PROMPT)
    length = len(prompt) - 1
    assert record.queries.tokens[:length] == prompt.tokens[:-1]
    assert len(record.queries) == length + NEW - 1
    assert record.queries == record.keys
    assert record.queries.generated_mask == (False,) * length + (True,) * (NEW - 1)
    assert not any(prompt.generated_mask)
    assert record.queries.texts[0].startswith(PROMPT)
    for (start, end), is_special in zip(
        record.queries.offsets, record.queries.special_tokens_mask, strict=True
    ):
        assert is_special or 0 <= start <= end <= len(record.queries.texts[0])


def test_a_notice_says_what_was_written_and_that_the_last_token_has_no_row():
    record = writer("llama").capture(PROMPT, generate=3)
    (notice,) = [text for text in record.notices if "wrote" in text]
    assert notice.startswith("The model wrote 3 tokens: “")
    assert "has no row" in notice


def test_chosen_layers_keep_their_numbers():
    model = writer("llama")
    record = model.capture(PROMPT, generate=NEW, layers=[2])
    assert record.layers == (2,)
    whole = model.capture(PROMPT, generate=NEW)
    assert torch.equal(record.attentions[0], whole.attentions[2])


@pytest.mark.parametrize("name", ["llama", "bloom", "t5"])
def test_the_certificate_compares_with_the_models_own_attention(name):
    certificate = writer(name).capture(PROMPT, generate=5, certify=True).certificate
    assert certificate.route.endswith("while the model wrote")
    assert certificate.max_difference_from_eager < 2e-6
    assert certificate.model == f"tiny-{name}"


def test_a_model_that_wrote_is_left_as_it_was(decoder):
    before = zoo.State.of(decoder.module)
    decoder.capture(PROMPT, generate=4)
    assert zoo.State.of(decoder.module) == before


def test_an_error_while_writing_leaves_the_model_as_it_was():
    model = writer("llama")
    before = zoo.State.of(model.module)
    layer = model.module.model.layers[1].mlp
    handle = layer.register_forward_hook(lambda *_: (_ for _ in ()).throw(RuntimeError("stop")))
    with pytest.raises(CaptureError, match="RuntimeError: stop"):
        model.capture(PROMPT, generate=4)
    handle.remove()
    assert zoo.State.of(model.module) == before


def test_a_chat_is_answered():
    tokenizer = byte_level()
    model = writer("llama", tokenizer)
    tokenizer.chat_template = (
        "{{ bos_token }}{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
        "{% if add_generation_prompt %}assistant:{% endif %}"
    )
    try:
        record = model.capture([{"role": "user", "content": "the cat sat"}], generate=3)
    finally:
        tokenizer.chat_template = None
    assert record.queries.texts[0].startswith("<s>user: the cat sat\nassistant:")
    assert record.queries.special_tokens_mask[0]
    assert sum(record.queries.special_tokens_mask) == 1


# --- refusals ----------------------------------------------------------------------------------


def test_a_model_without_a_head_cannot_write():
    with pytest.raises(CaptureError, match="lm_head=True"):
        Model(zoo.build("llama"), byte_level()).capture(PROMPT, generate=True)


@pytest.mark.parametrize("option", [{"num_beams": 2}, {"num_return_sequences": 2}])
def test_several_texts_at_once_are_refused(option):
    with pytest.raises(SelectionError, match="one text"):
        writer("llama").capture(PROMPT, generate=option)


@pytest.mark.parametrize(
    "config",
    [{"num_beams": 3}, {"num_return_sequences": 2, "do_sample": True}, {"guidance_scale": 2.0}],
)
@pytest.mark.parametrize("place", ["given", "own"])
def test_options_in_a_configuration_are_refused_like_the_others(config, place):
    model = own_writer()
    options = {}
    if place == "given":
        options = {"generation_config": GenerationConfig(pad_token_id=1, **config)}
    else:
        model.module.generation_config.update(**config)
    with pytest.raises(SelectionError, match="one text"):
        model.capture(PROMPT, generate=options)


def own_writer() -> Model:
    """A writer whose configuration may be changed."""
    model = writer("llama")
    return Model(copy.deepcopy(model.module), model.tokenizer)


def written(record) -> int:
    return int(record.notices[-1].split()[3])


@pytest.mark.parametrize("place", ["given", "own"])
@pytest.mark.parametrize("name", ["max_new_tokens", "max_length"])
def test_a_length_that_is_configured_is_kept(place, name):
    model = own_writer()
    prompt = len(model.tokens(PROMPT)) - 1
    number = 3 if name == "max_new_tokens" else prompt + 3
    options = {"do_sample": False}
    if place == "given":
        config = GenerationConfig(pad_token_id=1, do_sample=False, **{name: number})
        options = {"generation_config": config}
    else:
        setattr(model.module.generation_config, name, number)
    record = model.capture(PROMPT, generate=options)
    assert written(record) == 3
    assert written(model.capture(PROMPT, generate={**options, "max_new_tokens": 5})) == 5
    if name == "max_new_tokens":
        expected = 3 if place == "own" else 20
        assert written(model.capture(PROMPT, generate=True)) <= expected


def test_a_configuration_that_is_given_is_left_as_it_was():
    config = GenerationConfig(max_new_tokens=3, do_sample=False)
    before = config.to_dict()
    record = writer("llama").capture(PROMPT, generate={"generation_config": config})
    assert config.to_dict() == before
    with torch.no_grad():
        own = writer("llama").capture(PROMPT, generate={"max_new_tokens": 3, "do_sample": False})
    assert torch.equal(record.attentions, own.attentions)


@pytest.mark.parametrize(
    "options", [{"rows": [1]}, {"include": ("scores",)}, {"target": "the cat"}]
)
def test_what_cannot_be_had_while_writing_is_refused(options):
    with pytest.raises(SelectionError, match="only attention while the model writes"):
        writer("t5").capture(PROMPT, generate=True, **options)


@pytest.mark.parametrize("generate", [0, -3, "yes", 2.5])
def test_what_is_no_way_to_write_is_refused(generate):
    with pytest.raises(SelectionError, match="Expected `generate`"):
        writer("llama").capture(PROMPT, generate=generate)


def test_rows_that_are_not_in_order_are_refused():
    """As of a model that reads other tokens between those of the text."""
    model = writer("llama")
    forward = model.module.model.forward

    def twice(*args, **kwargs):
        if kwargs["input_ids"].shape[1] == 1:
            kwargs["input_ids"] = kwargs["input_ids"].repeat(1, 2)
            kwargs["position_ids"] = None
            kwargs["attention_mask"] = None
        return forward(*args, **kwargs)

    model.module.model.forward = twice
    prompt = torch.tensor([[5, 6, 7]])
    with pytest.raises(CaptureError, match="one after the other"):
        capture_generation(model.module, {"input_ids": prompt}, {"max_new_tokens": 4})


def test_a_layer_that_is_not_there_is_refused_at_once():
    with pytest.raises(SelectionError, match=r"0–2"):
        writer("llama").capture(PROMPT, generate=True, layers=[7])
