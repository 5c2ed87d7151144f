import ast
import shutil

import pytest

from fedsieve import provenance

PACKAGE = provenance.ROOT / "fedsieve"
FEDAVG = "fedsieve.aggregators.fedavg"


def forget():
    provenance.imports.cache_clear()
    provenance._code.cache_clear()


@pytest.fixture
def edit(tmp_path, monkeypatch):
    """Work on a copy of the package: ``edit(file, old, new)`` and digests follow."""
    shutil.copytree(PACKAGE, tmp_path / "fedsieve", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(provenance, "ROOT", tmp_path)

    def change(file, old, new):
        path = tmp_path / "fedsieve" / file
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))
        forget()

    forget()
    yield change
    forget()


def test_comments_change_nothing(edit):
    before = provenance.digest(FEDAVG)
    edit("aggregators/fedavg.py", "    weights = n_samples", "    # why\n\n    weights = n_samples")
    assert provenance.digest(FEDAVG) == before


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("aggregators/fedavg.py", "FedAvg: the mean"),
        ("aggregators/fedavg.py", "Average the updates by sample count"),
        ("vectors.py", "What the server makes of a cohort's updates."),
        ("vectors.py", "What a method remembers between rounds"),  # below an attribute
    ],
)
def test_docstrings_change_nothing(edit, file, text):
    before = provenance.digest(FEDAVG)
    edit(file, text, "Something else")
    assert provenance.digest(FEDAVG) == before


def test_formatting_changes_nothing(edit, tmp_path):
    before = provenance.digest("fedsieve.stages.train")
    for path in (tmp_path / "fedsieve").rglob("*.py"):
        path.write_text(ast.unparse(ast.parse(path.read_text())))
    forget()
    assert provenance.digest("fedsieve.stages.train") == before


def test_a_changed_constant_changes_the_digest_of_those_that_reach_it(edit):
    stages = {name: f"fedsieve.stages.{name}" for name in ("train", "features", "keep", "oracle")}
    before = {name: provenance.digest(module) for name, module in stages.items()}
    edit("features.py", "CHUNK = 250", "CHUNK = 251")
    changed = {name for name, module in stages.items() if provenance.digest(module) != before[name]}
    assert changed == {"train", "features"}


def test_a_changed_module_changes_its_importers_however_far(edit):
    before = provenance.digest("fedsieve.stages.train"), provenance.digest("fedsieve.device")
    edit("errors.py", "class InputError(ValueError)", "class InputError(Exception)")
    after = provenance.digest("fedsieve.stages.train"), provenance.digest("fedsieve.device")
    assert before[0] != after[0]
    assert before[1] != after[1]


def test_a_plugin_counts_where_it_is_named_and_only_there(edit):
    alone = provenance.digest("fedsieve.stages.train")
    named = provenance.digest("fedsieve.stages.train", FEDAVG)
    edit("aggregators/fedavg.py", "weights.sum()", "weights.max()")
    assert provenance.digest("fedsieve.stages.train") == alone
    assert provenance.digest("fedsieve.stages.train", FEDAVG) != named


def test_a_string_that_is_no_docstring_counts(edit):
    before = provenance.digest("fedsieve.stages.warmup")
    edit("stages/warmup.py", '"warm-up").integers', '"warmup").integers')
    assert provenance.digest("fedsieve.stages.warmup") != before


def test_the_order_of_modules_is_irrelevant_and_repeats_count_once():
    one = provenance.digest("fedsieve.rng", "fedsieve.errors")
    assert one == provenance.digest("fedsieve.errors", "fedsieve.rng", "fedsieve.rng")
    assert one != provenance.digest("fedsieve.errors")


def test_every_form_of_import_is_followed(tmp_path, monkeypatch):
    (tmp_path / "fedsieve").mkdir()
    forms = {
        "a": "from fedsieve import b as other, missing\nimport fedsieve.c as x",
        "b": "def f():\n    from fedsieve.d import name",
        "c": "import numpy, fedsieve",
        "d": "import fedsieve.a",
        "e": "",
    }
    for name, text in forms.items():
        (tmp_path / f"fedsieve/{name}.py").write_text(text)
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    forget()
    assert provenance.closure(["fedsieve.a"]) == {f"fedsieve.{name}" for name in "abcd"}
    forget()


def test_the_environment_names_versions_and_no_host():
    found = provenance.environment()
    assert set(found) == {"python", "packages", "machine", "system"}
    assert {"torch", "numpy", "fedsieve"} <= set(found["packages"])


def test_peak_memory_is_in_megabytes():
    assert 50 < provenance.peak_memory_mb() < 50_000


def test_a_plugin_outside_the_package_counts_by_its_content_not_by_its_place(tmp_path, monkeypatch):
    source = "from fedsieve.errors import InputError\n\n\ndef assign(labels):\n    return {}\n"
    found = []
    for folder, text in (("a", "labels"), ("b", "labels"), ("c", "None")):
        (tmp_path / folder / "partitions").mkdir(parents=True)
        (tmp_path / folder / "partitions/mine.py").write_text(source.format(text))
        monkeypatch.setenv("FEDSIEVE_PLUGINS", str(tmp_path / folder))
        forget()
        assert "fedsieve.errors" in provenance.closure(["fedsieve.partitions.mine"])
        found.append(provenance.digest("fedsieve.partitions.mine"))
    forget()
    assert found[0] == found[1] != found[2]
