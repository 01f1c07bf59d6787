"""What a run carries from step to step: made from a configuration, saved, and taken up again.

Legend: B batch (of all processes together: G), D features.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel

from models.preprocess import Preprocessing
from training.average import mean_weights, running_average
from training.backbones import freeze_unused
from training.captured import capture_passes
from training.classifier import Classifier, make_classifier
from training.config import RunConfig
from training.data.batches import Share, Views
from training.data.cache import open_cache
from training.data.dataset import TrainingViews
from training.data.index import Sample
from training.data.prepared import Dataset
from training.data.resident import ResidentViews
from training.data.resident_crops import ResidentCrops, crops_fit
from training.distillation import Taught
from training.ensemble import Ensemble
from training.evaluate import class_indices
from training.hardware import autocast_precision, computes_in_bf16, keep_freed_memory
from training.inference import evaluation_cache, places_of
from training.losses import Equalization
from training.mixing import Mixer
from training.objective import Objective, make_objective
from training.pretrained import restore_batch_norm
from training.schedule import make_optimiser
from training.shared_stages import share_frozen_stages
from training.step_loss import Step, add_parameters, make_step


@dataclass
class TrainingState:
    """Network, its running average, optimiser, loss, mixing and views of one run; ``epoch`` is the next to train."""

    classifier: Classifier
    average: AveragedModel
    optimiser: Optimizer
    loss: Objective
    step: Step
    taught: Taught | None
    mixer: Mixer
    views: Views
    fabric: Fabric
    network: nn.Module
    epoch: int = 0

    @property
    def share(self) -> Share:
        """This process's part of every batch."""
        return Share(self.fabric.global_rank, self.fabric.world_size)

    def resume(self, saved: dict[str, Any]) -> None:
        """Take up what ``snapshot`` gave."""
        self.classifier.load_state_dict(saved["network"])
        self.average.load_state_dict(saved["average"])
        self.optimiser.load_state_dict(saved["optimiser"])
        self.step.load_state_dict(saved.get("step", {}))
        self.epoch = int(saved["epoch"])

    def snapshot(self) -> dict[str, Any]:
        """Everything that the next epoch depends on."""
        return {
            "epoch": self.epoch,
            "network": self.classifier.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step.state_dict(),
        }


def begin(config: RunConfig, dataset: Dataset, teachers: Ensemble | None = None) -> TrainingState:
    """A run's state before its first epoch. Under torchrun, one process of several."""
    keep_freed_memory()
    if config.threads:
        torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    classifier = make_classifier(config, len(dataset.labels)).to(memory_format=torch.channels_last)
    fabric = _fabric(config, slow_in_bf16=classifier.backbone.slow_in_bf16)
    samples = dataset.split("train")
    with fabric.rank_zero_first():
        views = _views(config, dataset, samples, fabric.device)
    folded = hasattr(classifier.backbone.network, "batch_norm_is_folded")
    if folded and config.model.batch_norm == "learn":
        _restore_batch_norm(classifier, config, dataset, samples)
    if teachers:
        _learn_from(teachers, classifier, config)
    loss = make_objective(config, dataset.info.training_counts).to(fabric.device)
    _draw_for_all(classifier, loss, Share(fabric.global_rank, fabric.world_size))
    counts, autocast = dataset.info.training_counts, fabric.autocast
    step = make_step(config, classifier, counts, autocast=autocast).to(fabric.device)
    taught = _taught(config, teachers, fabric) if teachers else None
    optimiser = make_optimiser(classifier, config.optimisation)
    # After the optimiser, which keeps places for them: checkpoints of older runs have those too.
    freeze_unused(classifier.backbone, config.crop_size_px)
    network = fabric.setup_module(step.network)
    add_parameters(optimiser, step, config.optimisation)
    averaging = running_average(config.optimisation.ema_decay)
    average = AveragedModel(classifier, multi_avg_fn=averaging, use_buffers=True)
    mixer = Mixer(config, dataset.info.training_counts)
    if fabric.world_size == 1:
        capture_passes(
            step.network, num_steps=len(views) // config.optimisation.batch_size * config.optimisation.epochs
        )
    return TrainingState(classifier, average, optimiser, loss, step, taught, mixer, views, fabric, network)


