"""Random results of every kind of report, from tables drawn by a seed, and what is said of them."""

from __future__ import annotations

import dataclasses
import re
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pandas as pd

from introspect.records import Head
from introspect.reporting import finding_of_case, finding_of_study
from introspect.reporting.causal_words import (
    attending_beside,
    mediation_words,
    smallest_words,
)
from introspect.reporting.heads import finding_of_heads
from introspect.reporting.lens import finding_of_lens
from introspect.reporting.prose import finding_of_set, finding_of_text
from introspect.reporting.sentences import finding_of_roles
from introspect.reporting.set_words import (
    bias_words,
    finding_of_choice,
    linear_words,
    occupation_words,
    pair_words,
    stability_words,
)
from introspect.reporting.sets import SetFindings
from introspect.reporting.shapes import finding_of_patterns
from introspect.reporting.syntax import finding_of_relations
from introspect.statistics import Claim, effect_intervals, effect_test
from introspect.studies.causal import LEVEL, Mediation, SmallestSet
from introspect.studies.causal.followed import (
    DIRECT_COLUMNS,
    METHOD_COLUMNS,
    PAIR_COLUMNS,
    Followed,
    relations_of_pairs,
)
from introspect.studies.causal.study import ChosenByAttention
from introspect.studies.causal.verdicts import agreed, verdicts_of
from introspect.studies.coreference import (
    CapturedText,
    CoreferenceAnalyzer,
    CoreferenceStudy,
    Options,
    PairVersion,
    ProbeResult,
    ScoredCase,
    bias_table,
    occupation_bias,
    pair_shifts,
    scores_of,
)
from introspect.studies.heads import RolesAnalyzer, group_claims
from introspect.studies.heads.relation_tests import RELATION_COLUMNS
from introspect.studies.lens import TokenReading
from introspect.text import decimal, p_cell, percent, quantity, whole
from tests.reporting.causal.helpers import made
from tests.reporting.test_head_report import patterns_table, roles_table
from tests.reporting.test_head_report import study as head_study
from tests.studies.coreference.test_occupations import templates
from tests.synthetic import TEXT, case, plant, record
from tests.views.causal.helpers import table_of

QUICK = Options(resamples=100, permutations=200, selections=60)
SHAPE = (2, 2, 2)  # directions, layers, heads


class Said(NamedTuple):
    """What a page claims, and the sentences that it prints."""

    claims: tuple[Claim, ...]
    sentences: tuple[str, ...]


def _said(finding, *more) -> Said:
    further = [words for each in more for words in each]
    return Said(finding.claims, (finding.headline, *finding.details, *further))


# --- sets -----------------------------------------------------------------------------------------


def random_cases(random, num_groups, lean):
    """Cases of two candidates, one to three of a group, of which one head may know more."""
    made = []
    for group in range(num_groups):
        for member in range(random.integers(1, 4)):
            credit = (random.random(SHAPE) < 0.5).astype(float)
            credit[0, 1, 1] = float(random.random() < lean)
            credit[random.random(SHAPE) < 0.05] = 0.5
            weights = random.random((2, *SHAPE))
            made.append(
                ScoredCase(
                    name=f"c{group}-{member}",
                    group=f"g{group}",
                    layers=(0, 1),
                    antecedent_weight=weights[0],
                    distractor_weight=weights[1],
                    margin=credit - 0.5,
                    removed_mass=np.zeros(SHAPE),
                    observable=np.ones(SHAPE[:2], dtype=bool),
                    labelings=np.stack([credit, 1 - credit]),
                    antecedents=(True, False),
                    distances=tuple(random.integers(-9, 0, 2).tolist()),
                    baselines={
                        "random": 0.5,
                        "nearest_preceding": float(random.random() < (lean + 0.5) / 2),
                        "first_mentioned": float(random.random() < 0.5),
                    },
                    raw_credit=None if lean < 0.6 else credit,
                    lengths=tuple(random.integers(1, 4, 2).tolist()),
                )
            )
    return made


