"""Models of pictures and words: each tower has a kind of its own, with layers from 0.

The oracle is an eager model with the same weights, whose eager function notes its weights: none of
our code takes part in that run.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import introspect as ix
from introspect.errors import CaptureError, InputError, RecordError, SelectionError
from introspect.hooks import (
    attention_layout,
    capture,
    capture_generation,
    capture_gradients,
    verify,
)
from tests import tokenizers_zoo
from tests import towers_zoo as zoo
from tests.closeness import assert_close

LAYERS: dict[str, dict[str, list[int]]] = {
    "llava": {"vision": [0, 1], "text": [0, 1, 2]},
    "gemma3": {"vision": [0, 1], "text": [0, 1, 2]},
    "clip": {"vision": [0, 1], "text": [0, 1, 2]},
    "mllama": {"vision": [0, 1, 2, 3], "text": [0, 2], "text-to-image": [1, 3]},
    "blip": {"vision": [0, 1], "text": [0, 1, 2], "text-to-image": [0, 1, 2]},
    "blip_questions": {
        "vision": [0, 1],
        "text-encoder": [0, 1, 2],
        "text-encoder-to-image": [0, 1, 2],
        "text-decoder": [0, 1, 2],
        "text-decoder-to-text": [0, 1, 2],
    },
    "blip2": {
        "vision": [0, 1],
        "qformer": [0, 1, 2, 3],
        "qformer-to-image": [0, 2],
        "text": [0, 1, 2],
    },
    "blip2_t5": {
        "vision": [0, 1],
        "qformer": [0, 1, 2, 3],
        "qformer-to-image": [0, 2],
        "encoder": [0, 1],
        "decoder": [0, 1],
        "cross": [0, 1],
    },
    "idefics": {"vision": [0, 1], "text-to-image": [0, 1], "text": [0, 1, 2, 3]},
    "idefics2": {"vision": [0, 1], "perceiver-to-image": [0, 1], "text": [0, 1, 2]},
    "qwen2_vl": {"vision": [0, 1], "text": [0, 1, 2]},
    "qwen2_5_vl": {"vision": [0, 1], "text": [0, 1, 2]},
    "git": {"vision": [0, 1], "text": [0, 1, 2]},
    "qwen2_audio": {"audio": [0, 1], "text": [0, 1, 2]},
    "llama4": {"vision": [0, 1], "text": [0, 1, 2]},
}
#: Where the modules of a kind stand; the numbers of its layers are in the place.
PLACES = {
    "vision": ("vision_tower.", "vision_model.", "visual."),
    "audio": ("audio_tower.",),
    "qformer": (".attention.attention",),
    "qformer-to-image": ("crossattention",),
    "perceiver-to-image": ("perceiver_resampler",),
    "text-to-image": ("cross_attn",),
    "encoder": ("encoder.block.",),
    "decoder": ("decoder.block.0.layer.0", "decoder.block.1.layer.0"),
    "cross": ("EncDecAttention",),
    "text": ("language_model.", "text_model.", "model.layers."),
}
WATCHED = [name for name in LAYERS if name not in ("blip", "blip_questions", "git")]
WRITERS = ("llava", "gemma3", "mllama", "blip2", "blip2_t5", "idefics", "qwen2_5_vl", "qwen2_audio")


@pytest.fixture(scope="session")
def runs() -> dict[str, Any]:
    """Return a capture of each model, made once."""
    return {name: capture(*zoo.build(name)) for name in LAYERS}


def own_by_kind(name: str) -> dict[str, list[torch.Tensor]]:
    """Return the eager run's weights by kind; several of one module along the diagonal."""
    _, seen = zoo.run_eagerly(name)
    own: dict[str, list[torch.Tensor]] = {}
    for place, weights in seen.items():
        kinds = sorted(LAYERS[name], key=lambda kind: "-to-" not in kind)
        kind = next(k for k in kinds if any(part in place for part in PLACES[k]))
        own.setdefault(kind, []).append(block_diagonal(weights))
    return own


def block_diagonal(blocks: list[torch.Tensor]) -> torch.Tensor:
    by_head = [
        torch.block_diag(*(block[0, head] for block in blocks))
        for head in range(blocks[0].shape[1])
    ]
    return blocks[0] if len(blocks) == 1 else torch.stack(by_head)[None]


@pytest.mark.parametrize("name", LAYERS)
def test_each_tower_has_its_kind_and_its_layers_are_numbered_within_it(name, runs):
    captured = runs[name]
    assert dict(captured.layers) == LAYERS[name]
    assert {kind: len(of) for kind, of in captured.attentions.items()} == {
        kind: len(numbers) for kind, numbers in LAYERS[name].items()
    }
    assert captured.certificate.max_output_difference < 1e-5