class _SharedDropout(nn.Dropout):
    """Dropout drawn for the images of all processes, of which each takes its own, so that they do what one would."""

    def __init__(self, p: float, share: Share) -> None:
        super().__init__(p)
        self.share = share

    def forward(self, pooled_BD: Tensor) -> Tensor:
        """Features, some of them 0 and the others larger by as much; in evaluation as they are."""
        rank, of = self.share
        ones_GD = pooled_BD.new_ones(len(pooled_BD) * of, *pooled_BD.shape[1:])
        return pooled_BD * functional.dropout(ones_GD, self.p, self.training)[rank::of]


def _draw_for_all(classifier: Classifier, loss: Objective, share: Share) -> None:
    """Let processes, which are seeded alike, draw the same numbers for the whole batch instead of for their share."""
    if share.of == 1:
        return
    classifier.dropout = _SharedDropout(classifier.dropout.p, share)
    for module in loss.modules():
        if isinstance(module, Equalization):
            module.rank, module.of = share


def _learn_from(teachers: Ensemble, student: Classifier, config: RunConfig) -> None:
    if config.distillation.soup:
        student.load_state_dict(mean_weights(teachers.members))
    # A contrast asks the student for a second view too, which teachers do not see.
    if config.contrastive.name == "none":
        share_frozen_stages(student, (cast(Classifier, member) for member in teachers.members))


def _taught(config: RunConfig, teachers: Ensemble, fabric: Fabric) -> Taught:
    """Teachers only answer, which in bf16 is faster even where learning is not."""
    in_bf16 = config.precision == "auto" and computes_in_bf16(config.device)
    autocast = partial(torch.autocast, fabric.device.type, torch.bfloat16) if in_bf16 else fabric.autocast
    return Taught(teachers, config.distillation, autocast=autocast).to(fabric.device)


def _fabric(config: RunConfig, *, slow_in_bf16: bool) -> Fabric:
    """One device, or under torchrun one for each of its processes."""
    num_processes = int(os.environ.get("WORLD_SIZE", "1"))
    per_node = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    fabric = Fabric(
        accelerator=config.device,
        devices=per_node,
        num_nodes=num_processes // per_node,
        strategy="ddp" if num_processes > 1 else "auto",
        precision=autocast_precision(config.precision, config.device, slow_in_bf16=slow_in_bf16),
    )
    fabric.launch()
    return fabric


def _views(config: RunConfig, dataset: Dataset, samples: tuple[Sample, ...], device: torch.device) -> Views:
    cache = open_cache(dataset.folder, dataset.info.root, dataset.samples, config.cache_side_px)
    classes = class_indices(dataset, samples).tolist()
    places = places_of(dataset, samples)
    if config.augment.view == "pad_crop":
        return ResidentViews(cache, places, classes, config, device)
    if crops_fit(cache, places, config, device):
        return ResidentCrops(cache, places, classes, config, device)
    return TrainingViews(cache, places, classes, config)


def _restore_batch_norm(
    classifier: Classifier, config: RunConfig, dataset: Dataset, samples: tuple[Sample, ...]
) -> None:
    """Statistics come from training photos alone, as they are before augmentation."""
    photos = evaluation_cache(dataset, Preprocessing(size_px=config.crop_size_px, fit=config.fit))
    places = places_of(dataset, samples)[:: max(1, len(samples) // 512)]

    def batches() -> Iterable[Tensor]:
        for first in range(0, len(places), 32):
            images = np.stack([photos[place] for place in places[first : first + 32]])
            yield classifier.normalise(torch.from_numpy(images).permute(0, 3, 1, 2).float())

    restore_batch_norm(classifier.backbone.network, batches())
