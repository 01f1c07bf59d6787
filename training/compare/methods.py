"""Finished runs -> methods: a recipe on a backbone with its seeds, and every figure of it. Knows no page.

Legend: N test images.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from models.evaluation import Evaluation, Interval
from models.groups import GROUPS, Group
from models.metrics import NUM_BOOTSTRAP, evaluate_predictions
from models.resampling import Design, make_design
from training.compare.record import Predictions, RunResult
from training.compare.selection import validation_standings
from training.compare.statistics import Spread, intervals_of, spread
from training.data.prepared import Dataset
from training.evaluate import class_indices

WITHOUT = "-without-"


def _recall_of(group: Group) -> Callable[[Evaluation], float | None]:
    def recall(evaluation: Evaluation) -> float | None:
        found = evaluation.group(group).recall
        return None if found is None else found.value

    return recall


FIGURES: Mapping[str, Callable[[Evaluation], float | None]] = {
    "accuracy": lambda evaluation: evaluation.accuracy.value,
    "macro_f1": lambda evaluation: evaluation.macro_f1,
    "weighted_f1": lambda evaluation: evaluation.weighted_f1,
    "macro_recall": lambda evaluation: evaluation.macro_recall.value,
    "ece": lambda evaluation: evaluation.ece,
    **{group: _recall_of(group) for group in GROUPS},
}
"""Every figure of the overall table by its name in the CSV files; None where there is nothing to measure."""


@dataclass(frozen=True, eq=False)
class Method:
    """A recipe on a backbone. Evaluations are one a run, in the order of ``runs``; ``intervals`` are of the test
    photos, the seeds averaged.
    """

    name: str
    runs: tuple[RunResult, ...]
    test: tuple[Evaluation, ...]
    validation: tuple[Evaluation, ...]
    validation_score: float
    intervals: Mapping[str, Interval]

    @property
    def recipe(self) -> str:
        """Name of its recipe."""
        return self.runs[0].recipe

    @property
    def backbone(self) -> str:
        """Name of its backbone."""
        return self.runs[0].backbone

    def on_test(self, figure: str) -> Spread | None:
        """A figure of FIGURES over the seeds; None where there is nothing to measure."""
        return _spread(self.test, figure)

    def on_validation(self, figure: str) -> Spread | None:
        """The same on validation photos, for choices."""
        return _spread(self.validation, figure)

    @cached_property
    def species_recall(self) -> tuple[float | None, ...]:
        """Recall of each species on test photos, averaged over the seeds; None without test photos."""
        recalls = [[species.recall for species in evaluation.species] for evaluation in self.test]
        return tuple(
            None if seeds[0] is None else float(np.mean([seed.value for seed in seeds if seed is not None]))
            for seeds in zip(*recalls, strict=True)
        )

    @property
    def runs_by_machine(self) -> Mapping[str, tuple[RunResult, ...]]:
        """Its runs by the hardware they were made on: what they cost compares only within one machine."""
        machines = dict.fromkeys(run.hardware for run in self.runs)
        return {name: tuple(run for run in self.runs if run.hardware == name) for name in machines}


@dataclass(frozen=True, eq=False)
class Comparison:
    """All methods, best on validation first. ``removals`` are recipes without one of their factors: they explain a
    recipe and are no candidates, so they stand apart from ``methods``.
    """

    dataset: Dataset
    design: Design
    methods: tuple[Method, ...]
    removals: tuple[Method, ...]
    baseline: str

    @property
    def best(self) -> Method:
        """The method that validation chooses."""
        return self.methods[0]

    @property
    def num_test_images(self) -> int:
        """How many test photos every run was judged on."""
        return len(self.design.stratum_N)

    def baseline_of(self, method: Method) -> Method | None:
        """The baseline on the method's own backbone, where there is one."""
        return self.method(self.baseline, method.backbone)

    def method(self, recipe: str, backbone: str) -> Method | None:
        """A method by its names."""
        found = (m for m in self.methods + self.removals if (m.recipe, m.backbone) == (recipe, backbone))
        return next(found, None)


def make_comparison(results: Sequence[RunResult], dataset: Dataset, baseline: str) -> Comparison:
    """Group runs into methods and evaluate them.

    Raises ValueError for no results, and for one that was judged on other photos than ``dataset`` has.
    """
    if not results:
        raise ValueError("there is nothing to report: no run has finished")
    for result in results:
        _check_photos(result, dataset)
    design = make_design(np.array(results[0].test.labels), dataset.groups)
    several = len({result.backbone for result in results}) > 1
    by_names: dict[tuple[str, str], list[RunResult]] = {}
    for result in results:
        by_names.setdefault((result.recipe, result.backbone), []).append(result)
    methods = sorted(
        (_method(runs, dataset, design, several) for runs in by_names.values()),
        key=lambda method: (-method.validation_score, method.name),
    )
    recipes = {method.recipe for method in methods}
    removals = tuple(method for method in methods if _is_removal(method.recipe, recipes))
    return Comparison(
        dataset, design, tuple(m for m in methods if m not in removals), removals, baseline=baseline
    )


def _is_removal(recipe: str, recipes: set[str]) -> bool:
    full, separator, _ = recipe.partition(WITHOUT)
    return bool(separator) and full in recipes


def _check_photos(result: RunResult, dataset: Dataset) -> None:
    same = result.data_sha256 == dataset.info.content_sha256
    for split, said in (("val", result.validation), ("test", result.test)):
        same = same and said.labels == tuple(class_indices(dataset, dataset.split(split)).tolist())
    if not same:
        raise ValueError(
            f"{result.key}: was judged on other photos than {dataset.folder} has; "
            "give the --data that it was trained on, or leave its result out"
        )


def _method(runs: Sequence[RunResult], dataset: Dataset, design: Design, several: bool) -> Method:
    ordered = tuple(sorted(runs, key=lambda run: run.seed))
    return Method(
        name=f"{ordered[0].recipe}, {ordered[0].backbone}" if several else ordered[0].recipe,
        runs=ordered,
        test=tuple(_evaluation(run.test, "test", dataset, NUM_BOOTSTRAP) for run in ordered),
        validation=tuple(_evaluation(run.validation, "val", dataset, 0) for run in ordered),
        validation_score=validation_standings(ordered, dataset.groups)[0].mean,
        intervals=intervals_of(share_right(ordered), design),
    )


def share_right(runs: Sequence[RunResult]) -> NDArray[np.float64]:
    """The share of these runs that named a test photo right [N]."""
    share_N: NDArray[np.float64] = np.mean([run.test.correct for run in runs], axis=0)
    return share_N


def _evaluation(said: Predictions, split: str, dataset: Dataset, num_bootstrap: int) -> Evaluation:
    """Its intervals are one run's; those of the seeds' mean, and of differences, are the report's own."""
    return evaluate_predictions(
        np.array(said.predicted),
        np.array(said.confidence),
        np.array(said.labels),
        class_labels=dataset.labels,
        training_counts=dataset.info.training_counts,
        groups=dataset.groups,
        split=split,
        data_sha256=dataset.info.content_sha256,
        num_bootstrap=num_bootstrap,
    )


def _spread(evaluations: Sequence[Evaluation], figure: str) -> Spread | None:
    values = [FIGURES[figure](evaluation) for evaluation in evaluations]
    measured = [value for value in values if value is not None]
    return spread(measured) if measured else None
