"""Every ailment of the zoo is found, with at most one false alarm, and can be cured."""

from functools import cache

import pytest
from zoo import AILING, HEALTHY, SOUND_SCORE

from sklearn_backprop.inspection import diagnose

# Trained once, in one process.
pytestmark = [pytest.mark.once, pytest.mark.xdist_group("zoo")]

CASES = [*HEALTHY, *AILING]


def name_of(case):
    return f"{case.name}, {case.data}"


@cache
def trained(case):
    model, score = case.train()
    return diagnose(model), score


def ailments(case):
    return {finding.kind for finding in trained(case)[0] if finding.is_ailment}


def test_the_zoo_is_large_enough():
    networks = [case for case in CASES if "model" not in case.settings]
    assert len(networks) >= 24
    assert {case.data for case in networks} == {"digits", "cancer", "wine", "diabetes"}


@pytest.mark.parametrize("case", AILING, ids=name_of)
def test_an_ailment_is_found(case):
    assert case.ailment in ailments(case)


def test_at_most_one_false_alarm():
    expected = {case: {case.ailment, *case.also} for case in CASES}
    false = {name_of(case): ailments(case) - expected[case] for case in CASES}
    assert sum(map(len, false.values())) <= 1, {k: v for k, v in false.items() if v}


@pytest.mark.parametrize("case", AILING, ids=name_of)
def test_the_remedy_applied_makes_it_train(case):
    findings, score = trained(case)
    advice = " ".join(finding.remedy for finding in findings)
    for name in case.remedy:
        assert {"scaled": "StandardScaler"}.get(name, name) in advice or name == (
            "max_iter"  # time enough to see that it trains
        )
    model, cured_score = case.train(case.remedy)
    assert score < case.bar <= cured_score
    assert case.ailment not in {finding.kind for finding in diagnose(model)}


@pytest.mark.parametrize("case", HEALTHY, ids=name_of)
def test_a_healthy_fit_warns_of_nothing(case):
    _, score = trained(case)  # where a warning is an error
    assert score > SOUND_SCORE[case.data]
