"""Text is UTF-8 wherever it is read or written, whatever the locale of whoever runs it."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("src", "benchmarks", "docs", "envs", "tests")
SOURCES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
RULES = [ROOT / "workflow/Snakefile", *sorted((ROOT / "workflow/rules").glob("*.smk"))]
OTHERS = {"tarfile", "Image", "os", "zipfile", "artifacts"}
"""Modules with functions called open or write_text that read no text, or state UTF-8 themselves."""

NO_UTF8 = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def unstated(source):
    """Lines of code that read or write text in whatever encoding the locale has."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [f"{call.lineno}: {ast.unparse(call)[:70]}" for call in calls if _unstated(call)]


def _unstated(call):
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    name, owner, first = getattr(call.func, "id", ""), "", 1
    if isinstance(call.func, ast.Attribute):
        name, owner, first = call.func.attr, getattr(call.func.value, "id", ""), 0
    if {"text", "universal_newlines"} & given.keys() and name in ("run", "Popen", "check_output"):
        return True
    if "encoding" in given or owner in OTHERS:
        return False
    if name in ("read_text", "write_text"):
        return isinstance(call.func, ast.Attribute)
    opening = {"open": first, "fdopen": 1, "NamedTemporaryFile": 0, "TemporaryFile": 0}
    if name not in opening:
        return name == "TextIOWrapper"
    place = 1 if owner == "gzip" else opening[name]
    mode = given.get("mode", call.args[place] if len(call.args) > place else None)
    letters = ast.unparse(mode) if mode else "b" if owner == "gzip" else "r"
    return "b" not in letters


@pytest.mark.parametrize(
    "code",
    [
        "path.read_text()",
        "path.write_text(text)",
        "path.open()",
        "path.open('a')",
        "open(path, 'w')",
        "gzip.open(path, 'rt')",
        "subprocess.run(command, text=True)",
        "subprocess.Popen(command, universal_newlines=True)",
        "NamedTemporaryFile('w')",
        "io.TextIOWrapper(raw)",
    ],
)
def test_text_without_an_encoding_is_found(code):
    assert unstated(code)
    known = code.replace("text=True", "").replace("universal_newlines=True", "")
    assert not unstated(f"{known[:-1].rstrip(', ')}, encoding='utf-8')".replace("(, ", "("))


@pytest.mark.parametrize(
    "code",
    [
        "path.open('rb')",
        "path.open('ab' if more else 'wb')",
        "gzip.open(path)",
        "tarfile.open(path, 'w:gz')",
        "write_text(path, text)",
    ],
)
def test_what_reads_bytes_needs_none(code):
    assert not unstated(code)


def test_every_encoding_is_stated():
    found = {str(path.relative_to(ROOT)): unstated(path.read_bytes()) for path in SOURCES}
    assert len(found) > 150
    assert {path: lines for path, lines in found.items() if lines} == {}


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.name)
def test_every_encoding_of_the_workflow_is_stated(path):
    code = path.read_text(encoding="utf-8")
    opened = re.findall(r"(?:\.(?:read_text|write_text|open)|\bopen)\([^()]*\)|text=True", code)
    assert [call for call in opened if "encoding=" not in call] == []


def test_names_are_printed_as_they_are_where_the_locale_lacks_their_letters(tmp_path):
    command = [
        sys.executable,
        "-m",
        "fedsieve",
        "new",
        "aggregator",
        "mine",
        "--folder",
        "s\u00e4ch \u2020",
    ]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONIOENCODING"} | NO_UTF8
    environment["PYTHONPATH"] = str(ROOT / "src")
    done = subprocess.run(command, env=environment, capture_output=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert "wrote s\u00e4ch \u2020/aggregators/mine.py".encode() in done.stdout
