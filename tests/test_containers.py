"""Both container recipes install the lock on the Python of the conda environment."""

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
DOCKER = (ROOT / "envs/Dockerfile").read_text(encoding="utf-8")
APPTAINER = (ROOT / "envs/fedsieve.def").read_text(encoding="utf-8")
CONDA = yaml.safe_load((ROOT / "envs/fedsieve.yaml").read_text(encoding="utf-8"))["dependencies"]
INSTALL = "--constraint /opt/fedsieve/envs/requirements.lock /opt/fedsieve"


def test_both_start_from_the_python_of_the_conda_environment():
    [version] = [pin.removeprefix("python=") for pin in CONDA if str(pin).startswith("python=")]
    assert re.findall(r"^FROM (.*)$", DOCKER, re.M) == [f"python:{version}-slim"]
    assert re.findall(r"^From: (.*)$", APPTAINER, re.M) == [f"python:{version}-slim"]


def test_both_install_the_project_at_the_versions_of_the_lock_and_nothing_else():
    for recipe in (DOCKER, APPTAINER):
        [line] = re.findall(r"pip install (.*)", recipe)
        assert line == f"--no-cache-dir {INSTALL}"
        assert re.findall(r"apt-get install (.*?) ?\\?$", recipe, re.M) == [
            "--yes --no-install-recommends git"
        ]


def copied():
    """Files of the repository that each recipe takes along."""
    lines = [line.split()[1:-1] for line in DOCKER.splitlines() if line.startswith("COPY")]
    listed = re.search(r"^%files\n(.*?)\n\n", APPTAINER, re.M | re.S)[1]
    return {f for line in lines for f in line}, {line.split()[0] for line in listed.splitlines()}


def test_both_take_the_same_files_along_which_exist():
    docker, apptainer = copied()
    assert docker == apptainer
    assert all((ROOT / name).exists() for name in docker)


def test_docker_is_sent_these_files_alone():
    lines = (ROOT / "envs/Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "*"
    assert {line[1:] for line in lines if line.startswith("!")} == copied()[0]


def test_docker_does_not_run_as_root():
    assert re.findall(r"^USER (.*)$", DOCKER, re.M) == ["1000:1000"]


def test_the_workflow_names_the_image_that_the_documentation_builds():
    [image] = re.findall(
        r'^container: "(.*)"$', (ROOT / "workflow/Snakefile").read_text(encoding="utf-8"), re.M
    )
    assert f"apptainer build {image} envs/fedsieve.def" in APPTAINER
    assert f"apptainer build {image} envs/fedsieve.def" in (ROOT / "docs/containers.md").read_text(
        encoding="utf-8"
    )
