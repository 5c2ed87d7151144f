"""Read configuration files, and find what is lost or changed in meaning where YAML is parsed.

YAML's parsers keep the last of two equal keys, and read 010 as 8 and 1:30 as 90, without a word.
Imported by the Snakefile, hence the standard library and PyYAML only.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from fedsieve.errors import InputError
from fedsieve.schema import shown

_MERGE = "tag:yaml.org,2002:merge"
"""Of the key <<, which counts wherever it stands."""

_NUMBERS = {"tag:yaml.org,2002:int", "tag:yaml.org,2002:float"}

_PLAIN = re.compile(
    r"[-+]?(0|[1-9][0-9_]*)|0[xX][0-9a-fA-F_]+|[-+]?0?[0-9_]*\.[0-9_]*(e[-+]\d+)?", re.I
)
"""Numbers that mean in YAML what everybody takes them for; .inf and .nan are found elsewhere."""


def read_configuration(path: Path) -> dict[str, Any]:
    """Return the content of a configuration file, YAML or JSON.

    Raises:
        InputError: where it is missing, no YAML, no mapping, or says something twice.
    """
    try:
        check_files([path])
        with path.open(encoding="utf-8") as file:
            found = yaml.safe_load(file)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path}: no YAML: {error}") from error
    if not isinstance(found, dict):
        raise InputError(f"{path}: holds no keys at its top level")
    return found


def check_files(paths: Iterable[Path]) -> None:
    """Raise InputError where a configuration file says something twice, or other than it looks.

    Files that cannot be parsed at all are left to their reader.
    """
    found = [f"{path}: {problem}" for path in paths for problem in _problems(path)]
    if found:
        raise InputError("\n".join(f"  {line}" for line in found))


def _problems(path: Path) -> Iterator[str]:
    text = path.read_text(encoding="utf-8")
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        yield from _twice_in_json(text)
        return
    if root is not None:
        yield from _of(root, (), set())


def _of(node: yaml.Node, key: tuple[Any, ...], seen: set[int]) -> Iterator[str]:
    """Yield the problems of a node and of those below; what an alias repeats is looked at once."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        first: dict[tuple[str, str], yaml.Node] = {}
        for name, value in node.value:
            inner = (*key, name.value if isinstance(name, yaml.ScalarNode) else "?")
            said = first.setdefault((name.tag, str(name.value)), name)
            if said is not name and name.tag != _MERGE:
                lines = f"in lines {_line(said)} and {_line(name)}"
                lost = "the last alone would count; remove or rename one"
                yield f"{shown(inner)} stands there twice, {lines}: {lost}"
            yield from _of(name, inner, seen)
            yield from _of(value, inner, seen)
    elif isinstance(node, yaml.SequenceNode):
        for number, each in enumerate(node.value):
            yield from _of(each, (*key, number), seen)
    elif node.tag in _NUMBERS and not _PLAIN.fullmatch(node.value):
        yield from _misread(node, key)


def _misread(node: yaml.Node, key: tuple[Any, ...]) -> Iterator[str]:
    meant = yaml.SafeLoader("").construct_object(node)
    if str(node.value).lstrip("+-").lower() not in (".inf", ".nan"):
        wrong = f"line {_line(node)}: YAML reads {node.value} as {meant}"
        yield f"{shown(key)}, {wrong}; write the number in decimals, or quote it if it is text"


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _twice_in_json(text: str) -> list[str]:
    """The same of JSON that is no YAML, such as with tabs; without lines, which no reader gives."""
    found: list[str] = []

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        counted = Counter(name for name, _ in pairs)
        twice = [name for name, times in counted.items() if times > 1]
        found.extend(f"{name} stands in one mapping twice; remove or rename one" for name in twice)
        return dict(pairs)

    try:
        json.loads(text, object_pairs_hook=once)
    except ValueError:
        return []
    return found
