import copy
import re
from pathlib import Path

import pytest
import yaml
from configurations import WHOLE
from hypothesis import example, given
from hypothesis import strategies as st

from fedsieve import registry
from fedsieve.claim_settings import KINDS, claimed_grids
from fedsieve.errors import InputError
from fedsieve.grids import scenarios
from fedsieve.settings import check, complete, judgements, plugin_spec, reference

ROOT = Path(__file__).parents[1]
SCHEMA = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text(encoding="utf-8"))
PLUGINS = {
    "datasets/images.py": "def fetch(raw): ...\ndef read(raw): ...",
    "models/net.py": "def build(in_shape, n_classes, *, width=8): ...",
    "partitions/deal.py": "def assign(labels, *, n_clients, rng): ...",
    "attacks/flip.py": """
def poison(data, rows, *, rng, source, target, share=1): ...
def probe(test, *, source, target, share=1): ...
""",
    "sanitizers/vote.py": """
from others import client, keep
def server(messages, state, *, n_clusters=10): ...
""",
    "detectors/screen.py": """
def report(view, broadcast, *, depth=1): ...
def flag(reports, state): ...
""",
    "aggregators/mean.py": """
init = dict
def aggregate(updates, cohort, n_samples, state, *, trim=0): ...
""",
}
VALID = yaml.safe_load("""
data_root: data
device: cpu
tasks:
  small:
    dataset: {use: images}
    max_samples: 500
    model: {use: net, width: 4}
    rounds: 5
    snapshots: [2]
    cohort: 8
    sampling: stratified
    local: {epochs: 1, batch_size: 32, lr: 0.05, momentum: 0.9, weight_decay: 0}
    warmup: {rounds: 1, steps: 62}
partitions:
  ten: {use: deal, n_clients: 10}
attacks:
  flip-3to2: {use: flip, source: 3, target: 2}
sanitizers:
  vote: {use: vote, features: conv2, n_clusters: 10, before_rounds: [1, 5]}
  perfect: {oracle: perfect}
defenses:
  vote: {sanitize: vote, detect: {use: screen, depth: 2}, aggregate: {use: mean, trim: 1}}
  perfect: {sanitize: perfect, aggregate: {use: mean}}
detections:
  scan: {use: screen, depth: 1}
grids:
  one:
    task: [small]
    partition: [ten]
    attack: [flip-3to2, unattacked]
    ratio: [0.25, 0.75]
    defense: [none, vote, perfect]
    seed: [1, 2]
run: [one]
""")
REMOVED = object()


@pytest.fixture(scope="module", autouse=True)
def plugins(tmp_path_factory):
    """Pretended plug-ins, so that these tests stand whatever the package holds."""
    package = tmp_path_factory.mktemp("package")
    for path, source in PLUGINS.items():
        (package / path).parent.mkdir()
        (package / path).write_text(source, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "PACKAGE", package)
        yield


def changed(path, value):
    """A copy of the valid configuration with one key set, or removed."""
    config = copy.deepcopy(VALID)
    *parents, last = path.split("/")
    node = config
    for parent in parents:
        node = node[parent]
    if value is REMOVED:
        del node[last]
    else:
        node[last] = value
    return config


def problems(config):
    """The lines of the message, without its first."""
    with pytest.raises(InputError) as caught:
        check(config, SCHEMA)
    return [line.removeprefix("  ") for line in str(caught.value).splitlines()[1:]]


def test_a_valid_configuration_passes_as_given_and_completed():
    check(VALID, SCHEMA)
    check(complete(VALID), SCHEMA)


def test_a_folder_of_plugins_must_hold_some(tmp_path):
    (tmp_path / "mine/attacks").mkdir(parents=True)
    folders = [str(tmp_path / "mine"), str(tmp_path)]
    [line] = problems(VALID | {"plugins": folders})
    assert line.startswith(f"plugins[1]: {tmp_path} holds none of the folders datasets/, ")
    [line] = problems(VALID | {"plugins": [str(tmp_path / "mien")]})
    assert line == f"plugins[0]: there is no folder {tmp_path}/mien"
    [line] = problems(VALID | {"plugins": "mine"})
    assert line == "plugins: must be a list, each entry text, not 'mine'"


