"""What calibration, prediction set and roll-up cost a request beside a plain softmax: synthetic heads, no network.

``python -m tests.bench.trust``, on a machine that does nothing else.
"""

import statistics
import time
from collections.abc import Callable

import numpy as np
import typer
from numpy.typing import NDArray

from models import decision
from models.card import Calibration
from models.conformal import SetRule
from models.decision import RollUp
from models.groups import choose_rule
from models.scaling import CountScaling
from models.taxonomy import Taxon
from training.conformal import fit_tables

NUM_PHOTOS, ROUNDS = 200, 5
HELD_TO_MS = {200: 1.0, 20_000: 5.0}
SPECIES_A_GENUS, GENERA_A_FAMILY = 4, 40


def synthetic_taxa(num_classes: int) -> list[Taxon]:
    """Species of invented genera and families, about as many of each as moths have."""
    return [
        Taxon(
            label=f"s{index}",
            scientific_name=f"Genus{index // SPECIES_A_GENUS} s{index}",
            genus=f"Genus{index // SPECIES_A_GENUS}",
            family=f"Family{index // (SPECIES_A_GENUS * GENERA_A_FAMILY)}",
        )
        for index in range(num_classes)
    ]


def synthetic_logits(
    num_photos: int, num_classes: int, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Logits of a head that is right about four times in five, and the labels."""
    rng = np.random.default_rng(seed)
    labels_N = rng.integers(0, num_classes, num_photos)
    logits_NC = rng.normal(0, 1, (num_photos, num_classes)).astype(np.float32)
    logits_NC[np.arange(num_photos), labels_N] += np.sqrt(2 * np.log(num_classes)) + rng.normal(
        1, 1, num_photos
    )
    return logits_NC * 3, labels_N


def milliseconds(what: Callable[[NDArray[np.float32]], object], logits_NC: NDArray[np.float32]) -> float:
    """Time for one photo: median over photos, and the least of the rounds."""
    rounds = []
    for _ in range(ROUNDS):
        each = []
        for logits_C in logits_NC:
            began = time.perf_counter()
            what(logits_C[None])
            each.append(time.perf_counter() - began)
        rounds.append(statistics.median(each))
    return 1000 * min(rounds)


def cost(num_classes: int) -> dict[str, float]:
    """Milliseconds of each part for one photo, and of building the rules once."""
    counts = np.maximum(1, 1000 * np.arange(1, num_classes + 1) ** -0.8).astype(np.int64)
    scaling = CountScaling(intercept=0.1, slope=0.05, nll_gain=0.1, nll_gain_error=0.01)
    calibration = Calibration(scaling=scaling, fitted_on="synthetic photos", num_images=500)
    logits_NC, labels_N = synthetic_logits(500, num_classes, seed=1)
    chances_NC = decision.calibrated(logits_NC, calibration, counts)
    groups = choose_rule(counts.tolist()).assign(counts.tolist())
    (table, *_) = fit_tables(
        chances_NC, labels_N, counts.tolist(), groups=groups, logit_prior="training", fitted_on="synthetic"
    )
    taxa = synthetic_taxa(num_classes)
    began = time.perf_counter()
    rollup, rule = RollUp(taxa), SetRule(table, counts.tolist(), groups)
    built = 1000 * (time.perf_counter() - began)

    def whole(logits_1C: NDArray[np.float32]) -> None:
        chances_C = decision.calibrated(logits_1C, calibration, counts)[0]
        decision.top_k(chances_C, 5)
        decision.prediction_set(chances_C, 0.9, rule)
        rollup.decide(chances_C, 0.9)

    def plain(logits_1C: NDArray[np.float32]) -> None:
        decision.top_k(decision.probabilities(logits_1C)[0], 5)

    asked_NC = logits_NC[:NUM_PHOTOS]
    return {
        "softmax and the best five": milliseconds(plain, asked_NC),
        "with calibration, set and roll-up": milliseconds(whole, asked_NC),
        "building the rules, once": built,
    }


def main() -> None:
    """Print the cost for each length of the species list."""
    for num_classes, most in HELD_TO_MS.items():
        found = cost(num_classes)
        plain, whole, _ = found.values()
        typer.echo(f"{num_classes} species")
        for name, value in found.items():
            typer.echo(f"  {name:34s} {value:8.3f} ms")
        verdict = "holds" if whole - plain <= most else "MISSED"
        typer.echo(
            f"  {'more than a plain softmax':34s} {whole - plain:8.3f} ms  at most {most:g}  {verdict}"
        )


if __name__ == "__main__":
    typer.run(main)
