"""Learning from teachers: their runs, and the loss that their answers add. Legend: B batch, C classes, H W pixels."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.auxiliary import Distillation
from training.checkpoint import WEIGHTS
from training.config import RunConfig
from training.data.prepared import Dataset
from training.ensemble import Ensemble
from training.run_folder import RUN, begin_run, is_first_process, read_run
from training.step_loss import Autocast
from training.trained import load_run

Train = Callable[[RunConfig, Dataset, Path], object]


def teacher_divergence(logits_BC: Tensor, teacher_BC: Tensor, *, temperature: float) -> Tensor:
    """``T^2 * KL(softmax(teacher / T) || softmax(student / T))`` of each image [B], in at least float32.

    Hinton et al. (2015), section 2: T^2 keeps the gradient of the size that it has at T = 1. No gradient goes to the
    teacher.
    """
    wide = torch.promote_types(logits_BC.dtype, torch.float32)
    student_BC = (logits_BC.to(wide) / temperature).log_softmax(dim=1)
    target_BC = (teacher_BC.detach().to(wide) / temperature).log_softmax(dim=1)
    each_BC = functional.kl_div(student_BC, target_BC, reduction="none", log_target=True)
    return temperature**2 * each_BC.sum(dim=1)


class Taught(nn.Module):
    """``(1 - weight) * loss + weight * divergence`` from the mean logits of the teachers, on the pixels of the step.

    Teachers see what the student sees, the same view and the same mixture. Of several experts the mean, which is what
    the student will answer with, is compared. Class weights are not the divergence's.
    """

    def __init__(
        self, teachers: Ensemble, settings: Distillation, *, autocast: Autocast = nullcontext
    ) -> None:
        super().__init__()
        self.teachers = teachers.requires_grad_(False).eval().to(memory_format=torch.channels_last)
        self.settings, self.autocast = settings, autocast

    def forward(self, loss: Tensor, logits_BC: Tensor, pixels_BCHW: Tensor) -> Tensor:
        """The loss of the step, a scalar. ``logits_BC`` may be [K, B, C], of K experts."""
        with torch.no_grad(), self.autocast():
            teacher_BC = self.teachers(pixels_BCHW)
        answer_BC = logits_BC.mean(dim=0) if logits_BC.ndim == 3 else logits_BC
        apart_B = teacher_divergence(answer_BC, teacher_BC, temperature=self.settings.temperature)
        return (1 - self.settings.weight) * loss + self.settings.weight * apart_B.mean()


def check_mean(config: RunConfig) -> None:
    """Raises ValueError where the mean of several networks' weights would be of networks that do not begin alike."""
    if config.model.pretrained == "none":
        raise ValueError("a mean of weights needs networks that begin alike: use model.pretrained")
    if config.model.batch_norm != "fold":
        raise ValueError("a mean of weights has no statistics of its own: use model.batch_norm=fold")


def teacher_runs(config: RunConfig, folder: Path) -> list[tuple[RunConfig, Path]]:
    """The teachers' configurations, of seeds ``seed + 1`` and so on, and where in the run's folder each is trained."""
    alone = config.with_(distillation=Distillation())
    if config.distillation.teacher_epochs:
        alone = alone.with_(optimisation={"epochs": config.distillation.teacher_epochs})
    return [
        (alone.with_(seed=config.seed + number), folder / f"teacher-{number}")
        for number in range(1, config.distillation.teachers + 1)
    ]


def ready_teachers(config: RunConfig, dataset: Dataset, folder: Path, train: Train) -> Ensemble | None:
    """The teachers that a run asks for, as they were finished; those that are missing are trained, or go on, first.

    None where nothing is learnt from teachers. Raises ValueError where a teacher's folder holds another run, and for
    a soup of teachers that would not begin alike.
    """
    if not config.distillation.learns:
        return None
    if config.distillation.soup:
        check_mean(config)
    command = read_run(folder).command if (folder / RUN).exists() else "train"
    networks = []
    for settings, place in teacher_runs(config, folder):
        if is_first_process():
            begin_run(place, settings, dataset.folder, dataset.info.content_sha256, command)
        if not (place / WEIGHTS).exists():
            train(settings, dataset, place)
        # Read back even if trained just now: memory is laid out alike, so a resumed run hears the same to the bit.
        networks.append(load_run(place, len(dataset.labels))[1])
    return Ensemble(networks)
