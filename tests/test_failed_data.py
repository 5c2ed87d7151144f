"""What estimate says where the data cannot be made."""

from pathlib import Path

import pytest

from fedsieve.ancestry import Job
from fedsieve.errors import InputError
from fedsieve.tools import estimate


@pytest.mark.parametrize("job", ["fetch", "data"])
def test_a_data_set_that_cannot_be_made_is_explained_by_the_log_of_its_job(
    job, tmp_path, monkeypatch
):
    folder = tmp_path / "results/mnist"
    folder.mkdir(parents=True)
    if job == "data":
        (folder / "source.json").touch()
    (folder / f"{job}.log").write_text(
        "downloading\nfedsieve: error: no network\n", encoding="utf-8"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(estimate.ancestry, "snakemake", lambda *_: ["false"])
    wanted = Job("train", "", "", "python -m fedsieve train --data results/mnist/data.npz")
    with pytest.raises(InputError, match=rf"{job}\.log ends with\n.*\n.*no network"):
        estimate._make_data([wanted], [Path("config.yaml")])
