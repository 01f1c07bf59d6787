"""What Prometheus reads: requests, latency, decoding, the queue, the provider, the deployed versions."""

import time
from collections.abc import Iterator

from fastapi import FastAPI
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.inference.decode import DecodePool
from app.inference.engine import Engine
from app.web.admission import Admission

LATENCY_BUCKETS_S = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


class Metrics:
    """The figures of one application. ``registry`` is what ``/metrics`` writes out."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        names = ("method", "route")
        self.requests = Counter(
            "lighttrap_requests", "Requests answered.", (*names, "status"), registry=self.registry
        )
        self.latency = Histogram(
            "lighttrap_request_seconds",
            "From a request's first byte to the end of its answer.",
            names,
            buckets=LATENCY_BUCKETS_S,
            registry=self.registry,
        )


class RequestMetrics:
    """Counts requests by route template, never by address: a scanner must not fill the memory."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 500

        async def remember(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, remember)
        finally:
            route = getattr(scope.get("route"), "path", "unmatched")
            method = scope["method"] if route != "unmatched" else "any"
            self._metrics.requests.labels(method, route, str(status)).inc()
            self._metrics.latency.labels(method, route).observe(time.perf_counter() - started)


class InferenceCollector(Collector):
    """Reads decoder, engine and queue at the moment of the scrape."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    def collect(self) -> Iterator[Metric]:
        state = self._app.state
        if not hasattr(state, "answering"):  # described before the start
            return
        yield from _decoding(state.decoder)
        yield from _queue(state.answering.admission)
        yield from _models(state.engine)


def _decoding(decoder: DecodePool) -> Iterator[Metric]:
    counts = decoder.counts
    photos = CounterMetricFamily("lighttrap_photos", "Photos by how decoding went.", labels=["outcome"])
    photos.add_metric(["decoded"], counts.decoded)
    photos.add_metric(["refused"], counts.refused)
    yield photos
    ends = CounterMetricFamily("lighttrap_decoder_ends", "Decoding processes that ended.", labels=["cause"])
    ends.add_metric(["deadline"], counts.over_deadline)
    ends.add_metric(["died"], counts.died)
    yield ends
    yield GaugeMetricFamily("lighttrap_decoders", "Decoding processes.", len(decoder.process_ids))
    yield GaugeMetricFamily("lighttrap_photos_waiting", "Photos that wait for one.", decoder.num_waiting)


def _queue(admission: Admission) -> Iterator[Metric]:
    yield GaugeMetricFamily("lighttrap_queue", "Requests in work or waiting.", admission.num_requests)
    yield GaugeMetricFamily("lighttrap_queue_bytes", "Bytes of their photos.", admission.num_bytes)
    yield CounterMetricFamily("lighttrap_queue_refused", "Refused: too busy.", admission.num_refused)


def _models(engine: Engine) -> Iterator[Metric]:
    yield InfoMetricFamily("lighttrap_provider", "Active execution provider.", {"provider": engine.provider})
    deployed = GaugeMetricFamily(
        "lighttrap_deployed_epoch", "Epoch of each deployed version.", labels=["model", "version", "sha256"]
    )
    for model in engine.deployed():
        deployed.add_metric([model.card.name, model.card.version, model.sha256], model.epoch)
    yield deployed
