"""Where faults are injected: copies of the repository, and a run that nothing happens to."""

import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults.tally import Event
from tests.workflow import conftest
from tests.workflow.conftest import CONFIG, MEAN, PARTS, REPOSITORY, Workspace, derived
from tests.workflow.digests import differing, digests

conftest.PATIENCE = 6 * 3600  # a run of the whole demo may take its time beside other work

Config = dict[str, Any]


@dataclass(frozen=True)
class Ground:
    """A grid, what it makes undisturbed, and where to disturb it."""

    folder: Path
    cores: int
    undisturbed: Workspace
    expected: dict[str, str]
    """SHA-256 of every artifact."""
    seconds: float
    """How long the grid takes."""

    @property
    def patience(self) -> float:
        """Seconds after which a disturbed run counts as hanging."""
        return 600 + 10 * self.seconds

    def fresh(self, name: str) -> Workspace:
        """A workspace where nothing has run, in place of an earlier one; a mount point stays."""
        root = self.folder / name
        shutil.rmtree(root, ignore_errors=True)
        made = shutil.ignore_patterns("results", ".snakemake")
        return Workspace(
            shutil.copytree(self.undisturbed.root, root, ignore=made, dirs_exist_ok=True)
        )

    def copied(self, name: str) -> Workspace:
        """A copy of the workspace where everything has run."""
        root = self.folder / name
        shutil.rmtree(root, ignore_errors=True)
        return Workspace(shutil.copytree(self.undisturbed.root, root, symlinks=True))

    def compared(self, workspace: Workspace) -> Event:
        """Lost and differing artifacts of a workspace that is done."""
        wrong = tuple(differing(digests(workspace), self.expected))
        words = f": {', '.join(wrong[:9])}" if wrong else ""
        return Event(f"{len(wrong)} artifacts lost or differing{words}", faults=0, wrong=wrong)

    def finish(self, workspace: Workspace, *arguments: str) -> tuple[int, str]:
        """Exit code and output of a run with all cores."""
        return workspace.snakemake("--cores", str(self.cores), *arguments)


def prepare(folder: Path, config: Config, cores: int) -> Ground:
    """Run a grid undisturbed; one that is there from an earlier campaign is brought up to date."""
    timed = folder / "undisturbed.seconds"
    if not timed.exists():
        shutil.rmtree(folder, ignore_errors=True)
    workspace = place(folder / "undisturbed", config)
    begun = time.monotonic()
    code, output = workspace.snakemake("--cores", str(cores))
    if code:
        raise SystemExit(f"the grid fails by itself:\n{output[-4000:]}")
    if not timed.exists():
        timed.write_text(f"{time.monotonic() - begun:.1f}", encoding="utf-8")
    seconds = float(timed.read_text(encoding="utf-8"))
    return Ground(folder, cores, workspace, digests(workspace), seconds)


def place(root: Path, config: Config) -> Workspace:
    """Copy the repository, as it is, with a configuration; results that lie there stay."""
    for part in PARTS:
        if (REPOSITORY / part).is_file():
            root.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / part, root)
        else:
            shutil.copytree(REPOSITORY / part, root / part, symlinks=True, dirs_exist_ok=True)
    (root / "src/fedsieve/aggregators/mean.py").write_text(MEAN, encoding="utf-8")
    workspace = Workspace(root)
    workspace.configure(config, CONFIG)
    return workspace


def demo() -> Config:
    """The grid of the demo, as it is."""
    return Workspace(REPOSITORY).config("config/demo.yaml")


def quick() -> Config:
    """One attack, two defenses, three rounds: some forty jobs."""
    config = derived(demo())
    config["grids"]["demo"] |= {"attack": ["flip-3to2"], "defense": ["none", "fdsd"]}
    return config


def every_rule() -> Config:
    """A grid of a few trainings that needs every rule that a table, figure or page depends on."""
    config = derived(demo())
    grid = config["grids"]["demo"]
    config["tasks"]["digits"]["snapshots"] = [3]
    config["sanitizers"]["sieve"] = {
        "use": "sieve",
        "features": ["conv2", "conv2+output"],
        "before_rounds": [1, 3],
    }
    fedavg = {"use": "fedavg"}
    config["defenses"]["pca"] = {"detect": {"use": "tolpegin_pca"}, "aggregate": fedavg}
    config["defenses"]["rowmix"] = {"detect": {"use": "rowmix"}, "aggregate": fedavg}
    config["detections"] = {"rowmix": {"use": "rowmix"}}
    grid["screen"] = {"models": ["none"], "detections": ["rowmix"], "after_rounds": [3]}
    grid["attack"] = ["patch"]
    grid["defense"] = ["none", "fdsd", "sieve", "perfect", "pca", "rowmix"]
    half = {"metric": "accuracy", "higher": True, "attack": ["patch"], "bound": 0.5}
    reached = half | {"ratio": list(grid["ratio"]), "defense": "none"}
    where = {"paper": "none", "where": "nowhere", "says": "half is right", "grid": "demo"}
    config["claims"] = {"half": where | {"reaches": reached}}
    return config


def unclear(output: str, words: Iterable[str] = ()) -> str:
    """The output, if it holds a traceback or lacks one of the words."""
    clear = "Traceback" not in output and all(word in output for word in words)
    return "" if clear else output or "nothing was printed"
