import numpy as np
import pytest
from scipy import stats

from fedsieve import inference


def runs(*values):
    return np.array(values, dtype=float)


def test_five_wins_are_one_pattern_of_thirty_two():
    assert inference.sign_flip(runs(0.1, 0.2, 0.05, 0.1, 0.3)) == 1 / 32


def test_sign_flips_agree_with_scipy_which_tries_all_of_them_too():
    found = np.random.default_rng(1).normal(0.3, 1, size=(4, 9))
    for sample in found:
        wanted = stats.permutation_test(
            (sample,),
            np.mean,
            permutation_type="samples",
            n_resamples=np.inf,
            alternative="greater",
        )
        assert inference.sign_flip(sample) == pytest.approx(wanted.pvalue)


def test_sign_flips_count_by_hand():
    # 3, 1, -1 sum to 3; of the eight patterns, 5 (none but the last turned) and 3 (twice: none,
    # or the two ones turned) reach it
    assert inference.sign_flip(runs(3, 1, -1)) == 3 / 8


def test_a_mean_must_exceed_the_least_effect():
    differences = runs(0.021, 0.022, 0.023, 0.024, 0.025)
    assert inference.sign_flip(differences, 0.02) == 1 / 32
    assert inference.sign_flip(differences, 0.03) == 1
    assert inference.sign_flip(runs(0.1, 0.1, 0.1, 0.1, 0.1), 0.1) == 1


def test_beyond_sixteen_runs_the_t_test_takes_over():
    sample = np.random.default_rng(2).normal(0.5, 1, size=17)
    wanted = stats.ttest_1samp(sample, 0.1, alternative="greater").pvalue
    assert inference.sign_flip(sample, 0.1) == pytest.approx(wanted)


@pytest.mark.parametrize(("least", "wanted"), [(0.4, 0), (0.5, 1), (0.6, 1)])
def test_equal_values_leave_no_doubt(least, wanted):
    assert inference.t_test(runs(0.5, 0.5, 0.5), least) == wanted
    assert inference.interval(runs(0.5, 0.5, 0.5)) == (0.5, 0.5)


def test_one_run_says_nothing():
    assert inference.t_test(runs(0.5)) == 1
    assert inference.interval(runs(0.5)) == (-np.inf, np.inf)
    assert not inference.within(runs(0.5), 0, 1)
    assert not inference.outside(runs(0.5), 0.8, 0.9)


def test_the_interval_is_scipys():
    sample = runs(0.1, 0.12, 0.2, 0.11)
    wanted = stats.ttest_1samp(sample, 0).confidence_interval(0.9)
    assert inference.interval(sample, 0.9) == pytest.approx((wanted.low, wanted.high))


def test_a_mean_lies_in_a_band_if_both_one_sided_tests_say_so():
    sample = runs(0.88, 0.9, 0.91, 0.92, 0.89)
    for low, high in ((0.88, 0.92), (0.89, 0.92), (0.87, 0.905), (0.91, 0.95)):
        above = stats.ttest_1samp(sample, low, alternative="greater").pvalue
        below = stats.ttest_1samp(sample, high, alternative="less").pvalue
        assert inference.within(sample, low, high) == (max(above, below) <= 0.05)


def test_an_interval_misses_a_band_on_either_side():
    sample = runs(0.49, 0.5, 0.51, 0.5, 0.5)  # 95 %: 0.5 +- 0.0088
    assert inference.outside(sample, 0.51, 0.6)
    assert inference.outside(sample, 0.4, 0.49)
    assert not inference.outside(sample, 0.505, 0.6)


def test_intervals_of_shares_are_those_of_scipy():
    for k, n in ((0, 10), (3, 10), (9, 10), (10, 10)):
        wanted = stats.binomtest(k, n).proportion_ci(0.95, method="exact")
        assert inference.clopper_pearson(k, n) == pytest.approx((wanted.low, wanted.high))


def test_none_of_ten_leaves_a_share_of_less_than_a_third():
    # (1 - share)^10 = 0.025
    assert inference.clopper_pearson(0, 10)[1] == pytest.approx(1 - 0.025**0.1)


def test_holm_multiplies_the_least_by_all_and_never_falls():
    # sorted .01 .03 .03 .2: times 4, 3, 2, 1 = .04 .09 .06 .2, then the largest so far
    found = inference.holm(np.array([0.03, 0.2, 0.01, 0.03]))
    assert found == pytest.approx([0.09, 0.2, 0.04, 0.09])
    assert inference.holm(np.array([0.9, 0.8])).tolist() == [1, 1]


