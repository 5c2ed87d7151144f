"""What made a result: a digest of the code that a job can reach, and a record of its run.

Standard library only: the Snakefile imports it.
"""

import ast
import contextlib
import functools
import hashlib
import os
import platform
import re
import resource
import subprocess
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

from fedsieve import registry

ROOT = Path(__file__).parent.parent


def digest(*modules: str) -> str:
    """Hash the code of these modules and of all that they import inside fedsieve.

    Taken over syntax trees without docstrings, so that comments, formatting and documentation
    change nothing. Imports are followed statically; plug-ins are loaded by name and must be
    named here.
    """
    lines = (f"{module} {_code(module)}" for module in sorted(closure(modules)))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def closure(modules: Iterable[str]) -> frozenset[str]:
    """These modules and all modules of fedsieve that they import, directly or not."""
    found: set[str] = set()
    waiting = list(modules)
    while waiting:
        if (module := waiting.pop()) not in found:
            found.add(module)
            waiting.extend(imports(module))
    return frozenset(found)


@functools.cache
def imports(module: str) -> frozenset[str]:
    """Modules of fedsieve that a module imports by name."""
    names: set[str] = set()
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(n for n in names if n.startswith("fedsieve.") and _path(n).is_file())


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


@functools.cache
def _code(module: str) -> str:
    tree = _tree(module)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [part for part in body if not _is_text(part)]  # type: ignore[attr-defined]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def _tree(module: str) -> ast.Module:
    return ast.parse(_path(module).read_text(encoding="utf-8"))


def _path(module: str) -> Path:
    """A module's source; a plug-in's may lie outside the package."""
    _, *inner, name = module.split(".")
    places = registry.places(inner[0])[1:] if len(inner) == 1 else []
    files = [ROOT.joinpath("fedsieve", *inner), *places]
    return next((f for f in (place / f"{name}.py" for place in files) if f.is_file()), files[0])


def _is_text(node: ast.AST) -> bool:
    """Whether a statement is a bare string: a docstring, or one below an attribute."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True
