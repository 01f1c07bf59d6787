"""The OpenAPI document as a page to read. Our own markup: no script, no other host, both colour schemes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from fastapi import APIRouter, Request, Response

from app.web.forms import own_origin
from app.web.rendering import render

Json = Mapping[str, Any]
METHODS = ("get", "post", "put", "patch", "delete")
SECTIONS = {
    "identify": "Identify",
    "models": "Models",
    "promotion": "Promotion (admins)",
    "health": "Health and figures",
}
_EXAMPLE_VALUES = {"name": "european-moths", "version": "1.0.0", "identification_id": "ID", "position": "0"}

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class FieldDoc:
    """A parameter, or a field of a schema."""

    name: str
    kind: str
    where: str
    required: bool
    description: str


@dataclass(frozen=True)
class ResponseDoc:
    """One status that a route can answer."""

    status: str
    description: str
    schema: str | None


@dataclass(frozen=True)
class OperationDoc:
    """One route."""

    id: str
    method: str
    path: str
    description: str
    parameters: tuple[FieldDoc, ...]
    body_types: tuple[str, ...]
    body_fields: tuple[FieldDoc, ...]
    responses: tuple[ResponseDoc, ...]
    example: str


@dataclass(frozen=True)
class SectionDoc:
    """Routes that belong together."""

    title: str
    operations: tuple[OperationDoc, ...]


@dataclass(frozen=True)
class SchemaDoc:
    """A JSON object that is sent or taken."""

    name: str
    description: str
    fields: tuple[FieldDoc, ...]


@dataclass(frozen=True)
class DocsView:
    """``/docs``."""

    template: ClassVar[str] = "docs.html"
    title: ClassVar[str] = "API"

    version: str
    sections: tuple[SectionDoc, ...]
    schemas: tuple[SchemaDoc, ...]


@router.get("/docs")
async def docs(request: Request) -> Response:
    """The routes of the API."""
    return render(request, docs_view(request.app.openapi(), own_origin(request)))


def docs_view(document: Json, origin: str) -> DocsView:
    """View of an OpenAPI document; ``origin`` goes into the examples."""
    operations = [
        (
            operation["tags"][0] if operation.get("tags") else "",
            _operation(document, path, method, operation, origin),
        )
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    ]
    tags = [*SECTIONS, *sorted({tag for tag, _ in operations} - set(SECTIONS))]
    sections = [
        SectionDoc(SECTIONS.get(tag, tag or "Others"), tuple(each for of, each in operations if of == tag))
        for tag in tags
    ]
    schemas = document.get("components", {}).get("schemas", {})
    return DocsView(
        version=document["info"]["version"],
        sections=tuple(section for section in sections if section.operations),
        schemas=tuple(
            SchemaDoc(name, schema.get("description", ""), tuple(_schema_fields(schema)))
            for name, schema in sorted(schemas.items())
        ),
    )


def _operation(document: Json, path: str, method: str, operation: Json, origin: str) -> OperationDoc:
    content: Json = operation.get("requestBody", {}).get("content", {})
    body: Json = next(iter(content.values()))["schema"] if content else {}
    return OperationDoc(
        id=f"{method}-{path.strip('/').replace('/', '-').replace('{', '').replace('}', '')}",
        method=method.upper(),
        path=path,
        description=operation.get("description", ""),
        parameters=tuple(_parameter(each) for each in operation.get("parameters", ())),
        body_types=tuple(content),
        body_fields=tuple(_schema_fields(_resolve(document, body))),
        responses=tuple(_response(status, each) for status, each in operation["responses"].items()),
        example=_example(method, path, tuple(content), origin),
    )


def _parameter(parameter: Json) -> FieldDoc:
    schema = parameter.get("schema", {})
    return FieldDoc(
        name=parameter["name"],
        kind=_kind(schema),
        where=parameter["in"],
        required=parameter.get("required", False),
        description=parameter.get("description", schema.get("description", "")),
    )


def _response(status: str, response: Json) -> ResponseDoc:
    schema = response.get("content", {}).get("application/json", {}).get("schema", {})
    words = "any other" if status == "default" else status
    return ResponseDoc(words, response.get("description", ""), _kind(schema) if schema else None)


def _resolve(document: Json, schema: Json) -> Json:
    reference = schema.get("$ref")
    if reference is None:
        return schema
    found: Json = document["components"]["schemas"][reference.rsplit("/", 1)[1]]
    return found


def _schema_fields(schema: Json) -> Iterator[FieldDoc]:
    required = schema.get("required", ())
    for name, field in schema.get("properties", {}).items():
        yield FieldDoc(name, _kind(field), "body", name in required, field.get("description", ""))


def _kind(schema: Json) -> str:
    """A schema's type in a few words.

    >>> _kind({"anyOf": [{"type": "array", "items": {"$ref": "#/c/schemas/Taxon"}}, {"type": "null"}]})
    'list of Taxon or null'
    >>> _kind({"type": "number", "minimum": 0, "maximum": 1}), _kind({"enum": ["a", "b"]})
    ('number 0 to 1', 'a, b')
    """
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[1]
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_kind(each) for each in schema["anyOf"]))
    if "enum" in schema or "const" in schema:
        return ", ".join(str(value) for value in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    kind = str(schema.get("format") or schema.get("type", "any"))
    if "minimum" in schema and "maximum" in schema:
        return f"{kind} {schema['minimum']:g} to {schema['maximum']:g}"
    return kind


def _example(method: str, path: str, body_types: tuple[str, ...], origin: str) -> str:
    """A command that can be pasted."""
    for name, value in _EXAMPLE_VALUES.items():
        path = path.replace(f"{{{name}}}", value)
    if "multipart/form-data" in body_types:
        return f"curl -F image=@moth.jpg {origin}{path}"
    if "application/json" not in body_types:
        return f"curl {origin}{path}"
    body = '{"version": "1.1.0", "expected_epoch": 1, "reason": "better tail"}'
    if path.endswith("/rollback"):
        body = '{"expected_epoch": 2, "reason": "worse in the field"}'
    return (
        f"curl -X {method.upper()} -H 'Authorization: Bearer KEY' -H 'Content-Type: application/json' \\\n"
        f"  -d '{body}' {origin}{path}"
    )
