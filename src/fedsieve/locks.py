"""Lock files that several users may share."""

import os
from pathlib import Path


def opened(path: Path) -> int:
    """Descriptor of a lock file, which is made where there is none.

    Another user's may be read alone, which is enough to lock it, but not on NFS: there only a
    descriptor to write by locks for all.
    """
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except PermissionError:
        if not path.exists():
            raise
        return os.open(path, os.O_RDONLY)
