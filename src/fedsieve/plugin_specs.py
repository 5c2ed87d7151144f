"""What a plug-in's file says of itself, for whoever checks a configuration.

Apart from ``registry``, which binds plug-ins, so that checks are no part of any result's digest.
Standard library only, and nothing is imported: the Snakefile checks whenever it is parsed.
"""

import ast
import functools
import symtable
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fedsieve import registry
from fedsieve.errors import InputError

OPTIONAL = {"repair", "init", "judge", "broadcast", "report", "personal", "local_loss", "learn"}
"""Functions that a sanitizer or a detector may do without."""


def declared(kind: str, name: Any, said: str) -> Any:
    """What a plug-in's file says of itself by a constant; None where it says nothing."""
    try:
        return registry.constant(kind, name, said) if isinstance(name, str) else None
    except (InputError, ValueError):  # no such file, no such constant, or no literal
        return None


@functools.cache
def missing(kind: str, path: Path) -> tuple[str, ...]:
    """Say which functions a plug-in still needs, each in a message; imported ones count."""
    body = registry.tree(path).body
    if any(isinstance(node, ast.ImportFrom) and node.names[0].name == "*" for node in body):
        return ()
    symbols = symtable.symtable(path.read_text(encoding="utf-8"), str(path), "exec").get_symbols()
    names = {each.get_name() for each in symbols if each.is_assigned() or each.is_imported()}
    functions = sorted(node.name for node in body if isinstance(node, ast.FunctionDef))
    optional = OPTIONAL if kind in ("sanitizers", "detectors") else set()
    return tuple(
        f"{registry.shown(path)} defines no {name!r}{registry.near(name, functions)}"
        for name in registry.CONTRACTS[kind]
        if name not in names | optional
    )


def positional(kind: str, path: Path, parameter: object) -> str | None:
    """The function of a plug-in that has a parameter where it can be no key, before ``*``."""
    having = (
        node.name
        for node in registry.defined(path, registry.CONTRACTS[kind])
        if parameter in {argument.arg for argument in node.args.args}
    )
    return next(having, None)


@functools.cache
def types(path: Path, functions: tuple[str, ...]) -> Mapping[str, ast.expr]:
    """Annotations of a plug-in's spec parameters, as far as there are any."""
    return {
        argument.arg: argument.annotation
        for node in registry.defined(path, functions)
        for argument in node.args.kwonlyargs
        if argument.annotation is not None
    }
