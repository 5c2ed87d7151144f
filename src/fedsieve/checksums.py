"""Checksums of files; standard library only."""

import functools
import hashlib
from pathlib import Path


def hash_file(path: Path, algorithm: str = "sha256") -> str:
    """Checksum of a file's content, in hexadecimal digits."""
    # MD5 guards against damage here, not against forgery; FIPS systems want that said
    start = functools.partial(hashlib.new, algorithm, usedforsecurity=False)
    with path.open("rb") as file:
        return hashlib.file_digest(file, start).hexdigest()
