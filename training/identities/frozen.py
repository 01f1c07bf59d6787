"""Identities of what must stay as it is: a backbone under a second stage, frozen parts, and views under any workers.

Legend: N photos, B batch, S side.
"""

import numpy as np
import torch
from torch import Tensor

from training import choices, stages
from training.classifier import Classifier, make_classifier
from training.config import RunConfig
from training.data.cache import PhotoCache
from training.data.dataset import TrainingViews, training_loader
from training.data.sampler import epoch_order
from training.finish import shift_batch_norm
from training.identities.check import Checks
from training.inference import network_embeddings
from training.recipes import make_recipe
from training.stages import Embedded

SIDE, CLASSES = 32, [0] * 12 + [1] * 6 + [2] * 2
CHECKS = Checks()


def photos() -> PhotoCache:
    """A photo of noise for each of the classes' images, always the same."""
    rng = np.random.default_rng(0)
    shapes = np.full((len(CLASSES), 2), SIDE)
    return PhotoCache(rng.integers(0, 256, len(CLASSES) * SIDE * SIDE * 3, dtype=np.uint8), shapes)


def network(*, frozen_stages: int | str = 0) -> Classifier:
    """The debugging network, which normalises by batch, in training mode: what a careless second stage would find."""
    config = make_recipe("debug").with_(model={"frozen_stages": frozen_stages})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return make_classifier(config, 3).train()


def changed(before: dict[str, Tensor], classifier: Classifier) -> set[str]:
    """The last names of what differs from before, such as ``weight`` and ``running_mean``."""
    now = classifier.backbone.state_dict()
    return {key.rpartition(".")[2] for key in now if not now[key].equal(before[key])}


def state(classifier: Classifier) -> dict[str, Tensor]:
    """A copy of the backbone's weights and buffers."""
    return {key: value.clone() for key, value in classifier.backbone.state_dict().items()}


@CHECKS.add("cRT", "the backbone's weights and buffers are the same before and after, bit for bit")
def _backbone_stays() -> bool:
    classifier, config = network(), make_recipe("debug")
    before = state(classifier)
    embeddings_ND = network_embeddings(classifier, photos(), range(len(CLASSES)), mirrored=False)
    train = Embedded(torch.from_numpy(embeddings_ND).float(), torch.tensor(CLASSES))
    stages.crt(config.model, train, choices.CRT(epochs=1), 3, seed=0)
    return not changed(before, classifier)


@CHECKS.add("MiSLAS", "shifted batch normalisation moves its statistics and not one weight")
def _shifted() -> bool:
    classifier = network()
    before = state(classifier)
    shift_batch_norm(classifier, photos(), range(len(CLASSES)))
    return changed(before, classifier) == {"running_mean", "running_var", "num_batches_tracked"}


@CHECKS.add("frozen backbone", "a step moves neither its weights nor its statistics, and those of the head")
def _frozen() -> bool:
    classifier = network(frozen_stages="all")
    before, head = state(classifier), classifier.head.state_dict()["weight"].clone()
    optimiser = torch.optim.AdamW(classifier.parameters(), lr=0.1, weight_decay=0.1)
    pixels_BCHW = torch.rand(4, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0)) * 255
    classifier(pixels_BCHW).square().sum().backward()
    optimiser.step()
    return not changed(before, classifier) and not classifier.head.state_dict()["weight"].equal(head)


def loaded(workers: int, threads: int) -> list[Tensor]:
    """An epoch of balanced batches of views, loaded by as many processes beside one with as many threads."""
    config: RunConfig = make_recipe("debug").with_(workers=workers, size_px=224)
    rng = np.random.default_rng(0)
    side = config.cache_side_px
    shapes = np.full((len(CLASSES), 2), side)
    cache = PhotoCache(rng.integers(0, 256, len(CLASSES) * side * side * 3, dtype=np.uint8), shapes)
    views = TrainingViews(cache, range(len(CLASSES)), CLASSES, config)
    sampling = choices.Sampling(name="class_balanced")
    order = epoch_order(sampling, CLASSES, 3, seed=0, epoch=0, epochs=1)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        return [part for batch in training_loader(views, [order[:10], order[10:]], config) for part in batch]
    finally:
        torch.set_num_threads(before)


@CHECKS.add(
    "every sampler", "one seed, the same photos in the same views, whatever the loading processes and threads"
)
def _any_workers() -> bool:
    alone = loaded(0, 1)
    return all(
        all(one.equal(other) for one, other in zip(alone, loaded(workers, threads), strict=True))
        for workers, threads in ((0, 4), (2, 1))
    )
