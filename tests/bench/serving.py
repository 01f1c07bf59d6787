"""How fast the service is, against the same decoding and model without a service around them.

``python -m tests.bench.serving [--store models/store] [--json figures.json]``, on a machine that does nothing
else. Every photo is another one, since a photo that was kept before is not written again.
"""

import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import cycle
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from app.inference.session import OnnxSession
from models import bundle
from models.preprocess import Preprocessing, preprocess
from tests import drawn_photos
from tests.bench._connection import Connection
from tests.serving import Server
from tests.tiny_bundle import write_tiny_bundle

PHOTO_SIZE = (700, 580)
ROUNDS = 3


@dataclass(frozen=True)
class Figure:
    """One measured figure, what it is held to, and whether it holds."""

    name: str
    value: float
    unit: str
    goal: str
    holds: bool


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    num_latency: int = 150
    num_throughput: int = 400
    num_clients: int = 8


def draw_photos(count: int) -> list[bytes]:
    """Distinct photos of about 75 kB and 0.4 megapixels, as in the table of floors."""
    rng = np.random.default_rng(0)
    sheets = [drawn_photos.draw_moth(kind, size=PHOTO_SIZE) for kind in range(7)]
    photos = []
    for number in range(count):
        image = sheets[number % len(sheets)].copy()
        colour = tuple(int(value) for value in rng.integers(0, 255, 3))
        x, y = (int(rng.integers(200, side - 240)) for side in PHOTO_SIZE)
        image.paste(colour, (x, y, x + 40, y + 40))
        photos.append(drawn_photos.encode(image))
    return photos


class RawLoop:
    """Decoding and the model in one process, and nothing else: the floor."""

    def __init__(self, folder: Path) -> None:
        found = bundle.read(folder)
        self._wanted: Preprocessing = found.card.preprocessing
        self._session = OnnxSession(found.onnx, size_px=self._wanted.size_px, provider="cpu")

    def predict(self, photo: bytes) -> None:
        pixels, _ = preprocess(photo, self._wanted)
        self._session.run(pixels[None])


_raw: RawLoop | None = None


def _start_raw(folder: Path) -> None:
    global _raw
    _raw = RawLoop(folder)


def _run_raw(photos: Sequence[bytes]) -> int:
    assert _raw is not None
    for photo in photos:
        _raw.predict(photo)
    return len(photos)


def latencies_ms(predict: Callable[[bytes], None], photos: Sequence[bytes]) -> list[float]:
    """Milliseconds of each call, one after the other."""
    found = []
    for photo in photos:
        started = time.perf_counter()
        predict(photo)
        found.append((time.perf_counter() - started) * 1000)
    return found


def service_rate(url: str, photos: Sequence[bytes], num_clients: int) -> float:
    """Photos a second over ``num_clients`` connections."""
    connections = [Connection(url) for _ in range(num_clients)]

    def run(number: int) -> None:
        for photo in photos[number::num_clients]:
            connections[number].predict(photo)

    started = time.perf_counter()
    with ThreadPoolExecutor(num_clients) as pool:
        list(pool.map(run, range(num_clients)))
    seconds = time.perf_counter() - started
    for connection in connections:
        connection.close()
    return len(photos) / seconds


def raw_rate(folder: Path, photos: Sequence[bytes], num_cores: int) -> float:
    """Photos a second of one raw loop for each core."""
    parts = [photos[number::num_cores] for number in range(num_cores)]
    with ProcessPoolExecutor(num_cores, initializer=_start_raw, initargs=(folder,)) as pool:
        list(pool.map(_run_raw, [part[:2] for part in parts]))
        started = time.perf_counter()
        done = sum(pool.map(_run_raw, parts))
        return done / (time.perf_counter() - started)


def resident_mb(server: Server) -> float:
    """Memory of the server and its decoding processes; shared pages once."""
    processes = [server.process.pid]
    for task in Path(f"/proc/{server.process.pid}/task").iterdir():
        processes += [int(process_id) for process_id in (task / "children").read_text().split()]
    lines = [
        line
        for process_id in processes
        for line in Path(f"/proc/{process_id}/smaps_rollup").read_text().splitlines()
        if line.startswith("Pss:")
    ]
    return sum(int(line.split()[1]) for line in lines) / 1024


def start_seconds(server: Server) -> float:
    """Seconds from the command to the first answer."""
    started = time.perf_counter()
    server.start()
    Connection(server.url).close()
    return time.perf_counter() - started


