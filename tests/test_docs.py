"""What README and docs say is tried here: examples, commands, names, links and messages."""

import hashlib
import importlib
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import tomllib
import types
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from fedsieve import registry
from fedsieve.__main__ import parser
from fedsieve.blocks import base
from fedsieve.errors import InputError
from fedsieve.records import View
from fedsieve.settings import check
from fedsieve.vectors import Layout

pytestmark = pytest.mark.xdist_group("docs")

ROOT = Path(__file__).parents[1]
PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in (*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")))
}
SCHEMA = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text(encoding="utf-8"))
ASSUMPTIONS = runpy.run_path(str(ROOT / "docs/assumptions.py"))
EXAMPLE = re.compile(r"^`src/fedsieve/(\w+)/(\w+)\.py`\n\n```python\n(.*?)^```", re.M | re.S)
EXAMPLES = {
    (kind, name): code
    for page in ("README.md", "docs/extend.md")
    for kind, name, code in EXAMPLE.findall(PAGES[page])
}
MINE = "src/fedsieve/aggregators/mine.py"
USERS_OWN = {f"src/fedsieve/{kind}/{name}.py" for kind, name in EXAMPLES}
USERS_OWN |= {"config/scans.yaml", "config/mine.yaml", MINE}
"""Files that the reader is told to write."""

FOLDERS = {f"/path/to/{name}" for name in ("data", "folder")}


def blocks(language, *pages):
    """Content of the fenced blocks of a language."""
    text = "\n".join(PAGES[page] for page in pages or PAGES)
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


def merged(*parts):
    """The union of nested mappings; of two values the later one."""
    whole = {}
    for part in parts:
        for key, value in part.items():
            nested = isinstance(value, dict) and key in whole
            whole[key] = merged(whole[key], value) if nested else value
    return whole


def snippets(*pages):
    return merged(*map(yaml.safe_load, blocks("yaml", *pages)))


def on_the_demo(*blocks):
    """The demo's configuration with blocks of YAML on top, as Snakemake puts them together."""
    demo = yaml.safe_load((ROOT / "config/demo.yaml").read_text(encoding="utf-8"))
    return merged(demo, *map(yaml.safe_load, blocks))


def example(kind, name):
    """An example as a module."""
    module = types.ModuleType(name)
    exec(EXAMPLES[kind, name], vars(module))
    return module


def commands(text):
    """Lines of the shell blocks that start with this, or with variables before it."""
    lines = "".join(blocks("sh")).splitlines()
    return list(dict.fromkeys(line for line in lines if re.match(rf"(\w+=\S+ )*{text}", line)))


COMMANDS = [line for line in commands(r"\.venv/bin/snakemake") if "--rulegraph" not in line]


def archive(path, **changed):
    """Write the archive that docs/own-data.md describes: 60 and 20 images of two classes."""
    arrays = {}
    for split, n in (("train", 60), ("test", 20)):
        arrays[f"{split}_images"] = np.arange(n * 144, dtype=np.uint8).reshape(n, 12, 12)
        arrays[f"{split}_labels"] = np.arange(n) % 2
    np.savez(path, **{k: v for k, v in (arrays | changed).items() if v is not None})
    return path


def with_one_seed(config):
    """The configuration with the first seed of every grid: planning all takes too long here."""
    for grid in config.get("grids", {}).values():
        grid["seed"] = grid["seed"][:1]
    return config


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """A copy of the repository with all that the documentation tells to write."""
    root = tmp_path_factory.mktemp("documented") / "repository"
    unwanted = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for part in ("workflow", "config", "envs", "profiles", "src", "tests/contracts"):
        shutil.copytree(ROOT / part, root / part, ignore=unwanted)
    helpers = ("tests/conftest.py", "tests/needed.py", "tests/small.py")
    for part in ("Snakefile", "pyproject.toml", *helpers):
        shutil.copy(ROOT / part, root / part)
    for (kind, name), code in EXAMPLES.items():
        (root / f"src/fedsieve/{kind}/{name}.py").write_text(code, encoding="utf-8")
    for path in (root / "config").glob("*.yaml"):
        path.write_text(
            yaml.safe_dump(with_one_seed(yaml.safe_load(path.read_text(encoding="utf-8")))),
            encoding="utf-8",
        )
    (root / "config/scans.yaml").write_text(*blocks("yaml", "docs/own-data.md"), encoding="utf-8")
    (root / "config/mine.yaml").write_text(*blocks("yaml", "README.md"), encoding="utf-8")
    shutil.copy(root / "src/fedsieve/aggregators/norm_clip.py", root / MINE)
    archive(root / "my-scans.npz")
    return root


