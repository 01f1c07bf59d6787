"""What it costs in a request to ask whether something is known, beside a plain softmax, with drawn heads.

``python -m tests.bench.unknown``, on a machine that does nothing else.
"""

import statistics
import time
from collections.abc import Callable

import numpy as np
import typer

from models.decision import probabilities
from models.groups import GROUPS, choose_rule
from models.photo_faults import photo_faults
from models.unknown import GroupThreshold, ScorePart, Space, UnknownJudge, UnknownRule

DIM, AXES, ROUNDS = 1280, 128, 200
MOST_MS = {200: 1.0, 20_000: 5.0}


def drawn_judge(num_species: int, rng: np.random.Generator) -> UnknownJudge:
    """A judge of both scores over a drawn species list, with the embedding of MobileNetV2."""
    counts = rng.integers(1, 300, num_species).tolist()
    axes = np.linalg.qr(rng.normal(size=(DIM, AXES)))[0]
    space = Space(
        rng.normal(size=DIM).astype(np.float32),
        np.ascontiguousarray(axes, dtype=np.float32),
        np.eye(AXES, dtype=np.float32),
        rng.normal(size=(num_species, AXES)).astype(np.float32),
        np.ones(AXES, dtype=np.float32),
        np.array(1, dtype=np.float32),
    )
    rule = UnknownRule(
        name="combined",
        parts=(ScorePart(score="max_logit"), ScorePart(score="mahalanobis")),
        false_rejection=0.05,
        thresholds=tuple(GroupThreshold(group=group, threshold=0, num_images=100) for group in GROUPS),
        moth_up_to=1,
        foreign_from=2,
        fitted_on="nothing: drawn numbers",
        num_images=300,
    )
    return UnknownJudge(rule, space, choose_rule(counts).assign(counts))


def median_ms(work: Callable[[], object]) -> float:
    """Milliseconds of one call, median."""
    seconds = []
    for _ in range(ROUNDS + 20):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return 1000 * statistics.median(seconds[20:])


def main() -> None:
    """Print the cost for each length of species list; exit with 1 where one is missed."""
    rng, missed = np.random.default_rng(0), False
    for num_species, most in MOST_MS.items():
        judge = drawn_judge(num_species, rng)
        logits = rng.normal(size=(1, num_species)).astype(np.float32)
        embedding = rng.normal(size=(1, DIM)).astype(np.float32)
        plain = median_ms(lambda logits=logits: probabilities(logits))  # type: ignore[misc]
        asked = median_ms(
            lambda judge=judge, logits=logits, embedding=embedding: (  # type: ignore[misc]
                probabilities(logits),
                judge.judge(logits, embedding, 0),
            )
        )
        holds = asked - plain <= most
        missed |= not holds
        typer.echo(
            f"{num_species:6d} species: softmax {plain:.3f} ms, with unknown {asked:.3f} ms, "
            f"at most {most} more  {'holds' if holds else 'MISSED'}"
        )
    photo = rng.integers(0, 255, (320, 320, 3), dtype=np.uint8)
    cost = median_ms(lambda: photo_faults(photo, width_px=640, height_px=480))
    typer.echo(f"faults of one photo that is not named, 320 px: {cost:.3f} ms")
    raise typer.Exit(int(missed))


if __name__ == "__main__":
    typer.run(main)
