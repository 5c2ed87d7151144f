"""Complete the configuration, and find all that is wrong with it before anything runs.

Imported by the Snakefile, hence the standard library and jsonschema only.
"""

import contextlib
import copy
import itertools
import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from fedsieve import annotations, conflicts, guard, plugin_specs, registry
from fedsieve.claim_settings import MARGINS, claim_problems
from fedsieve.errors import InputError
from fedsieve.grids import CLEAN_MODEL, UNATTACKED, scenarios
from fedsieve.paths import expanded, written
from fedsieve.ratios import ORACLE, n_malicious
from fedsieve.registry import near
from fedsieve.schema import Key, Problem, demand, exponents, misfits, shown

BUILT_IN: Mapping[str, Mapping[Any, Any]] = {
    "attacks": {UNATTACKED: {"use": "unattacked"}},
    "sanitizers": {},
    "detections": {},
    "claims": {},
    "defenses": {"none": {"aggregate": {"use": "fedavg"}}},
}
"""Labels that every configuration has, and that none may define otherwise."""

PLUGINS = (
    ("tasks", "dataset", "datasets"),
    ("tasks", "model", "models"),
    ("partitions", None, "partitions"),
    ("attacks", None, "attacks"),
    ("sanitizers", None, "sanitizers"),
    ("defenses", "detect", "detectors"),
    ("detections", None, "detectors"),
    ("defenses", "aggregate", "aggregators"),
)
"""Section, key in its entries (None: the entry itself), and the kind of plug-in named there."""

SHARED = ("tasks", "partitions", "attacks", "detections", "defenses", "sanitizers")
"""Sections of config/common.yaml; defenses before the sanitizers that they name."""

SHOWN = 20
"""Problems that one message lists, so that it fits on a screen."""

WORKFLOW_KEYS = {
    "models": {"bf16"},
    "partitions": {"n_clients"},
    "sanitizers": {"features", "before_rounds"},
    "detectors": {"before_rounds"},
}
"""Keys beside a plug-in's parameters that are meant for the workflow."""

GRID_LABELS = {
    "task": "tasks",
    "partition": "partitions",
    "attack": "attacks",
    "defense": "defenses",
}
"""Axis of a grid and the section that its labels belong to."""


def complete(config: Mapping[Any, Any]) -> dict[str, Any]:
    """Return a copy with the built-in labels and the defaults of the top level.

    Values of the wrong type stay as they are, for ``check`` to report.
    """
    full = {"data_root": "results/raw", "device": "auto", **copy.deepcopy(dict(config))}
    if isinstance(full["data_root"], str):
        full["data_root"] = written(full["data_root"])
    full["data_root"] = os.environ.get("FEDSIEVE_DATA") or full["data_root"]
    for section, entries in BUILT_IN.items():
        if isinstance(given := full.get(section, {}), Mapping):
            full[section] = {**copy.deepcopy(dict(entries)), **given}
    if isinstance(given := full.get("margins", {}), Mapping):
        full["margins"] = {**MARGINS, **given}
    if isinstance(full.get("grids"), Mapping):
        full.setdefault("run", list(full["grids"]))
    return full


def with_common(config: Mapping[Any, Any], common: Mapping[Any, Any]) -> dict[str, Any]:
    """Return a copy with those entries of ``common`` that it names, if it asks for them.

    An entry is taken whole or not at all: nothing is mixed into one that the configuration defines
    itself. Values of the wrong type stay as they are.

    Args:
        config: A configuration; one without ``common: true`` stays as it is.
        common: What config/common.yaml holds.
    """
    full = copy.deepcopy(dict(config))
    for section in SHARED if config.get("common") is True else ():
        named = [label for _, of, label in _references(full) if of == section]
        found = {label: copy.deepcopy(e) for label, e in common[section].items() if label in named}
        if found and isinstance(own := full.get(section, {}), Mapping):
            full[section] = {**found, **own}
    return full


def plugin_spec(kind: str, entry: Mapping[Any, Any]) -> dict[str, Any]:
    """Return what the plug-in itself gets: the entry without the workflow's own keys."""
    return {k: v for k, v in entry.items() if k not in WORKFLOW_KEYS.get(kind, ())}


def plugin_folders(config: Mapping[Any, Any]) -> list[Path]:
    """Folders with plug-ins beside the package, as far as they are given as they should be.

    Raises:
        InputError: for a folder whose path cannot be known.
    """
    given = config.get("plugins")
    if not isinstance(given, list):
        return []
    try:
        return [expanded(written(folder)) for folder in given if isinstance(folder, str)]
    except InputError as error:
        raise InputError(f"plugins: {error}") from None


