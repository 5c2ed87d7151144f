"""``python -m fedsieve STAGE --flag ...``: run one stage; its flags are its function's arguments.

Only the module of the stage asked for is imported.
"""

import argparse
import ast
import importlib
import inspect
import json
import sys
import typing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fedsieve.errors import InputError

STAGES = Path(__file__).parent / "stages"


def main(arguments: Sequence[str]) -> int:
    """Run the stage named first; 0 on success, 1 for bad input, 2 for a wrong command line."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(overview())
        return 0
    name, *flags = arguments
    if name not in stages():
        print(f"fedsieve: no stage named {name!r}\n\n{overview()}", file=sys.stderr)
        return 2
    stage = getattr(importlib.import_module(f"fedsieve.stages.{name}"), name)
    try:
        stage(**vars(parser(stage).parse_args(flags)))
    except InputError as error:
        print(f"fedsieve {name}: error: {error}", file=sys.stderr)
        return 1
    return 0


def stages() -> dict[str, str]:
    """Every stage with the first line of its module's docstring, read without importing it."""
    found = sorted(path for path in STAGES.glob("[!_]*.py"))
    return {
        p.stem: (ast.get_docstring(ast.parse(p.read_text())) or "").split("\n")[0] for p in found
    }


def overview() -> str:
    """Text of ``--help``."""
    width = max(map(len, stages()))
    lines = [f"  {name:<{width}}  {line}" for name, line in stages().items()]
    return "\n".join(
        [
            "usage: python -m fedsieve STAGE --flag VALUE ...",
            "       python -m fedsieve STAGE --help",
            "",
            "Stages, each a rule of the workflow; `snakemake -np` prints their command lines:",
            *lines,
        ]
    )


def parser(stage: Callable[..., None]) -> argparse.ArgumentParser:
    """Derive the command line of a stage from the signature of its function."""
    made = argparse.ArgumentParser(
        prog=f"python -m fedsieve {stage.__name__}",
        description=inspect.getdoc(stage),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    hints = typing.get_type_hints(stage)
    for name, parameter in inspect.signature(stage).parameters.items():
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
    if typing.get_origin(hint) is list:
        return {"nargs": "*", "type": typing.get_args(hint)[0], "metavar": "VALUE"}
    if typing.get_origin(hint) is dict:
        return {"type": _json, "metavar": "JSON"}
    return {"type": hint, "metavar": hint.__name__.upper()}


def _json(text: str) -> dict[str, Any]:
    content = json.loads(text)
    if not isinstance(content, dict):
        raise argparse.ArgumentTypeError(f"not a JSON object: {text}")
    return content


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
