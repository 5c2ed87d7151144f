"""Names and files: a plug-in's file name is its key in the config.

It lies in the package, or below a folder that the environment variable FEDSIEVE_PLUGINS names, in
a subfolder called after its kind, as in the package.

Standard library only, and no plug-in is imported to check a name or its parameters: the Snakefile
does both for the whole config whenever the workflow is parsed.
"""

import ast
import difflib
import functools
import importlib
import inspect
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from fedsieve.errors import InputError
from fedsieve.paths import expanded

PACKAGE = Path(__file__).parent

ELSEWHERE = "FEDSIEVE_PLUGINS"
"""Environment variable that names folders with plug-ins, separated as in PATH."""

CONTRACTS = {
    "datasets": ("fetch", "read"),
    "partitions": ("assign",),
    "attacks": ("poison", "probe"),
    "models": ("build",),
    "sanitizers": ("client", "server", "keep", "repair"),
    "detectors": (
        "init",
        "judge",
        "broadcast",
        "report",
        "flag",
        "personal",
        "local_loss",
        "learn",
    ),
    "aggregators": ("init", "aggregate"),
}
"""The functions of each kind of plug-in; their keyword-only arguments are its parameters."""


def look_in(folders: Iterable[str | Path]) -> None:
    """Find plug-ins below these folders, too: in this process and in those that it starts."""
    absolute = [str(folder.resolve()) for folder in (*_outside(), *map(Path, folders))]
    os.environ[ELSEWHERE] = os.pathsep.join(dict.fromkeys(absolute))


def places(kind: str) -> list[Path]:
    """Folders that may hold plug-ins of a kind, the package's own first."""
    return [root / kind for root in (PACKAGE, *_outside())]


def _outside() -> list[Path]:
    """Folders that the environment names."""
    named = filter(None, os.environ.get(ELSEWHERE, "").split(os.pathsep))
    try:
        return [expanded(folder) for folder in named]
    except InputError as error:
        raise InputError(f"{ELSEWHERE}: {error}") from None


def available(kind: str) -> list[str]:
    """Names that ``use:`` may have for this kind of plug-in."""
    return sorted({p.stem for place in places(kind) for p in place.glob("[!_]*.py")})


def load(kind: str, name: str) -> ModuleType:
    """Import one plug-in."""
    own, *outside = map(str, places(kind))
    if find(kind, name).parent != Path(own):
        searched = importlib.import_module(f"fedsieve.{kind}").__path__
        searched.extend(place for place in outside if place not in searched)
    try:
        return importlib.import_module(module(kind, name))
    except ImportError as error:
        raise InputError(f"{shown(find(kind, name))} cannot be imported: {error}") from error


def bind(
    kind: str, spec: Mapping[str, Any], function: str, *, optional: bool = False, **supplied: Any
) -> Any:
    """Return a plug-in's function with the parameters of its spec bound.

    Each function of a plug-in gets those of the spec's parameters, and of what the caller
    supplies, that it takes. None for a function that is optional and not there.

    Raises:
        InputError: for an unknown plug-in or parameter; raised here, before any data are read.
    """
    check(kind, spec)
    plugin = load(kind, spec["use"])
    if optional and not hasattr(plugin, function):
        return None
    found = getattr(plugin, function)
    takes = inspect.signature(found).parameters
    given = supplied | options(spec)
    return functools.partial(found, **{key: given[key] for key in given if key in takes})


@functools.cache
def constant(kind: str, name: str, constant: str) -> Any:
    """Read a literal module-level constant of a plug-in from its source."""
    path = find(kind, name)
    for node in tree(path).body:
        targets = getattr(node, "targets", [getattr(node, "target", None)])
        if isinstance(node, ast.Assign | ast.AnnAssign) and ast.unparse(targets[0]) == constant:
            return ast.literal_eval(node.value or ast.Constant(None))
    raise InputError(f"{shown(path)} defines no {constant}")