@pytest.mark.parametrize("name", WATCHED)
def test_attention_of_every_tower_equals_an_eager_run(name, runs):
    own = own_by_kind(name)
    assert own.keys() == LAYERS[name].keys()
    for kind, layers in runs[name].attentions.items():
        for mine, its in zip(layers, own[kind], strict=True):
            assert_close(mine, its)


@pytest.mark.parametrize(
    ("name", "kind", "part"),
    [
        ("blip", "vision", "vision_model"),
        ("blip", "text", "text_decoder"),
        ("blip", "text-to-image", "text_decoder"),
        ("blip_questions", "text-encoder-to-image", "text_encoder"),
        ("blip_questions", "text-decoder", "text_decoder"),
        ("blip_questions", "text-decoder-to-text", "text_decoder"),
        ("git", "text", ""),
    ],
)
def test_towers_that_compute_attention_by_themselves_equal_what_they_return(name, kind, part, runs):
    model, inputs = zoo.build(name, "eager")
    returned: list[Any] = []
    tower = model.get_submodule(part)
    handle = tower.register_forward_hook(lambda _, __, output: returned.append(output))
    with torch.no_grad():
        model(**inputs, output_attentions=True)
    handle.remove()
    own = returned[-1]["cross_attentions" if "-to-" in kind else "attentions"]
    for mine, its in zip(runs[name].attentions[kind], own, strict=True):
        assert_close(mine, its)
    assert "its attention modules return" in runs[name].certificate.route


@pytest.mark.parametrize("name", ["clip", "blip2", "mllama", "llava"])
def test_the_certificate_compares_each_tower_that_the_model_returns(name, runs):
    model, inputs = zoo.build(name)
    certificate = verify(model, inputs, runs[name])
    assert certificate.max_difference_from_eager < 1e-5
    is_returned = name == "clip"
    assert ("does not return its vision attention" in certificate.note) == (not is_returned)


# --- which layers are meant ---------------------------------------------------------------------


@pytest.mark.parametrize("name", ["llava", "gemma3", "mllama", "idefics2", "qwen2_5_vl"])
def test_layers_are_the_words_with_and_without_a_picture(name, runs):
    model, inputs = zoo.build(name)
    alone = {key: inputs[key][:, -4:] for key in ("input_ids", "attention_mask")}
    if name == "mllama":
        alone = {key: value % zoo.PICTURE for key, value in alone.items()}
    captured = capture(model, alone)
    assert captured.layers["text"] == runs[name].layers["text"]
    assert captured.layers["self"] == captured.layers["text"]  # its name where it is alone
    for given in (alone, inputs):
        second = capture(model, given, layers=[2])
        assert list(second.layers) == ["text"]
        whole = captured if given is alone else runs[name]
        assert torch.equal(
            second.attentions["text"][0],
            whole.attentions["text"][whole.layers["text"].index(2)],
        )
    assert "not seen, as these inputs do not run it: vision" in captured.certificate.note


@pytest.mark.parametrize("name", LAYERS)
def test_a_kind_and_a_layer_choose_one_of_them(name, runs):
    model, inputs = zoo.build(name)
    for kind, numbers in LAYERS[name].items():
        one = capture(model, inputs, kind=kind, layers=[numbers[-1]], heads=[1])
        assert one.layers == {kind: [numbers[-1]]}
        assert torch.equal(one.attentions[kind][0], runs[name].attentions[kind][-1][:, [1]])


def test_a_kind_that_the_inputs_do_not_have_is_refused_with_those_they_have():
    model, inputs = zoo.build("llava")
    alone = {name: inputs[name][:, 5:] for name in ("input_ids", "attention_mask")}
    with pytest.raises(SelectionError, match=r"among text .* do not run its vision tower"):
        capture(model, alone, kind="vision")
    with pytest.raises(SelectionError, match="among vision, text"):
        capture(model, inputs, kind="decoder")
    with pytest.raises(SelectionError, match=r"of vision among 0–1"):
        capture(model, inputs, kind="vision", layers=[2])
    with pytest.raises(SelectionError, match=r"of text among 0–2"):
        capture(model, inputs, layers=[3])


@pytest.mark.parametrize("name", ["llava", "clip", "mllama", "idefics", "qwen2_5_vl", "git"])
def test_rows_are_those_of_the_words(name, runs):
    model, inputs = zoo.build(name)
    rows = capture(model, inputs, rows=[1, 3])
    assert all(kind.startswith("text") for kind in rows.attentions)
    first = runs[name].attentions["text"][0].shape[2] - inputs["input_ids"].shape[1]
    for kind, layers in rows.attentions.items():
        for mine, whole in zip(layers, runs[name].attentions[kind], strict=True):
            if first == 0:  # GIT puts the picture before the words, in one sequence
                assert_close(mine, whole[:, :, [1, 3]])


