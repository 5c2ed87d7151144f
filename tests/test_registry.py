import sys

import pytest

from fedsieve import detectors, registry
from fedsieve.errors import InputError

SOURCE = '''
EXCHANGES = 2
TABLE = {"a": (1, 2)}

def report(model, *, depth, rng, width=3):
    return "report", model, depth, rng, width

def flag(scores, *, limit=0.5):
    return "flag", scores, limit

def helper(*, secret=1):
    """No function of the contract."""
'''


@pytest.fixture(autouse=True)
def _screen(plugin):
    plugin("detectors", "screen", SOURCE)


def test_an_unknown_name_is_refused_with_the_nearest_one():
    with pytest.raises(InputError, match=r"no detector named 'sreen'.*\(did you mean 'screen'\?\)"):
        registry.load("detectors", "sreen")


@pytest.mark.parametrize("name", ["../rng", "__init__", "", ".", "screen.py"])
def test_what_is_no_plugin_is_refused(name):
    with pytest.raises(InputError, match=r"known here: .*screen"):
        registry.check("detectors", {"use": name})


def test_an_unknown_parameter_is_refused_with_file_and_parameter():
    with pytest.raises(InputError) as caught:
        registry.check("detectors", {"use": "screen", "depth": 1, "widht": 2})
    message = str(caught.value)
    assert "'widht'" in message
    assert "did you mean 'width'?" in message
    assert "src/fedsieve/detectors/screen.py: unknown parameter 'widht'" in message
    assert "known here: depth, limit, width" in message


@pytest.mark.parametrize("name", ["rng", "secret", "model", "scores"])
def test_only_keyword_arguments_of_the_contract_are_parameters(name):
    with pytest.raises(InputError, match=f"unknown parameter '{name}'"):
        registry.check("detectors", {"use": "screen", "depth": 1, name: 1})


def test_a_missing_parameter_is_refused_with_file_and_parameter():
    with pytest.raises(InputError, match=r"'screen' needs 'depth' \(.*detectors/screen.py\)"):
        registry.check("detectors", {"use": "screen"})


def test_each_function_gets_only_what_it_takes():
    spec = {"use": "screen", "depth": 2, "limit": 0.1}
    report = registry.bind("detectors", spec, "report", rng="stream", n_clients=9)
    assert report("model") == ("report", "model", 2, "stream", 3)
    assert registry.bind("detectors", spec, "flag", rng="stream")([1]) == ("flag", [1], 0.1)


def test_a_bound_spec_is_checked():
    with pytest.raises(InputError, match="needs 'depth'"):
        registry.bind("detectors", {"use": "screen"}, "flag")


def test_an_optional_function_may_be_missing():
    spec = {"use": "screen", "depth": 2}
    assert registry.bind("detectors", spec, "learn", optional=True) is None
    assert registry.bind("detectors", spec, "flag", optional=True)(1)[0] == "flag"


def test_a_constant_is_read_without_importing(plugin, monkeypatch):
    monkeypatch.delitem(sys.modules, "fedsieve.detectors.screen")
    assert registry.constant("detectors", "screen", "EXCHANGES") == 2
    assert registry.constant("detectors", "screen", "TABLE") == {"a": (1, 2)}
    registry.check("detectors", {"use": "screen", "depth": 1})
    assert "fedsieve.detectors.screen" not in sys.modules


def test_a_missing_constant_is_refused_with_file_and_name():
    with pytest.raises(InputError, match=r"detectors/screen\.py defines no ROUNDS"):
        registry.constant("detectors", "screen", "ROUNDS")


def test_a_syntax_error_names_file_and_line(plugin):
    with pytest.raises(SyntaxError):
        plugin("detectors", "late", "\nx = (")
    for read in (registry.constant, lambda kind, name, _: registry.check(kind, {"use": name})):
        with pytest.raises(InputError, match=r"^src/fedsieve/detectors/late\.py:2: '\(' was never"):
            read("detectors", "late", "x")


def test_available_are_the_files_of_a_folder_but_those_with_an_underscore(plugin):
    before = set(registry.available("detectors"))
    plugin("detectors", "_shared", "")
    plugin("detectors", "another", "")
    assert set(registry.available("detectors")) - before == {"another"}


@pytest.mark.parametrize("kind", registry.CONTRACTS)
def test_every_plugin_loads_by_its_file_name(kind):
    for name in set(registry.available(kind)) - {"screen"}:
        assert registry.load(kind, name).__name__ == f"fedsieve.{kind}.{name}"


OUTSIDE = """
EXCHANGES = 3

def flag(reports, state, *, limit=0.5):
    return limit
"""


@pytest.fixture
def outside(tmp_path, monkeypatch):
    """A folder outside the package that holds a detector named elsewhere."""
    (tmp_path / "detectors").mkdir()
    (tmp_path / "detectors/elsewhere.py").write_text(OUTSIDE, encoding="utf-8")
    monkeypatch.setenv(registry.ELSEWHERE, str(tmp_path))
    searched = detectors.__path__
    before = list(searched)
    yield tmp_path
    searched[:] = before
    sys.modules.pop("fedsieve.detectors.elsewhere", None)


def test_a_plugin_may_lie_outside_the_package(outside):
    assert "elsewhere" in registry.available("detectors")
    assert registry.constant("detectors", "elsewhere", "EXCHANGES") == 3
    flag = registry.bind("detectors", {"use": "elsewhere", "limit": 0.1}, "flag")
    assert flag([], {}) == 0.1
    with pytest.raises(InputError, match=f"{outside}/detectors/elsewhere.py: unknown parameter"):
        registry.check("detectors", {"use": "elsewhere", "limmit": 1})


def test_a_name_that_the_package_has_too_is_refused_with_both_files(outside):
    (outside / "detectors/screen.py").write_text(OUTSIDE, encoding="utf-8")
    with pytest.raises(InputError, match=f"fedsieve/detectors/screen.py and {outside}.*rename"):
        registry.load("detectors", "screen")


def test_an_unknown_name_is_said_to_lie_in_none_of_the_places_that_were_searched(outside):
    both = f"no src/fedsieve/detectors/elsewere.py nor {outside}/detectors/elsewere.py"
    with pytest.raises(InputError, match=rf"{both} \(did you mean 'elsewhere'\?"):
        registry.check("detectors", {"use": "elsewere"})


def test_a_plugin_that_cannot_be_imported_is_named_with_what_it_misses(outside):
    (outside / "detectors/elsewhere.py").write_text(
        "import no_such_module\n" + OUTSIDE, encoding="utf-8"
    )
    said = f"{outside}/detectors/elsewhere.py cannot be imported: No module named 'no_such_module'"
    with pytest.raises(InputError, match=said):
        registry.load("detectors", "elsewhere")


def test_folders_to_look_in_are_absolute_and_named_once(outside, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path.parent)
    registry.look_in([tmp_path.name, "more"])
    wanted = [outside / "detectors", tmp_path.parent / "more/detectors"]
    assert registry.places("detectors")[1:] == wanted
