"""Photos of what a model does not know: from files, or drawn by code, of nothing that lives.

A drawn picture of the same kind, number and size is always the same.
"""

import csv
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from models.preprocess import PhotoError, Preprocessing, preprocess
from training.data.index import COLUMNS, PHOTO_SUFFIXES

DrawnKind = Literal["blank", "noise", "text"]
DRAWN_KINDS: tuple[DrawnKind, ...] = get_args(DrawnKind)
_WORDS = ("light", "sheet", "night", "station", "date", "observer", "trap", "lamp", "moon", "wind", "drawer")

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class DrawnPictures:
    """Pictures of these kinds and numbers, kind by kind."""

    kinds: tuple[DrawnKind, ...]
    numbers: Sequence[int]
    size_px: int

    def __len__(self) -> int:
        return len(self.kinds) * len(self.numbers)

    def __getitem__(self, place: int) -> Pixels:
        kind, number = divmod(place, len(self.numbers))
        return draw_outsider(self.kinds[kind], self.numbers[number], self.size_px)


@dataclass(frozen=True)
class PhotoFiles:
    """Photos in files, decoded as serving would. Raises ValueError, naming the file, for one that is no photo."""

    paths: tuple[Path, ...]
    wanted: Preprocessing

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, place: int) -> Pixels:
        path = self.paths[place]
        try:
            return preprocess(path.read_bytes(), self.wanted)[0]
        except (PhotoError, OSError) as error:
            raise ValueError(f"{path}: {error}") from error


def read_outsiders(words: str, limit: int) -> tuple[str, tuple[Path, ...]]:
    """``NAME=FOLDER`` or ``NAME=CSV?column=value&...`` -> the name, and at most ``limit`` photos, drawn by lot.

    A CSV is one that ``prepare`` reads; the question keeps the rows that have these values. Raises ValueError.
    """
    name, _, where = words.partition("=")
    if not name or not where:
        raise ValueError(f"--outsiders {words!r}: expected NAME=FOLDER or NAME=CSV?column=value")
    place, _, question = where.partition("?")
    source = Path(place)
    if source.is_dir():
        paths = [path for path in sorted(source.rglob("*")) if path.suffix.lower() in PHOTO_SUFFIXES]
    elif source.is_file():
        paths = _csv_paths(source, dict(pair.split("=", 1) for pair in question.split("&") if "=" in pair))
    else:
        raise ValueError(f"--outsiders {words!r}: there is no folder or CSV file at {source}")
    if not paths:
        raise ValueError(f"--outsiders {words!r}: no photo there")
    random.Random(f"outsiders/{name}").shuffle(paths)
    return name, tuple(paths[:limit])


def _csv_paths(source: Path, asked: dict[str, str]) -> list[Path]:
    with source.open(newline="", encoding="utf-8-sig") as stream:
        rows = list(csv.DictReader(stream))
    columns = rows[0].keys() if rows else ()
    column = next((name for name in COLUMNS["path"] if name in columns), None)
    if column is None or (missing := sorted(set(asked) - set(columns))):
        fault = "for the path" if column is None else repr(missing[0])
        raise ValueError(f"{source}: no column {fault}; there is {', '.join(columns) or 'nothing'}")
    names = [row[column] for row in rows if all(row[key] == value for key, value in asked.items())]
    folders = [source.parent, source.parent / "images"]
    root = next((folder for folder in folders if names and (folder / names[0]).is_file()), source.parent)
    return sorted(root / name for name in names)


def draw_outsider(kind: DrawnKind, number: int, size_px: int) -> Pixels:
    """One picture, uint8 [size_px, size_px, 3]: an empty sheet or plain colour, noise, or a page of text.

    >>> draw_outsider("noise", 3, 32).shape
    (32, 32, 3)
    """
    rng = np.random.default_rng([DRAWN_KINDS.index(kind), number])
    return {"blank": _blank, "noise": _noise, "text": _text}[kind](rng, size_px)


def _blank(rng: np.random.Generator, size_px: int) -> Pixels:
    """A colour that the light falls off from, with the grain of a sensor; every second one is a lit white sheet."""
    colour = rng.uniform(200, 255, 1) * np.ones(3) if rng.random() < 0.5 else rng.uniform(0, 255, 3)
    slope = rng.uniform(-60, 60, 2)
    across = np.linspace(-0.5, 0.5, size_px)
    light = slope[0] * across[None, :, None] + slope[1] * across[:, None, None]
    grain = rng.normal(0, rng.uniform(0, 6), (size_px, size_px, 3))
    return _pixels(colour + light + grain)


def _noise(rng: np.random.Generator, size_px: int) -> Pixels:
    """Noise of a random grain, from single pixels to large clouds, in colour or grey."""
    cells = max(2, size_px // int(rng.choice([1, 2, 4, 8, 16, 32])))
    channels = 3 if rng.random() < 0.5 else 1
    drawn = rng.normal(128, rng.uniform(20, 80), (cells, cells, channels))
    image = Image.fromarray(_pixels(np.broadcast_to(drawn, (cells, cells, 3))))
    return np.asarray(image.resize((size_px, size_px), Image.Resampling.BICUBIC))


def _text(rng: np.random.Generator, size_px: int) -> Pixels:
    """Lines of words, dark on light or the other way round."""
    paper, ink = rng.uniform(190, 255, 3), rng.uniform(0, 90, 3)
    if rng.random() < 0.2:
        paper, ink = ink, paper
    image = Image.fromarray(_pixels(np.broadcast_to(paper, (size_px, size_px, 3))))
    draw = ImageDraw.Draw(image)
    height = max(6, int(size_px * rng.uniform(0.04, 0.2)))
    font = ImageFont.load_default(height)
    for top in range(int(rng.integers(0, height)), size_px, int(height * 1.4)):
        words = " ".join(rng.choice(_WORDS, 12))
        draw.text((int(rng.integers(0, height)), top), words, tuple(int(part) for part in ink), font)
    return np.asarray(image)


def _pixels(levels: NDArray[np.float64]) -> Pixels:
    return np.clip(levels, 0, 255).astype(np.uint8)