def own_archive(root: Path, file: str) -> Path:
    """Where a user's own archive lies that the configuration names, relative to the data root.

    Raises:
        InputError: where its path cannot be known.
    """
    return expanded(written(file), root)


def layers(features: str) -> list[str]:
    """Layers that a sanitizer sees at once: ``raw+conv2`` names two."""
    return features.split("+")


def judgements(sanitizer: Mapping[Any, Any]) -> list[tuple[int, list[str]]]:
    """Rounds before which a sanitizer judges, each with the layers that it sees then.

    ``features`` may be one entry for all judgements or a list, whose last entry goes on.
    """
    rounds, features = sorted(sanitizer["before_rounds"]), sanitizer["features"]
    listed = features if isinstance(features, list) else [features]
    return [(number, layers(listed[min(i, len(listed) - 1)])) for i, number in enumerate(rounds)]


def check(
    config: Mapping[Any, Any], schema: Mapping[Any, Any], common: Mapping[Any, Any] | None = None
) -> None:
    """Raise InputError with all problems of a configuration, one a line, each naming its key.

    Args:
        config: What ``with_common`` returns, or a configuration that defines all of its labels.
        schema: Of a configuration.
        common: What config/common.yaml holds, whose labels a message may suggest.
    """
    common = (common or {}) if config.get("common") is True else {}
    structure = [
        (key, wrong + _unmixed(key, wrong, common)) for key, wrong in misfits(config, schema)
    ]
    faulty = {key[:2] for key, _ in structure}
    full = complete(config)
    content = (
        *(_redefined, _folders, _paths, _plugins, _untold),
        *(_idle_attacks, _judgements),
    )
    found = itertools.chain(
        structure,
        *(find(full) for find in content),
        _unknown_labels(full, common),
        _impossible(full, faulty),
        _unsound_claims(full, faulty),
    )
    lines = list(dict.fromkeys(_line(f"{shown(key)}: {message}") for key, message in found))
    if lines:
        count = "1 problem" if len(lines) == 1 else f"{len(lines)} problems"
        more = [f"  and {len(lines) - SHOWN} more"] * (len(lines) > SHOWN)
        raise InputError("\n".join([f"the configuration has {count}:", *lines[:SHOWN], *more]))


def reference(schema: Mapping[Any, Any]) -> str:
    """Describe every key of the configuration, in Markdown."""
    parts = [f"# {schema['title']}", schema["description"]]
    for key, part in schema["properties"].items():
        optional = key not in schema["required"]
        (_, wanted, meaning), *rows = _rows(key, part, schema["$defs"], optional)
        parts.append(f"## {key}\n\n{wanted[0].upper()}{wanted[1:]}. {meaning}")
        if rows:
            table = [("Key", "Value", "Meaning"), ("---", "---", "---"), *rows]
            parts.append("\n".join("| {} | {} | {} |".format(*row) for row in table))
    return "\n\n".join(parts) + "\n"


def _line(text: str) -> str:
    """Keep a message on one line, whatever characters a key or a value holds."""
    return "  " + "".join(c if c.isprintable() else " " for c in text)


def _rows(
    key: str, part: Mapping[Any, Any], defs: Mapping[Any, Any], optional: bool = False
) -> Iterator[tuple[str, str, str]]:
    base = defs[part["$ref"].rsplit("/")[-1]] if "$ref" in part else {}
    whole = {**base, **part}
    yield f"`{key}`", demand(whole) + "; optional" * optional, whole["description"]
    for name, inner in (base.get("properties", {}) | part.get("properties", {})).items():
        yield from _rows(f"{key}.{name}", inner, defs, name not in whole.get("required", ()))
    if isinstance(each := whole.get("additionalProperties"), Mapping):
        yield from _rows(f"{key}.LABEL", each, defs)


def _entries(config: Mapping[Any, Any], section: str) -> Mapping[Any, Mapping[Any, Any]]:
    """Those entries of a section that are mappings, whatever else is wrong with them."""
    entries = config.get(section)
    if not isinstance(entries, Mapping):
        return {}
    return {label: entry for label, entry in entries.items() if isinstance(entry, Mapping)}


def _redefined(config: Mapping[Any, Any]) -> Iterator[Problem]:
    """Yield built-in labels that the configuration gives another meaning."""
    for section, entries in BUILT_IN.items():
        for label, entry in entries.items():
            if _entries(config, section).get(label, entry) != entry:
                yield (section, label), f"is built in as {entry}; choose another label"


