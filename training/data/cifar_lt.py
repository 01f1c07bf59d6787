"""CIFAR-10-JPEG-LT: the long-tailed CIFAR-10 of a zip archive -> photos and a CSV that ``prepare`` reads.

The archive has ``train/<i>_<class>/<k>.jpg`` and ``test/...``; photos of a class lie in the order of their names, and
the first of them make the set of any factor (Cao et al., 2019), so that a longer tail is a subset of a shorter one.
"""

import csv
import zipfile
from pathlib import Path, PurePosixPath

from training.data.imbalance import profile_counts

CSV = "photos.csv"


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


def unpack_cifar(archive: Path, out: Path, factor: float, num_val: int) -> Path:
    """Unpack what is used and write its CSV; returns the CSV. Raises ValueError for an archive of another kind."""
    try:
        with zipfile.ZipFile(archive) as source:
            rows = split_cifar(source.namelist(), factor, num_val)
            if not rows:
                raise ValueError(f"{archive}: has no photos under train/")
            for name, _, _ in rows:
                source.extract(name, out / "photos")
    except (OSError, zipfile.BadZipFile) as error:
        raise ValueError(f"{archive}: not a zip archive that can be read: {error}") from error
    path = out / CSV
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("path", "label", "split"))
        writer.writerows((f"photos/{name}", label, split) for name, label, split in rows)
    return path
