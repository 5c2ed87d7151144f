import itertools
import math

import pandas as pd
import pytest
from matplotlib.figure import Figure
from pandas.testing import assert_frame_equal

from fedsieve import bars, look
from fedsieve.statistics import summarize

ORDER = ["none", "krum", "fdsd", "flip", "patch"]


def summary_of(*rows, partitions=("iid-10",), task="mnist"):
    """Summary over two seeds from (attack, ratio, defense, metric, the two values)."""
    labels = ["attack", "ratio", "defense", "metric", "value"]
    frame = pd.DataFrame(rows, columns=labels).assign(task=task)
    frame = pd.concat([frame.assign(partition=name) for name in partitions], ignore_index=True)
    frame = frame.assign(seed=[[1, 2]] * len(frame)).explode(["value", "seed"])
    return summarize(frame.astype({"value": float, "seed": int}))


REMOVED = summary_of(
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


def test_bars_are_means_with_whiskers_of_the_interval():
    # .90, .92: mean .91, sd .0141421, half-width 12.706205 * .0141421 / sqrt(2) = .1270620
    recall, lost = bars.sanitization_bars(REMOVED, ORDER).axes
    (krum, fdsd) = recall.containers[1::2]
    assert [bar.get_height() for bar in fdsd] == pytest.approx([0.91])
    (whisker,) = fdsd.errorbar[2][0].get_segments()
    assert whisker[:, 1] == pytest.approx([0.91 - 0.127062, 0.91 + 0.127062])
    assert [bar.get_height() for bar in krum] == [0.5]
    assert [bar.get_height() for bar in lost.containers[-1]] == [0.3, 0.2]


def test_bars_leave_out_defenses_that_do_not_sanitize():
    drawn = bars.sanitization_bars(REMOVED, ORDER)
    assert legend_labels(drawn) == ["krum", "fdsd"]
    assert ticks(drawn.axes[1]) == ["flip\n25 %", "patch\n25 %"]


def test_bars_without_sanitizers_say_so():
    drawn = bars.sanitization_bars(REMOVED[REMOVED["defense"] == "none"], ORDER)
    assert drawn.texts[0].get_text() == "no defense here removes samples"


def test_success_has_a_line_per_attack_and_a_group_per_ratio():
    rows = [*end_of("patch", 0.25, **ATTACKED), *FLIPS]
    drawn = bars.success_bars(summary_of(*rows), ORDER)
    assert [ax.get_title() for ax in shown(drawn)] == ["flip", "flip", "patch", "patch"]
    assert [ticks(ax) for ax in shown(drawn)[1:3]] == [["25 %", "50 %"], ["25 %"]]
    assert shown(drawn)[0].get_ylabel() == "test accuracy (%)"
    assert legend_labels(drawn) == ["none", "fdsd", "no attack, no defense"]


def test_success_has_a_group_per_partition_where_there_are_several():
    several = summary_of(*end_of("flip", 0.5, **ATTACKED), partitions=("iid-10", "dir-0.1"))
    axes = shown(bars.success_bars(several, ORDER))
    assert ticks(axes[0]) == ["iid-10", "dir-0.1"]
    assert (axes[0].get_title(), axes[0].get_xlabel()) == ("flip, 50 % malicious", "partition")


def test_groups_of_partitions_and_ratios_name_both():
    several = summary_of(*FLIPS, partitions=("iid-10", "dir-0.1"))
    wanted = ["iid-10\n25 %", "iid-10\n50 %", "dir-0.1\n25 %", "dir-0.1\n50 %"]
    assert ticks(shown(bars.success_bars(several, ORDER))[0]) == wanted


def test_success_shows_accuracy_as_points_and_attack_success_as_bars():
    accuracy, asr = shown(bars.success_bars(summary_of(*FLIPS), ORDER))
    points = {line.get_label(): list(line.get_ydata()) for line in accuracy.lines}
    assert points["fdsd"] == pytest.approx([0.9, 0.9])
    assert [bar.get_height() for bar in asr.containers[-1]] == pytest.approx([0.6, 0.6])
    assert accuracy.get_ylim()[0] > 0.7  # not from 0: accuracies differ little


def test_success_lines_are_at_the_model_without_attack_and_defense():
    axes = shown(bars.success_bars(summary_of(*FLIPS), ORDER))
    for ax, level in zip(axes, (0.98, 0.02), strict=True):
        [lines] = [c for c in ax.collections if c.get_label() == "no attack, no defense"]
        assert [segment[:, 1].tolist() for segment in lines.get_segments()] == [[level] * 2] * 2
        assert ax.get_ylim()[0] < level


def test_bars_of_a_group_do_not_overlap_and_stay_in_it():
    order = [f"d{i}" for i in range(14)]
    rows = [("flip", r, d, "asr", [0.5, 0.6]) for r in (0.25, 0.5) for d in order]
    ax = Figure().subplots()
    bars.draw_bars(ax, summary_of(*rows), [(0.25,), (0.5,)], ["ratio"], look.styles(order))
    spans = sorted((bar.get_x(), bar.get_x() + bar.get_width()) for bar in ax.patches)
    assert all(end < start for (_, end), (start, _) in itertools.pairwise(spans))
    assert [round(start) for start, _ in spans] == [round(end) for _, end in spans]
    assert [round(start) for start, _ in spans] == [0] * 14 + [1] * 14


def test_without_an_attack_accuracy_alone_is_shown():
    unattacked = summary_of(*end_of("unattacked", 0.0))
    [ax] = shown(bars.success_bars(unattacked, ORDER))
    assert (ax.get_title(), ticks(ax)) == ("unattacked", ["0 %"])
    both = bars.success_bars(summary_of(*end_of("unattacked", 0.0), *FLIPS), ORDER)
    assert [ax.get_title() for ax in shown(both)] == ["unattacked", "flip", "flip"]


def test_panels_of_a_measure_share_their_scale():
    drawn = bars.success_bars(summary_of(*FLIPS, *end_of("patch", 0.5, accuracy=0.1)), ORDER)
    limits = {ax.get_ylim() for ax in shown(drawn) if ax.get_ylabel() == "test accuracy (%)"}
    assert len(limits) == 1


def test_titles_name_the_task_where_there_are_several():
    two = pd.concat([summary_of(*FLIPS), summary_of(*FLIPS, task="digits")])
    titles = [ax.get_title() for ax in shown(bars.success_bars(two, ORDER))]
    assert titles[::2] == ["mnist, flip", "digits, flip"]


def test_inputs_are_left_as_they_are():
    summary = summary_of(*FLIPS)
    bars.success_bars(summary, ORDER)
    bars.sanitization_bars(summary, ORDER)
    assert_frame_equal(summary, summary_of(*FLIPS))
