"""A text before and after a change: each number against plain PyTorch, or counted by hand."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
import torch

import introspect as ix
from introspect.errors import InputError, MentionError, SelectionError, TextError
from introspect.studies.causal import Prompt, load_to_ask, way_of_predicting
from introspect.studies.causal.before_after import state_changes

FOX = "The fox did not cross the river because it was too tired."
CASE = ix.CorefCase.from_words(FOX, pronoun="it", antecedent="fox", distractors="river")
STREET = "The animal didn't cross the street because it was too tired."


@pytest.fixture(scope="module")
def pronoun():
    return load_to_ask("pronoun")


@pytest.fixture(scope="module")
def minilm():
    return ix.load("minilm")


@contextmanager
def silenced(projection, head, num_heads):
    """The hand-written way: the output projection is given zeros in a head's place."""

    def before(_, args):
        heads = args[0].clone()
        heads.view(*heads.shape[:-1], num_heads, -1)[..., head, :] = 0
        return (heads, *args[1:])

    handle = projection.register_forward_pre_hook(before)
    try:
        yield
    finally:
        handle.remove()


def run(module, inputs):
    with torch.no_grad():
        return module(**inputs, output_hidden_states=True)


def lengths_moved(one, other):
    """How far each state moves, by a loop."""
    return [
        [float((b - a).norm() / a.norm()) for a, b in zip(before[0], after[0], strict=True)]
        for before, after in zip(one, other, strict=True)
    ]


@pytest.mark.parametrize(("layer", "head"), [(0, 3), (2, 7), (5, 0)])
def test_states_and_attention_are_those_of_hooks_by_hand_on_minilm(minilm, layer, head):
    compared = ix.before_after(minilm, STREET, [(layer, head)])
    layers = minilm.module.encoder.layer
    inputs = minilm.tokenizer(STREET, return_tensors="pt")
    one, before = run(minilm.module, inputs), minilm.capture(STREET).attentions
    with silenced(layers[layer].attention.output.dense, head, 12):
        other, after = run(minilm.module, inputs), minilm.capture(STREET).attentions
    expected = lengths_moved(one.hidden_states[1:], other.hidden_states[1:])
    moved = compared.states.pivot(index="layer", columns="position", values="moved").to_numpy()
    assert moved == pytest.approx(torch.tensor(expected).numpy(), abs=1e-5)
    assert (moved[:layer] == 0).all() and (moved[layer] > 0).all()
    by_hand = (after - before).abs().sum(-1).mean(-1) / 2
    found = compared.attention["total_variation"].to_numpy().reshape(6, 12)
    assert found == pytest.approx(by_hand.numpy(), abs=1e-5)
    assert (found[: layer + 1] == 0).all()
    if layer == 5:
        assert compared.most_changed is None  # no attention comes after the last layer
    else:
        most = divmod(int(by_hand.argmax()), 12)
        assert compared.most_changed == (most, pytest.approx(float(by_hand.max()), abs=1e-5))
    assert compared.predictions is None and compared.preference is None


@pytest.mark.parametrize(
    "change",
    [
        lambda model: ix.scale(model, "L0H1", 1.0),
        lambda model: ix.intervene(model, [ix.Edit("self", 0, "values", lambda v, _: v)]),
    ],
    ids=["scaled by one", "an edit of nothing"],
)
@pytest.mark.parametrize("name", ["minilm", "pronoun"])
def test_a_change_of_nothing_moves_nothing_at_all(name, change, minilm, pronoun):
    model = {"minilm": minilm, "pronoun": pronoun}[name]
    compared = ix.before_after(model, FOX, change(model), at="it" if name == "pronoun" else None)
    assert torch.equal(compared.before.attentions, compared.after.attentions)
    assert (compared.attention["total_variation"] == 0).all()
    assert (compared.states["moved"] == 0).all()
    assert compared.most_changed is None
    if name == "pronoun":
        assert (compared.predictions["before"] == compared.predictions["after"]).all()


def test_a_word_is_not_asked_of_a_model_that_predicts_none(minilm):
    with pytest.raises(SelectionError, match="predicts none. Load it with its LM head"):
        ix.before_after(minilm, FOX, "L0", at="it")
    with pytest.raises(SelectionError, match="Give what it writes, as `target`"):
        ix.before_after(ix.load("reversal", lm_head=True), "a b c", "L1", at="b")


def test_a_text_patched_into_itself_moves_by_rounding_alone(minilm):
    compared = ix.before_after(minilm, FOX, ix.patch(minilm, FOX, "L0"))
    assert compared.states["moved"].max() < 1e-5
    other = ix.before_after(minilm, FOX, ix.patch(minilm, FOX.replace("tired", "wide"), "L0"))
    assert other.states["moved"].max() > 0.1


def test_the_preference_of_a_model_changed_in_nothing_stays_as_it_is(pronoun, minilm):
    for model in (pronoun, minilm):
        preference = ix.before_after(model, CASE, ix.scale(model, "L0H1", 1.0)).preference
        assert preference.before == preference.after != 0