def _folders(config: Mapping[Any, Any]) -> Iterator[Problem]:
    """Yield folders of plug-ins that hold none of any kind."""
    for number, folder in enumerate(plugin_folders(config)):
        if not folder.is_dir():
            yield ("plugins", number), f"there is no folder {folder}"
        elif os.pathsep in str(folder.resolve()):
            wrong = f"{os.pathsep} in {folder} would separate folders in {registry.ELSEWHERE}"
            yield ("plugins", number), f"{wrong}; rename it"
        elif not any(Path(folder, kind).is_dir() for kind in registry.CONTRACTS):
            held = ", ".join(f"{kind}/" for kind in registry.CONTRACTS)
            yield ("plugins", number), f"{folder} holds none of the folders {held}"


def _paths(config: Mapping[Any, Any]) -> Iterator[Problem]:
    """Yield paths that name a variable or a user that there is not."""
    try:
        root = expanded(str(config.get("data_root")))
    except InputError as error:
        yield ("data_root",), str(error)
        return
    for label, task in _entries(config, "tasks").items():
        file = found.get("file") if isinstance(found := task.get("dataset"), Mapping) else None
        try:
            own_archive(root, file if isinstance(file, str) else "")
        except InputError as error:
            yield ("tasks", label, "dataset", "file"), str(error)


def _plugins(config: Mapping[Any, Any]) -> Iterator[Problem]:
    """Yield what is wrong with the choice of plug-ins and their parameters."""
    for section, name, kind in PLUGINS:
        for label, entry in _entries(config, section).items():
            spec = entry.get(name) if name else entry
            built_in = entry == BUILT_IN.get(section, {}).get(label)
            if not built_in and isinstance(spec, Mapping) and isinstance(spec.get("use"), str):
                key = (section, label, name) if name else (section, label)
                yield from _plugin(key, kind, plugin_spec(kind, spec))


def _plugin(key: Key, kind: str, spec: Mapping[Any, Any]) -> Iterator[Problem]:
    """Yield an unknown plug-in, or the parameters that it does not take or still needs."""
    name, given = spec["use"], registry.options(spec)
    if name not in registry.available(kind):
        missing = f"there is no src/fedsieve/{kind}/{name}.py"
        yield (*key, "use"), missing + near(name, registry.available(kind))
        return
    try:
        path = registry.find(kind, name)
        taken, required = registry.parameters(path, registry.CONTRACTS[kind])
    except InputError as error:
        yield (*key, "use"), str(error)
        return
    for lacking in plugin_specs.missing(kind, path):
        yield (*key, "use"), lacking
    if way := guard.forbidden_import(kind, name):
        yield (*key, "use"), f"{registry.shown(path)} imports {way}: {guard.WHY}"
    try:
        allowed = annotations.schemas(path, registry.CONTRACTS[kind])
    except InputError as error:
        yield (*key, "use"), str(error)
        return
    if isinstance(given.get("n_malicious"), str):  # oracle, or told of by ``_untold``
        allowed = {name: wanted for name, wanted in allowed.items() if name != "n_malicious"}
    for parameter in given:
        if parameter not in taken:
            yield (*key, parameter), _unknown(kind, path, parameter, taken)
        for text in (written := list(exponents(given[parameter]))):
            yield (*key, parameter), f"holds {text}"
        for part, wrong in misfits(given[parameter], allowed.get(parameter, {})):
            if not written:
                yield (*key, parameter, *part), wrong
    for place, of, inner in annotations.inner(kind, spec):
        yield from _plugin((*key, *place), of, inner)
    for parameter in sorted(required - given.keys()):
        yield (*key, parameter), f"is missing: {name} has no default for it"
    for alone, needed in (plugin_specs.declared(kind, name, "EITHER") or {}).items():
        if alone not in given:
            for parameter in (each for each in needed if given.get(each) is None):
                yield (*key, parameter), f"must be given where there are no {alone}"
        elif others := [str(each) for each in given if each != alone]:
            yield (*key, alone), f"must stand alone: drop {alone}, or {', '.join(others)}"
    first, *others = plugin_specs.declared(kind, name, "DIFFERENT") or [None]
    for parameter in others:
        if first in given and given[first] == given.get(parameter):
            yield (*key, parameter), f"{given[first]!r} is {first} itself; choose another"


