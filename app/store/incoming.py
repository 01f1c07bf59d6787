"""Places for what is being added or fetched. What a killed process left in one is removed by the next start.

A place is locked by its process for as long as it is used, so a start never removes what another one is at.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

_LOCK = ".lock"


@contextmanager
def new_place(incoming: Path) -> Iterator[Path]:
    """A new, locked folder below ``incoming``, gone at the end with all in it. Raises OSError."""
    place = incoming / uuid4().hex
    place.mkdir(parents=True, mode=0o700)
    try:
        with (place / _LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def clean(incoming: Path) -> int:
    """Remove what nobody is at any more; how many places that were. A folder that cannot be written is left."""
    if not incoming.is_dir():
        return 0
    return sum(_remove(place) for place in list(incoming.iterdir()))


def _remove(place: Path) -> bool:
    try:
        descriptor = os.open(place / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError:
        return False  # gone meanwhile, or not ours to write
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(place, ignore_errors=True)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return not place.exists()
