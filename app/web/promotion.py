"""Promotion, rollback, verdicts and history over HTTP, for admins and keys with the scope ``admin``."""

from datetime import datetime
from functools import partial
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.repositories import bundles
from app.db.repositories.registry import Deployment
from app.db.tables import PromotionKind, PromotionRow
from app.errors import Conflict
from app.services import gate, promotion, shadow
from app.services.history import history_csv
from app.services.judge import Verdict
from app.services.promotion import Deployer, Wanted
from app.settings import Settings
from app.web.accounts import confirm_password
from app.web.adding import Addition
from app.web.dependencies import (
    ApiAdmin,
    ConfirmRate,
    CurrentDeployer,
    CurrentSettings,
    PasswordHashes,
    Session,
    after_commit,
)
from app.web.registry import ModelName, ModelVersion
from app.web.shadow import ShadowEvent
from models.bundle import BundleError

router = APIRouter(prefix="/models", tags=["promotion"])
log: structlog.stdlib.BoundLogger = structlog.get_logger("lighttrap.promotion")

Epoch = Annotated[
    int,
    Field(
        ge=0,
        le=2**31 - 1,
        description="The model's epoch as you last saw it; 0 where no version is deployed yet.",
    ),
]
Reason = Annotated[str, Field(max_length=promotion.MAX_REASON, description="Why, for those who come later.")]
Password = Annotated[
    str | None, Field(max_length=1024, description="Needed when the login is older than 15 minutes.")
]
Override = Annotated[
    str | None,
    Field(
        max_length=gate.MAX_OVERRIDE,
        description="Why it is right all the same, where the gate refuses. Refused itself where the gate does not.",
    ),
]


class RollbackRequest(BaseModel):
    """Deploy what was deployed before."""

    model_config = ConfigDict(extra="forbid")

    expected_epoch: Epoch
    reason: Reason
    password: Password = None


class PromoteRequest(RollbackRequest):
    """Deploy this version."""

    version: Annotated[str, Field(max_length=32)]
    override: Override = None


class Promotion(BaseModel):
    """One entry of the history. ``verdict`` is what the gate said at the time; null where it was not asked."""

    model_config = ConfigDict(from_attributes=True)

    model: str
    from_version: str | None
    to_version: str
    epoch: int
    kind: PromotionKind
    actor: str
    reason: str
    override_reason: str | None
    verdict: dict[str, Any] | None
    from_evaluation_sha256: str | None
    to_evaluation_sha256: str | None
    created_at: datetime


class History(BaseModel):
    """Promotions of a model, its shadows, and who added which version, each newest first."""

    history: tuple[Promotion, ...]
    shadows: tuple[ShadowEvent, ...]
    additions: tuple[Addition, ...]


@router.post("/{name}/promote")
async def promote(
    request: Request,
    name: ModelName,
    wanted: PromoteRequest,
    caller: ApiAdmin,
    session: Session,
    settings: CurrentSettings,
    deployer: CurrentDeployer,
    passwords: PasswordHashes,
    rate: ConfirmRate,
) -> Promotion:
    """Deploy a version, if the gate lets it through and nobody deployed another one since.

    The first version of a new model is judged against nothing; its `expected_epoch` is 0.
    409 ``promotion-refused`` says what would get worse; ``override`` with a reason promotes it all the same. 409
    ``stale-epoch`` says who did what meanwhile.
    """
    caller = await confirm_password(session, passwords, rate, caller, wanted.password)
    given = wanted.model_dump(include={"version", "expected_epoch", "reason", "override"})
    row = await deploy(session, settings, deployer, Wanted(model=name, actor=caller.actor, **given))
    return Promotion.model_validate(row)


@router.post("/{name}/rollback")
async def rollback(
    request: Request,
    name: ModelName,
    wanted: RollbackRequest,
    caller: ApiAdmin,
    session: Session,
    settings: CurrentSettings,
    deployer: CurrentDeployer,
    passwords: PasswordHashes,
    rate: ConfirmRate,
) -> Promotion:
    """Take the last promotion back: deploy the version before it, at a new epoch. The gate refuses no rollback."""
    caller = await confirm_password(session, passwords, rate, caller, wanted.password)
    back = Wanted(
        model=name,
        version=await promotion.rollback_target(session, name, wanted.expected_epoch),
        expected_epoch=wanted.expected_epoch,
        actor=caller.actor,
        reason=wanted.reason,
        kind=PromotionKind.ROLLBACK,
    )
    return Promotion.model_validate(await deploy(session, settings, deployer, back))


@router.get("/{name}/history")
async def history(name: ModelName, caller: ApiAdmin, session: Session) -> History:
    """Who deployed what, when and why, what the gate said, and who added which version."""
    rows = await promotion.history_of(session, name)
    return History(
        history=tuple(Promotion.model_validate(row) for row in rows),
        shadows=tuple(ShadowEvent.model_validate(event) for event in await shadow.events_of(session, name)),
        additions=tuple(Addition.model_validate(row) for row in await bundles.additions(session, name)),
    )


@router.get(
    "/{name}/history.csv",
    response_class=Response,
    responses={
        200: {"content": {"text/csv": {}}, "description": "One line for each thing done, newest first."}
    },
)
async def history_as_csv(name: ModelName, caller: ApiAdmin, session: Session) -> Response:
    """The same for a spreadsheet: one line a promotion, a shadow's beginning or end, or an added version."""
    rows = await promotion.history_of(session, name)
    added = await bundles.additions(session, name)
    table = history_csv(rows, await shadow.events_of(session, name), added)
    headers = {"Content-Disposition": f'attachment; filename="{name}-history.csv"'}
    return Response(table, media_type="text/csv", headers=headers)


@router.get("/{name}/versions/{version}/verdict")
async def verdict(
    name: ModelName, version: ModelVersion, caller: ApiAdmin, session: Session, settings: CurrentSettings
) -> Verdict:
    """What the gate would say now, were this version to replace the deployed one. Changes nothing."""
    found = (await gate.assess(session, settings, name, version)).verdict
    if found is None:
        raise Conflict(f"The deployed version of {name} cannot be read, so {version} cannot be judged.")
    return found


async def deploy(
    session: AsyncSession, settings: Settings, deployer: Deployer, wanted: Wanted
) -> PromotionRow:
    """Judge the version, load it, move the alias, answer with it once that is committed. A failure changes nothing."""
    row = await promotion.check_promotion(session, wanted)
    entry = await promotion.pass_gate(session, settings, wanted)
    deployment = Deployment(wanted.model, wanted.version, wanted.expected_epoch + 1, row.sha256, row.path)
    try:
        prepared = await deployer.prepare(deployment)
    except (BundleError, RuntimeError, OSError) as error:
        log.error("a bundle cannot be deployed", bundle=row.path, fault=str(error))
        raise gate.cannot_be_loaded(wanted.model, wanted.version) from error
    promoted = await promotion.promote(session, wanted, entry)
    after_commit(session, partial(deployer.put, prepared))
    return promoted
