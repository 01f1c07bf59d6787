"""Adding a species from a few photos over HTTP, for admins and keys with the scope ``admin``: the form's and the API's
way in are one.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.errors import InvalidField
from app.services.adding.species import AddedSpecies, NamedPhoto, SpeciesAdder, WantedSpecies
from app.settings import Settings
from app.web.answering import Answering
from app.web.dependencies import ApiAdmin, CurrentSettings
from app.web.field_faults import invalid_fields
from app.web.predict import Answers
from app.web.registry import ModelName
from app.web.uploads import SentPhoto, UploadLimits, read_upload
from models.prototypes import MAX_PHOTOS
from models.taxonomy import Taxon

router = APIRouter(prefix="/models", tags=["promotion"])
Name = Annotated[str, Field(max_length=200)]


class SpeciesForm(BaseModel):
    """The fields beside the photos. What is left empty is chosen or derived."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[Name, Field(description="Scientific name, such as Falcaria lacertinaria.")] = ""
    label: Annotated[Name, Field(description="Default: from the name, such as falcaria_lacertinaria.")] = ""
    genus: Annotated[Name, Field(description="Default: the first word of the name.")] = ""
    family: Annotated[Name, Field(description="Default: that of the list's other species of the genus.")] = ""
    vernacular_name: Name = ""
    base: Annotated[
        Name,
        Field(description="Version to add it to. Default: the deployed one, or the newest made from it."),
    ] = ""
    version: Annotated[Name, Field(description="New version. Default: the next minor one.")] = ""


def _body() -> dict[str, Any]:
    image = {
        "type": "array",
        "items": {"type": "string", "format": "binary"},
        "description": f"1 to {MAX_PHOTOS} photos of the species. None of them is kept.",
    }
    properties = {"image": image, **SpeciesForm.model_json_schema()["properties"]}
    schema = {"type": "object", "required": ["image", "name"], "properties": properties}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


class NewSpeciesVersion(BaseModel):
    """The version that has the species now. It is a candidate until it is promoted."""

    model: str
    version: str
    sha256: str
    base: Annotated[str, Field(description="The version that the species was added to.")]
    taxon: Taxon
    num_photos: int
    num_species: int
    notes: Annotated[tuple[str, ...], Field(description="What to know of it, in sentences.")]


async def get_species_adder(request: Request) -> SpeciesAdder:
    """What adds species."""
    adder: SpeciesAdder = request.app.state.species_adder
    return adder


CurrentSpeciesAdder = Annotated[SpeciesAdder, Depends(get_species_adder)]


@router.post("/{name}/species", status_code=201, response_model=NewSpeciesVersion, openapi_extra=_body())
async def add_species(
    request: Request,
    response: Response,
    name: ModelName,
    caller: ApiAdmin,
    settings: CurrentSettings,
    answers: Answers,
    adder: CurrentSpeciesAdder,
) -> NewSpeciesVersion:
    """Add a species from 1 to 20 photos, without training: a new version that marks it as not tested.

    409 where the version is there, 415 or 422 for a photo, which is named, 422 where the model's bundle does not say
    how a species is added.
    """
    with answers.admission.reading() as reservation:
        limits = UploadLimits(MAX_PHOTOS, settings.max_photo_bytes)
        upload = await read_upload(request, limits, reservation.grow)
        added = await adder.add(wanted_species(name, upload.fields, upload.photos), actor=caller.actor)
    row = added.version.row
    response.headers["Location"] = f"/models/{row.model}/versions/{row.version}"
    return NewSpeciesVersion(
        model=row.model,
        version=row.version,
        sha256=row.sha256,
        base=added.base,
        taxon=added.taxon,
        num_photos=added.num_photos,
        num_species=row.num_species,
        notes=added.version.notes,
    )


async def add_sent_form(
    request: Request,
    settings: Settings,
    answers: Answering,
    adder: SpeciesAdder,
    actor: str,
    hear: Callable[[Mapping[str, str]], None],
) -> AddedSpecies:
    """Add the species of a page's form. ``hear`` is told its fields, to check its token and to keep them for the
    page that says what is wrong. Raises as ``SpeciesAdder.add``.
    """
    with answers.admission.reading() as reservation:
        limits = UploadLimits(MAX_PHOTOS, settings.max_photo_bytes)
        upload = await read_upload(request, limits, reservation.grow)
        sent = dict(upload.fields)
        hear(sent)
        fields = [pair for pair in upload.fields if pair[0] not in ("form_token", "model")]
        # A browser sends an empty part for a field of files where none was chosen.
        photos = [photo for photo in upload.photos if photo.data or photo.filename]
        return await adder.add(wanted_species(sent.get("model", ""), fields, photos), actor=actor)


def wanted_species(
    model: str, fields: Sequence[tuple[str, str]], photos: Sequence[SentPhoto]
) -> WantedSpecies:
    """What a form asks for. Raises InvalidField for an unknown or doubled field, and for no photo."""
    names = [name for name, _ in fields]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InvalidField.of(twice[:100], "is given more than once")
    try:
        form = SpeciesForm.model_validate(dict(fields))
    except ValidationError as error:
        raise invalid_fields(error.errors()) from error
    if not photos:
        raise InvalidField.of("image", f"no photo was sent; 1 to {MAX_PHOTOS} go into this field")
    given = {key: value.strip() or None for key, value in form.model_dump(exclude={"name"}).items()}
    named = tuple(
        NamedPhoto(f"Photo {number}{f' ({photo.filename})' if photo.filename else ''}", photo.data)
        for number, photo in enumerate(photos, start=1)
    )
    return WantedSpecies(model, form.name, named, **given)
