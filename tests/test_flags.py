import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import same_color

from fedsieve import heatmaps
from fedsieve.artifacts import write_arrays, write_poisoning
from fedsieve.errors import InputError
from fedsieve.heatmaps import Judged
from fedsieve.records import Poisoning
from fedsieve.stages.flags import excess

RED = heatmaps._TRUE
GRID = {
    "task": ["mnist"],
    "partition": ["iid-3"],
    "attack": ["flip"],
    "ratio": [0.25, 0.5, 0.75],
    "defense": ["sieve"],
    "seed": [1, 2],
}


def rates(*flagged, n_clients=3, n_classes=4):
    """Excess rates from (client, looks like, label, rate)."""
    excess = np.zeros((n_clients, n_classes, n_classes))
    for client, a, y, rate in flagged:
        excess[client, a, y] = rate
    return excess


def judged(title="flip", malicious=(1,), **judgements):
    return Judged(title, judgements, frozenset(malicious), frozenset({(3, 2)}))


RUN = judged(
    first=rates((1, 3, 2, 0.5)), last=rates((1, 3, 2, 0.9), (1, 0, 2, 0.1), (2, 3, 1, 0.2))
)


def panels(figure):
    return [ax for ax in figure.axes[:-1] if ax.get_visible()]  # the last one is the color bar


def names(ticks):
    return [text.get_text() for text in ticks]


def test_cells_are_those_ever_flagged_by_label():
    assert RUN.cells == [(3, 1), (0, 2), (3, 2)]


def test_rates_stand_at_their_client_and_cell_and_others_are_blank():
    first, last = panels(heatmaps.flags([RUN], "title"))
    nan = np.nan
    shown = first.images[0].get_array().filled(nan)
    np.testing.assert_array_equal(shown, [[nan] * 3, [nan, nan, 0.5], [nan] * 3])
    shown = last.images[0].get_array().filled(nan)
    np.testing.assert_array_equal(shown, [[nan] * 3, [nan, 0.1, 0.9], [0.2, nan, nan]])
    assert names(last.get_xticklabels()) == ["3>1", "0>2", "3>2"]


def test_malicious_clients_and_attacked_cells_are_red():
    ax = panels(heatmaps.flags([RUN], "title"))[0]
    red = [same_color(text.get_color(), RED) for text in ax.get_xticklabels()]
    assert red == [False, False, True]
    red = [same_color(text.get_color(), RED) for text in ax.get_yticklabels()]
    assert red == [False, True, False]


def test_a_line_of_panels_per_run_and_a_panel_per_judgement():
    patch = judged("patch", first=rates((0, 1, 0, 1.0)))
    shown = panels(heatmaps.flags([RUN, patch], "title"))
    assert [ax.get_title() for ax in shown] == ["first", "last", ""]
    assert [ax.get_ylabel() for ax in shown] == ["flip\nclient", "", "patch\nclient"]


def test_a_run_without_flags_says_so():
    [ax] = panels(heatmaps.flags([judged("unattacked", (), only=rates())], "title"))
    assert names(ax.texts) == ["nothing flagged"]
    assert len(ax.get_yticks()) == 3


def test_many_clients_have_no_names_but_malicious_ones_red_ticks():
    [ax] = panels(heatmaps.flags([judged(only=rates((1, 3, 2, 0.5), n_clients=100))], ""))
    assert set(names(ax.get_yticklabels())) == {""}
    ticks = [tick.tick1line.get_markeredgecolor() for tick in ax.yaxis.get_major_ticks()]
    assert [i for i, color in enumerate(ticks) if same_color(color, RED)] == [1]


def poisoning(before, after, malicious):
    samples = np.arange(len(before))
    return Poisoning(
        malicious=np.array(malicious, dtype=np.int64),
        samples=samples,
        kind=np.full(len(before), "flip"),
        labels_before=np.array(before, dtype=np.int64),
        labels_after=np.array(after, dtype=np.int64),
        images=np.zeros((len(before), 1, 2, 2), np.uint8),
    )


def test_judgements_come_in_the_order_of_their_rounds_not_of_their_names(tmp_path):
    names_of_arrays = [f"round{number}.server.excess" for number in (1, 11, 3)]
    write_arrays(tmp_path / "kept.npz", dict.fromkeys(names_of_arrays, rates()))
    assert [number for number, _ in excess(tmp_path / "kept.npz")] == [1, 3, 11]


