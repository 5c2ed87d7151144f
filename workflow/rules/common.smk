import hashlib
import json
import locale
import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import yaml
from snakemake.exceptions import WorkflowError
from snakemake.scheduling import job_scheduler
from snakemake.sourcecache import HostingProviderFile, LocalGitFile, LocalSourceFile


def repository(here):
    """Root of the repository that this folder of rules is in; a clone of one that lies in git.

    Snakemake reads from git only the files that Snakefiles name, but jobs run the whole package
    (docs/decisions/0018-deployed-from-git.md).
    """
    if isinstance(here, LocalSourceFile):
        return Path(here.path).resolve().parent.parent
    if isinstance(here, LocalGitFile):
        origin = here.repo_path
    elif isinstance(here, HostingProviderFile):
        origin = here.hosted_repo.repo_clone
    else:
        raise WorkflowError(
            f"FedSieve cannot be run from {here}: it is more than one file. Name its repository by"
            " gitfile(), github() or gitlab(), or clone it."
        )
    commit = git("-C", origin, "rev-parse", "--verify", f"{here.ref}^{{commit}}")
    clone = Path(".snakemake/fedsieve", commit)
    if not clone.is_dir():
        partial = f"{clone}.{os.getpid()}"
        git("clone", "--quiet", "--no-checkout", os.path.abspath(origin), partial)
        git("-C", partial, "checkout", "--quiet", "--detach", commit)
        try:
            os.rename(partial, clone)
        except OSError:  # another process was faster
            shutil.rmtree(partial)
    return Path(clone, here.path).resolve().parent.parent


def git(*arguments):
    """What git says; all that it says where it fails."""
    command = ["git", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    if done.returncode:
        raise WorkflowError(f"{' '.join(command)} failed:\n{done.stderr.strip()}")
    return done.stdout.strip()


def refuse_foreign_interpreter():
    """Stop where jobs would run by an interpreter that lacks what they import, and say which.

    Jobs run by this interpreter, unless Snakemake makes an environment for them.
    """
    if workflow.deployment_settings.deployment_method:
        return
    lacking = [name for name in dependencies() if not installed(name)]
    if lacking:
        raise WorkflowError(
            f"{sys.executable} runs this Snakemake and would run all jobs, but lacks"
            f" {', '.join(lacking)}. Use the Snakemake of FedSieve's own environment,"
            " .venv/bin/snakemake in a clone (`make demo` makes it), or add --sdm conda."
        )


def dependencies():
    """Packages that jobs import, as the environment for conda has them."""
    listed = yaml.safe_load((ROOT / "envs/fedsieve.yaml").read_text(encoding="utf-8"))
    pinned = next(part for part in listed["dependencies"] if isinstance(part, dict))
    names = [pin.partition("==")[0] for pin in pinned["pip"]]
    return [name for name in names if not name.startswith("snakemake")]


def installed(name):
    """Whether this interpreter has a package."""
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


ROOT = repository(workflow.current_basedir)
refuse_foreign_interpreter()
sys.path.insert(0, str(ROOT / "src"))

from fedsieve import (
    annotations,
    blocks,
    claim_settings,
    configfiles,
    conflicts,
    grids,
    paths,
    plugin_specs,
    provenance,
    registry,
    settings,
)
from fedsieve.errors import InputError
from fedsieve.notices import SIGN, told

NAMED = " + ".join(map(os.path.relpath, workflow.configfiles)) or "the configuration"
"""The files that the configuration comes from, for messages."""


def of_command_line(problems):
    """What to say where these are of settings that ``--config`` gave: their numbers are text."""
    given = workflow.config_settings.config
    nested = [k for k, v in given.items() if isinstance(v, (dict, list))]
    if not (text := [key for key in nested if f"\n  {key}" in problems]):
        return ""
    return (
        "\nSnakemake gives text for numbers within --config. Write"
        f" {', '.join(text)} into a file, and name it last after --configfile."
    )


try:
    configfiles.check_files(map(Path, workflow.configfiles))
    registry.look_in(settings.plugin_folders(config))
    said = (ROOT / "workflow/schemas/config.schema.yaml").read_text(encoding="utf-8")
    schema = yaml.safe_load(said)
    COMMON = ROOT / "config/common.yaml"
    shared = configfiles.read_configuration(COMMON) if config.get("common") else {}
    config.update(settings.with_common(config, shared))
    settings.check(config, schema, shared)
except InputError as error:
    raise WorkflowError(
        f"{NAMED} cannot be used:\n{error}{of_command_line(str(error))}"
    ) from None
config.update(settings.complete(config))
DATA_ROOT = os.path.abspath(paths.expanded(config["data_root"]))
# Jobs find the package, this interpreter, the data root and the device in their environment. None
# of them is a parameter of a rule, so that another machine or folder reruns nothing. One thread
# per job for numerical libraries: more would compete with other jobs, and change the last bits.
# Jobs take all names for UTF-8; their logs are in the encoding in which Snakemake prints them.
os.environ.update(
    PYTHONPATH=os.pathsep.join(
        dict.fromkeys(
            [
                str(ROOT / "src"),
                *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)),
            ]
        )
    ),
    PYTHONUTF8="1",
    PYTHONIOENCODING=f"{locale.getpreferredencoding(False)}:backslashreplace",
    PATH=os.pathsep.join(
        [str(Path(sys.executable).parent), os.environ.get("PATH", "")]
    ),
    FEDSIEVE_DATA=DATA_ROOT,
    FEDSIEVE_DEVICE=config["device"],
    FEDSIEVE_SINGLE_LABEL=json.dumps(conflicts.wanting_one_label(config)),
    OMP_NUM_THREADS="1",
    OPENBLAS_NUM_THREADS="1",
    MKL_NUM_THREADS="1",
)

