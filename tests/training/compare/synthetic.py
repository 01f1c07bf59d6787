"""Finished runs that nobody trained: predictions drawn from a seeded generator, as good in each group as is asked."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from models.groups import GROUPS
from models.taxonomy import Taxon
from training.compare.record import Cost, Predictions, RunResult
from training.config import RunConfig
from training.data.index import Sample
from training.data.prepared import Dataset, make_dataset
from training.evaluate import class_indices
from training.recipes import RECIPES, make_recipe

FAMILIES = ("Saturniidae", "Noctuidae", "Erebidae")


def synthetic_dataset(
    counts: Sequence[int] = (200, 150, 120, 60, 40, 30, 8, 5, 3), *, num_test: int = 12, families: bool = True
) -> Dataset:
    """A species for each training count, with ``num_test`` test photos that are names only."""
    labels = [f"species_{place:03d}" for place in range(len(counts))]
    samples = [
        Sample(path=f"{label}/{split}-{number}.jpg", label=label, row=0, split=split)
        for label, count in zip(labels, counts, strict=True)
        for split, num in (("train", count), ("val", 4), ("test", num_test))
        for number in range(num)
    ]
    taxa = [
        Taxon(label=label, family=FAMILIES[place % 3] if families else None)
        for place, label in enumerate(labels)
    ]
    return make_dataset(Path("data/drawn"), Path("photos"), samples, taxa, command="prepare", num_problems=0)


def synthetic_predictions(
    labels: Sequence[int], dataset: Dataset, recalls: Mapping[str, float], seed: int
) -> Predictions:
    """Predictions whose recall is about ``recalls`` of the label's group; the same seed has the same hard photos."""
    rng = np.random.default_rng(seed)
    wanted = np.array([recalls[dataset.groups[label]] for label in labels])
    right = rng.random(len(labels)) < wanted
    prior = np.array(dataset.info.training_counts, dtype=float) ** 0.5
    wrong = rng.choice(len(prior), size=len(labels), p=prior / prior.sum())
    predicted = np.where(right, labels, wrong)
    confidence = np.where(
        predicted == np.array(labels), rng.beta(8, 2, len(labels)), rng.beta(3, 3, len(labels))
    )
    return Predictions(
        labels=tuple(int(label) for label in labels),
        predicted=tuple(int(place) for place in predicted),
        confidence=tuple(float(value) for value in confidence),
    )


def synthetic_result(
    dataset: Dataset,
    recipe: str,
    *,
    seed: int = 0,
    recalls: Mapping[str, float] | None = None,
    backbone: str | None = None,
    hardware: str = "drawn, 2 cores",
) -> RunResult:
    """A run of ``recipe``; a name that is no recipe is a removal of the one before ``-without-``."""
    config = make_recipe(recipe.partition("-without-")[0]).with_(recipe=recipe, seed=seed)
    if backbone is not None:
        config = config.with_(model={"backbone": backbone})
    recalls = recalls or dict.fromkeys(GROUPS, 0.7)
    number = _number(recipe)
    return RunResult(
        recipe=recipe,
        backbone=config.model.backbone,
        seed=seed,
        config=config,
        data_sha256=dataset.info.content_sha256,
        num_classes=len(dataset.labels),
        temperature=1.1,
        validation=_on(dataset, "val", recalls, 1000 * seed + number),
        test=_on(dataset, "test", recalls, 1000 * seed + number + 500),
        cost=_cost(config, number),
        command=f"python -m training compare --recipes {recipe} --data data/drawn --out report",
        commit="0" * 40,
        hardware=hardware,
        environment={"python": "3.11", "torch": "2.11"},
    )


def _on(dataset: Dataset, split: str, recalls: Mapping[str, float], seed: int) -> Predictions:
    labels = class_indices(dataset, dataset.split(split)).tolist()
    return synthetic_predictions(labels, dataset, recalls, seed)


def _cost(config: RunConfig, number: int) -> Cost:
    return Cost(
        images_per_s=40.0 + number,
        minutes=20.0 + number / 3,
        finish_minutes=float(config.stage.name != "none"),
        peak_memory_mib=1500.0 + 10 * number,
        num_parameters=2_351_972,
        shared_epochs=config.stage.name == "crt",
    )


def _number(recipe: str) -> int:
    return sum(map(ord, recipe)) % 400


def synthetic_comparison(dataset: Dataset, recipes: Sequence[str] = tuple(RECIPES)) -> list[RunResult]:
    """Many methods: each trades some head for tail; the first few have three seeds."""
    rng = np.random.default_rng(7)
    results = []
    for place, recipe in enumerate(recipes):
        shift = rng.uniform(0, 0.25)
        recalls = {
            "head": 0.92 - 0.35 * shift + rng.normal(0, 0.01),
            "middle": 0.8 + 0.1 * shift,
            "tail": 0.35 + 1.2 * shift + rng.normal(0, 0.03),
        }
        for seed in range(3 if place < 5 else 1):
            results.append(synthetic_result(dataset, recipe, seed=seed, recalls=recalls))
    return results
