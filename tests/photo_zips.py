"""Zips of drawn photos with their labels, as an admin uploads them."""

import io
import zipfile
from collections.abc import Mapping, Sequence

from tests import drawn_photos
from tests.tiny_bundle import TAXA


def labelled_photos(num_photos: int, first_seed: int = 3000) -> dict[str, tuple[bytes, str]]:
    """File name -> photo and label, the kinds by turns."""
    return {
        f"night/{number:03}.jpg": (
            drawn_photos.photo(kind=number % 7, seed=first_seed + number),
            TAXA[number % 7].label,
        )
        for number in range(num_photos)
    }


def zip_of(photos: Mapping[str, tuple[bytes, str]], lines: Sequence[str] = ()) -> bytes:
    """The zip. ``lines`` are added to the CSV."""
    table = "\n".join(["file,label", *(f"{name},{label}" for name, (_, label) in photos.items()), *lines])
    files = {name: data for name, (data, _) in photos.items()}
    return packed({**files, "labels.csv": table.encode()})


def packed(files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Any files in a zip."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return stream.getvalue()