def test_states_are_compared_token_by_token():
    before = torch.tensor([[3.0, 4.0], [1.0, 0.0], [0.0, 2.0]])
    after = torch.tensor([[3.0, 4.0], [0.0, 1.0], [0.0, -1.0]])
    table = state_changes(before, after, ["a", "b", "<b>"])
    assert list(table["token"]) == ["a", "b", "<b>"]
    assert list(table["moved"]) == pytest.approx([0, 2**0.5, 1.5])
    assert list(table["cosine"]) == pytest.approx([1, 0, -1])


def test_the_last_states_are_those_that_the_model_gives_on(pronoun):
    compared = ix.before_after(pronoun, FOX, "L1H0")
    inputs = pronoun.tokenizer(FOX, return_tensors="pt")
    dense = pronoun.module.bert.encoder.layer[1].attention.output.dense
    with torch.no_grad():
        one = pronoun.module.bert(**inputs).last_hidden_state[0]
        with silenced(dense, 0, 4):
            other = pronoun.module.bert(**inputs).last_hidden_state[0]
    expected = (other - one).norm(dim=-1) / one.norm(dim=-1)
    assert list(compared.last_states["moved"]) == pytest.approx(expected.tolist(), abs=1e-5)
    assert list(compared.last_states) == ["position", "token", "moved", "cosine"]


def test_predictions_are_the_models_own(pronoun):
    table = ix.before_after(pronoun, FOX, "L1H0", at="it", top=3).predictions.set_index("word")
    inputs = pronoun.tokenizer(FOX, return_tensors="pt")
    number = pronoun.tokenizer.convert_tokens_to_ids
    it, fox = inputs["input_ids"][0].tolist().index(number("it")), number("fox")
    dense = pronoun.module.bert.encoder.layer[1].attention.output.dense
    before = run(pronoun.module, inputs).logits[0, it].softmax(-1)
    with silenced(dense, 0, 4):
        after = run(pronoun.module, inputs).logits[0, it].softmax(-1)
    assert table.index[0] == "fox" and len(table) >= 3
    assert table.loc["fox", "before"] == pytest.approx(float(before[fox]), abs=1e-6)
    assert table.loc["fox", "after"] == pytest.approx(float(after[fox]), abs=1e-6)
    assert before[fox] > 0.99 and after[fox] < 0.01


def test_the_preference_of_a_case_and_each_heads_effect_are_counted_by_hand(pronoun):
    compared = ix.before_after(pronoun, CASE, ["L1H0", "L0H0"], effects="zero")
    inputs = pronoun.tokenizer(FOX, return_tensors="pt")
    number = pronoun.tokenizer.convert_tokens_to_ids
    it = inputs["input_ids"][0].tolist().index(number("it"))
    layers = pronoun.module.bert.encoder.layer

    def margin() -> float:
        logits = run(pronoun.module, inputs).logits[0, it]
        return float(logits[number("fox")] - logits[number("river")])

    preference, clean = compared.preference, margin()
    assert preference.before == pytest.approx(clean, abs=1e-4)
    assert preference.metric.name == "at-pronoun" and not preference.metric.is_surrogate
    with silenced(layers[1].attention.output.dense, 0, 4):
        alone = margin()
        with silenced(layers[0].attention.output.dense, 0, 4):
            assert preference.after == pytest.approx(margin(), abs=1e-4)
    assert preference.after < preference.before - 5
    effects = compared.effects.heads.set_index(["layer", "head"])["effect"]
    assert effects[1, 0] == pytest.approx(clean - alone, abs=1e-4) and len(effects) == 8
    assert compared.predictions.loc[0, "word"] == "fox"  # a case is asked about at its pronoun


def test_without_a_head_for_words_the_preference_is_called_a_surrogate(minilm):
    case = ix.CorefCase.from_words(STREET, pronoun="it", antecedent="animal", distractors="street")
    compared = ix.before_after(minilm, case, "L3H1")
    assert compared.preference.metric.is_surrogate and compared.predictions is None


def test_a_decoder_is_asked_after_a_word_and_a_writer_at_one():
    induction = load_to_ask("induction")
    assert way_of_predicting(induction) == "after"
    table = ix.before_after(induction, "a b c d a b", "L1").predictions
    assert table.loc[0, "word"] == "c" and table.loc[0, "after"] < table.loc[0, "before"]
    inputs = induction.tokenizer("a b c d a b", return_tensors="pt")
    expected = run(induction.module, inputs).logits[0, -1].softmax(-1).max()
    assert table.loc[0, "before"] == pytest.approx(float(expected), abs=1e-6)
    named = ix.before_after(induction, "a b c d a b", "L1", at="b#2").predictions
    assert named.equals(table)
    reversal = load_to_ask("reversal")
    written = ix.before_after(reversal, "a b c d e", "L1", at="c", target="e d c b a")
    assert written.before.kind == "cross"
    table = written.predictions
    assert table.loc[0, "word"] == "c" and table.loc[0, "after"] < table.loc[0, "before"]
    with pytest.raises(MentionError):
        Prompt.of(reversal, "a b c d e", target="e d c b a").at((90, 91))
    assert ix.before_after(reversal, "a b c d e", "L0").predictions is None  # it writes nothing


