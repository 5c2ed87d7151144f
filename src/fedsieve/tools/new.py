"""Write a plug-in to start from: the example of its kind in docs/extend.md, under a new name."""

import json
import re
import shlex
from pathlib import Path

from fedsieve import registry
from fedsieve.errors import InputError
from fedsieve.provenance import ROOT
from fedsieve.registry import near

EXAMPLES = ROOT.parent / "docs/extend.md"
RUN = (
    ".venv/bin/snakemake results/tables/mine.txt --cores 2 "
    "--configfile config/demo.yaml config/mine.yaml"
)
_EXAMPLE = r"^`src/fedsieve/{kind}/(\w+)\.py`\n\n```python\n(.*?)^```\n\n```yaml\n(.*?)^```"


def new(kind: str, name: str, *, folder: Path = registry.PACKAGE) -> None:
    """Write a plug-in that works, and print what to put into a configuration and how to test it.

    Args:
        kind: aggregator, attack, dataset, detector, model, partition or sanitizer.
        name: Of its file, which is what ``use:`` names.
        folder: Where the folder of its kind lies; another one than the package's must stand under
            ``plugins:`` in the configuration.
    """
    kinds = f"{kind.removesuffix('s')}s"
    if kinds not in registry.CONTRACTS:
        known = [known.removesuffix("s") for known in registry.CONTRACTS]
        parts = ": it is made of a sanitizer, a detector and an aggregator" * (kinds == "defenses")
        raise InputError(f"no kind of plug-in named {kind!r}{parts}{near(kind, known)}")
    if not re.fullmatch(r"[a-z]\w*", name):
        raise InputError(f"name: {name!r} is no name of a Python module in lower case")
    path = folder / kinds / f"{name}.py"
    if path.exists() or name in registry.available(kinds):
        taken = path if path.exists() else registry.find(kinds, name)
        raise InputError(f"name: {taken} is a plug-in of this name; choose another")
    model, code, settings = example(kinds)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(code, encoding="utf-8")
    print(f"wrote {path}; save this as config/mine.yaml:\n")
    named = f"plugins: [{json.dumps(str(folder), ensure_ascii=False)}]\n"
    print(named * (folder != registry.PACKAGE) + renamed(settings, model, name))
    elsewhere = f"FEDSIEVE_PLUGINS={shlex.quote(str(folder))} "
    elsewhere *= folder != registry.PACKAGE
    own = f"tests/contracts/test_{kinds}.py -k '[{name}] or -{name}]'"
    print(f"test it: {elsewhere}.venv/bin/python -m pytest {own}")
    print(f"run it:  {RUN}")
    print("what its functions get and return: docs/extend.md")


def renamed(settings: str, before: str, name: str) -> str:
    """A configuration with another plug-in in place of one, and labels called after it."""
    label = name.replace("_", "-")
    named = rf"(use: )?\b({before}|{before.replace('_', '-')})\b"
    return re.sub(named, lambda found: f"use: {name}" if found[1] else label, settings)


def example(kinds: str) -> tuple[str, str, str]:
    """Name, code and configuration of the example of a kind of plug-in.

    Raises:
        InputError: where FedSieve was installed without its documentation.
    """
    if not EXAMPLES.is_file():
        raise InputError(f"{EXAMPLES} is missing; use a clone of the repository")
    found = re.search(
        _EXAMPLE.format(kind=kinds), EXAMPLES.read_text(encoding="utf-8"), re.M | re.S
    )
    if found is None:
        raise InputError(f"{EXAMPLES}: no example of {kinds}")
    return found[1], found[2], found[3]