def _unknown(kind: str, path: Path, parameter: Any, taken: Collection[str]) -> str:
    """Say that a plug-in has no such parameter, or has it where the workflow cannot give it."""
    if function := plugin_specs.positional(kind, path, parameter):
        return f"is no parameter of {path.stem} yet: put '*,' before {parameter} in {function}"
    return f"unknown parameter of {path.stem}{near(parameter, sorted(taken))}"


def _untold(config: Mapping[Any, Any]) -> Iterator[Problem]:
    """Yield numbers of malicious clients that are words, but for ``oracle``."""
    for name, defense in _entries(config, "defenses").items():
        aggregate = defense.get("aggregate")
        told = aggregate.get("n_malicious") if isinstance(aggregate, Mapping) else None
        if isinstance(told, str) and told != ORACLE:
            key = ("defenses", name, "aggregate", "n_malicious")
            yield key, f"{told!r} is neither a number nor {ORACLE!r}, the true one in each cohort"


def _references(config: Mapping[Any, Any]) -> Iterator[tuple[Key, str, Any]]:
    """Yield every mention of a label, with the section that it belongs to."""
    for name, grid in _entries(config, "grids").items():
        for axis, section in GRID_LABELS.items():
            labels = grid.get(axis)
            for i, label in enumerate(labels if isinstance(labels, list) else ()):
                yield ("grids", name, axis, i), section, label
        screen = grid.get("screen")
        wanted = screen.get("detections") if isinstance(screen, Mapping) else None
        for i, label in enumerate(wanted if isinstance(wanted, list) else ()):
            yield ("grids", name, "screen", "detections", i), "detections", label
    for name, defense in _entries(config, "defenses").items():
        yield ("defenses", name, "sanitize"), "sanitizers", defense.get("sanitize")
    run = config.get("run")
    for i, label in enumerate(run if isinstance(run, list) else ()):
        yield ("run", i), "grids", label


def _idle_attacks(config: Mapping[Any, Any]) -> Iterator[Problem]:
    """Yield attacks, and parts of attacks, that poison nothing: each share that they have is 0."""
    for key, attack, remedy in _attacks(config):
        if attack.get("use") not in registry.available("attacks"):
            continue
        with contextlib.suppress(InputError):  # of a file that is none, told by ``_plugins``
            path = registry.find("attacks", attack["use"])
            taken, _ = registry.parameters(path, registry.CONTRACTS["attacks"])
            shares = sorted(key for key in taken if key.endswith("fraction"))
            if shares and all(attack.get(key) == 0 for key in shares):
                found = f"must be above 0, not {attack[shares[0]]!r}, which poisons nothing"
                yield (*key, shares[0]), f"{found}; {remedy}"


def _attacks(config: Mapping[Any, Any]) -> Iterator[tuple[Key, Mapping[Any, Any], str]]:
    """Yield every attack and every part of one, with what to do where it poisons nothing."""
    for name, attack in _entries(config, "attacks").items():
        yield ("attacks", name), attack, f"for no attack use {UNATTACKED!r} in grids"
        for place, _, part in annotations.nested("attacks", attack):
            yield ("attacks", name, *place), part, "drop the part"


def _judgements(config: Mapping[Any, Any]) -> Iterator[Problem]:
    """Yield rounds in disorder, and lists with more entries than there are judgements."""
    for name, sanitizer in _entries(config, "sanitizers").items():
        key: Key = ("sanitizers", name)
        rounds = sanitizer.get("before_rounds")
        yield from _disordered((*key, "before_rounds"), rounds)
        if isinstance(sanitizer.get("features"), list) and not isinstance(rounds, list):
            wrong = "is a list, but without before_rounds there is one judgement"
            yield (*key, "features"), f"{wrong}; join layers as in raw+conv2"
            continue
        n = len(rounds) if isinstance(rounds, list) else 1
        for parameter in ("features", *_per_judgement(sanitizer)):
            given = sanitizer.get(parameter)
            if isinstance(given, list) and len(given) > n:
                judged = f"{n} judgement{'s' * (n > 1)} (before_rounds)"
                wrong = f"has {len(given)} entries for {judged}"
                yield (*key, parameter), f"{wrong}; drop some or add rounds"
    for name, defense in _entries(config, "defenses").items():
        if isinstance(detector := defense.get("detect"), Mapping):
            rounds = detector.get("before_rounds")
            yield from _disordered(("defenses", name, "detect", "before_rounds"), rounds)


