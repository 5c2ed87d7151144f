"""What an edit reruns: exactly the jobs that it can change.

The derived configuration has 3 attacks on 3 clients at one ratio and seed, and the defenses none,
fdsd, perfect and mean; all but mean aggregate by fedavg. The undefended unattacked run, from which
the floors stem, adds one poisoning and one training: 3 x 4 + 1 = 13 trainings, 3 x 4 evaluations.
Every case edits a copy at another path, so each shows as well that a moved run stays done.
"""

import pytest
from conftest import counted, dry_runs

PACKAGE = "src/fedsieve"

PAGE = {"page": 1}
"""What follows from any table or figure."""

BARS = {"sanitization_bars": 1, "success_bars": 1, **PAGE}
"""The figures that are drawn from the values of all runs."""

OVER_SEEDS = {"table": 1, "curves": 1, "runs": 1, **BARS}
"""What summarizes runs."""

SUMMARY = {"values": 1, **OVER_SEEDS}
"""What follows from any evaluation."""

TIMES = {"batch_times": 1, **PAGE}
"""The figure that follows from any training of the grid."""

MAPS = {"feature_maps": 1, **PAGE}
"""The figure of the undefended models, poisoned by the attack patch and unattacked."""

FEATURES = {"warmup": 3, "features": 3}
"""One encoder an attack, and views of it for a block of all 3 clients."""

SANITIZING = {"sanitize_client": 3, "sanitize_server": 3, "keep_client": 3, "keep": 3}
"""One sanitizer on the views of 3 attacks."""

CAUGHT = {"caught": 1, **PAGE}
"""The figure of what fdsd kept of the samples in training."""

REDRAWN = {"feature_space": 1, **CAUGHT}
"""The figure of the views and of what the sanitizer kept of them."""

TRAINING = {"train": 13, "floor": 3, "evaluate": 12, **SUMMARY, **TIMES}

ONE_DEFENSE = {"train": 3, "evaluate": 3, **SUMMARY, **TIMES}

ONE_ATTACK = {
    "poison": 1,
    "warmup": 1,
    "features": 1,
    "sanitize_client": 1,
    "sanitize_server": 1,
    "keep_client": 1,
    "keep": 1,
    "oracle": 1,
    "train": 4,
    "floor": 1,
    "evaluate": 4,
    **SUMMARY,
    **TIMES,
    **REDRAWN,
}

TWO_ATTACKS = ONE_ATTACK | {
    rule: 2 * n for rule, n in ONE_ATTACK.items() if rule not in SUMMARY | TIMES | REDRAWN
}

ONE_SEED = {"partition": 1, "poison": 4, **FEATURES, **SANITIZING, "oracle": 3, **TRAINING}

EVERYTHING = {"fetch": 1, "data": 1, **ONE_SEED, **REDRAWN, **MAPS}

NOTHING: dict[str, int] = {}


def change(path, edit):
    def apply(workspace):
        file = workspace.root / path
        after = edit(file.read_text(encoding="utf-8"))
        assert after != file.read_text(encoding="utf-8")
        file.write_text(after, encoding="utf-8")

    return apply


def code(module):
    """Add a statement, which any reader of the module could come to depend on."""
    return change(f"{PACKAGE}/{module}.py", lambda text: text + "\n\nEDITED = 1\n")


def comment(module):
    return change(f"{PACKAGE}/{module}.py", lambda text: text + "\n# edited\n")


def docstring(module, indent):
    quotes = f'\n{indent}"""' if indent else '"""'
    edited = f"{quotes}Edited. "
    return change(f"{PACKAGE}/{module}.py", lambda text: text.replace(quotes, edited, 1))


def config(edit):
    def apply(workspace):
        content = workspace.config()
        edit(content)
        workspace.configure(content)

    return apply


def every(edits):
    edits = list(edits)

    def apply(workspace):
        for edit in edits:
            edit(workspace)

    return apply


def touch_all(workspace):
    for path in workspace.root.rglob("*"):
        if path.is_file() and not path.is_relative_to(workspace.root / "results"):
            path.touch()


def new_file(workspace):
    folder = workspace.root / PACKAGE / "aggregators"
    (folder / "newcomer.py").write_text(
        (folder / "mean.py").read_text(encoding="utf-8"), encoding="utf-8"
    )


