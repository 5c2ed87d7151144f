"""Say in plain words where a configuration departs from its schema, and what the schema wants.

Imported by the Snakefile, hence the standard library and jsonschema only.
"""

import functools
import math
import re
import reprlib
import sys
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import jsonschema

from fedsieve.registry import near

Key = tuple[Any, ...]
"""Where in the configuration, e.g. ("grids", "demo", "ratio", 0)."""

Problem = tuple[Key, str]
"""A key, and what is wrong with it."""

_KINDS = {
    "object": "a mapping of keys",
    "array": "a list",
    "string": "text",
    "boolean": "true or false",
    "null": "null",
}
_BOUNDS = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
_EXPONENT = re.compile(r"[-+]?\d+\.?\d*[eE][-+]?\d{1,2}")


def misfits(config: Any, schema: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield all violations of the schema by a configuration, or by a part of one.

    Stricter than JSON: 1.0 is no whole number, since it would be another path than 1, and
    infinity and NaN are no numbers.
    """
    for error in _validator()(schema).iter_errors(config):
        yield from _explain(error)


def demand(schema: Mapping[str, Any]) -> str:
    """Say what a part of the schema allows: "a whole number >= 1"."""
    if "anyOf" in schema:
        return " or ".join(map(demand, schema["anyOf"]))
    if "enum" in schema:
        *most, last = map(str, schema["enum"])
        return f"{', '.join(most)} or {last}" if most else last
    if isinstance(schema["type"], list):
        return " or ".join(demand({**schema, "type": kind}) for kind in schema["type"])
    if schema["type"] in ("integer", "number"):
        kind = "a whole number" if schema["type"] == "integer" else "a number"
        bounds = [f"{sign} {schema[name]}" for name, sign in _BOUNDS.items() if name in schema]
        return " ".join([kind, " and ".join(bounds)]).strip()
    if schema["type"] == "array":
        items = f", each entry {demand(schema['items'])}" if schema.get("items") else ""
        return _KINDS["array"] + _length(schema) + items
    return _KINDS[schema["type"]]


def shown(key: Key) -> str:
    """Write a key as users know it: ``grids.demo.ratio[0]``."""
    return "".join(f".{k}" if isinstance(k, str) else f"[{k}]" for k in key).removeprefix(".")


def exponents(value: object) -> Iterator[str]:
    """Yield, with the remedy, the numbers that YAML 1.1 reads as text, such as 1e-2."""
    if isinstance(value, str) and _EXPONENT.fullmatch(value):
        yield f"{value!r}, which YAML reads as text: write {Decimal(value):f}"
    elif isinstance(value, Mapping | list):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from exponents(inner)


def _length(schema: Mapping[str, Any]) -> str:
    """How many entries a list may have, where there is a most."""
    if "maxItems" not in schema:
        return ""
    least, most = schema.get("minItems", 0), schema["maxItems"]
    return f" of {least} entries" if least == most else f" of {least} to {most} entries"


@functools.cache
def _validator() -> Any:
    """Of schemas, with types as they are meant here; to make one takes milliseconds."""
    plain = jsonschema.Draft202012Validator
    types = plain.TYPE_CHECKER.redefine("integer", _is_integer).redefine("number", _is_number)
    return jsonschema.validators.extend(plain, type_checker=types)


def _explain(error: jsonschema.ValidationError) -> Iterator[Problem]:
    """Word one violation for somebody who has never seen a schema."""
    key: Key = tuple(error.absolute_path)
    value: Any = error.instance
    schema: Any = error.schema
    if "propertyNames" in error.absolute_schema_path:
        yield (*key, value), _label_fault(error)
    elif error.validator == "additionalProperties":
        known = schema["properties"]
        yield from (((*key, k), f"unknown key{near(k, known)}") for k in value if k not in known)
    elif error.validator == "required":
        missing = [name for name in schema["required"] if name not in value]
        yield from (((*key, name), f"is missing{_meaning(schema, name)}") for name in missing)
    elif error.validator == "uniqueItems":
        twice = next(v for i, v in enumerate(value) if v in value[:i])
        yield key, f"lists {twice!r} twice; remove one"
    elif error.validator in ("minItems", "minProperties", "minLength") and not value:
        yield key, "must not be empty"
    else:
        wrong = next(exponents(value), "empty" if value is None else reprlib.repr(value))
        yield key, f"must be {demand(schema)}, not {wrong}"


def _label_fault(error: jsonschema.ValidationError) -> str:
    if error.validator == "type":
        return f"a key must be text, and YAML reads this one as {error.instance!r}; quote it"
    if error.validator == "not":
        return "not possible as a label: results have a directory of that name; choose another"
    return (
        "a label is made of lower-case letters, digits and any of _ + . - and starts with a letter "
        "or digit, since paths are made of it and some file systems ignore case"
    )


def _meaning(schema: Mapping[str, Any], name: str) -> str:
    part = schema.get("properties", {}).get(name, {})
    return f": {part['description']}" if "description" in part else ""


def _is_integer(_: object, value: object) -> bool:
    if not isinstance(value, int) or isinstance(value, bool):
        return False
    return abs(value) <= sys.float_info.max  # as a float it would be infinite


def _is_number(_: object, value: object) -> bool:
    return _is_integer(_, value) or (isinstance(value, float) and math.isfinite(value))
