"""What pydantic finds wrong with fields -> the refusal that names each. Knows no route."""

from collections.abc import Iterable, Mapping
from typing import Any

from app.errors import FieldError, InvalidField

_LONGEST_NAME = 100
"""A name that a client invented is not repeated whole."""


def invalid_fields(faults: Iterable[Mapping[str, Any]], *, below: int = 0) -> InvalidField:
    """A refusal of all faults. ``below``: parts of a place that say where the field stood, such as ``query``.

    >>> fault = {"loc": ("body", "top_k"), "msg": "Value error, must be 1 to 50"}
    >>> invalid_fields([fault], below=1).detail
    'top_k: must be 1 to 50'
    """
    errors = [
        FieldError(_name(fault["loc"], below), str(fault["msg"]).removeprefix("Value error, "))
        for fault in faults
    ]
    return InvalidField("; ".join(f"{each.field}: {each.message}" for each in errors), errors=errors)


def _name(place: tuple[str | int, ...], below: int) -> str:
    """The dotted name of a field; of a body that is wrong as a whole, where it stood."""
    return (".".join(str(part) for part in place[below:]) or str(place[0]))[:_LONGEST_NAME]
