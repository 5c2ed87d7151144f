"""A path or a value with a space, a quote or a bracket stays one word in every shell command."""

import re
from pathlib import Path

import pytest

RULES = sorted((Path(__file__).parents[1] / "workflow/rules").glob("*.smk"))
COMMAND = re.compile(r"shell:\n(?:\s+with_warnings\(\n)?((?:\s+[\"'].*[\"']\n?)+)")
WORD = re.compile(r"(?<!\{)\{([^{}]+)\}(?!\})")
NUMBERS = {"threads"}
"""What Snakemake fills in itself, and never as text."""


def commands(path):
    return COMMAND.findall(path.read_text(encoding="utf-8"))


def unquoted(command):
    """Placeholders and variables of a command that the shell would take apart."""
    placeholders = [w for w in WORD.findall(command) if not w.endswith(":q") and w not in NUMBERS]
    variables = re.findall(r'(?<!")\$\{\{\w+[^}]*\}\}|\$\{\{\w+[^}]*\}\}(?!")', command)
    return placeholders + variables


def test_what_a_shell_would_take_apart_is_found():
    assert unquoted("'python -m x --a {input} --b {params.b:q} --c \"${{C:-c}}\" {threads}'") == [
        "input"
    ]
    assert unquoted("' --root ${{C:-c}} > {log:q}'") == ["${{C:-c}}"]


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.stem)
def test_every_path_and_value_of_a_command_is_quoted(path):
    found = commands(path)
    # each rule that has a command is seen
    assert len(found) == path.read_text(encoding="utf-8").count("shell:\n")
    assert [wrong for command in found for wrong in unquoted(command)] == []
