"""No data are run as code, no archive chooses where it is unpacked, downloads are checked.

What is read is plain: npz without pickle, safetensors, JSON, CSV, YAML. The batch files of CIFAR-10
are the one exception: its publisher gives pickles alone, so that they are read only after their
SHA-256 was compared with the recorded one.
"""

import ast
import hashlib
import io
import os
import pickle
import re
import tarfile
from pathlib import Path

import numpy as np
import pytest

from fedsieve import provenance, registry
from fedsieve.archives import read_npz
from fedsieve.artifacts import read_arrays
from fedsieve.checksums import hash_file
from fedsieve.errors import InputError
from fedsieve.sources import File, Source, provide

PYTHON = sorted((provenance.ROOT / "fedsieve").rglob("*.py"))
WORKFLOW = provenance.ROOT.parent / "workflow"
RULES = [WORKFLOW / "Snakefile", *sorted(WORKFLOW.glob("rules/*.smk"))]

RUNNING = {"eval", "exec", "compile", "__import__"}
"""Built-in functions that run text."""

UNPICKLING = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
"""Modules whose files are programs."""

UNSAFE = {
    "torch.load",
    "torch.hub.load",
    "pd.read_pickle",
    "pandas.read_pickle",
    "os.system",
    "os.popen",
    "yaml.load",
    "yaml.load_all",
    "yaml.full_load",
    "yaml.unsafe_load",
    "shutil.unpack_archive",
}
UNPACKING = {"extractall", "extract"}
"""Methods by which an archive says where its members are written."""

NETWORK = {"urllib.request", "http.client", "requests", "httpx", "socket", "ftplib", "aiohttp"}
"""What can reach another machine."""


