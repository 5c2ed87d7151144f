"""The whole DAG on a small grid, and what Snakemake is asked to do with it."""

import html.parser
import inspect
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from conftest import counted, dry_runs
from intervals import outside
from PIL import Image
from snakemake.scheduling import job_scheduler

from fedsieve import blocks
from fedsieve.tools.verify import verify

CONFIGS = sorted(
    path.name
    for path in Path(__file__).parents[2].glob("config/*.yaml")
    if path.name != "common.yaml"
)

SANITIZERS = {"sanitize_client", "sanitize_server", "keep_client", "keep"}

POISONED = "results/digits/iid-3/seed1/patch/ratio0.5"

EVERY_JOB = ("--dry-run", "--forceall", "--printshellcmds")


def jobs(listing):
    """Jobs that a dry run prints with -p: rule, its kind on any block of clients, and each line."""
    found = []
    for rule, block in re.findall(r"^(?:local)?rule (\w+):\n((?:.+\n)+)", listing, re.M):
        lines = re.findall(r"^(?: {4}|)([a-zA-Z ]+): (.*)$", block, re.M)
        found.append({"rule": rule, "kind": blocks.base(rule), **dict(lines)})
    return found


@pytest.fixture(scope="module")
def listing(finished):
    """Every job of the DAG, as a dry run shows it."""
    return jobs(finished.run(*EVERY_JOB))


def test_snakemake_has_the_limiter_of_job_starts_that_the_workflow_replaces():
    # docs/decisions/0008: a new version may name or use it differently
    assert "JobRateLimiter(" in inspect.getsource(job_scheduler.JobScheduler.__init__)


@pytest.mark.parametrize("kind", ["csv", "md", "tex", "html", "txt"])
def test_tables_name_every_defense_of_the_grid(finished, kind):
    text = (finished.root / f"results/tables/demo.{kind}").read_text(encoding="utf-8")
    assert all(defense in text for defense in ("none", "fdsd", "perfect", "mean"))


@pytest.mark.parametrize("kind", ["md", "tex", "html", "txt"])
def test_tables_of_one_seed_have_no_spread(finished, kind):
    text = (finished.root / f"results/tables/demo.{kind}").read_text(encoding="utf-8")
    assert "±" not in text
    assert not re.search(r"\([-\d.]+ to [-\d.]+\)", text)


def test_no_interval_of_any_table_leaves_the_range_of_its_quantity(finished):
    tables = [
        path
        for path in finished.root.glob("results/tables/*.csv")
        if {"low", "high", "least", "greatest"} <= set(pd.read_csv(path, nrows=0))
    ]
    assert {path.stem for path in tables} == {"demo", "demo-curves"}
    assert [found for path in tables for found in outside(path)] == []


@pytest.mark.parametrize(
    "name",
    ["curves", "sanitization", "caught", "success", "batch_times", "features-fdsd", "feature_maps"],
)
def test_figures_are_drawn_as_png_and_pdf(finished, name):
    stem = finished.root / "results/figures/demo" / name
    assert stem.with_suffix(".pdf").read_bytes().startswith(b"%PDF-")
    with Image.open(stem.with_suffix(".png")) as picture:
        low, high = picture.convert("L").getextrema()
    assert low < high


def test_the_page_holds_tables_charts_and_figures_of_the_grid(finished):
    text = (finished.root / "results/report/index.html").read_text(encoding="utf-8")
    pictures = len(list(finished.root.glob("results/figures/demo/*.png")))
    assert text.count('<img src="data:image/webp') == pictures > 0
    assert all(f"{name}</a>" in text for name in ("none", "fdsd", "mean"))
    assert '"Accuracy against attack success, at the end"' in text
    assert "±" not in text.split("<script")[0]


def test_what_needs_the_whole_dag_runs_in_one_process(request, finished):
    if "PYTEST_XDIST_WORKER" in os.environ:
        assert request.node.nodeid.endswith("@whole DAG")


def test_a_second_run_does_nothing(finished):
    assert "Nothing to be done" in finished.run("--cores", "2")


@pytest.mark.slow
def test_a_dry_run_without_a_target_plans_all(fresh):
    planned = fresh.planned()
    assert planned["table"] == 1
    assert planned == fresh.planned("all")


def with_one_seed(workspace, name):
    """The workspace, where a configuration of the repository is the derived one."""
    config = workspace.config(f"config/{name}")
    for grid in config["grids"].values():
        grid["seed"] = grid["seed"][:1]  # planning all takes too long here
    workspace.configure(config)
    return workspace


