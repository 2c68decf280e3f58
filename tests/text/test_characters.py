"""Where words are, and how what cannot be seen is shown."""

from __future__ import annotations

import unicodedata

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from introspect.text import divides_character, segment_words, shortened, visible, visible_text
from introspect.text.characters import divides_word, is_unspaced


def words(text: str) -> list[str]:
    return [text[start:end] for start, end in segment_words(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The cat sat.", ["The", "cat", "sat", "."]),
        ("didn't", ["didn't"]),
        ("rock ’n’ roll", ["rock", "’", "n", "’", "roll"]),
        ("l’homme", ["l’homme"]),
        ("'quoted'", ["'", "quoted", "'"]),
        ("dogs' bones", ["dogs", "'", "bones"]),
        ("well-known", ["well", "-", "known"]),
        ("snake_case 3.14", ["snake_case", "3", ".", "14"]),
        ("(it).", ["(", "it", ")", "."]),
        ("naïve Ünïcödé", ["naïve", "Ünïcödé"]),
        ("e\u0301te\u0301", ["e\u0301te\u0301"]),
        ("中文字", ["中", "文", "字"]),
        ("中文 and text", ["中", "文", "and", "text"]),
        ("iPhone手机", ["iPhone", "手", "机"]),
        ("ひらがな", ["ひ", "ら", "が", "な"]),
        ("한국어 단어", ["한국어", "단어"]),
        ("שלום עולם", ["שלום", "עולם"]),
        ("👨\u200d👩\u200d👧!", ["👨\u200d👩\u200d👧", "!"]),
        ("❤\ufe0f", ["❤\ufe0f"]),
        # Decomposed: each mark stays with its letter, inside a word and at its end.
        ("nai\u0308ve cafe\u0301.", ["nai\u0308ve", "cafe\u0301", "."]),
        ("\u1112\u1161\u11ab \u1100\u116e\u11a8", ["\u1112\u1161\u11ab", "\u1100\u116e\u11a8"]),
        # Devanagari, Tamil and Bengali: vowel signs and viramas are marks.
        ("हिन्दी में लिखा", ["हिन्दी", "में", "लिखा"]),
        ("தமிழ் மொழி।", ["தமிழ்", "மொழி", "।"]),
        ("বাংলা ভাষা", ["বাংলা", "ভাষা"]),
        # Thai has no spaces: a letter with its marks is the smallest unit, sara am among them.
        ("น้ำกิน", ["น้ำ", "กิ", "น"]),
        ("ああーい", ["あ", "あ", "ー", "い"]),
        ("人々と々", ["人", "々", "と", "々"]),
        ("", []),
        (" \n\t\u2003", []),
    ],
)
def test_words(text, expected):
    assert words(text) == expected


