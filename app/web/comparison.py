"""Two versions of a model beside each other, over HTTP: what the one gains and loses against the other."""

import asyncio
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.tables import VersionRow
from app.errors import NotFound
from app.services import registry
from app.services.cost import Cost, cost_of
from app.services.papers import Papers, papers_of
from app.settings import Settings
from app.web.dependencies import CurrentSettings, Reader, Session
from app.web.registry import ModelName, ModelVersion
from models.comparison import Comparison, compare

router = APIRouter(prefix="/models", tags=["models"])
Reference = Annotated[
    str | None,
    Query(alias="with", max_length=32, description="The other version; the deployed one where silent."),
]


class VersionComparison(Comparison):
    """How a version differs from another, and what each costs on this machine."""

    candidate_cost: Cost
    reference_cost: Cost


@dataclass(frozen=True)
class Compared:
    """Both versions' papers, the candidate's first as everywhere, how they differ, and what they cost."""

    new: Papers
    old: Papers
    comparison: Comparison
    costs: tuple[Cost, Cost]


@router.get("/{name}/versions/{version}/compare")
async def compare_versions(
    _caller: Reader,
    name: ModelName,
    version: ModelVersion,
    session: Session,
    settings: CurrentSettings,
    reference: Reference = None,
) -> VersionComparison:
    """What a version gains and loses against another: by group, by species, with 95% intervals; and what both cost.

    On the same test photos where both bundles have predictions; `basis` and `notes` say so, or why not.
    """
    found = await compared(session, settings, name, version, reference)
    costs = found.costs
    return VersionComparison(**dict(found.comparison), candidate_cost=costs[0], reference_cost=costs[1])


async def compared(
    session: AsyncSession, settings: Settings, name: str, version: str, reference: str | None
) -> Compared:
    """How a version differs from another. Raises NotFound, InternalError."""
    rows = await pair_of(session, name, version, reference)
    new, old = [await papers_of(settings.store, row) for row in rows]
    comparison = await asyncio.to_thread(_compared, new, old)
    costs = [await cost_of(settings.store, row, settings.provider) for row in rows]
    return Compared(new, old, comparison, (costs[0], costs[1]))


async def pair_of(
    session: AsyncSession, name: str, version: str, reference: str | None
) -> tuple[VersionRow, VersionRow]:
    """A version and the one to set it against, the deployed one where ``reference`` is None. Raises NotFound."""
    row = await registry.get_version(session, name, version)
    if reference is None:
        deployed = (await registry.get_model(session, name)).deployed
        if deployed is None:
            raise NotFound(f"No version of {name} is deployed to compare {version} with.")
        reference = deployed.version
    return row, await registry.get_version(session, name, reference)


@lru_cache(maxsize=32)
def _compared(new: Papers, old: Papers) -> Comparison:
    return compare(new.measured, old.measured)
