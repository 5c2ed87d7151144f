"""Resolve pyproject.toml to exact versions: envs/requirements.lock and envs/fedsieve.yaml.

Usage: python envs/lock.py        (as `make lock` does; needs the package index)

The lock is a list of constraints for pip: it pins whatever gets installed, and installs nothing
by itself, so that packages of other platforms do no harm.
"""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "envs/requirements.lock"
CONDA = ROOT / "envs/fedsieve.yaml"

CONDA_HEAD = """\
# Made by `make lock`: the direct dependencies of pyproject.toml, pinned as in requirements.lock.
# Used by `snakemake --sdm conda`; jobs find FedSieve itself through PYTHONPATH.
name: fedsieve
channels:
  - conda-forge
  - nodefaults
dependencies:
  - python=3.11
  - pip
  - pip:
"""


def resolve() -> dict[str, str]:
    """Ask pip which versions it would install for FedSieve and all its extras."""
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed"]
    command += ["--quiet", "--report", "-", f"{ROOT}[dev,docs,oracles]"]
    report = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    found = (item["metadata"] for item in report["install"])
    pins = {item["name"].lower().replace("_", "-"): item["version"] for item in found}
    return {name: pins[name] for name in sorted(pins) if name != "fedsieve"}


def main() -> None:
    """Write both files."""
    pins = resolve()
    head = "# Made by `make lock` from pyproject.toml; constraints for pip, Python 3.11, Linux.\n"
    LOCK.write_text(
        head + "".join(f"{name}=={version}\n" for name, version in pins.items()), encoding="utf-8"
    )
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    direct = [re.split("[<>=]", name)[0] for name in project["dependencies"]]
    CONDA.write_text(
        CONDA_HEAD + "".join(f"      - {name}=={pins[name]}\n" for name in direct), encoding="utf-8"
    )


if __name__ == "__main__":
    main()
