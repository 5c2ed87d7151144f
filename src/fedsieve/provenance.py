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
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import Any

from fedsieve import registry
from fedsieve.errors import InputError
from fedsieve.paths import expanded, written

ROOT = Path(__file__).parent.parent


def digest(*modules: str) -> str:
    """Hash the code of these modules and of all that they import of fedsieve and of the user.

    The user's modules are those that PYTHONPATH leads to, and those beside a plug-in. Taken over
    syntax trees without docstrings, so that comments, formatting and documentation change nothing.
    Imports are followed statically; plug-ins are loaded by name and must be named here.
    """
    lines = (f"{module} {_code(module)}" for module in sorted(closure(modules)))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def closure(modules: Iterable[str]) -> frozenset[str]:
    """These modules and all of fedsieve and of the user that they import, directly or not."""
    found: set[str] = set()
    waiting = list(modules)
    while waiting:
        if (module := waiting.pop()) not in found:
            found.add(module)
            waiting.extend(imports(module))
    return frozenset(found)


@functools.cache
def imports(module: str) -> frozenset[str]:
    """Modules of fedsieve and of the user that a module imports by name."""
    names: set[str] = set()
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = _source(module, node)
            names.add(source)
            names.update(f"{source}.{alias.name}" for alias in node.names)
    # the packages that a module of the user lies in run, too; those of fedsieve are empty
    packages = {
        str(parent).replace("/", ".")
        for name in names
        if not name.startswith("fedsieve.")
        for parent in PurePosixPath(*name.split(".")).parents
    }
    found = (names | packages) - {"fedsieve", "."}
    return frozenset(name for name in found if name and _path(name).is_file())


def contents(root: Path, spec: Mapping[str, Any]) -> list[str]:
    """SHA-256 of each file, below a data root or elsewhere, that a text in a spec names.

    What is made from such a file is remade when these change, whatever its date. A file that
    cannot be read is left to the job, which says so.
    """
    texts = [value for key, value in spec.items() if key != "use" and isinstance(value, str)]
    found = []
    for text in texts:
        with contextlib.suppress(InputError):  # a $ or ~ of something else than a path
            path = expanded(written(text), root)
            if os.path.isfile(path):  # noqa: PTH113 - of a text too long for a path, too
                found.append(_sha256(path))
    return found


@functools.cache
def _sha256(path: Path) -> str:
    with contextlib.suppress(OSError), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
    return "unreadable"


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
    """A module's source, no file where there is none that belongs to fedsieve or to the user."""
    *inner, name = module.split(".")
    if inner[:1] == ["fedsieve"]:
        own = [ROOT.joinpath(*inner, f"{name}.py")]  # fedsieve's packages themselves are empty
        outside = registry.places(inner[1])[1:] if len(inner) == 2 else []
    else:
        own = []
        outside = [place.joinpath(*inner) for place in _own_places()]
    files = [folder / end for end in (f"{name}.py", f"{name}/__init__.py") for folder in outside]
    return next(filter(Path.is_file, own + files), ROOT)


def _own_places() -> list[Path]:
    """Folders of PYTHONPATH that hold the user's modules; installed packages are versions."""
    given = map(Path, filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)))
    return [p for p in given if not {"site-packages", "dist-packages"} & {*p.parts}]


def _source(module: str, node: ast.ImportFrom) -> str:
    """The module that ``from ... import`` names, dots before it resolved."""
    package = module.split(".")[: -node.level] if node.level else []
    if node.level and _path(module).name == "__init__.py":
        package = module.split(".")[: len(package) + 1]
    return ".".join([*package, *filter(None, [node.module])])


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
