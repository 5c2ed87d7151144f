"""What every file of src/fedsieve/datasets promises; a new one is tested once it is there."""

import inspect
import re
import urllib.error
import urllib.request
from pathlib import Path, PurePosixPath

import pytest

from fedsieve import registry
from fedsieve.errors import InputError
from fedsieve.records import Dataset
from fedsieve.sources import Source

pytestmark = pytest.mark.parametrize("name", registry.available("datasets"))


def all_files(plugin):
    """The files that are read, and the archives they are unpacked from."""
    return [f for file in plugin.SOURCE.files for f in (file, file.archive) if f]


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
        assert (root.name, root.annotation) == ("root", Path)
        assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in spec)
    assert inspect.signature(plugin.fetch).return_annotation == dict[str, str]
    assert inspect.signature(plugin.read).return_annotation == tuple[Dataset, Dataset]


def test_read_documents_every_parameter(name):
    plugin = registry.load("datasets", name)
    taken = set(inspect.signature(plugin.fetch).parameters)
    taken |= set(inspect.signature(plugin.read).parameters)
    assert all(f"{parameter}:" in inspect.getdoc(plugin.read) for parameter in taken - {"root"})


def test_what_cannot_be_had_is_an_input_error_that_leaves_no_file(name, tmp_path, monkeypatch):
    def refuse(request, timeout):
        raise urllib.error.URLError("no network in this test")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    plugin = registry.load("datasets", name)
    required = registry.parameters(Path(plugin.__file__), ("fetch", "read"))[1]
    if not plugin.SOURCE.files and not required:
        assert plugin.fetch(tmp_path) == {}
        return
    with pytest.raises(InputError, match=f"{tmp_path}.*FEDSIEVE_DATA"):
        plugin.fetch(tmp_path, **dict.fromkeys(required, "missing"))
    assert not [path for path in tmp_path.rglob("[!.]*") if path.is_file()]
