import itertools
import math

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from pandas.testing import assert_frame_equal

from fedsieve import figures

ORDER = ["none", "krum", "fdsd", "flip", "patch"]
LEVELS = {"none": 0.8, "krum": 0.6, "fdsd": 0.9}


def rounds_of(attacks=("flip",), ratios=(0.25,), defenses=("fdsd", "none"), n_seeds=3):
    """Accuracy of a defense: its level, plus a hundredth of the seed."""
    grid = itertools.product(attacks, ratios, defenses, range(n_seeds), (1, 2, 3))
    return pd.DataFrame(
        [
            {"task": "mnist", "partition": "iid-10", "attack": a, "ratio": r, "defense": d}
            | {"seed": s, "round": t, "accuracy": LEVELS[d] + s / 100}
            | {"asr": math.nan if a == "unattacked" else 0.1}
            for a, r, d, s, t in grid
        ]
    )


def new_axes():
    return Figure().subplots()


def panels(figure):
    return [ax for ax in figure.axes if ax.get_visible()]


def legend_labels(legend):
    return [text.get_text() for text in legend.get_texts()]


def test_one_line_per_defense_in_the_given_order():
    ax = new_axes()
    figures.draw_curves(ax, rounds_of(), "accuracy", ORDER)
    assert [line.get_label() for line in ax.lines] == ["none", "fdsd"]


def band(ax):
    """Least and greatest height of the only band."""
    heights = ax.collections[0].get_paths()[0].vertices[:, 1]
    return heights.min(), heights.max()


def test_line_is_the_mean_and_band_goes_from_the_least_to_the_greatest_of_few_runs():
    ax = new_axes()
    figures.draw_curves(ax, rounds_of(defenses=["fdsd"]), "accuracy", ORDER)
    np.testing.assert_allclose(ax.lines[0].get_xydata(), [[1, 0.91], [2, 0.91], [3, 0.91]])
    assert band(ax) == pytest.approx((0.9, 0.92))


def test_from_eight_seeds_on_the_band_is_the_interval():
    # .8 + .01 s: mean .835, sd .01 sqrt(6), step 2.364624 * .0244949 / sqrt(8) / (.835 * .165)
    # = .1486354, logit(.835) = 1.6214863; 1 / (1 + exp(-1.4728509)) and with 1.7701217
    ax = new_axes()
    figures.draw_curves(ax, rounds_of(defenses=["none"], n_seeds=8), "accuracy", ORDER)
    assert band(ax) == pytest.approx((0.8134903, 0.8544728), abs=1e-6)


def test_a_single_run_has_no_band():
    ax = new_axes()
    figures.draw_curves(ax, rounds_of(defenses=["fdsd"], n_seeds=1), "accuracy", ORDER)
    assert not ax.collections[0].get_paths()


def test_color_stays_where_another_defense_is_missing():
    colors = []
    for defenses in (["none", "krum", "fdsd"], ["fdsd"]):
        ax = new_axes()
        figures.draw_curves(ax, rounds_of(defenses=defenses), "accuracy", ORDER)
        colors.append(to_rgb(ax.lines[-1].get_color()))
    assert colors[0] == colors[1]


@pytest.mark.parametrize(
    ("column", "label"),
    [("accuracy", "test accuracy (%)"), ("asr", "attack success rate (%)")],
)
def test_axes_carry_units(column, label):
    ax = new_axes()
    figures.draw_curves(ax, rounds_of(), column, ORDER)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("communication round", label)
    assert ax.yaxis.get_major_formatter()(0.25, 0) == "25"


def test_defense_without_values_is_not_drawn():
    ax = new_axes()
    figures.draw_curves(ax, rounds_of(["unattacked"], [0.0]), "asr", ORDER)
    assert not ax.lines
    assert ax.texts[0].get_text() == "undefined"


