"""The training loop: epochs and steps. Knows nothing of recipes, folders of bundles or test data.

Legend: B batch, C channels or classes, H W pixels.
"""

import time
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from lightning_fabric import Fabric

from models.decision import probabilities
from models.metrics import evaluate
from models.preprocess import Preprocessing
from training.average import mean_weights
from training.checkpoint import append_metrics, load_checkpoint, save_checkpoint, save_weights
from training.classifier import Classifier, make_classifier
from training.config import RunConfig
from training.data.batches import cut_to_batches, epoch_batches
from training.data.cache import PhotoCache
from training.data.dataset import view_seed
from training.data.prepared import Dataset
from training.distillation import ready_teachers
from training.evaluate import class_indices
from training.finish import check_finish, finish
from training.hardware import keep_freed_memory
from training.inference import evaluation_cache, network_logits, places_of
from training.progress import RunProgress, validation_summary
from training.run_folder import is_first_process
from training.schedule import lr_factor, set_rate
from training.state import TrainingState, begin
from training.step import NotFinite, take_step

_MIXING, _DROPOUT = 2**31 + 1, 2**31 + 2


def train(config: RunConfig, dataset: Dataset, folder: Path) -> Classifier:
    """Train to the end, resuming from the folder's checkpoint, and write the final (averaged) weights.

    Killed at any moment and started again, it ends with the same weights on the same machine. Under torchrun, each
    process trains on its share of every batch, and the first one writes. Raises ValueError where the loss is no number.
    """
    check_finish(config, dataset)
    if not config.distillation.student:
        return _soup(config, dataset, folder)
    state = _at_the_end_of_epochs(config, dataset, folder)
    final = cast(Classifier, state.average.module)
    if state.fabric.is_global_zero:
        _finish(final, config, dataset, folder)
    state.fabric.barrier()
    return final.eval()


def _soup(config: RunConfig, dataset: Dataset, folder: Path) -> Classifier:
    """The mean of teachers who are finished already."""
    teachers = ready_teachers(config, dataset, folder, train)
    assert teachers is not None
    soup = make_classifier(config, len(dataset.labels))
    soup.load_state_dict(mean_weights(teachers.members))
    if is_first_process():
        save_weights(folder, soup)
    return soup.eval()


def train_epochs(config: RunConfig, dataset: Dataset, folder: Path) -> Classifier:
    """The averaged network at the end of the epochs, before anything that comes after them.

    The folder's checkpoint keeps it, and ``metrics.jsonl`` the seconds that each epoch's steps took.
    """
    return cast(Classifier, _at_the_end_of_epochs(config, dataset, folder).average.module)


def _at_the_end_of_epochs(config: RunConfig, dataset: Dataset, folder: Path) -> TrainingState:
    state = begin(config, dataset, ready_teachers(config, dataset, folder, train))
    if saved := load_checkpoint(folder):
        state.resume(saved)
    steps_per_epoch = len(
        cut_to_batches(range(len(state.views)), config.optimisation.batch_size, state.share)
    )
    num_steps = steps_per_epoch * config.optimisation.epochs
    validation = evaluation_cache(dataset, _wanted(config)) if dataset.split("val") else None
    first = state.fabric.is_global_zero
    with RunProgress(
        config.recipe, first_step=state.epoch * steps_per_epoch, num_steps=num_steps, silent=not first
    ) as progress:
        while state.epoch < config.optimisation.epochs:
            began = time.monotonic()
            record: dict[str, Any] = {
                "epoch": state.epoch,
                "loss": _train_epoch(state, config, dataset, steps_per_epoch, progress),
                "seconds": round(time.monotonic() - began, 3),
            }
            state.epoch += 1
            if first:
                if validation is not None:
                    record["validation"] = _validate(state, dataset, validation)
                append_metrics(folder, record)
                save_checkpoint(folder, state.snapshot())
                progress.epoch(record)
            state.fabric.barrier()
    return state


