"""Teachers of a run: how they are trained and found again, and what a student has of them.

The loss itself is among the identities of ``training.verify``.
"""

import shutil
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.training.killed import killed_after_one_epoch, same
from training.auxiliary import Distillation
from training.backbones import make_backbone
from training.choices import LogitAdjusted, PostHoc
from training.classifier import make_classifier
from training.config import RunConfig, read_config
from training.data.prepared import Dataset
from training.distillation import ready_teachers
from training.export import check_exports
from training.overrides import apply_overrides
from training.prior import prior_in_logits
from training.recipes import make_recipe
from training.shared_stages import share_frozen_stages
from training.state import begin
from training.trainer import train

COUNTS = (100, 50, 20, 5, 1)


def student(**distillation: object) -> RunConfig:
    return make_recipe("debug").with_(
        device="cpu", seed=4, optimisation={"epochs": 2}, distillation={"teachers": 2, **distillation}
    )


@pytest.fixture(scope="module")
def taught(tiny_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A student of two teachers, trained undisturbed."""
    folder = tmp_path_factory.mktemp("taught")
    train(student(), tiny_dataset, folder)
    return folder


def test_teachers_are_runs_of_the_next_seeds_in_folders_of_their_own(
    tiny_dataset: Dataset, taught: Path, tmp_path: Path
) -> None:
    assert sorted(path.name for path in taught.iterdir() if path.is_dir()) == ["teacher-1", "teacher-2"]
    alone = student().with_(distillation=Distillation())
    for number in (1, 2):
        assert read_config(taught / f"teacher-{number}" / "config.json") == alone.with_(seed=4 + number)
    train(alone.with_(seed=5), tiny_dataset, tmp_path)
    assert same(tmp_path, taught / "teacher-1")
    assert not same(taught / "teacher-1", taught / "teacher-2")


def test_teachers_learn_for_epochs_of_their_own_where_that_is_asked_for(
    tiny_dataset: Dataset, tmp_path: Path
) -> None:
    train(student(teachers=1, teacher_epochs=1), tiny_dataset, tmp_path)
    assert read_config(tmp_path / "teacher-1" / "config.json").optimisation.epochs == 1
    told = [tmp_path / place / "metrics.jsonl" for place in ("teacher-1", ".")]
    assert [len(path.read_text().splitlines()) for path in told] == [1, 2]


def test_weight_0_asks_no_teacher_and_ends_with_the_plain_runs_weights_bit_for_bit(
    tiny_dataset: Dataset, taught: Path, tmp_path: Path
) -> None:
    for name, config in (("zero", student(weight=0.0)), ("plain", student(teachers=0))):
        (tmp_path / name).mkdir()
        train(config, tiny_dataset, tmp_path / name)
    assert same(tmp_path / "zero", tmp_path / "plain")
    assert not any(path.is_dir() for path in (tmp_path / "zero").iterdir())
    assert not same(tmp_path / "plain", taught)


def test_a_run_killed_inside_its_first_teacher_ends_with_the_same_weights(
    tiny_dataset: Dataset, taught: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_after_one_epoch(student(), tiny_dataset, tmp_path, monkeypatch)
    assert not (tmp_path / "teacher-1" / "final.safetensors").exists()
    train(student(), tiny_dataset, tmp_path)
    assert same(tmp_path, taught)


def test_a_killed_student_goes_on_with_finished_teachers_which_are_not_trained_again(
    tiny_dataset: Dataset, taught: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("teacher-1", "teacher-2"):
        shutil.copytree(taught / name, tmp_path / name, ignore=shutil.ignore_patterns("checkpoint.pt"))
    killed_after_one_epoch(student(), tiny_dataset, tmp_path, monkeypatch)
    assert (tmp_path / "checkpoint.pt").exists()
    train(student(), tiny_dataset, tmp_path)
    assert same(tmp_path, taught)
    assert not (tmp_path / "teacher-1" / "checkpoint.pt").exists()


def test_the_folder_of_another_teacher_is_refused(tiny_dataset: Dataset, taught: Path) -> None:
    other = student().with_(optimisation={"lr": 1e-3})
    with pytest.raises(ValueError, match="teacher-1: holds a run with other settings"):
        train(other, tiny_dataset, taught)


def test_a_student_is_saved_without_its_teachers(taught: Path) -> None:
    own, teachers = (load_file(folder / "final.safetensors") for folder in (taught, taught / "teacher-1"))
    assert own.keys() == teachers.keys()


@pytest.fixture
def pretrained(tmp_path: Path) -> dict[str, object]:
    """A small network's weights to begin from, folded."""
    path = tmp_path / "pretrained.safetensors"
    save_file(make_backbone("test_efficientnet", "none", 32).network.state_dict(), path)
    return {"pretrained": str(path), "batch_norm": "fold"}


def test_a_soup_is_where_the_student_begins(
    tiny_dataset: Dataset, pretrained: dict[str, object], tmp_path: Path
) -> None:
    config = student().with_(model=pretrained, distillation={"soup": True})
    teachers = ready_teachers(config, tiny_dataset, tmp_path, train)
    assert teachers is not None
    begun = begin(config, tiny_dataset, teachers)
    for network in (begun.classifier, begun.average.module):
        for key, weight in network.state_dict().items():
            one, two = (teacher.state_dict()[key] for teacher in teachers.members)
            assert torch.allclose(weight, (one + two) / 2, atol=1e-6), key
    assert not same(tmp_path / "teacher-1", tmp_path / "teacher-2")


def test_a_student_from_a_soup_killed_at_its_first_epoch_ends_with_the_same_weights(
    tiny_dataset: Dataset, pretrained: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = student(teachers=1).with_(model=pretrained, distillation={"soup": True})
    train(config, tiny_dataset, tmp_path / "whole")
    shutil.copytree(tmp_path / "whole" / "teacher-1", tmp_path / "killed" / "teacher-1")
    killed_after_one_epoch(config, tiny_dataset, tmp_path / "killed", monkeypatch)
    train(config, tiny_dataset, tmp_path / "killed")
    assert same(tmp_path / "whole", tmp_path / "killed")


def test_without_a_student_the_run_is_the_mean_of_its_teachers_as_they_were_finished(
    tiny_dataset: Dataset, pretrained: dict[str, object], tmp_path: Path
) -> None:
    config = student().with_(model=pretrained, distillation={"soup": True, "student": False})
    returned = train(config, tiny_dataset, tmp_path)
    saved, one, two = (
        load_file(tmp_path / place / "final.safetensors") for place in (".", "teacher-1", "teacher-2")
    )
    for key, weight in saved.items():
        assert torch.allclose(weight, (one[key] + two[key]) / 2, atol=1e-6), key
        assert torch.equal(returned.state_dict()[key], weight)
    before = (tmp_path / "teacher-1" / "final.safetensors").stat().st_mtime_ns
    (tmp_path / "final.safetensors").unlink()
    train(config, tiny_dataset, tmp_path)
    assert (tmp_path / "teacher-1" / "final.safetensors").stat().st_mtime_ns == before, (
        "teachers are not trained again"
    )
    assert not (tmp_path / "metrics.jsonl").exists()


def test_a_run_without_a_student_and_without_a_soup_is_refused() -> None:
    with pytest.raises(ValueError, match=r"use distillation\.soup"):
        student(student=False)


def test_a_soup_leaves_the_prior_that_its_teachers_leave() -> None:
    soup = Distillation(teachers=2, soup=True, student=False, weight=0.5)
    config = make_recipe("cross_entropy").with_(model={"batch_norm": "fold"}, distillation=soup)
    assert prior_in_logits(config, COUNTS) == "training"
    assert prior_in_logits(config.with_(loss=LogitAdjusted()), COUNTS) == "none"


@pytest.mark.parametrize(
    "changes",
    [
        {"model": {"batch_norm": "learn"}},
        {"model": {"batch_norm": "fold"}, "distillation": {"weight": 0.0}},
        {"model": {"batch_norm": "fold"}, "distillation": {"teachers": 0}},
    ],
)
def test_a_soup_without_teachers_or_with_statistics_is_refused(changes: dict[str, object]) -> None:
    config = student().with_(**changes)
    with pytest.raises(ValueError, match=r"use distillation\.teachers and model\.batch_norm=fold"):
        config.with_(distillation={"soup": True})


def test_a_soup_of_teachers_that_would_not_begin_alike_is_refused_before_they_are_trained(
    tiny_dataset: Dataset, tmp_path: Path
) -> None:
    config = student().with_(model={"batch_norm": "fold"}, distillation={"soup": True})
    with pytest.raises(ValueError, match=r"begin alike: use model\.pretrained"):
        ready_teachers(config, tiny_dataset, tmp_path, train)
    assert not list(tmp_path.iterdir())


def test_a_student_from_a_soup_can_be_exported(pretrained: dict[str, object]) -> None:
    check_exports(student().with_(model=pretrained, distillation={"soup": True}), num_classes=3)


@pytest.mark.parametrize(("frozen_stages", "shared"), [(0, 0), (2, 3), ("all", 1)])
def test_teachers_that_overhear_the_students_frozen_stages_answer_the_same_to_the_bit(
    frozen_stages: int | str, shared: int
) -> None:
    config = student().with_(model={"frozen_stages": frozen_stages})
    torch.manual_seed(2)
    learner, teacher = (make_classifier(config, num_classes=3) for _ in range(2))
    teacher.backbone.load_state_dict(learner.backbone.state_dict())
    teacher.eval()
    for pixels_BCHW in torch.rand(2, 4, 3, 32, 32) * 255:
        alone, hearing = deepcopy(teacher), deepcopy(teacher)
        heard = deepcopy(learner).train()
        assert share_frozen_stages(heard, [hearing]) == shared
        heard(pixels_BCHW)
        with torch.no_grad():
            assert torch.equal(hearing(pixels_BCHW), alone(pixels_BCHW))


def test_a_teacher_whose_lower_stages_are_others_hears_nothing_of_the_student() -> None:
    config = student().with_(model={"frozen_stages": 2})
    learner, teacher = (make_classifier(config, num_classes=3) for _ in range(2))
    before = teacher.state_dict().keys()
    assert share_frozen_stages(learner, [teacher]) < 3
    assert any(key.startswith("backbone.network.conv_stem") for key in teacher.state_dict().keys() & before)


def test_several_experts_learn_from_teachers_too(tiny_dataset: Dataset, tmp_path: Path) -> None:
    config = student(teachers=1).with_(experts={"num": 2}, optimisation={"epochs": 1})
    train(config, tiny_dataset, tmp_path)
    assert (tmp_path / "final.safetensors").exists()


def test_what_was_done_to_teachers_after_their_epochs_is_not_done_to_the_student_again_unasked() -> None:
    with pytest.raises(
        ValueError, match=r"corrected 2 times, by post_hoc\.tau=1\.0 and distillation\.teachers=3"
    ):
        apply_overrides(make_recipe("distilled"), ["loss.name=cross_entropy", "post_hoc.tau=1"])
    soup = {"soup": True, "student": False}  # of teachers as they were finished, once
    alone = make_recipe("cross_entropy").with_(
        model={"batch_norm": "fold"}, post_hoc=PostHoc(tau=1), distillation=Distillation(teachers=3, **soup)
    )
    assert alone.corrections == ("post_hoc.tau=1.0",)
    crt = make_recipe("distilled").with_(stage={"name": "crt"})
    assert crt.corrections == ("stage=crt",)


def test_the_prior_that_a_student_keeps_is_known_where_loss_and_teachers_agree() -> None:
    taught = Distillation(teachers=2)
    plain = make_recipe("cross_entropy")
    assert prior_in_logits(plain.with_(distillation=taught), COUNTS) == "training"
    assert prior_in_logits(plain.with_(loss=LogitAdjusted(), distillation=taught), COUNTS) == "none"
    corrected = plain.with_(post_hoc=PostHoc(tau=0.5), distillation=taught, allow_double_correction=True)
    assert prior_in_logits(corrected, COUNTS) == "partial"
