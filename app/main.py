"""Wires the service: what lives as long as it does, in which order it starts and stops, and its routes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

import structlog
from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse

from app.db.migrate import check_revision
from app.db.rates import DatabaseStorage
from app.db.session import Sessions, create_engine, create_sessions
from app.inference.decode import DecodePool
from app.inference.engine import Engine
from app.services.accounts import Passwords
from app.services.adding.add import Adder
from app.services.adding.species import SpeciesAdder
from app.services.beside import BesideDecoder
from app.services.following import follow
from app.services.promotion import Deployer
from app.services.rates import ACCOUNT_TIMES, CONFIRMATIONS, RateLimit
from app.services.replicas import ReplicaState, Reporter
from app.services.scan import Fault
from app.services.shadowing import Shadowing
from app.services.trialling import Trialling
from app.settings import Settings
from app.web import (
    account_pages,
    accounts,
    adding,
    adding_pages,
    adding_species,
    adding_species_pages,
    admin_pages,
    assets,
    catalogue_pages,
    checklists,
    checklists_pages,
    comparison,
    comparison_pages,
    docs_page,
    invitations,
    pages,
    problems,
    promotion,
    registry,
    serving,
    shadow,
    shadow_pages,
    trial_pages,
    trials,
    users_pages,
)
from app.web.dependencies import get_caller
from app.web.middleware import SMALL_BODY_BYTES, BodyLimit, HeadAsGet, RequestContext
from app.web.strict import refuse_unknown_fields
from models.preprocess import PhotoLimits

log: structlog.stdlib.BoundLogger = structlog.get_logger("lighttrap")
VERSION = "0.1.0"


def create_app(settings: Settings, store_faults: Sequence[Fault] = ()) -> FastAPI:
    """The service. Its database must be migrated and its store registered (``app.cli`` does both)."""
    app = FastAPI(
        title="Lighttrap",
        version=VERSION,
        description="Names moths from photographs, and says how far its answer can be trusted.",
        lifespan=_lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        responses=problems.REFUSED,
        dependencies=[Depends(refuse_unknown_fields), Depends(get_caller)],
    )
    app.state.settings = settings
    app.state.store_faults = tuple(store_faults)
    app.state.draining = False
    problems.install(app)
    for module in (
        account_pages,
        accounts,
        adding,
        adding_pages,
        adding_species,
        adding_species_pages,
        admin_pages,
        assets,
        catalogue_pages,
        comparison,
        comparison_pages,
        docs_page,
        invitations,
        checklists_pages,
        pages,
        problems,
        promotion,
        registry,
        shadow,
        shadow_pages,
        trial_pages,
        trials,
        checklists,
        users_pages,
    ):
        app.include_router(module.router)
    app.add_api_route("/openapi.json", _openapi, include_in_schema=False)
    bundle_body_bytes = settings.max_bundle_bytes + SMALL_BODY_BYTES  # its form has other fields
    app.add_middleware(
        BodyLimit,
        limits={
            "/predict": settings.max_body_bytes,
            r"/models/[^/]+/species/?$": settings.max_body_bytes,
            r"/admin/models/add-species/?$": settings.max_body_bytes,
            r"/models/[^/]+/versions/?$": bundle_body_bytes,
            r"/admin/models/add/?$": bundle_body_bytes,
            "/trials": settings.max_trial_bytes + SMALL_BODY_BYTES,
            "/admin/checklists": checklists_pages.MAX_FORM_BYTES,
        },
    )
    app.add_middleware(
        RequestContext,
        trusted_hosts=settings.trusted_hosts,
        tls=settings.base_url.startswith("https://"),
    )
    serving.add_routes(app)  # after those above, so that its figures see every answer
    app.add_middleware(HeadAsGet)
    return app


async def _openapi(request: Request) -> JSONResponse:
    """The OpenAPI document."""
    return JSONResponse(request.app.openapi())


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings: Settings = app.state.settings
    async with contextlib.AsyncExitStack() as stack:
        database = create_engine(settings.database, pool_size=settings.database_pool)
        stack.push_async_callback(database.dispose)
        await check_revision(database)
        sessions = create_sessions(database)
        _add_accounts(app, sessions)
        await _add_inference(app, sessions, stack)
        await _follow(app, sessions, stack)
        yield


def _add_accounts(app: FastAPI, sessions: Sessions) -> None:
    settings: Settings = app.state.settings
    storage = DatabaseStorage(sessions)
    app.state.sessions = sessions
    app.state.adder = Adder(settings, sessions)
    app.state.passwords = Passwords()
    app.state.login_rate = RateLimit(storage, "login", settings.login_rate)
    app.state.account_rate = RateLimit(storage, "account", settings.login_rate, times=ACCOUNT_TIMES)
    app.state.confirm_rate = RateLimit(storage, "confirm", CONFIRMATIONS)
    app.state.setup_rate = RateLimit(storage, "setup", settings.setup_rate)


async def _add_inference(app: FastAPI, sessions: Sessions, stack: contextlib.AsyncExitStack) -> None:
    settings: Settings = app.state.settings
    engine = Engine(provider=settings.provider, default_model=settings.default_model)
    stack.callback(engine.close)
    limits = PhotoLimits(max_bytes=settings.max_photo_bytes, max_pixels=settings.max_photo_pixels)
    decoder = DecodePool(settings.decode_workers, limits=limits, deadline_s=settings.decode_timeout_s)
    stack.push_async_callback(decoder.stop)
    beside = BesideDecoder(limits, settings.decode_timeout_s)
    stack.push_async_callback(beside.stop)
    deployer = Deployer(engine, sessions, settings.store, app.state.store_faults)
    await asyncio.gather(decoder.start(), deployer.follow_once())
    app.state.species_adder = SpeciesAdder(settings, sessions, app.state.adder, decoder)
    app.state.engine, app.state.decoder, app.state.deployer = engine, decoder, deployer
    app.state.beside = beside
    serving.start(
        app,
        settings,
        sessions=sessions,
        engine=engine,
        decoder=decoder,
        shared=DatabaseStorage(sessions),
        beside=beside,
    )
    stack.push_async_callback(serving.stop, app)


async def _follow(app: FastAPI, sessions: Sessions, stack: contextlib.AsyncExitStack) -> None:
    """Bring this process to what the database says, now and from now on, and say there what it answers with."""
    settings: Settings = app.state.settings
    deployer: Deployer = app.state.deployer
    shadowing: Shadowing = app.state.answering.shadowing
    reporter = Reporter(
        sessions, lambda: ReplicaState(answering=deployer.answering(), shadows=shadowing.counts())
    )
    await reporter.report_once()
    deployer.on_change = reporter.report_now
    stack.push_async_callback(reporter.leave)
    app.state.trialling = trialling = Trialling(sessions, settings, app.state.beside)
    stack.push_async_callback(trialling.stop)
    # Loops of their own: a candidate that takes long to load must not keep a promotion waiting.
    for looks in (
        (deployer.follow_once, reporter.report_once),
        (shadowing.follow_once,),
        (trialling.follow_once,),
    ):
        stack.push_async_callback(_cancel, asyncio.create_task(follow(settings.follow_s, *looks)))


async def _cancel(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