#: Of each script a text, and its words as a reader counts them.
SCRIPTS = {
    "Latin with diacritics": "Příliš žluťoučký kůň",
    "Latin decomposed": unicodedata.normalize("NFD", "Příliš žluťoučký kůň"),
    "Vietnamese": "Tiếng Việt rất đẹp",
    "Vietnamese decomposed": unicodedata.normalize("NFD", "Tiếng Việt rất đẹp"),
    "Turkish": "İstanbul'da ışık",
    "Catalan": "col·lecció d’art",
    "Hawaiian": "ʻōlelo Hawaiʻi",
    "Yoruba": "èdè Yorùbá ẹ̀kọ́",
    "Greek": "Ἐν ἀρχῇ ἦν ὁ λόγος",
    "Cyrillic": "Съешь ещё этих булок",
    "Ukrainian": "м’ята п'ять об'єкт",
    "Church Slavonic": "в҃ а҆́гг҃лъ",
    "Armenian": "Դո՞ւ հայերեն կարդում",
    "Georgian": "ქართული ენა ლამაზია",
    "Hebrew": "שלום עולם טוב",
    "Hebrew with niqqud": "בְּרֵאשִׁית בָּרָא אֱלֹהִים",
    "Hebrew abbreviations": 'צה״ל צה"ל וכו׳ ג׳ירפה',
    "Arabic": "اللغة العربية جميلة",
    "Arabic with harakat": "بِسْمِ اللَّهِ الرَّحْمٰنِ",
    "Arabic digits": "سنة ٢٠٢٦ ــكتابــ",
    "Persian": "می\u200cروم به کتاب\u200cخانه\u200cها",
    "Urdu": "یہ اُردو زبان ہے",
    "Sindhi": "سنڌي ٻولي آهي",
    "Syriac": "ܠܫܢܐ ܣܘܪܝܝܐ ܒܪܹܫܝܼܬ",
    "Thaana": "ދިވެހި ބަސް",
    "Hindi": "लड़के ने उसे क्यों देखा",
    "Hindi with joiners": "क्\u200dष क्\u200cष राम",
    "Marathi": "मराठी भाषा गोड आहे",
    "Nepali": "नेपाली भाषा १२३",
    "Sanskrit": "धर्मक्षेत्रे कुरुक्षेत्रे समवेताः",
    "Bengali": "বাংলা ভাষা",
    "Bengali khanda ta": "হঠাৎ উত্\u200dসব",
    "Assamese": "অসমীয়া ভাষা",
    "Gurmukhi": "ਪੰਜਾਬੀ ਭਾਸ਼ਾ ਹੈ",
    "Gujarati": "ગુજરાતી ભાષા છે",
    "Odia": "ଓଡ଼ିଆ ଭାଷା",
    "Tamil": "தமிழ் மொழி",
    "Telugu": "తెలుగు భాష",
    "Kannada": "ಕನ್ನಡ ಭಾಷೆ",
    "Malayalam": "മലയാളം ഭാഷ",
    "Malayalam old chillu": "അവന്\u200d വന്നു",
    "Sinhala": "ශ්\u200dරී ලංකාව සිංහල",
    "Ethiopic": "አማርኛ ቋንቋ ነው",
    "Cherokee": "ᏣᎳᎩ ᎦᏬᏂᎯᏍᏗ",
    "Korean": "한국어는 아름답다",
    "Korean decomposed": unicodedata.normalize("NFD", "한국어는 아름답다"),
    "Mongolian": "ᠮᠣᠩᠭᠣᠯ ᠬᠡᠯᠡ ᠭᠠᠷ\u180eᠠ",
    "N'Ko": "ߒߞߏ ߞߊ߲߫",
    "Adlam": "𞤊𞤵𞤤𞤬𞤵𞤤𞤣𞤫 𞤀𞤣𞤤𞤢𞤥",
    "Tifinagh": "ⵜⴰⵎⴰⵣⵉⵖⵜ ⵜⵓⵜⵍⴰⵢⵜ",
    "Cree": "ᓀᐦᐃᔭᐍᐏᐣ ᐊᔨᒧᐏᐣ",
    "Inuktitut": "ᐃᓄᒃᑎᑐᑦ ᐅᖃᐅᓯᖅ",
    "Santali": "ᱥᱟᱱᱛᱟᱲᱤ ᱯᱟᱹᱨᱥᱤ",
    "Meitei": "ꯃꯩꯇꯩꯂꯣꯟ ꯂꯣꯟ",
    "Vai": "ꕙꔤ ꕞꕌ",
    "Gothic": "𐌲𐌿𐍄𐌹𐍃𐌺 𐍂𐌰𐌶𐌳𐌰",
    "emoji": "👩\u200d👩\u200d👧 👍🏽 ❤\ufe0f 1\ufe0f\u20e3 🏳\ufe0f\u200d🌈",
    "flags": "🇩🇪 🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "soft hyphens": "Donau\u00addampf\u00adschiff fährt",
    "directions": "שלום\u200f \u2067עולם\u2069",
}


@pytest.mark.parametrize("text", SCRIPTS.values(), ids=SCRIPTS)
def test_words_of_scripts_with_spaces(text):
    unseen = "\u200e\u200f\u2067\u2069"
    assert words(text) == [word.strip(unseen) for word in text.split()]


