import pytest

from fedsieve.schema import demand, exponents, misfits, near, shown

LABEL = {"type": "string", "pattern": "^[a-z]+$"}


def one(value, **schema):
    """What the schema has to say about ``{"key": value}``."""
    return list(misfits({"key": value}, {"type": "object", "properties": {"key": schema}}))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (0, "must be a whole number >= 1 and < 9, not 0"),
        (9, "must be a whole number >= 1 and < 9, not 9"),
        ("3", "must be a whole number >= 1 and < 9, not '3'"),
        (2.0, "must be a whole number >= 1 and < 9, not 2.0"),  # another path than 2
        (True, "must be a whole number >= 1 and < 9, not True"),
        (None, "must be a whole number >= 1 and < 9, not empty"),
    ],
)
def test_a_misfit_says_what_is_wanted_and_what_was_found(value, message):
    assert one(value, type="integer", minimum=1, exclusiveMaximum=9) == [(("key",), message)]


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_infinity_and_nan_are_no_numbers(value):
    assert one(value, type="number", exclusiveMinimum=0)
    assert not one(0.5, type="number", exclusiveMinimum=0)


@pytest.mark.parametrize(
    ("text", "remedy"), [("1e-2", "0.01"), ("5E-5", "0.00005"), ("1.e3", "1000"), ("-2e1", "-20")]
)
def test_exponents_that_yaml_reads_as_text_come_with_the_number_to_write(text, remedy):
    expected = f"{text!r}, which YAML reads as text: write {remedy}"
    assert one(text, type="number") == [(("key",), f"must be a number, not {expected}")]
    assert list(exponents({"nested": [1, {"deeper": text}]})) == [expected]


def test_text_without_an_exponent_is_no_number():
    assert list(exponents(["conv2", "0.01", "e5", 1e-2, None])) == []


def test_an_unknown_key_names_the_one_that_was_meant():
    ((key, message),) = one({"ronds": 1}, additionalProperties=False, properties={"rounds": {}})
    assert key == ("key", "ronds")
    assert message == "unknown key (did you mean 'rounds'?); known here: rounds"


def test_every_missing_key_is_named_with_its_meaning():
    schema = {"required": ["lr", "steps"], "properties": {"lr": {"description": "Step size."}}}
    found = dict(one({}, **schema))
    expected = {("key", "lr"): "is missing: Step size.", ("key", "steps"): "is missing"}
    assert found == expected


def test_a_value_given_twice_is_shown():
    assert one([3, 1, 3], uniqueItems=True) == [(("key",), "lists 3 twice; remove one")]


def test_an_empty_list_is_reported():
    assert one([], minItems=1) == [(("key",), "must not be empty")]


def test_a_bad_label_is_named_by_its_own_path():
    ((key, message),) = one({"Flip": 1}, propertyNames=LABEL)
    assert shown(key) == "key.Flip"
    assert "lower-case" in message


def test_a_key_that_yaml_does_not_read_as_text_is_to_be_quoted():
    ((key, message),) = one({False: 1}, propertyNames=LABEL)  # YAML 1.1 reads no: as False
    assert (shown(key), message.endswith("False; quote it")) == ("key[False]", True)


def test_demands_are_words():
    assert demand({"enum": ["auto", "cpu", "cuda"]}) == "auto, cpu or cuda"
    assert demand({"type": "number"}) == "a number"
    lists = {"type": "array", "items": {"type": "number", "minimum": 0}}
    assert demand(lists) == "a list, each entry a number >= 0"


def test_keys_are_shown_as_paths():
    assert shown(("grids", "demo", "ratio", 0)) == "grids.demo.ratio[0]"


def test_nothing_is_suggested_where_nothing_is_near():
    assert near("zebra", ["fdsd", "none"]) == "; known here: fdsd, none"
    assert near("zebra", []) == "; known here: none"
