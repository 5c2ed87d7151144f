"""What a configuration plans that leaves its labels to config/common.yaml."""


def test_grids_alone_are_planned_by_common_labels_and_nothing_is_put_below_them(fresh):
    grid = {
        "task": ["mnist"],
        "partition": ["iid-10"],
        "attack": ["flip-3to2"],
        "ratio": [0.25],
        "defense": ["none", "median", "fdsd"],
        "seed": [1],
    }
    path = fresh.configure({"common": True, "grids": {"mine": grid}}, "config/mine.yaml")
    planned = fresh.planned(config=path)
    # three defenses, and the run without attack that floors need
    assert (planned["train"], planned["table"]) == (4, 1)
