"""Who may call which route: read off the dependencies that the routes themselves declare."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, get_args

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from app.web.dependencies import Admin, ApiAdmin, Viewer, require_identify, require_reader

CALLERS = ("anonymous", "viewer", "reviewer", "admin", "key predict", "key admin")
EVERYBODY = frozenset(CALLERS)


def _guard(annotation: object) -> Callable[..., Any]:
    guard: Callable[..., Any] = get_args(annotation)[1].dependency
    return guard


GUARDS: Mapping[Callable[..., Any], frozenset[str]] = {
    _guard(Viewer): frozenset({"viewer", "reviewer", "admin"}),
    _guard(Admin): frozenset({"admin"}),
    _guard(ApiAdmin): frozenset({"admin", "key admin"}),
}
IDENTIFY_CLOSED = frozenset({"viewer", "reviewer", "admin", "key predict"})
"""Who may identify where LIGHTTRAP_PUBLIC_IDENTIFY is false; else everybody."""
READ_CLOSED = EVERYBODY - {"anonymous"}
"""Who may read of the models there; else everybody."""


def api_routes(listed: Iterable[Any]) -> Iterator[APIRoute]:
    """Every route with a path and methods of its own."""
    for route in listed:
        if isinstance(route, APIRoute):
            yield route
        else:
            yield from api_routes(getattr(getattr(route, "original_router", route), "routes", ()))


def allowed(route: APIRoute, *, public_identify: bool) -> frozenset[str]:
    """The callers that this route lets through."""
    callers = EVERYBODY
    for call in _calls(route.dependant):
        if call is require_identify and not public_identify:
            callers &= IDENTIFY_CLOSED
        if call is require_reader and not public_identify:
            callers &= READ_CLOSED
        callers &= GUARDS.get(call, EVERYBODY)
    return callers


def is_identify(route: APIRoute) -> bool:
    """Whether the route is open or closed by LIGHTTRAP_PUBLIC_IDENTIFY."""
    return not {require_identify, require_reader}.isdisjoint(_calls(route.dependant))


def _calls(dependant: Dependant) -> list[Callable[..., Any]]:
    below = [call for each in dependant.dependencies for call in _calls(each)]
    return [*([dependant.call] if dependant.call else []), *below]
