"""Training photos as short codes, so that an answer can show which of them a photo is like. Pure numpy; knows no model.

N training photos, D dimensions of the embedding, K of the code, C classes. The file is ``neighbours.npz`` of a bundle.
"""

import io
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

CODE_DIM = 256
MAX_PHOTOS = 100_000
MAX_UNPACKED_BYTES = 256_000_000
MAX_REFERENCE = 500
_ARRAYS = {"components", "codes", "scales", "labels", "references", "thumbnails", "thumbnail_ends"}
_CHUNK = 16_384


class Neighbour(NamedTuple):
    """A training photo near to another: its class index, where it comes from, and perhaps a small JPEG of it."""

    label: int
    similarity: float
    reference: str
    thumbnail: bytes | None


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Codes int8 [N, K] times ``scales`` [N] are the embeddings projected to K dimensions by ``components`` [K, D].

    ``thumbnails`` are JPEGs, one after the other, each ending at its ``thumbnail_ends`` [N]; both empty for none.
    """

    components_KD: NDArray[np.float32]
    codes_NK: NDArray[np.int8]
    scales_N: NDArray[np.float32]
    labels_N: NDArray[np.int32]
    references: tuple[str, ...]
    thumbnails: NDArray[np.uint8]
    thumbnail_ends_N: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels_N)

    def similarities(self, embedding_D: NDArray[np.float32]) -> NDArray[np.float32]:
        """Cosine of an embedding of length one with each training photo's, as far as the codes keep it [N]."""
        query_K = self.components_KD @ embedding_D
        found_N = np.empty(len(self), dtype=np.float32)
        for start in range(0, len(self), _CHUNK):  # a whole float copy of the codes would be four times them
            part = slice(start, start + _CHUNK)
            found_N[part] = self.codes_NK[part].astype(np.float32) @ query_K
        similar_N: NDArray[np.float32] = np.clip(found_N * self.scales_N, -1.0, 1.0)
        return similar_N

    def nearest(self, embedding_D: NDArray[np.float32], k: int) -> tuple[Neighbour, ...]:
        """The k training photos most like this one, most like first. embedding_D: float [D], of length one."""
        similar_N = self.similarities(embedding_D)
        k = min(k, len(self))
        best = np.argpartition(-similar_N, k - 1)[:k]
        return tuple(
            Neighbour(
                int(self.labels_N[place]),
                float(similar_N[place]),
                self.references[place],
                self._thumbnail(int(place)),
            )
            for place in best[np.argsort(-similar_N[best], kind="stable")]
        )

    def _thumbnail(self, place: int) -> bytes | None:
        if len(self.thumbnail_ends_N) == 0:
            return None
        start = int(self.thumbnail_ends_N[place - 1]) if place else 0
        return self.thumbnails[start : int(self.thumbnail_ends_N[place])].tobytes() or None


def encode_photos(
    embeddings_ND: NDArray[np.float32],
    labels_N: NDArray[np.int64],
    references: Sequence[str],
    thumbnails: Sequence[bytes] = (),
    *,
    code_dim: int = CODE_DIM,
) -> Neighbours:
    """Codes of these photos: principal components without centring, which keep inner products best, then int8.

    embeddings_ND: of length one. Raises ValueError for no photos.

    >>> found = encode_photos(np.eye(2, dtype=np.float32), np.array([0, 1]), ["a.jpg", "b.jpg"])
    >>> [each.reference for each in found.nearest(np.array([0.8, 0.6], np.float32), 1)]
    ['a.jpg']
    """
    if len(embeddings_ND) == 0:
        raise ValueError("there are no photos to be near to")
    wide_ND = embeddings_ND.astype(np.float64)
    _, vectors_DD = np.linalg.eigh(wide_ND.T @ wide_ND)
    components_KD = vectors_DD[:, ::-1][:, :code_dim].T.astype(np.float16).astype(np.float32)
    projected_NK = embeddings_ND.astype(np.float32) @ components_KD.T
    scales_N = np.maximum(np.abs(projected_NK).max(axis=1), 1e-12) / 127.0
    return Neighbours(
        components_KD=components_KD,
        codes_NK=np.rint(projected_NK / scales_N[:, None]).astype(np.int8),
        scales_N=scales_N.astype(np.float32),
        labels_N=labels_N.astype(np.int32),
        references=tuple(_one_line(reference) for reference in references),
        thumbnails=np.frombuffer(b"".join(thumbnails), dtype=np.uint8),
        thumbnail_ends_N=np.cumsum([len(each) for each in thumbnails], dtype=np.int64),
    )


