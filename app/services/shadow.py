"""Who may answer beside a deployed version, who said so, and what came of it. Running it is ``shadowing``'s."""

from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.repositories import shadows
from app.db.repositories.shadows import Pair, Tally
from app.db.tables import utc_now
from app.db.trial_tables import ShadowAnswerRow, ShadowEventKind, ShadowEventRow, ShadowRow
from app.errors import Conflict, InvalidField
from app.services.registry import get_model, get_version
from models.groups import GROUPS

log: structlog.stdlib.BoundLogger = structlog.get_logger("lighttrap.shadow")
MAX_REASON = 1000
NUM_SHOWN = 24


@dataclass(frozen=True)
class Shadow:
    """A candidate that is to answer a share (0 to 1, not 0) of a model's requests, who wants it, and why."""

    model: str
    version: str
    share: float
    actor: str
    reason: str


@dataclass(frozen=True)
class Report:
    """What is known of a candidate beside the deployed version.

    ``running`` None: there is no shadow now; then the figures are those of the last one. ``tallies``: all, then by
    group. ``differences``: newest first.
    """

    running: ShadowRow | None
    pair: Pair | None
    tallies: tuple[Tally, ...]
    differences: tuple[ShadowAnswerRow, ...]
    has_more: bool
    events: tuple[ShadowEventRow, ...]


async def start(session: AsyncSession, wanted: Shadow) -> ShadowRow:
    """Set a candidate beside the deployed version, in every replica.

    Raises NotFound, InvalidField, or Conflict when it is deployed, nothing is, or another shadow runs.
    """
    await get_version(session, wanted.model, wanted.version)
    _check(wanted)
    deployed = (await get_model(session, wanted.model)).deployed
    if deployed is None:
        raise Conflict(f"No version of {wanted.model} is deployed, so there are no answers to stand beside.")
    if deployed.version == wanted.version:
        raise Conflict(f"{wanted.model} {wanted.version} is deployed: it gives the answers itself.")
    present = await shadows.of_model(session, wanted.model)
    if present is not None:
        raise _runs_already(present)
    row = ShadowRow(
        model=wanted.model,
        version=wanted.version,
        share=wanted.share,
        started_by=wanted.actor,
        reason=wanted.reason.strip(),
        started_at=utc_now(),
    )
    try:
        async with session.begin_nested():
            await shadows.start(session, row, _event(row, ShadowEventKind.STARTED, wanted.actor, row.reason))
    except IntegrityError as error:
        present = await shadows.of_model(session, wanted.model)
        if present is None:
            raise
        raise _runs_already(present) from error
    log.info("shadow started", model=wanted.model, version=wanted.version, share=wanted.share)
    return row


def _check(wanted: Shadow) -> None:
    if not 0.001 <= wanted.share <= 1:
        raise InvalidField.of("share", "expected a share of the requests, 0.001 to 1")
    _check_reason(wanted.reason)


def _check_reason(reason: str) -> None:
    if not 1 <= len(reason.strip()) <= MAX_REASON:
        raise InvalidField.of("reason", f"expected 1 to {MAX_REASON} characters that say why")


def _runs_already(present: ShadowRow) -> Conflict:
    return Conflict(
        f"{present.version} answers {present.share:.1%} of the requests of {present.model} in the shadow already: "
        f"{present.started_by} started it on {present.started_at:%Y-%m-%d %H:%M} UTC. Stop it first."
    )


async def stop(
    session: AsyncSession, model: str, actor: str, reason: str, *, version: str | None = None
) -> ShadowEventRow:
    """End a model's shadow. What it answered is kept. ``version``: the one that was looked at; None: whichever runs.

    Raises NotFound, InvalidField, or Conflict where none runs, or another than that.
    """
    await get_model(session, model)
    _check_reason(reason)
    present = await shadows.of_model(session, model)
    if present is not None:
        if version not in (None, present.version):
            raise Conflict(
                f"{present.version} is in the shadow now, not {version}: somebody was faster. Look again."
            )
        event = _event(present, ShadowEventKind.STOPPED, actor, reason.strip())
        if await shadows.stop(session, model, present.version, event):
            log.info("shadow stopped", model=model, version=present.version)
            return event
    raise Conflict(f"No candidate of {model} answers in the shadow.")


async def stop_deployed(session: AsyncSession, model: str, version: str, actor: str) -> None:
    """A candidate that was promoted leaves the shadow: it gives the answers itself now."""
    present = await shadows.of_model(session, model)
    if present is not None and present.version == version:
        event = _event(present, ShadowEventKind.STOPPED, actor, f"{version} was deployed.")
        await shadows.stop(session, model, version, event)


def _event(shadow: ShadowRow, kind: ShadowEventKind, actor: str, reason: str) -> ShadowEventRow:
    return ShadowEventRow(
        model=shadow.model,
        version=shadow.version,
        kind=kind,
        share=shadow.share,
        actor=actor,
        reason=reason,
        created_at=utc_now(),
    )


async def report(
    session: AsyncSession, model: str, *, limit: int = NUM_SHOWN, before: ShadowAnswerRow | None = None
) -> Report:
    """How the running candidate, or the last one, compares with what is deployed now. Raises NotFound."""
    deployed = (await get_model(session, model)).deployed
    running = await shadows.of_model(session, model)
    events = tuple(await shadows.events(session, model))
    version = running.version if running else events[0].version if events else None
    if deployed is None or version is None:
        return Report(running, None, (), (), False, events)
    pair = Pair(model, version, deployed.version)
    tallies = await shadows.tallies(
        session, pair
    )  # first: what is counted is listed too, if more comes meanwhile
    found = await shadows.differences(session, pair, limit=limit + 1, before=before)
    return Report(
        running=running,
        pair=pair,
        tallies=_with_all(tallies),
        differences=tuple(found[:limit]),
        has_more=len(found) > limit,
        events=events,
    )


def _with_all(tallies: Sequence[Tally]) -> tuple[Tally, ...]:
    """All, then every group, also those without an answer."""
    by_group = {tally.group: tally for tally in tallies}
    total = Tally(
        "all",
        sum(each.num_answers for each in tallies),
        sum(each.num_agreeing for each in tallies),
        sum(each.num_deciding_alike for each in tallies),
    )
    return total, *(by_group.get(group, Tally(group, 0, 0, 0)) for group in GROUPS)


async def words(session: AsyncSession, model: str) -> str | None:
    """What runs in a model's shadow, in a few words."""
    present = await shadows.of_model(session, model)
    return f"{present.version} answers {present.share:.1%} of the requests in the shadow" if present else None


async def events_of(session: AsyncSession, model: str) -> tuple[ShadowEventRow, ...]:
    """The history of a model's shadows, newest first. Raises NotFound."""
    await get_model(session, model)
    return tuple(await shadows.events(session, model))
