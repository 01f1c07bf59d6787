"""What a version costs here: its size, and how long it takes for a photo on this machine. Measured once a process."""

import asyncio
import statistics
import time
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from app.db.tables import VersionRow, utc_now
from app.errors import InternalError
from app.inference.session import OnnxSession, ProviderUnavailable
from app.services.papers import read_registered
from app.settings import S3Place
from models.bundle import BundleError
from models.views import with_views

NUM_RUNS = 15
_one_at_a_time = asyncio.Lock()


class Cost(BaseModel):
    """Size and speed of a version. Times are those of the network alone, one photo a run with every view of it that the
    card asks for, without decoding.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    size_bytes: Annotated[int, Field(description="Of the ONNX file.")]
    ms_per_photo: Annotated[float, Field(description="Median over the runs: on a CPU, of one core.")]
    ms_slowest: Annotated[float, Field(description="The slowest run: far off the median on a busy machine.")]
    num_runs: int
    provider: Annotated[str, Field(description="Execution provider of ONNX Runtime.")]
    measured_at: datetime


async def cost_of(store: Path | S3Place, row: VersionRow, provider: str) -> Cost:
    """What a version costs in this process. Raises InternalError when its bundle is damaged or gone."""
    async with _one_at_a_time:  # two that are measured together measure each other
        try:
            return await asyncio.to_thread(_measured, store, row.path, row.sha256, provider)
        except (BundleError, OSError, ProviderUnavailable) as error:
            raise InternalError(f"The bundle of {row.model} {row.version} is damaged or gone.") from error


@lru_cache(maxsize=256)
def _measured(store: Path | S3Place, path: str, sha256: str, provider: str) -> Cost:
    bundle = read_registered(store, path, sha256)
    size_px = bundle.card.preprocessing.size_px
    session = OnnxSession(bundle.onnx, size_px=size_px, provider=provider)
    one_view = np.random.default_rng(0).integers(0, 256, (1, size_px, size_px, 3), dtype=np.uint8)
    photo = with_views(one_view, bundle.card.views)
    times_ms = []
    for _ in range(NUM_RUNS):
        started = time.perf_counter()
        session.run(photo)
        times_ms.append((time.perf_counter() - started) * 1000)
    return Cost(
        size_bytes=len(bundle.onnx),
        ms_per_photo=statistics.median(times_ms),
        ms_slowest=max(times_ms),
        num_runs=NUM_RUNS,
        provider=session.provider,
        measured_at=utc_now(),
    )