def _disordered(key: Key, rounds: Any) -> Iterator[Problem]:
    """Yield rounds that do not ascend: what goes with the first of them would be another's."""
    numbers = isinstance(rounds, list) and all(isinstance(number, int) for number in rounds)
    if numbers and rounds != sorted(rounds):
        yield key, f"must ascend: write {sorted(rounds)}"


def _per_judgement(sanitizer: Mapping[Any, Any]) -> list[str]:
    """Parameters of a sanitizer that may have an entry for each judgement."""
    name = sanitizer.get("use")
    if not isinstance(name, str):
        return []
    try:
        path = registry.find("sanitizers", name)
        return annotations.per_judgement(path, registry.CONTRACTS["sanitizers"])
    except InputError:  # ``_plugin`` tells of it
        return []


def _unmixed(key: Key, wrong: str, common: Mapping[Any, Any]) -> str:
    """What to add where an entry lacks something that another of its label has."""
    section, label = (*key, None, None)[:2]
    if wrong.startswith("is missing") and label in common.get(section, {}):
        return "; nothing of its entry in config/common.yaml is mixed in, write all of it"
    return ""


def _unknown_labels(config: Mapping[Any, Any], common: Mapping[Any, Any]) -> Iterator[Problem]:
    """Yield mentions of labels that do not exist."""
    for key, section, label in _references(config):
        known = config.get(section)
        if isinstance(label, str) and isinstance(known, Mapping) and label not in known:
            choice = dict.fromkeys([*known, *common.get(section, {})])
            yield key, f"{section} has no {label!r}{near(label, choice)}"


def _impossible(config: Mapping[Any, Any], faulty: set[Key]) -> Iterator[Problem]:
    """Yield sound settings that no scenario can combine.

    Args:
        faulty: Section and label of the entries to leave out, since the schema forbids them.
    """
    sound = {
        section: {k: v for k, v in _entries(config, section).items() if (section, k) not in faulty}
        for section in ("tasks", "partitions", "sanitizers", "defenses", "grids")
    }
    for label, content in sound["tasks"].items():
        yield from conflicts.lone_samples(label, content)
        yield from conflicts.untested(label, content)
    others = {section: _entries(config, section) for section in ("attacks", "detections")}
    yield from conflicts.several_labels(others | sound)
    yield from _unfit_defenses(sound)
    for name, grid in sound["grids"].items():
        yield from _long_ratios(name, grid)
        yield from _unscreenable(name, grid, sound["tasks"])
        for scenario in scenarios(grid):
            task = sound["tasks"].get(scenario["task"])
            partition = sound["partitions"].get(scenario["partition"])
            if task and partition:
                n_clients = partition["n_clients"]
                yield from _too_few(scenario, task, n_clients)
                yield from _late_snapshots(scenario["task"], task)
                yield from _bad_ratio(name, scenario, task, n_clients)
            defense = sound["defenses"].get(scenario["defense"], {})
            if task and (detector := defense.get("detect")):
                where = ("defenses", scenario["defense"], "detect")
                yield from _too_late(scenario, task, where, detector)
            sanitizer = defense.get("sanitize", "")
            if task and sanitizer in sound["sanitizers"]:
                key = ("sanitizers", sanitizer)
                yield from _too_late(scenario, task, key, sound["sanitizers"][sanitizer])


def _long_ratios(name: str, grid: Mapping[Any, Any]) -> Iterator[Problem]:
    for i, ratio in enumerate(grid["ratio"]):
        if float(format(ratio, "g")) != ratio:
            yield ("grids", name, "ratio", i), f"has more than 6 digits; paths show {ratio:g}"


def _unscreenable(
    name: str, grid: Mapping[Any, Any], tasks: Mapping[Any, Any]
) -> Iterator[Problem]:
    """Yield models to screen by that no run of the grid saves."""
    screen = grid.get("screen", {"models": [], "after_rounds": []})
    for i, label in enumerate(screen["models"]):
        if label not in (*grid["defense"], CLEAN_MODEL):
            known = near(label, [*grid["defense"], CLEAN_MODEL])
            yield (
                ("grids", name, "screen", "models", i),
                f"{label!r} is no defense of this grid{known}",
            )
    for task in grid["task"]:
        saved = tasks.get(task, {}).get("snapshots", [])
        for i, number in enumerate(screen["after_rounds"]):
            if task in tasks and number not in saved:
                wrong = f"tasks.{task}.snapshots has no round {number}; add it"
                yield ("grids", name, "screen", "after_rounds", i), wrong