@pytest.fixture(scope="module")
def plans_of_configs(copies):
    """What Snakemake plans by each configuration of the repository."""
    return dict(zip(CONFIGS, dry_runs([with_one_seed(copies(), n) for n in CONFIGS]), strict=True))


@pytest.mark.slow
@pytest.mark.xdist_group("configurations")
@pytest.mark.parametrize("name", CONFIGS)
def test_every_configuration_plans_tables_figures_and_trainings(plans_of_configs, name):
    planned = counted(plans_of_configs[name])
    assert {"fetch", "train", "table", "curves", "success_bars", "batch_times"} <= planned.keys()


@pytest.mark.slow
def test_a_sanitizer_that_flags_clients_has_a_figure_of_its_flags(fresh):
    config = fresh.config()
    config["sanitizers"]["sieve"] = {
        "use": "sieve",
        "features": ["conv2", "output"],
        "before_rounds": [1, 3],
    }
    config["defenses"]["sieve"] = {"sanitize": "sieve", "aggregate": {"use": "fedavg"}}
    config["grids"]["demo"]["defense"].append("sieve")
    fresh.configure(config)
    planned = jobs(fresh.run(*EVERY_JOB))
    [flags] = [job for job in planned if job["rule"] == "flags"]
    assert flags["input"].count("/sieve/kept.npz") == 3
    assert "/none/" not in flags["input"]


@pytest.mark.slow
def test_tables_and_page_mark_what_a_defense_knows_assumes_or_is_told(fresh):
    config = fresh.config()
    detect = {"use": "mcdfl_plus", "before_rounds": [2]}
    aggregate = {"fedavg": {"use": "fedavg"}, "krum": {"use": "krum", "n_malicious": 1}}
    told = {"use": "krum", "n_malicious": "oracle"}
    config["defenses"] |= {
        "flags": {"detect": detect, "aggregate": aggregate["fedavg"]},
        "both": {"detect": detect, "aggregate": aggregate["krum"]},
        "krum": {"aggregate": aggregate["krum"]},
        "told": {"aggregate": told},
        "few": {"detect": {"use": "mcdfl"}, "aggregate": aggregate["fedavg"]},
    }
    config["grids"]["demo"]["defense"] += ["flags", "both", "krum", "told", "few"]
    fresh.configure(config)
    planned = {job["rule"]: job["Shell command"] for job in jobs(fresh.run(*EVERY_JOB))}
    marks = {"perfect": "†", "flags": "§", "both": "f = 1 §", "krum": "f = 1", "told": "‡"}
    assert marks == given(planned["table"]) == given(planned["page"])["demo"]


def given(command):
    """What a command gives as marks."""
    words = shlex.split(command)
    return json.loads(words[words.index("--marks") + 1])


@pytest.mark.slow
def test_without_an_undefended_model_of_a_backdoor_no_feature_maps_are_planned(fresh):
    for changed in ({"defense": ["fdsd"]}, {"attack": ["flip-3to2"]}):
        config = fresh.config()
        config["grids"]["demo"] |= changed
        path = fresh.configure(config, "config/changed.yaml")
        assert "feature_maps" not in fresh.planned(config=path)


def test_the_listing_holds_every_job(listing):
    # as in test_reruns: 67 jobs and the rule that collects them
    assert len(listing) == 68


def test_no_job_of_a_sanitizer_sees_the_poison(listing):
    seen = [job for job in listing if job["kind"] in SANITIZERS]
    assert {job["kind"] for job in seen} == SANITIZERS
    assert not [job for job in seen if "poisoning.npz" in job["input"] + job["Shell command"]]


def test_only_the_truths_users_see_the_poison(listing):
    users = {job["kind"] for job in listing if "poisoning.npz" in job.get("input", "")}
    assert users == {
        "warmup",
        "features",
        "oracle",
        "train",
        "evaluate",
        "feature_space",
        "runs",
        "caught",
    }


def test_clients_of_a_sanitizer_see_their_views_the_broadcast_and_what_they_remember(listing):
    own = r"features/conv2/client[0-2]\.npz|exchange0/(memory[0-2]|broadcast)\.npz"
    seen = [job["input"] for job in listing if job["kind"] in ("sanitize_client", "keep_client")]
    assert len(seen) == 6
    assert not [path for paths in seen for path in paths.split(", ") if not re.search(own, path)]


