"""Let a plug-in work on its arguments alone: without files, environment and processes."""

import ast
import contextlib
import os
import site
import sys
import sysconfig
from pathlib import Path

from fedsieve import artifacts, guard, provenance, registry

REACHING = {
    *("builtins", "ctypes", "fileinput", "gc", "glob", "gzip", "importlib", "inspect", "io"),
    *("mmap", "multiprocessing", "os", "pathlib", "pickle", "pkgutil", "runpy", "shelve", "shutil"),
    *("socket", "sqlite3", "subprocess", "sys", "tempfile", "urllib", "zipfile"),
}
"""Modules of Python's library by which code reaches what it was not given."""

CALLS = {"__import__", "breakpoint", "compile", "eval", "exec", "globals", "open", "vars"}
"""Built-in functions that do."""

READERS = {
    *("fromfile", "genfromtxt", "loadtxt", "memmap", "open_memmap", "load", "loadmat"),
    *("load_file", "load_npz", "read_csv", "read_json", "read_parquet", "read_pickle"),
}
"""Functions of other packages that read files."""

NAMED = REACHING | READERS

EVENTS = ("open", "os.", "subprocess.", "socket.", "shutil.", "glob.", "tempfile.", "ctypes.")
"""Starts of the names of Python's audit events that are refused."""

LIBRARIES = tuple(
    {
        *(str(Path(path).resolve()) for path in sysconfig.get_paths().values()),
        *(str(Path(path).resolve()) for path in site.getsitepackages()),
        *("/proc", "/sys", "/dev", "/etc", "/usr", "/lib"),
    }
)
"""Where libraries and what they ask of the machine lie: these load parts of themselves late."""

_watching = ()
"""Folders of plug-ins, whose names may be listed, while a plug-in works."""


class Peeked(BaseException):
    """A plug-in did what it may not. Of a kind that ``except Exception`` does not catch."""


def own_modules(kind, name):
    """The plug-in and what it imports that is no module of the package: its author's code."""
    package = {
        ".".join(path.relative_to(provenance.ROOT).with_suffix("").parts)
        for path in (provenance.ROOT / "fedsieve").rglob("*.py")
    }
    plugin = f"fedsieve.{kind}.{name}"
    shared = {m for m in package if m.split(".")[1] in guard.OPEN}
    return {m for m in provenance.closure([plugin]) if m not in package or m in shared}


def peeks(module):
    """Say what of a module's code could reach more than arguments: line and name of each."""
    tree = ast.parse(provenance._path(module).read_text(encoding="utf-8"))
    return [f"{module}, line {n.lineno}: {name}" for n in ast.walk(tree) for name in _peeked(n)]


def _peeked(node):
    match node:
        case ast.Import():
            return {alias.name.split(".")[0] for alias in node.names} & REACHING
        case ast.ImportFrom():
            return {(node.module or "").split(".")[0], *(a.name for a in node.names)} & NAMED
        case ast.Name():
            return {node.id} & CALLS
        case ast.Attribute():
            return {node.attr} & (NAMED | {"environ"})
    return set()


def _refuse(event, arguments):
    if not _watching or not event.startswith(EVENTS):
        return
    path = arguments[0] if arguments else None
    if event == "open" and not isinstance(path, str | bytes | os.PathLike):  # a descriptor
        return
    if isinstance(path, str | bytes | os.PathLike):
        name = os.path.realpath(os.fsdecode(path))
        code = name.endswith((".py", ".pyc")) if event == "open" else name.startswith(_watching)
        if code or name.startswith(LIBRARIES):
            return
    raise Peeked(f"{event}: {arguments!r}")


sys.addaudithook(_refuse)


@contextlib.contextmanager
def blindfolded(monkeypatch):
    """Refuse all that a plug-in could see besides its arguments, and forget the environment.

    Raises:
        Peeked: by whatever tries.
    """
    global _watching

    def refuse(*_, **__):
        raise Peeked("an artifact is read")

    with monkeypatch.context() as patched:
        for name in [name for name in vars(artifacts) if name.startswith("read_")]:
            patched.setattr(artifacts, name, refuse)
        for name in [name for name in os.environ if name != registry.ELSEWHERE]:
            patched.delenv(name)
        kinds = [place for kind in registry.CONTRACTS for place in registry.places(kind)]
        _watching = tuple(map(os.path.realpath, kinds))
        try:
            yield
        finally:
            _watching = ()
