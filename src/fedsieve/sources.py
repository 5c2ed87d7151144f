"""Find a data set's files below the data root, or download them; checksums decide what to trust.

Every fetch verifies what lies in the data root. What is missing is downloaded over TLS into a
``.part`` file, which a later fetch resumes, and renamed once its checksum matches. Archives stay
beside what is unpacked from them, as torchvision leaves them.
"""

import atexit
import functools
import gzip
import http.client
import shutil
import sys
import tarfile
import tempfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from fedsieve.artifacts import locked, replacing
from fedsieve.checksums import hash_file
from fedsieve.errors import InputError

TIMEOUT = 30
"""Seconds without a byte after which a server counts as unreachable."""

CHUNK = 2**20
"""Bytes read at a time."""

UNPACKABLE = (gzip.BadGzipFile, tarfile.TarError, EOFError, KeyError, zlib.error)
"""What a damaged archive, or one of other content, may raise."""


@dataclass(frozen=True)
class File:
    """A file below the data root, its recorded content, and where to get it when missing.

    ``path`` is relative to the data root and, in a tar archive, the member's name too.
    ``checksum`` is ``sha256:<hex>``, or ``md5:<hex>`` where its publisher gives nothing else.
    A file with an ``archive`` is unpacked from it, any other is downloaded from the first of its
    ``urls`` that delivers the recorded content.
    """

    path: str
    checksum: str
    urls: tuple[str, ...] = ()
    archive: "File | None" = None


@dataclass(frozen=True)
class Source:
    """Where a data set comes from, on what terms, and the files that its reader uses."""

    homepage: str
    license: str
    citation: str
    files: tuple[File, ...] = ()


def gzipped(
    folder: str,
    urls: Iterable[str],
    resources: Iterable[tuple[str, str]],
    sha256: Mapping[str, str],
) -> tuple[File, ...]:
    """Describe files that are published as one ``.gz`` each.

    Args:
        folder: Where they lie below the data root.
        urls: Folders on the network, in the order to try them, each with a final slash.
        resources: Name and MD5 of each ``.gz``, as torchvision lists them.
        sha256: Name of each unpacked file -> its SHA-256.
    """
    bases = tuple(urls)
    files = []
    for name, md5 in resources:
        archive = File(f"{folder}/{name}", f"md5:{md5}", tuple(base + name for base in bases))
        unpacked = name.removesuffix(".gz")
        files.append(File(f"{folder}/{unpacked}", f"sha256:{sha256[unpacked]}", archive=archive))
    return tuple(files)


def provide(root: Path, source: Source) -> dict[str, str]:
    """Make sure that every file of a source lies below the data root with its recorded content.

    A data root may be read-only where nothing is to be downloaded; two processes may fetch at once.

    Returns:
        SHA-256 of each file, by its name relative to the data root.

    Raises:
        InputError: where content is wrong, or a missing file cannot be had. The message names
            file, checksums or URLs, and the remedy.
    """
    return {file.path: _provide(root, file) for file in source.files}


def verified(root: Path, source: Source) -> list[Path]:
    """Return the paths of a source's files, each verified now, in the order of the source.

    What lies packed in a data root that cannot be written is unpacked into a temporary folder.
    """
    paths = [_readable(root, file) for file in source.files]
    for path, file in zip(paths, source.files, strict=True):
        verify(path, file.checksum)
    return paths


def verify(path: Path, checksum: str | None) -> str:
    """Return the SHA-256 of a file whose content is as recorded, where anything is (not None).

    Raises:
        InputError: where the file is missing, unreadable, or has another checksum.
    """
    try:
        if checksum and (wrong := _difference(path, checksum)):
            raise InputError(
                f"{path}: corrupt, truncated or another file: {wrong}. "
                "Delete it and run again, or put a good copy in its place."
            )
        return hash_file(path)
    except OSError as error:
        raise _unavailable(path, error.strerror or str(error)) from error


def download(path: Path, urls: Iterable[str], checksum: str) -> None:
    """Download a file from the first URL that delivers its recorded content.

    A transfer that breaks off leaves ``<name>.part`` for the next call to resume; wrong content
    leaves nothing.

    Raises:
        InputError: where no URL delivers; the message gives each URL's reason.
    """
    part = path.with_name(f"{path.name}.part")
    failures = []
    for url in urls:
        print(f"{path}: downloading {url}", file=sys.stderr, flush=True)
        try:
            _transfer(url, part, checksum)
            part.replace(path)
        except (OSError, http.client.HTTPException) as error:
            failures.append(f"{url}: {error or type(error).__name__}")
        else:
            return
    raise _unavailable(path, f"download failed: {'; '.join(failures)}")


