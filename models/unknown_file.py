"""The bundle's file ``unknown.npz``: the arrays of a ``Space``. Bytes in and out; what others made is checked."""

import io
import math
import struct
import zipfile

import numpy as np
from numpy.typing import NDArray

from models.unknown import Space

MAX_AXES = 512
_HEADER_BYTES = 4096
_HALF = ("axes_DE", "means_CE")
"""Kept in half precision: they are most of the file, and what it loses is far below a photo's distance to another."""


def rounded(space: Space) -> Space:
    """The space as the file will give it back: thresholds must be fitted with this one."""
    return parse_space(dump_space(space), num_classes=len(space.means_CE), embedding_dim=len(space.centre_D))


def dump_space(space: Space) -> bytes:
    """The bytes of the file; the same arrays give the same bytes."""
    stream = io.BytesIO()
    arrays = {
        name: np.asarray(value, dtype=np.float16 if name in _HALF else np.float32, order="C")
        for name, value in space._asdict().items()
    }
    np.savez(stream, allow_pickle=False, **arrays)
    return stream.getvalue()


def parse_space(data: bytes, *, num_classes: int, embedding_dim: int) -> Space:
    """The arrays of a file for a species list and an embedding of this size. Raises ValueError saying what is wrong."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _check_archive(archive, num_classes, embedding_dim)
            arrays = {name: _array(name, archive.read(f"{name}.npy")) for name in Space._fields}
    except (zipfile.BadZipFile, EOFError, OSError, RuntimeError, struct.error) as error:
        raise ValueError(f"is not an archive of numpy arrays ({type(error).__name__})") from error
    _check_arrays(arrays, num_classes, embedding_dim)
    return Space(**{name: np.array(array, dtype=np.float32, order="C") for name, array in arrays.items()})


def _array(name: str, data: bytes) -> NDArray[np.generic]:
    """One array of the archive, whose head says neither another kind of number nor more of them than follow."""
    stream = io.BytesIO(data)
    if np.lib.format.read_magic(stream) != (1, 0):
        raise ValueError(f"{name} is not an array of version 1.0")
    shape, by_columns, dtype = np.lib.format.read_array_header_1_0(stream)
    left = data[stream.tell() :]
    if by_columns or dtype not in (np.float16, np.float32) or math.prod(shape) * dtype.itemsize != len(left):
        raise ValueError(
            f"{name} is {dtype} {shape} in {len(left)} bytes; expected as many floats, row by row"
        )
    return np.frombuffer(left, dtype).reshape(shape)


def _check_archive(archive: zipfile.ZipFile, num_classes: int, embedding_dim: int) -> None:
    """Nothing is unpacked before its size is known to be right: an archive can promise anything."""
    most = 4 * MAX_AXES * max(num_classes, embedding_dim, MAX_AXES) + _HEADER_BYTES
    entries = archive.infolist()
    if sorted(entry.filename for entry in entries) != sorted(f"{name}.npy" for name in Space._fields):
        raise ValueError(f"must hold exactly {', '.join(Space._fields)}")
    for entry in entries:
        if entry.compress_type != zipfile.ZIP_STORED:
            raise ValueError(f"{entry.filename} is compressed")
        if entry.file_size > most:
            raise ValueError(f"{entry.filename} has {entry.file_size} bytes, more than it can need")


def _check_arrays(arrays: dict[str, NDArray[np.generic]], num_classes: int, embedding_dim: int) -> None:
    num_axes = arrays["total_E"].size
    if not 1 <= num_axes <= min(MAX_AXES, embedding_dim):
        raise ValueError(f"has {num_axes} axes, of an embedding of {embedding_dim}")
    shapes = {
        "centre_D": (embedding_dim,),
        "axes_DE": (embedding_dim, num_axes),
        "within_EE": (num_axes, num_axes),
        "means_CE": (num_classes, num_axes),
        "total_E": (num_axes,),
        "rest": (),
    }
    for name, shape in shapes.items():
        array = arrays[name]
        if array.shape != shape:
            raise ValueError(f"{name} has shape {array.shape}; expected {shape}")
        if not np.isfinite(array).all():
            raise ValueError(f"{name} is not finite")
    if (arrays["total_E"] <= 0).any() or arrays["rest"] <= 0:  # type: ignore[operator]
        raise ValueError("total_E and rest must be positive")