def add_defense(content, label, entry):
    content["defenses"][label] = entry
    content["grids"]["demo"]["defense"].append(label)


def add_sanitizer(content, **changes):
    content["sanitizers"]["other"] = content["sanitizers"]["fdsd"] | changes
    add_defense(content, "other", {"sanitize": "other", "aggregate": {"use": "fedavg"}})


def reverse_keys(content):
    for section in ("tasks", "attacks", "sanitizers"):
        entries = content[section]
        content[section] = {k: dict(reversed(v.items())) for k, v in entries.items()}


CASES = {
    # fedavg aggregates the warm-up, hence all views; 13 trainings less the 3 of mean, which use
    # neither. The unattacked model is the floor of every evaluation.
    "aggregator-fedavg": (
        code("aggregators/fedavg"),
        {**FEATURES, **SANITIZING, **REDRAWN, **TRAINING, **MAPS, "train": 10},
    ),
    "aggregator-mean": (code("aggregators/mean"), ONE_DEFENSE),
    "attack-hybrid": (code("attacks/hybrid"), ONE_ATTACK),
    # hybrid composes the two others
    "attack-backdoor-and-hybrid": (code("attacks/backdoor"), TWO_ATTACKS | MAPS),
    "attack-label-flip-and-hybrid": (code("attacks/label_flip"), TWO_ATTACKS),
    # the views stay; fdsd alone trains on what the sanitizer keeps
    "sanitizer": (
        code("sanitizers/cluster_majority"),
        {**SANITIZING, **REDRAWN, **ONE_DEFENSE},
    ),
    "clustering": (code("clustering"), {**SANITIZING, **REDRAWN, **ONE_DEFENSE}),
    "oracles": (code("oracles"), {"oracle": 3, **ONE_DEFENSE}),
    # the warm-up is federated too; what is poisoned does not depend on it, nor do the oracles
    "rounds": (code("rounds"), {**FEATURES, **SANITIZING, **REDRAWN, **TRAINING, **MAPS}),
    "model": (code("models/cnn2"), {**FEATURES, **SANITIZING, **REDRAWN, **TRAINING, **MAPS}),
    "data-set": (code("datasets/digits"), EVERYTHING),
    "records": (code("records"), EVERYTHING),
    "stage-train": (code("stages/train"), TRAINING | MAPS | CAUGHT),
    "stage-evaluate": (code("stages/evaluate"), {"evaluate": 12, **SUMMARY}),
    "metrics": (code("metrics"), {"floor": 3, "evaluate": 12, **SUMMARY}),
    "figures": (code("figures"), {"curves": 1, "feature_space": 1, **PAGE}),
    "bars": (code("bars"), BARS),
    "values": (code("stages/values"), {"values": 1, **BARS}),
    "page": (code("page"), PAGE),
    "template": (change(f"{PACKAGE}/templates/page.css", lambda text: text + "\n"), PAGE),
    "caption": (change("workflow/report/curves.rst", lambda text: text + "\n"), PAGE),
    "responses": (code("responses"), MAPS),
    "tables": (code("tables"), {"table": 1, **PAGE}),
    # tables and figures share it
    "statistics": (code("statistics"), {**OVER_SEEDS, **TIMES, **REDRAWN, **MAPS}),
    "unused-model": (code("models/resnet18"), NOTHING),
    "unused-data-set": (code("datasets/mnist"), NOTHING),
    "new-plug-in": (new_file, NOTHING),
    "comment": (comment("rounds"), NOTHING),
    "docstring-of-module": (docstring("rounds", ""), NOTHING),
    "docstring-inside": (docstring("rounds", "    "), NOTHING),
    "touch": (touch_all, NOTHING),
    "config-attack": (
        config(lambda c: c["attacks"]["flip-3to2"].update(poison_fraction=0.5)),
        ONE_ATTACK,
    ),
    "config-keys-in-another-order": (config(reverse_keys), NOTHING),
    # the feature space and the feature maps are drawn for the first seed
    "config-new-seed": (config(lambda c: c["grids"]["demo"]["seed"].append(2)), ONE_SEED),
    # less what has no ratio: the partition, the unattacked run (1 poisoning, 1 training) and the
    # floors; both are drawn for the middle ratio, which of two is the second: 0.5
    "config-new-ratio": (
        config(lambda c: c["grids"]["demo"].update(ratio=[0.4, 0.5])),
        {
            "poison": 3,
            **FEATURES,
            **SANITIZING,
            "oracle": 3,
            "train": 12,
            "evaluate": 12,
            **SUMMARY,
            **TIMES,
        },
    ),
    # its keep masks are there already
    "config-new-defense": (
        config(
            lambda c: add_defense(c, "both", {"sanitize": "fdsd", "aggregate": {"use": "mean"}})
        ),
        ONE_DEFENSE | CAUGHT,
    ),
    # the views of its layer are there already; its own figure is new
    "config-new-sanitizer": (
        config(lambda c: add_sanitizer(c, vote="local")),
        {**SANITIZING, **REDRAWN, **ONE_DEFENSE},
    ),
    # from encoders that are there already
    "config-new-sanitizer-on-another-layer": (
        config(lambda c: add_sanitizer(c, features="raw")),
        {"features": 3, **SANITIZING, **REDRAWN, **ONE_DEFENSE},
    ),
    # nothing before training depends on its length
    "config-rounds": (
        config(lambda c: c["tasks"]["digits"].update(rounds=4)),
        TRAINING | MAPS | CAUGHT,
    ),
    # only fdsd trains on what comes of the encoder
    "config-warm-up": (
        config(lambda c: c["tasks"]["digits"]["warmup"].update(steps=21)),
        {**FEATURES, **SANITIZING, **REDRAWN, **ONE_DEFENSE},
    ),
    # a table shows the labels of its own grid
    "config-attack-that-no-grid-names": (
        config(
            lambda c: c["attacks"].update(spare={"use": "label_flip", "source": 1, "target": 7})
        ),
        NOTHING,
    ),
    "config-defense-that-no-grid-names": (
        config(lambda c: c["defenses"].update(spare={"aggregate": {"use": "fedavg"}})),
        NOTHING,
    ),
}