def test_only_three_sections_are_needed():
    grid = VALID["grids"]["one"] | {"attack": ["unattacked"], "defense": ["none"]}
    check({k: VALID[k] for k in ("tasks", "partitions")} | {"grids": {"one": grid}}, SCHEMA)


@pytest.mark.parametrize(
    ("path", "value", "key", "says"),
    [
        ("tsks", {}, "tsks", "did you mean 'tasks'"),
        ("tasks", REMOVED, "tasks", "is missing"),
        ("attacks", None, "attacks", "a mapping of keys, not empty"),
        ("device", "gpu", "device", "auto, cpu or cuda, not 'gpu'"),
        ("tasks/small/local/lr", "1e-2", "tasks.small.local.lr", "write 0.01"),
        ("tasks/small/local/lr", REMOVED, "tasks.small.local.lr", "is missing: Learning rate"),
        ("tasks/small/sampling", "unifrom", "tasks.small.sampling", "uniform or stratified"),
        ("tasks/raw", VALID["tasks"]["small"], "tasks.raw", "directory of that name"),
        ("defenses/sanitize", VALID["defenses"]["vote"], "defenses.sanitize", "directory"),
        ("attacks/Flip-3to2", VALID["attacks"]["flip-3to2"], "attacks.Flip-3to2", "lower-case"),
        ("attacks/unattacked", {"use": "flip"}, "attacks.unattacked", "built in as"),
        ("defenses/none", {"aggregate": {"use": "mean"}}, "defenses.none", "built in as"),
        ("sanitizers/empty", {}, "sanitizers.empty.use", "is missing"),
        ("sanitizers/perfect/use", "vote", "sanitizers.perfect.use", "unknown key"),
        ("grids/one/seed", [1, 1], "grids.one.seed", "lists 1 twice"),
        (
            "grids/one/seed",
            [-1],
            "grids.one.seed[0]",
            ">= 0 and <= 4294967295, not -1",
        ),
        ("grids/one/ratio", [1], "grids.one.ratio[0]", "< 1, not 1"),
    ],
)
def test_a_departure_from_the_schema_names_its_key(path, value, key, says):
    (line,) = [p for p in problems(changed(path, value)) if p.startswith(f"{key}: ")]
    assert says in line


@pytest.mark.parametrize(
    ("path", "value", "key", "says"),
    [
        ("attacks/flip-3to2/use", REMOVED, "attacks.flip-3to2.use", "is missing"),
        ("attacks/flip-3to2/use", "flipp", "attacks.flip-3to2.use", "did you mean 'flip'"),
        ("attacks/flip-3to2/sorce", 1, "attacks.flip-3to2.sorce", "did you mean 'source'"),
        ("attacks/flip-3to2/target", REMOVED, "attacks.flip-3to2.target", "no default"),
        ("attacks/flip-3to2/share", "5e-1", "attacks.flip-3to2.share", "write 0.5"),
        ("tasks/small/dataset/size", 1, "tasks.small.dataset.size", "known here: none"),
        ("tasks/small/model/with", 1, "tasks.small.model.with", "did you mean 'width'"),
        ("partitions/ten/alpha", 1, "partitions.ten.alpha", "unknown parameter of deal"),
        ("sanitizers/vote/clusters", 1, "sanitizers.vote.clusters", "'n_clusters'"),
        ("defenses/vote/detect/use", "sift", "defenses.vote.detect.use", "known here: screen"),
        ("defenses/vote/aggregate/trin", 1, "defenses.vote.aggregate.trin", "'trim'"),
    ],
)
def test_plugins_and_their_parameters_are_checked(path, value, key, says):
    (line,) = problems(changed(path, value))
    assert line.startswith(f"{key}: ")
    assert says in line


