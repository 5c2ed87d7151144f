from hypothesis import given
from hypothesis import strategies as st

from fedsieve.grids import scenarios, screenings
from fedsieve.ratios import n_malicious

GRID = {
    "task": ["mnist"],
    "partition": ["iid"],
    "attack": ["flip"],
    "ratio": [0.25, 0.5],
    "defense": ["none", "fdsd"],
    "seed": [2, 1],
}


def test_scenarios_are_the_product_in_the_order_of_the_lists():
    found = [(s["ratio"], s["defense"], s["seed"]) for s in scenarios(GRID)]
    first = [("0.25", "none", 2), ("0.25", "none", 1), ("0.25", "fdsd", 2), ("0.25", "fdsd", 1)]
    assert found == first + [("0.5", defense, seed) for _, defense, seed in first]


def test_what_is_not_finished_is_left_out():
    left_out = [["mnist", "iid", "flip", "0.5", "fdsd", 1]]
    screen = {"models": ["fdsd"], "detections": ["d"], "after_rounds": [3]}
    whole = GRID | {"screen": screen}
    rest = whole | {"unfinished": left_out}
    assert [s for s in scenarios(whole) if s not in scenarios(rest)] == [
        dict(zip(GRID, left_out[0], strict=True))
    ]
    assert screenings(rest) == screenings(whole)  # a saved model may be there without its scores
    waiting = list(screenings(whole)[1].values())
    rest["screen"] = screen | {"unfinished": [waiting]}
    assert screenings(rest) == [screenings(whole)[0], *screenings(whole)[2:]]


def test_unattacked_runs_once_and_as_ratio_zero():
    found = scenarios(GRID | {"attack": ["flip", "unattacked"], "seed": [1], "defense": ["none"]})
    ratios = [(s["attack"], s["ratio"]) for s in found]
    assert ratios == [("flip", "0.25"), ("flip", "0.5"), ("unattacked", "0")]


def test_a_scenario_of_two_grids_is_listed_once_where_it_comes_first():
    low, high = GRID | {"ratio": [0.25]}, GRID | {"ratio": [0.5, 0.25]}
    assert scenarios(low, high) == scenarios(GRID)


def test_ratio_is_text_as_in_paths():
    found = scenarios(GRID | {"ratio": [0, 0.0, 0.5, 0.50, 0.125], "defense": ["none"]})
    assert [s["ratio"] for s in found if s["seed"] == 1] == ["0", "0.5", "0.125"]


def test_number_of_malicious_clients_rounds_halves_up():
    # FDSD's ten clients at 12.5, 25, 50 and 75 per cent: 1.25, 2.5, 5 and 7.5
    assert [n_malicious(ratio, 10) for ratio in (0, 0.125, 0.25, 0.5, 0.75)] == [0, 1, 3, 5, 8]


@given(st.integers(0, 999), st.integers(2, 500), st.data())
def test_a_stratified_cohort_always_finds_the_clients_it_needs(per_mille, n_clients, data):
    cohort, ratio = data.draw(st.integers(1, n_clients)), per_mille / 1000
    left_out = n_malicious(ratio, n_clients) - n_malicious(ratio, cohort)
    assert 0 <= left_out <= n_clients - cohort


def test_screenings_are_each_poisoned_data_set_by_each_model_detector_and_round():
    screen = {"models": ["none", "clean-model"], "detections": ["a"], "after_rounds": [5, 9]}
    found = screenings(GRID | {"ratio": [0.25], "screen": screen})
    assert len(found) == 2 * 2 * 2  # seeds, models and rounds; not once more for each defense
    assert found[1] == {
        "task": "mnist",
        "partition": "iid",
        "attack": "flip",
        "ratio": "0.25",
        "seed": 2,
        "trained": "none",
        "detection": "a",
        "after_round": 9,
    }
    assert screenings(GRID) == []