@pytest.mark.parametrize(
    ("attacks", "ratios", "layout"),
    [
        (["flip"], [0.25], (2, 1)),
        (["flip", "patch"], [0.25, 0.5], (2, 4)),
        (["flip", "patch", "hybrid"], [0.25, 0.5, 0.75], (6, 3)),
        (["flip"], [0.05 * i for i in range(1, 6)], (2, 5)),
        (["flip"], [0.05 * i for i in range(1, 11)], (4, 5)),
    ],
)
def test_panels_wrap_at_five(attacks, ratios, layout):
    shown = panels(figures.curves(rounds_of(attacks, ratios), ORDER))
    assert len(shown) == 2 * len(attacks) * len(ratios)
    across = max(ax.get_subplotspec().colspan.stop for ax in shown)
    assert (len(shown) // across, across) == layout


def test_panels_follow_ratio_then_the_given_order():
    drawn = figures.curves(rounds_of(["patch", "flip"], [0.5, 0.125]), ORDER)
    assert [ax.get_title() for ax in panels(drawn) if ax.get_title()] == [
        "flip, 12.5 % malicious",
        "patch, 12.5 % malicious",
        "flip, 50 % malicious",
        "patch, 50 % malicious",
    ]


def test_titles_name_the_task_where_there_are_several():
    rounds = rounds_of()
    drawn = figures.curves(pd.concat([rounds, rounds.assign(task="digits")]), ORDER)
    assert drawn.axes[0].get_title() == "mnist, flip, 25 % malicious"


def test_panels_of_a_measure_share_their_scale():
    rounds = rounds_of(["flip", "patch"])
    rounds.loc[rounds["attack"] == "patch", "accuracy"] -= 0.5
    limits = {ax.get_ylim() for ax in figures.curves(rounds, ORDER).axes[:2]}
    assert len(limits) == 1
    assert limits.pop()[0] < 0.4


def test_one_legend_names_every_defense_and_the_seeds():
    drawn = figures.curves(rounds_of(["flip", "patch"]), ORDER)
    (legend,) = drawn.legends
    assert legend_labels(legend) == ["none", "fdsd"]
    assert legend.get_title().get_text() == ("mnist, iid-10, mean and least to greatest of 3 seeds")
    assert all(ax.get_legend() is None for ax in drawn.axes)


def test_measure_defined_nowhere_gets_no_row():
    unattacked = rounds_of(["unattacked"], [0.0])
    for rounds in (unattacked, unattacked.drop(columns="asr")):
        assert len(panels(figures.curves(rounds, ORDER))) == 1


def test_rare_groups_are_drawn_on_top_and_counted():
    ax = new_axes()
    groups = ["clean kept"] * 3 + ["poisoned kept"] * 2 + ["clean dropped"]
    figures.draw_features(ax, np.zeros((6, 2)), groups)
    order = {c.get_label(): c.get_zorder() for c in ax.collections}
    assert order["clean dropped (1)"] > order["poisoned kept (2)"] > order["clean kept (3)"]
    assert "poisoned dropped (0)" in order


def test_groups_differ_in_color_and_in_marker():
    looks = figures.FEATURE_GROUPS.values()
    assert len({s["color"] for s in looks}) == len({s["marker"] for s in looks}) == 4


def test_unknown_group_is_refused():
    with pytest.raises(ValueError, match="kept clean"):
        figures.draw_features(new_axes(), np.zeros((1, 2)), ["kept clean"])


def test_feature_panels_have_title_and_legend_each():
    panel = (np.zeros((1, 2)), ["clean kept"])
    drawn = figures.features([(f"client {i}", *panel) for i in range(4)])
    assert [ax.get_title() for ax in panels(drawn)] == [f"client {i}" for i in range(4)]
    assert all(ax.get_legend() is not None for ax in panels(drawn))


def test_inputs_are_left_as_they_are():
    rounds = rounds_of(["patch", "flip"])
    figures.curves(rounds, ORDER)
    assert_frame_equal(rounds, rounds_of(["patch", "flip"]))
