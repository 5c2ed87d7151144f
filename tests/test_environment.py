"""The lock, the conda environment and pyproject.toml name the same packages and versions."""

import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LOCK = dict(
    line.split("==")
    for line in (ROOT / "envs/requirements.lock").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
)


def plain(name):
    return re.split("[<>=!~ ;[]", name)[0].lower().replace("_", "-")


def conda():
    listed = yaml.safe_load((ROOT / "envs/fedsieve.yaml").read_text(encoding="utf-8"))[
        "dependencies"
    ]
    return dict(
        pin.split("==") for entry in listed if isinstance(entry, dict) for pin in entry["pip"]
    )


def test_the_lock_pins_everything_that_the_project_asks_for():
    wanted = {plain(name) for name in PROJECT["dependencies"]}
    extras = PROJECT["optional-dependencies"].values()
    wanted |= {plain(name) for extra in extras for name in extra}
    assert wanted - LOCK.keys() == set()


def test_the_conda_environment_has_the_direct_dependencies_at_the_locks_versions():
    wanted = {plain(name) for name in PROJECT["dependencies"]}
    assert conda() == {name: LOCK[name] for name in wanted}


def test_the_lock_pins_exact_versions_only():
    assert all(re.fullmatch(r"\d[\w.+]*", version) for version in LOCK.values())