# No limit of job starts per second (docs/decisions/0008-no-job-rate-limit.md).
job_scheduler.JobRateLimiter = lambda limit: None

# A file lies exactly as deep as the wildcards that it depends on.
TASK = "results/{task}"
PARTITIONED = f"{TASK}/{{partition}}/seed{{seed}}"
POISONED = f"{PARTITIONED}/{{attack}}/ratio{{ratio}}"
VIEW = f"{POISONED}/features/{{layer}}/client{{client}}.npz"
SANITIZED = f"{POISONED}/sanitize/{{sanitizer}}"
EXCHANGE = f"{SANITIZED}/exchange{{exchange}}"
SCENARIO = f"{POISONED}/{{defense}}"
UNDEFENDED = f"{PARTITIONED}/{grids.UNATTACKED}/ratio0/none"

SCREENED = f"{POISONED}/{{trained}}/screen/{{detection}}/round{{after_round}}.npz"

ENVIRONMENT = "../../envs/fedsieve.yaml"
CAPTIONS = ROOT / "workflow/report"
TABLES = ["csv", "md", "tex", "html"]
PATHS = workflow.modifier.path_modifier
"""What a ``module`` statement does to all paths of rules, such as to put a prefix before them."""
GPUS = 0 if config["device"] == "cpu" else 1
"""Cards that a job with a model asks for; the job runs on the CPU where there is none."""


def with_warnings(command):
    """A command, and after it the warnings that its log holds, for the terminal."""
    return f"{command} && (grep '^{SIGN}' {{log:q}} >&2 || true)"


def labels(section, key=None):
    """Pattern that matches the labels of a section, or of those entries that have the key."""
    return either(
        label for label, content in config[section].items() if not key or key in content
    )


def either(texts):
    """Pattern that matches each of these texts; nothing where there is none."""
    return "|".join(sorted(map(re.escape, texts), key=len, reverse=True)) or "(?!)"


def entry(section, label, *path):
    """What the configuration says of a label, or of a part of it."""
    found = config[section][label]
    for key in path:
        found = found[key]
    return found


def spec(section, wildcard, *path):
    """Function of the wildcards: a label's entry as canonical JSON, the form jobs take it in."""
    return lambda w: json.dumps(entry(section, w[wildcard], *path), sort_keys=True)


def parts(section, wildcard, *keys):
    """Like ``spec``, of these keys of the entry alone, if it has them: others rerun nothing."""

    def found(w):
        content = entry(section, w[wildcard])
        return json.dumps({k: content[k] for k in keys if k in content}, sort_keys=True)

    return found


def filled(pattern):
    """Parameter: a pattern of paths that the job fills in itself, below the prefix that rules have."""
    return lambda w: PATHS.replace_prefix(pattern)


def method(section, wildcard):
    """Like ``spec``, without the keys that concern the workflow alone."""
    return lambda w: json.dumps(
        settings.plugin_spec(section, entry(section, w[wildcard])), sort_keys=True
    )


