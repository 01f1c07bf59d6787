"""Which candidates answer beside which models, what they answered, and the history of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, CursorResult, delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.tables import IdentificationRow, VersionRow
from app.db.trial_tables import ShadowAnswerRow, ShadowEventRow, ShadowRow


@dataclass(frozen=True)
class WantedShadow:
    """A candidate that every replica is to run, and where its bundle lies in the store."""

    model: str
    version: str
    share: float
    sha256: str
    path: str


@dataclass(frozen=True)
class Pair:
    """A candidate and the deployed version that it is set against."""

    model: str
    version: str
    deployed: str


@dataclass(frozen=True)
class Tally:
    """Answers of one group: how many, and on how many both name the same first, or commit to the same."""

    group: str
    num_answers: int
    num_agreeing: int
    num_deciding_alike: int


async def wanted(session: AsyncSession) -> list[WantedShadow]:
    """Every shadow, by model."""
    query = (
        select(ShadowRow.model, ShadowRow.version, ShadowRow.share, VersionRow.sha256, VersionRow.path)
        .join(VersionRow, (VersionRow.model == ShadowRow.model) & (VersionRow.version == ShadowRow.version))
        .order_by(ShadowRow.model)
    )
    return [WantedShadow(*row) for row in await session.execute(query)]


async def of_model(session: AsyncSession, model: str) -> ShadowRow | None:
    """The shadow of one model, as it is in the database now."""
    query = select(ShadowRow).where(ShadowRow.model == model)
    found: ShadowRow | None = await session.scalar(query.execution_options(populate_existing=True))
    return found


async def start(session: AsyncSession, shadow: ShadowRow, event: ShadowEventRow) -> None:
    """Begin. Raises IntegrityError where the model has a shadow already."""
    session.add(shadow)
    await session.flush()
    session.add(event)
    await session.flush()


async def stop(session: AsyncSession, model: str, version: str, event: ShadowEventRow) -> bool:
    """End it. False when it is not running (any more)."""
    ended = await session.execute(
        delete(ShadowRow).where(ShadowRow.model == model, ShadowRow.version == version)
    )
    assert isinstance(ended, CursorResult)
    if not ended.rowcount:
        return False
    session.add(event)
    await session.flush()
    return True


async def events(session: AsyncSession, model: str) -> Sequence[ShadowEventRow]:
    """The history of a model's shadows, newest first."""
    query = select(ShadowEventRow).where(ShadowEventRow.model == model)
    return (await session.scalars(query.order_by(ShadowEventRow.id.desc()))).all()


async def add_answers(session: AsyncSession, rows: Sequence[ShadowAnswerRow]) -> None:
    """Keep what a candidate answered, of identifications that are still there."""
    wanted_ids = [row.identification_id for row in rows]
    kept = set(
        await session.scalars(select(IdentificationRow.id).where(IdentificationRow.id.in_(wanted_ids)))
    )
    session.add_all([row for row in rows if row.identification_id in kept])
    await session.flush()


async def tallies(session: AsyncSession, pair: Pair) -> list[Tally]:
    """How often both agree, by group."""
    query = (
        select(
            ShadowAnswerRow.group,
            func.count(),
            func.count().filter(ShadowAnswerRow.agrees),
            func.count().filter(ShadowAnswerRow.decides_alike),
        )
        .where(*_is(pair))
        .group_by(ShadowAnswerRow.group)
    )
    return [Tally(*row) for row in await session.execute(query)]


async def differences(
    session: AsyncSession, pair: Pair, *, limit: int, before: ShadowAnswerRow | None = None
) -> Sequence[ShadowAnswerRow]:
    """Where the two differ in name or in what they commit to, newest first."""
    order = (ShadowAnswerRow.created_at, ShadowAnswerRow.identification_id)
    query = select(ShadowAnswerRow).where(
        *_is(pair), ~(ShadowAnswerRow.agrees & ShadowAnswerRow.decides_alike)
    )
    if before is not None:
        query = query.where(
            (order[0] < before.created_at)
            | ((order[0] == before.created_at) & (order[1] < before.identification_id))
        )
    return (await session.scalars(query.order_by(order[0].desc(), order[1].desc()).limit(limit))).all()


async def answer(session: AsyncSession, identification_id: UUID, version: str) -> ShadowAnswerRow | None:
    """What a candidate answered beside one identification."""
    return await session.get(ShadowAnswerRow, (identification_id, version))


def _is(pair: Pair) -> tuple[ColumnElement[bool], ...]:
    return (
        ShadowAnswerRow.model == pair.model,
        ShadowAnswerRow.version == pair.version,
        ShadowAnswerRow.deployed == pair.deployed,
    )
