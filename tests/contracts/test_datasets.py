"""What every file of src/fedsieve/datasets promises; a new one is tested once it is there."""

import inspect
import re
import urllib.error
import urllib.request
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from specs import declares, example

from fedsieve import registry
from fedsieve.errors import InputError
from fedsieve.records import Dataset
from fedsieve.sources import Source

pytestmark = pytest.mark.parametrize("name", registry.available("datasets"))


def all_files(plugin):
    """The files that are read, and the archives they are unpacked from."""
    return [f for file in plugin.SOURCE.files for f in (file, file.archive) if f]


def given(function, name):
    """Those parameters of the example that a function takes."""
    taken = inspect.signature(function).parameters
    return {k: v for k, v in example("datasets", name).items() if k in taken}


def needs_no_file(plugin):
    """Whether it downloads nothing, and is no reader of a file of the user's own."""
    return not plugin.SOURCE.files and "file" not in inspect.signature(plugin.fetch).parameters


def test_the_source_says_where_from_on_what_terms_and_whom_to_cite(name):
    source = registry.load("datasets", name).SOURCE
    assert isinstance(source, Source)
    assert source.homepage
    assert source.license
    assert source.citation


def test_every_file_has_a_checksum_and_lies_below_the_data_root(name):
    for file in all_files(registry.load("datasets", name)):
        assert re.fullmatch("sha256:[0-9a-f]{64}|md5:[0-9a-f]{32}", file.checksum)
        assert not PurePosixPath(file.path).is_absolute()
        assert ".." not in PurePosixPath(file.path).parts


def test_every_file_can_be_had_over_tls(name):
    for file in all_files(registry.load("datasets", name)):
        assert file.archive or file.urls
        assert all(url.startswith("https://") for url in file.urls)


def test_fetch_and_read_take_the_data_root_and_keyword_parameters(name):
    plugin = registry.load("datasets", name)
    for function in (plugin.fetch, plugin.read):
        root, *spec = inspect.signature(function).parameters.values()
        found = root.name, root.annotation
        assert found == ("root", Path), f"annotate {function.__name__}(root: Path)"
        keywords = all(parameter.kind is parameter.KEYWORD_ONLY for parameter in spec)
        assert keywords, f"the parameters of {function.__name__} come after `*,`"
    found = inspect.signature(plugin.fetch).return_annotation
    assert found == dict[str, str], "annotate fetch(...) -> dict[str, str]"
    found = inspect.signature(plugin.read).return_annotation
    assert found == tuple[Dataset, Dataset], "annotate read(...) -> tuple[Dataset, Dataset]"


def test_read_documents_every_parameter(name):
    plugin = registry.load("datasets", name)
    taken = set(inspect.signature(plugin.fetch).parameters)
    taken |= set(inspect.signature(plugin.read).parameters)
    said = inspect.getdoc(plugin.read) or ""
    for parameter in sorted(taken - {"root"}):
        assert f"{parameter}:" in said, f"the docstring of read does not describe {parameter}"


def test_what_cannot_be_had_is_an_input_error_that_leaves_no_file(name, tmp_path, monkeypatch):
    def refuse(request, timeout):
        raise urllib.error.URLError("no network in this test")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    plugin = registry.load("datasets", name)
    if needs_no_file(plugin):
        assert plugin.fetch(tmp_path, **given(plugin.fetch, name)) == {}, "no file: return {}"
        return
    with pytest.raises(InputError, match=f"{tmp_path}.*FEDSIEVE_DATA"):
        plugin.fetch(tmp_path, **given(plugin.fetch, name))
    assert not [path for path in tmp_path.rglob("[!.]*") if path.is_file()]


def test_what_is_read_without_any_file_is_bytes_with_labels_of_named_classes(name, tmp_path):
    plugin = registry.load("datasets", name)
    if not needs_no_file(plugin):
        pytest.skip("needs files, which are not here")
    train, test = plugin.read(tmp_path, **given(plugin.read, name))
    assert train.classes == test.classes, "both splits have the same classes"
    assert len(set(train.classes)) == len(train.classes) > 1, "two classes or more, of unlike names"
    several = bool(declares("datasets", name, "MULTI_LABEL"))
    assert train.multi_label == several, "MULTI_LABEL = True says that images have several labels"
    for data in (train, test):
        wanted = "images: bytes (uint8) [samples, channels, height, width]"
        assert (data.images.dtype, data.images.ndim) == (np.uint8, 4), wanted
        assert data.images.shape[1] in (1, 3), f"{wanted}: 1 or 3 channels come second"
        kind = (data.labels.dtype, data.labels.ndim)
        wanted = "labels: int64 [samples], or 0/1 bytes (uint8) [samples, classes]"
        assert kind in [(np.int64, 1), (np.uint8, 2)], wanted
        assert len(data.labels) == len(data.images) > 0, "a label for each image"
        n_classes = 2 if data.multi_label else len(data.classes)
        within = (data.labels >= 0) & (data.labels < n_classes)
        assert within.all(), f"labels: from 0 to {n_classes - 1}"
