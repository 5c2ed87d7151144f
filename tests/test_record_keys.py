from fedsieve.record_keys import (
    find_all,
    own_name,
    put_in_layer,
    put_in_round,
    put_under,
    split_layers,
    split_rounds,
    take_under,
)


def test_a_name_goes_from_the_round_to_the_part_to_the_layer():
    recorded = put_in_round(3, put_under("server", put_in_layer("raw", {"excess": 1})))
    assert recorded == {"round3.server.raw:excess": 1}


def test_what_was_written_is_read_again():
    arrays = {"conv1.weight": 1, "raw:excess": 2, "bytes": 3}
    assert take_under("model", put_under("model", arrays)) == arrays
    assert split_rounds(put_in_round(12, arrays)) == {12: arrays}
    layered = put_in_layer("raw", {"kept": 1}) | put_in_layer("conv2", {"kept": 2, "whole": 3})
    assert split_layers(layered) == {"raw": {"kept": 1}, "conv2": {"kept": 2, "whole": 3}}


def test_a_part_is_not_one_whose_name_begins_alike():
    arrays = {"found.soft": 1, "founder.soft": 2, "found": 3, "round1.found.soft": 4}
    assert take_under("found", arrays) == {"soft": 1}


def test_rounds_ascend_by_number_and_what_is_of_none_is_left_out():
    recorded = {"round11.a": 1, "keep": 2, "round3.a": 3, "rounds.a": 4, "round11.b.c": 5}
    assert [*split_rounds(recorded).items()] == [(3, {"a": 3}), (11, {"a": 1, "b.c": 5})]


def test_names_without_a_layer_stand_together():
    assert split_layers({"excess": 1, "raw:excess": 2}) == {"": {"excess": 1}, "raw": {"excess": 2}}


def test_an_own_name_is_whole_and_comes_last():
    names = [
        "excess",
        "round3.excess",
        "round3.server.raw:excess",
        "server.excess.raw",
        "my_excess",
    ]
    assert [own_name(name) == "excess" for name in names] == [True, True, True, False, False]
    assert find_all("excess", {name: name for name in names}) == names[:3]
