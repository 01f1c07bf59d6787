"""The registry over HTTP, for everybody: models, versions, species, evaluations, bundles to take along."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path
from fastapi.responses import StreamingResponse
from pydantic import Field

from app.db.tables import VersionRow
from app.errors import NotFound
from app.services import registry
from app.services.answer_parts.base import AnswerPart
from app.services.answer_parts.species import AddedFrom, Evidence
from app.services.archive import stream_zip
from app.services.papers import papers_of, verify
from app.services.registry import ModelSummary
from app.settings import Settings
from app.web.dependencies import CurrentSettings, Reader, Session
from models.card import ModelCard
from models.groups import Group
from models.metrics import Evaluation
from models.taxonomy import Taxon

router = APIRouter(prefix="/models", tags=["models"])

ModelName = Annotated[str, Path(description="Name of the model.", max_length=64)]
ModelVersion = Annotated[str, Path(description="Version, such as 1.0.0.", max_length=32)]


class DeployedVersion(AnswerPart):
    """The version that answers. ``epoch`` counts the promotions of its model."""

    version: str
    sha256: str
    epoch: int


class ModelEntry(AnswerPart):
    """A model: one fauna, one line of versions."""

    name: str
    title: str
    num_species: int
    is_default: Annotated[bool, Field(description="Whether it answers requests that name no model.")]
    deployed: DeployedVersion | None
    versions: Annotated[tuple[str, ...], Field(description="Oldest first.")]


class Models(AnswerPart):
    """Every model of this service, by name."""

    models: tuple[ModelEntry, ...]


class VersionEntry(AnswerPart):
    """A version and the figures on its card."""

    version: str
    sha256: Annotated[str, Field(description="Of the bundle's SHA256SUMS, and so of everything in it.")]
    title: str
    num_species: int
    figures: tuple[dict[str, Any], ...]
    added_at: datetime
    deployed: bool


class ModelDetail(ModelEntry):
    """A model with what is known of each version."""

    details: tuple[VersionEntry, ...]


class VersionDetail(VersionEntry):
    """A version with its whole card."""

    card: ModelCard


class SpeciesEntry(AnswerPart):
    """A label of the species list, and how well it is known."""

    taxon: Taxon
    group: Group
    training_count: int
    evidence: Evidence
    added_from: AddedFrom = None


class SpeciesList(AnswerPart):
    """The species list of a deployed version, in its order."""

    species: tuple[SpeciesEntry, ...]


@router.get("")
async def list_models(_caller: Reader, session: Session, settings: CurrentSettings) -> Models:
    """Every model, and which of its versions is deployed."""
    summaries = await registry.list_models(session)
    default = default_name(summaries, settings.default_model)
    return Models(models=tuple(ModelEntry(**_entry(summary, default)) for summary in summaries))


@router.get("/{name}")
async def get_model(
    _caller: Reader, name: ModelName, session: Session, settings: CurrentSettings
) -> ModelDetail:
    """One model with its versions."""
    summary = await registry.get_model(session, name)
    default = default_name(await registry.list_models(session), settings.default_model)
    details = tuple(VersionEntry(**_version(row, summary)) for row in summary.versions)
    return ModelDetail(**_entry(summary, default), details=details)


@router.get("/{name}/species")
async def list_species(
    _caller: Reader, name: ModelName, session: Session, settings: CurrentSettings
) -> SpeciesList:
    """What the deployed version knows: each species with its group, training count and test figures."""
    summary = await registry.get_model(session, name)
    if summary.deployed is None:
        raise NotFound(f"No version of {name} is deployed.")
    papers = await papers_of(settings.store, summary.shown)
    return SpeciesList(
        species=tuple(
            SpeciesEntry(
                taxon=taxon,
                group=metrics.group,
                training_count=metrics.training_count,
                evidence=Evidence.of(metrics),
                added_from=prototype.num_photos
                if (prototype := papers.card.prototype(taxon.label))
                else None,
            )
            for taxon, metrics in zip(papers.card.taxa, papers.evaluation.species, strict=True)
        )
    )


@router.get("/{name}/versions/{version}")
async def get_version(
    _caller: Reader, name: ModelName, version: ModelVersion, session: Session, settings: CurrentSettings
) -> VersionDetail:
    """One version with its card."""
    summary = await registry.get_model(session, name)
    row = await registry.get_version(session, name, version)
    papers = await papers_of(settings.store, row)
    return VersionDetail(**_version(row, summary), card=papers.card)


@router.get("/{name}/versions/{version}/evaluation")
async def get_evaluation(
    _caller: Reader, name: ModelName, version: ModelVersion, session: Session, settings: CurrentSettings
) -> Evaluation:
    """Every figure of one version, by group and by species, with intervals."""
    row = await registry.get_version(session, name, version)
    return (await papers_of(settings.store, row)).evaluation


@router.get(
    "/{name}/versions/{version}/bundle",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/zip": {}}, "description": "The bundle's folder as a zip."}},
)
async def get_bundle(
    _caller: Reader, name: ModelName, version: ModelVersion, session: Session, settings: CurrentSettings
) -> StreamingResponse:
    """The bundle, for tools that work without a network."""
    row = await registry.get_version(session, name, version)
    folder = await verify(settings.store, row)
    file_name = f"{row.model}-{row.version}"
    headers = {
        "Content-Disposition": f'attachment; filename="{file_name}.zip"',
        "ETag": f'"{row.sha256}"',
        "Cache-Control": f"{_caching(settings)}, max-age=31536000, immutable",
    }
    chunks = stream_zip(folder, file_name)
    return StreamingResponse(chunks, media_type="application/zip", headers=headers)


def _caching(settings: Settings) -> str:
    """A cache between us and a reader must not give to others what is closed to them."""
    return "public" if settings.public_identify else "private"


def default_name(summaries: list[ModelSummary], wanted: str, with_model: str | None = None) -> str | None:
    """The model that answers where none is named: the wanted one if deployed, else the first by name.

    ``with_model``: were a version of this one deployed as well.
    """
    names = [
        summary.name for summary in summaries if summary.deployed is not None or summary.name == with_model
    ]
    return wanted if wanted in names else min(names, default=None)


def _entry(summary: ModelSummary, default: str | None) -> dict[str, Any]:
    deployed = summary.deployed
    return {
        "name": summary.name,
        "title": summary.shown.title,
        "num_species": summary.shown.num_species,
        "is_default": summary.name == default,
        "deployed": deployed
        and DeployedVersion(version=deployed.version, sha256=deployed.sha256, epoch=deployed.epoch),
        "versions": tuple(row.version for row in summary.versions),
    }


def _version(row: VersionRow, summary: ModelSummary) -> dict[str, Any]:
    return {
        "version": row.version,
        "sha256": row.sha256,
        "title": row.title,
        "num_species": row.num_species,
        "figures": tuple(row.figures),
        "added_at": row.added_at,
        "deployed": summary.deployed is not None and summary.deployed.version == row.version,
    }
