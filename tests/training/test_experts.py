"""Several experts on one stem train, answer with their mean, and are exported as one network."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from training.choices import CrossEntropy, Experts
from training.classifier import Classifier, make_classifier
from training.data.prepared import Dataset
from training.experts import ExpertHeads, ParallelStage
from training.export import check_parity, to_onnx
from training.objective import make_objective
from training.overrides import apply_overrides
from training.recipes import make_recipe
from training.run_folder import begin_run
from training.trained import load_run
from training.trainer import train


def network(backbone: str, size_px: int, **model: object) -> Classifier:
    torch.manual_seed(0)
    config = make_recipe("debug").with_(
        size_px=size_px, model={"backbone": backbone, **model}, experts=Experts(num=3)
    )
    return make_classifier(config, 4)


@pytest.mark.parametrize(
    ("backbone", "size_px"),
    [("resnet18", 32), ("test_efficientnet", 32), ("test_convnext", 32), ("test_vit", 160)],
)
def test_every_family_branches_at_its_last_stage_and_answers_with_the_mean_in_onnx_too(
    backbone: str, size_px: int
) -> None:
    classifier = network(backbone, size_px)
    assert isinstance(classifier.backbone.stages()[-1], ParallelStage)
    photos = np.random.default_rng(0).integers(0, 256, (4, size_px, size_px, 3), dtype=np.uint8)
    pixels = torch.from_numpy(photos).permute(0, 3, 1, 2).float()
    assert classifier.train()(pixels).shape == (3, 4, 4)
    with torch.no_grad():
        outputs = classifier.eval().outputs(pixels)
        features = classifier.backbone(classifier.normalise(pixels))
        heads = classifier.head
        assert isinstance(heads, ExpertHeads)
        each = [
            head(part) for head, part in zip(heads.heads, features.mean(dim=(2, 3)).chunk(3), strict=True)
        ]
    torch.testing.assert_close(outputs.logits_BC, torch.stack(each).mean(dim=0))
    assert outputs.features_BDhw.shape[:2] == (4, classifier.backbone.embedding_dim)
    torch.testing.assert_close(outputs.embedding_BD.norm(dim=1), torch.ones(4))
    assert check_parity(to_onnx(classifier, size_px), outputs.logits_BC.double().numpy(), photos) < 1e-3


def test_experts_begin_apart_and_share_what_is_below() -> None:
    classifier = network("resnet18", 32)
    layer = classifier.backbone.network.layer4
    assert isinstance(layer, ParallelStage)
    first, second, _ = (next(expert.parameters()) for expert in layer.experts)
    assert not first.equal(second)
    alone = make_classifier(make_recipe("debug").with_(model={"backbone": "resnet18"}), 4)
    stem = sum(p.numel() for stage in classifier.backbone.stages()[:-1] for p in stage.parameters())
    assert stem == sum(p.numel() for stage in alone.backbone.stages()[:-1] for p in stage.parameters())


@pytest.mark.parametrize("recipe", ["ride", "sade"])
def test_a_run_of_experts_is_read_back_as_it_was_written(
    tiny_dataset: Dataset, tmp_path: Path, recipe: str
) -> None:
    config = make_recipe(recipe).with_(
        size_px=32,
        workers=0,
        model={"backbone": "test_efficientnet"},
        optimisation={"epochs": 2, "batch_size": 8},
    )
    begin_run(tmp_path, config, tiny_dataset.folder, tiny_dataset.info.content_sha256, "train")
    trained = train(config, tiny_dataset, tmp_path)
    _, read = load_run(tmp_path, 3)
    weights = load_file(tmp_path / "final.safetensors")
    assert {key.split(".")[1] for key in weights if key.startswith("head.heads")} == {"heads"}
    pixels = torch.rand(2, 3, 32, 32) * 255
    with torch.no_grad():
        torch.testing.assert_close(read(pixels), trained(pixels))


@pytest.mark.parametrize(
    ("recipe", "words", "why"),
    [
        ("crt", ["experts.num=3"], "change one head"),
        ("logit_adjusted_post_hoc", ["experts.num=2"], "change one head"),
        ("baseline", ["experts.diversity=0.2"], "needs several experts"),
        ("sade", ["experts.num=2"], "three experts on cross-entropy"),
        ("logit_adjusted", ["experts.num=3", "experts.priors=spread"], "three experts on cross-entropy"),
        ("sade", ["weights.name=effective_number"], "corrected 2 times"),
    ],
)
def test_experts_that_cannot_be_are_refused(recipe: str, words: list[str], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        apply_overrides(make_recipe(recipe), words)


def test_smoothed_labels_are_smoothed_for_each_of_the_three_experts() -> None:
    def spread(label_smoothing: float) -> torch.Tensor:
        config = make_recipe("sade").with_(loss=CrossEntropy(label_smoothing=label_smoothing))
        alike_3BC = torch.tensor([[[3.0, 0.0, -1.0]]]).expand(3, 1, 3).clone().requires_grad_()
        make_objective(config, (90, 9, 1))(alike_3BC, torch.tensor([0])).sum().backward()
        assert alike_3BC.grad is not None
        return alike_3BC.grad

    assert ((spread(0.3) - spread(0.0)).abs().amax(dim=(1, 2)) > 1e-3).all()
