"""The probes, and the figures for Prometheus."""

import httpx
import pytest
from fastapi import FastAPI

from app.db.health import database_answers
from app.db.session import create_engine, create_sessions
from app.main import create_app
from app.settings import Settings
from tests.web.conftest import connect
from tests.web.test_predict import RUSTY, sent


async def test_a_started_service_is_alive_and_ready_and_names_what_answers(
    client: httpx.AsyncClient,
) -> None:
    assert (await client.get("/livez")).json() == {"status": "alive"}
    ready = await client.get("/readyz")
    assert ready.status_code == 200
    assert ready.json()["status"] == "ready"
    assert ready.json()["provider"] == "CPUExecutionProvider"
    named = {model["name"]: (model["version"], model["epoch"]) for model in ready.json()["models"]}
    assert named == {"other-moths": ("1.0.0", 1), "tiny-moths": ("1.0.0", 1)}


async def test_a_draining_service_is_alive_but_not_ready(client: httpx.AsyncClient, app: FastAPI) -> None:
    app.state.draining = True
    ready = await client.get("/readyz")
    assert (ready.status_code, ready.json()["status"]) == (503, "draining")
    assert ready.headers["retry-after"]
    assert (await client.get("/livez")).status_code == 200
    assert (await client.post("/predict", files=[("image", sent(RUSTY))])).status_code == 200


@pytest.mark.usefixtures("sessions")
async def test_without_a_deployed_model_it_is_not_ready_and_says_so(settings: Settings) -> None:
    application = create_app(settings)  # its store was never registered
    async with application.router.lifespan_context(application), connect(application) as client:
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.json()["status"]) == (503, "no_model")
        answer = await client.post("/predict", files=[("image", sent(RUSTY))])
    assert answer.status_code == 503
    assert answer.json()["type"] == "/problems/no-model-deployed"
    assert answer.headers["retry-after"]


async def test_a_database_that_is_gone_is_noticed() -> None:
    engine = create_engine("postgresql+psycopg://moth@127.0.0.1:1/lighttrap")
    assert not await database_answers(create_sessions(engine))
    await engine.dispose()


async def test_figures_tell_requests_photos_queue_provider_and_versions(client: httpx.AsyncClient) -> None:
    await client.post("/predict", files=[("image", sent(RUSTY))])
    await client.post("/predict", files=[("image", sent(RUSTY[:2000]))])
    await client.get("/nowhere/at/all")
    text = (await client.get("/metrics")).text
    for line in (
        'lighttrap_requests_total{method="POST",route="/predict",status="200"} 1.0',
        'lighttrap_requests_total{method="POST",route="/predict",status="422"} 1.0',
        'lighttrap_requests_total{method="any",route="unmatched",status="404"} 1.0',
        'lighttrap_request_seconds_count{method="POST",route="/predict"} 2.0',
        'lighttrap_photos_total{outcome="decoded"} 1.0',
        'lighttrap_photos_total{outcome="refused"} 1.0',
        "lighttrap_decoders 1.0",
        "lighttrap_queue 0.0",
        'lighttrap_provider_info{provider="CPUExecutionProvider"} 1.0',
    ):
        assert line in text.splitlines(), line
    assert 'lighttrap_deployed_epoch{model="tiny-moths"' in text
    assert "/nowhere" not in text
