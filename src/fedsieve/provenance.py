"""A digest of the code that a job can reach: what is made by other code is remade.

Standard library only: the Snakefile imports it.
"""

import ast
import contextlib
import functools
import hashlib
import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from fedsieve import registry
from fedsieve.checksums import hash_file
from fedsieve.errors import InputError
from fedsieve.paths import expanded, written

ROOT = Path(__file__).parent.parent


def digest(*modules: str) -> str:
    """Hash the code of these modules and of all that they import of fedsieve and of the user.

    The user's modules are those that PYTHONPATH leads to, and those beside a plug-in. Taken over
    syntax trees without docstrings, in which the hash of what is imported stands for its name: so
    comments, formatting and documentation change nothing, nor does a module that is moved or
    renamed. Imports are followed statically; plug-ins are loaded by name and must be named here.
    """
    lines = sorted(map(_code, closure(modules)))
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


def imports(module: str) -> frozenset[str]:
    """Modules of fedsieve and of the user that a module imports by name."""
    return _read(module).imports


def forget() -> None:
    """Read all code and files anew: for whoever changes them, or ``ROOT``, within a process."""
    for function in (_read, _code, _alone, _is_own, _hash_file):
        function.cache_clear()


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
                found.append(_hash_file(path))
    return found


@functools.cache
def _hash_file(path: Path) -> str:
    with contextlib.suppress(OSError):
        return hash_file(path)
    return "unreadable"


@functools.cache
def _code(module: str) -> str:
    """Hash of a module's code, in which what it imports stands by its own code, without a name."""
    return _hash(module, lambda source, part: f"{_alone(source)}.{part}")


@functools.cache
def _alone(module: str) -> str:
    """Hash of a module's own code, whatever the modules that it imports are called."""
    return _hash(module, lambda _, part: f".{part}")


def _hash(module: str, shown: Callable[[str, str], str]) -> str:
    code = _read(module)
    names = {name: shown(*what) for name, what in code.bound.items()}
    text = re.sub("«(.*?)»", lambda found: names.get(found[1], found[0]), code.text)
    return hashlib.sha256("\n".join([*sorted(names.values()), text]).encode()).hexdigest()


class _Code(NamedTuple):
    """What a module's source says."""

    imports: frozenset[str]
    bound: dict[str, tuple[str, str]]
    """Name -> module of fedsieve or of the user, and the part of it that is imported, if any."""
    text: str
    """Its tree without docstrings and imports of these, and with bound names in «»."""


@functools.cache
def _read(module: str) -> _Code:
    tree = ast.parse(_path(module).read_text(encoding="utf-8"))
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    bound: dict[str, tuple[str, str]] = {}
    named: set[str] = set()
    others = []
    for node in found:
        source = "" if isinstance(node, ast.Import) else _source(module, node)
        for alias in node.names:
            inner = f"{source}.{alias.name}".removeprefix(".")
            named |= {source, inner}
            name = alias.asname or alias.name
            if _is_own(inner) and (source or alias.asname):
                bound[name] = inner, ""
            elif _is_own(source) and alias.name != "*":
                bound[name] = source, alias.name
            else:
                others.append(f"{source} {ast.dump(alias)}")
    return _Code(_own(named), bound, "\n".join([*sorted(others), _text(tree, bound)]))


def _own(names: set[str]) -> frozenset[str]:
    """Those names that are modules of fedsieve or of the user, and what is run with these."""
    # the packages that a module of the user lies in run, too; those of fedsieve are empty
    packages = {
        str(parent).replace("/", ".")
        for name in names
        if not name.startswith("fedsieve.")
        for parent in PurePosixPath(*name.split(".")).parents
    }
    return frozenset(filter(_is_own, (names | packages) - {"."}))


def _text(tree: ast.Module, bound: Collection[str]) -> str:
    """Dump a tree without imports and bare strings, such as docstrings, and mark bound names."""
    for node in ast.walk(tree):
        for field in ("body", "orelse", "finalbody"):
            if isinstance(body := getattr(node, field, None), list):
                setattr(node, field, [part for part in body if not _is_left_out(part)])
        if isinstance(node, ast.Name) and node.id in bound:
            node.id = f"«{node.id}»"
    return ast.dump(tree)


@functools.cache
def _is_own(module: str) -> bool:
    return module not in ("", "fedsieve") and _path(module).is_file()


def _path(module: str) -> Path:
    """A module's source, no file where there is none that belongs to fedsieve or to the user."""
    *inner, name = module.split(".")
    if inner[:1] == ["fedsieve"]:
        own = [ROOT.joinpath(*inner, f"{name}.py")]  # fedsieve's packages themselves are empty
        outside = registry.places(inner[1]) if len(inner) == 2 else []
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


def _is_left_out(node: ast.AST) -> bool:
    """Whether a statement is an import or a bare string, such as a docstring."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        return True
    text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return text and isinstance(node.value.value, str)  # type: ignore[attr-defined]
