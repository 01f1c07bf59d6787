"""Kept photos, for viewing: re-encoded, without metadata."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Request
from fastapi.responses import FileResponse

from app.db.repositories import identifications
from app.errors import NotFound
from app.services.photo_files import PhotoFiles
from app.web.dependencies import Identifier, Session
from app.web.predict import MAX_PHOTOS

router = APIRouter(tags=["identify"])

Position = Annotated[int, Path(ge=0, lt=MAX_PHOTOS, description="Place among the photos, from 0.")]


@router.get(
    "/photos/{identification_id}/{position}",
    response_class=FileResponse,
    responses={200: {"content": {"image/jpeg": {}}}, 404: {"description": NotFound.title}},
)
async def photo(
    request: Request, identification_id: UUID, position: Position, caller: Identifier, session: Session
) -> FileResponse:
    """A photo of an identification as it was kept: re-encoded, and without its metadata."""
    files: PhotoFiles = request.app.state.photo_files
    row = await identifications.photo(session, identification_id, position)
    path = files.path(row.stored_name) if row is not None and row.stored_name else None
    if path is None:
        raise NotFound("There is no such photo.")
    # Named by its content, so a browser may keep it; private, since the address is all that protects it.
    headers = {"Cache-Control": "private, max-age=31536000, immutable"}
    return FileResponse(path, media_type="image/jpeg", headers=headers)