@pytest.mark.parametrize(
    ("source", "key", "says"),
    [
        (
            "def init(n, layout): ...\ndef agregate(): ...",
            "use",
            "defines no 'aggregate' (did you mean",
        ),
        ("from others import init", "use", "defines no 'aggregate'; known here: none"),
        ("def aggregate(): ...", "use", "defines no 'init'; known here: aggregate"),
        ("import os\ndef aggregate()\n    pass", "use", "aggregators/late.py:2: expected ':'"),
        (
            "def init(n, layout): ...\ndef aggregate(updates, k=1): ...",
            "k",
            "is no parameter of late yet: put '*,' before k in aggregate",
        ),
    ],
)
def test_what_a_plugin_lacks_is_found_in_its_source(source, key, says, tmp_path, monkeypatch):
    (tmp_path / "aggregators").mkdir()
    (tmp_path / "aggregators/late.py").write_text(source, encoding="utf-8")
    monkeypatch.setenv(registry.ELSEWHERE, str(tmp_path))
    given = {"use": "late", "k": 2} if key == "k" else {"use": "late"}
    (line,) = problems(changed("defenses/vote/aggregate", given))
    assert line.startswith(f"defenses.vote.aggregate.{key}: ")
    assert says in line


def test_functions_that_a_plugin_imports_count(tmp_path, monkeypatch):
    (tmp_path / "aggregators").mkdir()
    (tmp_path / "aggregators/late.py").write_text("from others import *", encoding="utf-8")
    monkeypatch.setenv(registry.ELSEWHERE, str(tmp_path))
    check(changed("defenses/vote/aggregate", {"use": "late"}), SCHEMA)


def test_a_number_of_malicious_clients_may_be_no_word_but_oracle():
    def said(value):
        config = changed("defenses/vote/aggregate/n_malicious", value)
        return [line for line in problems(config) if "nor 'oracle'" in line]

    (line,) = said("oracel")
    assert line.startswith("defenses.vote.aggregate.n_malicious: 'oracel' is neither a number")
    assert said("oracle") == said(2) == []


@pytest.mark.parametrize(
    ("path", "value", "key", "says"),
    [
        ("grids/one/defense", ["nine"], "grids.one.defense[0]", "did you mean 'none'"),
        ("grids/one/attack", ["flip-3to4"], "grids.one.attack[0]", "did you mean 'flip-3to2'"),
        ("grids/one/task", ["small", "big"], "grids.one.task[1]", "known here: small"),
        ("grids/one/partition", ["tem"], "grids.one.partition[0]", "did you mean 'ten'"),
        ("defenses/vote/sanitize", "vole", "defenses.vote.sanitize", "did you mean 'vote'"),
        (
            "grids/one/screen",
            {"models": ["none"], "detections": ["skan"], "after_rounds": [2]},
            "grids.one.screen.detections[0]",
            "did you mean 'scan'",
        ),
        ("run", ["one", "on"], "run[1]", "did you mean 'one'"),
    ],
)
def test_labels_that_do_not_exist_are_named_with_the_nearest(path, value, key, says):
    (line,) = problems(changed(path, value))
    assert line.startswith(f"{key}: ")
    assert says in line


