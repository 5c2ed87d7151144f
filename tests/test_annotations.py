import inspect
import re

import pytest

from fedsieve import annotations, registry
from fedsieve.errors import InputError
from fedsieve.schema import demand, misfits

SOURCE = """
import typing
from collections.abc import Sequence
from typing import Annotated, Literal, Optional

from fedsieve.ranges import Count, OneOf, PerJudgement, Range, Share, Size, Specs
from fedsieve.ranges import Positive as AboveNothing

Half = Annotated[float, Range(least=0, below=0.5)]
Few = Annotated[Sequence[Count], Range(least=2, most=3)]

def build(in_shape, n_classes, *, parameter: {annotation}): ...
"""


@pytest.fixture
def schema(tmp_path):
    """What an annotation allows, read from a file."""
    paths = (tmp_path / f"model{number}.py" for number in range(9))

    def read(annotation):
        path = next(paths)
        path.write_text(SOURCE.format(annotation=annotation), encoding="utf-8")
        return annotations.schemas(path, ("build",))["parameter"]

    return read


@pytest.mark.parametrize(
    ("annotation", "fitting", "other"),
    [
        ("int", [3, -1], [3.0, True, "3", None, [3], 10**400]),
        ("float", [3, 0.5], [True, "0.5", float("nan"), float("inf"), None, 10**400]),
        ("str", ["", "a"], [1, None, "a\0b"]),
        ("int | None", [3, None], ["3", 0.5]),
        ("Sequence[float]", [[], [1, 0.5]], [1, ["x"], {"a": 1}]),
        ("Sequence[Sequence[int]]", [[[1]]], [[1]]),
        ("list", [[], ["a"]], [1]),
        ("bool", [True], [1, "yes"]),
        ("'int'", [3], ["3", 0.5]),
        ("'int | None'", [3, None], ["3"]),
        ("'no type'", ["anything"], []),
        ("Optional[int]", [3, None], ["3"]),
        ("typing.Optional[float]", [0.5, None], ["0.5"]),
        ("Literal['a', 'b']", ["a", "b"], ["c", 1, None]),
        ("typing.Literal['a']", ["a"], ["b"]),
        ("Literal[1, -2]", [1, -2], [True, 1.0, 2, "1"]),
        ("np.random.Generator", ["anything"], []),
        ("Share", [0, 1, 0.5], [-0.1, 1.01, True, "half", None]),
        ("AboveNothing", [1e-9, 3], [0, -1]),
        ("Half", [0, 0.4], [0.5, -0.1]),
        ("Few", [[1, 2], [1, 2, 3]], [[1], [1, 2, 3, 4], [1, 0]]),
        ("Size | Annotated[str, OneOf('own')]", [1, "own"], [0, 9999, "other"]),
        ("Annotated[int, OneOf(1, 2)]", [1, 2], [3, 1.0, True]),
        ("Annotated[int, Range(3)]", [3], [2]),
        ("Annotated[str, Range(least=1)]", ["a"], [""]),
        ("PerJudgement[Share]", [[0.5], [0, 1]], [[], [2], 0.5]),
        (
            "Annotated[Sequence[dict], Specs('attacks')]",
            [[{"use": "backdoor", "size": 2}]],
            [[], [3], {"use": "backdoor"}, [{"size": 2}], [{"use": 3}], None],
        ),
    ],
)
def test_a_value_fits_an_annotation_or_does_not(schema, annotation, fitting, other):
    wanted = schema(annotation)
    assert [v for v in fitting if list(misfits(v, wanted))] == []
    assert [v for v in other if not list(misfits(v, wanted))] == []


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        ("Share", "a number >= 0 and <= 1"),
        ("Count | None", "a whole number >= 1 and <= 1000000000 or null"),
        ("Annotated[Sequence[int], Range(2, 2)]", "a list of 2 entries, each entry a whole number"),
        ("Annotated[str, OneOf('a', 'b')]", "a or b"),
        ("Few", "a list of 2 to 3 entries, each entry a whole number >= 1 and <= 1000000000"),
    ],
)
def test_a_range_is_told_in_the_words_of_the_schema(schema, annotation, words):
    assert demand(schema(annotation)) == words


def test_bounds_that_cannot_be_read_are_named_and_not_ignored(schema):
    with pytest.raises(InputError, match="parameter: write what bounds it as plain values"):
        schema("Annotated[int, Range(least=LEAST)]")


PARAMETERS = [
    (kind, name, parameter)
    for kind, functions in registry.CONTRACTS.items()
    for name in registry.available(kind)
    for parameter in sorted(registry.parameters(registry.find(kind, name), functions)[0])
]


def bounds(part):
    """Every bound and every only value in a schema."""
    for key, value in part.items():
        if isinstance(value, dict):
            yield from bounds(value)
        elif key == "anyOf":
            for each in value:
                yield from bounds(each)
        elif key == "enum":
            yield from value
        elif key in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "maxItems"):
            yield value


def described(kind, name, parameter):
    """What the docstrings of a plug-in's functions say of a parameter."""
    plugin = registry.load(kind, name)
    said = ""
    for function in registry.CONTRACTS[kind]:
        text = inspect.getdoc(getattr(plugin, function, None)) or ""
        found = re.search(rf"^    {parameter}: (.*?)(?=^    \S|^\S|\Z)", text, re.M | re.S)
        said += found[1] if found else ""
    return said


@pytest.mark.parametrize(("kind", "name", "parameter"), PARAMETERS)
def test_a_docstring_says_the_range_of_each_parameter(kind, name, parameter):
    schema = annotations.schemas(registry.find(kind, name), registry.CONTRACTS[kind])[parameter]
    said = described(kind, name, parameter)
    assert said, f"describe {parameter} under Args: of one of the functions"
    if said.startswith(("See ``", "Trigger, as are")):  # where another attack describes it
        return
    for bound in set(bounds(schema)) - {10**6, 10**9}:
        told = bound if isinstance(bound, str) else f"{bound:g}"
        assert told in said, f"say of {parameter} that it is {demand(schema)}"


FLIP, PATCH = {"use": "label_flip", "source": 3, "target": 2}, {"use": "backdoor"}
DEEP = {"use": "hybrid", "parts": [FLIP, {"use": "hybrid", "parts": [PATCH]}]}


def test_plugins_that_a_spec_names_are_found_however_deep():
    assert [key for key, _, _ in annotations.nested("attacks", DEEP)] == [
        ("parts", 0),
        ("parts", 1),
        ("parts", 1, "parts", 0),
    ]
    assert [part for _, _, part in annotations.inner("attacks", DEEP)] == DEEP["parts"]
    assert annotations.modules("attacks", DEEP) == [
        f"fedsieve.attacks.{name}" for name in ("hybrid", "label_flip", "hybrid", "backdoor")
    ]


@pytest.mark.parametrize("spec", [FLIP, FLIP | {"parts": [PATCH]}, {"use": "nothing"}, {}])
def test_a_spec_without_such_a_parameter_names_none(spec):
    assert [*annotations.nested("attacks", spec)] == []


@pytest.mark.parametrize("parts", [3, [3], [{}], [{"use": 3}], {"use": "backdoor"}])
def test_what_names_no_plugin_is_left_to_the_check(parts):
    assert [*annotations.nested("attacks", {"use": "hybrid", "parts": parts})] == []
