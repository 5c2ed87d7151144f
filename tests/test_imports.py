import ast
import subprocess
import sys
from graphlib import TopologicalSorter

import pytest

from fedsieve import provenance, registry

PACKAGE = provenance.ROOT / "fedsieve"
MODULES = sorted(
    ".".join(path.relative_to(provenance.ROOT).with_suffix("").parts)
    for path in PACKAGE.rglob("*.py")
    if path.stem != "__init__"
)
ORDER = [
    "errors",
    "checksums",
    "wording",
    "paths",
    "locks",
    "ranges",
    "notices",
    "records",
    "record_keys",
    "rng",
    "artifacts",
    "checks",
    "registry",
    "plugin_specs",
    "environment",
    "provenance",
    "guard",
    "ratios",
    "grids",
    "blocks",
    "schema",
    "configfiles",
    "annotations",
    "conflicts",
    "claim_settings",
    "settings",
    "leases",
    "device",
    "cards",
    "sources",
    "archives",
    "poisonings",
    "datasets",
    "partitions",
    "attacks",
    "models",
    "vectors",
    "aggregates",
    "distances",
    "trimming",
    "features",
    "clustering",
    "prototypes",
    "excess",
    "two_means",
    "margins",
    "mixtures",
    "balance",
    "flips",
    "rowmix",
    "exchanges",
    "sanitizers",
    "oracles",
    "detectors",
    "aggregators",
    "local",
    "graphs",
    "screening",
    "rounds",
    "rehearsal",
    "engine",
    "checkpoints",
    "metrics",
    "trust",
    "inference",
    "statistics",
    "tables",
    "rendering",
    "clients",
    "verdicts",
    "claims",
    "responses",
    "look",
    "figures",
    "bars",
    "timing",
    "maps",
    "boundaries",
    "heatmaps",
    "quality",
    "tidy",
    "duels",
    "ancestry",
    "costs",
    "forecast",
    "samples",
    "captions",
    "overview",
    "details",
    "charts",
    "page",
    "stages",
    "tools",
    "__main__",
]
"""Modules and folders of the package; each may import those before it."""

SIBLINGS = {
    ("attacks.hybrid", "attacks.label_flip"),
    ("attacks.hybrid", "attacks.backdoor"),
    ("attacks.random_flip", "attacks.label_flip"),
}
"""The plug-ins that are made of others."""

ROOMS = {"engine"}
"""Folders whose modules import each other."""

LATE = {("clustering", "_kmeans"), ("clustering", "_distances")}
"""Functions that import scikit-learn themselves, so that whoever only decides needs none."""

HEAVY = {"torch", "torchvision", "sklearn", "scipy", "pandas", "seaborn", "matplotlib"}


def short(module):
    return module.removeprefix("fedsieve.")


def folder(module):
    return short(module).split(".")[0]


def place(module):
    return ORDER.index(folder(module))


def tree(module):
    return ast.parse(
        PACKAGE.joinpath(*short(module).split(".")).with_suffix(".py").read_text(encoding="utf-8")
    )


def loaded(code, *arguments):
    """Which modules a fresh interpreter has loaded after some code."""
    code += "\nimport sys; print(' '.join(sys.modules))"
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_only_to_earlier_modules(module):
    for imported in provenance.imports(module):
        allowed = place(imported) < place(module) or (short(module), short(imported)) in SIBLINGS
        allowed |= folder(imported) == folder(module) and folder(module) in ROOMS
        assert allowed, f"{module} imports {imported}"


def test_imports_are_no_circle():
    TopologicalSorter({m: provenance.imports(m) for m in MODULES}).prepare()


@pytest.mark.parametrize("module", MODULES)
def test_plugins_are_imported_by_name_only(module):
    kinds = {n for n in provenance.imports(module) if short(n).split(".")[0] in registry.CONTRACTS}
    assert {(short(module), short(n)) for n in kinds} <= SIBLINGS


@pytest.mark.parametrize("module", MODULES)
def test_imports_are_absolute_and_at_the_top(module):
    for node in ast.walk(tree(module)):
        assert not (isinstance(node, ast.ImportFrom) and node.level)
        if isinstance(node, ast.FunctionDef):
            inside = [n for n in ast.walk(node) if isinstance(n, ast.Import | ast.ImportFrom)]
            assert bool(inside) == ((short(module), node.name) in LATE), f"{module}.{node.name}"


@pytest.mark.parametrize("module", MODULES)
def test_only_the_registry_and_the_command_line_import_by_name(module):
    calls = "import_module" in ast.unparse(tree(module))
    assert calls == (short(module) in ("registry", "__main__"))


def test_packages_are_empty():
    assert not [path for path in PACKAGE.rglob("__init__.py") if path.read_text(encoding="utf-8")]


def test_only_oracles_metrics_and_data_preparation_know_what_was_poisoned():
    knowing = {short(m) for m in MODULES if "Poisoning" in ast.unparse(tree(m))}
    knowing = {name for name in knowing if not name.startswith("attacks.")}
    assert knowing <= {"records", "artifacts", "poisonings", "oracles", "metrics"}


def test_light_stages_load_no_heavy_library():
    stages = "fetch data partition poison oracle keep keep_client sanitize_client sanitize_server"
    code = "\n".join(f"import fedsieve.stages.{name}" for name in stages.split())
    assert not HEAVY & loaded(code)


def test_the_snakefile_needs_no_heavy_library():
    code = "from fedsieve import blocks, claim_settings, grids, plugin_specs, provenance, settings"
    assert not (HEAVY | {"numpy"}) & loaded(code)


def test_help_loads_no_heavy_library():
    code = "from fedsieve.__main__ import main; assert main(['--help']) == 0"
    assert not (HEAVY | {"numpy"}) & loaded(code)


def test_a_client_of_fdsd_decides_without_a_heavy_library():
    bound = "registry.bind('sanitizers', {'use': 'cluster_majority'}, 'keep')"
    assert not HEAVY & loaded(f"from fedsieve import registry; {bound}")


def test_training_loads_no_compiler_and_no_unused_library(tmp_path, training, flags):
    code = "import sys; from fedsieve.__main__ import main; assert main(sys.argv[1:]) == 0"
    found = loaded(code, "train", *flags(training(tmp_path, rounds=1)))
    assert "torch" in found
    assert not {"torch._dynamo", "sympy", "torchvision", "sklearn", "matplotlib"} & found
