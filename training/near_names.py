"""What somebody may have meant by a name that does not exist. Strings in, strings out."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any


def near_first(name: str, known: Iterable[str]) -> str:
    """The known names for an error's sentence: those like ``name`` first, then the others in their order.

    >>> near_first("focl", ["debug", "baseline", "focal"])
    'focal, debug, baseline'
    """
    names = list(known)
    near = get_close_matches(name, names, n=5)
    return ", ".join([*near, *(other for other in names if other not in near)])


def near_keys_first(key: str, part: Mapping[str, Any], whole: Mapping[str, Any]) -> str:
    """The keys of the part that ``key`` was looked for in; where none is like it, first those anywhere that are.

    >>> near_keys_first("epoch", {"seed": 0, "fit": {"epochs": 1}}, {"seed": 0, "fit": {"epochs": 1}})
    'fit.epochs, fit, seed'
    """
    last = key.rpartition(".")[2]
    known = near_first(last, sorted(part))
    if get_close_matches(last, list(part)):
        return known
    dotted = {name: name.rpartition(".")[2] for name in _dotted(whole)}
    near = get_close_matches(last, sorted(set(dotted.values())), n=5)
    return ", ".join([*(name for name, leaf in dotted.items() if leaf in near), known])


def _dotted(data: Mapping[str, Any], prefix: str = "") -> Iterable[str]:
    for name, value in data.items():
        if isinstance(value, Mapping):
            yield from _dotted(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"
