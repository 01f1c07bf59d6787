"""The training loop: epochs and steps. Knows nothing of recipes, folders of bundles or test data.

Legend: B batch, C channels or classes, H W pixels.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from models.decision import probabilities
from models.metrics import evaluate
from models.preprocess import Preprocessing
from training.checkpoint import append_metrics, load_checkpoint, save_checkpoint, save_weights
from training.classifier import Classifier, make_classifier
from training.config import RunConfig
from training.data.batches import epoch_batches
from training.data.cache import PhotoCache, open_cache
from training.data.dataset import TrainingViews, view_seed
from training.data.index import Sample
from training.data.prepared import Dataset
from training.distillation import Taught, ready_teachers
from training.ensemble import Ensemble
from training.finish import check_finish, finish
from training.hardware import autocast_precision, keep_freed_memory
from training.inference import evaluation_cache, network_logits, places_of
from training.mixing import Labelled, Mixer
from training.objective import Objective, make_objective
from training.pretrained import restore_batch_norm
from training.progress import RunProgress, validation_summary
from training.schedule import lr_factor, make_optimiser, set_rate
from training.step_loss import Step, add_parameters, make_step

_MIXING, _DROPOUT = 2**31 + 1, 2**31 + 2


@dataclass
class _State:
    classifier: Classifier
    average: AveragedModel
    optimiser: AdamW
    loss: Objective
    step: Step
    taught: Taught | None
    mixer: Mixer
    views: TrainingViews
    fabric: Fabric
    network: nn.Module
    epoch: int = 0


def train(config: RunConfig, dataset: Dataset, folder: Path) -> Classifier:
    """Train to the end, resuming from the folder's checkpoint, and write the final (averaged) weights.

    Killed at any moment and started again, it ends with the same weights on the same machine.
    """
    check_finish(config, dataset)
    samples = dataset.split("train")
    teachers = ready_teachers(config, dataset, folder, train)
    state = _begin(config, dataset, samples, teachers)
    _resume(state, folder)
    steps_per_epoch = -(
        -_used(len(samples), config.optimisation.batch_size) // config.optimisation.batch_size
    )
    num_steps = steps_per_epoch * config.optimisation.epochs
    validation = evaluation_cache(dataset, _wanted(config)) if dataset.split("val") else None
    with RunProgress(
        config.recipe, first_step=state.epoch * steps_per_epoch, num_steps=num_steps
    ) as progress:
        while state.epoch < config.optimisation.epochs:
            record: dict[str, Any] = {
                "epoch": state.epoch,
                "loss": _train_epoch(state, config, steps_per_epoch, progress),
            }
            if validation is not None:
                record["validation"] = _validate(state, dataset, validation)
            state.epoch += 1
            append_metrics(folder, record)
            save_checkpoint(folder, _snapshot(state))
            progress.epoch(record)
    final = cast(Classifier, state.average.module)
    finish(final, config, dataset)
    save_weights(folder, final)
    return final.eval()


def _wanted(config: RunConfig) -> Preprocessing:
    return Preprocessing(size_px=config.size_px, fit=config.fit)


def _used(num_samples: int, batch_size: int) -> int:
    return num_samples - 1 if num_samples % batch_size == 1 else num_samples


def _begin(
    config: RunConfig, dataset: Dataset, samples: tuple[Sample, ...], teachers: Ensemble | None = None
) -> _State:
    keep_freed_memory()
    fabric = Fabric(
        accelerator="cpu" if config.device == "cpu" else config.device,
        devices=1,
        precision=autocast_precision(config.precision, config.device),
    )
    if config.threads:
        torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    classifier = make_classifier(config, len(dataset.labels)).to(memory_format=torch.channels_last)
    cache = open_cache(dataset.folder, dataset.info.root, dataset.samples, config.cache_side_px)
    folded = hasattr(classifier.backbone.network, "batch_norm_is_folded")
    if folded and config.model.batch_norm == "learn":
        _restore_batch_norm(classifier, config, dataset, samples)
    classes = [dataset.labels.index(sample.label) for sample in samples]
    views = TrainingViews(cache, places_of(dataset, samples), classes, config)
    loss = make_objective(config, dataset.info.training_counts).to(fabric.device)
    counts, autocast = dataset.info.training_counts, fabric.autocast
    step = make_step(config, classifier, counts, autocast=autocast).to(fabric.device)
    taught = Taught(teachers, config.distillation, autocast=autocast).to(fabric.device) if teachers else None
    network = fabric.setup_module(step.network)
    optimiser = make_optimiser(classifier, config.optimisation)
    add_parameters(optimiser, step, config.optimisation)
    decay = get_ema_multi_avg_fn(config.optimisation.ema_decay)  # type: ignore[no-untyped-call]
    average = AveragedModel(classifier, multi_avg_fn=decay, use_buffers=True)
    mixer = Mixer(config, dataset.info.training_counts)
    return _State(classifier, average, optimiser, loss, step, taught, mixer, views, fabric, network)


def _restore_batch_norm(
    classifier: Classifier, config: RunConfig, dataset: Dataset, samples: tuple[Sample, ...]
) -> None:
    """Statistics come from training photos alone, as they are before augmentation."""
    photos = evaluation_cache(dataset, Preprocessing(size_px=config.crop_size_px, fit=config.fit))
    places = places_of(dataset, samples)[:: max(1, len(samples) // 512)]

    def batches() -> Iterable[Tensor]:
        for begin in range(0, len(places), 32):
            images = np.stack([photos[place] for place in places[begin : begin + 32]])
            yield classifier.normalise(torch.from_numpy(images).permute(0, 3, 1, 2).float())

    restore_batch_norm(classifier.backbone.network, batches())


def _resume(state: _State, folder: Path) -> None:
    saved = load_checkpoint(folder)
    if saved is None:
        return
    state.classifier.load_state_dict(saved["network"])
    state.average.load_state_dict(saved["average"])
    state.optimiser.load_state_dict(saved["optimiser"])
    state.step.load_state_dict(saved.get("step", {}))
    state.epoch = int(saved["epoch"])


def _snapshot(state: _State) -> dict[str, Any]:
    return {
        "epoch": state.epoch,
        "network": state.classifier.state_dict(),
        "average": state.average.state_dict(),
        "optimiser": state.optimiser.state_dict(),
        "step": state.step.state_dict(),
    }


def _train_epoch(state: _State, config: RunConfig, steps_per_epoch: int, progress: RunProgress) -> float:
    """One pass over the training photos. Returns the mean loss of its steps."""
    settings, epoch = config.optimisation, state.epoch
    rng = np.random.default_rng(view_seed(config.seed, epoch, _MIXING))
    torch.manual_seed(view_seed(config.seed, epoch, _DROPOUT))
    state.views.epoch = state.loss.epoch = epoch
    state.network.train()
    losses: list[float] = []
    for step, batch in enumerate(epoch_batches(state.views, config, len(state.loss.weights_C), epoch)):
        set_rate(state.optimiser, lr_factor(epoch + (step + 1) / steps_per_epoch, settings))
        losses.append(
            _step(state, config, batch.images_BCHW, batch.labels_B, rng, batch.foreground, batch.second)
        )
        progress.step(len(batch.labels_B), losses[-1])
    return float(np.mean(losses))


def _step(
    state: _State,
    config: RunConfig,
    images_BCHW: Tensor,
    labels_B: Tensor,
    rng: np.random.Generator,
    foreground: tuple[Tensor, Tensor] | None = None,
    second: tuple[Tensor, Tensor] | None = None,
) -> float:
    settings, device = config.optimisation, state.fabric.device

    def on_device(pixels_BCHW: Tensor, classes_B: Tensor) -> Labelled:
        floats_BCHW = pixels_BCHW.to(device).float().contiguous(memory_format=torch.channels_last)
        return Labelled(floats_BCHW, classes_B.to(device))

    batch = state.mixer(on_device(images_BCHW, labels_B), rng, on_device(*foreground) if foreground else None)
    second_BCHW = on_device(*second).pixels_BCHW if second else None
    logits_BC, loss = state.step(state.network, state.loss, batch, second_BCHW)
    if state.taught is not None:
        loss = state.taught(loss, logits_BC, batch.pixels_BCHW)
    if not torch.isfinite(loss):
        raise ValueError(f"the loss is {loss.item()}: lower optimisation.lr or use precision=fp32")
    state.optimiser.zero_grad(set_to_none=True)
    state.fabric.backward(loss)
    if settings.clip_norm:
        nn.utils.clip_grad_norm_(state.network.parameters(), settings.clip_norm)
    state.optimiser.step()
    state.average.update_parameters(state.classifier)
    return float(loss.detach())


def _validate(state: _State, dataset: Dataset, cache: PhotoCache) -> dict[str, float | None]:
    samples = dataset.split("val")
    logits_NC = network_logits(
        cast(Classifier, state.average.module), cache, places_of(dataset, samples), state.fabric.device
    )
    evaluation = evaluate(
        probabilities(logits_NC),
        np.array([dataset.labels.index(sample.label) for sample in samples]),
        class_labels=dataset.labels,
        training_counts=dataset.info.training_counts,
        groups=dataset.groups,
        split="val",
        data_sha256=dataset.info.content_sha256,
    )
    return validation_summary(evaluation)
