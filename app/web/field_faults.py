"""What pydantic finds wrong with fields -> the refusal that names each. Knows no route."""

from collections.abc import Iterable, Mapping
from typing import Any

from app.errors import FieldError, InvalidField

PATTERN_WORDS = {
    r"^[\x21-\x7e]{1,200}$": "expected 1 to 200 printable ASCII characters and no space, such as a UUID",
    r"^([1-9]\d{0,4})?$": "expected a whole number from 1 to 99999, or nothing",
    "^(added|ended)$": "expected added or ended",
}
"""Pattern of a field or a header -> what is wanted, for people. A test holds that none is missing."""

_LONGEST_NAME = 100
"""A name that a client invented is not repeated whole."""


def invalid_fields(faults: Iterable[Mapping[str, Any]], *, below: int = 0) -> InvalidField:
    """A refusal of all faults. ``below``: parts of a place that say where the field stood, such as ``query``.

    >>> fault = {"loc": ("body", "top_k"), "msg": "Value error, must be 1 to 50"}
    >>> invalid_fields([fault], below=1).detail
    'top_k: must be 1 to 50'
    """
    errors = [FieldError(_name(fault["loc"], below), _message(fault)) for fault in faults]
    return InvalidField("; ".join(f"{each.field}: {each.message}" for each in errors), errors=errors)


def _message(fault: Mapping[str, Any]) -> str:
    """What pydantic says, but for patterns.

    >>> _message({"type": "string_pattern_mismatch", "msg": "", "ctx": {"pattern": "^(added|ended)$"}})
    'expected added or ended'
    """
    if fault.get("type") == "string_pattern_mismatch":
        return PATTERN_WORDS.get(fault["ctx"]["pattern"], "does not have the form that is expected here")
    return str(fault["msg"]).removeprefix("Value error, ")


def _name(place: tuple[str | int, ...], below: int) -> str:
    """The dotted name of a field; of a body that is wrong as a whole, where it stood."""
    return (".".join(str(part) for part in place[below:]) or str(place[0]))[:_LONGEST_NAME]
