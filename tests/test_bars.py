import itertools
import math

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.figure import Figure
from pandas.testing import assert_frame_equal

from fedsieve import bars, look

ORDER = ["none", "krum", "fdsd", "flip", "patch"]


def runs_of(*rows, partitions=("iid-10",), task="mnist"):
    """Runs from (attack, ratio, defense, metric, values), a value per seed."""
    labels = ["attack", "ratio", "defense", "metric", "value"]
    frame = pd.DataFrame(rows, columns=labels).assign(task=task)
    frame = pd.concat([frame.assign(partition=name) for name in partitions], ignore_index=True)
    seeds = [list(range(len(values))) for values in frame["value"]]
    frame = frame.assign(seed=seeds).explode(["value", "seed"], ignore_index=True)
    return frame.astype({"value": float, "seed": int})


REMOVED = runs_of(
    ("flip", 0.25, "fdsd", "sanitization.recall", [0.9, 0.92]),
    ("flip", 0.25, "fdsd", "sanitization.clean_lost", [0.3, 0.3]),
    ("patch", 0.25, "fdsd", "sanitization.clean_lost", [0.2, 0.2]),
    ("patch", 0.25, "krum", "sanitization.recall", [0.5, 0.5]),
    ("flip", 0.25, "none", "sanitization.recall", [math.nan, math.nan]),
)


def end_of(attack, ratio, **metrics):
    """Rows of the defenses fdsd and none, whose values differ by a tenth."""
    metrics = {"accuracy": 0.8, "accuracy_unattacked": 0.98, **metrics}
    return [
        (attack, ratio, defense, metric, [value + plus * (metric in ("accuracy", "asr"))] * 2)
        for defense, plus in (("fdsd", 0.1), ("none", 0))
        for metric, value in metrics.items()
    ]


ATTACKED = {"asr": 0.5, "asr_floor": 0.02}
FLIPS = [*end_of("flip", 0.5, **ATTACKED), *end_of("flip", 0.25, **ATTACKED)]


def shown(figure):
    return [ax for ax in figure.axes if ax.get_visible()]


def ticks(ax):
    return [text.get_text() for text in ax.get_xticklabels()]


