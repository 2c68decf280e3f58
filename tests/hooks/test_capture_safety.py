"""What a capture must never do: change the model, mix threads, see the future, make things up."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
import transformers as tf
from torch import nn
from transformers import AttentionMaskInterface

from introspect.errors import CaptureError, SelectionError
from introspect.hooks import capture, interface, verify
from tests import models_zoo as zoo

#: Far more than any of these runs takes; a thread that is not done by then never will be.
PATIENCE_SECONDS = 30


# --- what a failed run leaves behind ---------------------------------------------------------


class Stop(Exception):
    """Raised inside a model's forward."""


@contextmanager
def failing(part: nn.Module, error: type[BaseException]) -> Iterator[None]:
    def fail(*_: Any) -> None:
        raise error

    handle = part.register_forward_hook(fail)
    try:
        yield
    finally:
        handle.remove()


@pytest.mark.parametrize("error", [Stop, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("name", ["bert", "llama", "t5"])
def test_a_failure_inside_the_forward_leaves_the_model_as_it_was(name, error):
    model, inputs = zoo.build(name), zoo.batch(name)
    before = zoo.State.of(model)
    with failing(last_attention(model), error), pytest.raises(error):
        capture(model, inputs)
    assert zoo.State.of(model) == before


@pytest.mark.parametrize("error", [Stop, KeyboardInterrupt])
def test_nobody_watches_after_a_failure(error):
    model, inputs = zoo.build("bert"), zoo.batch("bert")
    with failing(last_attention(model), error), pytest.raises(error):
        capture(model, inputs)
    assert interface._watcher.get() is None


def test_a_model_can_be_captured_and_verified_after_a_failure():
    model, inputs = zoo.build("bert"), zoo.batch("bert")
    with failing(last_attention(model), Stop), pytest.raises(Stop):
        capture(model, inputs)
    in_threads(lambda: verify(model, inputs, capture(model, inputs)))


def test_a_failed_verification_leaves_the_model_as_it_was():
    model, inputs = zoo.build("bert"), zoo.batch("bert")
    captured = capture(model, inputs)
    with torch.no_grad():
        model(**inputs, output_attentions=False)
    before = zoo.State.of(model).implementations
    with failing(last_attention(model), Stop), pytest.raises(Stop):
        verify(model, inputs, captured)
    assert zoo.State.of(model).implementations == before


def last_attention(model: nn.Module) -> nn.Module:
    return [part for part in model.modules() if type(part).__name__.endswith("Attention")][-1]


# --- the mask trap ---------------------------------------------------------------------------


def future(layer: torch.Tensor) -> torch.Tensor:
    length = layer.shape[-1]
    return layer[..., torch.ones(length, length).triu(1).bool()]


@pytest.mark.parametrize("with_mask", [True, False])
@pytest.mark.parametrize("name", zoo.DECODERS)
def test_a_causal_model_gives_the_future_exactly_nothing(name, with_mask):
    inputs = {"input_ids": torch.arange(4, 4 + zoo.LENGTH)[None]}
    if with_mask:
        inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    for layer in capture(zoo.build(name), inputs).attentions["self"]:
        assert (future(layer) == 0).all()


@pytest.mark.parametrize("name", zoo.DECODERS)
def test_without_its_entry_in_the_mask_interface_the_future_would_be_seen(name, monkeypatch):
    # Shows that the test above can fail, and why the registration must stay.
    monkeypatch.delitem(AttentionMaskInterface._global_mapping, interface.IMPLEMENTATION)
    inputs = {"input_ids": torch.arange(4, 4 + zoo.LENGTH)[None]}
    layers = capture(zoo.build(name), inputs).attentions["self"]
    assert all((future(layer) > 0).any() for layer in layers)


@pytest.mark.parametrize("name", zoo.ENCODER_DECODERS)
def test_the_decoder_of_an_encoder_decoder_is_causal_and_the_rest_is_not(name):
    captured = capture(zoo.build(name), zoo.batch(name)).attentions
    assert all((future(layer) == 0).all() for layer in captured["decoder"])
    assert all((future(layer[:1]) > 0).all() for layer in captured["encoder"])
    assert all((layer[:1] > 0).all() for layer in captured["cross"])


# --- threads ---------------------------------------------------------------------------------


def in_threads(*jobs: Callable[[], Any]) -> list[Any]:
    """Run the jobs at the same time and give their results; fail where one never ends."""
    results: list[Any] = [None] * len(jobs)
    errors: list[BaseException] = []

    def run(place: int, job: Callable[[], Any]) -> None:
        try:
            results[place] = job()
        except BaseException as error:
            errors.append(error)

    threads = [
        threading.Thread(target=run, args=(place, job), daemon=True)
        for place, job in enumerate(jobs)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    if errors:
        raise errors[0]
    assert not any(thread.is_alive() for thread in threads), "a thread waits for ever"
    return results


def texts(count: int, name: str) -> list[dict[str, torch.Tensor]]:
    """Inputs of the same shape and different content, so that only the content tells them apart."""
    made = []
    for seed in range(count):
        generator = torch.Generator().manual_seed(seed)
        ids = torch.randint(4, zoo.VOCABULARY, (1, 7), generator=generator)
        inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        if name in zoo.ENCODER_DECODERS:
            inputs["decoder_input_ids"] = torch.randint(
                4, zoo.VOCABULARY, (1, 5), generator=generator
            )
        made.append(inputs)
    return made


def assert_same_capture(one: Any, other: Any) -> None:
    assert one.layers == other.layers
    for kind, layers in one.attentions.items():
        for mine, its in zip(layers, other.attentions[kind], strict=True):
            torch.testing.assert_close(mine, its, atol=1e-6, rtol=0)


def captures_at_once(models: list[nn.Module], name: str, rounds: int) -> None:
    inputs = texts(len(models), name)
    serial = [capture(model, given) for model, given in zip(models, inputs, strict=True)]
    before = [zoo.State.of(model) for model in models]
    barrier = threading.Barrier(len(models), timeout=PATIENCE_SECONDS)

    def job(place: int) -> Callable[[], None]:
        def run() -> None:
            for _ in range(rounds):
                barrier.wait()
                assert_same_capture(capture(models[place], inputs[place]), serial[place])

        return run

    in_threads(*[job(place) for place in range(len(models))])
    assert [zoo.State.of(model) for model in models] == before


@pytest.mark.parametrize("name", ["bert", "albert", "llama", "t5", "bart"])
def test_captures_of_one_model_in_several_threads_do_not_mix(name):
    captures_at_once([zoo.build(name)] * 3, name, rounds=15)


@pytest.mark.parametrize("name", ["bert", "llama"])
def test_captures_of_two_models_that_share_a_configuration_do_not_mix(name):
    first = zoo.build(name)
    second = zoo.build(name, config=first.config)
    with torch.no_grad():
        for part in second.parameters():
            part.mul_(1.3)
    assert first.config is second.config
    captures_at_once([first, second, first], name, rounds=15)


def test_captures_inside_one_another_do_not_mix():
    # The outer capture is held in its middle until the inner one, of another text, is done.
    model = zoo.build("bert")
    one, other = texts(2, "bert")
    expected, expected_other = capture(model, one), capture(model, other)
    reached, finished = threading.Event(), threading.Event()
    outer: list[int] = []

    def hold(*_: Any) -> None:
        if threading.get_ident() in outer:
            reached.set()
            assert finished.wait(PATIENCE_SECONDS)

    def outer_job() -> Any:
        outer.append(threading.get_ident())
        return capture(model, one)

    def inner_job() -> Any:
        assert reached.wait(PATIENCE_SECONDS)
        try:
            return capture(model, other)
        finally:
            finished.set()

    handle = model.encoder.layer[1].register_forward_hook(hold)
    mine, its = in_threads(outer_job, inner_job)
    handle.remove()
    assert_same_capture(mine, expected)
    assert_same_capture(its, expected_other)
    assert model.config._attn_implementation == "sdpa"


@pytest.mark.parametrize("name", ["bert", "llama", "t5"])
def test_a_plain_run_in_another_thread_during_a_capture_is_right(name):
    model = zoo.build(name)
    one, other = texts(2, name)
    expected = capture(model, one)
    with torch.no_grad():
        plain = model(**other).last_hidden_state
    reached, finished = threading.Event(), threading.Event()
    capturing: list[int] = []

    def hold(*_: Any) -> None:
        if threading.get_ident() in capturing:
            reached.set()
            assert finished.wait(PATIENCE_SECONDS)

    def capture_job() -> Any:
        capturing.append(threading.get_ident())
        return capture(model, one)

    def plain_job() -> Any:
        assert reached.wait(PATIENCE_SECONDS)
        try:
            with torch.no_grad():
                return model(**other).last_hidden_state
        finally:
            finished.set()

    handle = last_attention(model).register_forward_hook(hold)
    captured, output = in_threads(capture_job, plain_job)
    handle.remove()
    assert_same_capture(captured, expected)
    torch.testing.assert_close(output, plain, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["bert", "t5"])
def test_a_plain_run_that_is_under_way_when_a_capture_ends_is_right(name):
    # torch takes a module's hooks as a list before it calls them, so a plain run can still call
    # those of a capture that has ended meanwhile.
    model = zoo.build(name)
    one, other = texts(2, name)
    expected = capture(model, one)
    part = last_attention(model)
    with torch.no_grad():
        plain = model(**other).last_hidden_state
    both_inside, capture_done = threading.Barrier(2, timeout=PATIENCE_SECONDS), threading.Event()
    is_plain = threading.local()

    def meet(*_: Any) -> None:
        both_inside.wait()
        if getattr(is_plain, "here", False):
            assert capture_done.wait(PATIENCE_SECONDS)

    def capture_job() -> Any:
        try:
            return capture(model, one)
        finally:
            capture_done.set()

    def plain_job() -> Any:
        is_plain.here = True
        with torch.no_grad():
            return model(**other).last_hidden_state

    handle = part.register_forward_pre_hook(meet)
    captured, output = in_threads(capture_job, plain_job)
    handle.remove()
    assert_same_capture(captured, expected)
    torch.testing.assert_close(output, plain, atol=1e-5, rtol=0)


def straddling(model: nn.Module, plain: Callable[[], Any], during: Callable[[], Any]) -> Any:
    """What ``plain`` gives when ``during`` begins and stays open in the middle of it.

    ``plain`` has made its mask when ``during`` changes the model, and has its attention still to
    compute. ``during`` ends only after that.
    """
    mask_made, opened, plain_done = (threading.Event() for _ in range(3))
    is_plain = threading.local()

    def hold(*_: Any) -> None:
        if getattr(is_plain, "here", False):
            mask_made.set()
            assert opened.wait(PATIENCE_SECONDS)
        else:
            opened.set()
            assert plain_done.wait(PATIENCE_SECONDS)

    def plain_job() -> Any:
        is_plain.here = True
        try:
            with torch.no_grad():
                return plain()
        finally:
            plain_done.set()

    def during_job() -> Any:
        assert mask_made.wait(PATIENCE_SECONDS)
        return during()

    first = next(p for p in model.modules() if type(p).__name__.endswith("Attention"))
    handle = first.register_forward_pre_hook(hold)
    result, _ = in_threads(plain_job, during_job)
    handle.remove()
    return result


@pytest.mark.parametrize("name", ["llama", "gpt2", "bert", "t5"])
def test_a_plain_run_that_is_under_way_when_a_capture_begins_is_right(name):
    # It made its mask for sdpa, often none at all; with another attention function it would see
    # the future.
    model = zoo.build(name)
    one, other = texts(2, name)
    with torch.no_grad():
        expected = model(**other).last_hidden_state
    output = straddling(
        model,
        plain=lambda: model(**other).last_hidden_state,
        during=lambda: capture(model, one),
    )
    torch.testing.assert_close(output, expected, atol=1e-5, rtol=0)


def test_captures_and_verifications_at_once_neither_wait_for_ever_nor_mix():
    # They want different implementations of the same model: one waits for the other.
    model = zoo.build("llama")
    inputs = texts(4, "llama")
    serial = [capture(model, given) for given in inputs]
    barrier = threading.Barrier(4, timeout=PATIENCE_SECONDS)

    def job(place: int) -> Callable[[], None]:
        def run() -> None:
            for turn in range(8):
                barrier.wait()
                if (turn + place) % 2:
                    certificate = verify(model, inputs[place], serial[place])
                    assert certificate.max_difference_from_eager < 1e-6
                    assert certificate.max_output_difference < 1e-5
                else:
                    assert_same_capture(capture(model, inputs[place]), serial[place])

        return run

    in_threads(*[job(place) for place in range(4)])
    assert model.config._attn_implementation == "sdpa"


@pytest.mark.parametrize("other_job", ["capture", "verification"])
def test_the_plain_run_of_a_verification_is_not_disturbed(other_job):
    # Otherwise the certificate would report a difference that no capture made.
    model = zoo.build("llama")
    one, other = texts(2, "llama")
    captured, captured_other = capture(model, other), capture(model, one)
    runs: list[str] = []
    begun, inside_plain = threading.Event(), threading.Event()
    is_verifying = threading.local()

    def hold(*_: Any) -> None:
        if not getattr(is_verifying, "here", False):
            begun.set()
            return
        runs.append("run")
        if len(runs) == 2:  # the first is the eager run
            inside_plain.set()
            begun.wait(0.3)  # nothing can begin now; a mistake would, and cut this short

    def verify_job() -> Any:
        is_verifying.here = True
        return verify(model, other, captured)

    def disturb() -> Any:
        assert inside_plain.wait(PATIENCE_SECONDS)
        if other_job == "capture":
            return capture(model, one)
        return verify(model, one, captured_other)

    handle = model.layers[0].self_attn.register_forward_pre_hook(hold)
    certificate, _ = in_threads(verify_job, disturb)
    handle.remove()
    assert certificate.max_output_difference < 1e-5


def test_what_a_model_runs_unwatched_is_told_right_during_another_capture():
    model = zoo.build("bert")
    one, other = texts(2, "bert")
    inside: list[Any] = []

    def look(*_: Any) -> None:
        if not inside:
            inside.append(None)
            inside.append(capture(model, other).certificate.attn_implementation)

    handle = model.encoder.layer[0].register_forward_hook(look)
    capture(model, one)
    handle.remove()
    assert inside[1] == "sdpa"


def test_a_model_loaded_under_our_own_name_runs_as_an_eager_one():
    model, inputs = zoo.build("llama", interface.IMPLEMENTATION), zoo.batch("llama")
    with torch.no_grad():
        plain = model(**inputs).last_hidden_state
        eager = zoo.eager_twin(model)(**inputs).last_hidden_state
    assert torch.equal(plain, eager)
    assert_same_capture(capture(model, inputs), capture(zoo.build("llama"), inputs))


# --- training, dropout, gradients ------------------------------------------------------------


def with_dropout(name: str) -> nn.Module:
    config = zoo.ALL[name]()
    for option in ("hidden_dropout_prob", "attention_probs_dropout_prob", "attention_dropout"):
        if hasattr(config, option):
            setattr(config, option, 0.5)
    return zoo.build(name, config=config)


@pytest.mark.parametrize("name", ["bert", "llama"])
def test_a_model_in_training_is_captured_without_dropout(name):
    model, inputs = with_dropout(name), zoo.batch(name)
    expected = capture(model, inputs)
    assert_same_capture(capture(model.train(), inputs), expected)


def test_dropout_would_have_changed_the_attention():
    model, inputs = with_dropout("bert").train(), zoo.batch("bert")
    model.set_attn_implementation("eager")
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(1)
        first = model(**inputs, output_attentions=True).attentions[0]
    assert (first == 0).float().mean() > 0.3


def test_every_part_keeps_its_own_training_flag():
    model = with_dropout("bert").train()
    model.encoder.layer[0].eval()
    before = zoo.State.of(model)
    capture(model, zoo.batch("bert"))
    assert zoo.State.of(model) == before
    assert model.training
    assert not model.encoder.layer[0].training


def test_a_capture_keeps_no_graph_and_leaves_gradients_on():
    model = zoo.build("bert")
    captured = capture(model, zoo.batch("bert"))
    assert not captured.attentions["self"][0].requires_grad
    assert torch.is_grad_enabled()
    assert all(part.requires_grad and part.grad is None for part in model.parameters())


# --- other numbers, other places -------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", ["bert", "llama"])
def test_a_half_precision_model_is_captured_in_its_own_precision(name, dtype):
    model, inputs = zoo.build(name).to(dtype), zoo.batch(name)
    captured = capture(model, inputs)
    with torch.no_grad():
        own = zoo.eager_twin(model).to(dtype)(**inputs, output_attentions=True).attentions
    assert captured.certificate.dtype == str(dtype).removeprefix("torch.")
    for mine, its in zip(captured.attentions["self"], own, strict=True):
        assert torch.equal(mine, its)


def test_row_sums_of_half_precision_are_as_exact_as_that_precision():
    captured = capture(zoo.build("bert").half(), zoo.batch("bert"))
    assert 1e-6 < captured.certificate.max_row_sum_error < 5e-3


def test_a_model_on_the_meta_device_is_refused():
    with torch.device("meta"):
        model = tf.AutoModel.from_config(zoo.ENCODERS["bert"]())
    with pytest.raises(CaptureError, match="meta device"):
        capture(model, zoo.batch("bert"))


def test_a_module_without_weights_is_refused():
    with pytest.raises(CaptureError, match="has none"):
        capture(nn.Identity(), {})


def test_a_compiled_model_is_captured_without_compiling_it():
    model, inputs = zoo.build("bert"), zoo.batch("bert")
    expected = capture(model, inputs)
    assert_same_capture(capture(torch.compile(model, backend="eager"), inputs), expected)


def test_a_model_that_was_compiled_in_place_gives_the_same_before_and_after():
    model, inputs = zoo.build("llama"), zoo.batch("llama")
    expected = capture(zoo.build("llama"), inputs)
    model.compile(backend="eager")
    with torch.no_grad():
        before = model(**inputs).last_hidden_state
        assert_same_capture(capture(model, inputs), expected)
        assert torch.equal(model(**inputs).last_hidden_state, before)
    # The graph of the run between must not be taken for the watched one.
    assert_same_capture(capture(model, inputs), expected)


def test_a_model_with_some_weights_elsewhere_is_refused_with_their_name():
    model = zoo.build("bert")
    model.encoder.layer[2].to("meta")
    with pytest.raises(CaptureError, match=r"encoder\.layer\.2"):
        capture(model, zoo.batch("bert"))


def test_quantised_weights_give_the_attention_of_the_quantised_model():
    inputs = zoo.batch("bert")
    model = quantised(zoo.build("bert"))
    captured = capture(model, inputs)
    rows = capture(model, inputs, rows=[3])
    with torch.no_grad():
        own = quantised(zoo.build("bert", "eager"))(**inputs, output_attentions=True)
    for mine, row, theirs in zip(
        captured.attentions["self"], rows.attentions["self"], own.attentions, strict=True
    ):
        torch.testing.assert_close(mine, theirs, atol=1e-6, rtol=0)
        torch.testing.assert_close(row, theirs[:, :, [3]], atol=1e-5, rtol=0)


def quantised(model: nn.Module) -> nn.Module:
    # torch announces that this way of quantising moves to another package.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.ao.quantization.quantize_dynamic(model, {nn.Linear}, dtype=torch.qint8)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_captured_and_said(dtype):
    model, inputs = zoo.build("llama").to(dtype), zoo.batch("llama")
    captured = capture(model, inputs)
    with torch.no_grad():
        own = zoo.eager_twin(model).to(dtype)(**inputs, output_attentions=True).attentions
    assert captured.certificate.dtype == str(dtype).removeprefix("torch.")
    for mine, theirs in zip(captured.attentions["self"], own, strict=True):
        assert torch.equal(mine, theirs)


# --- what cannot be captured is said ----------------------------------------------------------

SMALL = {"vocab_size": zoo.VOCABULARY, "hidden_size": 32, "num_hidden_layers": 2}
BYPASSING = {
    "bloom": lambda: tf.BloomConfig(vocab_size=zoo.VOCABULARY, hidden_size=32, n_layer=2, n_head=4),
    "mpnet": lambda: tf.MPNetConfig(**SMALL, num_attention_heads=4, intermediate_size=48),
    "deberta": lambda: tf.DebertaV2Config(**SMALL, num_attention_heads=4, intermediate_size=48),
}


@pytest.mark.parametrize("name", BYPASSING)
def test_an_architecture_that_bypasses_the_interface_gives_its_own_output(name):
    model = zoo.build(name, config=BYPASSING[name]())
    before = zoo.State.of(model)
    inputs = {"input_ids": torch.tensor([[4, 5, 6]])}
    captured = capture(model, inputs)
    assert captured.certificate.route == "the model's own output"
    with torch.no_grad():
        own = zoo.eager_twin(model)(**inputs, output_attentions=True).attentions
    assert len(own) == len(captured.attentions["self"])
    for ours, theirs in zip(captured.attentions["self"], own, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)
    assert zoo.State.of(model) == before


@pytest.mark.parametrize("include", [("score",), ("attentions", "query"), ("",), ()])
def test_an_unknown_part_is_refused(include):
    with pytest.raises(SelectionError, match="Expected `include` from attentions, scores"):
        capture(zoo.build("bert"), zoo.batch("bert"), include)


def test_only_the_layers_asked_for_are_kept():
    model, inputs = zoo.build("bert"), zoo.batch("bert")
    whole, some = capture(model, inputs), capture(model, inputs, layers=[2, 0])
    assert some.layers == {"self": [0, 2]}
    assert torch.equal(some.attentions["self"][0], whole.attentions["self"][0])
    assert torch.equal(some.attentions["self"][1], whole.attentions["self"][2])


@pytest.mark.parametrize("layers", [[3], [0, 7], [-1]])
def test_a_layer_the_model_does_not_have_is_refused_and_the_model_put_back(layers):
    model = zoo.build("bert")
    before = zoo.State.of(model)
    with pytest.raises(SelectionError, match="among 0–2 for BertModel"):
        capture(model, zoo.batch("bert"), layers=layers)
    assert zoo.State.of(model) == before


def test_an_empty_choice_of_layers_is_refused():
    with pytest.raises(SelectionError, match="layers"):
        capture(zoo.build("bert"), zoo.batch("bert"), layers=[])
