"""``key=value`` words of a command line, applied to a run's configuration."""

from typing import Any, get_args

from pydantic import BaseModel

from training.auxiliary import Contrastive
from training.choices import ClassWeights, Loss, Stage
from training.config import RunConfig
from training.near_names import near_first, near_keys_first

METHODS: dict[str, dict[str, type[BaseModel]]] = {
    part: {choice.model_fields["name"].default: choice for choice in get_args(get_args(union)[0])}
    for part, union in (
        ("loss", Loss),
        ("weights", ClassWeights),
        ("contrastive", Contrastive),
        ("stage", Stage),
    )
}
"""The parts of a run where another name brings other keys, and what each name stands for."""


def apply_overrides(config: RunConfig, overrides: list[str]) -> RunConfig:
    """Apply ``key=value`` words from a command line, nested keys with dots (``optimisation.epochs=3``).

    Raises ValueError naming an unknown key and the ones that exist.
    """
    data = config.model_dump()
    for word in overrides:
        key, separator, text = word.partition("=")
        if not separator:
            raise ValueError(f"{word!r} is not key=value")
        part, _, rest = key.partition(".")
        if part in METHODS and rest == "name":
            data[part] = _of_method(part, text, data[part])
        else:
            _put(data, key, text)
    return RunConfig.model_validate(data)


def defaults_of(part: str, name: str) -> BaseModel:
    """The method ``name`` of a part that offers several, such as ``loss``. Raises ValueError listing the names."""
    if name not in METHODS[part]:
        raise ValueError(f"unknown {part}.name {name!r}: choose from {near_first(name, METHODS[part])}")
    return METHODS[part][name]()


def _of_method(part: str, name: str, before: dict[str, Any]) -> dict[str, Any]:
    """The defaults of a method, with what the one before it also had."""
    defaults = defaults_of(part, name).model_dump()
    return {key: before.get(key, value) for key, value in defaults.items()} | {"name": name}


def _put(data: dict[str, Any], key: str, text: str) -> None:
    *parents, last = key.split(".")
    here = data
    for parent in parents:
        if not isinstance(here.get(parent), dict):
            raise ValueError(
                f"unknown key {key!r}: {parent!r} is not one of {near_first(parent, sorted(here))}"
            )
        here = here[parent]
    if last not in here and last != "name":
        raise ValueError(f"unknown key {key!r}: choose from {near_keys_first(key, here, data)}")
    here[last] = None if text.lower() == "none" and last != "pretrained" else text
