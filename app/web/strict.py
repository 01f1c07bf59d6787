"""Unknown query parameters and form fields are refused: a misspelt one must not change an answer.

One dependency of the whole application does it on every route, from what the route itself declares.
"""

from collections.abc import Collection, Iterable
from difflib import get_close_matches

from fastapi import Request, params
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from app.errors import FieldError, InvalidField

_NO_FIELDS: frozenset[str] = frozenset()
_known: dict[int, tuple[Dependant, frozenset[str], frozenset[str]]] = {}


async def refuse_unknown_fields(request: Request) -> None:
    """Raises InvalidField when the query or the form has a name that the route does not declare."""
    route = request.scope.get("route")
    if not isinstance(route, APIRoute):
        return
    query, form = _declared(route.dependant)
    refuse_unknown(request.query_params.keys(), query, "parameter")
    if form:  # FastAPI has parsed it already; this is the same, cached form
        refuse_unknown((await request.form()).keys(), form, "form field")


def refuse_unknown(given: Iterable[str], known: Collection[str], what: str) -> None:
    """Raises InvalidField that names every unknown one, with the nearest known name.

    >>> refuse_unknown(["topk"], ["top_k", "model"], "parameter")
    Traceback (most recent call last):
        ...
    app.errors.InvalidField: topk: unknown parameter; did you mean top_k?
    """
    errors = [
        FieldError(name, _unknown(name, known, what)) for name in dict.fromkeys(given) if name not in known
    ]
    if errors:
        raise InvalidField("; ".join(f"{error.field}: {error.message}" for error in errors), errors=errors)


def _unknown(name: str, known: Collection[str], what: str) -> str:
    if close := get_close_matches(name, known, n=1):
        return f"unknown {what}; did you mean {close[0]}?"
    return (
        f"unknown {what}; known: {', '.join(sorted(known))}"
        if known
        else f"unknown {what}; none is taken here"
    )


def _declared(dependant: Dependant) -> tuple[frozenset[str], frozenset[str]]:
    """Names of a route's query parameters and form fields. It is kept, so that its id stays its own."""
    if id(dependant) not in _known:
        query: set[str] = set()
        form: set[str] = set()
        _collect(dependant, query, form)
        _known[id(dependant)] = (dependant, frozenset(query), frozenset(form) or _NO_FIELDS)
    return _known[id(dependant)][1:]


def _collect(dependant: Dependant, query: set[str], form: set[str]) -> None:
    for field in dependant.query_params:
        query.update(_names(field.field_info.annotation, field.alias))
    for field in dependant.body_params:
        if isinstance(field.field_info, params.Form):
            form.update(_names(field.field_info.annotation, field.alias))
    for below in dependant.dependencies:
        _collect(below, query, form)


def _names(annotation: object, alias: str) -> Iterable[str]:
    """A parameter's own name, or the fields' names where it is a model that gathers several."""
    fields = getattr(annotation, "model_fields", None)
    return [alias] if fields is None else [field.alias or name for name, field in fields.items()]
