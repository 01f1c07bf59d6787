"""Queries about models, versions, what is deployed, and its history."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import CursorResult, delete, exists, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.tables import AliasRow, ModelRow, PromotionKind, PromotionRow, ProtectedSpeciesRow, VersionRow

PRODUCTION = "production"


@dataclass(frozen=True)
class Deployment:
    """What one model's alias points at, and where its bundle lies in the store."""

    model: str
    version: str
    epoch: int
    sha256: str
    path: str


class Deployed(NamedTuple):
    """What is replaced: the version and epoch of an alias as it was read."""

    version: str
    epoch: int


@dataclass(frozen=True)
class Entry:
    """What the history keeps of a promotion besides the versions: by whom, why, and what the gate said."""

    kind: PromotionKind
    actor: str
    reason: str
    override_reason: str | None = None
    verdict: dict[str, Any] | None = None
    from_evaluation_sha256: str | None = None
    to_evaluation_sha256: str | None = None


async def model_names(session: AsyncSession) -> list[str]:
    """Names of all models, sorted."""
    return sorted(await session.scalars(select(ModelRow.name)))


async def add_model(session: AsyncSession, name: str) -> None:
    """Add a model unless it is there."""
    if await session.get(ModelRow, name) is None:
        session.add(ModelRow(name=name))
        await session.flush()


async def version_of(session: AsyncSession, model: str, version: str) -> VersionRow | None:
    """One version of a model."""
    return await session.get(VersionRow, (model, version))


async def all_versions(session: AsyncSession, model: str | None = None) -> list[VersionRow]:
    """Versions of one model, or of all, in no particular order."""
    query = select(VersionRow)
    return list(await session.scalars(query if model is None else query.where(VersionRow.model == model)))


async def deployments(session: AsyncSession) -> list[Deployment]:
    """What is deployed, by name of the model."""
    query = (
        select(AliasRow.model, AliasRow.version, AliasRow.epoch, VersionRow.sha256, VersionRow.path)
        .join(VersionRow, (VersionRow.model == AliasRow.model) & (VersionRow.version == AliasRow.version))
        .where(AliasRow.alias == PRODUCTION)
        .order_by(AliasRow.model)
    )
    return [
        Deployment(row.model, row.version, row.epoch, row.sha256, row.path)
        for row in await session.execute(query)
    ]


async def alias_of(session: AsyncSession, model: str) -> AliasRow | None:
    """What is deployed of one model, as it is in the database now, whatever this session read before."""
    query = select(AliasRow).where(AliasRow.model == model, AliasRow.alias == PRODUCTION)
    return await session.scalar(query.execution_options(populate_existing=True))


async def deploy(
    session: AsyncSession,
    model: str,
    version: str,
    *,
    replaces: Deployed | None,
    entry: Entry,
    now: datetime,
) -> PromotionRow | None:
    """Compare and swap: move the alias if its epoch is still that of ``replaces``, and write it into the history.

    ``replaces`` None deploys the first version of a model, at epoch 1. Of two at once one gets the row, the other None.
    """
    if replaces is None:
        is_ours = await _add_alias(session, model, version, now)
    else:
        is_ours = await _move_alias(session, model, version, replaces.epoch, now)
    if not is_ours:
        return None
    promotion = PromotionRow(
        model=model,
        from_version=replaces.version if replaces else None,
        to_version=version,
        epoch=replaces.epoch + 1 if replaces else 1,
        created_at=now,
        **vars(entry),
    )
    session.add(promotion)
    await session.flush()
    return promotion


async def _add_alias(session: AsyncSession, model: str, version: str, now: datetime) -> bool:
    row = AliasRow(model=model, alias=PRODUCTION, version=version, epoch=1, updated_at=now)
    try:
        async with session.begin_nested():
            session.add(row)
    except IntegrityError:  # of two at once, the other one
        return False
    return True


async def _move_alias(
    session: AsyncSession, model: str, version: str, expected_epoch: int, now: datetime
) -> bool:
    result = await session.execute(
        update(AliasRow)
        .where(AliasRow.model == model, AliasRow.alias == PRODUCTION, AliasRow.epoch == expected_epoch)
        .values(version=version, epoch=expected_epoch + 1, updated_at=now)
        .execution_options(synchronize_session=False)
    )
    assert isinstance(result, CursorResult)
    return result.rowcount == 1


async def was_ever_deployed(session: AsyncSession) -> bool:
    """Whether any version of any model was."""
    return bool(await session.scalar(select(exists().select_from(PromotionRow))))


async def protected_species(session: AsyncSession, model: str) -> list[ProtectedSpeciesRow]:
    """The species of a model that no promotion may make worse, by label."""
    query = select(ProtectedSpeciesRow).where(ProtectedSpeciesRow.model == model)
    return list(await session.scalars(query.order_by(ProtectedSpeciesRow.label)))


async def protect_species(session: AsyncSession, model: str, label: str, actor: str) -> bool:
    """Protect a species. False when it is protected already."""
    if await session.get(ProtectedSpeciesRow, (model, label)) is not None:
        return False
    session.add(ProtectedSpeciesRow(model=model, label=label, added_by=actor))
    await session.flush()
    return True


async def unprotect_species(session: AsyncSession, model: str, label: str) -> bool:
    """Protect a species no more. False when it was not protected."""
    result = await session.execute(
        delete(ProtectedSpeciesRow).where(
            ProtectedSpeciesRow.model == model, ProtectedSpeciesRow.label == label
        )
    )
    assert isinstance(result, CursorResult)
    return bool(result.rowcount)


async def history(session: AsyncSession, model: str, limit: int | None = None) -> list[PromotionRow]:
    """The promotions of a model, newest first."""
    query = select(PromotionRow).where(PromotionRow.model == model).order_by(PromotionRow.epoch.desc())
    return list(await session.scalars(query.limit(limit)))