@pytest.mark.slow
def test_many_clients_are_split_into_blocks(fresh):
    config = fresh.config()
    config["partitions"]["iid-3"]["n_clients"] = 101
    fresh.configure(config)
    planned = fresh.planned()
    # 3 attacks, each in blocks of 33, 34 and 34 clients
    assert [planned[rule] for rule in ("features", "sanitize_client", "keep_client")] == [9, 9, 9]
    assert planned["keep"] == 3


@pytest.mark.slow
def test_what_is_asked_for_a_rule_is_asked_for_it_on_every_block(finished):
    more = ["--set-resources", "features:mem_mb=123", "--set-threads", "features=2"]
    found = jobs(finished.run(*EVERY_JOB, "--cores", "2", *more))
    asked = [job for job in found if job["kind"] == "features"]
    assert len(asked) == 3
    assert all("mem_mb=123" in job["resources"] and job["threads"] == "2" for job in asked)


@pytest.mark.slow
def test_in_the_slurm_profile_blocks_are_in_the_group_of_their_rule(fresh):
    listed = fresh.run("--dry-run", "--profile", "profiles/slurm")
    found = re.findall(r"Group job (\w+) .*:\n\n((?: +.*\n)+)", listed)
    members = {(g, blocks.base(r)) for g, said in found for r in re.findall(r"rule (\w+):", said)}
    assert {("features", "warmup"), ("features", "features")} <= members
    assert {("sanitizing", rule) for rule in SANITIZERS} <= members


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["data", "poison", "features", "keep"])
def test_a_printed_command_runs_in_a_terminal(scratch, listing, rule):
    job = next(job for job in listing if job["kind"] == rule and "unattacked" not in str(job))
    made = scratch.root / job["output"].split(", ")[0]
    before = made.read_bytes()
    made.unlink()
    # a terminal where the environment is active and nothing else is set
    terminal = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": "src",
    }
    command = subprocess.run(
        ["bash", "-c", job["Shell command"]],
        cwd=scratch.root,
        env=terminal,
        check=False,
        timeout=100,
    )
    assert command.returncode == 0, (scratch.root / job["log"]).read_text(encoding="utf-8")
    assert made.read_bytes() == before


def test_jobs_with_a_model_ask_for_a_gpu_and_others_do_not(listing):
    asking = {job["kind"] for job in listing if "gpu=1" in job["resources"]}
    assert asking == {"warmup", "features", "train", "floor"}


@pytest.mark.slow
def test_on_the_cpu_no_job_asks_for_a_gpu(finished):
    found = jobs(finished.run(*EVERY_JOB, "--config", "device=cpu"))
    assert len(found) == 68
    assert not [job for job in found if "gpu=1" in job.get("resources", "")]


@pytest.mark.slow
def test_a_profile_for_four_gpus_runs_without_any(scratch):
    view = f"{POISONED}/features/conv2/client0.npz"
    before = (scratch.root / view).read_bytes()
    (scratch.root / view).unlink()
    many = ["--cores", "8", "--resources", "gpu=4"]
    assert scratch.planned(view, *many) == {"features": 1}
    scratch.run(view, *many)
    assert (scratch.root / view).read_bytes() == before


class Loads(html.parser.HTMLParser):
    """Collect what a browser loads by itself when it opens a page; links are not loaded."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        if tag != "a":
            urls = [value or "" for name, value in attrs if name in ("src", "href", "data")]
            self.found += [url for url in urls if not url.startswith(("data:", "#"))]


@pytest.fixture(scope="module")
def page(copies, finished):
    workspace = copies(finished)
    workspace.run("--report", "report.html")
    return (workspace.root / "report.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_report_loads_nothing_from_elsewhere(page):
    loads = Loads()
    loads.feed(page)
    assert loads.found == []
    assert not re.findall(r"@import|url\(\s*[\"']?(?:https?:)?//", page)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "demo.html",
        "curves.png",
        "sanitization.png",
        "caught.png",
        "success.png",
        "batch_times.png",
        "features-fdsd.png",
        "feature_maps.png",
    ],
)
def test_the_report_holds_every_table_and_figure(page, name):
    assert name in page


@pytest.mark.slow
def test_a_finished_grid_is_packed_by_one_job_and_verified(scratch):
    target = "results/crates/demo.zip"
    assert scratch.planned(target) == {"crate": 1}
    scratch.run(target, "--cores", "1")
    verify(scratch.root / target, results=[scratch.root / "results"])