def legend_labels(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def heights(ax):
    """Of the bars of each defense, by its name."""
    found = [c for c in ax.containers if isinstance(c, BarContainer)]
    return {bar.get_label(): [part.get_height() for part in bar] for bar in found}


def whiskers(ax):
    """Ends of every whisker."""
    found = [c for c in ax.containers if isinstance(c, ErrorbarContainer)]
    parts = [segment for bar in found for segment in bar[2][0].get_segments()]
    return [part[:, 1].tolist() for part in parts if len(part)]


def dots(ax):
    """Places and heights of the runs that are drawn."""
    found = [c.get_offsets() for c in ax.collections if isinstance(c, PathCollection)]
    return np.concatenate([np.zeros((0, 2)), *found])


def test_bars_are_means_and_few_runs_are_dots_without_whiskers():
    recall, lost = bars.sanitization_bars(REMOVED, ORDER).axes
    assert heights(recall) == {"krum": [0.5], "fdsd": [pytest.approx(0.91)]}
    assert heights(lost)["fdsd"] == [0.3, 0.2]
    assert sorted(dots(recall)[:, 1]) == [0.5, 0.5, 0.9, 0.92]
    assert whiskers(recall) == whiskers(lost) == []


def test_from_eight_seeds_on_bars_and_points_have_whiskers_and_no_dots():
    # six times .8, twice .9: the interval computed by hand in test_statistics.py
    values = [0.8] * 6 + [0.9] * 2
    rows = [("flip", 0.25, "krum", metric, values) for metric in ("accuracy", "asr")]
    for ax in shown(bars.success_bars(runs_of(*rows), ORDER)):
        assert whiskers(ax) == [pytest.approx([0.7828825, 0.8604042])]
        assert not len(dots(ax))


def test_runs_that_lie_far_apart_are_dots_however_many():
    rows = [
        ("flip", 0.25, "krum", "accuracy", [0.1] * 8),
        ("flip", 0.25, "krum", "asr", [0, 1] * 4),
    ]
    drawn = bars.success_bars(runs_of(*rows), ORDER)
    assert drawn.legends[0].get_title().get_text().endswith("dots: runs more than 20 points apart")
    accuracy, asr = shown(drawn)
    assert not len(dots(accuracy))
    assert sorted(dots(asr)[:, 1]) == [0] * 4 + [1] * 4


def test_one_run_is_a_bar_alone():
    [_, asr] = shown(bars.success_bars(runs_of(*(r[:4] + (r[4][:1],) for r in FLIPS)), ORDER))
    assert not len(dots(asr))
    assert whiskers(asr) == []


def test_equal_runs_lie_beside_each_other_on_their_own_bar():
    style = look.styles(["krum", "fdsd"])
    ax = Figure().subplots()
    rows = [("flip", 0.25, name, "asr", [0.5] * 7) for name in style]
    bars.draw_bars(ax, runs_of(*rows), [(0.25,)], ["ratio"], style)
    places = sorted(dots(ax)[:, 0])
    spans = sorted((bar.get_x(), bar.get_x() + bar.get_width()) for bar in ax.patches)
    assert len(set(places)) == 14
    for (start, end), own in zip(spans, (places[:7], places[7:]), strict=True):
        assert start < min(own) < max(own) < end


def test_bars_leave_out_defenses_that_do_not_sanitize():
    drawn = bars.sanitization_bars(REMOVED, ORDER)
    assert legend_labels(drawn) == ["krum", "fdsd"]
    assert ticks(drawn.axes[1]) == ["flip\n25 %", "patch\n25 %"]


def test_bars_without_sanitizers_say_so():
    drawn = bars.sanitization_bars(REMOVED[REMOVED["defense"] == "none"], ORDER)
    assert drawn.texts[0].get_text() == "no defense here removes samples"


def test_success_has_a_line_per_attack_and_a_group_per_ratio():
    rows = [*end_of("patch", 0.25, **ATTACKED), *FLIPS]
    drawn = bars.success_bars(runs_of(*rows), ORDER)
    assert [ax.get_title() for ax in shown(drawn)] == ["flip", "flip", "patch", "patch"]
    assert [ticks(ax) for ax in shown(drawn)[1:3]] == [["25 %", "50 %"], ["25 %"]]
    assert shown(drawn)[0].get_ylabel() == "test accuracy (%)"
    assert legend_labels(drawn) == ["none", "fdsd", "no attack, no defense"]


def test_success_has_a_group_per_partition_where_there_are_several():
    several = runs_of(*end_of("flip", 0.5, **ATTACKED), partitions=("iid-10", "dir-0.1"))
    axes = shown(bars.success_bars(several, ORDER))
    assert ticks(axes[0]) == ["iid-10", "dir-0.1"]
    assert (axes[0].get_title(), axes[0].get_xlabel()) == ("flip, 50 % malicious", "partition")


def test_groups_of_partitions_and_ratios_name_both():
    several = runs_of(*FLIPS, partitions=("iid-10", "dir-0.1"))
    wanted = ["iid-10\n25 %", "iid-10\n50 %", "dir-0.1\n25 %", "dir-0.1\n50 %"]
    assert ticks(shown(bars.success_bars(several, ORDER))[0]) == wanted


def test_success_shows_accuracy_as_points_and_attack_success_as_bars():
    accuracy, asr = shown(bars.success_bars(runs_of(*FLIPS), ORDER))
    points = {line.get_label(): list(line.get_ydata()) for line in accuracy.lines}
    assert points["fdsd"] == pytest.approx([0.9, 0.9])
    assert heights(asr)["fdsd"] == pytest.approx([0.6, 0.6])
    assert accuracy.get_ylim()[0] > 0.7  # not from 0: accuracies differ little


def test_success_lines_are_at_the_model_without_attack_and_defense():
    axes = shown(bars.success_bars(runs_of(*FLIPS), ORDER))
    for ax, level in zip(axes, (0.98, 0.02), strict=True):
        [lines] = [c for c in ax.collections if c.get_label() == "no attack, no defense"]
        assert [segment[:, 1].tolist() for segment in lines.get_segments()] == [[level] * 2] * 2
        assert ax.get_ylim()[0] < level


def test_bars_of_a_group_do_not_overlap_and_stay_in_it():
    order = [f"d{i}" for i in range(14)]
    rows = [("flip", r, d, "asr", [0.5, 0.6]) for r in (0.25, 0.5) for d in order]
    ax = Figure().subplots()
    bars.draw_bars(ax, runs_of(*rows), [(0.25,), (0.5,)], ["ratio"], look.styles(order))
    spans = sorted((bar.get_x(), bar.get_x() + bar.get_width()) for bar in ax.patches)
    assert all(end < start for (_, end), (start, _) in itertools.pairwise(spans))
    assert [round(start) for start, _ in spans] == [round(end) for _, end in spans]
    assert [round(start) for start, _ in spans] == [0] * 14 + [1] * 14


def test_without_an_attack_accuracy_alone_is_shown():
    unattacked = runs_of(*end_of("unattacked", 0.0))
    [ax] = shown(bars.success_bars(unattacked, ORDER))
    assert (ax.get_title(), ticks(ax)) == ("unattacked", ["0 %"])
    both = bars.success_bars(runs_of(*end_of("unattacked", 0.0), *FLIPS), ORDER)
    assert [ax.get_title() for ax in shown(both)] == ["unattacked", "flip", "flip"]


def test_panels_of_a_measure_share_their_scale():
    drawn = bars.success_bars(runs_of(*FLIPS, *end_of("patch", 0.5, accuracy=0.1)), ORDER)
    limits = {ax.get_ylim() for ax in shown(drawn) if ax.get_ylabel() == "test accuracy (%)"}
    assert len(limits) == 1


def test_titles_name_the_task_where_there_are_several():
    two = pd.concat([runs_of(*FLIPS), runs_of(*FLIPS, task="digits")])
    titles = [ax.get_title() for ax in shown(bars.success_bars(two, ORDER))]
    assert titles[::2] == ["mnist, flip", "digits, flip"]


def test_inputs_are_left_as_they_are():
    runs = runs_of(*FLIPS)
    bars.success_bars(runs, ORDER)
    bars.sanitization_bars(runs, ORDER)
    assert_frame_equal(runs, runs_of(*FLIPS))