@pytest.mark.parametrize(
    ("path", "value", "key", "says"),
    [
        ("tasks/small/cohort", 11, "tasks.small.cohort", "11 clients in a round"),
        ("tasks/small/max_samples", 9, "tasks.small.max_samples", "9 samples for the 10 clients"),
        # floor(0.95 * 10 + 0.5) = 10
        ("grids/one/ratio", [0.95], "grids.one.ratio", "0 benign clients; use a ratio below 0.95"),
        # floor(0.04 * 10 + 0.5) = 0
        ("grids/one/ratio", [0.04], "grids.one.ratio", "use 0 or at least 0.05"),
        # floor(0.05 * 10 + 0.5) = 1, but floor(0.05 * 8 + 0.5) = 0
        ("grids/one/ratio", [0.05], "grids.one.ratio", "0 malicious and 8 benign of a cohort of 8"),
        ("tasks/small/cohort", 1, "grids.one.ratio", "0 malicious and 1 benign of a cohort of 1"),
        ("grids/one/ratio", [0.3333333], "grids.one.ratio[0]", "paths show 0.333333"),
        ("tasks/small/snapshots", [2, 41], "tasks.small.snapshots", "round 41 never comes"),
        (
            "defenses/vote/detect/before_rounds",
            [2, 42],
            "defenses.vote.detect.before_rounds",
            "round 42 never comes",
        ),
        (
            "grids/one/screen",
            {"models": ["nobody"], "detections": ["scan"], "after_rounds": [2]},
            "grids.one.screen.models[0]",
            "'nobody' is no defense of this grid; known here: none, vote, perfect, clean-model",
        ),
        (
            "grids/one/screen",
            {"models": ["clean-model"], "detections": ["scan"], "after_rounds": [3]},
            "grids.one.screen.after_rounds[0]",
            "tasks.small.snapshots has no round 3; add it",
        ),
        ("tasks/small/rounds", 3, "sanitizers.vote.before_rounds", "round 5 never comes"),
    ],
)
def test_settings_that_no_scenario_can_combine_are_reported(path, value, key, says):
    line = problems(changed(path, value))[0]
    assert line.startswith(f"{key}: ")
    assert says in line


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"features": ["raw"], "before_rounds": None}, "join layers as in raw+conv2"),
        ({"features": ["raw", "conv1", "conv2"]}, "3 entries for 2 judgements"),
    ],
)
def test_a_list_of_features_needs_a_judgement_for_each_entry(entry, says):
    config = changed("sanitizers/vote/n_clusters", 10)
    vote = config["sanitizers"]["vote"] | entry
    config["sanitizers"]["vote"] = {k: v for k, v in vote.items() if v is not None}
    (line,) = problems(config)
    assert line.startswith("sanitizers.vote.features: ")
    assert says in line


def test_each_judgement_has_its_layers_and_the_last_entry_goes_on():
    many = {"features": ["raw+conv2", "output"], "before_rounds": [5, 1, 3]}
    assert judgements(many) == [(1, ["raw", "conv2"]), (3, ["output"]), (5, ["output"])]
    assert judgements({"features": "conv2", "before_rounds": [2]}) == [(2, ["conv2"])]


PAIR = {"source": 3, "target": 2}
IDLE = {
    "label_flip": PAIR | {"poison_fraction": 0},
    "backdoor": {"poison_fraction": 0.0},
    "random_flip": {"poison_fraction": 0},
    "hybrid": PAIR | {"flip_fraction": 0, "backdoor_fraction": 0.0},
}


def idle(use, monkeypatch, **parameters):
    """Problems with an attack of the package that poisons nothing."""
    monkeypatch.setattr(registry, "PACKAGE", ROOT / "src/fedsieve")
    config = changed("attacks/flip-3to2", {"use": use} | parameters)
    return [line for line in problems(config) if "poisons nothing" in line]


@pytest.mark.parametrize("use", IDLE)
def test_an_attack_that_poisons_no_share_of_anything_is_refused(use, monkeypatch):
    (line,) = idle(use, monkeypatch, **IDLE[use])
    assert line.startswith("attacks.flip-3to2.")
    assert re.search(r"fraction: must be above 0, not 0(\.0)?, which poisons nothing", line)
    assert "for no attack use 'unattacked'" in line


def test_an_attack_may_leave_out_one_of_its_kinds(monkeypatch):
    assert not idle("hybrid", monkeypatch, **PAIR, flip_fraction=0)
    assert not idle("label_flip", monkeypatch, **PAIR)


def test_ratio_zero_under_an_attack_is_a_scenario():
    check(changed("grids/one/ratio", [0]), SCHEMA)


def test_uniform_sampling_may_miss_the_malicious_clients():
    config = changed("grids/one/ratio", [0.05])
    config["tasks"]["small"]["sampling"] = "uniform"
    check(config, SCHEMA)


def test_all_problems_come_at_once_and_each_once():
    config = changed("grids/one/defense", ["nine"])
    config["tasks"]["small"]["cohort"] = 11
    config["attacks"]["flip-3to2"] = {"use": "flip", "sorce": 3}
    config["partitions"]["ten"]["alpha"] = 1
    del config["defenses"]["vote"]["aggregate"]
    keys = [line.split(": ")[0] for line in problems(config)]
    flip = ["attacks.flip-3to2.sorce", "attacks.flip-3to2.source", "attacks.flip-3to2.target"]
    expected = ["defenses.vote.aggregate", "grids.one.defense[0]", "partitions.ten.alpha"]
    assert sorted(keys) == sorted([*flip, *expected, "tasks.small.cohort"])


