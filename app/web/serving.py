"""Wires the answering path: its routes, its figures, and what lives as long as the service does."""

import sys

from fastapi import FastAPI
from limits.aio.storage import MemoryStorage, Storage

from app.db.keeper import IdentificationKeeper
from app.db.session import Sessions
from app.inference.decode import DecodePool
from app.inference.engine import Engine
from app.services.active_checklists import ActiveChecklists
from app.services.beside import Beside, BesideDecoder
from app.services.identify import IdentifyService
from app.services.photo_files import PhotoFiles
from app.services.shadowing import Shadowing
from app.settings import Settings
from app.web import health, photos, predict
from app.web.admission import Admission
from app.web.answering import Answering
from app.web.metrics import InferenceCollector, Metrics, RequestMetrics
from app.web.rate_limit import CallerRate

PHOTO_MEMORY_BYTES = 512_000_000
"""Photos that may be in memory at a time, over all requests; at least one whole body."""

SWITCH_S = 0.001
"""How long a thread keeps the interpreter while others wait. With the default of 5 ms a core is idle for so
long whenever a model's run ends while a request is parsed: 8% fewer photos a second on two cores."""


def add_routes(app: FastAPI) -> None:
    """``/predict``, the photos, the probes. Before the start."""
    app.state.metrics = Metrics()
    app.state.metrics.registry.register(InferenceCollector(app))
    for module in (predict, photos, health):
        app.include_router(module.router)
    app.add_middleware(RequestMetrics, metrics=app.state.metrics)


def start(
    app: FastAPI,
    settings: Settings,
    *,
    sessions: Sessions,
    engine: Engine,
    decoder: DecodePool,
    shared: Storage,
    beside: BesideDecoder,
) -> None:
    """What the routes need of the running service. ``shared`` counts for all replicas together."""
    sys.setswitchinterval(SWITCH_S)
    photo_files = PhotoFiles(settings.photos_dir)
    lists = ActiveChecklists(sessions)
    service = IdentifyService(engine, decoder, photo_files, lists)
    admission = Admission(
        max_requests=settings.max_queue + settings.decode_workers + engine.num_concurrent,
        max_bytes=max(PHOTO_MEMORY_BYTES, settings.max_body_bytes),
    )
    app.state.photo_files = photo_files
    app.state.identify = service
    app.state.active_checklists = lists
    keeper = IdentificationKeeper(settings.database)
    shadowing = Shadowing(
        Beside(beside, settings.provider, lists),
        sessions,
        settings.store,
        is_busy=lambda: admission.num_requests >= engine.num_concurrent,
    )
    app.state.answering = Answering(
        service, sessions, keeper, admission, batch_width=2 * settings.decode_workers, shadowing=shadowing
    )
    # Replicas share a PostgreSQL, and count together there. On SQLite each process counts its own: a write
    # for each photo would cost the disk as much as the identification itself.
    storage = MemoryStorage() if settings.database.startswith("sqlite") else shared
    app.state.predict_rate = CallerRate(storage, "predict", settings.predict_rate)


async def stop(app: FastAPI) -> None:
    """Let go of the database, once what is being saved is saved."""
    answering: Answering = app.state.answering
    await answering.shadowing.stop()
    await answering.keeper.close()
