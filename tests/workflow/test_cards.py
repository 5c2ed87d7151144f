"""``snakemake --cores 8 --resources gpu=4`` with four pretended cards."""

import json
import re
from collections import defaultdict
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

CARDS = {"0", "1", "2", "3"}
SEEDS = range(1, 13)
MODEL = "results/digits/iid-3/seed{}/unattacked/ratio0/none/model.safetensors"


@pytest.fixture
def trained(fresh, tmp_path):
    """A workspace where 12 trainings have run on four cards that are no more than names."""
    config = fresh.config()
    config["tasks"]["digits"] |= {"rounds": 1, "max_samples": 100}
    config["grids"]["demo"] |= {"attack": ["unattacked"], "ratio": [0], "seed": list(SEEDS)}
    config["grids"]["demo"] |= {"defense": ["none"]}
    fresh.configure(config)
    env = {"CUDA_VISIBLE_DEVICES": ",".join(sorted(CARDS)), "FEDSIEVE_LEASES": str(tmp_path)}
    asked = ["--cores", "8", "--resources", "gpu=4"]
    fresh.run(*map(MODEL.format, SEEDS), *asked, env=env)
    return fresh


def test_every_job_leases_one_card_and_no_two_at_a_time_the_same(trained):
    held = defaultdict(list)
    for place in (trained.root / Path(MODEL.format(seed)).parent for seed in SEEDS):
        (card,) = re.findall(
            r"^leased GPU (\S+)$", (place / "train.log").read_text(encoding="utf-8"), re.M
        )
        run = json.loads((place / "run.json").read_text(encoding="utf-8"))
        held[card].append((run["started"], run["ended"]))
    assert held.keys() == CARDS
    assert sum(map(len, held.values())) == len(SEEDS)
    for spans in map(sorted, held.values()):
        ends, starts = [end for _, end in spans[:-1]], [start for start, _ in spans[1:]]
        assert all(end <= start for end, start in zip(ends, starts, strict=True))
