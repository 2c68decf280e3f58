"""The grid of patches in a record, and what needs a text."""

from __future__ import annotations

import pytest
import torch

import introspect as ix
from introspect.doctor import examination
from introspect.errors import (
    ModelError,
    RecordError,
)
from introspect.models import load
from introspect.records import AttentionRecord, PatchGrid
from tests.models.vision.helpers import build, picture, processor

# The record


@pytest.mark.parametrize("patch", [(8, 8), None])
def test_the_grid_is_saved_with_the_record(tmp_path, patch):
    record = load((build("deit"), processor())).capture(picture())
    grid = PatchGrid(4, 4, first=2, patch=patch)
    record = AttentionRecord(
        attentions=record.attentions, queries=record.queries, keys=record.keys, grid=grid
    )
    again = AttentionRecord.load(record.save(tmp_path / "record.safetensors"))
    assert again.grid == grid
    assert again.queries == record.queries
    assert torch.equal(again.attentions, record.attentions)


def test_a_record_of_text_has_no_grid(tmp_path):
    record = AttentionRecord.from_tensors(torch.full((1, 1, 2, 2), 0.5), ["a", "b"])
    assert AttentionRecord.load(record.save(tmp_path / "r.safetensors")).grid is None


def test_a_patch_is_a_word_of_its_own():
    record = load((build("deit"), processor())).capture(picture())
    words = record.words()
    assert words.tokens == record.tokens
    assert torch.equal(words.attentions, record.attentions)
    assert words.grid == record.grid


@pytest.mark.parametrize("grid", [PatchGrid(2, 2), PatchGrid(1, 2, first=2), PatchGrid(0, 2)])
def test_a_grid_must_lie_among_the_tokens(grid):
    record = AttentionRecord.from_tensors(torch.full((1, 1, 3, 3), 1 / 3), ["a", "b", "c"])
    with pytest.raises(RecordError, match="Expected a grid of patches among the 3 key tokens"):
        AttentionRecord(
            attentions=record.attentions, queries=record.queries, keys=record.keys, grid=grid
        )


# What has to do with texts


@pytest.mark.parametrize("use", [ix.report, ix.score], ids=["report", "score"])
def test_what_needs_a_text_says_so(use):
    case = ix.CorefCase.from_words("The cat sat where it was.", pronoun="it", antecedent="cat")
    with pytest.raises(ModelError, match="reads text"):
        use(load((build("vit"), processor())), [case])


def test_the_doctor_examines_a_vision_model():
    rows = dict(examination(load((build("dinov2"), processor()))))
    assert rows["Image processor"] == "ViTImageProcessorPil"
    assert rows["Self attention"] == "3 layers × 4 heads, 17 × 17 tokens"
    assert rows["values"] == "3 × 4 × 17 × 8"
    assert rows["Largest difference from the attention that the model itself returns"][0] == "0"
