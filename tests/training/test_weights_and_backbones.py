"""Weights go in without changing what a network computes, and every family of backbones trains and exports."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from typer.testing import CliRunner

from tests.house.tree import REPO
from tests.shared import shared
from training.__main__ import app
from training.backbones import freeze_unused, make_backbone
from training.classifier import Classifier, make_classifier
from training.config import Optimisation, RunConfig
from training.data.prepared import Dataset, write_dataset
from training.export import check_parity, to_onnx
from training.folding import convolution_pairs, fold_batch_norm
from training.pretrained import load_folded_mobilenet, restore_batch_norm
from training.recipes import make_recipe
from training.schedule import make_optimiser
from training.state import begin

INSECTS = "weights/mobilenet_v2_1.0_224_inat_insect_dequant.npz"


def tiny(backbone: str, size_px: int, **model: object) -> RunConfig:
    return make_recipe("debug").with_(size_px=size_px, model={"backbone": backbone, **model})


def settled(network: nn.Module) -> nn.Module:
    """Batch normalisation with statistics of its own, as after training."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias)
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2.0)
    return network.eval()


def folded_file(network: nn.Module, path: Path) -> Path:
    """What a published file with folded batch normalisation holds, of this network."""
    arrays: dict[str, np.ndarray] = {}
    for index, (convolution, norm) in enumerate(convolution_pairs(network)):
        assert norm.running_mean is not None
        assert norm.running_var is not None
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        arrays[f"{index:02d}.weight"] = (convolution.weight * scale.view(-1, 1, 1, 1)).detach().numpy()
        arrays[f"{index:02d}.bias"] = (norm.bias - norm.running_mean * scale).detach().numpy()
    arrays["52.weight"] = np.zeros((5, 1280), np.float32)
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return path


def small_mobilenet() -> nn.Module:
    return make_backbone("mobilenetv2_100", "none", 64, same_padding=True).network


@pytest.mark.parametrize("backbone", ["mobilenetv2_100", "resnet18", "test_efficientnet"])
def test_folding_batch_normalisation_keeps_the_function(backbone: str) -> None:
    network = settled(make_backbone(backbone, "none", 64).network).double()
    images = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    before = network.forward_features(images)  # type: ignore[operator]
    fold_batch_norm(network)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    torch.testing.assert_close(network.forward_features(images), before)  # type: ignore[operator]


def test_folded_weights_come_in_exactly_and_batch_normalisation_goes_back_without_changing_them(
    tmp_path: Path,
) -> None:
    original = settled(small_mobilenet())
    file = folded_file(original, tmp_path / "folded.npz")
    images = torch.randn(8, 3, 64, 64)
    expected = original.forward_features(images)  # type: ignore[operator]
    network = small_mobilenet().eval()
    load_folded_mobilenet(network, file)
    torch.testing.assert_close(network.forward_features(images), expected, rtol=1e-3, atol=1e-3)  # type: ignore[operator]
    restore_batch_norm(network, [images[:4], images[4:]])
    torch.testing.assert_close(network.forward_features(images), expected, rtol=1e-3, atol=1e-3)  # type: ignore[operator]
    _, first = convolution_pairs(network)[0]
    assert first.running_var is not None
    assert not torch.allclose(first.running_var, torch.ones(()))


