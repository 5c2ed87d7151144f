"""Where and with what a run is made: versions, hardware, commit, memory (standard library only).

Apart from ``provenance``, so that how digests are made is no part of what trains.
"""

import contextlib
import os
import platform
import re
import resource
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent


def environment() -> dict[str, Any]:
    """Versions and hardware that may move the last bits of a result; nothing names the host."""
    packages = ("torch", "torchvision", "numpy", "scipy", "scikit-learn", "snakemake", "fedsieve")
    return {
        "python": platform.python_version(),
        "packages": {name: metadata.version(name) for name in packages if _installed(name)},
        "machine": platform.machine(),
        "system": platform.system(),
        "hardware": hardware(),
        "source": revision(),
    }


def hardware(cpus: Path = Path("/proc/cpuinfo")) -> dict[str, Any]:
    """Name of the processor, its logical cores, and memory in GiB (1024^3 bytes)."""
    lines = cpus.read_text(encoding="utf-8").splitlines() if cpus.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory / 1024**3, 1),
    }


def revision() -> dict[str, Any] | None:
    """Commit of the source tree, and whether code or workflow differ from it.

    None without git, and where the package lies in no clone of its own, such as after a plain
    ``pip install`` or inside another project's repository.
    """
    if _git("rev-parse", "--show-toplevel") != str(ROOT.parent.resolve()):
        return None
    if (commit := _git("rev-parse", "HEAD")) is None:
        return None
    return {"commit": commit, "modified": _git("status", "--porcelain", "src", "workflow") != ""}


def _git(*arguments: str) -> str | None:
    """What git says of the source tree; None where there is no git, or it fails."""
    # without optional locks, or jobs that run at once would get in each other's and the user's way
    command = ["git", "--no-optional-locks", "-C", str(ROOT.parent), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return os.fsdecode(done.stdout).strip()


def peak_memory_mb() -> float:
    """Largest resident memory of this process so far, in MB.

    Linux's ``ru_maxrss`` would be at least that of the process that started this one.
    """
    with contextlib.suppress(OSError):
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        if found := re.search(r"^VmHWM:\s+(\d+) kB$", status, re.M):
            return int(found[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024**2 if sys.platform == "darwin" else 1024)


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True