def finish_from(config: RunConfig, dataset: Dataset, epochs_folder: Path, folder: Path) -> Classifier:
    """Finish a run on the epochs of another that differs only in what comes after them: the same weights, bit for bit,
    as training it alone.

    Raises ValueError where the other's epochs are not complete.
    """
    check_finish(config, dataset)
    saved = load_checkpoint(epochs_folder)
    if saved is None or not _are_complete(config, saved):
        raise ValueError(f"{epochs_folder}: its epochs are not complete; train that run to its end first")
    keep_freed_memory()
    if config.threads:
        torch.set_num_threads(config.threads)
    classifier = make_classifier(config, len(dataset.labels)).to(memory_format=torch.channels_last)
    prefix = "module."  # where AveragedModel keeps the network
    average = {key: value for key, value in saved["average"].items() if key.startswith(prefix)}
    classifier.load_state_dict({key.removeprefix(prefix): value for key, value in average.items()})
    classifier.to(Fabric(accelerator=config.device, devices=1).device)
    _finish(classifier, config, dataset, folder)
    return classifier.eval()


def epochs_are_complete(config: RunConfig, folder: Path) -> bool:
    """Whether a folder's checkpoint is whole and of the last epoch."""
    try:
        saved = load_checkpoint(folder)
    except ValueError:
        return False
    return saved is not None and _are_complete(config, saved)


def _are_complete(config: RunConfig, saved: dict[str, Any]) -> bool:
    return int(saved["epoch"]) >= config.optimisation.epochs


def _finish(average: Classifier, config: RunConfig, dataset: Dataset, folder: Path) -> None:
    finish(average, config, dataset)
    save_weights(folder, average)


def _wanted(config: RunConfig) -> Preprocessing:
    return Preprocessing(size_px=config.size_px, fit=config.fit)


def _train_epoch(
    state: TrainingState, config: RunConfig, dataset: Dataset, steps_per_epoch: int, progress: RunProgress
) -> float:
    """One pass over the training photos. Returns the mean loss of its steps."""
    settings, epoch = config.optimisation, state.epoch
    rng = np.random.default_rng(view_seed(config.seed, epoch, _MIXING))
    torch.manual_seed(view_seed(config.seed, epoch, _DROPOUT))
    state.views.epoch = state.loss.epoch = epoch
    state.network.train()
    losses: list[float] = []
    batches = epoch_batches(state.views, config, len(state.loss.weights_C), epoch, state.share)
    for step, batch in enumerate(batches):
        set_rate(state.optimiser, lr_factor(epoch + (step + 1) / steps_per_epoch, settings))
        try:
            losses.append(take_step(state, config, batch, rng))
        except NotFinite as error:
            where = f"epoch {epoch + 1}, step {step + 1} of {steps_per_epoch}"
            kept = (
                "the checkpoint of the epoch before is kept" if epoch else "no epoch was finished before it"
            )
            raise ValueError(_advice(error, where, batch.draws, dataset, kept)) from error
        progress.step(len(batch.draws) * state.share.of, losses[-1])
    mean = torch.tensor(np.mean(losses), device=state.fabric.device)
    return float(cast(torch.Tensor, state.fabric.all_reduce(mean)))


def _advice(error: NotFinite, where: str, draws: tuple[int, ...], dataset: Dataset, kept: str) -> str:
    samples = dataset.split("train")
    paths = [samples[draw % len(samples)].path for draw in draws]
    photos = ", ".join(paths[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
    return (
        f"{error} in {where} (photos {photos}): {kept}; begin another run with a lower optimisation.lr, or with "
        "precision=fp32"
    )


def _validate(state: TrainingState, dataset: Dataset, cache: PhotoCache) -> dict[str, float | None]:
    samples = dataset.split("val")
    logits_NC = network_logits(
        cast(Classifier, state.average.module), cache, places_of(dataset, samples), state.fabric.device
    )
    evaluation = evaluate(
        probabilities(logits_NC),
        class_indices(dataset, samples),
        class_labels=dataset.labels,
        training_counts=dataset.info.training_counts,
        groups=dataset.groups,
        split="val",
        data_sha256=dataset.info.content_sha256,
    )
    return validation_summary(evaluation)
