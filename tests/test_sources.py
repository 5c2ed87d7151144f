"""Downloads run against a server on this machine that can break off, lie and refuse ranges."""

import errno
import gzip
import hashlib
import http.server
import io
import tarfile
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from fedsieve import sources
from fedsieve.checksums import hash_file
from fedsieve.errors import InputError
from fedsieve.sources import File, Source

CONTENT = bytes(range(256)) * 40
SHA256 = hashlib.sha256(CONTENT).hexdigest()
MD5 = hashlib.md5(CONTENT).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server, start = self.server, 0
        server.ranges.append(self.headers.get("Range"))
        body = server.files.get(self.path)
        if body is None:
            return self.send_error(404)
        if server.honors_ranges and self.headers.get("Range"):
            start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
        if start and start >= len(body):
            return self.send_error(416)
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        return self.wfile.write(body[start : server.breaks_off_at])

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.files, server.ranges = {"/data": CONTENT}, []
        server.honors_ranges, server.breaks_off_at = True, None
        server.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        yield server
        server.shutdown()


@pytest.fixture
def file(server):
    return File("set/data", f"sha256:{SHA256}", (f"{server.url}/data",))


def provide(root, *files):
    return sources.provide(root, Source("", "", "", files))


def visible(root):
    return sorted(path.name for path in root.rglob("[!.]*") if path.is_file())


def test_a_missing_file_is_downloaded_and_its_sha256_returned(tmp_path, file):
    assert provide(tmp_path, file) == {"set/data": SHA256}
    assert (tmp_path / "set/data").read_bytes() == CONTENT
    assert visible(tmp_path) == ["data"]


def test_a_file_known_by_its_md5_is_reported_with_its_sha256(tmp_path, file):
    assert provide(tmp_path, replace(file, checksum=f"md5:{MD5}")) == {"set/data": SHA256}


def test_a_transfer_that_breaks_off_is_resumed_by_the_next_fetch(tmp_path, file, server):
    server.breaks_off_at = 4000
    with pytest.raises(InputError, match="4000"):
        provide(tmp_path, file)
    assert visible(tmp_path) == ["data.part"]
    server.breaks_off_at = None
    assert provide(tmp_path, file) == {"set/data": SHA256}
    assert server.ranges == [None, "bytes=4000-"]
    assert visible(tmp_path) == ["data"]


def partial(tmp_path, content):
    (tmp_path / "set").mkdir()
    (tmp_path / "set/data.part").write_bytes(content)


def test_a_server_without_ranges_is_read_from_the_start(tmp_path, file, server):
    server.honors_ranges = False
    partial(tmp_path, CONTENT[:4000])
    assert provide(tmp_path, file) == {"set/data": SHA256}
    assert len(server.ranges) == 1


@pytest.mark.parametrize("content", [CONTENT, b"?" * len(CONTENT), b"?" * 20000, b"?" * 4000, b""])
def test_whatever_a_partial_file_holds_the_file_becomes_right(tmp_path, file, content):
    partial(tmp_path, content)
    assert provide(tmp_path, file) == {"set/data": SHA256}
    assert visible(tmp_path) == ["data"]


def test_a_partial_file_is_never_taken_for_the_file(tmp_path, file, server):
    partial(tmp_path, CONTENT[:4000])
    server.files.clear()
    with pytest.raises(InputError, match="404"):
        provide(tmp_path, file)
    assert visible(tmp_path) == ["data.part"]


def test_wrong_content_from_the_network_names_both_checksums_and_leaves_nothing(
    tmp_path, file, server
):
    server.files["/data"] = b"a page that says sorry"
    found = hashlib.sha256(server.files["/data"]).hexdigest()
    with pytest.raises(InputError, match=f"set/data.*{server.url}.*{found}.*{SHA256}"):
        provide(tmp_path, file)
    assert visible(tmp_path) == []


def test_the_next_url_is_tried_when_one_fails(tmp_path, file, server):
    file = replace(file, urls=(f"{server.url}/nothing", f"{server.url}/data"))
    assert provide(tmp_path, file) == {"set/data": SHA256}


def test_without_a_network_the_error_names_file_url_reason_and_remedy(tmp_path, file, server):
    server.shutdown()
    server.server_close()
    with pytest.raises(
        InputError, match=f"set/data: .*{server.url}/data: .*refused.*FEDSIEVE_DATA"
    ):
        provide(tmp_path, file)
    assert visible(tmp_path) == []


@pytest.mark.parametrize("content", [b"?" + CONTENT[1:], CONTENT[:4000], b""])
def test_a_damaged_file_is_refused_with_both_checksums_and_left_alone(tmp_path, file, content):
    (tmp_path / "set").mkdir()
    (tmp_path / "set/data").write_bytes(content)
    found = hashlib.sha256(content).hexdigest()
    with pytest.raises(InputError, match=f"set/data: .*{found}, expected {SHA256}.*Delete it"):
        provide(tmp_path, file)
    assert (tmp_path / "set/data").read_bytes() == content


def test_a_complete_data_root_is_neither_written_to_nor_downloaded(tmp_path, file, server):
    (tmp_path / "set").mkdir()
    (tmp_path / "set/data").write_bytes(CONTENT)
    assert provide(tmp_path, file) == {"set/data": SHA256}
    assert [path.name for path in (tmp_path / "set").iterdir()] == ["data"]
    assert server.ranges == []