#: Of each script without spaces its letters with their marks, divided by bars.
UNSPACED = {
    "Chinese": "狐|狸|过|河",
    "Chinese beyond the first plane": "𠮷|野",
    "Chinese with a variant": "葛\U000e0100|城",
    "Bopomofo": "ㄅ|ㄆ",
    "Japanese": "東|京|タ|ワ|ー|へ",
    "Japanese decomposed": "カ\u3099|キ|か\u3099",
    "half-width katakana": "ｶﾞ|ｷﾞ",
    "Thai": "ภ|า|ษ|า|ไ|ท|ย",
    "Thai tones": "น้ำ|กิ|น",
    "Lao": "ພ|າ|ສ|າ|ລ|າ|ວ",
    "Lao am": "ນ້ຳ|ກິ|ນ",
    "Khmer": "ភា|សា|ខ្មែ|រ",
    "Burmese": "မြ|န်|မာ",
    "Burmese stacked": "ဗု|ဒ္ဓ",
    "Javanese": "ꦗ|ꦮ",
    "Yi": "ꆈ|ꌠ",
}


@pytest.mark.parametrize("text", UNSPACED.values(), ids=UNSPACED)
def test_letters_of_scripts_without_spaces(text):
    expected = text.split("|")
    assert words("".join(expected)) == expected
    assert all(is_unspaced(letter[0]) for letter in expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("བོད་སྐད།", ["བོད", "་", "སྐད", "།"]),
        ("ሰላም፡ዓለም።", ["ሰላም", "፡", "ዓለም", "።"]),
        ("Ի՞նչ է սա՞", ["Ի՞նչ", "է", "սա", "՞"]),
        ("他说“好”。", ["他", "说", "“", "好", "”", "。"]),
        ('"שלום"', ['"', "שלום", '"']),
        ("क्या?", ["क्या", "?"]),
        ("یہ۔", ["یہ", "۔"]),
        ("🇩🇪🇫🇷ok", ["🇩🇪", "🇫🇷", "ok"]),
        ("ไป\u200bมา", ["ไ", "ป", "ม", "า"]),
        ("one\u200btwo", ["one", "two"]),
        ("\u0600١٢", ["\u0600١٢"]),
        ("a·b 3·4", ["a", "·", "b", "3", "·", "4"]),
        ("\ufeffThe cat", ["The", "cat"]),
        ("می \u200cروم", ["می", "روم"]),
        ("a \u202eevil", ["a", "\u202e", "evil"]),
        ("hi👍🏽👍🏿", ["hi", "👍🏽", "👍🏿"]),
    ],
)
def test_signs_of_many_scripts(text, expected):
    assert words(text) == expected


#: Signs inside words after which a mention may end.
APOSTROPHES = "'’"


@pytest.mark.parametrize("text", SCRIPTS.values(), ids=SCRIPTS)
def test_a_word_is_divided_at_every_place_inside_it(text):
    inside = {i for s, e in segment_words(text) for i in range(s + 1, e)}
    apart = {i for i in inside if set(text[i - 1 : i + 1]) & set(APOSTROPHES)}
    assert {i for i in range(len(text) + 1) if divides_word(text, i)} == inside - apart


@given(
    st.text(
        st.sampled_from("aλشকি্ক\u200d\u200c\u0301'’ 🇩🇪👍🏽กำ中한ᄒ\u00ad\u05f3\u200f.\"ש"),
        max_size=12,
    )
)
def test_no_word_begins_or_ends_inside_a_character(text):
    edges = {edge for span in segment_words(text) for edge in span}
    assert not any(divides_character(text, edge) for edge in edges)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@given(texts)
def test_words_are_in_order_apart_and_not_empty(text):
    end = 0
    for start, stop in segment_words(text):
        assert end <= start < stop <= len(text)
        end = stop


@given(texts)
def test_every_letter_and_digit_is_in_a_word(text):
    covered = {i for start, end in segment_words(text) for i in range(start, end)}
    for index, character in enumerate(text):
        if character.isalnum():
            assert index in covered


@given(texts)
def test_no_word_holds_white_space(text):
    assert not any(character.isspace() for word in words(text) for character in word)


@pytest.mark.parametrize(("character", "expected"), [("中", True), ("の", True), ("ก", True)])
def test_scripts_without_spaces(character, expected):
    assert is_unspaced(character) is expected