def code(stage, *plugins):
    """Function of the wildcards: digest of a stage and of the plug-ins that it will load.

    Of each plug-in its kind, and a function that gives its spec, which may name others in turn.
    """

    def digest(w):
        specs = [(kind, spec(w)) for kind, spec in plugins]
        loaded = [annotations.modules(kind, spec) for kind, spec in specs if spec]
        return provenance.digest(f"fedsieve.stages.{stage}", *sum(loaded, []))

    return digest


def texts(*folders):
    """Digest of files that a job reads beside code, such as templates and captions."""
    files = sorted(path for folder in folders for path in folder.iterdir())
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()[
        :16
    ]


def used(kind, section, wildcard, *path):
    """The plug-in that a label uses, for ``code``."""
    return kind, lambda w: entry(section, w[wildcard], *path)


def n_clients(w):
    """Number of clients of a partition."""
    return entry("partitions", w.partition, "n_clients")


def last_rounds(w):
    """Number of rounds at the end whose mean a table shows."""
    return entry("tasks", w.task).get("last_rounds", 1)


def every_client(pattern):
    """Input function: a file of each client."""
    return lambda w: expand(pattern, client=range(n_clients(w)), allow_missing=True)


def own_files(w):
    """Digests of the user's own files, whose change remakes the data; others have a checksum."""
    return provenance.contents(Path(DATA_ROOT), entry("tasks", w.task, "dataset"))


def client_blocks():
    """Blocks of clients, each with the number of clients of the partitions that have it.

    A rule that has a file of each client exists once for each of them, since Snakemake must know
    all outputs of a rule before it knows the partition
    (docs/decisions/0016-blocks-of-clients.md).
    """
    numbers = {content["n_clients"] for content in config["partitions"].values()}
    return [(n, block) for n in sorted(numbers) for block in blocks.split(n)]


def partitions_of(n):
    """Pattern that matches the partitions of so many clients."""
    found = config["partitions"].items()
    return either(label for label, content in found if content["n_clients"] == n)


def on_block(rule, n, block):
    """Name of a rule on a block, for which all resources count that are set for the rule."""
    name = blocks.name(rule, block, n)
    asked = workflow.resource_settings
    for said in (asked._parsed_overwrite_threads, asked._parsed_overwrite_resources):
        if (found := said.get(rule)) is not None:
            said[name] = found
    return name


def group_of(rule):
    """Function of the wildcards: the group that is set for a rule, for the rule on a block."""
    return lambda w: workflow.group_settings.overwrite_groups.get(rule)


def each(pattern, block):
    """A file of each client of a block."""
    return expand(pattern, client=block, allow_missing=True)


def block_views(block):
    """Input function: what a sanitizer sees of each client of a block, a file for each layer."""
    return lambda w: [
        path
        for client in block
        for path in expand(
            VIEW, client=client, layer=seen_layers(w), allow_missing=True
        )
    ]


def seen_layers(w):
    """The layers that a sanitizer which works before training sees."""
    return settings.layers(entry("sanitizers", w.sanitizer, "features"))


def before(*patterns):
    """Input function: the same files of the exchange before, nothing at the first."""

    def earlier(w):
        number = int(w.exchange)
        return [p.replace("{exchange}", str(number - 1)) for p in patterns if number]

    return earlier


def last(*patterns):
    """Input function: these files of a sanitizer's last exchange."""

    def final(w):
        name = entry("sanitizers", w.sanitizer, "use")
        exchanges = registry.constant("sanitizers", name, "EXCHANGES")
        return [p.replace("{exchange}", str(exchanges - 1)) for p in patterns]

    return final


def in_training(w):
    """The sanitizer of a defense if it works between the rounds of training, else None."""
    label = entry("defenses", w.defense).get("sanitize")
    found = config["sanitizers"].get(label, {})
    return found if "before_rounds" in found else None


def in_training_spec(w):
    """What the training job must know of such a sanitizer, as JSON."""
    if (found := in_training(w)) is None:
        return "{}"
    content = {
        "method": settings.plugin_spec("sanitizers", found),
        "judgements": settings.judgements(found),
    }
    return json.dumps(content, sort_keys=True)


def kept_samples(w):
    """The mask of a sanitizer that works before training, else nothing."""
    label = entry("defenses", w.defense).get("sanitize")
    if label is None or in_training(w):
        return []
    return f"{SANITIZED}/keep.npz".replace("{sanitizer}", label)


