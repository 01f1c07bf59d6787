"""Two versions of a model beside each other, over HTTP: what the one gains and loses against the other."""

import asyncio
from functools import lru_cache
from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import NotFound
from app.services import registry
from app.services.papers import Papers, papers_of
from app.settings import Settings
from app.web.dependencies import CurrentSettings, Session
from app.web.registry import ModelName, ModelVersion
from models.comparison import Comparison, compare

router = APIRouter(prefix="/models", tags=["models"])
Reference = Annotated[
    str | None,
    Query(alias="with", max_length=32, description="The other version; the deployed one where silent."),
]


@router.get("/{name}/versions/{version}/compare")
async def compare_versions(
    name: ModelName,
    version: ModelVersion,
    session: Session,
    settings: CurrentSettings,
    reference: Reference = None,
) -> Comparison:
    """What a version gains and loses against another: by group, by species, with 95% intervals.

    On the same test photos where both bundles have predictions; `basis` and `notes` say so, or why not.
    """
    return (await compared(session, settings, name, version, reference))[2]


async def compared(
    session: AsyncSession, settings: Settings, name: str, version: str, reference: str | None
) -> tuple[Papers, Papers, Comparison]:
    """Both versions' papers, the candidate's first, and how they differ. Raises NotFound, InternalError."""
    row = await registry.get_version(session, name, version)
    if reference is None:
        deployed = (await registry.get_model(session, name)).deployed
        if deployed is None:
            raise NotFound(f"No version of {name} is deployed to compare {version} with.")
        reference = deployed.version
    other = await registry.get_version(session, name, reference)
    new, old = await papers_of(settings.store, row), await papers_of(settings.store, other)
    return new, old, await asyncio.to_thread(_compared, new, old)


@lru_cache(maxsize=32)
def _compared(new: Papers, old: Papers) -> Comparison:
    return compare(new.measured, old.measured)