def random_versions(random, count, follows):
    versions = []
    for number in range(count):
        for right in (1, 0):
            weights = random.random((2, *SHAPE))
            weights[right, 0, 1, 1] += follows
            versions.append(
                PairVersion(
                    name=f"g{number}-{right}",
                    group=f"g{number}",
                    phrases=("animal", "street"),
                    antecedents=(right == 0, right == 1),
                    weights=weights,
                    observable=np.ones(SHAPE[:2], dtype=bool),
                    layers=(0, 1),
                )
            )
    return versions


def random_probe(random, cases):
    accuracy = random.random()
    return ProbeResult(
        accuracy=accuracy, ci_low=max(0, accuracy - 0.1), ci_high=min(1, accuracy + 0.1),
        n=len(cases), num_groups=len({case.group for case in cases}), fold_accuracy=(),
        penalties=(), in_sample_accuracy=0.9, control=(0.5, 0.4), coefficients=pd.DataFrame(),
        credits=np.zeros(1), names=(), outside_forced_choice=(),
        control_task=random.choice([np.nan, 0.4]), code_length=random.random(), uniform_code=1.0,
    )  # fmt: skip


def set_of(seed) -> Said:
    """Return what is said of a set of cases, its pairs, its bias and its occupations."""
    random = np.random.default_rng(seed)
    cases = random_cases(random, int(random.integers(3, 26)), random.choice([0.5, 0.75, 0.95]))
    scores = scores_of(cases, pd.DataFrame(), QUICK)
    # Pairs are some of the groups.
    most = scores.num_groups + 1
    pairs = pair_shifts(
        random_versions(random, int(random.integers(1, most)), random.choice([0.0, 0.5, 2.0])),
        options=QUICK,
    )
    labels = random.choice(["pro", "anti"], len(cases)).tolist()
    bias = bias_table(cases, labels, options=QUICK)
    strength = float(random.choice([0.0, 1.0]))
    occupations = occupation_bias(
        *templates(count=int(random.integers(3, 12)), strength=strength, seed=seed), QUICK
    )
    linear = random_probe(random, cases)
    findings = SetFindings(
        name="a set", read=(), scores=scores, num_cases=len(cases), num_groups=scores.num_groups,
        linear=linear, linear_random=((), (0.52, 0.47))[random.integers(2)], bias=bias,
        occupations=occupations, pairs=pairs, shown_pairs=(), rejects=(), num_rejected=0,
        record=None, weights="raw", hardest=(), listed=None, command=None,
    )  # fmt: skip
    return _said(
        findings.finding,
        stability_words(findings.finding.claims),
        linear_words(findings.linear_claims),
        pair_words(dataclasses.replace(pairs, notes=())),
        bias_words(dataclasses.replace(bias, notes=())),
        occupation_words(occupations),
    )


# --- causal studies -------------------------------------------------------------------------------


def _tested(values, groups):
    low, high = effect_intervals(values, groups, resamples=200)
    return values.mean(0), low, high, effect_test(values, groups, draws=300).p_adjusted


def random_effects(random, groups, sizes):
    """Effects by case of heads with these mean sizes, some of them skewed."""
    noise = random.normal(size=(len(groups), len(sizes)))
    skewed = random.lognormal(0, 0.5, noise.shape)
    return np.where(random.random(len(sizes)) < 0.5, noise, skewed - np.exp(0.125)) + sizes