# --- pictures -----------------------------------------------------------------------------------


def test_pictures_are_counted_apart_from_texts(runs):
    assert runs["clip"].attentions["vision"][0].shape[0] == 3
    assert runs["clip"].attentions["text"][0].shape[0] == 2
    assert "vision 0–1 (a batch of 3 pictures" in runs["clip"].certificate.note
    assert "(a batch of 2 pictures" in runs["gemma3"].certificate.note
    note = runs["qwen2_5_vl"].certificate.note
    assert "vision 0–1 (5 pictures or windows in one sequence)" in note


def test_pictures_in_one_sequence_do_not_see_each_other():
    model, inputs = zoo.build("qwen2_5_vl")
    captured = capture(model, inputs, ("attentions", "scores", "queries", "head_outputs"))
    by_window, by_picture = captured.attentions["vision"]
    assert by_window.shape == by_picture.shape == (1, 2, 20, 20)
    assert not by_picture[..., :16, 16:].any()
    assert not by_picture[..., 16:, :16].any()
    assert (by_picture[..., :16, :16] > 0).all()
    assert captured.visible["vision"][0].sum() == 5 * 4 * 4
    torch.testing.assert_close(by_window.sum(-1), torch.ones(1, 2, 20))
    assert_close(captured.scores["vision"][0].softmax(-1), by_window)
    assert captured.queries["vision"][0].shape == captured.head_outputs["vision"][0].shape


def test_a_tower_that_runs_twice_is_told_by_its_run():
    model, inputs = zoo.build("qwen2_vl")
    both = zoo.words([5, 97, *[zoo.PICTURE] * 4, 96, 97, 98, 96, 10, 11])
    ids = both["input_ids"]
    both |= {
        "pixel_values": inputs["pixel_values"][:16],
        "image_grid_thw": torch.tensor([[1, 4, 4]]),
        "pixel_values_videos": inputs["pixel_values"][16:],
        "video_grid_thw": torch.tensor([[1, 2, 2]]),
        "mm_token_type_ids": (ids == zoo.PICTURE).long() + 2 * (ids == 98).long(),
    }
    captured = capture(model, both)
    assert captured.layers == {"vision": [0, 1], "vision#2": [0, 1], "text": [0, 1, 2]}
    assert captured.attentions["vision"][0].shape[-1] == 16
    assert captured.attentions["vision#2"][0].shape[-1] == 4
    assert capture(model, both, kind="vision#2", layers=[1]).layers == {"vision#2": [1]}


def test_padding_before_a_text_with_fewer_pictures_is_not_held_against_the_model():
    model, _ = zoo.build("llava")
    picture = [zoo.PICTURE] * 4
    inputs = zoo.words([0, 0, 0, 0, 0, 5, *picture, 10, 11], [5, *picture, 12, *picture, 13, 14])
    inputs["attention_mask"] = (inputs["input_ids"] != 0).long()
    captured = capture(model, {**inputs, "pixel_values": zoo.pictures(3, 3, 16, 16)})
    assert captured.certificate.max_output_difference < 1e-5
    assert captured.attentions["vision"][0].shape[0] == 3
    assert not captured.attentions["text"][2][0, :, 5:, :5].any()


def test_rows_of_patches_are_refused():
    model, inputs = zoo.build("llava")
    with pytest.raises(SelectionError, match="`rows` of the words"):
        capture(model, inputs, rows=[1], kind="vision")


def test_a_model_of_pictures_is_read_and_studied_as_a_model_of_text():
    words = [
        "the",
        "animal",
        "did",
        "not",
        "cross",
        "street",
        "because",
        "it",
        "was",
        "too",
        "tired",
        ".",
        "mat",
    ]
    model = ix.load((zoo.build("mllama")[0], tokenizers_zoo.word_level(words)))
    record = model.capture("the animal was tired .")
    assert (model.kinds, record.kind, record.layers) == (("text",), "text", (0, 2))
    assert model.capture("the animal .", kind="self", rows=[1]).kind == "text"
    with pytest.raises(SelectionError, match=r"Expected kind='text' .* reads no picture here"):
        model.capture("the animal .", kind="vision")
    case = ix.CorefCase.from_words(
        "the animal did not cross the street because it was tired .",
        pronoun="it", antecedent="animal", distractors=["street"],
    )  # fmt: skip
    assert set(ix.score(model, [case]).heads["layer"]) == {0, 2}
    assert set(ix.causal_effects(model, [case])["layer"]) == {0, 2}
    importance = ix.head_importance(model, ["the animal was tired ."])
    assert set(importance["layer"]) == {0, 2}


