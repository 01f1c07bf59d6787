"""CIFAR-10-JPEG-LT: the long-tailed CIFAR-10 of a zip archive -> photos and a CSV that ``prepare`` reads.

The archive has ``train/<i>_<class>/<k>.jpg`` and ``test/...``; photos of a class lie in the order of their names, and
the first of them make the set of any factor (Cao et al., 2019), so that a longer tail is a subset of a shorter one.
"""

import csv
import io
import zipfile
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from training.data.imbalance import profile_counts

CSV = "photos.csv"
_SHIFT_PX = 4
"""Half a block of JPEG: an encoder that finds its own grid again would lose next to nothing."""


def split_cifar(names: list[str], factor: float, num_val: int) -> list[tuple[str, str, str]]:
    """Path, label and split of each photo that is used.

    Validation photos of a class are the first ``num_val`` that its training set leaves over. The most frequent class
    leaves none, so its own last ones are taken from training.
    """
    by_class: dict[str, list[str]] = {}
    for name in sorted(name for name in names if name.startswith("train/")):
        by_class.setdefault(PurePosixPath(name).parent.name, []).append(name)
    labels = sorted(by_class)
    if not labels:
        return []
    counts = profile_counts(
        "exponential", num_classes=len(labels), max_count=max(map(len, by_class.values())), factor=factor
    )
    rows = []
    for label, count in zip(labels, counts, strict=True):
        photos = by_class[label]
        left_over = photos[count:][:num_val]
        last = count - (num_val - len(left_over))
        rows += [(name, label, "train") for name in photos[:last]]
        rows += [(name, label, "val") for name in [*photos[last:count], *left_over]]
    tests = sorted(name for name in names if name.startswith("test/"))
    return rows + [(name, PurePosixPath(name).parent.name, "test") for name in tests]


def encode_again(photo: Image.Image, quality: int) -> Image.Image:
    """The photo after one more JPEG (colour at half resolution) whose blocks lie half a block off the photo's own."""
    padding = ((_SHIFT_PX, _SHIFT_PX), (_SHIFT_PX, _SHIFT_PX), (0, 0))
    coded = io.BytesIO()
    Image.fromarray(np.pad(np.asarray(photo.convert("RGB")), padding, mode="edge")).save(
        coded, "JPEG", quality=quality, subsampling="4:2:0"
    )
    return Image.open(coded).crop((_SHIFT_PX, _SHIFT_PX, _SHIFT_PX + photo.width, _SHIFT_PX + photo.height))


def unpack_cifar(
    archive: Path, out: Path, factor: float, num_val: int, again_quality: int | None = None
) -> Path:
    """Unpack what is used and write its CSV; returns the CSV. Raises ValueError for an archive of another kind.

    ``again_quality``: photos are encoded once more, as ``encode_again`` does, and kept as PNG: what does JPEG cost?
    """
    try:
        with zipfile.ZipFile(archive) as source:
            rows = split_cifar(source.namelist(), factor, num_val)
            if not rows:
                raise ValueError(f"{archive}: has no photos under train/")
            if again_quality is None:
                for name, _, _ in rows:
                    source.extract(name, out / "photos")
            else:
                rows = [
                    (_written_again(source, name, out / "photos", again_quality), label, split)
                    for name, label, split in rows
                ]
    except (OSError, zipfile.BadZipFile) as error:
        raise ValueError(f"{archive}: not a zip archive that can be read: {error}") from error
    path = out / CSV
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("path", "label", "split"))
        writer.writerows((f"photos/{name}", label, split) for name, label, split in rows)
    return path


def _written_again(source: zipfile.ZipFile, name: str, folder: Path, quality: int) -> str:
    """Returns the name that the photo has now."""
    renamed = str(PurePosixPath(name).with_suffix(".png"))
    path = folder / renamed
    path.parent.mkdir(parents=True, exist_ok=True)
    with source.open(name) as stream, Image.open(stream) as photo:
        encode_again(photo, quality).save(path)
    return renamed