def run(root, command):
    """Output of a shell command that must succeed, with the copy's package and data."""
    python = shlex.quote(sys.executable)
    command = command.replace(".venv/bin/snakemake", f"{python} -m snakemake")
    for folder in FOLDERS:
        command = command.replace(folder, shlex.quote(str(root)))
    environment = {k: v for k, v in os.environ.items() if k not in ("FEDSIEVE_DATA", "CI")}
    environment["PYTHONPATH"] = str(root / "src")
    done = subprocess.run(
        command, shell=True, cwd=root, env=environment, capture_output=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


def test_every_kind_of_plugin_has_an_example():
    assert {kind for kind, _ in EXAMPLES} == set(registry.CONTRACTS)
    assert not [name for kind, name in EXAMPLES if name in registry.available(kind)]


@pytest.mark.slow
@pytest.mark.workflow
def test_examples_keep_what_all_plugins_of_their_kind_promise(workspace):
    names = [name for _, name in EXAMPLES]
    contracts = (
        f"{shlex.quote(sys.executable)} -m pytest tests/contracts -vv -k '{' or '.join(names)}'"
    )
    passed = re.findall(r"::test_\w+\[(.*)\] PASSED", run(workspace, contracts))
    assert {part for ids in passed for part in ids.split("-")} >= set(names)


@pytest.mark.slow
@pytest.mark.workflow
def test_the_workflow_plans_the_examples_by_the_configuration_beside_them(workspace):
    shown = snippets("README.md", "docs/extend.md")
    content = merged(
        yaml.safe_load((workspace / "config/demo.yaml").read_text(encoding="utf-8")), shown
    )
    grid = content["grids"]["demo"] | {"partition": list(shown["partitions"]), "seed": [1]}
    grid |= {"attack": list(shown["attacks"]), "defense": list(shown["defenses"])}
    other = grid | {"task": list(shown["tasks"]), "defense": ["none"]}
    content["grids"] = {"examples": grid, "tasks": other}
    (workspace / "config/examples.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    output = run(workspace, ".venv/bin/snakemake -n --cores 1 --configfile config/examples.yaml")
    for label in [*shown["defenses"], *shown["tasks"], *shown["attacks"], *shown["partitions"]]:
        assert re.search(rf"output: results/.*/?{re.escape(label)}/.*model\.safetensors", output)


@pytest.mark.parametrize("block", blocks("yaml", "README.md", "docs/extend.md"))
def test_each_configuration_shown_is_whole_on_top_of_the_demo(block, plugin):
    for (kind, name), code in EXAMPLES.items():
        plugin(kind, name, code)
    check(on_the_demo(block), SCHEMA)
    shown = yaml.safe_load(block)
    (grid,) = shown.pop("grids").values()
    listed = {label for labels in grid.values() for label in labels}
    users = {d.get("sanitize") for d in shown.get("defenses", {}).values()}
    assert {label for entries in shown.values() for label in entries} <= listed | users


@pytest.mark.slow
@pytest.mark.workflow
@pytest.mark.parametrize("command", commands(r"\.venv/bin/python -m pytest tests/contracts"))
def test_documented_tests_of_a_plugin_are_some(workspace, command):
    python = command.replace(".venv/bin/python", shlex.quote(sys.executable))
    assert (
        int(re.findall(r"test_aggregators\.py: (\d+)", run(workspace, f"{python} -q --co"))[0]) > 4
    )


def test_norm_clip_shortens_what_is_longer_than_the_median():
    updates = torch.tensor([[3.0, 4.0], [0.0, 1.0], [0.5, 0.0]])  # lengths 5, 1, 0.5
    plugin = example("aggregators", "norm_clip")
    found, _ = plugin.aggregate(updates, None, None, {}, factor=1.0)
    torch.testing.assert_close(found.weights, torch.tensor([0.2, 1, 1]) / 3)
    torch.testing.assert_close(found.update, torch.tensor([1.1, 1.8]) / 3)


def test_majority_sign_steps_to_where_most_clients_want_each_parameter():
    updates = torch.tensor([[3.0, 4.0, 0.0], [-0.1, 1.0, 1.0], [-0.5, 0.0, -2.0]])
    plugin = example("aggregators", "majority_sign")
    found, _ = plugin.aggregate(updates, None, None, {}, step=0.5)
    assert found.update.tolist() == [-0.5, 0.5, 0.0]
    torch.testing.assert_close(found.weights, torch.full((3,), 1 / 3))


def test_server_momentum_adds_half_of_the_round_before():
    plugin = example("aggregators", "server_momentum")
    state = plugin.init(2, Layout(("a",), (torch.Size([1]),), 1))
    given = torch.tensor([[1.0], [5.0]]), None, torch.tensor([3, 1])  # mean 2
    first, state = plugin.aggregate(*given, state, momentum=0.5)
    second, _ = plugin.aggregate(*given, state, momentum=0.5)
    assert (first.update.item(), second.update.item()) == (2.0, 3.0)


def test_nearest_mean_drops_what_lies_nearer_to_another_class():
    plugin = example("sanitizers", "nearest_mean")
    # class means: (0 + 0 + 9) / 3 = 3 and (10 + 10) / 2 = 10
    view = View(0, {"raw": np.array([[0.0], [0], [9], [10], [10]])}, np.array([0, 0, 0, 1, 1]), 3)
    message, memory = plugin.client(view, {}, {})
    broadcast, _ = plugin.server([message], {})
    kept = plugin.keep(view, broadcast, memory, slack=5.9)  # 9 lies 6 from 3, and 1 from 10
    assert kept.tolist() == [True, True, False, True, True]


def test_agreement_flags_who_lies_below_the_median_by_more_than_the_tolerance():
    flag = example("detectors", "agreement").flag
    reports = [{"right": np.array(r), "samples": np.array(100)} for r in (90, 80, 75, 50)]
    screening = flag(reports, {}, tolerance=0.1)  # median 0.775
    assert screening.benign.tolist() == [True, True, True, False]
    assert screening.scores.tolist() == [0.9, 0.8, 0.75, 0.5]


def test_examples_of_all_kinds_work_together_in_training(plugin, stage, training, tmp_path):
    for (kind, name), code in EXAMPLES.items():
        plugin(kind, name, code)
    mlp = training(tmp_path)["task"] | {"model": {"use": "mlp", "hidden": 8}}
    sanitizer = {"method": {"use": "nearest_mean", "slack": 1.1}}
    arguments = training(
        tmp_path,
        task=mlp,
        keep=[],
        attack={"use": "negative", "target": 0},
        defense={"detect": {"use": "agreement"}, "aggregate": {"use": "norm_clip"}},
        sanitizer=sanitizer | {"judgements": [[2, ["hidden1"]], [4, ["hidden1"]]]},
    )
    stage("train")(**arguments)
    with np.load(arguments["predictions"]) as predicted:
        assert set(predicted.files) == {"rounds", "test", "probe.negative"}


@pytest.mark.slow
@pytest.mark.workflow
@pytest.mark.parametrize("command", COMMANDS)
def test_documented_commands_plan_the_whole_workflow(workspace, command):
    output = run(workspace, f"{command} --dry-run")
    assert re.search(r"^train +\d+$", output, re.M)


@pytest.mark.parametrize("command", commands(r"\.venv/bin/python -m fedsieve"))
def test_documented_tools_take_what_they_are_given(command):
    name, *words = shlex.split(command.split(" -m fedsieve ")[1])
    tool = getattr(importlib.import_module(f"fedsieve.tools.{name}"), name)
    parser(tool).parse_args(words)


@pytest.mark.slow
@pytest.mark.workflow
def test_the_picture_shows_the_workflow_as_it_is(workspace):
    (command,) = commands(r"\.venv/bin/snakemake .*--rulegraph")
    dot = run(workspace, command.split(" | ")[0])
    found = re.findall(r'(\d+)\[label = "(\w+)"', dot)
    names = {number: base(rule) for number, rule in found}
    edges = {(names[a], names[b]) for a, b in re.findall(r"(\d+) -> (\d+)", dot)}
    svg = (ROOT / "docs/dag.svg").read_text(encoding="utf-8")
    shown = dict(re.findall(r"<title>(\d+)</title>.*?<text[^>]*>(\w+)<", svg, re.S))
    arrows = {(shown[a], shown[b]) for a, b in re.findall(r"<title>(\d+)&#45;&gt;(\d+)<", svg)}
    assert set(names.values()) == set(shown.values())
    assert paths(arrows) == paths(edges)


def paths(edges):
    """Every pair of which one can be reached from the other; the workflow's own loops left out."""
    found = {(a, b) for a, b in edges if a != b}
    while more := {(a, d) for a, b in found for c, d in found if b == c} - found:
        found |= more
    return found


def test_the_yaml_for_own_data_is_a_valid_configuration():
    check(snippets("docs/own-data.md"), SCHEMA)


@pytest.mark.parametrize("columns", [1, 3])
def test_own_data_pass_fetching_and_reading(stage, tmp_path, columns):
    dataset = snippets("docs/own-data.md")["tasks"]["scans"]["dataset"]
    changed = {}
    if columns > 1:
        del dataset["class_names"]
        changed = {f"{s}_labels": np.eye(3, dtype=int)[np.arange(n) % 3] for s, n in SIZES.items()}
    archive(tmp_path / dataset["file"], **changed)
    given = {"dataset": dataset, "root": tmp_path, "receipt": tmp_path / "source.json"}
    stage("fetch")(**given)
    stage("data")(**given, data=tmp_path / "data.npz")
    with np.load(tmp_path / "data.npz") as data:
        assert data["train_images"].shape == (60, 1, 12, 12)
        assert data["train_labels"].shape == ((60,) if columns == 1 else (60, 3))
        assert data["classes"].tolist() == dataset.get("class_names", ["0", "1", "2"])


SIZES = {"train": 60, "test": 20}
FAULTS = {
    "array missing": ({"test_labels": None}, {}),
    "pixels": ({"train_images": np.zeros((60, 12, 12))}, {}),
    "size": ({"test_images": np.zeros((20, 10, 12), np.uint8)}, {}),
    "number": ({"train_labels": np.zeros(59, int)}, {}),
    "gap": ({f"{split}_labels": np.arange(n) % 2 * 2 for split, n in SIZES.items()}, {}),
    "unseen": ({"test_labels": np.arange(20) % 3}, {}),
    "not binary": ({f"{s}_labels": np.full((n, 2), 2) * [0, 1] for s, n in SIZES.items()}, {}),
    "names": ({}, {"class_names": ["normal", "normal"]}),
    "name": ({}, {"class_names": ["normal", "a\n"]}),
    "checksum": ({}, {"sha256": "0" * 64}),
    "no file": ({}, {"file": "other.npz"}),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_messages_about_own_data_are_those_shown(tmp_path, fault):
    arrays, spec = FAULTS[fault]
    archive(tmp_path / "a.npz", **arrays)
    given = {"use": "npz", "file": "a.npz"} | spec
    with pytest.raises(InputError) as caught:
        registry.bind("datasets", given, "read")(tmp_path)
    found = str(caught.value).removeprefix(f"{tmp_path / given['file']}: ")
    digest = hashlib.sha256((tmp_path / "a.npz").read_bytes()).hexdigest()
    found = found.replace(digest, "...").replace("0" * 64, "...")
    assert f"| `{found}` |" in PAGES["docs/own-data.md"]


def test_every_message_shown_about_own_data_is_tried():
    rows = PAGES["docs/own-data.md"].split("| fault |")[1].splitlines()
    assert len([row for row in rows[2:] if row.startswith("| ")]) == len(FAULTS)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    for target, anchor in re.findall(r"\]\(([^)#\s]*)#?([^)\s]*)\)", PAGES[page]):
        if target.startswith("http"):
            continue
        path = (ROOT / page).parent / target if target else ROOT / page
        assert path.exists(), f"{page} links to {target}"
        if anchor and path.suffix == ".md":
            assert anchor in headings(path.read_text(encoding="utf-8"))


def headings(text):
    """Anchors of a page's headings, as they are made of their words."""
    return [
        re.sub(r"[^\w -]", "", line).strip().lower().replace(" ", "-")
        for line in re.findall("^#+ (.*)", text, re.M)
    ]


@pytest.mark.parametrize("page", PAGES)
def test_named_files_exist(page):
    top = "|".join(path.name for path in ROOT.iterdir() if path.is_dir() and path.name != "results")
    for name in re.findall(rf"[`= ]((?:{top})/[\w./-]*\w)", PAGES[page]):
        assert (ROOT / name).exists() or name in USERS_OWN, f"{page} names {name}"


@pytest.mark.parametrize("page", PAGES)
def test_named_make_targets_exist(page):
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    assert set(re.findall(r"(?:`|^)make ([\w-]+)", PAGES[page], re.M)) <= {*targets}


def keys(schema):
    """Every key that a schema knows, at any depth."""
    for part in schema.values() if isinstance(schema, dict) else ():
        yield from keys(part)
    yield from schema.get("properties", ()) if isinstance(schema, dict) else ()


def parameters():
    """Every parameter of every plug-in and example."""
    for kind, functions in registry.CONTRACTS.items():
        for name in registry.available(kind):
            path = registry.PACKAGE / kind / f"{name}.py"
            yield from registry.parameters(path, functions)[0]
    for code in EXAMPLES.values():
        yield from re.findall(r"(\w+): (?:int|float|str|Annotated|[A-Z]\w+)\b", code)


@pytest.mark.parametrize("page", ["README.md", "docs/extend.md", "docs/own-data.md"])
def test_named_configuration_keys_exist(page):
    arrays = {f"{split}_{kind}" for split in SIZES for kind in ("images", "labels")}
    known = {*keys(SCHEMA), *parameters(), *arrays}
    found = re.findall(r"`([a-z_0-9]+):[ `]", PAGES[page])
    assert found or page == "docs/extend.md"
    assert set(found) <= known


@pytest.mark.parametrize("page", PAGES)
def test_named_paths_of_the_configuration_exist(page):
    for path in re.findall(r"`(\w+\.LABEL[\w.]*)`", PAGES[page]):
        part = SCHEMA
        for key in path.split("."):
            part = part["additionalProperties"] if key == "LABEL" else part["properties"][key]


def test_the_page_of_assumptions_is_up_to_date():
    assert PAGES["docs/assumptions.md"] == ASSUMPTIONS["page"](ROOT / "src/fedsieve")


def test_no_assumption_is_missed():
    sources = (path.read_text(encoding="utf-8") for path in (ROOT / "src/fedsieve").rglob("*.py"))
    n_tags = sum(source.count("ASSUME:") for source in sources)
    assert len(list(ASSUMPTIONS["gather"](ROOT / "src/fedsieve"))) == n_tags


SAMPLE = '''"""ASSUME: one
line."""


def f():
    """F.

    ASSUME: two
    lines.
    Source: none.
    ASSUME: three.

    End.
    """
    # ASSUME: a comment
    # of two lines
    return 1  # ASSUME: beside code
'''


def test_an_assumption_ends_with_its_paragraph_heading_docstring_or_comment(tmp_path):
    (tmp_path / "module.py").write_text(SAMPLE, encoding="utf-8")
    found = [text for _, text in ASSUMPTIONS["gather"](tmp_path)]
    assert found == ["one line.", "two lines.", "three.", "a comment of two lines", "beside code"]


def test_decisions_are_numbered_pages_of_context_decision_and_consequences():
    pages = sorted(page for page in PAGES if page.startswith("docs/decisions/"))
    assert [int(Path(page).name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    for number, page in enumerate(pages, 1):
        assert PAGES[page].startswith(f"# {number}. ")
        assert re.findall(r"^\*\*(\w+)\.\*\*", PAGES[page], re.M) == [
            "Context",
            "Decision",
            "Consequences",
        ]
        assert len(PAGES[page].splitlines()) <= 50


def test_the_citation_has_the_version_and_license_of_the_package():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (citation["version"], citation["license"]) == (project["version"], project["license"])
    readme = " ".join(PAGES["README.md"].split())
    assert all(paper["title"] in readme for paper in citation["references"])