def test_a_capture_of_several_towers_makes_a_record_of_the_words():
    model, inputs = zoo.build("llava")
    captured = capture(model, {name: value[:1] for name, value in inputs.items()})
    tokens = [str(number) for number in range(9)]
    record = ix.AttentionRecord.from_tensors(captured, tokens)
    assert torch.equal(record.attentions[2], captured.attentions["text"][2][0])
    patches = ix.AttentionRecord.from_tensors(captured, tokens[:5], kind="vision")
    assert (patches.kind, patches.layers) == ("vision", (0, 1))


def test_a_word_is_shown_with_what_it_attends_to_in_the_picture():
    model, inputs = zoo.build("llava")
    captured = capture(model, {name: value[:1] for name, value in inputs.items()})
    tokens = ["<s>", *["<image>"] * 4, "a", "dog", "it", "."]
    record = ix.AttentionRecord.from_tensors(captured, tokens)
    placed = record.with_picture(2, 2, first=1, patch=(8, 8))
    assert placed.tokens == ("<s>", "r0c0", "r0c1", "r1c0", "r1c1", "a", "dog", "it", ".")
    picture = np.full((16, 16, 3), 200, np.uint8)
    view = ix.image_view(placed, picture, layer=2, head=1, patch="it")
    own = captured.attentions["text"][2][0, 1, 7, 1:5].reshape(2, 2)
    torch.testing.assert_close(view.overlay(), own.double())
    assert "it attends to (layer 2, H1)" in view.figure.layout.title.text
    for rows, first in ((0, 1), (2, -1), (5, 1)):
        with pytest.raises(RecordError, match="picture|patches"):
            record.with_picture(rows, 2, first=first)
    with pytest.raises(InputError, match="with_picture"):
        ix.image_view(record, picture)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["llava", "qwen2_5_vl"])
def test_gradients_are_of_the_weights_that_the_run_has(name):
    model, inputs = zoo.build(name)
    if name == "llava":
        inputs = {key: value[:1] for key, value in inputs.items()}
    of = lambda output: output.logits[0, -1, 5]  # noqa: E731
    parts = ("gradients", "integrated_gradients")
    found = capture_gradients(model, inputs, of, parts, steps=32)
    # Patterns of pictures that lie in one sequence are made of several, and have none.
    assert list(found.gradients) == (["vision", "text"] if name == "llava" else ["text"])
    assert found.certificate.max_completeness_error < 1e-2
    assert all(layer.abs().max() > 0 for layer in found.gradients["text"])


def test_what_is_not_seen_is_said(runs):
    note = runs["idefics"].certificate.note
    assert "not seen, as it computes attention by itself: perceiver-resampler" in note


# --- writing ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WRITERS)
def test_writing_is_captured_tower_by_tower(name, runs):
    model, inputs = zoo.build(name)
    one = {
        key: value[:1] if name in ("llava", "mllama") else value
        for key, value in inputs.items()
        if key != "decoder_input_ids"
    }
    options = {"max_new_tokens": 4, "min_new_tokens": 4, "do_sample": False}
    captured = capture_generation(model, one, options)
    assert {kind: captured.layers[kind] for kind in LAYERS[name]} == LAYERS[name]
    whole = capture(model, _continued(name, one, captured.output[:, :-1]))
    for kind in LAYERS[name]:
        for mine, its in zip(captured.attentions[kind], whole.attentions[kind], strict=True):
            assert_close(mine, its)
    kind = list(LAYERS[name])[-1]
    some = capture_generation(model, one, options, kind=kind, layers=[LAYERS[name][kind][-1]])
    assert some.layers == {kind: [LAYERS[name][kind][-1]]}
    assert torch.equal(some.attentions[kind][0], captured.attentions[kind][-1])


def _continued(name: str, inputs: zoo.Inputs, ids: torch.Tensor) -> zoo.Inputs:
    """Return the inputs of a run over what was written."""
    if name == "blip2_t5":
        return {**inputs, "decoder_input_ids": ids}
    more = ids.shape[1] - inputs["input_ids"].shape[1]
    longer = {**inputs, "input_ids": ids, "attention_mask": torch.ones_like(ids)}
    for key in ("token_type_ids", "mm_token_type_ids", "image_attention_mask"):
        if key in inputs:
            is_seen = key == "image_attention_mask"
            last = inputs[key][:, -1:] if is_seen else torch.zeros_like(inputs[key][:, -1:])
            longer[key] = torch.cat([inputs[key], *[last] * more], dim=1)
    if "cross_attention_mask" in inputs:
        last = inputs["cross_attention_mask"][:, -1:]
        longer["cross_attention_mask"] = torch.cat(
            [inputs["cross_attention_mask"], *[last] * more], dim=1
        )
    return longer


