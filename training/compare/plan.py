"""Which runs a comparison is made of: every recipe on every backbone with every seed. Names in, configurations out;
nothing is trained or written here.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from training.compare.ablation import ablations
from training.config import RunConfig
from training.overrides import apply_overrides
from training.protocols import apply_protocol
from training.recipes import make_recipe
from training.refusals import sentence

_ONE_NAME = (
    "a result has the name of its recipe, backbone and seed, which would be the same for both; "
    "make two comparisons, each with an --out of its own, and a --results where you give one"
)


class Backbone(NamedTuple):
    """A backbone by timm's name, and the weights that it begins from; None is what the recipe says."""

    name: str | None = None
    pretrained: str | None = None


class Asked(NamedTuple):
    """A recipe by name, with how many seeds, from 0, and whether its factors are to be taken away one at a time."""

    recipe: str
    num_seeds: int
    ablate: bool = False


class Plan(NamedTuple):
    """The runs, in the order in which they are to be made, and for those that no configuration fits the reason."""

    configs: tuple[RunConfig, ...]
    refused: dict[str, str]


def parse_recipes(text: str, *, num_seeds: int) -> tuple[Asked, ...]:
    """``a,b:3``: names, each with its own number of seeds where it has one. Raises ValueError.

    >>> parse_recipes("debug,baseline:3", num_seeds=1)[1].num_seeds
    3
    """
    asked = []
    for word in filter(None, text.split(",")):
        name, separator, count = word.strip().partition(":")
        if separator and not (count.isdigit() and int(count)):
            raise ValueError(f"{word!r}: after the colon comes a number of seeds, such as {name}:3")
        make_recipe(name)
        asked.append(Asked(name, int(count) if separator else num_seeds))
    return tuple(asked)


def parse_backbones(text: str) -> tuple[Backbone, ...]:
    """``a,b=weights``: names, each with its own pretrained weights where it has any; nothing is each recipe's own.

    Raises ValueError for a name with two weights: runs are told apart by recipe, backbone and seed.

    >>> parse_backbones("resnet18,mobilenetv2_100=timm")
    (Backbone(name='resnet18', pretrained=None), Backbone(name='mobilenetv2_100', pretrained='timm'))
    """
    words = [word.strip().partition("=") for word in text.split(",") if word.strip()]
    begun: dict[str, str] = {}
    for name, _, weights in words:
        if begun.setdefault(name, weights) != weights:
            asked = " and ".join(f"{name}={one}" if one else name for one in (begun[name], weights))
            raise ValueError(f"--backbones {asked}: {_ONE_NAME}")
    return tuple(Backbone(name, weights or None) for name, weights in begun.items()) or (Backbone(),)


def make_plan(
    asked: Sequence[Asked], backbones: Sequence[Backbone], overrides: Sequence[str], protocol: str = ""
) -> Plan:
    """All runs, one seed of everything before the next, so that an interrupted comparison compares.

    A run that its backbone or an override does not fit is refused, not an end. Raises ValueError where that is all of
    them, for overrides of what the comparison varies, and for two different runs of one name.
    """
    for word in overrides:
        if word.partition("=")[0] in ("recipe", "seed"):
            raise ValueError(f"{word!r}: the comparison sets it; use --recipes and --seeds")
    configs: dict[str, RunConfig] = {}
    refused: dict[str, str] = {}
    for one, backbone, seed in _cells(asked, backbones):
        try:
            made = _configs(one, backbone, seed, overrides, protocol)
        except ValueError as error:
            name = backbone.name or make_recipe(one.recipe).model.backbone
            refused[f"{one.recipe}-{name}-{seed}"] = sentence(error)
            continue
        for config in made:
            _add(config, configs)
    if refused and not configs:
        raise ValueError(next(iter(refused.values())))
    return Plan(tuple(configs.values()), refused)


def _add(config: RunConfig, configs: dict[str, RunConfig]) -> None:
    """A run that is asked for twice is made once."""
    key = run_key(config)
    if keys := differing_keys(configs.setdefault(key, config), config):
        raise ValueError(f"{key} would be two runs, with another {', '.join(keys)}: {_ONE_NAME}")


def _cells(asked: Sequence[Asked], backbones: Sequence[Backbone]) -> Iterator[tuple[Asked, Backbone, int]]:
    for seed in range(max((one.num_seeds for one in asked), default=0)):
        for backbone in backbones:
            yield from ((one, backbone, seed) for one in asked if seed < one.num_seeds)


def _configs(
    one: Asked, backbone: Backbone, seed: int, overrides: Sequence[str], protocol: str
) -> Iterable[RunConfig]:
    changes = {"backbone": backbone.name, "pretrained": backbone.pretrained}
    config = apply_overrides(apply_protocol(make_recipe(one.recipe), protocol), list(overrides)).with_(
        seed=seed, model={key: value for key, value in changes.items() if value is not None}
    )
    return (config, *(ablations(config) if one.ablate else ()))


def run_key(config: RunConfig) -> str:
    """``RunResult.key`` of the run that a configuration describes."""
    return f"{config.recipe}-{config.model.backbone}-{config.seed}"


def epochs_key(config: RunConfig) -> str:
    """What runs have in common whose epochs are the same: all but what comes after them, and the recipe's name.

    A student's teachers are finished as it is, so its epochs depend on that too.
    """
    data = config.model_dump(mode="json")
    del data["recipe"], data["workers"]
    if not data.get("distillation", {}).get("teachers"):
        del data["stage"], data["post_hoc"], data["allow_double_correction"]
        del data["model"]["pretrained_share"]
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def differing_keys(one: RunConfig, other: RunConfig) -> tuple[str, ...]:
    """Dotted keys that two runs differ in. Not ``workers``: photos do not depend on how many load them."""
    first, second = dict(_flat(one.model_dump())), dict(_flat(other.model_dump()))
    keys = [key for key in {**first, **second} if key != "workers"]
    return tuple(key for key in keys if first.get(key, ...) != second.get(key, ...))


def _flat(data: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for name, value in data.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