def random_table(random, groups, is_able):
    """A table of heads, of which some support, oppose, attend, or do nothing."""
    heads = [(layer, head) for layer in range(2) for head in range(int(random.integers(1, 4)))]
    values = random_effects(random, groups, random.choice([0, 0, 1.5, -1.5], len(heads)))
    effect, low, high, p = _tested(values, groups)
    looks_p = random.choice([0.001, 0.2, 1.0], len(heads))
    rows = [
        (*head, size, control, q, accuracy, looks, 0.1)
        for head, size, control, q, accuracy, looks in zip(
            heads, effect, random.normal(size=len(heads)), p, random.random(len(heads)), looks_p,
            strict=True,
        )
    ]  # fmt: skip
    table = table_of(rows).assign(ci_low=low, ci_high=high, n=len(groups))
    verdicts = verdicts_of(effect, p, smallest=0.02, is_able=is_able)
    return table.assign(verdict=verdicts), values


def random_followed(random, table, groups):
    found = table[table["verdict"].isin(["supports", "opposes"])].head(3)
    heads = tuple(Head(int(row.layer), int(row.head)) for row in found.itertuples())
    methods, pairs, verdicts = [], [], {head: [] for head in heads}
    for method in ("zero", "mean", "resample") if heads else ():
        sizes = found["effect"].to_numpy() * random.choice([0.0, 1.0, 1.0], len(heads))
        figures = _tested(random_effects(random, groups, sizes), groups)
        of_method = verdicts_of(figures[0], figures[3], smallest=0.02, is_able=True)
        for head, *numbers, verdict in zip(heads, *figures, of_method, strict=True):
            own = verdict
            if method == "zero":
                row = found.iloc[heads.index(head)]
                numbers = [row.effect, row.ci_low, row.ci_high, row.p_adjusted]
                own = row.verdict
            methods.append((*head, method, *numbers, own))
            verdicts[head].append(own)
    for head, said in verdicts.items():
        is_head = (table["layer"] == head.layer) & (table["head"] == head.head)
        table.loc[is_head, "verdict"] = agreed(said)
    if len(heads) > 1:
        values = random_effects(random, groups, random.choice([0, 2, -2], 1))
        change, low, high, p = (float(v[0]) for v in _tested(values, groups))
        first, second = (float(effect) for effect in found["effect"].head(2))
        alone, helps = first + second, np.array([min(first, second) + change > 0])
        support = np.array([(found["verdict"].head(2) == "supports").all()])
        is_shown = np.array([p < LEVEL])
        (relation,) = relations_of_pairs(np.array([change]), is_shown, helps, support)
        numbers = (alone + change, alone, change, low, high, p, first + change, second + change)
        pairs = [(*heads[0], *heads[1], *numbers, relation)]
    return Followed(
        heads,
        pd.DataFrame(methods, columns=list(METHOD_COLUMNS)),
        pd.DataFrame(pairs, columns=list(PAIR_COLUMNS)),
        pd.DataFrame(columns=list(DIRECT_COLUMNS)),
    )


def random_set_of_heads(random, table):
    faithful, left = random.random(), random.random()
    count = int(random.integers(0, 3))
    steps = table.head(count)[["layer", "head", "effect"]].assign(step=1, faithfulness=faithful)
    total = random.normal()
    return SmallestSet(
        steps=steps, total=total, total_low=total - 0.5, total_high=total + 0.5,
        faithfulness=faithful, low=faithful - 0.3, high=faithful + 0.2, incompleteness=left,
        incompleteness_low=left - 0.2, incompleteness_high=left + 0.2,
        needless=tuple(Head(int(r.layer), int(r.head)) for r in steps.head(1).itertuples()),
        random=random.random(), as_faithful=random.random(), num_random=200,
        n=int(random.integers(1, 30)), reached=bool(random.random() < 0.5),
    )  # fmt: skip


