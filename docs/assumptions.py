"""Gather every ``ASSUME:`` of the package, where a paper is silent, into docs/assumptions.md.

Usage: python docs/assumptions.py        (as `make assumptions` does; standard library only)
"""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src/fedsieve"
PAGE = ROOT / "docs/assumptions.md"

HEAD = """\
# Assumptions

What FedSieve takes for granted where a paper is silent or contradicts itself. Made by
`make assumptions` from the `ASSUME:` tags in the code; change them there.

| Where | What is assumed |
| --- | --- |
"""

_IN_COMMENT = r"# ASSUME: (?P<comment>.+(?:\n\s*# (?!ASSUME:).+)*)"
_HEADING = r"(?:Args|Returns|Raises|Source|ASSUME):"
_IN_DOCSTRING = rf'ASSUME: (?P<docstring>(?s:.+?))(?=\s*(?:\n\s*\n|"""|\n\s*{_HEADING}))'
_TAG = re.compile(f"{_IN_COMMENT}|{_IN_DOCSTRING}")


def gather(package: Path) -> Iterator[tuple[str, str]]:
    """Yield file and text of each assumption, in the order of the files.

    In a docstring the text ends with its paragraph, or at the next heading or tag; in a comment,
    with the comment.
    """
    for path in sorted(package.rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        for tag in _TAG.finditer(source):
            text = re.sub(r"\s*\n\s*(# )?", " ", tag["comment"] or tag["docstring"])
            yield str(path.relative_to(package)), text


def page(package: Path) -> str:
    """Write the table in Markdown."""
    rows = (
        f"| [{file}](../src/fedsieve/{file}) | {_cell(text)} |\n" for file, text in gather(package)
    )
    return HEAD + "".join(rows)


def _cell(text: str) -> str:
    return text.replace("``", "`").replace("|", r"\|")


if __name__ == "__main__":
    PAGE.write_text(page(PACKAGE), encoding="utf-8")
