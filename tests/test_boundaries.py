import json

import pandas as pd
import pytest
from PIL import Image

from fedsieve.boundaries import CLEAN, boundary_map

SHARES = {"flip-50": 0.5, "flip": 1.0}


def values(*rows):
    """Tidy values of (attack, ratio, defense, seed, asr)."""
    place = {"task": "t", "partition": "p"}
    return pd.DataFrame(
        [
            place
            | {"attack": attack, "ratio": ratio, "defense": defense, "seed": seed}
            | {"metric": metric, "value": value}
            for attack, ratio, defense, seed, asr in rows
            for metric, value in (("asr", asr), ("asr_floor", 0.01))
        ]
    )


GRID = values(
    ("flip-50", 0.25, "none", 1, 0.1),
    ("flip-50", 0.25, "fdsd", 1, 0.0),
    ("flip", 0.75, "none", 1, 0.9),
    ("flip", 0.75, "fdsd", 1, 0.2),
    ("flip", 0.75, "fdsd", 2, 0.8),
    ("other", 0.75, "fdsd", 2, 0.5),
)


def drawn(ax):
    """Place and color of each point of a panel."""
    points = ax.collections[0]
    return [
        (*xy, color) for xy, color in zip(points.get_offsets(), points.get_array(), strict=True)
    ]


def test_each_run_of_a_defense_is_a_point_and_the_clean_model_comes_last():
    none, fdsd, clean = boundary_map(GRID, SHARES, ["none", "fdsd"], 8).axes[:3]
    assert [ax.get_title() for ax in (none, fdsd, clean)] == ["none", "fdsd", CLEAN]
    assert sorted(color for *_, color in drawn(fdsd)) == pytest.approx([0, 20, 80])
    assert {y for _, y, _ in drawn(fdsd)} == {0.5, 1.0}
    assert all(color == pytest.approx(1) for *_, color in drawn(clean))


def test_the_line_stands_where_half_of_the_class_is_flipped():
    ax = boundary_map(GRID, SHARES, ["none"], 8).axes[0]
    # 25 % of the clients never reach half; at 75 % it takes two thirds of the class
    (line,) = ax.collections[1:]
    (segment,) = line.get_segments()
    assert segment[:, 1].tolist() == pytest.approx([2 / 3, 2 / 3])
    assert segment[:, 0].mean() == pytest.approx(1)  # the second column


def test_the_stage_writes_the_figure(stage, tmp_path):
    GRID.to_csv(tmp_path / "values.csv", index=False)
    made = [tmp_path / "map.png", tmp_path / "map.pdf"]
    told = {"shares": json.loads(json.dumps(SHARES)), "order": ["none", "fdsd"], "n_clients": 8}
    stage("boundary")(values=tmp_path / "values.csv", **told, figures=made)
    with Image.open(made[0]) as picture:
        assert picture.width > 900
    assert made[1].read_bytes().startswith(b"%PDF-")
