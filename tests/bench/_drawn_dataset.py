"""Drawn moths to train on, for benchmarks."""

from dataclasses import replace
from pathlib import Path

from tests.drawn_photos import draw_moth
from training.data.index import read_index
from training.data.prepared import Dataset, make_dataset


def draw_dataset(folder: Path, num_photos: int) -> Dataset:
    """Drawn moths of seven species, all to train on."""
    for number in range(num_photos):
        species = folder / "photos" / f"species-{number % 7}"
        species.mkdir(parents=True, exist_ok=True)
        draw_moth(number % 7, seed=number, size=(400, 320)).save(species / f"{number}.jpg", quality=90)
    index = read_index(folder / "photos")
    samples = [replace(sample, split="train") for sample in index.samples]
    return make_dataset(folder / "data", index.root, samples, index.taxa, command="bench", num_problems=0)
