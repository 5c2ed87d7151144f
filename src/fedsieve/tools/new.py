"""Write a plug-in to start from: the example of its kind in docs/extend.md, under a new name."""

import re
from pathlib import Path

from fedsieve import registry
from fedsieve.errors import InputError
from fedsieve.provenance import ROOT
from fedsieve.registry import near

EXAMPLES = ROOT.parent / "docs/extend.md"
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
        raise InputError(f"no kind of plug-in named {kind!r}{near(kind, known)}")
    if not re.fullmatch(r"[a-z]\w*", name):
        raise InputError(f"name: {name!r} is no name of a Python module in lower case")
    path = folder / kinds / f"{name}.py"
    if path.exists() or name in registry.available(kinds):
        raise InputError(f"{path}: there is a plug-in of this name; choose another")
    model, code, settings = example(kinds)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(code)
    print(f"wrote {path}; in a configuration:\n")
    labeled = settings.replace(model.replace("_", "-"), name.replace("_", "-"))
    print(re.sub(rf"use: {model}\b", f"use: {name}", labeled))
    elsewhere = f"FEDSIEVE_PLUGINS={folder} " if folder != registry.PACKAGE else ""
    print(f"test it: {elsewhere}.venv/bin/python -m pytest tests/contracts -k {name}")
    print("what its functions get and return: docs/extend.md")


def example(kinds: str) -> tuple[str, str, str]:
    """Name, code and configuration of the example of a kind of plug-in.

    Raises:
        InputError: where FedSieve was installed without its documentation.
    """
    if not EXAMPLES.is_file():
        raise InputError(f"{EXAMPLES} is missing; use a clone of the repository")
    found = re.search(_EXAMPLE.format(kind=kinds), EXAMPLES.read_text(), re.M | re.S)
    if found is None:
        raise InputError(f"{EXAMPLES}: no example of {kinds}")
    return found[1], found[2], found[3]