def random_mediation(random, table, through):
    pairs = int(random.integers(5, 15))
    groups = np.repeat(np.arange(pairs), 2)
    total = random.normal(random.choice([0, 2]), 1, (2 * pairs, 1))
    indirect = random_effects(random, groups, random.choice([0, 1.5, -1], len(table)))
    mean, low, high, _ = _tested(total, groups)
    of_heads = _tested(indirect, groups)
    heads = table[["layer", "head"]].assign(
        total=mean[0], total_low=low[0], total_high=high[0], indirect=of_heads[0],
        indirect_low=of_heads[1], indirect_high=of_heads[2], p_adjusted=of_heads[3], direct=0.1,
        direct_low=0.0, direct_high=0.2, share=of_heads[0] / mean[0] if low[0] > 0 else np.nan,
        n=pairs,
    )  # fmt: skip
    return Mediation(heads, {"a": "no"}, (), through)


def random_chosen(random, table, values, groups):
    chosen = table.sample(2, replace=True, random_state=int(random.integers(1 << 30)))
    half = np.arange(len(groups)) % 2
    effect = np.where(half, *(values[:, place] for place in chosen.index))
    against = effect - random.normal(size=len(effect))
    figures = [_tested(column[:, None], groups)[:3] for column in (effect, against)]
    (mean, low, high), (gain, gain_low, gain_high) = ([float(v[0]) for v in f] for f in figures)
    heads = tuple(Head(int(r.layer), int(r.head)) for r in chosen.itertuples())
    return ChosenByAttention(heads, mean, low, high, mean - gain, gain, gain_low, gain_high, 40)


def causal_of(seed) -> Said:
    """Return what is said of a causal study, with or without an ability, and what it attends to."""
    random = np.random.default_rng(seed)
    num_groups = int(random.choice([3, 6, 20, 40]))
    groups = [str(number % num_groups) for number in range(40)]
    right = int(random.choice([21, 36, 40]))
    able = made(right=right, groups=num_groups).ability
    table, values = random_table(random, groups, able.is_above_chance)
    followed = random_followed(random, table, groups)
    cases = random_cases(random, num_groups, random.choice([0.5, 0.9]))
    is_few = num_groups < 5
    if is_few:
        table = table.assign(attends=False)
    mediations = [random_mediation(random, table, way) for way in ("head_outputs", "attentions")]
    found = random.choice([None, random_set_of_heads(random, table)])
    study = made(
        table,
        right=right,
        groups=num_groups,
        followed=followed,
        scores=scores_of(cases, pd.DataFrame(), QUICK),
        smallest=found if able.is_above_chance else None,
        mediation=mediations[0],
        mediation_by_weights=random.choice([None, mediations[1]]),
        chosen=None if is_few else random_chosen(random, table, values, groups),
        correlation=float(random.choice([np.nan, random.random()])),
    )
    of_choice = finding_of_choice(study.scores, attending_beside(study))
    said = _said(finding_of_study(study), smallest_words(study), mediation_words(study))
    sentences = (*said.sentences, of_choice.headline, *of_choice.details)
    return Said((*said.claims, *of_choice.claims), sentences)


# --- texts ----------------------------------------------------------------------------------------

_TEXTS = {
    TEXT: {"pronoun": "it", "antecedents": ("animal",), "distractors": ("street",)},
    "The old animal left the wide street because it was tired.": {
        "pronoun": "it", "antecedents": ("old animal",), "distractors": ("wide street",),
    },
    "The street was where the animal said it was tired.": {
        "pronoun": "it", "antecedents": ("animal",), "distractors": (),
    },
}  # fmt: skip


def random_text(random):
    text = str(random.choice(list(_TEXTS)))
    options = _TEXTS[text]
    seed = int(random.integers(1 << 30))
    given = record(text, seed=seed, layers=2, heads=3, causal=bool(random.random() < 0.3))
    for head in range(int(random.integers(0, 4))):
        target = str(random.choice(["animal", "street"]))
        given = plant(given, (1, head % 3), "it", target, float(random.uniform(0.4, 0.99)))
    return CapturedText(case(text, id="a", **options), given)


def case_of(seed) -> Said:
    """Return what is said of one sentence."""
    return _said(finding_of_case(random_text(np.random.default_rng(seed))))