@pytest.fixture
def written(tmp_path):
    """Folder of scenarios: client 1 flips 3 to 2 and is flagged; so is client 2, wrongly, once."""
    for ratio in GRID["ratio"]:
        for seed in GRID["seed"]:
            at = tmp_path / f"{ratio}-{seed}"
            write_poisoning(at / "poisoning.npz", poisoning([3, 3], [2, 2], [1]))
            excess = rates((1, 3, 2, 0.5), (2, 0, 1, 0.1)) if seed == 1 else rates()
            arrays = {
                "keep": np.ones(4, bool),
                "round3.server.raw:excess": rates((1, 3, 2, 0.7)),
                "round3.server.conv2:excess": excess,
                "round3.server.conv2:alike": np.ones((3, 4, 4), np.int64),
                "round11.server.output:excess": rates(),
            }
            write_arrays(at / "kept.npz", arrays)
    return tmp_path


def arguments(at, **changed):
    given = {
        "grid": GRID,
        "kept": f"{at}/{{ratio}}-{{seed}}/kept.npz",
        "poisonings": f"{at}/{{ratio}}-{{seed}}/poisoning.npz",
        "sanitizer": "sieve",
        "table": at / "flags.csv",
        "figures": [at / "flags.png", at / "flags.pdf"],
    }
    return given | changed


def test_the_table_lists_every_flag_of_every_scenario_with_the_truth(stage, written):
    stage("flags")(**arguments(written))
    table = pd.read_csv(written / "flags.csv")
    # 3 ratios x (2 seeds of raw's flag and, of the first, two of conv2)
    assert len(table) == 3 * (2 + 2)
    wrong = table[table["client"] == 2]
    assert wrong["looks_like"].tolist() == [0, 0, 0]
    assert not wrong[["malicious", "attacked"]].any(axis=None)
    assert table[table["client"] == 1][["malicious", "attacked"]].all(axis=None)
    one = table[(table["ratio"] == 0.5) & (table["seed"] == 1)]
    found = one[["round", "layer", "client", "looks_like", "label", "excess"]].to_numpy().tolist()
    assert found == [
        [3, "raw", 1, 3, 2, 0.7],
        [3, "conv2", 1, 3, 2, 0.5],
        [3, "conv2", 2, 0, 1, 0.1],
    ]


def test_one_run_of_each_attack_is_drawn_by_the_largest_excess(stage, written, monkeypatch):
    seen = []
    monkeypatch.setattr(heatmaps, "flags", lambda runs, _: seen.extend(runs) or heatmaps.Figure())
    stage("flags")(**arguments(written))
    [run] = seen
    assert run.title == "flip, 50 %"
    assert list(run.excess) == ["before round 3\nraw, conv2", "before round 11\noutput"]
    drawn = run.excess["before round 3\nraw, conv2"]
    np.testing.assert_array_equal(drawn, rates((1, 3, 2, 0.7), (2, 0, 1, 0.1)))
    assert (run.malicious, run.attacked) == ({1}, {(3, 2)})


def test_the_figure_is_written(stage, written):
    stage("flags")(**arguments(written))
    assert (written / "flags.pdf").read_bytes().startswith(b"%PDF-")
    assert (written / "flags.png").stat().st_size > 1000


def test_where_nothing_is_flagged_the_table_has_its_columns(stage, written):
    peace = GRID | {"attack": ["unattacked"], "seed": [3]}
    write_poisoning(written / "0-3/poisoning.npz", poisoning([], [], []))
    write_arrays(written / "0-3/kept.npz", {"round1.server.excess": rates()})
    stage("flags")(**arguments(written, grid=peace))
    table = pd.read_csv(written / "flags.csv")
    assert (len(table), list(table)[-2:]) == (0, ["malicious", "attacked"])


def test_a_sanitizer_that_records_no_excess_is_refused(stage, written):
    write_arrays(written / "0.25-1/kept.npz", {"round1.server.centers": rates()})
    with pytest.raises(InputError, match=r"0.25-1/kept.npz: the sanitizer recorded no excess"):
        stage("flags")(**arguments(written))