def _provide(root: Path, file: File) -> str:
    path = root / file.path
    try:
        if not path.exists():
            with locked(path):
                if not path.exists():  # else another process was faster
                    _make(root, file)
    except (OSError, InputError) as error:
        if file.archive and (root / file.archive.path).exists():  # the root may be read-only
            path = _readable(root, file)
        elif isinstance(error, InputError):
            raise
        else:
            raise _unavailable(path, f"cannot be made here: {error}") from error
    return verify(path, file.checksum)


def _readable(root: Path, file: File) -> Path:
    """Where a file can be read: below the data root, else where its archive there is unpacked."""
    path = root / file.path
    packed = file.archive and (root / file.archive.path).exists()
    return _unpacked(root, file) if packed and not path.exists() else path


@functools.cache
def _unpacked(root: Path, file: File) -> Path:
    """Unpack a file into a temporary folder, which is deleted when this process ends."""
    path = Path(tempfile.mkdtemp(prefix="fedsieve-"), file.path)
    atexit.register(shutil.rmtree, path.parents[len(Path(file.path).parts) - 1], True)
    with replacing(path) as partial:
        _extract(root, file, partial)
    return path


def _make(root: Path, file: File) -> None:
    path = root / file.path
    if file.archive is None:
        download(path, file.urls, file.checksum)
        return
    if not (root / file.archive.path).exists():
        _provide(root, file.archive)
    with replacing(path) as partial:
        _extract(root, file, partial)


def _extract(root: Path, file: File, target: Path) -> None:
    """Unpack a file from its archive, of which the content counts: it may have been packed anew.

    Raises:
        InputError: where the content is wrong; of an archive that is another than published, with
            both its checksums.
    """
    archive = cast(File, file.archive)
    try:
        with target.open("wb") as content:
            _unpack(root / archive.path, file.path, content)
        wrong = _difference(target, file.checksum)
    except UNPACKABLE as error:
        wrong = str(error)
    if wrong:
        verify(root / archive.path, archive.checksum)
        raise InputError(f"{root / archive.path}: {file.path} cannot be unpacked from it: {wrong}")


def _unpack(archive: Path, member: str, target: IO[bytes]) -> None:
    """Copy one file out of an archive, which has no say in where it is written."""
    if archive.name.endswith(".tar.gz"):
        with tarfile.open(archive) as tar:
            shutil.copyfileobj(cast(IO[bytes], tar.extractfile(member)), target)
    else:
        with gzip.open(archive) as content:
            shutil.copyfileobj(content, target)


def _transfer(url: str, part: Path, checksum: str) -> None:
    """Complete the partial file and check it; OSError, and no partial file, on wrong content."""
    resumed = part.exists()
    _append(url, part)
    wrong = _difference(part, checksum)
    if wrong and resumed:  # its beginning may stem from another version: once more, from byte 0
        part.unlink()
        _append(url, part)
        wrong = _difference(part, checksum)
    if wrong:
        part.unlink()
        raise OSError(f"delivers wrong content: {wrong}")


def _append(url: str, part: Path) -> None:
    """Download what the partial file lacks; OSError where the connection ends early."""
    start = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "fedsieve"} | ({"Range": f"bytes={start}-"} if start else {})
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
            # a server that ignores the range (200 instead of 206) sends the file from its start
            start = start if response.status == http.HTTPStatus.PARTIAL_CONTENT else 0
            with part.open("ab" if start else "wb") as target:
                _copy(response, target, start)
    except urllib.error.HTTPError as error:
        error.close()
        # nothing lies beyond the partial file: it is complete, or wrong, as its checksum tells
        if not (start and error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE):
            raise


def _copy(response: http.client.HTTPResponse, target: IO[bytes], start: int) -> None:
    """Copy the body, with a line of progress every 10 % where the server tells the length."""
    total = start + int(response.headers.get("Content-Length", 0))
    done = start
    while chunk := response.read(CHUNK):
        before, done = done, done + target.write(chunk)
        if total and 10 * done // total > 10 * before // total:
            progress = f"{target.name}: {100 * done // total} % of {total / 1e6:.1f} MB"
            print(progress, file=sys.stderr, flush=True)
    if done < total:
        raise OSError(f"the connection ended after {done} of {total} bytes; run again to resume")


def _difference(path: Path, checksum: str) -> str:
    """Both checksums where they differ, else nothing."""
    algorithm, _, expected = checksum.partition(":")
    found = hash_file(path, algorithm)
    return "" if found == expected else f"{algorithm} is {found}, expected {expected}"


def _unavailable(path: Path, why: str) -> InputError:
    return InputError(
        f"{path}: not available: {why}. Put a good copy there, or name a data root that holds "
        "one (FEDSIEVE_DATA, or data_root in the config)."
    )