@pytest.mark.parametrize(
    ("values", "wanted"), [((0, 0.2), False), ((0, 0.201), True), ((0,), False)]
)
def test_more_than_twenty_points_between_two_runs_are_two_modes(values, wanted):
    assert inference.bimodal(runs(*values)) == wanted


def test_differences_of_fewer_than_five_runs_show_nothing():
    assert inference.above(runs(0.1, 0.1, 0.1, 0.1)) == 1
    assert inference.above(runs(0.1, 0.1, 0.1, 0.1, 0.1)) == 1 / 32


def test_bimodal_differences_need_ten_runs_and_are_counted():
    nine = np.repeat([0.1, 0.9], [1, 8])
    assert inference.above(nine) == 1
    # nine of ten: two-sided sign test, 2 (10 + 1) / 1024
    assert inference.above(np.append(nine, -0.1)) == pytest.approx(22 / 1024)


def test_a_difference_either_way_needs_six_runs():
    assert inference.differ(np.full(5, -0.1)) == 1 / 16
    assert inference.differ(np.full(6, -0.1)) == 1 / 32
    assert inference.differ(np.full(4, -0.1)) == 1
    assert inference.differ(np.zeros(6)) == 1


def test_bimodal_differences_either_way_are_counted():
    assert inference.differ(np.repeat([0.1, 0.9, -0.1], [1, 8, 1])) == pytest.approx(22 / 1024)


def test_the_number_of_seeds_gives_a_narrow_interval_and_one_less_does_not():
    sample = runs(0, 0.02, 0.04)  # deviation 0.02
    found = inference.seeds_for_width(sample, 0.01)
    half = [stats.t.ppf(0.975, n - 1) * 0.02 / n**0.5 for n in (found - 1, found)]
    assert half[0] > 0.01 >= half[1]


def test_no_number_of_seeds_decides_what_lies_on_the_edge():
    assert inference.seeds_for_width(runs(0, 0.02, 0.04), 0) is None
    assert inference.seeds_for_width(runs(0, 0.02, 0.04), -0.1) is None
    assert inference.seeds_for_order(runs(0.1, -0.1, 0), 0) is None
    assert inference.seeds_for_share(5, 10) is None


def test_two_of_three_runs_need_dozens_to_show_a_majority():
    found = inference.seeds_for_share(2, 3)
    share = stats.binomtest(round(found * 2 / 3), found).proportion_ci(method="exact")
    assert share.low > 0.5


def test_wins_in_many_cells_need_more_seeds():
    clear = runs(0.5, 0.51, 0.49)
    assert inference.seeds_for_order(clear, 0) == 5  # 1/32
    assert inference.seeds_for_order(clear, 0, tests=15) == 9  # 15/512 is the first below .05


BAND = (0.4, 0.6)


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ((0.5, 0.51, 0.49, 0.5, 0.5), "in"),
        ((0.7, 0.71, 0.69, 0.7, 0.7), "out"),
        ((0.45, 0.6, 0.55, 0.59, 0.58), "open"),
        ((0.5, 0.5, 0.5, 0.5), "open"),  # four
        ((0.6, 0.6, 0.6, 0.6, 0.6), "in"),  # the edge belongs to the band
        ((0.0, 0.0, 0.0, 0.0, 0.0), "out"),
    ],
)
def test_a_quantity_lies_in_a_band_or_out_of_it_or_that_is_open(values, wanted):
    assert inference.place(runs(*values), *BAND).where == wanted


@pytest.mark.parametrize(
    ("hits", "others", "wanted"), [(9, 1, "in"), (8, 2, "open"), (1, 9, "out"), (8, 1, "open")]
)
def test_of_a_bimodal_quantity_the_runs_in_the_band_are_counted(hits, others, wanted):
    # Clopper-Pearson: 9 of 10 are .555 to .997, 8 of 10 .444 to .975
    found = inference.place(np.repeat([0.5, 0.9], [hits, others]), *BAND)
    assert found.where == wanted


def test_more_tests_at_once_make_it_harder_to_lie_outside():
    sample = runs(0.63, 0.65, 0.64, 0.61, 0.63)  # mean .632, half of 95 % .0184, of 99.5 % .0372
    assert inference.place(sample, *BAND).where == "out"
    assert inference.place(sample, *BAND, tests=10).where == "open"


def test_what_is_open_says_where_it_leans_and_how_many_seeds_it_takes():
    four = inference.place(runs(0.5, 0.5, 0.5, 0.5), *BAND)
    assert (four.leans_in, four.seeds) == (True, 5)
    modes = inference.place(runs(0.9, 0.1, 0.9), *BAND)
    assert (modes.leans_in, modes.seeds) == (False, 10)
    edge = inference.place(runs(0.5, 0.6, 0.7, 0.6, 0.6), *BAND)
    assert edge.seeds is None