def test_a_masked_word_is_hidden_from_the_model_and_others_stay_where_they_were(pronoun):
    text = "The [MASK] fox extraordinarily it ."
    prompt = Prompt.of(pronoun, text)._masked((15, 30))
    assert text[15:30] == "extraordinarily"
    ids, mask = prompt.tokens.token_ids, pronoun.tokenizer.mask_token_id
    assert [i for i, number in enumerate(ids) if number == mask][-1] == prompt.position
    assert ids.count(mask) == 2
    assert prompt.pieces((15, 30)) == [prompt.position]
    inputs = pronoun.tokenizer("The [MASK] fox [MASK] it .", return_tensors="pt")
    assert inputs["input_ids"][0].tolist() == list(ids)
    expected = run(pronoun.module, inputs).logits[0, prompt.position].softmax(-1)
    assert torch.allclose(prompt.probabilities().float(), expected, atol=1e-6)
    for label in ("fox", "it"):
        (place,) = prompt.pieces((text.index(label), text.index(label) + len(label)))
        assert prompt.tokens.tokens[place] == label


def test_a_change_of_certain_words_is_made_for_the_tokens_that_are_read(pronoun):
    def cut(prompt):
        return ix.knock_out(prompt.model, [(prompt.pieces("it")[0], prompt.pieces("fox")[0])])

    compared = ix.before_after(pronoun, FOX, cut, at="it")
    it, fox = (compared.before.keys.tokens.index(word) for word in ("it", "fox"))
    assert compared.before.attentions[1, 0, it, fox] > 0.9
    assert (compared.after.attentions[:, :, it, fox] == 0).all()
    edges = ix.edges_between(pronoun, FOX, "it", "fox")
    same = ix.before_after(pronoun, FOX, ix.knock_out(pronoun, edges), at="it")
    assert same.predictions.equals(compared.predictions)


def test_where_words_are_masked_a_change_is_made_for_the_tokens_that_are_left(monkeypatch):
    model = ix.load("pronoun", lm_head=True)
    monkeypatch.setattr(model.module.config, "introspect_metric", "pseudo-likelihood")
    at = (FOX.index("did"), FOX.index(" cross"))  # two words, in whose place one mask stands

    def cut(prompt):
        return ix.knock_out(prompt.model, [(prompt.pieces("it")[0], prompt.pieces("river")[0])])

    table = ix.before_after(model, FOX, cut, at=at).predictions.set_index("word")
    masked = FOX.replace("did not", "[MASK]")
    inputs = model.tokenizer(masked, return_tensors="pt")
    tokens = model.tokenizer.convert_ids_to_tokens(inputs["input_ids"][0].tolist())
    place = tokens.index("[MASK]")
    before = run(model.module, inputs).logits[0, place].softmax(-1)
    with ix.knock_out(model, [(tokens.index("it"), tokens.index("river"))]):
        after = run(model.module, inputs).logits[0, place].softmax(-1)
    numbers = model.tokenizer.convert_tokens_to_ids(list(table.index))
    assert list(table["before"]) == pytest.approx(before[numbers].tolist(), abs=1e-6)
    assert list(table["after"]) == pytest.approx(after[numbers].tolist(), abs=1e-6)
    edges = ix.knock_out(model, ix.edges_between(model, FOX, "it", "river"))
    with pytest.raises(SelectionError, match="a function from a prompt to an intervention"):
        ix.before_after(model, FOX, edges, at=at)


def test_a_text_that_is_too_long_is_cut_where_that_is_asked_for(pronoun):
    text = "The fox did not rest . " * 12
    with pytest.raises(TextError, match="at most 32"):
        ix.before_after(pronoun, text, "L0")
    compared = ix.before_after(pronoun, text, "L0", truncation=True)
    assert len(compared.last_states) == len(compared.before.queries) == 32


def test_what_cannot_be_compared_is_refused(pronoun, minilm):
    with pytest.raises(SelectionError, match="a head of L0H0–L1H3, got L9H1"):
        ix.before_after(pronoun, FOX, "L9H1")
    with pytest.raises(SelectionError, match="a change of pronoun, got one of another BertModel"):
        ix.before_after(pronoun, FOX, ix.ablate(minilm, "L0"))
    with pytest.raises(SelectionError, match="a case beside `effects`"):
        ix.before_after(pronoun, FOX, "L0", effects="zero")
    with pytest.raises(SelectionError, match="certain positions"):
        ix.before_after(minilm, CASE, ix.ablate(minilm, "L0", positions=[1]))
    with pytest.raises(InputError, match="antecedent and a distractor"):
        one = ix.CorefCase.from_words(FOX, pronoun="it", antecedent="fox")
        ix.before_after(pronoun, one, "L0")
    with pytest.raises(MentionError, match=r"nearest: 'river'"):
        ix.before_after(pronoun, FOX, "L0", at="rivers")
