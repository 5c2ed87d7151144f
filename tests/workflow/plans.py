"""Snakemake's dry runs in many folders, at the price of importing it once.

``python plans.py FILE N FOLDER ... -- ARGUMENT ...`` gives Snakemake the arguments in each folder,
in N folders at a time. What it says goes into the file there.
"""

import os
import sys
from pathlib import Path

from snakemake.cli import main


def run(file, at_a_time, folders, arguments):
    """Run Snakemake in each folder, in a child of this process, until all have ended."""
    running = 0
    for folder in folders:
        if running == at_a_time:
            os.wait()
            running -= 1
        start(file, folder, arguments)
        running += 1
    while running:
        os.wait()
        running -= 1


def start(file, folder, arguments):
    """Start it in one folder; the child does not return."""
    if os.fork():
        return
    os.chdir(folder)
    with Path(file).open("w", encoding="utf-8") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    sys.argv = ["snakemake", *arguments]
    sys.exit(main())


if __name__ == "__main__":
    name, number, *words = sys.argv[1:]
    end = words.index("--")
    run(name, int(number), words[:end], words[end + 1 :])
