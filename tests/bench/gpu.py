"""How much of a GPU the service uses: its runner against a raw loop, and ``/predict`` against decoding alone.

``python -m tests.bench.gpu [--store models/store]``, on a machine with a GPU that does nothing else.
"""

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from app.inference.batcher import Together
from app.inference.session import OnnxSession
from models import bundle
from models.golden import TOLERANCE, distances
from models.preprocess import Preprocessing, preprocess
from tests.bench.serving import ROUNDS, Figure, draw_photos, server_settings, service_rate, table
from tests.serving import Server

BATCH, NUM_IMAGES, NUM_PHOTOS, NUM_CLIENTS = 64, 4096, 1600, 64


def raw_loop(session: OnnxSession, images: NDArray[np.uint8]) -> float:
    """Images a second of full batches, one after the other."""
    started = time.perf_counter()
    for _ in range(NUM_IMAGES // BATCH):
        session.run(images)
    return NUM_IMAGES / (time.perf_counter() - started)


async def runner_rate(session: OnnxSession, images: NDArray[np.uint8]) -> float:
    """Images a second where twice a batch of requests, of one image each, always wait."""
    with ThreadPoolExecutor(1) as executor:
        runner = Together(session, executor, BATCH)
        started = time.perf_counter()

        async def client(number: int) -> None:
            for _ in range(NUM_IMAGES // (2 * BATCH)):
                await runner.run(images[number % BATCH : number % BATCH + 1])

        await asyncio.gather(*(client(number) for number in range(2 * BATCH)))
        return NUM_IMAGES / (time.perf_counter() - started)


def _decode(photos: Sequence[bytes], wanted: Preprocessing) -> int:
    for photo in photos:
        preprocess(photo, wanted)
    return len(photos)


def decode_rate(photos: Sequence[bytes], wanted: Preprocessing, num_cores: int) -> float:
    """Photos a second of decoding alone, on every core."""
    parts = [photos[number::num_cores] for number in range(num_cores)]
    with ProcessPoolExecutor(num_cores) as pool:
        list(pool.map(_decode, [part[:1] for part in parts], [wanted] * num_cores))
        started = time.perf_counter()
        done = sum(pool.map(_decode, parts, [wanted] * num_cores))
        return done / (time.perf_counter() - started)


def service_figures(store: Path, model: str, wanted: Preprocessing) -> list[Figure]:
    """``/predict`` over HTTP, on CUDA, turn about with decoding alone."""
    num_cores = len(os.sched_getaffinity(0))
    photos = draw_photos((ROUNDS + 1) * NUM_PHOTOS)
    with tempfile.TemporaryDirectory(prefix="lighttrap-bench-") as folder:
        settings = server_settings(store, Path(folder), model, num_cores, provider="cuda")
        server = Server(settings, Path(folder) / "log")
        try:
            server.start()
            service_rate(server.url, photos[:NUM_PHOTOS], NUM_CLIENTS)
            rates = []
            for number in range(1, ROUNDS + 1):
                part = photos[number * NUM_PHOTOS : (number + 1) * NUM_PHOTOS]
                rates.append(
                    (service_rate(server.url, part, NUM_CLIENTS), decode_rate(part, wanted, num_cores))
                )
        finally:
            server.kill()
    service, decoding = (statistics.median(column) for column in zip(*rates, strict=True))
    ratio = statistics.median(one / other for one, other in rates)
    return [
        Figure(f"decoding alone on {num_cores} cores", decoding, "photos/s", "", True),
        Figure(f"/predict on CUDA at {NUM_CLIENTS} clients", service, "photos/s", "", True),
        Figure("ratio", ratio, "", ">= 0.8", ratio >= 0.8),
    ]


def session_figures(folder: Path) -> tuple[list[Figure], Preprocessing]:
    """The runner against a raw loop, and how far answers are from those of the bundle's golden images."""
    found = bundle.read(folder)
    wanted = found.card.preprocessing
    session = OnnxSession(found.onnx, size_px=wanted.size_px, provider="cuda")
    images = np.random.default_rng(0).integers(0, 255, (BATCH, wanted.size_px, wanted.size_px, 3), np.uint8)
    raw_loop(session, images)
    pairs = [(asyncio.run(runner_rate(session, images)), raw_loop(session, images)) for _ in range(ROUNDS)]
    runner, raw = (statistics.median(column) for column in zip(*pairs, strict=True))
    figures = [
        Figure(f"raw loop, batches of {BATCH}", raw, "images/s", "", True),
        Figure("the service's runner, single images", runner, "images/s", "", True),
        Figure("ratio", runner / raw, "", ">= 0.85", runner / raw >= 0.85),
    ]
    if found.golden is not None:
        apart = max(distances(found.golden, session.run(found.golden.images).logits))
        figures.append(
            Figure(
                "golden images, share of the logits' spread",
                apart,
                "",
                f"<= {TOLERANCE}",
                apart <= TOLERANCE,
            )
        )
    return figures, wanted


def main(
    store: Annotated[Path, typer.Option(help="Folder of bundles.")] = Path("models/store"),
) -> None:
    """Measure the first version of the first model in the store, and print the figures."""
    folder = sorted(path for path in store.glob("*/*") if path.is_dir())[0]
    figures, wanted = session_figures(folder)
    typer.echo(table(figures))
    typer.echo(table(service_figures(store, folder.parent.name, wanted)))


if __name__ == "__main__":
    typer.run(main)