def _too_few(
    scenario: Mapping[Any, Any], task: Mapping[Any, Any], n_clients: int
) -> Iterator[Problem]:
    """Yield what needs more clients, or more samples, than there are."""
    label, source = scenario["task"], f"partitions.{scenario['partition']}.n_clients"
    if task["cohort"] > n_clients:
        wrong = f"{task['cohort']} clients in a round, but {source} is {n_clients}"
        yield ("tasks", label, "cohort"), f"{wrong}; at most {n_clients} can take part"
    if task.get("max_samples", n_clients) < n_clients:
        wrong = f"{task['max_samples']} samples for the {n_clients} clients of {source}"
        yield ("tasks", label, "max_samples"), f"{wrong}; use at least {n_clients}"
    if task.get("max_samples") == n_clients and task["local"]["batch_size"] > 1:
        wrong = f"{n_clients} samples for the {n_clients} clients of {source}, and a batch of one"
        yield ("tasks", label, "max_samples"), f"{wrong} is left out: nobody would train; use more"


def _unfit_defenses(sound: Mapping[str, Mapping[Any, Mapping[Any, Any]]]) -> Iterator[Problem]:
    """Yield what a defense asks of a task that has no such clients or layers."""
    grids = sound["grids"].values()
    pairs = [(t, d) for grid in grids for t in grid["task"] for d in grid["defense"]]
    for label, name in dict.fromkeys(pairs):
        task, defense = sound["tasks"].get(label), sound["defenses"].get(name)
        if task and defense:
            yield from conflicts.beyond_cohort(label, task, name, defense["aggregate"])
            sanitizer = defense.get("sanitize")
            features = sound["sanitizers"].get(sanitizer, {}).get("features", [])
            listed = features if isinstance(features, list) else [features]
            asked = [layer for text in listed for layer in layers(text)]
            key = ("sanitizers", sanitizer, "features")
            yield from conflicts.unknown_layers(label, task, key, asked)


def _late_snapshots(label: str, task: Mapping[Any, Any]) -> Iterator[Problem]:
    if (last := max(task.get("snapshots", [0]))) > task["rounds"]:
        wrong = f"round {last} never comes: tasks.{label}.rounds is {task['rounds']}"
        yield ("tasks", label, "snapshots"), f"{wrong}; lower one or raise the other"


def _bad_ratio(
    grid: str, scenario: Mapping[Any, Any], task: Mapping[Any, Any], n_clients: int
) -> Iterator[Problem]:
    """Yield ratios that leave no benign client, or that attack without any malicious one.

    A stratified cohort always finds the clients it needs: halves go up among all clients as in
    the cohort, so the two counts differ by no more than the clients that are not in the cohort.
    """
    ratio, cohort = float(scenario["ratio"]), task["cohort"]
    key, malicious = ("grids", grid, "ratio"), n_malicious(ratio, n_clients)
    among = f"{ratio:g} of the {n_clients} clients of partitions.{scenario['partition']}"
    if malicious == n_clients:
        below = f"use a ratio below {(n_clients - 0.5) / n_clients:g}"
        yield key, f"{among} is {malicious} malicious, 0 benign clients; {below}"
    elif ratio and not malicious:
        yield key, f"{among} is 0 malicious clients; use 0 or at least {0.5 / n_clients:g}"
    elif ratio and task["sampling"] == "stratified":
        picked = n_malicious(ratio, cohort)
        if picked in (0, cohort):
            counts = f"{picked} malicious and {cohort - picked} benign of a cohort of {cohort}"
            remedy = "no round would mix them; change the ratio, the cohort, or sampling to uniform"
            yield key, f"{ratio:g} is {counts} (tasks.{scenario['task']}, stratified): {remedy}"


def _too_late(
    scenario: Mapping[Any, Any], task: Mapping[Any, Any], key: Key, method: Mapping[Any, Any]
) -> Iterator[Problem]:
    """Yield a judgement that never comes; one right after the last round is for the record."""
    if (last := max(method.get("before_rounds", [0]))) > task["rounds"] + 1:
        wrong = f"round {last} never comes: tasks.{scenario['task']}.rounds is {task['rounds']}"
        yield (*key, "before_rounds"), f"{wrong}; lower one or raise the other"


def _unsound_claims(config: Mapping[Any, Any], faulty: set[Key]) -> Iterator[Problem]:
    """Yield what is wrong with the claims that fit the schema."""
    if isinstance(margins := config.get("margins"), Mapping):
        claims = _entries(config, "claims")
        fitting = {k: v for k, v in claims.items() if ("claims", k) not in faulty}
        yield from claim_problems(fitting, margins)