def _one_line(reference: str) -> str:
    return " ".join(reference.split())[:MAX_REFERENCE]


def dump_neighbours(neighbours: Neighbours) -> bytes:
    """The file of these neighbours; the same ones give the same bytes."""
    stream = io.BytesIO()
    np.savez_compressed(
        stream,
        components=neighbours.components_KD.astype(np.float16),
        codes=neighbours.codes_NK,
        scales=neighbours.scales_N,
        labels=neighbours.labels_N,
        references=np.frombuffer("\n".join(neighbours.references).encode(), dtype=np.uint8),
        thumbnails=neighbours.thumbnails,
        thumbnail_ends=neighbours.thumbnail_ends_N,
    )
    return stream.getvalue()


def parse_neighbours(data: bytes, *, num_classes: int, embedding_dim: int) -> Neighbours:
    """The neighbours of a file. Raises ValueError, which says what is wrong with it; nothing in it is ever executed."""
    arrays = _arrays(data)
    _check_arrays(arrays, num_classes, embedding_dim)
    try:
        references = tuple(arrays["references"].tobytes().decode("utf-8").split("\n"))
    except UnicodeDecodeError as error:
        raise ValueError("references are not UTF-8") from error
    if len(references) != len(arrays["codes"]):
        raise ValueError(f"has {len(arrays['codes'])} photos but {len(references)} references")
    return Neighbours(
        components_KD=arrays["components"].astype(np.float32),
        codes_NK=arrays["codes"],
        scales_N=arrays["scales"],
        labels_N=arrays["labels"],
        references=references,
        thumbnails=arrays["thumbnails"],
        thumbnail_ends_N=arrays["thumbnail_ends"],
    )


def _arrays(data: bytes) -> dict[str, NDArray[Any]]:
    """Every array, once what they unpack to is known to be no more than is allowed."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = {entry.filename.removesuffix(".npy") for entry in archive.infolist()}
            num_bytes = sum(entry.file_size for entry in archive.infolist())
        if names != _ARRAYS:
            raise ValueError(f"must hold exactly the arrays {', '.join(sorted(_ARRAYS))}")
        if num_bytes > MAX_UNPACKED_BYTES:
            raise ValueError(f"unpacks to {num_bytes:,} bytes; at most {MAX_UNPACKED_BYTES:,} are taken")
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            return {name: archive[name] for name in _ARRAYS}
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, KeyError, NotImplementedError) as error:
        raise ValueError(f"is not an .npz file ({type(error).__name__})") from error


def _check_arrays(arrays: dict[str, NDArray[Any]], num_classes: int, embedding_dim: int) -> None:
    num, code_dim = arrays["codes"].shape if arrays["codes"].ndim == 2 else (0, 0)
    num_ends = len(arrays["thumbnail_ends"]) and num
    expected: dict[str, tuple[type[np.generic], tuple[int, ...]]] = {
        "components": (np.float16, (code_dim, embedding_dim)),
        "codes": (np.int8, (num, code_dim)),
        "scales": (np.float32, (num,)),
        "labels": (np.int32, (num,)),
        "references": (np.uint8, (arrays["references"].size,)),
        "thumbnails": (np.uint8, (arrays["thumbnails"].size,)),
        "thumbnail_ends": (np.int64, (num_ends,)),
    }
    for name, (kind, shape) in expected.items():
        if arrays[name].dtype != kind or arrays[name].shape != shape:
            raise ValueError(f"{name} must be {kind.__name__} of shape {shape}")
    if not 1 <= num <= MAX_PHOTOS:
        raise ValueError(f"has {num} photos; expected 1 to {MAX_PHOTOS:,}")
    if not (np.isfinite(arrays["components"]).all() and np.isfinite(arrays["scales"]).all()):
        raise ValueError("holds numbers that are not finite")
    if arrays["labels"].min() < 0 or arrays["labels"].max() >= num_classes:
        raise ValueError(f"has a label that is none of the {num_classes} of the card")
    ends = arrays["thumbnail_ends"]
    if num_ends and (ends[0] < 0 or (np.diff(ends) < 0).any() or ends[-1] != len(arrays["thumbnails"])):
        raise ValueError("thumbnail_ends do not cut the thumbnails into one a photo")
