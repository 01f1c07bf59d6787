"""Promotion, rollback and history over HTTP, for admins and keys with the scope ``admin``."""

from datetime import datetime
from functools import partial
from typing import Annotated

import structlog
from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.repositories.registry import Deployment
from app.db.tables import PromotionRow
from app.errors import Conflict
from app.services import promotion
from app.services.promotion import Deployer
from app.web.accounts import confirm_password
from app.web.dependencies import (
    ApiAdmin,
    CurrentDeployer,
    LoginRate,
    PasswordHashes,
    Session,
    after_commit,
)
from app.web.registry import ModelName
from models.bundle import BundleError

router = APIRouter(prefix="/models", tags=["promotion"])
log: structlog.stdlib.BoundLogger = structlog.get_logger("lighttrap.promotion")

Epoch = Annotated[int, Field(ge=1, le=2**31 - 1, description="The model's epoch as you last saw it.")]
Reason = Annotated[str, Field(max_length=promotion.MAX_REASON, description="Why, for those who come later.")]
Password = Annotated[
    str | None, Field(max_length=1024, description="Needed when the login is older than 15 minutes.")
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


class Promotion(BaseModel):
    """One entry of the history."""

    model_config = ConfigDict(from_attributes=True)

    model: str
    from_version: str | None
    to_version: str
    epoch: int
    actor: str
    reason: str
    created_at: datetime


class History(BaseModel):
    """Promotions of a model, newest first."""

    history: tuple[Promotion, ...]


@router.post("/{name}/promote")
async def promote(
    request: Request,
    name: ModelName,
    wanted: PromoteRequest,
    caller: ApiAdmin,
    session: Session,
    deployer: CurrentDeployer,
    passwords: PasswordHashes,
    rate: LoginRate,
) -> Promotion:
    """Deploy a version, if nobody deployed another one since: 409 ``stale-epoch`` says who did what."""
    caller = await confirm_password(request, session, passwords, rate, caller, wanted.password)
    row = await deploy(
        session,
        deployer,
        name,
        wanted.version,
        expected_epoch=wanted.expected_epoch,
        actor=caller.actor,
        reason=wanted.reason,
    )
    return Promotion.model_validate(row)


@router.post("/{name}/rollback")
async def rollback(
    request: Request,
    name: ModelName,
    wanted: RollbackRequest,
    caller: ApiAdmin,
    session: Session,
    deployer: CurrentDeployer,
    passwords: PasswordHashes,
    rate: LoginRate,
) -> Promotion:
    """Deploy the version that was deployed before this one, at a new epoch."""
    caller = await confirm_password(request, session, passwords, rate, caller, wanted.password)
    row = await deploy(
        session,
        deployer,
        name,
        await promotion.rollback_target(session, name),
        expected_epoch=wanted.expected_epoch,
        actor=caller.actor,
        reason=wanted.reason,
    )
    return Promotion.model_validate(row)


@router.get("/{name}/history")
async def history(name: ModelName, caller: ApiAdmin, session: Session) -> History:
    """Who deployed what, when and why."""
    rows = await promotion.history_of(session, name)
    return History(history=tuple(Promotion.model_validate(row) for row in rows))


async def deploy(
    session: AsyncSession,
    deployer: Deployer,
    name: str,
    version: str,
    *,
    expected_epoch: int,
    actor: str,
    reason: str,
) -> PromotionRow:
    """Load the version, move the alias, answer with it once that is committed. A failure changes nothing."""
    row = await promotion.check_promotion(
        session, name, version, expected_epoch=expected_epoch, reason=reason
    )
    wanted = Deployment(name, version, expected_epoch + 1, row.sha256, row.path)
    try:
        prepared = await deployer.prepare(wanted)
    except (BundleError, RuntimeError, OSError) as error:
        log.error("a bundle cannot be deployed", bundle=row.path, fault=str(error))
        raise Conflict(
            f"{name} {version} cannot be loaded, so nothing was changed. The log says which file is at fault."
        ) from error
    promoted = await promotion.promote(
        session, name, version, expected_epoch=expected_epoch, actor=actor, reason=reason
    )
    after_commit(session, partial(deployer.put, prepared))
    return promoted