def texts_of(seed) -> Said:
    """Return what is said of several sentences at once, or of a text without a pronoun."""
    random = np.random.default_rng(seed)
    texts = [random_text(random) for _ in range(int(random.integers(2, 7)))]
    if random.random() < 0.2:
        return _said(finding_of_text(texts[0].record))
    analyzer = CoreferenceAnalyzer()
    for number, text in enumerate(texts):
        named = dataclasses.replace(text.case, id=str(number))
        analyzer.add(named, CapturedText(named, text.record).columns)
    scores = scores_of(analyzer.scored, pd.DataFrame(), QUICK)
    return _said(finding_of_set(CoreferenceStudy(tuple(texts), scores)))


# --- heads, relations, shapes, roles, the lens ----------------------------------------------------


def heads_of(seed) -> Said:
    """Return what is said of heads with known roles, and of shapes on texts."""
    random = np.random.default_rng(seed)
    scores = random.random((3, 6)) * random.choice([0.3, 1.0])
    names = ("previous_token", "duplicate_token", "induction")
    roles = ("previous-token", "duplicate-token", "induction")
    grids = {name: grid.reshape(2, 3) for name, grid in zip(names, scores, strict=True)}
    called = [
        roles[column.argmax()] if column.max() - 0.01 > 0.4 else "none" for column in scores.T
    ]
    shares = random.random((2, 6))
    patterns = patterns_table(
        position_share=shares[0], is_positional=shares[0] >= 0.9, position=-1, n_position=50,
        rare_share=shares[1], is_rare_word=shares[1] >= 0.5, n_rare=50, position_chance=0.1,
        rare_chance=0.1, n_texts=int(random.integers(1, 9)),
    )  # fmt: skip
    study = head_study(roles=roles_table(grids, called), patterns=patterns)
    shapes = finding_of_patterns(patterns)
    said = _said(finding_of_heads(study))
    # One page each: what both say is of the same table.
    assert set(study.claims) >= set(shapes.claims[2:])
    return said


def random_relations(random) -> tuple[pd.DataFrame, int]:
    """The table of some relations, of which some are too rare, and the number of sentences."""
    rows = []
    for name in ("det", "nsubj", "obj", "amod")[: random.integers(1, 5)]:
        accuracy, p = random.random(), float(random.choice([0.001, 0.04, 0.05, 0.5]))
        row = (
            name, int(random.integers(5, 400)), int(random.integers(5, 40)), 0, 1,
            "dependent_to_head", 0.7, accuracy, accuracy * 0.9, min(1, accuracy * 1.1),
            random.random(), random.random(), p, p < 0.05, random.choice([0.9, np.nan]),
        )  # fmt: skip
        few = (name, 3, 2, pd.NA, pd.NA, pd.NA, *[np.nan] * 7, False, np.nan)
        rows.append(few if random.random() < 0.2 else row)
    return pd.DataFrame(rows, columns=list(RELATION_COLUMNS)), int(random.integers(5, 40))


def relations_of(seed) -> Said:
    """Return what is said of the relations of a treebank."""
    return _said(finding_of_relations(*random_relations(np.random.default_rng(seed))))


def roles_of(seed) -> Said:
    """Return what is said of what heads attend to in sentences, and of groups of heads."""
    random = np.random.default_rng(seed)
    analyzer = RolesAnalyzer()
    for number in range(2):
        analyzer.update(record(seed=seed + number, causal=bool(seed % 2)))
    tried = pd.DataFrame({"n": [2, 3, 4]}).assign(
        stability=random.random(3) * random.choice([1, np.nan]), silhouette=random.random(3)
    )
    groups = group_claims(tried)
    finding = finding_of_roles(analyzer.compute())
    said = _said(finding, dict.fromkeys(claim.sentence for claim in groups))
    return Said((*said.claims, *groups), said.sentences)


