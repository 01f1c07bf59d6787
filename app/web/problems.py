"""A refusal as RFC 9457 ``application/problem+json``, or as a page where a browser asks for one."""

from typing import Any
from urllib.parse import quote, urlsplit

import structlog
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from starlette.exceptions import HTTPException  # noqa: TID251 (here the framework's own become ours)

from app.db.session import refusal_of
from app.errors import (
    PROBLEMS,
    AppError,
    InternalError,
    LoginRequired,
    MethodNotAllowed,
    NotFound,
    PhotoTooLarge,
    UnreadableRequest,
)
from app.web.field_faults import invalid_fields
from app.web.forms import own_origin, own_path
from app.web.rendering import render
from app.web.views import ProblemExplainedView, ProblemField, ProblemView

MEDIA_TYPE = "application/problem+json"
_TEXT = {"type": "string"}
_ERROR = {
    "type": "object",
    "required": ["field", "message"],
    "properties": {"field": _TEXT, "message": _TEXT},
}
PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance", "request_id"],
    "properties": {
        "type": {**_TEXT, "description": "A stable path under /problems, where a page explains it."},
        "title": _TEXT,
        "status": {"type": "integer"},
        "detail": {**_TEXT, "description": "What is wrong with this request, in a sentence."},
        "instance": {**_TEXT, "description": "The path that was asked for."},
        "request_id": {**_TEXT, "description": "Leads to the entry in the log."},
        "errors": {"type": "array", "items": _ERROR, "description": "Each field that is wrong."},
    },
}
REFUSED: dict[int | str, dict[str, Any]] = {
    "default": {"description": "Refused: RFC 9457", "content": {MEDIA_TYPE: {"schema": PROBLEM_SCHEMA}}}
}
"""For the OpenAPI document: what every route answers when it refuses."""

router = APIRouter(include_in_schema=False)
log: structlog.stdlib.BoundLogger = structlog.get_logger("lighttrap.problems")

_BY_STATUS: dict[int, AppError] = {
    400: UnreadableRequest("The request cannot be read."),
    404: NotFound("There is nothing at this address."),
    405: MethodNotAllowed("This address takes another method."),
    413: PhotoTooLarge("The body is larger than this service takes."),
}


def install(app: FastAPI) -> None:
    """Answer every error of this application in one way."""

    @app.exception_handler(AppError)
    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, AppError)
        return problem_response(request, error)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return problem_response(request, refusal_of_validation(error))

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        refusal = _BY_STATUS.get(error.status_code, UnreadableRequest("The request cannot be answered."))
        return problem_response(request, refusal, headers=dict(error.headers or {}))


def unexpected(error: Exception) -> AppError:
    """What an error that no one expected is answered with; the log gets the whole of it."""
    if (refusal := refusal_of(error)) is not None:
        log.error("the database refused", problem=refusal.slug, fault=str(getattr(error, "orig", error)))
        return refusal
    log.error("unexpected error", exc_info=error)
    return InternalError("The service met an error that is its own fault. It was written to the log.")


def problem_document(error: AppError, *, instance: str, request_id: str | None) -> dict[str, object]:
    """The fields of RFC 9457, with ours."""
    document: dict[str, object] = {
        "type": error.type,
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "instance": instance,
        "request_id": request_id,
    }
    if error.errors:
        document["errors"] = [{"field": each.field, "message": each.message} for each in error.errors]
    return document


def problem_response(
    request: Request, error: AppError, *, headers: dict[str, str] | None = None
) -> JSONResponse | HTMLResponse | RedirectResponse:
    """The answer that carries this refusal: a document, a page, or the way to the login."""
    all_headers = {**error.headers, **(headers or {}), "Vary": "Accept"}
    if not wants_page(request):
        document = problem_document(error, instance=request.url.path, request_id=request_id(request))
        return JSONResponse(document, error.status, all_headers, media_type=MEDIA_TYPE)
    login_url = f"/login?next={quote(_after_login(request))}" if isinstance(error, LoginRequired) else None
    if login_url and request.method == "GET":
        return RedirectResponse(login_url, 303, headers={"Vary": "Accept"})
    view = ProblemView(
        title=error.title,
        status=error.status,
        detail=error.detail,
        type=error.type,
        request_id=request_id(request),
        errors=tuple(ProblemField(each.field, each.message) for each in error.errors),
        login_url=login_url,
    )
    return render(request, view, status_code=error.status, headers=all_headers)


@router.get("/problems/{slug}")
async def explain(request: Request, slug: str) -> Response:
    """What a kind of problem means."""
    kind = PROBLEMS.get(slug)
    if kind is None:
        raise NotFound("There is no such kind of problem.")
    if wants_page(request):
        view = ProblemExplainedView(kind.title, kind.status, f"/problems/{slug}", kind.explanation)
        return render(request, view, headers={"Vary": "Accept"})
    known = {"type": f"/problems/{slug}", "title": kind.title, "status": kind.status}
    return JSONResponse({**known, "explanation": kind.explanation}, headers={"Vary": "Accept"})


def refusal_of_validation(error: RequestValidationError) -> AppError:
    """A refusal that names each field. An impossible address is not found; a broken body is unreadable."""
    faults = error.errors()
    if any(fault["loc"][:1] == ("path",) for fault in faults):
        return NotFound("There is nothing at this address.")
    if any(fault["type"] == "json_invalid" for fault in faults):
        return UnreadableRequest("The body is not JSON.")
    return invalid_fields(faults, below=1)


def request_id(request: Request) -> str | None:
    """The id of this request, as the log has it."""
    return getattr(request.state, "request_id", None)


def wants_page(request: Request) -> bool:
    """Whether the Accept header prefers HTML over JSON, as browsers' navigation does."""
    accept = request.headers.get("accept", "")
    return _weight(accept, "text/html") > max(
        _weight(accept, "application/json"), _weight(accept, MEDIA_TYPE)
    )


def _weight(accept: str, media_type: str) -> float:
    """Weight that an Accept header gives to exactly this type.

    >>> _weight("text/html, application/json;q=0.5", "application/json"), _weight("*/*", "text/html")
    (0.5, 0.0)
    """
    for part in accept.split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        if name.lower() == media_type:
            quality = next((piece[2:] for piece in parameters if piece.startswith("q=")), "1")
            try:
                return float(quality)
            except ValueError:
                return 0.0
    return 0.0


def _after_login(request: Request) -> str:
    """The page that was asked for, or the page of the form that was sent: its own address may take no GET."""
    if request.method == "GET":
        return _path(request.url.path, request.url.query)
    try:
        page = urlsplit(request.headers.get("referer", ""))
    except ValueError:  # no address at all
        return "/"
    if f"{page.scheme}://{page.netloc}".lower() != own_origin(request):
        return "/"
    return own_path(_path(page.path, page.query))


def _path(path: str, query: str) -> str:
    return f"{path}?{query}" if query else path
