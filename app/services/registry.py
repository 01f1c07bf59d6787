"""Models and versions: registering the store, deploying what is new.

A bad bundle is skipped with a sentence that names the file and the fault; the others serve.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.repositories import registry
from app.db.repositories.registry import Deployed, Deployment, Entry
from app.db.session import Sessions, lock_database
from app.db.tables import AdditionRow, PromotionKind, VersionRow, utc_now
from app.errors import NotFound
from app.settings import S3Place
from models import bundle
from models.bundle import Bundle, BundleError
from models.card import ModelCard, version_key

log: structlog.stdlib.BoundLogger = structlog.get_logger("lighttrap.registry")
FOUND_BY = "start"
SHIPPED_REASON = "First version of this model: deployed at its registration."


@dataclass(frozen=True)
class Found:
    """A good bundle of the store: what the registry keeps of it."""

    name: str
    version: str
    sha256: str
    title: str
    num_species: int
    figures: tuple[dict[str, object], ...]

    @property
    def path(self) -> str:
        """Where it lies, from the store."""
        return f"{self.name}/{self.version}"


@dataclass(frozen=True)
class Fault:
    """A bundle that cannot be used: where it lies in the store, and why, naming the file."""

    path: str
    message: str
    removed: bool = False

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


@dataclass(frozen=True)
class Scan:
    """What a look through the store gave."""

    found: tuple[Found, ...]
    faults: tuple[Fault, ...]


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


def scan_store(store: Path) -> Scan:
    """Verify every bundle of the store. A missing store is a fault, not an error."""
    if not store.is_dir():
        return Scan((), (Fault(str(store), "there is no such folder, so there is no bundle to deploy"),))
    found: list[Found] = []
    faults: list[Fault] = []
    for folder in sorted(_bundle_folders(store)):
        path = folder.relative_to(store).as_posix()
        try:
            found.append(_found(bundle.read(folder), path))
        except (BundleError, OSError) as error:
            faults.append(Fault(path, str(error).removeprefix(f"{folder}: ")))
    return Scan(tuple(found), tuple(faults))


def _bundle_folders(store: Path) -> Iterable[Path]:
    models = [folder for folder in store.iterdir() if folder.is_dir() and not folder.name.startswith(".")]
    return [
        folder
        for model in models
        for folder in model.iterdir()
        if folder.is_dir() and not folder.name.startswith(".")
    ]


def _found(good: Bundle, path: str) -> Found:
    card = good.card
    if path != f"{card.name}/{card.version}":
        raise BundleError(f"{bundle.CARD}: says it is {card.name} {card.version}, but lies in {path}")
    return found_of(card, good.sha256)


def found_of(card: ModelCard, sha256: str) -> Found:
    """What the registry keeps of a bundle with this card."""
    figures = tuple(figure.model_dump(mode="json") for figure in card.figures)
    return Found(card.name, card.version, sha256, card.title, card.num_classes, figures)


async def register_store(session: AsyncSession, store: Path | S3Place) -> list[Fault]:
    """Register every good bundle that is not registered yet. Returns the faults of the others.

    A bucket is not looked through: what is in it was added, and so registered, and it may be away at a start.
    """
    if isinstance(store, S3Place):
        return []
    scan = await asyncio.to_thread(scan_store, store)
    await lock_database(session)
    faults = list(scan.faults)
    for found in scan.found:
        known = await registry.version_of(session, found.name, found.version)
        if known is None:
            await add_version(session, found, found.path, actor=FOUND_BY)
        elif known.sha256 != found.sha256:
            faults.append(Fault(found.path, _changed(known, found)))
    present = {found.path for found in scan.found} | {fault.path for fault in faults}
    for row in await registry.all_versions(session):
        if row.path not in present:
            message = "is registered, but its folder is not in the store any more"
            faults.append(Fault(row.path, message, removed=True))
    return faults


def _changed(known: VersionRow, found: Found) -> str:
    return (
        f"this version is registered with SHA-256 {known.sha256[:12]}…, this one has {found.sha256[:12]}…; "
        "versions are immutable: give the changed bundle another version"
    )


async def add_version(
    session: AsyncSession, found: Found, path: str, *, actor: str, signed_by: str | None = None
) -> VersionRow:
    """Register a version, and who added it. ``path``: where it lies in the store."""
    await registry.add_model(session, found.name)
    row = VersionRow(
        model=found.name,
        version=found.version,
        sha256=found.sha256,
        path=path,
        title=found.title,
        num_species=found.num_species,
        figures=list(found.figures),
    )
    session.add(row)
    await session.flush()
    session.add(
        AdditionRow(
            model=found.name, version=found.version, sha256=found.sha256, actor=actor, signed_by=signed_by
        )
    )
    await session.flush()
    log.info("registered", model=found.name, version=found.version, sha256=found.sha256[:12], actor=actor)
    return row


async def deploy_new(session: AsyncSession) -> list[Deployment]:
    """Deploy the lowest version of each model that has none deployed, at epoch 1."""
    deployed = {deployment.model for deployment in await registry.deployments(session)}
    for summary in await list_models(session):
        if summary.name in deployed:
            continue
        first = summary.versions[0]
        entry = Entry(PromotionKind.START, "first start", SHIPPED_REASON)
        await registry.deploy(session, summary.name, first.version, replaces=None, entry=entry, now=utc_now())
        log.info("deployed", model=summary.name, version=first.version, epoch=1)
    return await registry.deployments(session)


async def replace_removed(session: AsyncSession, faults: Sequence[Fault]) -> None:
    """Where the deployed version is no longer in the store, as after an update that ships a newer one, deploy the
    next good version. A version that is there but damaged stays: that is a person's to decide.
    """
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
        await _deploy_instead(session, deployment, newer[0] if newer else good[-1])


async def _deploy_instead(session: AsyncSession, removed: Deployment, version: str) -> None:
    promotion = await registry.deploy(
        session,
        removed.model,
        version,
        replaces=Deployed(removed.version, removed.epoch),
        entry=Entry(PromotionKind.START, "start", f"Version {removed.version} is not in the store any more."),
        now=utc_now(),
    )
    if promotion is None:
        return  # somebody else was first
    log.warning("deployed instead", model=removed.model, version=version, removed=removed.version)


async def prepare_registry(sessions: Sessions, store: Path | S3Place) -> list[Fault]:
    """Register and deploy what the store holds, in one transaction. Changes nothing the second time."""
    async with sessions() as session:
        faults = await register_store(session, store)
        await deploy_new(session)
        await replace_removed(session, faults)
        await session.commit()
    for fault in faults:
        log.error("a bundle cannot be used", bundle=fault.path, fault=fault.message)
    return faults


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
