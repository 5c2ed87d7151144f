"""The configurations of the project: as they are written, and as the workflow gets them."""

from pathlib import Path

from fedsieve.configfiles import read_configuration
from fedsieve.settings import with_common

FOLDER = Path(__file__).parents[1] / "config"
COMMON = read_configuration(FOLDER / "common.yaml")
WRITTEN = {
    path.name: read_configuration(path)
    for path in sorted(FOLDER.glob("*.yaml"))
    if path.name != "common.yaml"
}
WHOLE = {name: with_common(content, COMMON) for name, content in WRITTEN.items()}
"""With the labels that they have from config/common.yaml."""