def module(kind: str, name: str) -> str:
    """Dotted module of a plug-in."""
    return f"fedsieve.{kind}.{name}"


def file_of(kind: str, spec: Mapping[str, Any]) -> str:
    """A plug-in's file, short, as messages about what it returned name it."""
    return f"{kind}/{spec['use']}.py"


def near(name: object, known: Iterable[object]) -> str:
    """Suggest the name that was probably meant, and list all, as the end of a message."""
    names = [str(k) for k in known]
    close = difflib.get_close_matches(str(name), names, 1)
    guess = f" (did you mean {close[0]!r}?)" if close else ""
    return f"{guess}; known here: {', '.join(names) or 'none'}"


def options(spec: Mapping[Any, Any]) -> dict[Any, Any]:
    """Keyword arguments in a spec: all but ``use``."""
    return {key: value for key, value in spec.items() if key != "use"}


def check(kind: str, spec: Mapping[str, Any]) -> None:
    """Raise InputError unless the spec names a plug-in and only parameters that it takes.

    Read from the source, so neither the plug-in nor what it imports is loaded.
    """
    if "use" not in spec:
        raise InputError(f"a {kind.removesuffix('s')} needs the key 'use' with its name: {spec}")
    name = spec["use"]
    path = find(kind, name)
    taken, required = parameters(path, CONTRACTS[kind])
    given = set(options(spec))
    if unknown := sorted(given - taken):
        raise InputError(
            f"{shown(path)}: unknown parameter {unknown[0]!r}{near(unknown[0], sorted(taken))}"
        )
    if missing := sorted(required - given):
        raise InputError(f"{name!r} needs {missing[0]!r} ({shown(path)})")


@functools.cache
def parameters(path: Path, functions: tuple[str, ...]) -> tuple[frozenset[str], frozenset[str]]:
    """Spec parameters of a plug-in: the keyword-only arguments of its contract's functions.

    Returns:
        All names, and those without a default. Arguments that the caller supplies itself
        (``rng``, ``n_clients``, ...) are no spec parameters.
    """
    supplied = {"rng", "common", "n_clients", "n_classes", "exchange", "judgement"}
    taken: dict[str, bool] = {}
    for node in defined(path, functions):
        for argument, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True):
            taken[argument.arg] = taken.get(argument.arg, False) or default is None
    names = frozenset(taken) - supplied
    return names, frozenset(name for name in names if taken[name])


def find(kind: str, name: str) -> Path:
    """The file of a plug-in.

    Raises:
        InputError: where there is none, or more than one.
    """
    files = [place / f"{name}.py" for place in places(kind)]
    if name not in available(kind):
        raise InputError(
            f"no {kind.removesuffix('s')} named {name!r}, there is no "
            f"{' nor '.join(map(shown, files))}{near(name, available(kind))}"
        )
    found = [path for path in files if path.is_file()]
    if len(found) > 1:
        both = " and ".join(map(shown, found))
        raise InputError(f"{name!r} is the name of {both}; rename yours")
    return found[0]


def defined(path: Path, names: tuple[str, ...]) -> list[ast.FunctionDef]:
    """Those functions of these names that a plug-in's file defines itself."""
    body = tree(path).body
    return [node for node in body if isinstance(node, ast.FunctionDef) and node.name in names]


@functools.cache
def tree(path: Path) -> ast.Module:
    """Syntax tree of a file; what is no Python is an InputError with file and line."""
    try:
        return ast.parse(path.read_bytes(), filename=str(path))
    except SyntaxError as error:
        raise InputError(f"{shown(path)}:{error.lineno}: {error.msg}") from None


def shown(path: Path) -> str:
    """A plug-in's file as messages name it."""
    inside = path.is_relative_to(PACKAGE)
    return f"src/fedsieve/{path.relative_to(PACKAGE)}" if inside else str(path)