def test_writing_whose_tower_cannot_be_told_is_refused():
    model, inputs = zoo.build("blip_questions")
    asked = {key: value for key, value in inputs.items() if key != "decoder_input_ids"}
    with pytest.raises(CaptureError, match="one tower that reads words"):
        capture_generation(model, asked, {"max_new_tokens": 3})


def test_writing_of_a_tower_that_computes_attention_by_itself_names_the_other():
    model, inputs = zoo.build("blip")
    captured = capture_generation(model, inputs, {"max_new_tokens": 3, "do_sample": False})
    assert captured.layers == {"text": [0, 1, 2]}
    assert "text 0–2; not seen: vision" in captured.certificate.note


# --- interventions ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WATCHED)
def test_heads_of_every_tower_are_ablated_by_kind_and_number(name, runs):
    model, inputs = zoo.build(name)
    eager, _ = zoo.build(name, "eager")
    places = dict(eager.named_modules())
    _, seen = zoo.run_eagerly(name)
    for kind, numbers in LAYERS[name].items():
        of_kind = [p for p in seen if any(part in p for part in PLACES[kind])]
        if kind in ("text", "decoder"):
            of_kind = [p for p in of_kind if "cross" not in p and "vision" not in p]
        module = places[of_kind[-1]]

        def without_last(part: nn.Module, computed: zoo.Computed) -> zoo.Computed:
            output, weights = computed
            if part is module:  # noqa: B023
                output = output.clone()
                output[:, :, -1] = 0
            return output, weights

        heads = runs[name].attentions[kind][0].shape[1]
        with torch.no_grad(), zoo.eager_replaced(eager, without_last):
            own = eager(**inputs)
        with torch.no_grad(), ix.ablate(model, (numbers[-1], heads - 1), kind=kind):
            mine = model(**inputs)
        with torch.no_grad():
            plain = model(**inputs)
        result = "logits_per_image" if name == "clip" else "logits"
        torch.testing.assert_close(mine[result], own[result], atol=2e-5, rtol=0)
        assert (mine[result] - plain[result]).abs().max() > 1e-4


def test_the_words_are_meant_where_no_kind_is_named():
    model, inputs = zoo.build("llava")
    with torch.no_grad(), ix.ablate(model, "L2H3"):
        mine = model(**inputs)["logits"]
    with torch.no_grad(), ix.ablate(model, "L2H3", kind="text"):
        named = model(**inputs)["logits"]
    with torch.no_grad(), ix.ablate(model, "L2H3", kind="self"):
        alone = model(**inputs)["logits"]
    assert torch.equal(mine, named)
    assert torch.equal(mine, alone)
    with pytest.raises(SelectionError, match="head"):
        ix.ablate(model, (0, 2), kind="vision")
    with pytest.raises(SelectionError, match="from text, vision"):
        ix.ablate(model, (0, 0), kind="audio")


def test_places_in_packed_pictures_are_refused():
    model, inputs = zoo.build("qwen2_vl")
    refused = pytest.raises(CaptureError, match="reads several, or windows, in one sequence")
    with refused, torch.no_grad(), ix.ablate(model, (0, 0), kind="vision", positions=[3]):
        model(**inputs)


def test_what_computes_attention_by_itself_is_not_changed_beside_a_picture():
    model, inputs = zoo.build("git")
    alone = {key: inputs[key] for key in ("input_ids", "attention_mask")}
    with torch.no_grad(), ix.ablate(model, "L1H2"):
        model(**alone)
        with pytest.raises(CaptureError, match="Expected a text alone"):
            model(**inputs)
    blip, _ = zoo.build("blip")
    with pytest.raises(CaptureError, match="captured only"):
        ix.ablate(blip, "L0H0")


@pytest.mark.parametrize("name", WATCHED)
def test_the_layout_is_that_of_a_run_with_pictures(name, runs):
    model, _ = zoo.build(name)
    heads = {place: count.heads for place, count in attention_layout(model).heads.items()}
    assert heads == {
        (kind, number): weights.shape[1]
        for kind, layers in runs[name].attentions.items()
        for number, weights in zip(runs[name].layers[kind], layers, strict=True)
    }