IDLE = [name for name, (_, expected) in CASES.items() if expected == NOTHING]
CASES["all-that-rerun-nothing"] = (every(CASES[name][0] for name in IDLE), NOTHING)


@pytest.fixture(scope="module")
def plans(request, copies, finished):
    """What Snakemake plans after each edit that is asked for, made in a copy of its own."""
    asked = {item.callspec.params["case"] for item in request.session.items if tries_a_case(item)}
    edited = {name: copies(finished) for name in CASES if name in asked}
    for name, workspace in edited.items():
        edit, _ = CASES[name]
        edit(workspace)
    return dict(zip(edited, dry_runs([*edited.values()]), strict=True))


def tries_a_case(item):
    return getattr(item, "originalname", "") == "test_an_edit_reruns_exactly_what_depends_on_it"


@pytest.mark.parametrize(
    "case",
    [pytest.param(name, marks=[pytest.mark.slow] * (name in IDLE)) for name in CASES],
)
def test_an_edit_reruns_exactly_what_depends_on_it(plans, case):
    _, expected = CASES[case]
    assert counted(plans[case]) == expected


WHERE = {
    "threads": ["--cores", "1", "--set-threads", "train=2"],
    "resources": ["--cores", "8", "--resources", "gpu=4"],
    "device": ["--config", "device=cpu"],
    "data-root": ["--config", "data_root=elsewhere"],
}


@pytest.mark.slow
@pytest.mark.parametrize("where", WHERE)
def test_where_and_how_fast_it_runs_reruns_nothing(finished, where):
    assert finished.planned(*WHERE[where]) == NOTHING


def test_another_machine_altogether_reruns_nothing(finished):
    settings = ["--config", "device=cpu", "data_root=elsewhere"]
    assert finished.planned(*WHERE["threads"], "--resources", "gpu=4", *settings) == NOTHING


@pytest.mark.slow
def test_another_data_root_in_the_environment_reruns_nothing(finished, tmp_path):
    assert finished.planned(env={"FEDSIEVE_DATA": str(tmp_path)}) == NOTHING


def test_a_fresh_copy_plans_every_job(fresh):
    assert fresh.planned() == EVERYTHING