def test_a_problem_stays_on_one_line_whatever_the_key_holds():
    (line,) = problems(changed("tasks/small/a\nb\u2028c", 1))
    assert line.startswith("tasks.small.a b c: unknown key")


def keys_below(node, path=()):
    """Every key of the configuration, as a path."""
    for key, value in node.items() if isinstance(node, dict) else ():
        yield (*path, key)
        yield from keys_below(value, (*path, key))


odd = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 20),
    st.floats(),
    st.text(max_size=6),
    st.sampled_from(["1e-2", "small", "one", "flip"]),
    st.lists(st.one_of(st.integers(-1, 2), st.floats(-1, 2), st.text(max_size=3)), max_size=3),
    st.dictionaries(st.one_of(st.text(max_size=4), st.integers(), st.booleans()), st.integers()),
)


@given(
    st.sampled_from(list(keys_below(VALID))),
    st.sampled_from(["delete", "rename", "retype"]),
    st.one_of(st.text(max_size=6), st.integers(), st.none(), st.booleans()),
    odd,
)
@example(("defenses",), "retype", None, {"A" * n: 0 for n in range(1, 15)})  # more than are shown
def test_whatever_is_changed_passes_or_is_an_input_error_that_names_a_key(
    path, change, name, value
):
    config = copy.deepcopy(VALID)
    node = config
    for key in path[:-1]:
        node = node[key]
    old = node.pop(path[-1])
    if change != "delete":
        node[name if change == "rename" else path[-1]] = old if change == "rename" else value
    try:
        check(config, SCHEMA)
    except InputError as error:
        first, *lines = str(error).split("\n  ")
        assert re.fullmatch(r"the configuration has \d+ problems?:", first)
        assert all(re.match(r".*: \S|and \d+ more$", line) for line in lines)


def test_complete_adds_what_is_built_in_and_changes_nothing(monkeypatch):
    monkeypatch.delenv("FEDSIEVE_DATA", raising=False)
    before = {"grids": {"b": {}, "a": {}}, "defenses": {"mine": {}}}
    full = complete(copy.deepcopy(before))
    assert before == {"grids": {"b": {}, "a": {}}, "defenses": {"mine": {}}}
    assert full["run"] == ["b", "a"]
    assert (full["data_root"], full["device"], full["sanitizers"]) == ("results/raw", "auto", {})
    assert full["attacks"] == {"unattacked": {"use": "unattacked"}}
    assert full["defenses"] == {"none": {"aggregate": {"use": "fedavg"}}, "mine": {}}


def test_complete_keeps_its_argument_apart():
    full = complete(VALID)
    full["tasks"]["small"]["rounds"] = 99
    full["defenses"]["none"]["aggregate"]["use"] = "mean"
    assert VALID["tasks"]["small"]["rounds"] == 5
    assert complete(VALID)["defenses"]["none"] == {"aggregate": {"use": "fedavg"}}


def test_the_environment_says_where_data_lie(monkeypatch):
    monkeypatch.setenv("FEDSIEVE_DATA", "/mirror")
    assert complete(VALID)["data_root"] == "/mirror"
    monkeypatch.delenv("FEDSIEVE_DATA")
    assert complete(VALID)["data_root"] == "data"


def test_a_plugin_gets_its_own_parameters_alone():
    sanitizer = VALID["sanitizers"]["vote"]
    assert plugin_spec("sanitizers", sanitizer) == {"use": "vote", "n_clusters": 10}
    assert plugin_spec("partitions", VALID["partitions"]["ten"]) == {"use": "deal"}
    assert plugin_spec("attacks", {"features": 1}) == {"features": 1}


@pytest.mark.parametrize("name", WHOLE)
def test_every_configuration_of_the_project_is_valid(name, monkeypatch):
    monkeypatch.setattr(registry, "PACKAGE", ROOT / "src/fedsieve")
    check(WHOLE[name], SCHEMA)


