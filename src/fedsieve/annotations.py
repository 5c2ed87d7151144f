"""Read the types and ranges of a plug-in's parameters from its source, as JSON schemas.

So parameters are checked, and complained about, as all other keys of a configuration are. Nothing
is imported: the Snakefile checks them whenever the workflow is parsed.
"""

import ast
import contextlib
import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fedsieve import plugin_specs, registry
from fedsieve.errors import InputError

Schema = dict[str, Any]

Nested = tuple[tuple[Any, ...], str, Mapping[Any, Any]]
"""Where in a spec another one stands, of what kind that is, and what it says."""

PLAIN = {"int": "integer", "float": "number", "str": "string", "bool": "boolean"}

LISTS = ("list", "Sequence", "PerJudgement")

BOUNDS = {
    "least": "minimum",
    "most": "maximum",
    "above": "exclusiveMinimum",
    "below": "exclusiveMaximum",
}
LENGTHS = {
    "array": {"least": "minItems", "most": "maxItems"},
    "string": {"least": "minLength", "most": "maxLength"},
}
"""Bounds of what is no number: how long it is."""


@functools.cache
def schemas(path: Path, functions: tuple[str, ...]) -> Mapping[str, Schema]:
    """What the annotations of a plug-in's spec parameters allow, as far as there are any.

    {} allows everything: it stands for an annotation that is not known here.

    Raises:
        InputError: where the bounds of a range are no numbers, naming file and parameter.
    """
    return {
        parameter: _parameter(path, parameter, annotation)
        for parameter, annotation in plugin_specs.types(path, functions).items()
    }


def per_judgement(path: Path, functions: tuple[str, ...]) -> list[str]:
    """Parameters of a sanitizer that hold a value for each judgement."""
    return [name for name, found in schemas(path, functions).items() if "perJudgement" in found]


def inner(kind: str, spec: Mapping[Any, Any]) -> Iterator[Nested]:
    """Yield the plug-ins that a spec itself names, in a parameter that holds ``Specs``.

    What is wrong with a spec is left to its check.
    """
    with contextlib.suppress(InputError):
        path = registry.find(kind, str(spec.get("use")))
        for parameter, schema in schemas(path, registry.CONTRACTS[kind]).items():
            given = spec.get(parameter)
            for place, part in enumerate(given if isinstance(given, list) else ()):
                named = isinstance(part, Mapping) and isinstance(part.get("use"), str)
                if "plugins" in schema and named:
                    yield (parameter, place), schema["plugins"], part


def nested(kind: str, spec: Mapping[Any, Any]) -> Iterator[Nested]:
    """Yield the plug-ins that a spec names, as by ``inner``, and those that they name in turn."""
    for key, of, part in inner(kind, spec):
        yield key, of, part
        yield from (((*key, *deeper), k, found) for deeper, k, found in nested(of, part))


def modules(kind: str, spec: Mapping[Any, Any]) -> list[str]:
    """Dotted modules of a plug-in and of those that its spec names."""
    specs = [(kind, spec), *((of, part) for _, of, part in nested(kind, spec))]
    return [registry.module(of, part["use"]) for of, part in specs]


def _parameter(path: Path, parameter: str, annotation: ast.expr) -> Schema:
    try:
        return _schema(annotation, registry.tree(path))
    except ValueError:
        raise InputError(f"{path}: {parameter}: write what bounds it as plain values") from None


def _schema(annotation: ast.expr, tree: ast.Module) -> Schema:
    """Translate an annotation; names that the file or ``ranges`` defines are looked up."""
    match annotation:
        case ast.Constant(value=None):
            return {"type": "null"}
        case ast.Constant(value=str(text)):
            return _quoted(text, tree)
        case ast.Name(id="str"):
            return {"type": "string", "pattern": r"^[^\0]*$"}  # no path holds that character
        case ast.Name(id=name) if name in PLAIN:
            return {"type": PLAIN[name]}
        case ast.Name(id=name) if name in LISTS:
            return {"type": "array"}
        case ast.Name(id=name):
            return _named(name, tree)
        case ast.BinOp(left=one, op=ast.BitOr(), right=other):
            return _either(_schema(one, tree), _schema(other, tree))
        case ast.Subscript(value=of, slice=inner):
            return _subscript(ast.unparse(of).rsplit(".", 1)[-1], inner, tree)
    return {}


def _quoted(text: str, tree: ast.Module) -> Schema:
    try:
        return _schema(ast.parse(text, mode="eval").body, tree)
    except SyntaxError:  # then it is a type of another kind
        return {}


def _named(name: str, tree: ast.Module) -> Schema:
    """What a name stands for that the file assigns, or imports from a module of FedSieve."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return _schema(node.value, tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("fedsieve."):
            there = registry.PACKAGE.joinpath(*str(node.module).split(".")[1:]).with_suffix(".py")
            for alias in node.names:
                if (alias.asname or alias.name) == name and there.is_file():
                    return _schema(ast.Name(alias.name), registry.tree(there))
    return {}


def _subscript(of: str, inner: ast.expr, tree: ast.Module) -> Schema:
    parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
    if of == "Literal":
        return _one_of([ast.literal_eval(part) for part in parts])
    if of == "Optional":
        return _either(_schema(inner, tree), {"type": "null"})
    if of == "Annotated":
        found = _schema(parts[0], tree)
        for part in parts[1:]:
            found = found | _bounds(part, found.get("type"))
        return found
    if of == "PerJudgement":
        items = _schema(inner, tree)
        return {"type": "array", "items": items, "minItems": 1, "perJudgement": True}
    if of in LISTS:
        return {"type": "array", "items": _schema(inner, tree)}
    return {}


def _either(one: Schema, other: Schema) -> Schema:
    if not one or not other:
        return {}
    return {"anyOf": [part for found in (one, other) for part in found.get("anyOf", [found])]}


def _bounds(said: ast.expr, kind: object) -> Schema:
    """What is said beside a type: a range, or the only values that there are."""
    match said:
        case ast.Call(func=ast.Name(id="OneOf"), args=values):
            return _one_of([ast.literal_eval(value) for value in values])
        case ast.Call(func=ast.Name(id="Specs"), args=[ast.Constant(value=str(named_kind))]):
            spec = {
                "type": "object",
                "required": ["use"],
                "properties": {"use": {"type": "string"}},
            }
            return {"items": spec, "minItems": 1, "plugins": named_kind}
        case ast.Call(func=ast.Name(id="Range"), args=values, keywords=named):
            given = dict(zip(BOUNDS, map(ast.literal_eval, values), strict=False))
            given |= {str(part.arg): ast.literal_eval(part.value) for part in named}
            known = LENGTHS.get(str(kind), BOUNDS)
            return {known[name]: bound for name, bound in given.items() if bound is not None}
    return {}


def _one_of(values: list[Any]) -> Schema:
    """Only these, and by type as well: 1.0 and true are not 1."""
    python = {type(value).__name__ for value in values}
    return {"enum": values, "type": sorted(PLAIN[name] for name in python)}
