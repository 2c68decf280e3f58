"""What heads write: known circuits copy, and every figure is that of a slow loop."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

import introspect as ix
from introspect.models import load_text
from introspect.models.circuits import repeated
from introspect.runs.atlas_writes import NUM_ROWS, without_unembedding
from tests.runs import sets

TEXTS = [each.text for each in repeated(30)]
CALL = {"threads": 1, "examples": 3}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return ix.atlas("induction", TEXTS, tmp_path_factory.mktemp("writes") / "out", **CALL)


def test_induction_heads_copy_and_previous_token_heads_do_not(made):
    table = made.copying.set_index(["layer", "head"])
    assert (table.loc[1, "copying"] > 0.95).all()
    assert (table.loc[0, "copying"] < 0.5).all()
    assert table.loc[(1, 1), "to_key"] > 1 > table.loc[(1, 1), "to_others"]
    page = (made.path / "heads" / "L1H1.html").read_text()
    assert "L1H1* copies what it reads" in page
    assert "L0H0* writes against what it reads" in (made.path / "heads" / "L0H0.html").read_text()
    kinds = {c["subject"]: c["kind"] for c in made.summary["claims"] if c["kind"] == "copies"}
    assert set(kinds) == {"L1H0", "L1H1", "L1H2", "L1H3"}
    assert made.head("L1H1").copying["copying"].item() == table.loc[(1, 1), "copying"]
    # The same by weights, and both in one family of tests.
    assert (table.loc[1, "by_weights"] > 0.95).all() and (table.loc[1, "first"] > 0.9).all()
    assert (table.loc[0, "by_weights"] < 0.5).all() and (table.loc[0, "first"] < 0.1).all()
    assert "By its weights, *L1H1* copies what it reads" in page
    tested = table[["p_adjusted", "by_weights_p_adjusted"]]
    assert (tested.loc[1] < 0.001).all(axis=None) and tested.loc[(0, 1)].min() > 0.05


def test_what_it_adds_is_its_direct_logit_attribution(made):
    """One head, its strongest rows chosen anew, and each entry by the function for one logit."""
    model = load_text("induction", lm_head=True)
    rows = []
    for text in dict.fromkeys(TEXTS):
        record = model.capture(text)
        weights = record.attentions[1, 1].clone()
        special = torch.tensor(record.keys.special_tokens_mask)
        weights[special] = -1
        weights[:, special] = -1
        weights.fill_diagonal_(-1)
        rows.append((float(weights.max()), text, *divmod(int(weights.argmax()), len(record.keys))))
    strongest = sorted(rows, reverse=True)[:NUM_ROWS]
    own = made.head("L1H1").writes
    assert own["n"].unique().tolist() == [len(strongest)]
    token = own["token"].iloc[0]
    found, to_key = [], []
    for _, text, query, key in strongest:
        read = model.tokens(text).tokens[key]
        for name, held in ((token, found), (read, to_key)):
            table = ix.direct_logit_attribution(model, text, token=name, position=query)
            is_it = table["component"] == "L1H1"
            held.append(table[is_it]["contribution"].item())
    assert own["logit"].iloc[0] == pytest.approx(np.mean(found), abs=1e-4)
    copying = made.head("L1H1").copying.iloc[0]
    assert copying["to_key"] == pytest.approx(np.mean(to_key), abs=1e-4)
    assert own["logit"].is_monotonic_decreasing


def test_models_that_do_not_write_say_nothing_and_others_say_why(tmp_path):
    made = ix.atlas(sets.model(), ["The cat sat."] * 2, tmp_path / "none", **CALL)
    assert made.writes.empty
    assert made.copying.empty
    assert not (made.path / "writes.parquet").exists()
    assert "What heads write" not in (made.path / "index.html").read_text()
    texts = ["the cat saw the dog because it was tired ."] * 2
    refused = ix.atlas("pronoun", texts, tmp_path / "bert", **CALL)
    assert refused.writes.empty
    index = (refused.path / "index.html").read_text()
    assert "What heads write is not shown." in index
    # Its weights are read all the same, by the embeddings.
    assert "the product with each embedding is taken" in index
    assert refused.copying["copying"].isna().all() and refused.copying["by_weights"].notna().all()
    page = (refused.path / "heads" / "L0H0.html").read_text()
    # The interval of so few entries holds a head that copies as well as one that does not.
    assert "Whether *L0H0* copies by its weights is not sure on so few entries" in page
    assert "equal ones counted half" in page


def test_a_verdict_on_copying_is_family_wise_and_unsure_on_few_texts():
    from introspect.records import Head
    from introspect.reporting.atlas_writes import COPY_COLUMNS, AtlasWrites

    def kinds(share, low, high, p):
        known = {
            "layer": 0, "head": 0, "copying": share, "copying_ci_low": low, "copying_ci_high": high,
            "p_adjusted": p, "n_tokens": 9, "n_rows": 0, "n_texts": 3, "n_entries": 0,
        }  # fmt: skip
        row = {**dict.fromkeys(COPY_COLUMNS, np.nan), **known}
        claims = AtlasWrites(copies=pd.DataFrame([row])).claims(Head(0, 0))
        return [claim.kind for claim in claims]

    assert kinds(0.9, 0.8, 0.95, 0.01) == ["copies"]
    assert kinds(0.1, 0.05, 0.2, 0.01) == ["writes against"]
    assert kinds(0.6, 0.55, 0.65, 0.01) == ["no-copies"]
    assert kinds(0.9, 0.8, 0.95, 0.2) == ["unsure whether it copies"]
    assert kinds(0.74, 0.4, 0.95, 0.2) == ["unsure whether it copies"]
    assert kinds(0.5, 0.17, 0.83, 1.0) == ["unsure whether it copies"]
    assert kinds(0.6, np.nan, np.nan, np.nan) == ["unsure whether it copies"]
    assert kinds(np.nan, np.nan, np.nan, np.nan) == []


def test_the_corpus_is_read_without_the_unembedding():
    model = load_text("induction", lm_head=True)
    assert not without_unembedding(model).has_unembedding
    assert without_unembedding(model).module is model.module.model
    plain = SimpleNamespace(module=torch.nn.Linear(1, 1), has_unembedding=True)
    assert without_unembedding(plain) is plain
