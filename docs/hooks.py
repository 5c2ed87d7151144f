"""Lay out the documentation site as the repository, so that links hold in both and are checked.

MkDocs knows the files of one folder, docs. Here they get the paths that they have in the
repository, and the pages at its top stand beside them. Folders get an index, and the package its
API reference, made of the docstrings.
"""

import ast
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src/fedsieve"

OUTSIDE = {
    "README.md": "readme.html",
    "CHANGELOG.md": "changelog.html",
    "CONTRIBUTING.md": "contributing.html",
    "config/README.md": "configuration.html",
    "LICENSE": "LICENSE.txt",
    "CITATION.cff": "CITATION.txt",
}
"""Files outside docs that belong to the site, and their address there."""

FOLDERS = {
    "docs/reproduction": "What was measured, how, and what it shows.",
    "docs/decisions": "Why things are as they are.",
}
"""Folders that get an index, and what it says first."""

Made = tuple[str, str, str]
"""A page that is made here: its path, its address, its content."""

LINK = re.compile(r"\]\(([^)#\s:]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Give files their paths in the repository, and add what lies elsewhere or is made here."""
    for file in list(files):
        if file.src_dir == config.docs_dir:
            files.remove(file)
            files.append(_placed(f"docs/{file.src_uri}", config, file.dest_uri))
    for path, address in OUTSIDE.items():
        files.append(_placed(path, config, address))
    for path, address, content in (*_indexes(), *_api()):
        made = File.generated(config, path, content=content)
        made.dest_uri, made.name = address, PurePosixPath(address).stem
        files.append(made)
    named = set(re.findall(r"[\w/-]+\.md", str(config.nav)))
    config.nav = _expanded(config.nav or [], sorted(set(files.src_uris) - named))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links to folders into links to their index, and links to modules into their API."""
    folder = posixpath.dirname(page.file.src_uri)

    def resolved(link: re.Match[str]) -> str:
        path = ROOT / posixpath.normpath(posixpath.join(folder, link[1]))
        if path.is_relative_to(PACKAGE) and path.suffix == ".py":
            return f"][{_module(path)}]"
        return f"]({link[1].rstrip('/')}/README.md)" if path.is_dir() else link[0]

    return LINK.sub(resolved, markdown)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Begin a line with each tag of a docstring that Markdown would run on."""
    return re.sub(r"\n(Source|ASSUME):", r"<br>\n\1:", html)


def _placed(path: str, config: MkDocsConfig, address: str) -> File:
    """A file of the repository, by its path there."""
    file = File(path, str(ROOT), config.site_dir, config.use_directory_urls, dest_uri=address)
    file.name = PurePosixPath(address).stem  # or each README would be the index of its section
    return file


def _expanded(entries: list[Any], others: list[str]) -> list[Any]:
    """Replace ``folder/*.md`` in the navigation by the folder's pages that it names nowhere."""
    found: list[Any] = []
    for entry in entries:
        if isinstance(entry, dict):
            ((title, below),) = entry.items()
            found.append({title: below if isinstance(below, str) else _expanded(below, others)})
        elif "*" in entry:
            found += [path for path in others if PurePosixPath(path).match(entry)]
        else:
            found.append(entry)
    return found


def _indexes() -> Iterator[Made]:
    """Index of each folder: its pages by their titles."""
    for folder, says in FOLDERS.items():
        pages = sorted((ROOT / folder).glob("*.md"))
        titles = (f"- [{_title(page)}]({page.name})" for page in pages)
        name = PurePosixPath(folder).name
        content = "\n".join([f"# {name.capitalize()}", "", says, "", *titles])
        yield f"{folder}/README.md", f"{name}/index.html", content


def _title(page: Path) -> str:
    return page.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")


def _api() -> Iterator[Made]:
    """Pages of the API: for each folder of the package, for each module at its top, and a list."""
    folders = sorted(path.parent for path in PACKAGE.glob("*/__init__.py"))
    for folder in folders:
        content = _reference(folder.name, _modules(folder))
        yield f"src/fedsieve/{folder.name}/README.md", f"api/{folder.name}.html", content
    for path in _modules(PACKAGE):
        yield f"src/fedsieve/{path.stem}.md", f"api/{path.stem}.html", _reference(path.stem, [path])
    yield "src/fedsieve/README.md", "api/index.html", _overview([*folders, PACKAGE])


def _reference(title: str, modules: list[Path]) -> str:
    return "\n".join([f"# {title}", "", *(f"::: {_module(path)}" for path in modules)])


def _overview(folders: list[Path]) -> str:
    """List every module with the first line of its docstring."""
    lines = ["# API", "", "Made of the docstrings in the source."]
    for folder in folders:
        lines += ["", f"## {folder.name}", "", "| module | in a line |", "| --- | --- |"]
        lines += [f"| [{p.stem}][{_module(p)}] | {_summary(p)} |" for p in _modules(folder)]
    return "\n".join(lines)


def _modules(folder: Path) -> list[Path]:
    return sorted(folder.glob("[!_]*.py"))


def _module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT / "src").with_suffix("").parts)


def _summary(path: Path) -> str:
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0]
