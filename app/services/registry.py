"""Models and versions: registering the store, and what a start deploys.

A bad bundle is skipped with a sentence that names the file and the fault; the others serve. Only a first start deploys
by itself: later on that is for an admin to decide.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.repositories import registry
from app.db.repositories.registry import Deployed, Deployment, Entry
from app.db.session import Sessions, lock_database
from app.db.tables import AdditionRow, PromotionKind, VersionRow, utc_now
from app.errors import NotFound
from app.services.scan import Fault, Found, Scan, scan_store
from app.settings import S3Place
from models.card import version_key

log: structlog.stdlib.BoundLogger = structlog.get_logger("lighttrap.registry")
FOUND_BY = "start"
FIRST_REASON = "First version of this model, found in the store when nothing had been deployed yet."
GONE = "is registered, but its folder is not in the store any more; put it back, or add the same bundle once more"
NOTHING_IN_BUCKET = Scan()


@dataclass(frozen=True)
class ModelSummary:
    """A model, its versions in order (oldest first), and which one is deployed."""

    name: str
    versions: tuple[VersionRow, ...]
    deployed: Deployment | None

    @property
    def shown(self) -> VersionRow:
        """The version that speaks for the model: the deployed one, else the newest."""
        version = self.deployed.version if self.deployed else self.versions[-1].version
        return next(row for row in self.versions if row.version == version)


@dataclass(frozen=True)
class _Registered:
    """What a start put into the registry, and the faults of the rest."""

    new: tuple[Found, ...]
    faults: tuple[Fault, ...]


async def _register_store(session: AsyncSession, store: Path | S3Place, in_bucket: Scan) -> _Registered:
    """Register every good bundle that is not registered yet.

    A version that is gone from a bucket is not missed: this machine may have a copy, and the bucket may be away.
    """
    is_bucket = isinstance(store, S3Place)
    scan = in_bucket if isinstance(store, S3Place) else await asyncio.to_thread(scan_store, store)
    await lock_database(session)
    new, faults = [], list(scan.faults)
    for found in scan.found:
        known = await registry.version_of(session, found.name, found.version)
        if known is None:
            await add_version(session, found, actor=FOUND_BY)
            new.append(found)
        elif known.sha256 != found.sha256:
            faults.append(Fault(found.path, _changed(known, found)))
    present = {found.path for found in scan.found} | {fault.path for fault in faults}
    for row in [] if is_bucket else await registry.all_versions(session):
        if row.path not in present:
            faults.append(Fault(row.path, GONE, removed=True))
    return _Registered(tuple(new), tuple(faults))


def _changed(known: VersionRow, found: Found) -> str:
    return (
        f"this version is registered with SHA-256 {known.sha256[:12]}…, this one has {found.sha256[:12]}…; "
        "versions are immutable: give the changed bundle another version"
    )


async def add_version(session: AsyncSession, found: Found, *, actor: str) -> VersionRow:
    """Register a version, and who added it."""
    await registry.add_model(session, found.name)
    row = VersionRow(
        model=found.name,
        version=found.version,
        sha256=found.sha256,
        path=found.path,
        title=found.title,
        num_species=found.num_species,
        figures=list(found.figures),
    )
    session.add(row)
    await session.flush()
    session.add(
        AdditionRow(
            model=found.name,
            version=found.version,
            sha256=found.sha256,
            actor=actor,
            signed_by=found.signed_by,
        )
    )
    await session.flush()
    log.info("registered", model=found.name, version=found.version, sha256=found.sha256[:12], actor=actor)
    return row


async def deploy_first(session: AsyncSession, new: Sequence[Found]) -> None:
    """Where nothing was deployed ever, deploy the lowest version of each model that this start found, at epoch 1.

    Later on no start deploys a new model, and none deploys what somebody added: it waits for an admin's promotion.
    """
    if await registry.was_ever_deployed(session):
        return
    for name in sorted({found.name for found in new}):
        first = min((found.version for found in new if found.name == name), key=version_key)
        entry = Entry(PromotionKind.START, "first start", FIRST_REASON)
        await registry.deploy(session, name, first, replaces=None, entry=entry, now=utc_now())
        log.info("deployed", model=name, version=first, epoch=1)


async def replace_removed(session: AsyncSession, faults: Sequence[Fault]) -> dict[str, str]:
    """Where the deployed version is no longer in the store, as after an update that ships a newer one, deploy the
    next good version. A version that is there but damaged stays: that is a person's to decide.

    Gives the version that is deployed instead, by path of the one that is gone.
    """
    instead: dict[str, str] = {}
    removed = {fault.path for fault in faults if fault.removed}
    unusable = {fault.path for fault in faults}
    for deployment in await registry.deployments(session):
        if deployment.path not in removed:
            continue
        summary = await get_model(session, deployment.model)
        good = [row.version for row in summary.versions if row.path not in unusable]
        newer = [version for version in good if version_key(version) > version_key(deployment.version)]
        if not good:
            continue
        version = newer[0] if newer else good[-1]
        if await _deploy_instead(session, deployment, version):
            instead[deployment.path] = version
    return instead


async def _deploy_instead(session: AsyncSession, removed: Deployment, version: str) -> bool:
    """False where somebody else was first."""
    promotion = await registry.deploy(
        session,
        removed.model,
        version,
        replaces=Deployed(removed.version, removed.epoch),
        entry=Entry(PromotionKind.START, "start", f"Version {removed.version} is not in the store any more."),
        now=utc_now(),
    )
    if promotion is None:
        return False
    log.warning("deployed instead", model=removed.model, version=version, removed=removed.version)
    return True


async def prepare_registry(
    sessions: Sessions, store: Path | S3Place, in_bucket: Scan = NOTHING_IN_BUCKET
) -> list[Fault]:
    """Register what the store holds, and deploy at a first start, in one transaction. A second time changes nothing.

    ``in_bucket``: what ``app.services.bucket`` found, where the store is one.
    """
    async with sessions() as session:
        registered = await _register_store(session, store, in_bucket)
        await deploy_first(session, registered.new)
        instead = await replace_removed(session, registered.faults)
        await session.commit()
    faults = [
        replace(fault, message=_replaced(instead[fault.path])) if fault.path in instead else fault
        for fault in registered.faults
    ]
    for fault in faults:
        log.error("a bundle cannot be used", bundle=fault.path, fault=fault.message)
    return faults


def _replaced(version: str) -> str:
    return (
        f"was deployed, but its folder is not in the store any more, so this start deployed {version} instead, which "
        "nobody could compare with it; to go back, put the folder back, or add the same bundle once more, and roll back"
    )


async def list_models(session: AsyncSession) -> list[ModelSummary]:
    """Every model that has a version, by name."""
    deployed = {deployment.model: deployment for deployment in await registry.deployments(session)}
    rows = sorted(await registry.all_versions(session), key=_by_version)
    names = sorted({row.model for row in rows})
    return [
        ModelSummary(name, tuple(row for row in rows if row.model == name), deployed.get(name))
        for name in names
    ]


async def get_model(session: AsyncSession, name: str) -> ModelSummary:
    """One model. Raises NotFound."""
    for summary in await list_models(session):
        if summary.name == name:
            return summary
    raise NotFound(f"There is no model named {name!r}.")


async def get_version(session: AsyncSession, name: str, version: str) -> VersionRow:
    """One version. Raises NotFound."""
    row = await registry.version_of(session, name, version)
    if row is None:
        raise NotFound(f"There is no version {version!r} of a model named {name!r}.")
    return row


def _by_version(row: VersionRow) -> tuple[str, tuple[int, ...]]:
    return row.model, version_key(row.version)