def training_code(w):
    """Digest of all code that a training job runs."""
    defense = entry("defenses", w.defense)
    plugins = [
        ("models", entry("tasks", w.task, "model")),
        ("attacks", entry("attacks", w.attack)),
        ("aggregators", defense["aggregate"]),
        ("detectors", defense.get("detect")),
        ("sanitizers", in_training(w)),
    ]
    return code(
        "train", *((kind, lambda _, spec=spec: spec) for kind, spec in plugins)
    )(w)


def claimed_grids():
    """Grids to run that some reading of a claim looks at; without any there is no ledger."""
    named = {
        g for c in config["claims"].values() for g in claim_settings.claimed_grids(c)
    }
    return [grid for grid in config["run"] if grid in named]


def judging_model(w):
    """Snapshots of the run whose model a screening judges by."""
    if w.trained == grids.CLEAN_MODEL:
        return f"{UNDEFENDED}/snapshots.safetensors"
    return f"{POISONED}/{w.trained}/snapshots.safetensors"


def screening_files(w):
    """A file of each screening of a grid."""
    return [SCREENED.format(**s) for s in grids.screenings(config["grids"][w.grid])]


def screening_truths(w):
    """What was poisoned, and who holds it, of each screening of a grid."""
    found = grids.screenings(config["grids"][w.grid])
    patterns = f"{POISONED}/poisoning.npz", f"{PARTITIONED}/clients.npz"
    return sorted({pattern.format(**s) for s in found for pattern in patterns})


def screening_grids():
    """Grids to run that ask for screenings."""
    return [g for g in config["run"] if "screen" in config["grids"][g]]


def scenario_truths(w):
    """What was poisoned in each scenario of a grid."""
    found = grids.scenarios(config["grids"][w.grid])
    return sorted({f"{POISONED}/poisoning.npz".format(**s) for s in found})


def scenario_files(name):
    """Input function: a file of every scenario of a grid."""

    def files(w):
        return [
            f"{SCENARIO}/{name}".format(**s)
            for s in grids.scenarios(config["grids"][w.grid])
        ]

    return files


def label_order(w):
    """Defenses and attacks of a grid in their order there, which tables and figures follow."""
    grid = config["grids"][w.grid]
    return [*grid["defense"], *grid["attack"]]


def defense_marks(w):
    """What to say of a grid's defenses beside their names: what they know, or assume."""
    named = {d: config["defenses"][d] for d in config["grids"][w.grid]["defense"]}
    marks = {}
    for name, found in named.items():
        sanitizer = config["sanitizers"].get(found.get("sanitize"), {})
        if "oracle" in sanitizer:
            marks[name] = "\u2020"
        elif (told := found["aggregate"].get("n_malicious")) is not None:
            marks[name] = "\u2021" if told == "oracle" else f"f = {told}"
        detector = found.get("detect", {}).get("use")
        if detector and plugin_specs.declared(
            "detectors", detector, "SENDS_LABEL_COUNTS"
        ):
            marks[name] = f"{marks.get(name, '')} \u00a7".lstrip()
    return json.dumps(marks, sort_keys=True)


def all_marks():
    """Those of each grid to run, as JSON."""
    found = {g: defense_marks(SimpleNamespace(grid=g)) for g in config["run"]}
    return json.dumps({g: json.loads(marks) for g, marks in found.items()})


def shown_settings():
    """What the configuration says of the grids to run and of their labels, as JSON."""
    shown = {g: config["grids"][g] for g in config["run"]}
    found = {"run": config["run"], "grids": shown}
    for axis, section in settings.GRID_LABELS.items():
        named = {label for grid in shown.values() for label in grid[axis]}
        found[section] = {label: config[section][label] for label in named}
    found["sanitizers"] = {k: v for g in shown for k, v in sanitized(g).items()}
    return json.dumps(found, sort_keys=True)


def sanitized(grid):
    """Sanitizers that the defenses of a grid name, with their content."""
    named = [
        config["defenses"][d].get("sanitize") for d in config["grids"][grid]["defense"]
    ]
    return {label: config["sanitizers"][label] for label in named if label}


def clustering_sanitizers(grid):
    """Sanitizers of a grid whose features can be drawn: of one layer, before training."""
    found = {k: v for k, v in sanitized(grid).items() if "use" in v}
    return [
        k
        for k, v in found.items()
        if "before_rounds" not in v and "+" not in v["features"]
    ]


