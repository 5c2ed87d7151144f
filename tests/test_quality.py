import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import same_color
from matplotlib.figure import Figure
from pandas.testing import assert_frame_equal

from fedsieve import quality
from fedsieve.quality import TRUTH, Separation, Updates, separation

ORDER = ["6to0", "1to3"]
CLIENTS = pd.DataFrame(
    {
        "client": [0, 1, 2, 3, 4],
        "score": [0.9, 0.6, 0.8, 0.5, np.nan],
        "malicious": [False, True, False, True, False],
        "flagged": [False, False, True, True, False],
    }
)


def scenarios(*cells):
    """The same clients in scenarios of attack and ratio."""
    labels = [{"task": "fashion", "partition": "iid", "attack": a, "ratio": r} for a, r in cells]
    return pd.concat([CLIENTS.assign(**cell) for cell in labels], ignore_index=True)


def new_axes():
    return Figure().subplots()


def panels(figure):
    return [ax for ax in figure.axes if ax.get_visible()]


def dots(ax):
    """Places of each group of dots, by its label."""
    return {c.get_label(): c.get_offsets().filled(np.nan).tolist() for c in ax.collections}


def two_groups(n_bad, n=10):
    malicious = np.arange(n) < n_bad
    points = np.stack([np.where(malicious, 5.0, 0) + np.arange(n) % 3, np.arange(n) % 2], axis=1)
    return Updates(f"{n_bad} of {n}", points, malicious)


def test_every_client_stands_at_its_score_by_what_it_is_and_flagged_ones_are_ringed():
    ax = new_axes()
    quality.draw_quality(ax, CLIENTS)
    assert dots(ax) == {
        "benign": [[0, 0.9], [2, 0.8]],
        "malicious": [[1, 0.6], [3, 0.5]],
        "flagged": [[2, 0.8], [3, 0.5]],
    }
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("client", "data quality")


def test_rings_are_larger_than_dots_and_empty():
    ax = new_axes()
    quality.draw_quality(ax, CLIENTS)
    *known, rings = ax.collections
    assert rings.get_sizes() > 2 * max(c.get_sizes() for c in known)
    assert len(rings.get_facecolor()) == 0


def test_clients_without_a_score_are_ticks_on_the_axis():
    ax = new_axes()
    quality.draw_quality(ax, CLIENTS)
    [ticks] = ax.lines
    assert ticks.get_xydata().tolist() == [[4, 0]]
    assert ticks.get_transform() == ax.get_xaxis_transform()
    ax = new_axes()
    quality.draw_quality(ax, CLIENTS[:4])
    assert not ax.lines


def test_benign_and_malicious_differ_in_color_and_in_marker():
    looks = TRUTH.values()
    assert len({s["color"] for s in looks}) == len({s["marker"] for s in looks}) == 2
    ax = new_axes()
    quality.draw_quality(ax, CLIENTS)
    for drawn in ax.collections[:2]:
        assert same_color(drawn.get_facecolor(), TRUTH[drawn.get_label()]["color"])


def test_a_line_of_panels_per_attack_in_the_given_order_and_a_panel_per_ratio():
    cells = [("1to3", 0.4), ("6to0", 0.4), ("6to0", 0.05), ("1to3", 0.05), ("unattacked", 0.0)]
    shown = panels(quality.quality(scenarios(*cells), ORDER, "title"))
    assert [ax.get_title() for ax in shown] == [
        "unattacked, 0 % malicious",
        "6to0, 5 % malicious",
        "6to0, 40 % malicious",
        "1to3, 5 % malicious",
        "1to3, 40 % malicious",
    ]
    rows = [ax.get_subplotspec().rowspan.start for ax in shown]
    assert rows == [0, 1, 1, 2, 2]


def test_each_panel_draws_its_own_clients():
    clients = scenarios(("6to0", 0.05), ("6to0", 0.4))
    clients.loc[clients["ratio"] == 0.4, "score"] += 0.05
    first, second = panels(quality.quality(clients, ORDER, "title"))
    assert dots(first)["benign"] == [[0, 0.9], [2, 0.8]]
    np.testing.assert_allclose(dots(second)["benign"], [[0, 0.95], [2, 0.85]])
    assert first.get_ylim() == second.get_ylim()


