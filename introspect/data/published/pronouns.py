"""Which words are pronouns: by their tag where a file has one, else by a list for each language."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType

_WORDS = {
    "ar": "أنا نحن أنت أنتم أنتن هو هي هما هم هن",
    "ca": "jo tu ell ella nosaltres vosaltres ells elles em et es ens us el la els les li "
    "meu meva teu teva seu seva seus seves nostre nostra",
    "cs": "já ty on ona ono my vy oni ony mě mne mi tě ti ho jej jeho jemu mu něj něho něm ním "
    "ji jí ní nás nám vás vám jich jim jimi nich nim nimi se si sebe sobě svůj svá své svého můj "
    "moje tvůj jeho její jejich náš váš",
    "de": "ich du er sie es wir ihr mich dich ihn uns euch mir dir ihm ihnen sich mein meine "
    "meinen meinem meiner dein deine deinen sein seine seinen seinem seiner seines ihre ihren "
    "ihrem ihrer ihres unser unsere unseren euer eure",
    "en": "i me my mine myself you your yours yourself yourselves he him his himself she her hers "
    "herself it its itself we us our ours ourselves they them their theirs themselves themself "
    "'em ya",
    "es": "yo tú él ella ello nosotros nosotras vosotros vosotras ellos ellas usted ustedes me te "
    "se lo la los las le les nos os mí ti sí conmigo contigo consigo mi mis tu tus su sus "
    "suyo suya suyos suyas nuestro nuestra vuestro vuestra",
    "fr": "je j' tu il elle on nous vous ils elles me m' te t' se s' le la les l' lui leur leurs "
    "moi toi soi eux mon ma mes ton ta tes son sa ses notre nos votre vos sien sienne",
    "it": "io tu lui lei egli ella esso essa noi voi loro essi esse mi ti si ci vi lo la li le gli "
    "ne mio mia tuo tua suo sua suoi sue nostro nostra vostro vostra",
    "nl": "ik jij je u hij zij ze het wij we jullie mij me jou hem haar ons hun hen zich zichzelf "
    "mijn jouw zijn uw onze",
    "pl": "ja ty on ona ono my wy oni one mnie mi cię ci go jego jemu mu nim ją jej nią nas nam "
    "was wam ich im nimi nich się siebie sobie swój swoja swoje mój twój nasz wasz",
    "pt": "eu tu ele ela nós vós eles elas você vocês me te se o a os as lhe lhes nos vos mim ti "
    "si meu minha teu tua seu sua seus suas nosso nossa dele dela deles delas",
    "ru": "я ты он она оно мы вы они меня мне мной тебя тебе тобой его ему им нём нем ней её ее ей "
    "нас нам нами вас вам вами их ими них ним ними себя себе собой свой своя своё свое свои своего "
    "своей своих мой моя твой наш ваш",
    "zh": "我 你 您 他 她 它 牠 我们 你们 他们 她们 它们 我們 你們 他們 她們 它們 咱们 咱們 自己 "
    "他自己 她自己 它自己",
    "ja": "私 僕 俺 あなた 君 彼 彼女 彼ら 彼女ら 彼女たち それ これ あれ 私たち 我々 自分",
}

#: The pronouns of each language, in lower case: personal, possessive and reflexive ones.
PRONOUNS: Mapping[str, frozenset[str]] = MappingProxyType(
    {language: frozenset(words.split()) for language, words in _WORDS.items()}
)

#: Languages written without spaces: their words are put together as they are.
UNSPACED = ("zh", "ja")

_PENN = {"PRP", "PRP$", "PRON", "PN", "PPER", "PPOSAT", "PRF"}
_NO_TAG = {"", "-", "_", "*"}
# Of the types of Universal Dependencies, those that stand for what was mentioned.
_TYPES = {"Prs", "Dem"}


def is_tag(tag: str) -> bool:
    """Return whether a column holds a part of speech rather than a mark for none."""
    return tag not in _NO_TAG


def is_pronoun_tag(tag: str, features: str = "") -> bool:
    """Return whether a part of speech is that of a personal, possessive or demonstrative pronoun.

    Args:
        tag: of the Penn Treebank, its Chinese relative, STTS or Universal Dependencies.
        features: those of Universal Dependencies, ``PronType=Prs|…``, if there are any.

    Example:
        >>> is_pronoun_tag("PRP$"), is_pronoun_tag("NN"), is_pronoun_tag("PRON", "PronType=Rel")
        (True, False, False)
    """
    pairs = dict(pair.split("=", 1) for pair in features.split("|") if "=" in pair)
    types = set(filter(None, pairs.get("PronType", "").split(",")))
    if tag == "DET":
        return pairs.get("Poss") == "Yes" and types <= {"Prs"}
    return tag in _PENN and (not types or bool(types & _TYPES))


def are_pronouns(
    words: Collection[str], language: str, chosen: Collection[str] | None = None
) -> list[bool]:
    """Return for each word whether it is a pronoun of the language, or one of those chosen."""
    known = PRONOUNS[language] if chosen is None else {word.lower() for word in chosen}
    return [word.replace("’", "'").lower() in known for word in words]