def lens_of(seed) -> Said:
    """Return what is said of a token read through the lens."""
    random = np.random.default_rng(seed)
    layers = {
        name: ((str(random.choice(["a", "b*"])), random.random()),)
        for name in ("embeddings", "L0", "L1")
    }
    names = ["embeddings", "L0H0", "L0H1", "L0 MLP", "bias"]
    parts = pd.DataFrame({"component": names, "contribution": random.normal(size=5)})
    against = random.choice([None, "b"])
    parts.attrs |= {"logit": parts["contribution"].sum(), "token": "a", "against": against}
    given = random.choice([None, SimpleNamespace(table=parts)])
    reading = TokenReading(int(random.integers(9)), "it*", layers)
    return _said(finding_of_lens(reading, None if given is None else given.table, None))


#: What draws a random result of each kind, and says what is claimed of it.
KINDS = (set_of, causal_of, case_of, texts_of, heads_of, relations_of, roles_of, lens_of)


# --- what is checked ------------------------------------------------------------------------------

# What explains and claims nothing: definitions, and what was not run.
DEFINITIONS = (
    "A head points from", "In \\d+ pairs? one or two words turn", "The pairs are too few",
    "The correlation r, over occupations", "A difference may show that a bias is",
    "\\d+ more heads? in the table below", "The set was found on one half",
    "The indirect effect of a head", "Effects of several heads do not add up",
    "\\d+ groups? (is|are) no minimal pair", "The views show what each head attends to",
    "The same probe on random weights was not run", "Measured by a surrogate",
)  # fmt: skip
_DEFINED = re.compile(rf"\*?(?:{'|'.join(DEFINITIONS)}).*", re.DOTALL)
_HEADS = re.compile(r"L\d+(?:H\d+)?")
# Levels, thresholds and years that a sentence names are no results.
_CONSTANTS = re.compile(
    r"95% CI|above 0\b|95% interval|layers? \d+(?:(?:, \d+)* and \d+)?:|below 0\.05|"
    r"in 80% of|have 25%|19\d\d|20\d\d|at least \d+%|above \d+%|of 30 |"
    r"all 30 |needs 5 |more than \d+%|\b0 is the margin with all heads ablated, 1 that\b|"
    r"\bis 0 for a complete set"
)
_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?(?:·10[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)?")


def without_a_claim(said: Said) -> list[str]:
    """Return what is printed with a figure or a head, and is in no claim."""
    left = []
    known = sorted({claim.plain for claim in said.claims}, key=len, reverse=True)
    for sentence in said.sentences:
        rest = sentence.replace("*", "")
        for words in known:
            rest = rest.replace(words, "")
        rest = _DEFINED.sub("", rest.strip())
        if re.search(r"\d", rest) or re.search(r"\b(?:No|not shown)\b", rest):
            left.append(rest)
    return left


def _forms(value: float) -> set[str]:
    size = abs(value)
    written = {
        *(percent(size, places) for places in (0, 1)), *(decimal(size, n) for n in range(4)),
        decimal(100 * size, 1), quantity(size), whole(size), p_cell(size),
    }  # fmt: skip
    return {number for text in written for number in _NUMBER.findall(text)}


def without_a_number(said: Said) -> list[tuple[str, str]]:
    """Return the numbers in sentences of claims that no row of the sentence has."""
    rows: dict[str, list[Claim]] = {}
    for claim in said.claims:
        rows.setdefault(claim.plain, []).append(claim)
    left = []
    for sentence, claims in rows.items():
        values = {
            float(value)
            for claim in claims
            for value in (
                claim.estimate, claim.low, claim.high, claim.p, claim.n, claim.groups
            )
            if np.isfinite(value)
        }  # fmt: skip
        known = {form for value in values for form in _forms(value)}
        bare = _CONSTANTS.sub("", _HEADS.sub("", re.sub(r"“[^”]*”", "", sentence)))
        left += [(n, sentence) for n in _NUMBER.findall(bare) if n.strip(",") not in known]
    return left