def scenario_settings(config):
    """What a configuration says of each training, by its folder, and of each table."""
    config = complete(config)
    for name, grid in config["grids"].items():
        yield f"tables/{name}", {k: v for k, v in grid.items() if k != "seed"}
        for s in scenarios(grid):
            defense = config["defenses"][s["defense"]]
            sanitizer = config["sanitizers"].get(defense.get("sanitize"))
            parts = (config[f"{k}s"][s[k]] for k in ("task", "partition", "attack"))
            place = "/".join(s[k] for k in ("task", "partition", "attack", "ratio", "defense"))
            yield place, [*parts, defense, sanitizer]


def test_no_two_configurations_of_the_project_replace_each_others_results():
    found = {}
    for name, config in WHOLE.items():
        for place, content in scenario_settings(config):
            other, before = found.setdefault(place, (name, content))
            assert content == before, f"{place} means something else in {name} and {other}"


def test_the_reference_of_all_keys_is_up_to_date():
    path = ROOT / "config/README.md"
    remedy = f"write fedsieve.settings.reference(schema) to {path.name}"
    assert path.read_text(encoding="utf-8") == reference(SCHEMA), remedy


def test_the_reference_has_a_row_for_every_key_of_the_schema():
    rows = re.findall(r"^\| `(.*?)` \|.*\|.*\S.*\|$", reference(SCHEMA), re.MULTILINE)
    for key in ("tasks.LABEL.local.lr", "partitions.LABEL.use", "partitions.LABEL.n_clients"):
        assert key in rows
    headings = re.findall(r"^## (.*)$", reference(SCHEMA), re.MULTILINE)
    assert headings == list(SCHEMA["properties"])


def test_no_mapping_of_the_schema_takes_unknown_keys_by_accident():
    def mappings(part):
        if isinstance(part, dict):
            if part.get("type") == "object":
                yield part
            for inner in part.values():
                yield from mappings(inner)

    found = list(mappings(SCHEMA))
    assert len(found) > 10
    assert all("additionalProperties" in part for part in found)


def test_a_long_list_of_problems_fits_on_a_screen():
    lines = problems(changed("grids/one/ratio", list(range(1, 99))))
    assert len(lines) == 21
    assert lines[-1] == "and 78 more"


CLAIM = {"paper": "P", "where": "Table I", "says": "so", "grid": "one"}
ABOUT = {"metric": "accuracy", "attack": ["flip-3to2"], "ratio": [0.25], "defense": "vote"}
BOUND = ABOUT | {"higher": True, "bound": 0.9}
CELLS = {"ratio": 0.25, "cells": {"flip-3to2": {"vote": [92.4, 2.3]}}}
READ = {"quote": "silent"}


def claimed(**claim):
    return changed("claims", {"c": {k: v for k, v in (CLAIM | claim).items() if v is not None}})


@pytest.mark.parametrize(
    "claim",
    [
        {"reaches": BOUND},
        {"published": CELLS, "says": None},
        {"untested": "no data", "grid": None},
        {"reaches": BOUND, "grid": "not-there"},
        {"reaches": BOUND | {"metric": "auc"}, "margins": {"auc": 0.02}},
        {"published": CELLS, "readings": {"half": READ | {"attack": {"flip-3to2": "flip-half"}}}},
        {
            "reaches": BOUND,
            "task": "small",
            "readings": {"late": READ | {"task": {"small": "big"}}},
        },
        {"reaches": BOUND, "readings": {"eighth": READ | {"ratio": {"0.25": 0.125}}}},
    ],
)
def test_a_sound_claim_passes_though_its_grids_are_not_there(claim):
    check(claimed(**claim), SCHEMA)


