"""Paths as users write them: with ~, $VARIABLES and any letters.

Standard library only: the Snakefile imports it.
"""

import contextlib
import os
import re
from pathlib import Path

from fedsieve.errors import InputError

_UNKNOWN = re.compile(r"^~[^/]*|\$(\w+|\{[^}]*\})")


def written(text: str) -> str:
    """A path as a file in UTF-8 has it, in the letters by which this process finds it.

    The same text, unless the locale has another encoding of file names than UTF-8.
    """
    return os.fsdecode(text.encode("utf-8", "surrogateescape"))


def expanded(text: str, below: Path = Path()) -> Path:
    """A path with ~ and $VARIABLES filled in, as a shell does; relative to a folder.

    Raises:
        InputError: where it names a variable or a user that there is not.
    """
    filled = os.path.expandvars(home(text))
    path = below / filled
    if (unknown := _UNKNOWN.search(filled)) and not path.exists():
        raise InputError(
            f"{text}: there is no variable or user {unknown[0]}; set the variable, or write the "
            "path without it"
        )
    return path


def home(text: str) -> Path:
    """A path with ~ filled in; as it is where there is no such user."""
    path = Path(text)
    with contextlib.suppress(RuntimeError):
        path = path.expanduser()
    return path
