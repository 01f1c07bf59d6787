"""What a candidate in the shadow costs the answers: ``python -m tests.bench.shadow``, on a quiet machine.

The same photos, turn about, with a shadow that is asked for every request and without one.
"""

import statistics
import tempfile
import time
from itertools import cycle
from pathlib import Path
from typing import Annotated

import httpx
import numpy as np
import typer

from tests.bench._connection import Connection
from tests.bench.serving import ROUNDS, draw_photos, latencies_ms, service_rate
from tests.serving import Server
from tests.tiny_bundle import write_tiny_bundle


def measure(
    store: Path, model: str, candidate: str, num_latency: int, num_throughput: int
) -> dict[str, float]:
    """Milliseconds and photos a second, without and with the shadow."""
    source = cycle(draw_photos(2 * ROUNDS * (num_latency + num_throughput)))
    with tempfile.TemporaryDirectory(prefix="lighttrap-bench-") as folder:
        settings = {
            "DATA_DIR": f"{folder}/var",
            "STORE": str(store.resolve()),
            "DEFAULT_MODEL": model,
            "PROVIDER": "cpu",
            "PREDICT_RATE": "1000000/minute",
            "FOLLOW_S": "0.2",
        }
        server = Server(settings, Path(folder) / "log").start()
        try:
            key = server.run("key", "create", "bench", "--scope", "admin").stdout.strip()
            client = httpx.Client(
                base_url=f"{server.url}/models/{model}",
                headers={"Authorization": f"Bearer {key}"},
                timeout=60,
            )
            connection = Connection(server.url)
            latencies_ms(connection.predict, [next(source) for _ in range(20)])
            found: dict[str, list[float]] = {}
            for _ in range(ROUNDS):
                for kind in ("without", "with"):
                    if kind == "with":
                        wanted = {"version": candidate, "share": 1.0, "reason": "Measured."}
                        client.post("/shadow", json=wanted).raise_for_status()
                        time.sleep(3)
                    photos = [next(source) for _ in range(num_latency + num_throughput)]
                    found.setdefault(f"ms {kind}", []).extend(
                        latencies_ms(connection.predict, photos[:num_latency])
                    )
                    found.setdefault(f"rate {kind}", []).append(
                        service_rate(server.url, photos[num_latency:], 8)
                    )
                    if kind == "with":
                        time.sleep(1)
                        (replica,) = client.get("/replicas").json()["replicas"]
                        for name in ("compared", "dropped", "failed"):
                            found.setdefault(name, []).append(replica["shadow"][f"num_{name}"])
                        client.post("/shadow/stop", json={"reason": "Measured."}).raise_for_status()
                        time.sleep(1)
        finally:
            server.kill()
    return {
        **{
            f"p50 {name}": statistics.median(values)
            for name, values in found.items()
            if name.startswith("ms")
        },
        **{
            f"p99 {name}": float(np.quantile(values, 0.99))
            for name, values in found.items()
            if name.startswith("ms")
        },
        **{name: statistics.median(values) for name, values in found.items() if not name.startswith("ms")},
    }


def main(
    store: Annotated[
        Path | None, typer.Option(help="Folder of bundles; the tests' tiny ones where silent.")
    ] = None,
    model: Annotated[str, typer.Option(help="Its model.")] = "tiny-moths",
    candidate: Annotated[str, typer.Option(help="The version in the shadow.")] = "1.1.0",
    quick: Annotated[bool, typer.Option(help="A tenth of it: shows that it runs, not how fast.")] = False,
) -> None:
    """Measure, and print one line a figure."""
    with tempfile.TemporaryDirectory(prefix="lighttrap-store-") as folder:
        if store is None:
            store = Path(folder)
            write_tiny_bundle(store, "tiny-moths", "1.0.0")
            write_tiny_bundle(store, "tiny-moths", "1.1.0", seed=9)
        plan = (20, 40) if quick else (150, 400)
        for name, value in measure(store, model, candidate, *plan).items():
            typer.echo(f"{name:24}{value:10.2f}")


if __name__ == "__main__":
    typer.run(main)