def test_a_data_root_that_cannot_be_written_is_named(tmp_path, file):
    (tmp_path / "set").write_text("a file where a folder should be", encoding="utf-8")
    with pytest.raises(InputError, match=r"set/data: .*FEDSIEVE_DATA"):
        provide(tmp_path, file)


def test_processes_that_fetch_at_once_download_once(tmp_path, file, server):
    with ThreadPoolExecutor(4) as pool:  # a lock is per open file, so threads contend as well
        found = list(pool.map(lambda _: provide(tmp_path, file), range(4)))
    assert found == [{"set/data": SHA256}] * 4
    assert len(server.ranges) == 1


def test_progress_is_a_line_for_every_tenth(tmp_path, file, monkeypatch, capsys):
    monkeypatch.setattr(sources, "CHUNK", 64)
    provide(tmp_path, file)
    shares = [line.split()[1] for line in capsys.readouterr().err.splitlines()[1:]]
    assert shares == [str(share) for share in range(10, 101, 10)]


def test_gzipped_files_are_downloaded_unpacked_and_verified(tmp_path, server):
    packed = gzip.compress(CONTENT, mtime=0)
    server.files["/mirror/data.gz"] = packed
    resources = [("data.gz", hashlib.md5(packed).hexdigest())]
    files = sources.gzipped("raw", [f"{server.url}/mirror/"], resources, {"data": SHA256})
    assert provide(tmp_path, *files) == {"raw/data": SHA256}
    assert visible(tmp_path / "raw") == ["data", "data.gz"]


def tar_archive(path, members):
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return File(path.name, f"sha256:{hash_file(path)}")


def test_nothing_in_an_archive_is_written_but_the_file_asked_for(tmp_path):
    members = {"../escaped": b"", "set/data": CONTENT, "set/other": b""}
    (tmp_path / "root").mkdir()
    archive = tar_archive(tmp_path / "root/all.tar.gz", members)
    file = File("set/data", f"sha256:{SHA256}", archive=archive)
    assert provide(tmp_path / "root", file) == {"set/data": SHA256}
    assert visible(tmp_path) == ["all.tar.gz", "data"]


def test_an_archive_of_wrong_content_is_not_unpacked(tmp_path):
    archive = tar_archive(tmp_path / "all.tar.gz", {"set/data": b"other"})
    file = File("set/data", f"sha256:{SHA256}", archive=replace(archive, checksum="sha256:0"))
    with pytest.raises(InputError, match=r"all\.tar\.gz: .*expected 0"):
        provide(tmp_path, file)
    assert visible(tmp_path) == ["all.tar.gz"]


@pytest.fixture
def packed(tmp_path):
    """A data root with a packed file alone, that file, and what an archive of it may hold."""
    (tmp_path / "raw").mkdir()
    published = hashlib.md5(gzip.compress(CONTENT, 9, mtime=0)).hexdigest()
    (file,) = sources.gzipped("raw", [], [("data.gz", published)], {"data": SHA256})
    return tmp_path / "raw", file


def test_an_archive_that_was_packed_anew_counts_by_its_content(packed):
    folder, file = packed
    (folder / "data.gz").write_bytes(gzip.compress(CONTENT, 1, mtime=1))
    assert provide(folder.parent, file) == {"raw/data": SHA256}
    assert (folder / "data").read_bytes() == CONTENT


@pytest.mark.parametrize("content", [gzip.compress(b"other", mtime=0), b"no archive", b""])
def test_an_archive_of_other_content_is_refused_with_its_checksums(packed, content):
    folder, file = packed
    (folder / "data.gz").write_bytes(content)
    found = hashlib.md5(content).hexdigest()
    with pytest.raises(InputError, match=rf"data\.gz: .*{found}, expected"):
        provide(folder.parent, file)
    assert visible(folder) == ["data.gz"]


def refuses(*_):
    raise OSError(errno.EROFS, "Read-only file system")


def test_what_lies_packed_on_a_read_only_disk_is_read_from_elsewhere(packed, monkeypatch):
    folder, file = packed
    (folder / "data.gz").write_bytes(gzip.compress(CONTENT, mtime=0))
    monkeypatch.setattr(sources, "locked", refuses)
    assert provide(folder.parent, file) == {"raw/data": SHA256}
    (path,) = sources.verified(folder.parent, Source("", "", "", (file,)))
    assert path.read_bytes() == CONTENT
    assert [p.name for p in folder.iterdir()] == ["data.gz"]


def test_wrong_content_packed_on_a_read_only_disk_is_refused(packed, monkeypatch):
    folder, file = packed
    (folder / "data.gz").write_bytes(gzip.compress(b"other", mtime=0))
    monkeypatch.setattr(sources, "locked", refuses)
    with pytest.raises(InputError, match=r"data\.gz: .*expected"):
        provide(folder.parent, file)


def test_verified_gives_the_paths_only_of_content_as_recorded(tmp_path):
    (tmp_path / "data").write_bytes(CONTENT)
    good, bad = File("data", f"md5:{MD5}"), File("data", "md5:0")
    assert sources.verified(tmp_path, Source("", "", "", (good,))) == [tmp_path / "data"]
    with pytest.raises(InputError, match=f"md5 is {MD5}, expected 0"):
        sources.verified(tmp_path, Source("", "", "", (good, bad)))
