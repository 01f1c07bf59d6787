"""Which version is deployed: moving the alias, its history, and following it in every replica.

The database decides; the engine of each process follows. The epoch of a model only ever grows.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.repositories import registry
from app.db.repositories.registry import Deployed, Deployment, Entry
from app.db.session import Sessions
from app.db.tables import PromotionKind, PromotionRow, VersionRow, utc_now
from app.errors import Conflict, InvalidField, NotFound, StaleEpoch
from app.inference.engine import DeployedModel, Engine
from app.services import shadow
from app.services.following import Look
from app.services.gate import Assessment, assess, assess_first, check_gate
from app.services.papers import read_registered
from app.services.registry import get_model, get_version
from app.services.replicas import AnsweringVersion
from app.services.scan import Fault
from app.settings import S3Place, Settings

log: structlog.stdlib.BoundLogger = structlog.get_logger("lighttrap.promotion")
MAX_REASON = 1000
_RETRY_S = 30.0


@dataclass(frozen=True)
class Wanted:
    """What somebody asks for: to deploy a version while the model is at an epoch, who asks, and why.

    ``expected_epoch`` is 0 for a model of which nothing is deployed yet.
    ``override``: why it is right all the same, where the gate refuses. A rollback is never refused: it is what one
    does when the new version is the harm.
    """

    model: str
    version: str
    expected_epoch: int
    actor: str
    reason: str
    kind: PromotionKind = PromotionKind.PROMOTION
    override: str | None = None


async def check_promotion(session: AsyncSession, wanted: Wanted) -> VersionRow:
    """The version to deploy, if that could succeed now, the gate aside.

    Raises NotFound, InvalidField for an empty reason, Conflict when it is deployed already, StaleEpoch.
    """
    row = await get_version(session, wanted.model, wanted.version)
    if not 1 <= len(wanted.reason.strip()) <= MAX_REASON:
        raise InvalidField.of("reason", f"expected 1 to {MAX_REASON} characters that say why")
    alias = await registry.alias_of(session, wanted.model)
    if alias is None and wanted.expected_epoch:
        raise Conflict(f"No version of {wanted.model} is deployed yet, so the epoch to expect is 0.")
    if alias is None:
        return row
    if alias.epoch != wanted.expected_epoch:
        raise await _stale(session, wanted.model, wanted.expected_epoch)
    if alias.version == wanted.version:
        raise Conflict(f"{wanted.model} {wanted.version} is deployed already, at epoch {alias.epoch}.")
    return row


async def pass_gate(session: AsyncSession, settings: Settings, wanted: Wanted) -> Entry:
    """What the history will say of this promotion, once it is judged. Raises PromotionRefused, InvalidField.

    The first version of a model is judged against nothing.
    """
    if await registry.alias_of(session, wanted.model) is None:
        assessment = await assess_first(session, settings, wanted.model, wanted.version)
    else:
        assessment = await assess(session, settings, wanted.model, wanted.version)
    override = None
    if wanted.kind is PromotionKind.PROMOTION:
        override = check_gate(assessment, wanted.version, wanted.override)
    return _entry(wanted, assessment, override)


def _entry(wanted: Wanted, assessment: Assessment, override: str | None) -> Entry:
    verdict = assessment.verdict
    return Entry(
        kind=wanted.kind,
        actor=wanted.actor,
        reason=wanted.reason.strip(),
        override_reason=override,
        verdict=None if verdict is None else verdict.model_dump(mode="json"),
        from_evaluation_sha256=assessment.deployed_evaluation_sha256,
        to_evaluation_sha256=assessment.candidate_evaluation_sha256,
    )


async def promote(session: AsyncSession, wanted: Wanted, entry: Entry) -> PromotionRow:
    """Deploy a version if the model's epoch is the expected one. Of two at once, one gets StaleEpoch.

    ``entry`` is what ``pass_gate`` gave: the epoch sees to it that what was judged is what is replaced.
    Raises what ``check_promotion`` raises.
    """
    await check_promotion(session, wanted)
    before = await registry.alias_of(session, wanted.model)
    promotion = await registry.deploy(
        session,
        wanted.model,
        wanted.version,
        replaces=Deployed(before.version, wanted.expected_epoch) if before else None,
        entry=entry,
        now=utc_now(),
    )
    if promotion is None:
        raise await _stale(session, wanted.model, wanted.expected_epoch)
    await shadow.stop_deployed(session, wanted.model, wanted.version, wanted.actor)
    log.info(
        "promoted",
        model=wanted.model,
        version=wanted.version,
        epoch=promotion.epoch,
        actor=wanted.actor,
        overridden=entry.override_reason is not None,
    )
    return promotion


async def rollback_target(session: AsyncSession, name: str, expected_epoch: int | None = None) -> str:
    """The version deployed before the present one. Raises NotFound, StaleEpoch, or Conflict when there was none."""
    await get_model(session, name)
    rows = await registry.history(session, name)
    if expected_epoch is not None and rows and rows[0].epoch != expected_epoch:
        raise await _stale(session, name, expected_epoch)
    target = version_before(rows)
    if target is None:
        raise Conflict(f"There is no earlier version of {name} to roll back to.")
    return target


async def check_rollback(session: AsyncSession, wanted: Wanted) -> None:
    """Raises Conflict unless this is what a rollback would deploy: a page may be older than what happened since."""
    await check_promotion(session, wanted)
    target = await rollback_target(session, wanted.model)
    if target != wanted.version:
        raise Conflict(f"A rollback of {wanted.model} leads to {target} now, not to {wanted.version}.")


def version_before(history: Sequence[PromotionRow]) -> str | None:
    """What a rollback leads to; ``history`` is newest first. None where there was nothing before.

    Each rollback takes the last promotion back, so a second one goes further back: never forth again, past the gate.
    """
    deployed: list[str] = []
    for row in reversed(history):
        if row.kind is PromotionKind.ROLLBACK:
            deployed.pop()
        else:
            deployed.append(row.to_version)
    return deployed[-2] if len(deployed) > 1 else None


async def history_of(session: AsyncSession, name: str) -> list[PromotionRow]:
    """The promotions of a model, newest first. Raises NotFound."""
    await get_model(session, name)
    return await registry.history(session, name)


async def _stale(session: AsyncSession, name: str, expected_epoch: int) -> StaleEpoch:
    last = await registry.history(session, name, limit=1)
    if not last:
        raise NotFound(f"There is no history of a model named {name!r}.")
    now = last[0]
    when = now.created_at.strftime("%Y-%m-%d %H:%M:%S UTC")
    return StaleEpoch(
        f"{now.actor} deployed {now.to_version} on {when}, which made it epoch {now.epoch}; you expected "
        f"epoch {expected_epoch}. Their reason: “{now.reason}” Nothing was changed by you."
    )


class Deployer:
    """Brings this process's engine to what the database says is deployed, whole and only forwards."""

    def __init__(
        self,
        engine: Engine,
        sessions: Sessions,
        store: Path | S3Place,
        store_faults: Sequence[Fault] = (),
    ) -> None:
        self._store_faults = tuple(store_faults)
        self._engine, self._sessions, self._store = engine, sessions, store
        self._faults: dict[str, tuple[Deployment, str, float]] = {}
        self._swapping = asyncio.Lock()
        self.on_change: Look | None = None

    @property
    def faults(self) -> list[str]:
        """Bundles that cannot be used here, in sentences: deployed ones first, then others of the store."""
        deployed = {
            wanted.path: self._advice(wanted, message) for wanted, message, _ in self._faults.values()
        }
        others = {
            fault.path: fault.message
            for fault in self._store_faults
            if fault.path not in deployed and not self._is_back(fault)
        }
        return [f"{path}: {message}" for path, message in (deployed | others).items()]

    def _advice(self, wanted: Deployment, message: str) -> str:
        """What is wrong with a deployed bundle, what that means here, and what to do about it."""
        present = {each.card.name: each for each in self._engine.deployed()}.get(wanted.model)
        now = f"{present.card.version} still answers" if present else "nothing answers"
        return (
            f"{message}; it is deployed, and {now} for {wanted.model} here: put the bundle back, or deploy another "
            f"version on /admin/models or with `python -m app model promote {wanted.model} VERSION --reason WHY`"
        )

    def _is_back(self, fault: Fault) -> bool:
        """Whether a folder that a start missed was put back since."""
        return fault.removed and isinstance(self._store, Path) and (self._store / fault.path).is_dir()

    def answering(self) -> tuple[AnsweringVersion, ...]:
        """What this process answers with, and why it does not follow where it does not."""
        faults = {
            wanted.model: f"{wanted.version}: {message}" for wanted, message, _ in self._faults.values()
        }
        present = {deployed.card.name: deployed for deployed in self._engine.deployed()}
        return tuple(
            AnsweringVersion(
                model=name,
                version=present[name].card.version if name in present else None,
                epoch=present[name].epoch if name in present else 0,
                fault=faults.get(name),
            )
            for name in sorted(present.keys() | faults.keys())
        )

    async def prepare(self, wanted: Deployment) -> DeployedModel:
        """The version verified, loaded and warmed, but not answering yet. Raises BundleError."""
        return await asyncio.to_thread(self._load, wanted)

    def _load(self, wanted: Deployment) -> DeployedModel:
        return self._engine.load(read_registered(self._store, wanted.path, wanted.sha256), epoch=wanted.epoch)

    async def put(self, prepared: DeployedModel) -> None:
        """Answer with this version from now on, unless a later epoch answers already."""
        async with self._swapping:
            name = prepared.card.name
            if prepared.epoch > self._epochs().get(name, 0):
                self._engine.swap(prepared)
                self._faults.pop(name, None)
                log.info("answering", model=name, version=prepared.card.version, epoch=prepared.epoch)
        if self.on_change is not None:
            await self.on_change()

    async def follow_once(self) -> None:
        """Load whatever is deployed and not answering here. A failure keeps the version that answers."""
        async with self._sessions() as session:
            deployments = await registry.deployments(session)
        epochs = self._epochs()
        for wanted in deployments:
            if wanted.epoch > epochs.get(wanted.model, 0) and not self._failed_just_now(wanted):
                await self._follow(wanted)
        self._engine.unavailable = {each.model for each in deployments} - set(self._epochs())

    async def _follow(self, wanted: Deployment) -> None:
        try:
            await self.put(await self.prepare(wanted))
        except Exception as error:  # whatever is wrong with this bundle, the others must go on
            when = asyncio.get_running_loop().time()
            self._faults[wanted.model] = (wanted, self._without_place(wanted, str(error)), when)
            log.error("a deployed bundle cannot be loaded", bundle=wanted.path, fault=str(error))

    def _without_place(self, wanted: Deployment, message: str) -> str:
        """A fault without the store's place on this machine: ``/readyz`` is for everybody."""
        place = self._store / wanted.path if isinstance(self._store, Path) else wanted.path
        return message.removeprefix(f"{place}: ")

    def _failed_just_now(self, wanted: Deployment) -> bool:
        fault = self._faults.get(wanted.model)
        if fault is None or fault[0] != wanted:
            return False
        return asyncio.get_running_loop().time() - fault[2] < _RETRY_S

    def _epochs(self) -> dict[str, int]:
        return {deployed.card.name: deployed.epoch for deployed in self._engine.deployed()}