def test_weights_of_another_network_are_refused_by_name(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", np.zeros((3, 3)))
    with pytest.raises(ValueError, match=r"other\.npz: expected 52 convolutions"):
        load_folded_mobilenet(small_mobilenet(), tmp_path / "other.npz")
    with pytest.raises(ValueError, match="there are no weights here"):
        load_folded_mobilenet(small_mobilenet(), tmp_path / "nowhere.npz")


@pytest.mark.shared_data
def test_the_insect_weights_see_the_same_features_with_their_batch_normalisation_given_back() -> None:
    network = make_backbone("mobilenetv2_100", str(shared(INSECTS)), 224).network.eval()
    images = torch.rand(4, 3, 224, 224) * 2 - 1
    with torch.no_grad():
        before = network.forward_features(images)  # type: ignore[operator]
        restore_batch_norm(network, [images])
        after = network.forward_features(images)  # type: ignore[operator]
    assert float(before.mean()) > 0.01
    torch.testing.assert_close(after, before, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("backbone", "size_px"),
    [
        ("mobilenetv2_100", 64),
        ("mobilenetv3_small_050", 64),
        ("resnet18", 64),
        ("resnet50", 64),
        ("resnet32_cifar", 32),
        ("test_convnext", 64),
        ("test_vit", 160),
    ],
)
def test_every_family_learns_and_answers_the_same_in_onnx(backbone: str, size_px: int) -> None:
    torch.manual_seed(0)
    classifier = make_classifier(tiny(backbone, size_px), 4)
    photos = np.random.default_rng(0).integers(0, 256, (4, size_px, size_px, 3), dtype=np.uint8)
    pixels = torch.from_numpy(photos).permute(0, 3, 1, 2).float()
    optimiser = torch.optim.SGD(classifier.parameters(), lr=0.01)
    for module in classifier.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0  # after one step, the statistics are these photos'
    before = {name: value.clone() for name, value in classifier.backbone.named_parameters()}
    for _ in range(2):  # a residual branch that begins at zero moves in the second step only
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(classifier.train()(pixels), torch.arange(4))
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    moved = [name for name, value in classifier.backbone.named_parameters() if not value.equal(before[name])]
    assert len(moved) > len(before) / 2

    classifier.eval()
    with torch.no_grad():
        outputs = classifier.outputs(pixels)
    onnx = to_onnx(classifier, size_px)
    assert str(REPO).encode() not in onnx, "no folder of whoever trained goes with a bundle"
    assert b"stack_trace" not in onnx
    assert check_parity(onnx, outputs.logits_BC.double().numpy(), photos) < 1e-3
    session = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
    logits, embedding, features = session.run(["logits", "embedding", "features"], {"image": photos[:1]})
    assert logits.shape == (1, 4)
    np.testing.assert_allclose(np.linalg.norm(embedding, axis=1), 1.0, rtol=1e-5)
    assert features.shape[:2] == (1, classifier.backbone.embedding_dim)
    assert features.ndim == 4


def test_a_graph_that_answers_otherwise_than_torch_is_refused() -> None:
    torch.manual_seed(0)
    classifier = make_classifier(tiny("test_efficientnet", 32), 3).eval()
    photos = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
    with pytest.raises(ValueError, match="the bundle is refused"):
        check_parity(to_onnx(classifier, 32), np.zeros((4, 3)), photos)


def test_frozen_stages_keep_weights_and_statistics_bit_for_bit() -> None:
    torch.manual_seed(0)
    classifier = make_classifier(tiny("mobilenetv2_100", 64, frozen_stages=3), 4).train()
    frozen = [tensor for stage in classifier.backbone.stages()[:3] for tensor in stage.state_dict().values()]
    before = [tensor.clone() for tensor in frozen]
    optimiser = torch.optim.AdamW(classifier.parameters(), lr=0.1, weight_decay=0.1)
    classifier(torch.rand(4, 3, 64, 64) * 255).sum().backward()
    optimiser.step()
    assert all(now.equal(then) for now, then in zip(frozen, before, strict=True))
    with pytest.raises(ValueError, match="has 8 stages"):
        make_classifier(tiny("mobilenetv2_100", 64, frozen_stages=9), 4)


@pytest.mark.parametrize(
    "name", ["mobilenetv2_100", "mobilenetv3_small_100", "convnext_atto", "test_vit", "resnet18"]
)
def test_a_wholly_frozen_backbone_learns_nothing_and_keeps_its_statistics(name: str) -> None:
    """Behind the last stage of most lies something more, such as a convolution or a normalisation."""
    torch.manual_seed(0)
    classifier = make_classifier(tiny(name, 64, frozen_stages="all"), 4).train()
    before = {key: value.clone() for key, value in classifier.backbone.state_dict().items()}
    optimiser = make_optimiser(classifier, Optimisation(lr=0.1, weight_decay=0.1))
    classifier(torch.rand(4, 3, 64, 64) * 255).square().sum().backward()
    optimiser.step()
    assert all(value.equal(before[key]) for key, value in classifier.backbone.state_dict().items())
    learning = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    assert set(learning) == set(classifier.head.parameters())


@pytest.mark.parametrize(
    ("name", "unused"),
    [
        ("mobilenetv3_small_100", {"conv_head.weight", "conv_head.bias"}),
        ("mobilenetv4_conv_small_035", {"conv_head.weight", "norm_head.weight", "norm_head.bias"}),
        ("test_convnext", {"head.norm.weight", "head.norm.bias"}),
        ("test_vit2", {"fc_norm.weight", "fc_norm.bias"}),
        *((name, set()) for name in ("mobilenetv2_100", "test_efficientnet", "resnet18", "test_vit")),
    ],
)
def test_after_one_backward_pass_all_that_learns_has_a_gradient(name: str, unused: set[str]) -> None:
    """What waits for the gradients of several processes, or replays them on a GPU, ends where one is missing."""
    torch.manual_seed(0)
    classifier = make_classifier(tiny(name, 64), 4).train()
    network = classifier.backbone.network
    before, random = list(network.state_dict()), torch.get_rng_state()
    freeze_unused(classifier.backbone, 64)
    assert torch.get_rng_state().equal(random)
    assert list(network.state_dict()) == before
    assert {key for key, value in network.named_parameters() if not value.requires_grad} == unused
    classifier(torch.rand(4, 3, 64, 64) * 255).square().sum().backward()
    learning = [parameter for parameter in classifier.parameters() if parameter.requires_grad]
    assert all(parameter.grad is not None for parameter in learning)


def test_what_is_frozen_beside_frozen_stages_and_experts_is_unused() -> None:
    frozen = make_classifier(tiny("test_convnext", 64, frozen_stages="all"), 4).backbone
    freeze_unused(frozen, 64)
    assert not any(parameter.requires_grad for parameter in frozen.parameters())
    experts = tiny("test_convnext", 64).with_(experts={"num": 3})
    backbone = make_classifier(experts, 4).backbone
    freeze_unused(backbone, 64)
    kept = {name for name, value in backbone.network.named_parameters() if not value.requires_grad}
    assert kept == {"head.norm.weight", "head.norm.bias"}


def test_what_is_unused_keeps_its_place_in_the_optimiser_so_that_older_runs_go_on(
    tiny_dataset: Dataset,
) -> None:
    state = begin(tiny("test_convnext", 64), tiny_dataset)
    placed = {parameter for group in state.optimiser.param_groups for parameter in group["params"]}
    assert placed == set(state.classifier.parameters())
    assert sum(not parameter.requires_grad for parameter in placed) == 2


def test_a_transformers_places_are_frozen_with_its_stem() -> None:
    network = make_classifier(tiny("test_vit", 64, frozen_stages=1), 4).backbone.network
    assert {name for name, _ in network.named_parameters(recurse=False)} == {"cls_token", "pos_embed"}
    assert not any(parameter.requires_grad for parameter in network.parameters(recurse=False))


@pytest.mark.parametrize(
    "name", ["mobilenetv2_100", "convnext_atto", "test_vit", "resnet18", "resnet32_cifar"]
)
def test_each_stage_learns_at_its_share_of_the_rate_of_the_one_above(name: str) -> None:
    size_px = 32 if name == "resnet32_cifar" else 64
    classifier = make_classifier(tiny(name, size_px), 4)
    settings = Optimisation(lr=1.0, backbone_lr_factor=0.1, layer_decay=0.5)
    optimiser = make_optimiser(classifier, settings)
    rates = {parameter: group["lr"] for group in optimiser.param_groups for parameter in group["params"]}
    assert set(rates) == set(classifier.parameters())
    assert {rates[parameter] for parameter in classifier.head.parameters()} == {1.0}
    stages = classifier.backbone.stages()
    for above, stage in enumerate(reversed(stages)):
        assert {rates[parameter] for parameter in stage.parameters()} == {0.1 * 0.5**above}
    last = [rates[parameter] for parameter in classifier.backbone.network.parameters()][-1]
    assert last == 0.1  # what lies behind the last stage
    plain = make_optimiser(classifier, Optimisation())
    assert [group["lr"] for group in plain.param_groups] == pytest.approx([5e-4, 5e-4, 5e-3, 5e-3])


def test_layer_wise_rates_of_a_backbone_without_named_stages_are_refused() -> None:
    with pytest.raises(ValueError, match=r"regnetx_002 does not name its stages"):
        make_optimiser(make_classifier(tiny("regnetx_002", 64), 4), Optimisation(layer_decay=0.7))


def test_weights_come_from_a_safetensors_file_and_a_wrong_one_is_refused(tmp_path: Path) -> None:
    source = make_backbone("test_efficientnet", "none", 32).network
    save_file(source.state_dict(), tmp_path / "weights.safetensors")
    loaded = make_backbone("test_efficientnet", str(tmp_path / "weights.safetensors"), 32).network
    assert all(value.equal(loaded.state_dict()[key]) for key, value in source.state_dict().items())
    with pytest.raises(ValueError, match="are missing or differ"):
        make_backbone("resnet18", str(tmp_path / "weights.safetensors"), 32)
    with pytest.raises(ValueError, match=r"expected none, timm, or a \.npz or \.safetensors file"):
        make_backbone("resnet18", "imagenet", 32)


def test_an_unknown_backbone_is_refused_with_near_names() -> None:
    with pytest.raises(ValueError, match=r"near names: .*resnet18"):
        make_backbone("resnet18_typo", "none", 32)


def test_a_run_with_folded_normalisation_has_nothing_left_to_fold() -> None:
    classifier: Classifier = make_classifier(tiny("mobilenetv2_100", 64, batch_norm="fold"), 3)
    assert convolution_pairs(classifier.backbone.network) == []


def test_a_backbone_that_cannot_be_exported_is_refused_before_it_is_trained(
    tiny_dataset: Dataset, tmp_path: Path
) -> None:
    write_dataset(tiny_dataset, ())
    words = ["train", "--recipe", "debug", "model.backbone=test_maxvit", "size_px=64"]
    done = CliRunner().invoke(
        app,
        [*words, "--data", str(tiny_dataset.folder), "--out", str(tmp_path / "run")],
        catch_exceptions=True,
    )
    assert isinstance(done.exception, ValueError)
    assert "test_maxvit cannot be exported to ONNX at 64 px" in str(done.exception)
    assert "choose another model.backbone" in str(done.exception)
    assert not (tmp_path / "run").exists()


def test_mobilenets_weights_are_refused_for_another_backbone() -> None:
    with pytest.raises(ValueError, match=r"holds MobileNetV2; model\.backbone=resnet18 needs other weights"):
        make_backbone("resnet18", "weights.npz", 64)
