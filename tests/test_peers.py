"""The comparison with other frameworks, without them."""

import sys
from dataclasses import replace

import pytest
from benchmarks import peer_runs, peers
from benchmarks.peer_runs import Program, Run, RunError, run, told
from benchmarks.peer_work import Work, client_data

DONE = Run([9.0, 2.0, 4.0, 3.0], [50] * 4, wall=20.0, memory=500.0, versions={})
PEERS = {peers.OURS: peers.OURS, "pfl": "pfl", "Flower, a client per core": "Flower"}


def line(number, seconds, images):
    return f'{{"round": {number}, "seconds": {seconds}, "images": {images}}}\n'


@pytest.fixture
def program(tmp_path):
    """A function that makes a program of code, which is told the work as any other."""

    def make(code):
        (tmp_path / "own_program.py").write_text(code, encoding="utf-8")
        found = {"PYTHONPATH": str(tmp_path)}
        return Program("own", "own", sys.executable, "own_program", variables=lambda _: found)

    return make


def test_a_steady_round_is_the_median_of_all_but_the_first():
    assert DONE.steady == 3.0


def test_a_round_lasts_as_long_as_its_slowest_process_and_has_the_images_of_all():
    first = '{"versions": {"torch": "2"}}\n' + line(1, 1.5, 30) + "Metrics:\n" + line(2, 1.0, 30)
    found = told([first, line(1, 2.5, 20) + line(2, 0.5, 20)], 2)
    assert found == ({"torch": "2"}, [2.5, 1.0], [50, 50])


def test_a_missing_round_is_no_run():
    with pytest.raises(RunError, match="told of 1 of 2 rounds"):
        told([line(1, 1.0, 10)], 2)


def test_ratios_are_of_the_same_turn_and_each_peer_has_its_limit():
    pfl = [replace(DONE, wall=50.0), replace(DONE, wall=40.0)]
    runs = {peers.OURS: [DONE, replace(DONE, wall=10.0)], "pfl": pfl}
    runs["Flower, a client per core"] = [replace(DONE, seconds=[1.0, 9.0])] * 2
    found = {(r.name.split(":")[0], r.name.split(": ")[1]): r for r in peers.figures(PEERS, runs)}
    whole = found["the whole run, s", "pfl / FedSieve"]
    assert (whole.low, whole.high, whole.median) == (2.5, 4.0, 3.25)
    steady = found["a steady round, s", "Flower, a client per core / FedSieve"]
    assert (steady.median, steady.limit, steady.met) == (3.0, ">= 3", "yes")
    assert found["a steady round, s", "pfl / FedSieve"].met == "NO"


def test_other_work_is_noticed():
    runs = {peers.OURS: [DONE], "pfl": [DONE, replace(DONE, images=[40] * 4)]}
    assert peers.unlike(runs) == {"pfl": [40] * 4}
    assert peers.unlike({peers.OURS: [DONE], "pfl": [DONE]}) == {}


def test_a_program_that_fails_once_is_left_out_and_not_tried_again():
    asked = []

    def measure(one):
        asked.append(one.name)
        if one.peer == "pfl":
            raise RunError("no module")
        return DONE

    wanted = [Program(n, p, "python", "module") for n, p in PEERS.items()]
    runs, unable = peers.in_turns(wanted, 2, measure)
    assert unable == {"pfl": "no module"}
    assert {name: len(done) for name, done in runs.items()} == dict.fromkeys(
        [peers.OURS, "Flower, a client per core"], 2
    )
    assert asked.count("pfl") == 1


def test_pfls_processes_share_an_address_and_differ_in_rank():
    first, second = (peers.ranks(2)(number) for number in (0, 1))
    assert [first["PFL_WORKER_RANK"], second["PFL_WORKER_RANK"]] == ["0", "1"]


def test_every_client_has_its_share_of_the_images():
    data = client_data(Work(clients=3, per_client=4))
    assert [(images.shape, len(labels)) for images, labels in data] == [((4, 1, 28, 28), 4)] * 3


CHILD = """
import json, pathlib, subprocess, sys, time
begun = time.perf_counter()
held = '''
import pathlib, time
held = bytearray(300_000_000)
held[::4096] = held[::4096]
while not pathlib.Path({seen!r}).exists():
    time.sleep(0.01)
'''
subprocess.run([sys.executable, "-c", held], check=True)
seconds = time.perf_counter() - begun
print(json.dumps({{"round": 1, "seconds": seconds, "images": 5}}))
"""
"""A program whose child holds memory until somebody has seen it."""


def test_a_run_takes_until_the_end_and_the_memory_of_children_counts(
    program, tmp_path, monkeypatch
):
    seen, memory_of = tmp_path / "seen", peer_runs.memory_of

    def watching(process):
        found = memory_of(process)
        if found > 280e6:
            seen.touch()
        return found

    monkeypatch.setattr(peer_runs, "memory_of", watching)
    found = run(program(CHILD.format(seen=str(seen))), Work(rounds=1), limit=100)
    assert found.wall >= found.seconds[0]
    assert found.memory > 280


def test_a_run_that_fails_says_what_the_program_said(program):
    with pytest.raises(RunError, match="ValueError: no luck"):
        run(program("raise ValueError('no luck')"), Work(), limit=100)


def test_a_run_that_takes_too_long_is_ended(program, monkeypatch):
    started, start = [], peer_runs.start

    def noted(*given):
        started.append(start(*given))
        return started[-1]

    monkeypatch.setattr(peer_runs, "start", noted)
    with pytest.raises(RunError, match="too long"):
        run(program("import signal; signal.pause()"), Work(), limit=0.1)
    assert [process.is_running() for process in started] == [False]


def test_an_environment_that_does_not_exist_is_an_error_of_the_run():
    with pytest.raises(RunError, match="No such file"):
        run(Program("none", "pfl", "/nowhere/bin/python", "module"), Work(), limit=1)