def removing_grid(w):
    """What a figure shows of a grid: sanitizers at work, on its first task, partition and seed."""
    grid = config["grids"][w.grid]
    shown = {axis: grid[axis][:1] for axis in ("task", "partition", "seed")}
    shown["ratio"] = [grid["ratio"][len(grid["ratio"]) // 2]]
    shown["attack"] = [a for a in grid["attack"] if a != grids.UNATTACKED]
    shown[grids.UNFINISHED] = grid.get(grids.UNFINISHED, [])
    judging = {k for k, v in sanitized(w.grid).items() if "use" in v}
    shown["defense"] = [
        d for d in grid["defense"] if entry("defenses", d).get("sanitize") in judging
    ]
    return shown


def removing_files(pattern):
    """Input function: a file of each scenario that such a figure shows."""

    def files(w):
        found = [pattern.format(**s) for s in grids.scenarios(removing_grid(w))]
        return list(dict.fromkeys(found))

    return files


def flagging_sanitizers(grid):
    """Sanitizers of a grid whose flags can be drawn."""
    found = sanitized(grid).items()
    return [
        k
        for k, v in found
        if "before_rounds" in v
        and plugin_specs.declared("sanitizers", v["use"], "RECORDS_EXCESS")
    ]


CURVES = {
    "curves": ["accuracy", "asr"],
    "local": ["local_train", "local_train_clean", "local_test"],
    "detection": [
        "detection.f1",
        "detection.false_positive_rate",
        "malicious_share",
        "source_recall",
    ],
}
"""Figures of curves over the rounds, and what they show."""


def tested_locally(grid):
    """Whether a task of a grid tests the clients' own models, too."""
    tasks = config["grids"][grid]["task"]
    return any(entry("tasks", t).get("local_accuracy") for t in tasks)


def detecting(grid, having=None):
    """Defenses of a grid with a detector, or those whose detector's file has that constant."""
    found = []
    for name in config["grids"][grid]["defense"]:
        detect = entry("defenses", name).get("detect")
        if detect and (
            not having or plugin_specs.declared("detectors", detect["use"], having)
        ):
            found.append(name)
    return found


def in_rounds(grid, defense):
    """Whether a detector screens before some round of the grid's first task, not only after all."""
    rounds = entry("tasks", config["grids"][grid]["task"][0], "rounds")
    before = entry("defenses", defense, "detect").get("before_rounds", [1])
    return min(before) <= rounds


def defense_grid(w):
    """What a figure shows of one defense of a grid: the first task, partition and seed."""
    grid = config["grids"][w.grid]
    first = {axis: grid[axis][:1] for axis in ("task", "partition", "seed")}
    return {**grid, **first, "defense": [w.defense]}


def defense_files(pattern):
    """Input function: a file of each scenario of a grid under one defense."""
    return lambda w: [pattern.format(**s) for s in grids.scenarios(defense_grid(w))]


def flipped_shares(grid):
    """Share of the source class that each label flip of a grid flips."""
    found = {a: config["attacks"].get(a, {}) for a in config["grids"][grid]["attack"]}
    return {
        label: attack.get("poison_fraction", 1.0)
        for label, attack in found.items()
        if attack.get("use") == "label_flip"
    }


def sweeps_shares(grid):
    """Whether a grid's label flips differ in their share of the class, and its ratios differ."""
    return (
        len(set(flipped_shares(grid).values())) > 2
        and len(config["grids"][grid]["ratio"]) > 1
    )


def figures():
    """All figures of the grids to run."""
    attacked = [
        g
        for g in config["run"]
        if set(config["grids"][g]["attack"]) - {grids.UNATTACKED}
    ]
    always = ["curves", "success", "batch_times"]
    stems = [f"{g}/{name}" for g in config["run"] for name in always]
    stems += [f"{g}/local" for g in config["run"] if tested_locally(g)]
    stems += [f"{g}/boundary" for g in config["run"] if sweeps_shares(g)]
    for g in config["run"]:
        stems += [f"{g}/detection"] * bool(detecting(g))
        stems += [f"{g}/quality-{d}" for d in detecting(g, "SCORE") if in_rounds(g, d)]
        if g in attacked:
            stems += [f"{g}/updates-{d}" for d in detecting(g, "RECORDS_UPDATES")]
    stems += [f"{g}/sanitization" for g in attacked if sanitized(g)]
    stems += [
        f"{g}/caught"
        for g in attacked
        if removing_grid(SimpleNamespace(grid=g))["defense"]
    ]
    stems += [f"{g}/features-{s}" for g in attacked for s in clustering_sanitizers(g)]
    stems += [f"{g}/feature_maps" for g in attacked if backdoored(g)]
    stems += [f"{g}/flags-{s}" for g in config["run"] for s in flagging_sanitizers(g)]
    shown = [stem for stem in stems if shows_something(stem)]
    return expand("results/figures/{stem}.{kind}", stem=shown, kind=["png", "pdf"])


def drawn_scenarios(w):
    """The poisoned data sets whose feature space a figure shows: one per attack of the grid."""
    grid = config["grids"][w.grid]
    ratio = format(grid["ratio"][len(grid["ratio"]) // 2], "g")
    return [
        {
            "task": grid["task"][0],
            "partition": grid["partition"][0],
            "seed": grid["seed"][0],
            "attack": attack,
            "ratio": ratio,
        }
        for attack in grid["attack"]
        if attack != grids.UNATTACKED
    ]


def drawn(pattern):
    """Input function: a file of each poisoned data set that a figure shows."""

    def files(w):
        layer = entry("sanitizers", w.sanitizer, "features")
        return [
            path
            for s in drawn_scenarios(w)
            for path in expand(
                pattern,
                **s,
                sanitizer=w.sanitizer,
                layer=layer,
                client=range(entry("partitions", s["partition"], "n_clients")),
            )
        ]

    return files


def backdoored(grid):
    """Backdoor attacks of a grid, if it trains a model without a defense on what they poison."""
    grid = config["grids"][grid]
    attacks = [a for a in grid["attack"] if entry("attacks", a)["use"] == "backdoor"]
    return attacks if "none" in grid["defense"] else []


def mapped_scenario(w):
    """The undefended model whose feature maps a figure shows: of the grid's first backdoor."""
    shown = {s["attack"]: s for s in drawn_scenarios(w)}
    return {**shown[backdoored(w.grid)[0]], "defense": "none"}


def mapped(pattern):
    """Input function: a file of the model whose feature maps a figure shows."""
    return lambda w: pattern.format(**mapped_scenario(w))


def mapped_entry(w, section, axis, *path):
    """What the configuration says of the label that this model has on an axis of the grid."""
    return entry(section, mapped_scenario(w)[axis], *path)


def flagging_grid(w):
    """A grid with those of its defenses that use a sanitizer."""
    grid = config["grids"][w.grid]
    users = [
        d
        for d in grid["defense"]
        if entry("defenses", d).get("sanitize") == w.sanitizer
    ]
    return {**grid, "defense": users}


def flagging_files(pattern):
    """Input function: a file of each scenario of a grid in which a sanitizer is used."""

    def files(w):
        found = [pattern.format(**s) for s in grids.scenarios(flagging_grid(w))]
        return list(dict.fromkeys(found))

    return files


def say(text):
    """Print text as UTF-8: tables have letters that the encodings of some locales lack."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(encoding="utf-8")
    print(text)


def headline():
    """Text for the terminal once a run is done: the numbers, and where to look further."""
    lines = [
        Path(PATHS.replace_prefix(f"results/tables/{grid}.txt"))
        for grid in config["run"]
    ]
    return "\n".join(
        path.read_text(encoding="utf-8") for path in lines if path.exists()
    )


def warnings():
    """Text for the terminal once a run is done: what is not as it may be meant, from the logs."""
    logs = [
        pattern.format(**s)
        for pattern in (f"{TASK}/data.log", f"{POISONED}/poison.log")
        for s in grids.scenarios(*(config["grids"][g] for g in config["run"]))
    ]
    return told(Path(log) for log in dict.fromkeys(logs))


def hindrance():
    """Text for the terminal where jobs failed without a word, since their logs had no room."""
    if shutil.disk_usage("results").free > 2**20:
        return ""
    return (
        "No space left on device: results/ lies on a full disk, so that logs may be empty. Make"
        " room and run the same command again; what is finished stays.\n"
    )


def refuse_read_only():
    """Stop before the first job where results cannot be written, and say so."""
    if os.path.isdir("results") and not os.access("results", os.W_OK):
        raise WorkflowError(
            "results/ cannot be written: its disk is mounted read-only, or the folder is not yours."
            " Allow writing and run the same command again; what is finished stays."
        )