@pytest.mark.parametrize(
    ("claim", "key", "says"),
    [
        ({}, "claims.c", "needs one of published, beats, reaches, exceeds, near or untested"),
        ({"reaches": BOUND, "published": CELLS}, "claims.c", "not published and reaches"),
        ({"reaches": BOUND, "says": None}, "claims.c.says", "what the paper says"),
        ({"reaches": BOUND, "grid": None}, "claims.c.grid", "is missing"),
        ({"reaches": BOUND | {"metric": "auc"}}, "margins", "add auc: and a fraction"),
        (
            {"reaches": BOUND, "settings": {"given": 3, "of": 2}},
            "claims.c.settings.given",
            "3 of 2",
        ),
        (
            {"published": CELLS | {"metrics": ["accuracy"]}},
            "claims.c.published.cells.flip-3to2.vote",
            "2 numbers for the metrics accuracy",
        ),
        (
            {"exceeds": ABOUT | {"other": "none", "by": 0}},
            "claims.c.exceeds.by",
            "use near",
        ),
        (
            {"beats": ABOUT | {"higher": True, "others": ["none"], "cells": 2}},
            "claims.c.beats.cells",
            "attacks x ratios are 1",
        ),
        (
            {"reaches": BOUND, "readings": {"x": READ | {"defense": {"vole": "vote"}}}},
            "claims.c.readings.x.defense.vole",
            "did you mean 'vote'",
        ),
        (
            {"reaches": BOUND, "readings": {"x": READ | {"task": {"small": "big"}}}},
            "claims.c.readings.x.task.small",
            "the claim has no task 'small'",
        ),
        (
            {"reaches": BOUND, "readings": {"x": READ | {"ratio": {"0.5": 0.25}}}},
            "claims.c.readings.x.ratio.0.5",
            "has no ratio '0.5'",
        ),
        ({"reaches": BOUND, "readings": {"x": {}}}, "claims.c.readings.x.quote", "is missing"),
    ],
)
def test_what_is_wrong_with_a_claim_is_named_with_its_key(claim, key, says):
    (line,) = problems(claimed(**claim))
    assert line.startswith(f"{key}: ")
    assert says in line


def test_margins_are_completed_and_may_be_changed():
    found = complete(VALID | {"margins": {"asr": 0.1, "auc": 0.02}})["margins"]
    assert (found["accuracy"], found["asr"], found["auc"]) == (0.02, 0.1, 0.02)


CLAIMS = sorted((ROOT / "config/claims").glob("*.yaml"))


def mentions(claim, reading):
    """The labels that one reading of a claim looks at, by axis."""
    (kind,) = set(KINDS) & set(claim)
    rule = claim[kind]
    axes = {"task": [claim["task"]], "partition": [claim["partition"]]}
    if kind == "published":
        cells = rule["cells"]
        axes |= {"attack": [*cells], "ratio": [rule["ratio"]]}
        axes["defense"] = [defense for under in cells.values() for defense in under]
    else:
        others = [*rule.get("others", []), *([rule["other"]] if "other" in rule else [])]
        axes |= {"attack": rule["attack"], "ratio": rule["ratio"]}
        axes["defense"] = [rule["defense"], *others]
    for axis, labels in axes.items():
        for label in labels:
            text = f"{label:g}" if axis == "ratio" else label
            yield axis, reading.get(axis, {}).get(text, label)


@pytest.mark.parametrize("path", CLAIMS, ids=lambda path: path.name)
def test_each_reading_of_a_paper_looks_at_what_some_configuration_runs(path):
    grids = [pair for config in WHOLE.values() for pair in config["grids"].items()]
    for name, claim in yaml.safe_load(path.read_text(encoding="utf-8"))["claims"].items():
        if "untested" in claim:
            continue
        for label, reading in claim.get("readings", {"": {}}).items():
            named = [
                grid for grid_name, grid in grids if grid_name in claimed_grids(claim, reading)
            ]
            assert named, f"{name}, {label}"
            for axis, wanted in mentions(claim, reading):
                assert any(wanted in grid[axis] for grid in named), f"{name}, {label}: {wanted}"


@pytest.mark.parametrize("path", CLAIMS, ids=lambda path: path.name)
def test_the_claims_of_a_paper_are_sound(path):
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    check(VALID | content, SCHEMA)
    for name, claim in content["claims"].items():
        assert "untested" in claim or "settings" in claim or "why" in claim, name
