"""Tell the user what a job found that is no error, but may not be what was meant.

What a job prints goes to its log, which nobody reads unless it fails. Lines that begin with SIGN
the workflow shows in the terminal as well, when the job is done and once more at the end.
Imported by the Snakefile, hence the standard library only.
"""

from collections.abc import Iterable
from pathlib import Path

SIGN = "warning: "

MOST = 20
"""Warnings that one message lists, so that it fits on a screen."""


def warn(text: str) -> None:
    """Print a warning as one line, whatever characters it holds."""
    print(SIGN + "".join(c if c.isprintable() else " " for c in text), flush=True)


def told(logs: Iterable[Path]) -> str:
    """Warnings in those of these logs that there are, each once; "" if there are none."""
    lines = [
        line
        for log in logs
        if log.is_file()
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines()
        if line.startswith(SIGN)
    ]
    found = list(dict.fromkeys(lines))
    more = [f"{SIGN}and {len(found) - MOST} more, in the logs"] * (len(found) > MOST)
    return "".join(f"{line}\n" for line in [*found[:MOST], *more])
