"""Photos decoded once: a flat uint8 file of photos of one size, and where each begins.

Evaluation keeps what ``models.preprocess`` gives, byte for byte; training keeps whole photos to crop from.
"""

import contextlib
import fcntl
import hashlib
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.preprocess import PhotoLimits, Preprocessing, canvas, preprocess
from training.data.index import Sample

_LIMITS = PhotoLimits(max_bytes=500_000_000, max_pixels=400_000_000)


Wanted = Preprocessing | int
"""A square as serving sees it, or the short side of a whole photo."""
_Job = tuple[Path, str, Wanted]
_AHEAD = 1024
"""Photos that are decoded before the first of them must be written."""


class PhotoCache:
    """Decoded photos by their place in ``samples``: uint8 [H, W, 3]."""

    def __init__(self, pixels: NDArray[np.uint8], shapes: NDArray[np.int64]) -> None:
        sizes = shapes[:, 0] * shapes[:, 1] * 3
        self._pixels, self._shapes = pixels, shapes
        self._starts = np.concatenate([[0], np.cumsum(sizes)])

    def __len__(self) -> int:
        return len(self._shapes)

    def __getitem__(self, place: int) -> NDArray[np.uint8]:
        height, width = self._shapes[place]
        flat = self._pixels[self._starts[place] : self._starts[place + 1]]
        return flat.reshape(height, width, 3)


def open_cache(folder: Path, root: Path, samples: Sequence[Sample], wanted: Wanted) -> PhotoCache:
    """The cache for these photos at this size, made if it is not there. Safe to be killed: a half file is not used.

    Raises ValueError where a photo has changed or vanished since ``prepare``, OSError where there is no room for it.
    """
    digest = hashlib.sha256("\n".join(sample.sha256 for sample in samples).encode()).hexdigest()[:16]
    pixels_path = folder / "cache" / f"{digest}-{_tag(wanted)}.rgb"
    shapes_path = pixels_path.with_suffix(".json")
    if not _is_made(pixels_path, shapes_path):
        pixels_path.parent.mkdir(parents=True, exist_ok=True)
        with _alone(pixels_path.with_name("lock")):
            if not _is_made(pixels_path, shapes_path):  # another process may have made it meanwhile
                _build(pixels_path, shapes_path, root, samples, wanted)
    shapes = np.array(json.loads(shapes_path.read_text()), dtype=np.int64)
    return PhotoCache(np.memmap(pixels_path, dtype=np.uint8, mode="r"), shapes)


def _is_made(pixels_path: Path, shapes_path: Path) -> bool:
    """Both of it: shapes of pixels that are gone, removed or of an older format, are no cache."""
    return shapes_path.exists() and pixels_path.exists()


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One process at a time: runs that begin together would each decode everything. A lock ends with its process."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _tag(wanted: Wanted) -> str:
    return f"whole-{wanted}" if isinstance(wanted, int) else f"{wanted.fit}-{wanted.size_px}"


def _build(
    pixels_path: Path, shapes_path: Path, root: Path, samples: Sequence[Sample], wanted: Wanted
) -> None:
    """Photo by photo, so that they never are in memory together."""
    jobs = [(root / sample.path, sample.sha256, wanted) for sample in samples]
    part, shapes = pixels_path.with_suffix(".part"), []
    # Of pixels that are gone: were this killed below, they would stand beside new ones.
    shapes_path.unlink(missing_ok=True)
    try:
        with ProcessPoolExecutor() as pool, part.open("wb") as stream:
            for photo in _mapped(pool, jobs):
                stream.write(photo.tobytes())
                shapes.append(photo.shape[:2])
        part.replace(pixels_path)
        part.write_text(json.dumps(shapes))
        part.replace(shapes_path)
    except OSError as error:
        done = sum(height * width * 3 for height, width in shapes)
        raise OSError(
            f"{pixels_path.parent}: {len(samples):,} decoded photos could not be written; {len(shapes):,} of them take "
            f"{done / 2**20:,.0f} MiB ({error}): make room there"
        ) from error
    finally:
        part.unlink(missing_ok=True)


def _mapped(pool: ProcessPoolExecutor, jobs: Sequence[_Job]) -> Iterator[NDArray[np.uint8]]:
    """In their order, a bounded number of them ahead: a pool's own ``map`` takes all at once."""
    for first in range(0, len(jobs), _AHEAD):
        yield from pool.map(_decode, jobs[first : first + _AHEAD], chunksize=16)


def _decode(job: _Job) -> NDArray[np.uint8]:
    path, sha256, wanted = job
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror} since `prepare`; run it again") from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ValueError(f"{path}: the photo has changed since `prepare`; run it again")
    if isinstance(wanted, int):
        return canvas(data, wanted, _LIMITS)[0]
    return preprocess(data, wanted, _LIMITS)[0]