def faults(source):
    """What a piece of Python does that it should not, each with its line."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for name in UNPICKLING & set(imported(node)):
                yield f"line {node.lineno}: import {name}"
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            given = {word.arg: ast.unparse(word.value) for word in node.keywords}
            loads = name.rpartition(".")[2] in ("NpzFile",) or name in ("np.load", "numpy.load")
            if (
                name in RUNNING | UNSAFE
                or (isinstance(node.func, ast.Attribute) and node.func.attr in UNPACKING)
                or given.get("shell", "False") != "False"
                or given.get("allow_pickle", "False" if not loads else "") != "False"
            ):
                yield f"line {node.lineno}: {ast.unparse(node)}"


def imported(node):
    """Top-level modules of an import."""
    names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
    names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
    return [name.partition(".")[0] for name in names]


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from joblib import load",
        "import os.path, dill",
        "torch.load(p)",
        "np.load(p)",
        "np.load(p, allow_pickle=True)",
        "NpzFile(f)",
        "np.savez(f, allow_pickle=True)",
        "yaml.load(t, Loader=yaml.Loader)",
        "eval(t)",
        "exec(t)",
        "subprocess.run(t, shell=True)",
        "os.system(t)",
        "archive.extractall(folder)",
        "tar.extract(member, folder)",
        "shutil.unpack_archive(p)",
    ],
)
def test_the_scan_sees_what_it_should(source):
    assert list(faults(source))


@pytest.mark.parametrize(
    "source",
    ["np.load(p, allow_pickle=False)", "yaml.safe_load(t)", "model.eval()", "re.compile(t)"],
)
def test_the_scan_lets_safe_code_pass(source):
    assert not list(faults(source))


@pytest.mark.parametrize("path", PYTHON, ids=lambda path: path.stem)
def test_no_module_runs_or_unpickles_what_it_reads(path):
    assert not list(faults(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.stem)
def test_no_rule_runs_or_unpickles_what_it_reads(path):
    names = [*UNPICKLING, *(re.escape(name) for name in UNSAFE), "extractall", "allow_pickle"]
    calls = [rf"(?<![.\w]){name}\(" for name in RUNNING]
    text = re.sub(r"#.*", "", path.read_text(encoding="utf-8"))
    assert not re.findall("|".join([rf"\b(?:{'|'.join(names)})\b", *calls]), text)


def test_cifar10_alone_is_read_by_a_library_that_unpickles():
    texts = {path.stem: path.read_text(encoding="utf-8") for path in PYTHON}
    users = {name for name, text in texts.items() if "torchvision.datasets" in text}
    loading = {n for n, text in texts.items() if re.search(r"\b(CIFAR10|\w*MNIST)\(", text)}
    assert users == {"archives", "mnist", "fashion_mnist", "cifar10"}  # archives: plain idx files
    assert loading == {"cifar10"}


def test_no_network_but_by_the_module_of_checked_downloads():
    found = set()
    for path in PYTHON:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = {a.name for a in node.names} if isinstance(node, ast.Import) else set()
            names |= {node.module} if isinstance(node, ast.ImportFrom) else set()
            if names & NETWORK:
                found.add(path.stem)
    assert found == {"sources"}


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_the_trap_works(tmp_path):
    pickle.loads(pickle.dumps(Trap(tmp_path / "sprung")))
    assert (tmp_path / "sprung").exists()


def test_a_forged_batch_of_cifar10_is_refused_before_it_is_unpickled(tmp_path):
    plugin = registry.load("datasets", "cifar10")
    for file in plugin.SOURCE.files:
        path = tmp_path / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    with pytest.raises(InputError, match="sha256 is"):
        plugin.read(tmp_path)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("name", ["train_images", "train_labels"])
def test_an_archive_with_pickled_arrays_is_refused_before_they_are_unpickled(tmp_path, name):
    trapped = np.array([Trap(tmp_path / "sprung")], dtype=object)
    np.savez(tmp_path / "a.npz", **{name: trapped})
    with pytest.raises(InputError):
        read_npz(tmp_path / "a.npz")
    with pytest.raises(InputError):
        read_arrays(tmp_path / "a.npz", None)
    assert not (tmp_path / "sprung").exists()


def tar(path, *members):
    """A tar archive of these members: a name with its content, or with the target of a link."""
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
            else:
                info.type, info.linkname = tarfile.SYMTYPE, content
                archive.addfile(info)
    return File(path.name, f"sha256:{hash_file(path)}")


def test_an_archive_has_no_say_in_where_its_members_are_written(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    evil = [("../away", b"1"), (str(tmp_path / "absolute"), b"2"), ("data", ".."), ("data/x", b"3")]
    archive = tar(root / "a.tar.gz", *evil)
    wanted = File("data/x", f"sha256:{hashlib.sha256(b'3').hexdigest()}", archive=archive)
    source = Source("", "", "", (wanted,))
    provide(root, source)
    assert (root / "data/x").read_bytes() == b"3"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["root"]
    assert not (root / "data").is_symlink()


def test_a_forged_archive_is_refused_before_it_is_unpacked(tmp_path):
    archive = tar(tmp_path / "a.tar.gz", ("data", b"good"))
    tar(tmp_path / "a.tar.gz", ("data", b"evil"))
    source = Source("", "", "", (File("data", f"sha256:{'0' * 64}", archive=archive),))
    with pytest.raises(InputError, match=r"a\.tar\.gz: corrupt"):
        provide(tmp_path, source)
    assert not (tmp_path / "data").exists()


def files(source):
    """Files of a source, and the archives that they come from."""
    for file in source.files:
        yield file
        if file.archive:
            yield file.archive


DATASETS = registry.available("datasets")


@pytest.mark.parametrize("name", DATASETS)
def test_downloads_are_encrypted_and_checked(name):
    for file in files(registry.load("datasets", name).SOURCE):
        assert file.urls or file.archive
        assert all(url.startswith("https://") for url in file.urls)
        assert re.fullmatch(r"sha256:[0-9a-f]{64}|md5:[0-9a-f]{32}", file.checksum)


def test_what_is_read_has_a_recorded_sha256_but_for_chestmnist():
    # its publisher records an MD5 alone; source.json has the SHA-256 of what was fetched
    lacking = {
        name
        for name in DATASETS
        for file in registry.load("datasets", name).SOURCE.files
        if not file.checksum.startswith("sha256:")
    }
    assert lacking == {"chestmnist"}


def test_no_file_of_a_source_lies_outside_the_data_root():
    for name in DATASETS:
        for file in files(registry.load("datasets", name).SOURCE):
            assert not Path(file.path).is_absolute()
            assert ".." not in Path(file.path).parts