def measure(store: Path, plan: Plan) -> list[Figure]:
    """All figures, on the first version of the first model in the store."""
    num_cores = len(os.sched_getaffinity(0))
    photos = draw_photos(ROUNDS * (2 * plan.num_latency + 2 * plan.num_throughput))
    source = cycle(photos)

    def take(count: int) -> list[bytes]:
        return [next(source) for _ in range(count)]

    folder = sorted(path for path in store.glob("*/*") if path.is_dir())[0]
    with tempfile.TemporaryDirectory(prefix="lighttrap-bench-") as data_dir:
        server = Server(
            server_settings(store, Path(data_dir), folder.parent.name, num_cores), Path(data_dir) / "log"
        )
        try:
            server.start()
            server.kill()
            figures = [_start(start_seconds(server))]
            raw = RawLoop(folder)
            connection = Connection(server.url)
            latencies_ms(connection.predict, take(20))
            latencies_ms(raw.predict, take(20))
            service_ms: list[float] = []
            raw_ms: list[float] = []
            rates: list[tuple[float, float]] = []
            for _ in range(ROUNDS):  # turn about, so that what else the machine does meets both
                service_ms += latencies_ms(connection.predict, take(plan.num_latency))
                raw_ms += latencies_ms(raw.predict, take(plan.num_latency))
                rates.append(
                    (
                        service_rate(server.url, take(plan.num_throughput), plan.num_clients),
                        raw_rate(folder, take(plan.num_throughput), num_cores),
                    )
                )
            connection.close()
            figures += [_memory(resident_mb(server)), *_latency(service_ms, raw_ms), *_rate(rates, plan)]
        finally:
            server.kill()
    return figures


def server_settings(
    store: Path, data_dir: Path, model: str, num_cores: int, *, provider: str = "cpu"
) -> dict[str, str]:
    """A server of one model that nobody is kept from asking."""
    return {
        "DATA_DIR": str(data_dir / "var"),
        "STORE": str(store.resolve()),
        "DEFAULT_MODEL": model,
        "PROVIDER": provider,
        "DECODE_WORKERS": str(num_cores),
        "PREDICT_RATE": "1000000/minute",
    }


def _start(seconds: float) -> Figure:
    return Figure("ready after a start, warm file cache", seconds, "s", "<= 3", seconds <= 3)


def _memory(megabytes: float) -> Figure:
    return Figure("resident, server and decoders", megabytes, "MB", "<= 400", megabytes <= 400)


def _latency(service_ms: Sequence[float], raw_ms: Sequence[float]) -> list[Figure]:
    service, raw = statistics.median(service_ms), statistics.median(raw_ms)
    over = service - raw
    return [
        Figure("decode + model, p50", raw, "ms", "", True),
        Figure("/predict at 1 client, p50", service, "ms", "", True),
        Figure("overhead, p50", over, "ms", "<= 1", over <= 1),
        Figure("/predict at 1 client, p99", float(np.quantile(service_ms, 0.99)), "ms", "", True),
    ]


def _rate(rates: Sequence[tuple[float, float]], plan: Plan) -> list[Figure]:
    service, raw = (statistics.median(column) for column in zip(*rates, strict=True))
    ratio = statistics.median(one / other for one, other in rates)
    return [
        Figure("decode + model on every core", raw, "photos/s", "", True),
        Figure(f"/predict at {plan.num_clients} clients", service, "photos/s", "", True),
        Figure("throughput ratio", ratio, "", ">= 0.8", ratio >= 0.8),
    ]


def table(figures: Sequence[Figure]) -> str:
    """The figures for people."""
    rows = [f"{'figure':44}{'value':>10}  {'unit':10}{'goal':8}"]
    for figure in figures:
        verdict = "" if not figure.goal else "holds" if figure.holds else "MISSED"
        rows.append(f"{figure.name:44}{figure.value:10.2f}  {figure.unit:10}{figure.goal:8}{verdict}")
    return "\n".join(rows)


def main(
    store: Annotated[Path, typer.Option(help="Folder of bundles.")] = Path("models/store"),
    out: Annotated[Path | None, typer.Option("--json", help="Where the figures are written too.")] = None,
    quick: Annotated[bool, typer.Option(help="A tenth of it: shows that it runs, not how fast.")] = False,
) -> None:
    """Measure the service against a raw loop, and print the figures with what they are held to."""
    plan = Plan(15, 40) if quick else Plan()
    with tempfile.TemporaryDirectory(prefix="lighttrap-store-") as folder:
        if not any(store.glob("*/*/model.onnx")):
            typer.echo(f"No bundle in {store}: measuring the tests' tiny one, which says little.", err=True)
            store = Path(folder)
            write_tiny_bundle(store, "tiny-moths")
            write_tiny_bundle(store, "other-moths", seed=1)
        figures = measure(store, plan)
    typer.echo(table(figures))
    document = {
        "machine": {"cores": len(os.sched_getaffinity(0)), "processor": platform.machine()},
        "figures": [asdict(figure) for figure in figures],
    }
    text = json.dumps(document, indent=1)
    if out is not None:
        out.write_text(text + "\n", encoding="utf-8")
    else:
        typer.echo(text)


if __name__ == "__main__":
    typer.run(main)
