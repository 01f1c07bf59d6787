"""What an explanation and a checklist add to an answer.

``python -m tests.bench.explaining [--store models/store]``, on a machine that does nothing else. The explanation looks
the photo up among 10,000 drawn codes, and plain and explained requests take turns. List: pure numpy, synthetic.
"""

import statistics
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from models import bundle
from models.checklist import Expected
from models.neighbours import encode_photos
from models.target_prior import exchange_prior, match_species, target_shares
from models.taxonomy import Taxon
from tests.bench._connection import Connection
from tests.bench.serving import draw_photos, latencies_ms
from tests.serving import Server

NUM_NEIGHBOURS, NUM_PHOTOS, ROUNDS, MOST = 10_000, 40, 5, 1.5
LIST_LIMITS_MS = {200: 1.0, 20_000: 5.0}


def with_neighbours(source: Path, store: Path) -> str:
    """A copy of a bundle that carries drawn codes; the name of its model."""
    found = bundle.read(source)
    rng = np.random.default_rng(0)
    drawn = rng.normal(size=(NUM_NEIGHBOURS, found.card.embedding_dim)).astype(np.float32)
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    labels = rng.integers(0, found.card.num_classes, NUM_NEIGHBOURS)
    bundle.write(
        store / found.card.name / found.card.version,
        onnx=found.onnx,
        card=found.card,
        evaluation=found.evaluation,
        readme=found.readme,
        predictions=found.predictions,
        golden=found.golden,
        unknown=found.unknown,
        neighbours=encode_photos(drawn, labels, [f"{number}.jpg" for number in range(NUM_NEIGHBOURS)]),
    )
    return found.card.name


def explained_ratio(store: Path, model: str, folder: Path) -> tuple[float, float]:
    """Median milliseconds of a plain and of an explained answer, one client."""
    settings = {
        "DATA_DIR": str(folder / "var"),
        "STORE": str(store),
        "DEFAULT_MODEL": model,
        "PROVIDER": "cpu",
        "PREDICT_RATE": "1000000/minute",
    }
    server = Server(settings, folder / "log")
    photos = iter(draw_photos(2 * ROUNDS * NUM_PHOTOS + 40))
    try:
        connection = Connection(server.start().url)
        took: dict[str, list[float]] = {"": [], "?explain=true": []}
        for query in took:
            latencies_ms(partial(connection.predict, query=query), [next(photos) for _ in range(20)])
        for _ in range(ROUNDS):
            for query, found in took.items():
                taken = [next(photos) for _ in range(NUM_PHOTOS)]
                found += latencies_ms(partial(connection.predict, query=query), taken)
        connection.close()
    finally:
        server.kill()
    plain, explained = (statistics.median(found) for found in took.values())
    return plain, explained


def list_ms(num_species: int) -> float:
    """Median milliseconds to answer under a list of half of so many species."""
    taxa = [Taxon(label=f"species {number}") for number in range(num_species)]
    listed = [Expected(taxon.label, (20, 21, 22)) for taxon in taxa[::2]]
    matched = match_species(listed, taxa)
    answer = np.random.default_rng(0).dirichlet(np.ones(num_species))
    prior = np.zeros(num_species)
    found = []
    for _ in range(200):
        began = time.perf_counter()
        target = target_shares(matched, 21)
        assert target is not None
        exchange_prior(answer, prior, target)
        found.append((time.perf_counter() - began) * 1000)
    return statistics.median(found)


def main(store: Annotated[Path, typer.Option(help="Folder of bundles.")] = Path("models/store")) -> None:
    """Print what an explanation and a list cost, with what they are held to."""
    source = sorted(path.parent for path in store.glob("*/*/model.onnx"))[0]
    with tempfile.TemporaryDirectory(prefix="lighttrap-bench-") as folder:
        copied = Path(folder) / "store"
        copied.mkdir()
        plain, explained = explained_ratio(copied, with_neighbours(source, copied), Path(folder))
    ratio = explained / plain
    typer.echo(f"plain answer, p50       {plain:7.1f} ms")
    typer.echo(f"explained answer, p50   {explained:7.1f} ms  ratio {ratio:.2f}  {_verdict(ratio, MOST)}")
    for num_species, most in LIST_LIMITS_MS.items():
        cost = list_ms(num_species)
        typer.echo(f"list, {num_species:>6,} species   {cost:7.3f} ms  {_verdict(cost, most)}")


def _verdict(value: float, most: float) -> str:
    return f"at most {most:g}  {'holds' if value <= most else 'MISSED'}"


if __name__ == "__main__":
    typer.run(main)
