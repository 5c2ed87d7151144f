"""How often the rules call reproduced what is false, over many truths; seeds are fixed."""

import numpy as np
import pytest
from benchmarks import verdict_rules
from benchmarks.verdict_rules import MARGIN, SHAPES, SPREAD, now, said
from scipy import stats

from fedsieve import inference

pytestmark = pytest.mark.slow

DRAWS = 400
COUNTS = (3, 5, 10)


def rare(hits, draws, rate=inference.LEVEL):
    """Whether so many hits are what a rate of at most 5 % gives, but for once in 10,000 tests."""
    return stats.binom.sf(hits - 1, draws, rate) > 1e-4


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("n", COUNTS)
def test_a_random_number_is_hardly_ever_reproduced(shape, n):
    found = said(now, SHAPES[shape], n, DRAWS, seed=n)["false"]
    assert rare(found.count("in"), DRAWS)


@pytest.mark.parametrize("n", [5, 10])
def test_a_number_a_margin_away_from_the_mean_is_reproduced_in_five_of_a_hundred(n):
    rng = np.random.default_rng(n)
    found = [now(rng.normal(0.5, SPREAD, n), 0.5 + MARGIN) for _ in range(DRAWS)]
    assert rare(found.count("in"), DRAWS)


def test_the_rule_before_reproduced_most_random_numbers_of_three_bimodal_runs():
    found = said(verdict_rules.before, SHAPES["bimodal"], 3, DRAWS, seed=1)["false"]
    assert found.count("in") > DRAWS / 2


@pytest.mark.parametrize("shape", ["normal", "skewed"])
def test_a_true_number_is_reproduced_by_ten_runs_that_spread_little(shape):
    found = said(now, SHAPES[shape], 10, DRAWS, seed=1)["true"]
    assert found.count("in") > 0.9 * DRAWS


def won(differences):
    return inference.above(differences, MARGIN) <= inference.LEVEL


@pytest.mark.parametrize("n", COUNTS)
def test_a_lead_of_just_the_margin_wins_in_five_of_a_hundred(n):
    rng = np.random.default_rng(n)
    found = [won(rng.normal(MARGIN, SPREAD, n)) for _ in range(DRAWS)]
    assert rare(sum(found), DRAWS)
    assert n >= inference.FEWEST or not any(found)


@pytest.mark.parametrize("n", COUNTS)
def test_a_lead_within_the_margin_hardly_ever_wins_however_skewed(n):
    rng = np.random.default_rng(n)
    leads = rng.uniform(-0.2, MARGIN, DRAWS)
    sides = rng.choice([-1, 1], DRAWS)
    tails = SPREAD * (rng.exponential(size=(DRAWS, n)) - 1)
    found = [won(lead + side * tail) for lead, side, tail in zip(leads, sides, tails, strict=True)]
    assert rare(sum(found), DRAWS)


@pytest.mark.parametrize("n", COUNTS)
def test_a_lead_in_at_most_half_of_the_runs_hardly_ever_wins(n):
    rng = np.random.default_rng(n)
    shares = rng.uniform(0, 0.5, DRAWS)
    runs = np.where(rng.random((DRAWS, n)) < shares[:, None], 0.1, -0.4)
    assert rare(sum(map(won, runs)), DRAWS)
