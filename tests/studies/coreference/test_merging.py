"""Cases that come one by one, in batches or in parts give the same tables."""

from __future__ import annotations

import pandas as pd
import pytest

from introspect.errors import InputError, MentionError
from introspect.studies.coreference import CoreferenceAnalyzer
from tests.studies.coreference.helpers import computed, some_cases
from tests.synthetic import TEXT, case, record


def assert_same_tables(one, other):
    def in_order(table, keys):
        return table.sort_values(keys, ignore_index=True)

    pd.testing.assert_frame_equal(one.heads, other.heads, check_exact=True)
    pd.testing.assert_frame_equal(one.baselines, other.baselines, check_exact=True)
    keys = ["id", "layer", "head", "direction"]
    pd.testing.assert_frame_equal(
        in_order(one.cases, keys), in_order(other.cases, keys), check_exact=True
    )
    assert sorted(one.outside_forced_choice) == sorted(other.outside_forced_choice)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("cut", [0, 1, 2, 3, 5])
def test_merged_parts_equal_one_run(cut, causal):
    batch = [*some_cases(causal=causal), (case(distractors=[], id="apart"), record(causal=causal))]
    first, second = CoreferenceAnalyzer(), CoreferenceAnalyzer()
    first.update(batch[:cut])
    second.update(batch[cut:])
    first.merge(second)
    assert_same_tables(first.compute(), computed(batch))


def test_cases_one_by_one_equal_one_batch():
    batch = some_cases()
    analyzer = CoreferenceAnalyzer()
    for one in batch:
        analyzer.update([one])
    assert_same_tables(analyzer.compute(), computed(batch))


def test_a_merge_leaves_the_other_as_it_was():
    first, second = CoreferenceAnalyzer(), CoreferenceAnalyzer()
    first.update(some_cases()[:2])
    second.update(some_cases()[2:])
    before = second.compute()
    first.merge(second)
    first.update([(case(id="late"), record())])
    assert_same_tables(second.compute(), before)


def test_two_analyzers_share_nothing():
    first = CoreferenceAnalyzer()
    first.update(some_cases())
    with pytest.raises(InputError, match="at least one case"):
        CoreferenceAnalyzer().compute()


def test_the_same_id_twice_is_refused():
    with pytest.raises(InputError, match="'c0' twice"):
        computed([*some_cases(), some_cases()[0]])


def test_the_same_id_in_two_parts_is_refused():
    first, second = CoreferenceAnalyzer(), CoreferenceAnalyzer()
    first.update(some_cases()[:2])
    second.update(some_cases()[1:])
    with pytest.raises(InputError, match="'c1' twice"):
        first.merge(second)


def test_parts_that_join_mentions_differently_are_refused():
    first, second = CoreferenceAnalyzer("mean"), CoreferenceAnalyzer("max")
    with pytest.raises(InputError, match="mean.* and .*max"):
        first.merge(second)


def test_cases_without_an_id_are_numbered():
    batch = [(case(), record()), (case(), record(seed=1))]
    assert list(computed(batch).cases["id"].unique()) == ["case-1", "case-2"]


def test_a_case_that_cannot_be_scored_leaves_no_trace():
    analyzer = CoreferenceAnalyzer()
    analyzer.update(some_cases())
    before = analyzer.compute()
    with pytest.raises(MentionError):
        analyzer.update([(case(id="bad"), record(TEXT.replace("tired", "wide")))])
    assert_same_tables(analyzer.compute(), before)
    analyzer.update([(case(id="bad"), record())])


def test_tables_can_be_changed_without_changing_the_analyzer():
    analyzer = CoreferenceAnalyzer()
    analyzer.update(some_cases())
    table = analyzer.compute().cases
    table["credit"] = -1.0
    assert (analyzer.compute().cases["credit"] >= 0).all()
