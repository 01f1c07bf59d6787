"""Golden images: what a network answered where it was exported, kept in its bundle so that every machine can check.

The images are drawn by ``draw``, never photographs, and travel as the tensors that the network gets: a decoder has
no say in them. ``golden.npz`` holds ``images`` uint8 [N, H, W, 3], ``logits`` float32 [N, C] and ``embedding``
float32 [N, D]. Legend: N images, H W pixels, C classes, D features.
"""

import io
import zipfile
from dataclasses import dataclass
from math import prod
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

MAX_IMAGES = 8
NUM_DRAWN = 4
TOLERANCE = 0.01
"""How far a logit may be off, as a share of the spread of its image's logits; and an embedding's cosine from 1.

Rounding on another CPU moves logits by some 1e-6 of their spread, TF32 on a GPU by some 1e-3; another network, or
channels in another order, by 0.1 and more.
"""
_MAX_HEADER_BYTES = 1024
_Number = TypeVar("_Number", np.uint8, np.float32)


@dataclass(frozen=True)
class Golden:
    """Images and what the network is expected to say of them."""

    images: NDArray[np.uint8]
    logits: NDArray[np.float32]
    embedding: NDArray[np.float32]


def draw(size_px: int, *, num_images: int = NUM_DRAWN) -> NDArray[np.uint8]:
    """Moth-like shapes before a smooth background, uint8 [N, H, W, 3]. The same each time on one machine.

    >>> draw(32).shape
    (4, 32, 32, 3)
    """
    y, x = np.mgrid[-1 : 1 : size_px * 1j, -1 : 1 : size_px * 1j]
    return np.stack([_moth(x, y, np.random.default_rng(number)) for number in range(num_images)])


def _moth(x: NDArray[np.float64], y: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.uint8]:
    ground, wing, body = rng.uniform(0.1, 0.9, (3, 3))
    tilt, width = rng.uniform(-0.3, 0.3), rng.uniform(0.5, 0.8)
    across, along = x + tilt * y, y - tilt * x
    image = ground + 0.1 * (x + y)[..., None] * rng.uniform(-1, 1, 3)
    wings = (across / width) ** 2 + (along / 0.45) ** 2 < 1
    bands = 0.15 * np.sin(rng.uniform(8, 20) * np.abs(across))[..., None]
    image = np.where(wings[..., None], wing + bands, image)
    image = np.where(((across / 0.1) ** 2 + (along / 0.5) ** 2 < 1)[..., None], body, image)
    return np.asarray((image.clip(0, 1) * 255).round(), dtype=np.uint8)


def dump_golden(golden: Golden) -> bytes:
    """``golden.npz``. The same arrays give the same bytes."""
    stream = io.BytesIO()
    arrays = {name: np.ascontiguousarray(array) for name, array in vars(golden).items()}
    np.savez_compressed(stream, allow_pickle=False, **arrays)
    return stream.getvalue()


def parse_golden(data: bytes, *, size_px: int, num_classes: int, embedding_dim: int) -> Golden:
    """Read ``golden.npz`` of a network of these sizes. Untrusted: nothing larger than them is unpacked.

    Raises ValueError that says what is wrong.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = sorted(archive.namelist())
            if names != ["embedding.npy", "images.npy", "logits.npy"]:
                raise ValueError(f"holds {', '.join(names)[:200]}; expected images, logits and embedding")
            images = _array(archive, "images", np.dtype(np.uint8), (size_px, size_px, 3))
            logits = _array(archive, "logits", np.dtype(np.float32), (num_classes,))
            embedding = _array(archive, "embedding", np.dtype(np.float32), (embedding_dim,))
    except (zipfile.BadZipFile, EOFError, OSError, RuntimeError, NotImplementedError) as error:
        raise ValueError(f"cannot be unpacked ({type(error).__name__})") from error
    if not len(images) == len(logits) == len(embedding):
        raise ValueError("images, logits and embedding are of different numbers of images")
    if not (np.isfinite(logits).all() and np.isfinite(embedding).all()):
        raise ValueError("an expected output is not a finite number")
    return Golden(images, logits, embedding)


def _array(
    archive: zipfile.ZipFile, name: str, wanted: np.dtype[_Number], each: tuple[int, ...]
) -> NDArray[_Number]:
    with archive.open(f"{name}.npy") as file:
        if np.lib.format.read_magic(file) != (1, 0):
            raise ValueError(f"{name} is in another version of the array format")
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(file, max_header_size=_MAX_HEADER_BYTES)
        if dtype != wanted or fortran or shape[1:] != each or not 1 <= shape[0] <= MAX_IMAGES:
            expected = f"{wanted} [1 to {MAX_IMAGES}, {', '.join(map(str, each))}] in C order"
            raise ValueError(f"{name} is {dtype} {list(shape)}; expected {expected}")
        num_bytes = prod(shape) * wanted.itemsize
        content = file.read(num_bytes)
    if len(content) != num_bytes:
        raise ValueError(f"{name} is cut off")
    return np.frombuffer(content, wanted).reshape(shape)


def distances(golden: Golden, logits: NDArray[np.float32]) -> tuple[float, ...]:
    """Of each image, how far its worst logit is off, as a share of the spread of the logits that it should have."""
    found = []
    for expected_C, logits_C in zip(golden.logits, logits, strict=True):
        spread = float(expected_C.max() - expected_C.min()) or 1.0
        found.append(float(np.abs(logits_C.astype(np.float64) - expected_C).max()) / spread)
    return tuple(found)


def check_golden(golden: Golden, logits: NDArray[np.float32], embedding: NDArray[np.float32]) -> None:
    """Raises ValueError that names the first image on which a network answers otherwise than expected.

    logits: float32 [N, C] and embedding: float32 [N, D], of ``golden.images``.
    """
    for number, off in enumerate(distances(golden, logits)):
        if not off <= TOLERANCE:  # a NaN is not
            raise ValueError(
                f"golden image {number}: a logit is off by {off:.1%} of their spread; {TOLERANCE:.0%} is allowed"
            )
    for number, (expected, found) in enumerate(zip(golden.embedding, embedding, strict=True)):
        if not np.isfinite(found).all():
            raise ValueError(f"golden image {number}: the embedding is not finite")
        lengths = float(np.linalg.norm(expected) * np.linalg.norm(found)) or 1.0
        cosine = float(expected.astype(np.float64) @ found) / lengths
        if cosine < 1 - TOLERANCE:
            raise ValueError(f"golden image {number}: the embedding points elsewhere (cosine {cosine:.3f})")