@pytest.mark.parametrize("character", ["a", "é", "한", "ש", "я", ".", "1", "😀"])
def test_scripts_with_spaces(character):
    assert not is_unspaced(character)


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        ("cat", "cat"),
        (" ", "␣"),
        ("   ", "␣␣␣"),
        (" cat", " cat"),
        ("", ""),
        ("\x00", "␀"),
        ("\x1b[31m", "␛[31m"),
        ("\x7f", "␡"),
        ("\x85", "⟨U+0085⟩"),
        ("a\nb\r\tc", "a↵b↵⇥c"),
        ("\u2028", "⟨U+2028⟩"),
        ("\u2029", "⟨U+2029⟩"),
        ("\u202eevil", "⟨U+202E⟩evil"),
        ("\u2066x\u2069", "⟨U+2066⟩x⟨U+2069⟩"),
        ("\u200b", "⟨U+200B⟩"),
        ("\ufeffa", "⟨U+FEFF⟩a"),
        ("\u200d", "⟨U+200D⟩"),
        ("\u200da", "⟨U+200D⟩a"),
        ("👩\u200d👧", "👩\u200d👧"),
        ("می\u200cروم", "می\u200cروم"),
        ("\ud83d", "⟨U+D83D⟩"),
        ("</script><script>", "</script><script>"),
        ("中¹⁄₃", "中¹⁄₃"),
        # Joiners, tags and signs that a script needs.
        ("അവന്\u200d", "അവന്\u200d"),
        ("ශ්\u200d", "ශ්\u200d"),
        ("a\u200d", "a⟨U+200D⟩"),
        ("می\u200c", "می⟨U+200C⟩"),
        ("🏴\U000e0067\U000e007f", "🏴\U000e0067\U000e007f"),
        ("a\U000e0067", "a⟨U+E0067⟩"),
        ("ᠭᠠᠷ\u180eᠠ", "ᠭᠠᠷ\u180eᠠ"),
        ("a\u180eb", "a⟨U+180E⟩b"),
        ("\u0600١", "\u0600١"),
    ],
)
def test_what_cannot_be_seen_is_made_visible(token, expected):
    assert visible(token) == expected


def test_spaces_of_a_text_stay_spaces():
    assert visible_text("  two\nlines ") == "  two↵lines "


@given(st.text(max_size=30))
def test_nothing_that_moves_other_characters_is_left(text):
    shown = visible(text)
    for character in shown:
        # Arabic signs over numbers can be seen.
        is_sign = regex.match(r"\p{Prepended_Concatenation_Mark}", character)
        if character not in "\u200c\u200d\u180e" and not is_sign:
            assert unicodedata.category(character) not in ("Cc", "Cf", "Zl", "Zp", "Cs")


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        ("e\u0301a", {1}),
        ("a❤\ufe0fa", {2}),
        ("👩\u200d🚀a", {1, 2}),
        ("👍🏽a", {1}),
        ("🇩🇪🇫🇷", {1, 3}),
        ("a🇩🇪🇫🇷", {2, 4}),
        ("\ud83d\ude00", {1}),
        ("नि", {1}),
        ("a \u0301", set()),
        ("猫它狗", set()),
        ("a\u200cb", set()),
        ("क्षa", {1, 2}),
        ("ස්\u200da", {1, 2}),
        ("น้ำa", {1, 2}),
        ("ខ្មែរ", {1, 2, 3}),
        ("မာ", {1}),
        ("🏴\U000e0067\U000e007fa", {1, 2}),
        ("1\ufe0f\u20e3a", {1, 2}),
        ("\u1112\u1161\u11ab\u1112", {1, 2}),
        ("a\r\nb", set()),
    ],
)
def test_where_a_character_is_divided(text, inside):
    assert {i for i in range(len(text) + 1) if divides_character(text, i)} == inside


def test_a_short_text_is_not_shortened():
    assert shortened("x" * 80) == "x" * 80


@pytest.mark.parametrize("limit", [1, 5, 80])
def test_a_long_text_ends_in_an_ellipsis_at_the_limit(limit):
    text = shortened("x" * 200, limit)
    assert len(text) == limit
    assert text.endswith("…")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cafe\u0301s", "caf…"),
        ("日本👍🏽語です", "日本…"),
        ("🇩🇪🇫🇷🇮🇹", "🇩🇪🇫🇷…"),
    ],
)
def test_no_character_is_cut_in_two(text, expected):
    limit = {"c": 5, "日": 4, "🇩": 5}[text[0]]
    assert shortened(text, limit) == expected
