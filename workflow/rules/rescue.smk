# Where jobs fail, the runs that are finished get their tables, figures and page all the same: a
# second Snakemake makes them, which leaves out what is not finished
# (docs/decisions/0020-rescue.md).

import subprocess
import tempfile

RESCUE = "FEDSIEVE_UNFINISHED"
"""Environment variable of that Snakemake: a file that lists the paths that are not finished."""

LEFT_OUT = (
    json.loads(Path(os.environ[RESCUE]).read_text(encoding="utf-8"))
    if RESCUE in os.environ
    else {"unfinished": [], "undrawn": []}
)
"""What a Snakemake that makes tables of the rest leaves out: paths, and figures that failed."""


def reporting():
    """Names of the rules that train and measure nothing: all of report.smk."""
    return [r.name for r in workflow.rules if Path(r.snakefile).name == "report.smk"]


def leave_out():
    """Note in each grid to run what of it is not finished, and run no grid without a rest."""
    unfinished = {*LEFT_OUT["unfinished"]}
    for grid in config["grids"].values():
        for found, pattern, noted in (
            (grids.scenarios(grid), f"{SCENARIO}/metrics.json", grid),
            (grids.screenings(grid), SCREENED, grid.get("screen")),
        ):
            waiting = [s for s in found if pattern.format(**s) in unfinished]
            if waiting:
                noted[grids.UNFINISHED] = [list(s.values()) for s in waiting]
        if not grids.screenings(grid):
            grid.pop("screen", None)
    config["run"] = [g for g in config["run"] if grids.scenarios(config["grids"][g])]


def shows_something(stem):
    """Whether a figure did not fail, and enough of what it shows is finished."""
    name, _, figure = stem.partition("/")
    kind, _, label = figure.partition("-")
    w = SimpleNamespace(grid=name, defense=label, sanitizer=label)
    shown, needed = config["grids"][name], [f"results/figures/{stem}.png"]
    match kind:
        case "caught":
            shown = removing_grid(w)
        case "flags":
            shown = flagging_grid(w)
        case "quality" | "updates":
            shown = defense_grid(w)
        case "detection":
            shown = {**shown, "defense": detecting(name)}
        case "features":
            needed += [*drawn(f"{SANITIZED}/keep.npz")(w), *drawn(VIEW)(w)]
        case "feature_maps":
            folders = (SCENARIO, UNDEFENDED)
            needed += [mapped(f"{f}/model.safetensors")(w) for f in folders]
    left_out = {*LEFT_OUT["unfinished"], *LEFT_OUT["undrawn"]}
    return left_out.isdisjoint(needed) and bool(grids.scenarios(shown))


def rescued():
    """Make what can be made of the runs that are finished; say what there is and what is not."""
    jobs = list(workflow.dag.needrun_jobs())
    if RESCUE in os.environ or not workflow.is_main_process:
        return ""
    tables = reporting()
    LEFT_OUT["unfinished"] = [
        str(f) for j in jobs if j.rule.name not in tables for f in j.output
    ]
    LEFT_OUT["undrawn"] = failed_figures(jobs)
    leave_out()
    runs = [
        f.parent for f in map(Path, LEFT_OUT["unfinished"]) if f.name == "metrics.json"
    ]
    lines = [f"{len(runs)} runs are not finished:"] * bool(runs)
    lines += [f"  {folder}" for folder in runs[:10]]
    lines += [f"  and {len(runs) - 10} more"] * (len(runs) > 10)
    if (wanted := targets(jobs)) and made(wanted):
        lines += [
            "Tables, figures and page of the others are made; what is missing there is marked.",
            "Mend what failed, see above, and run the same command again: what is finished stays.",
            headline(),
        ]
    return "\n".join(lines)


def targets(jobs):
    """What these jobs were to make, and what can be made without what is left out."""
    shown, tables = {*figures()}, reporting()
    found = []
    for job in jobs:
        paths = [str(path) for path in job.output]
        grid = job.wildcards_dict.get("grid")
        whole = config["run"] if grid is None else grid in config["run"]
        pictures = [path for path in paths if path.startswith("results/figures/")]
        if job.rule.name in tables and whole and shown.issuperset(pictures):
            found += paths
    return found


def failed_figures(jobs):
    """Figures among what these jobs were to make that waited for nothing, so that they failed."""
    waiting = {*jobs}
    return [
        str(path)
        for job in jobs
        for path in job.output
        if path.endswith(".png") and waiting.isdisjoint(workflow.dag.dependencies[job])
    ]


def made(wanted):
    """Let a second Snakemake make these paths, and say whether it could."""
    with tempfile.TemporaryDirectory() as folder:
        noted, given = Path(folder, "left-out.json"), Path(folder, "config.json")
        noted.write_text(json.dumps(LEFT_OUT), encoding="utf-8")
        given.write_text(
            json.dumps(workflow.config_settings.overwrite_config), encoding="utf-8"
        )
        command = [sys.executable, "-m", "snakemake"]
        command += ["--snakefile", workflow.main_snakefile, "--nolock"]
        command += ["--cores", str(workflow.resource_settings.cores or 1)]
        command += ["--executor", "local", "--profile", "none"]
        command += ["--workflow-profile", "none", "--rerun-incomplete", "--keep-going"]
        command += ["--quiet", "all", "--allowed-rules", *reporting()]
        if workflow.config_settings.overwrite_config:
            command += ["--configfile", str(given)]
        done = subprocess.run(
            [*command, "--", *wanted],
            env={**os.environ, RESCUE: str(noted)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )
    if done.returncode:
        say(done.stdout)
    return not done.returncode


if RESCUE in os.environ:
    leave_out()