def test_axes_are_named_at_the_left_and_at_the_lowest_panel_of_each_column():
    cells = [("6to0", 0.05), ("6to0", 0.4), ("1to3", 0.05)]
    drawn = quality.quality(scenarios(*cells), ORDER, "title", ylabel="trust")
    shown = [(ax.get_xlabel(), ax.get_ylabel()) for ax in panels(drawn)]
    assert shown == [("", "trust"), ("client", ""), ("client", "trust")]
    numbers = [ax.xaxis.get_tick_params()["labelbottom"] for ax in panels(drawn)]
    assert numbers == [False, True, True]


def test_one_legend_names_what_is_drawn():
    [legend] = quality.quality(scenarios(("6to0", 0.4)), ORDER, "mcdfl, seed 1").legends
    names = [text.get_text() for text in legend.get_texts()]
    assert names == ["benign", "malicious", "flagged", "not scored"]
    assert legend.get_title().get_text() == "mcdfl, seed 1"


def test_clients_are_left_as_they_are():
    clients = scenarios(("6to0", 0.4))
    quality.quality(clients, ORDER, "title")
    assert_frame_equal(clients, scenarios(("6to0", 0.4)))


def test_separation_is_the_one_found_by_hand():
    points = np.array([[0.0, 0], [0, 2], [6, 0], [6, 2], [0, 1], [0, 1]])
    malicious = np.array([False, False, True, True, True, False])
    # the line between the means, (0, 1) and (4, 1), is crossed by the malicious one at (0, 1)
    found = separation(points, malicious)
    assert (found.accuracy, found.majority) == (pytest.approx(5 / 6), 0.5)
    # mean distances to the own and to the other group
    root = 37**0.5, 40**0.5
    near, far = 3 / 2, (6 + root[1] + 1) / 3
    corners = 1 - near / far
    right = (6 + root[1] + root[0]) / 3
    outer = 1 - ((2 + root[0]) / 2) / right
    inner, middle = 2 / 3 / root[0] - 1, 1 - 1 / ((2 * root[0]) / 3)
    wanted = (2 * corners + 2 * outer + inner + middle) / 6
    assert found.silhouette == pytest.approx(wanted)


def test_a_lone_malicious_update_is_told_apart_where_it_lies_far_away():
    given = two_groups(1)
    assert separation(given.points, given.malicious).accuracy == 1


@pytest.mark.parametrize(("n_bad", "n", "majority"), [(0, 5, 1), (5, 5, 1), (1, 2, 0.5)])
def test_one_kind_of_updates_or_two_updates_cannot_be_separated(n_bad, n, majority):
    given = two_groups(n_bad, n)
    assert separation(given.points, given.malicious) == Separation(None, None, majority)


def test_no_update_has_no_separation():
    nothing = separation(np.zeros((0, 2)), np.zeros(0, bool))
    assert nothing == Separation(None, None, None)


def test_updates_are_colored_by_the_truth_and_their_separation_is_written_above():
    ax = new_axes()
    quality.draw_updates(ax, two_groups(2, 4), Separation(-0.25, 0.875, 0.6))
    assert dots(ax) == {"benign": [[2, 0], [0, 1]], "malicious": [[5, 0], [6, 1]]}
    assert ax.get_title().splitlines() == [
        "2 of 4",
        "LDA 87.5 %, majority 60.0 %",
        "silhouette \N{MINUS SIGN}0.25",
    ]


def test_where_there_is_nothing_to_separate_the_panel_says_so():
    [ax] = panels(quality.updates([two_groups(0)], "title"))
    assert "nothing to tell apart" in ax.get_title()


def test_panels_of_updates_measure_what_they_draw_and_wrap_at_five():
    given = [two_groups(n) for n in (1, 2, 3, 4, 4, 4)]
    shown = panels(quality.updates(given, "title"))
    assert [ax.get_title().split("\n")[0] for ax in shown] == [run.title for run in given]
    assert "LDA 100.0 %, majority 70.0 %" in shown[2].get_title()
    assert [ax.get_subplotspec().rowspan.start for ax in shown] == [0, 0, 0, 0, 0, 1]
    assert [bool(ax.get_xlabel()) for ax in shown] == [False, True, True, True, True, True]
    assert [bool(ax.get_ylabel()) for ax in shown] == [True, False, False, False, False, True]
