"""The same seed gives the same bytes, whatever the cores and whatever happens on the way."""

import time

import pytest
from digests import differing, digests

pytestmark = pytest.mark.slow


def wait_for(workspace, pattern, process, seconds=120):
    """Wait until a file is there; the process that makes it must still run then."""
    end = time.monotonic() + seconds
    while not list(workspace.root.glob(pattern)):
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.05)


def test_scenarios_are_the_same_on_one_core_and_two_and_in_another_grid(one_core, finished):
    # the finished grid was made with --cores 2
    found, expected = digests(one_core, "results/digits"), digests(finished, "results/digits")
    # fetch and data, partition, 2 poisonings, encoder, 3 views, 3 x (message, memory, mask),
    # broadcast, state, keep; floor; 3 trainings of 6 files, 2 evaluations of 2
    assert len(found) == 2 + 1 + 2 + 1 + 3 + 9 + 3 + 1 + 18 + 4
    assert differing(found, {name: expected.get(name) for name in found}) == []


def test_a_killed_run_goes_on_to_the_same_bytes(one_core, small):
    workspace = small()
    two = ["--cores", "2", "--set-threads", "train=2"]
    process = workspace.start(*two)
    wait_for(workspace, "results/**/train.log", process)
    workspace.kill(process)
    code, output = workspace.snakemake(*two)
    assert code != 0
    assert "--unlock" in output
    workspace.run("--unlock")
    assert not {"fetch", "data", "partition"} & workspace.planned().keys()
    workspace.run(*two)
    assert differing(digests(workspace), digests(one_core)) == []
    assert workspace.planned() == {}
