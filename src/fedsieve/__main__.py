"""``python -m fedsieve NAME ...``: run a stage of the workflow, or a tool that reads its results.

The command line follows from the function's signature: keyword-only parameters are flags. Only
the module asked for is imported.
"""

import argparse
import ast
import importlib
import inspect
import io
import json
import os
import sys
import typing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

from fedsieve.errors import InputError
from fedsieve.paths import home

PACKAGE = Path(__file__).parent


def main(arguments: Sequence[str]) -> int:
    """Run the function named first; 0 on success, 1 for bad input, 2 for a wrong command line."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(overview())
        return 0
    name, *flags = arguments
    folder = next((f for f in ("stages", "tools") if name in summaries(f)), None)
    if folder is None:
        print(f"fedsieve: no stage or tool named {name!r}\n\n{overview()}", file=sys.stderr)
        return 2
    function = getattr(importlib.import_module(f"fedsieve.{folder}.{name}"), name)
    try:
        given = vars(parser(function).parse_args(flags))
        if "device" in given:
            importlib.import_module("fedsieve.cards").make_ready(given["device"])
        function(**given)
    except InputError as error:
        print(f"fedsieve {name}: error: {error}", file=sys.stderr)
        return 1
    except FileNotFoundError as error:
        lost = f"{error.filename} is missing; does another run remake it? Give the command again"
        print(f"fedsieve {name}: error: {lost}", file=sys.stderr)
        return 1
    return 0


def summaries(folder: str) -> dict[str, str]:
    """Each of ``stages`` or ``tools`` with its module's first line, read without importing it."""
    found = sorted((PACKAGE / folder).glob("[!_]*.py"))
    return {
        p.stem: (ast.get_docstring(ast.parse(p.read_text(encoding="utf-8"))) or "").split("\n")[0]
        for p in found
    }


def overview() -> str:
    """Text of ``--help``."""
    tools, stages = summaries("tools"), summaries("stages")
    width = max(map(len, tools | stages))
    return "\n".join(
        [
            "usage: python -m fedsieve NAME ...",
            "       python -m fedsieve NAME --help",
            "",
            "Tools, which read what the workflow has made:",
            *(f"  {name:<{width}}  {line}" for name, line in tools.items()),
            "",
            "Stages, each a rule of the workflow; `snakemake -np` prints their command lines:",
            *(f"  {name:<{width}}  {line}" for name, line in stages.items()),
        ]
    )


def parser(function: Callable[..., None]) -> argparse.ArgumentParser:
    """Derive the command line of a stage or tool from the signature of its function."""
    made = argparse.ArgumentParser(
        prog=f"python -m fedsieve {function.__name__}",
        description=inspect.getdoc(function),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    hints = typing.get_type_hints(function)
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is not parameter.KEYWORD_ONLY:
            made.add_argument(name, **_reading(hints[name]) | {"metavar": name.upper()})
            continue
        required = parameter.default is parameter.empty
        made.add_argument(
            "--" + name.replace("_", "-"),
            required=required,
            default=None if required else parameter.default,
            **_reading(hints[name]),
        )
    return made


def _reading(hint: Any) -> dict[str, Any]:
    """How argparse reads a parameter of this type."""
    if typing.get_origin(hint) in (list, Sequence):
        return {"nargs": "*", "type": _read(typing.get_args(hint)[0]), "metavar": "VALUE"}
    if typing.get_origin(hint) is dict:
        return {"type": _json, "metavar": "JSON"}
    return {"type": _read(hint), "metavar": hint.__name__.upper()}


def _read(hint: Any) -> Callable[[str], Any]:
    """How one value of this type is read; a shell leaves the ~ of ``--results=~/x``."""
    return home if hint is Path else hint


def _json(text: str) -> dict[str, Any]:
    content = json.loads(text)
    if not isinstance(content, dict):
        raise argparse.ArgumentTypeError(f"not a JSON object: {text}")
    return content


if __name__ == "__main__":
    if "PYTHONIOENCODING" not in os.environ:  # tables have letters that some locales lack
        for stream in (sys.stdout, sys.stderr):
            cast(io.TextIOWrapper, stream).reconfigure(encoding="utf-8", errors="surrogateescape")
    sys.exit(main(sys.argv[1:]))
