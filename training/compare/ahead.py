"""What is done once, ahead of the runs: networks that cannot be made are refused, photos decoded. Trains nothing."""

from collections.abc import Callable, Hashable, Iterator, Sequence

from models.preprocess import Preprocessing
from training.classifier import make_classifier
from training.compare.plan import run_key
from training.config import RunConfig
from training.data.cache import Wanted, open_cache
from training.data.prepared import Dataset
from training.export import check_exports
from training.refusals import sentence


def refused_networks(configs: Sequence[RunConfig], num_classes: int) -> dict[str, str]:
    """Why the network of some runs cannot be made or exported, by ``run_key``: hours before they would find out.

    Each network is made, which takes a moment. An export takes many seconds, so there is one for each backbone at each
    size and number of experts; heads, frozen stages and folding are exported alike on all of them.
    """
    refused: dict[str, str] = {}
    made: dict[Hashable, str] = {}
    exported: dict[Hashable, str] = {}
    for config in configs:
        untrained = config.with_(model={"pretrained": "none"})  # missing weights are for each run to say
        network, graph = _network_of(untrained), _graph_of(untrained)
        if network not in made:
            made[network] = _why_not(untrained, num_classes, make_classifier)
        if not made[network] and graph not in exported:
            exported[graph] = _why_not(untrained, num_classes, check_exports)
        if reason := made[network] or exported[graph]:
            refused[run_key(config)] = reason
    return refused


def _network_of(config: RunConfig) -> Hashable:
    return config.model, config.experts.num, config.size_px


def _graph_of(config: RunConfig) -> Hashable:
    return config.model.backbone, config.experts.num, config.size_px


def _why_not(config: RunConfig, num_classes: int, make: Callable[[RunConfig, int], object]) -> str:
    """Nothing where it can be made."""
    try:
        make(config, num_classes)
    except ValueError as error:
        return sentence(error)
    except (
        Exception
    ) as error:  # timm and torch raise what the network makes them, and no other run should end of it
        return f"{config.model.backbone} cannot be made at {config.size_px} px ({error!r}); choose another backbone"
    return ""


def decode_photos(configs: Sequence[RunConfig], dataset: Dataset) -> None:
    """Have the photos decoded that these runs look at, so that those that begin together need not wait for one of them.

    What is decoded already costs nothing. A photo that cannot be, or a full disk, is left to the runs that need it,
    which say so and end no other.
    """
    for wanted in dict.fromkeys(one for config in configs for one in _looked_at(config)):
        try:
            open_cache(dataset.folder, dataset.info.root, dataset.samples, wanted)
        except (ValueError, OSError):
            continue


def _looked_at(config: RunConfig) -> Iterator[Wanted]:
    yield config.cache_side_px
    yield Preprocessing(size_px=config.size_px, fit=config.fit)
