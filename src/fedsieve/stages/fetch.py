"""Make sure that a data set lies in the data root, verified; download what is missing."""

from pathlib import Path
from typing import Any

from fedsieve import registry
from fedsieve.artifacts import write_json
from fedsieve.checks import check_receipt


def fetch(*, dataset: dict[str, Any], root: Path, receipt: Path) -> None:
    """Verify or download a data set, and write the SHA-256 of each of its files.

    Args:
        dataset: Plug-in and parameters (config ``tasks.*.dataset``).
        root: Data root, where data sets lie in their publishers' own layout.
        receipt: Written: file name to SHA-256.
    """
    files = registry.bind("datasets", dataset, "fetch")(root)
    check_receipt(registry.file_of("datasets", dataset), files)
    write_json(receipt, {"dataset": dataset["use"], "files": files})
