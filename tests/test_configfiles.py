import json
from pathlib import Path

import pytest
import yaml

from fedsieve.configfiles import check_files, read_configuration
from fedsieve.errors import InputError

ROOT = Path(__file__).parents[1]


def written(tmp_path, text, name="mine.yaml"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def message(path):
    with pytest.raises(InputError) as caught:
        check_files([path])
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "key", "lines"),
    [
        ("defenses:\n  krum: {a: 1}\n  other: {}\n  krum: {a: 2}\n", "defenses.krum", "2 and 4"),
        (
            "tasks:\n  t:\n    rounds: 2\n    cohort: 1\n    rounds: 40\n",
            "tasks.t.rounds",
            "3 and 5",
        ),
        ("run: [a]\ngrids: {}\nrun: [b]\n", "run", "1 and 3"),
        ("a: {b: [1, {c: 1, c: 1}]}\n", "a.b[1].c", "1 and 1"),
        ("'a': 1\na: 2\n", "a", "1 and 2"),  # quotes change nothing
        ("x: &x {k: 1, k: 2}\ny: {<<: *x}\n", "x.k", "1 and 1"),
        ('{"a": 1,\n "a": 2}', "a", "1 and 2"),  # JSON
    ],
)
def test_a_key_that_stands_twice_is_named_with_file_and_both_lines(tmp_path, text, key, lines):
    said = message(written(tmp_path, text))
    assert f"mine.yaml: {key} stands there twice, in lines {lines}" in said


def test_json_with_tabs_is_searched_too(tmp_path):
    path = written(tmp_path, '{\n\t"run": [],\n\t"run": []\n}', "mine.json")
    assert "run stands in one mapping twice" in message(path)


def test_all_files_and_all_their_problems_are_said_at_once(tmp_path):
    one = written(tmp_path, "a: 1\na: 2\nb: [010]\n", "one.yaml")
    two = written(tmp_path, "c: 1\nc: 2\n", "two.yaml")
    with pytest.raises(InputError) as caught:
        check_files([one, two])
    assert len(str(caught.value).splitlines()) == 3


@pytest.mark.parametrize(
    ("text", "meant"),
    [("010", 8), ("-017", -15), ("1:30", 90), ("0b11", 3), ("1:30.5", 90.5), ("00", 0)],
)
def test_a_number_that_yaml_reads_otherwise_than_people_is_refused(tmp_path, text, meant):
    assert yaml.safe_load(text) == meant  # what it would have been
    said = message(written(tmp_path, f"grids:\n  g:\n    seed: [{text}]\n"))
    assert f"grids.g.seed[0], line 3: YAML reads {text} as {meant}" in said


@pytest.mark.parametrize(
    "text",
    [
        "a: [0, 1, -1, +2, 10, 100_000, 0x1F, 0.5, .5, 5., 1.5e-3, -0.0, 0.05, .inf, .nan]",
        "a: ['010', \"1:30\", 089, 2026-12-01, no, 1e-3, v1:30]",  # text, or found by the schema
        "a: &a {b: 1}\nc: {<<: *a, b: 2}\nd: {<<: *a, <<: *a}\n",  # a merged key may be said anew
        "a: {b: 1}\nc: {b: 1}\n",
        "1: a\n'1': b\n",  # a number and a text
        "",
    ],
)
def test_what_is_said_once_and_plainly_passes(tmp_path, text):
    check_files([written(tmp_path, text)])


def test_the_files_of_the_repository_say_nothing_twice():
    paths = [*ROOT.glob("config/**/*.yaml"), *ROOT.glob("profiles/**/*.yaml")]
    assert len(paths) > 10
    check_files(paths)


@pytest.mark.parametrize(
    ("text", "said"), [("- a\n", "no keys"), ("a: [\n", "no YAML"), ("a: 1\na: 2", "twice")]
)
def test_a_file_that_cannot_be_used_is_named(tmp_path, text, said):
    path = written(tmp_path, text)
    with pytest.raises(InputError, match=f"mine.yaml: .*{said}"):
        read_configuration(path)


def test_reading_gives_what_the_file_holds(tmp_path):
    content = {"a": [1, {"b": None}], "ü": "ä"}
    assert read_configuration(written(tmp_path, json.dumps(content))) == content
    with pytest.raises(InputError, match="cannot be read"):
        read_configuration(tmp_path / "missing.yaml")
