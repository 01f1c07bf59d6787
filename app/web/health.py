"""Probes: is it alive, can it answer, and the figures for Prometheus."""

from typing import Annotated, Literal

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, ConfigDict, Field

from app.db.health import database_answers
from app.inference.engine import Engine
from app.services.promotion import Deployer
from app.web.metrics import Metrics

router = APIRouter(tags=["health"])


class Alive(BaseModel):
    """The process answers."""

    status: Literal["alive"] = "alive"


class ReadyModel(BaseModel):
    """A version that answers."""

    model_config = ConfigDict(protected_namespaces=())

    name: str
    version: str
    sha256: str
    epoch: int


class Readiness(BaseModel):
    """Whether requests should be sent here, and with what they would be answered."""

    status: Literal["ready", "draining", "no_model", "no_database"]
    provider: Annotated[str, Field(description="Active execution provider of ONNX Runtime.")]
    models: tuple[ReadyModel, ...]
    faults: Annotated[
        tuple[str, ...],
        Field(
            description="Bundles that cannot be used here, deployed ones first: what is wrong, and what to do."
        ),
    ]


@router.get("/livez")
async def livez() -> Alive:
    """200 as long as the process answers."""
    return Alive()


@router.get("/readyz", responses={503: {"model": Readiness}})
async def readyz(request: Request, response: Response) -> Readiness:
    """200 when this replica can answer; 503 while draining, without a deployed model or a database."""
    status = await _status(request)
    if status != "ready":
        response.status_code = 503
        response.headers["Retry-After"] = "2"
    engine: Engine = request.app.state.engine
    deployer: Deployer = request.app.state.deployer
    models = tuple(
        ReadyModel(
            name=deployed.card.name,
            version=deployed.card.version,
            sha256=deployed.sha256,
            epoch=deployed.epoch,
        )
        for deployed in engine.deployed()
    )
    return Readiness(status=status, provider=engine.provider, models=models, faults=tuple(deployer.faults))


async def _status(request: Request) -> Literal["ready", "draining", "no_model", "no_database"]:
    state = request.app.state
    if state.draining:
        return "draining"
    if not state.engine.deployed():
        return "no_model"
    return "ready" if await database_answers(state.sessions) else "no_database"


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(request: Request) -> Response:
    """Prometheus text format."""
    figures: Metrics = request.app.state.metrics
    return Response(generate_latest(figures.registry), media_type=CONTENT_TYPE_LATEST)
