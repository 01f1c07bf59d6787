"""Adding versions over HTTP, for admins and keys with the scope ``admin``; who added which."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from app.db.repositories import bundles
from app.services import registry
from app.services.adding.add import Added, Adder
from app.services.adding.process import not_written
from app.settings import Settings
from app.store.incoming import new_place
from app.web.dependencies import ApiAdmin, CurrentSettings, Session
from app.web.registry import ModelName
from app.web.zip_upload import CheckForm, ZipKind, receive_zip

router = APIRouter(prefix="/models", tags=["promotion"])
BUNDLE = ZipKind("bundle", "the bundle's zip", "no file was sent; choose the zip of a bundle")
_FILE: dict[str, Any] = {"type": "string", "format": "binary"}
_FORM = {"type": "object", "required": [BUNDLE.field], "properties": {BUNDLE.field: _FILE}}
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/zip": {"schema": _FILE}, "multipart/form-data": {"schema": _FORM}},
    }
}


async def get_adder(request: Request) -> Adder:
    """What adds versions."""
    adder: Adder = request.app.state.adder
    return adder


CurrentAdder = Annotated[Adder, Depends(get_adder)]


class Addition(BaseModel):
    """Who added a version, and when. ``signed_by``: name of the trusted key that signed it."""

    model_config = ConfigDict(from_attributes=True)

    model: str
    version: str
    sha256: str
    actor: str
    signed_by: str | None
    created_at: datetime


class Additions(BaseModel):
    """Added versions of a model, newest first. Versions from before this was kept are not among them."""

    additions: tuple[Addition, ...]


class AddedVersion(BaseModel):
    """A version that is in the registry now."""

    model_config = ConfigDict(extra="forbid")

    model: str
    version: str
    sha256: str
    title: str
    num_species: int
    deployed: Annotated[
        bool, Field(description="Whether it answers: false for a new one, which waits for a promotion.")
    ]
    signed_by: Annotated[str | None, Field(description="Name of the trusted key that signed it.")]
    notes: Annotated[tuple[str, ...], Field(description="What to know of it, in sentences.")]
    compared_with: Annotated[
        str | None, Field(description="The deployed version that species are compared with.")
    ]
    species_added: tuple[str, ...]
    species_removed: tuple[str, ...]


@router.post(
    "/{name}/versions",
    status_code=201,
    response_model=AddedVersion,
    openapi_extra=BODY,
    responses={200: {"model": AddedVersion, "description": "The very same bundle was there already."}},
)
async def add_version(
    request: Request,
    response: Response,
    name: ModelName,
    caller: ApiAdmin,
    settings: CurrentSettings,
    adder: CurrentAdder,
) -> AddedVersion:
    """Add a version: the zip of a bundle, checked by a process of its own before anything of it is kept.

    422 ``bundle-refused`` names the file and the fault. 409 where this version is there with other content.
    """
    added = await upload(request, settings, adder, actor=caller.actor, model=name)
    response.status_code = 201 if added.is_new else 200
    response.headers["Location"] = f"/models/{added.row.model}/versions/{added.row.version}"
    return AddedVersion(
        model=added.row.model,
        version=added.row.version,
        sha256=added.row.sha256,
        title=added.row.title,
        num_species=added.row.num_species,
        deployed=added.is_deployed,
        signed_by=added.signed_by,
        notes=added.notes,
        compared_with=added.species.against,
        species_added=added.species.added,
        species_removed=added.species.removed,
    )


@router.get("/{name}/additions")
async def list_additions(name: ModelName, caller: ApiAdmin, session: Session) -> Additions:
    """Who added which version, and when: lines that the database lets nobody rewrite."""
    await registry.get_model(session, name)
    rows = await bundles.additions(session, name)
    return Additions(additions=tuple(Addition.model_validate(row) for row in rows))


async def upload(
    request: Request,
    settings: Settings,
    adder: Adder,
    *,
    actor: str,
    model: str | None = None,
    check_form: CheckForm | None = None,
) -> Added:
    """Stream a request's bundle to the store's disk and add it. Raises what these raise."""
    adder.check_free()
    try:
        with new_place(adder.store.incoming) as place:
            archive = place / "upload.zip"
            await receive_zip(request, archive, BUNDLE, settings.max_bundle_bytes, check_form)
            return await adder.with_species(await adder.add(archive, place, actor=actor, model=model))
    except OSError as error:
        raise not_written(error) from error
