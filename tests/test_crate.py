import hashlib
import json
import os
import subprocess
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from crates import CONFIG, KRUM
from crates import crate as crate
from crates import results as results
from needed import absent

from fedsieve import provenance
from fedsieve.errors import InputError
from fedsieve.stages.crate import LICENSE, METADATA, versions

ROOT = provenance.ROOT.parent


def described(path):
    """The entities of a crate by their id."""
    with zipfile.ZipFile(path) as archive:
        return {entity["@id"]: entity for entity in json.loads(archive.read(METADATA))["@graph"]}


def test_small_files_are_in_the_crate_with_their_size_and_sha256(crate):
    path = crate()
    entities = described(path)
    with zipfile.ZipFile(path) as archive:
        names = set(archive.namelist()) - {METADATA}
        assert {f"{KRUM}/metrics.json", f"{KRUM}/run.json", "results/tables/small.csv"} <= names
        assert {"workflow/Snakefile", "envs/requirements.lock", "config/used.yaml"} <= names
        for name in names:
            content = archive.read(name)
            assert entities[name]["sha256"] == hashlib.sha256(content).hexdigest()
            assert entities[name]["contentSize"] == str(len(content))


def test_a_model_is_described_and_not_copied(crate):
    path = crate()
    model = Path(f"{KRUM}/model.safetensors").read_bytes()
    found = described(path)[f"#{KRUM}/model.safetensors"]
    assert found["sha256"] == hashlib.sha256(model).hexdigest()
    assert found["contentSize"] == "4"
    with zipfile.ZipFile(path) as archive:
        assert not [name for name in archive.namelist() if name.endswith(".safetensors")]


def test_raw_data_have_the_sha256_that_fetching_recorded(crate):
    assert described(crate())["#raw/mnist/MNIST/raw/images"]["sha256"] == "ab" * 32


def test_the_run_has_start_end_instrument_and_results(crate):
    run = described(crate())["#run"]
    assert run["startTime"] == "2026-01-01T10:00:00+00:00"  # of the first training
    assert run["endTime"] == "2026-01-02T11:00:00+00:00"  # of the last
    assert run["instrument"] == {"@id": "workflow/Snakefile"}
    assert {"@id": f"#{KRUM}/model.safetensors"} in run["result"]
    assert {"@id": "config/used.yaml"} in run["object"]
    assert "agent" not in run


def test_the_workflow_has_the_commit_and_the_versions_of_its_programs(crate):
    entities = described(crate())
    workflow = entities["workflow/Snakefile"]
    assert workflow["version"] == "c0ffee; c0ffee (modified)"
    assert {"@id": "#torch-2.14.1"} in workflow["softwareRequirements"]
    assert entities["#torch-2.14.1"]["softwareVersion"] == "2.14.1"


def test_without_a_clone_the_version_is_that_of_the_package():
    assert versions([{"environment": {"source": None, "packages": {"fedsieve": "1.2"}}}]) == ["1.2"]


def test_who_ran_it_is_named_if_said(crate):
    entities = described(crate(agent="Ada L. <https://orcid.org/0000-0000-0000-0000>"))
    assert entities["#run"]["agent"] == {"@id": "https://orcid.org/0000-0000-0000-0000"}
    assert entities["https://orcid.org/0000-0000-0000-0000"]["name"] == "Ada L."
    assert described(crate(agent="Ada L."))["#agent"]["name"] == "Ada L."
    with pytest.raises(InputError, match="FEDSIEVE_AGENT"):
        crate(agent="<mail>")


def test_the_same_results_make_the_same_bytes(crate):
    assert crate("a.zip").read_bytes() == crate("b.zip").read_bytes()


def test_nothing_in_a_crate_names_the_machine(crate, tmp_path):
    with zipfile.ZipFile(crate()) as archive:
        texts = [archive.read(name).decode() for name in archive.namelist()]
    assert not [text for text in texts if str(tmp_path) in text or str(ROOT) in text]


def test_the_configuration_is_packed_as_it_was_used(crate):
    with zipfile.ZipFile(crate()) as archive:
        assert yaml.safe_load(archive.read("config/used.yaml")) == CONFIG


def test_a_training_of_an_older_version_is_refused_by_name(crate):
    Path(f"{KRUM}/run.json").write_text('{"environment": {}}', encoding="utf-8")
    with pytest.raises(InputError, match=f"{KRUM}/run.json: no time or commit"):
        crate()


def test_the_license_is_that_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert LICENSE.rpartition("/")[2] == project["license"]


VALIDATE = """
import json, sys
from importlib.resources import files
from requests_cache import CachedRequest, CachedResponse, CachedSession
from rocrate_validator import models, services

crate, cache = sys.argv[1:]
url = "https://w3id.org/ro/crate/1.1/context"
asked, kind = CachedRequest(method="GET", url=url), {"Content-Type": "application/ld+json"}
answer = CachedResponse(request=asked, url=url, status_code=200, headers=kind)
answer._content = files("rocrate").joinpath("data/ro-crate.jsonld").read_bytes()
assert json.loads(answer._content)["@id"] == url, "wanted: rocrate 0.13, which has RO-Crate 1.1"
CachedSession(cache).cache.save_response(answer)
settings = services.ValidationSettings(
    rocrate_uri=crate,
    profile_identifier="workflow-run-crate",
    requirement_severity=models.Severity.REQUIRED,
    offline=True,
    cache_path=cache,
)
for issue in services.validate(settings).get_issues():
    print(issue.check.identifier, issue.message, issue.violatingEntity)
"""
"""Print what an independent validator finds; the one document that it would load is at hand."""


@pytest.fixture
def validate(tmp_path):
    """What roc-validator finds in a crate; it conflicts with the lock, so it has a home of its own.

    ROCRATE_PYTHON names the Python of one with ``roc-validator`` and ``rocrate==0.13.0``.
    """
    if "ROCRATE_PYTHON" not in os.environ:
        absent("ROCRATE_PYTHON names no Python")

    def found(path):
        command = [os.environ["ROCRATE_PYTHON"], "-c", VALIDATE, str(path), str(tmp_path / "cache")]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return found


@pytest.mark.slow
def test_an_independent_validator_finds_no_fault(crate, validate):
    assert validate(crate()) == ""


@pytest.mark.slow
def test_the_validator_sees_a_run_without_its_workflow(crate, validate, tmp_path):
    path = crate()
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(tmp_path / "broken.zip", "w") as broken:
        for name in archive.namelist():
            text = archive.read(name).decode()
            broken.writestr(name, text.replace('"instrument"', '"about"'))
    assert "instrument" in validate(tmp_path / "broken.zip")
