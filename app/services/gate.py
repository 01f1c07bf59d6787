"""What stands between a candidate and its promotion: the policy, the protected species, and the verdict on two bundles.

The rule itself is ``app.services.judge``; this reads what it needs and turns a refusal into an error.
"""

import asyncio
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache

from sqlalchemy.ext.asyncio import AsyncSession

from app.db.repositories import registry
from app.db.tables import ProtectedSpeciesRow, VersionRow
from app.errors import Conflict, FieldError, InternalError, InvalidField, NotFound, PromotionRefused
from app.services.judge import Contender, Policy, Verdict, judge
from app.services.papers import Papers, papers_of
from app.services.registry import get_model, get_version
from app.settings import Settings

MAX_OVERRIDE = 1000
MIN_OVERRIDE = 10
_HOW_TO_OVERRIDE = (
    "An admin may promote it all the same by saying why (`override`); that stays in the history."
)


@dataclass(frozen=True)
class Assessment:
    """The verdict on a candidate, and which evaluations it was made from. None: that bundle cannot be read.

    ``is_first``: nothing is deployed, so there is nothing to judge it against.
    """

    verdict: Verdict | None
    deployed_evaluation_sha256: str | None
    candidate_evaluation_sha256: str
    is_first: bool = False


async def assess(session: AsyncSession, settings: Settings, model: str, version: str) -> Assessment:
    """Judge a version against the deployed one.

    Raises NotFound, or Conflict when its bundle cannot be read or nothing is deployed to compare it with.
    """
    row = await get_version(session, model, version)
    deployed = (await get_model(session, model)).deployed
    if deployed is None:
        raise Conflict(f"No version of {model} is deployed, so there is nothing to judge {version} against.")
    candidate = await _candidate(settings, row)
    try:
        reference = await papers_of(settings.store, await get_version(session, model, deployed.version))
    except InternalError:
        return Assessment(None, None, candidate.evaluation_sha256)
    policy = await policy_of(session, settings, model)
    verdict = await asyncio.to_thread(
        _judged, version, candidate, deployed.version, reference, policy.model_dump_json()
    )
    return Assessment(verdict, reference.evaluation_sha256, candidate.evaluation_sha256)


async def assess_first(session: AsyncSession, settings: Settings, model: str, version: str) -> Assessment:
    """A version of a model of which none is deployed. Raises NotFound, or Conflict when it cannot be read."""
    candidate = await _candidate(settings, await get_version(session, model, version))
    return Assessment(None, None, candidate.evaluation_sha256, is_first=True)


async def _candidate(settings: Settings, row: VersionRow) -> Papers:
    try:
        return await papers_of(settings.store, row)
    except InternalError as error:
        raise cannot_be_loaded(row.model, row.version) from error


@lru_cache(maxsize=64)
def _judged(version: str, candidate: Papers, deployed: str, reference: Papers, policy: str) -> Verdict:
    """Judging takes a second; pages ask for the same verdict again and again."""
    return judge(
        Contender(version, candidate.measured),
        Contender(deployed, reference.measured),
        Policy.model_validate_json(policy),
    )


def cannot_be_loaded(model: str, version: str) -> Conflict:
    """The refusal of a version whose bundle is damaged or gone."""
    return Conflict(
        f"{model} {version} cannot be loaded, so nothing was changed. The log says which file is at fault."
    )


async def policy_of(session: AsyncSession, settings: Settings, model: str) -> Policy:
    """What is refused for this model."""
    protected = await registry.protected_species(session, model)
    return Policy(
        max_recall_fall=settings.max_recall_fall,
        max_ece_growth=settings.max_ece_growth,
        protected=tuple(row.label for row in protected),
    )


def check_gate(assessment: Assessment, version: str, override: str | None) -> str | None:
    """The reason of an override, None where none is needed.

    Raises PromotionRefused, or InvalidField for an override that is too short or that nothing calls for: who always
    sends one would never see a refusal.
    """
    reason = (override or "").strip()
    refusals = _refusals(assessment)
    if not refusals:
        if reason:
            raise InvalidField.of("override", f"nothing speaks against {version}, so leave this out")
        return None
    if not reason:
        findings = " ".join(error.message for error in refusals)
        detail = f"{version} was not promoted. {findings} {_HOW_TO_OVERRIDE}"
        raise PromotionRefused(detail, errors=refusals)
    if not MIN_OVERRIDE <= len(reason) <= MAX_OVERRIDE:
        raise InvalidField.of(
            "override", f"expected {MIN_OVERRIDE} to {MAX_OVERRIDE} characters that say why it is right"
        )
    return reason


def _refusals(assessment: Assessment) -> list[FieldError]:
    if assessment.is_first:
        return []
    if assessment.verdict is None:
        message = (
            "The bundle of the deployed version is damaged or gone, so nobody can say what would be lost."
        )
        return [FieldError("comparable.all", message)]
    return [FieldError(f"{each.rule}.{each.subject}", each.message) for each in assessment.verdict.refusals]


async def protected_species(session: AsyncSession, model: str) -> list[ProtectedSpeciesRow]:
    """The protected species of a model, by label. Raises NotFound."""
    await get_model(session, model)
    return await registry.protected_species(session, model)


async def protect(session: AsyncSession, settings: Settings, model: str, label: str, actor: str) -> None:
    """Protect a species of the version that speaks for the model. Raises NotFound, InvalidField, Conflict."""
    shown: VersionRow = (await get_model(session, model)).shown
    labels = [taxon.label for taxon in (await papers_of(settings.store, shown)).card.taxa]
    if label not in labels:
        near = get_close_matches(label, labels, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise InvalidField.of("label", f"is not in the species list of {model} {shown.version}{hint}")
    if not await registry.protect_species(session, model, label, actor):
        raise Conflict(f"{label} is protected already.")


async def unprotect(session: AsyncSession, model: str, label: str) -> None:
    """Protect a species no more. Raises NotFound."""
    if not await registry.unprotect_species(session, model, label):
        raise NotFound(f"{label!r} is not a protected species of {model}.")
