"""What is done ahead of the runs: each network is tried, and what cannot be is named without an end to anything."""

from dataclasses import replace
from pathlib import Path

import pytest

from training.compare import ahead
from training.compare.ahead import decode_photos, refused_networks
from training.compare.plan import run_key
from training.config import RunConfig
from training.data.prepared import Dataset
from training.recipes import make_recipe


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> list[RunConfig]:
    """What was exported, which here takes no time."""
    found: list[RunConfig] = []
    monkeypatch.setattr(ahead, "check_exports", lambda config, num_classes: found.append(config))
    return found


def config_of(recipe: str, frozen: int = 0, backbone: str = "test_resnet") -> RunConfig:
    model = {"backbone": backbone, "frozen_stages": frozen, "pretrained": "gone.safetensors"}
    return make_recipe("debug").with_(recipe=recipe, model=model)


def test_a_network_with_fewer_stages_than_are_frozen_is_refused_wherever_it_stands(
    exported: list[RunConfig],
) -> None:
    first, last = config_of("first", frozen=9), config_of("last", frozen=9)
    configs = [first, config_of("some", frozen=2), last, config_of("none")]
    refused = refused_networks(configs, 3)
    assert refused.keys() == {run_key(first), run_key(last)}
    assert set(refused.values()) == {"frozen_stages=9: test_resnet has 5 stages; all freezes the whole of it"}
    assert len(exported) == 1


def test_missing_weights_are_left_for_the_run_to_say(exported: list[RunConfig]) -> None:
    assert refused_networks([config_of("weightless")], 3) == {}
    assert [config.model.pretrained for config in exported] == ["none"]


def test_each_backbone_size_and_number_of_experts_is_exported_once(exported: list[RunConfig]) -> None:
    config = config_of("plain")
    configs = [
        config,
        config.with_(recipe="cosine", model={"head": "cosine"}),
        config.with_(recipe="larger", size_px=64),
        config.with_(recipe="three", experts={"num": 3}),
        config_of("other", backbone="test_efficientnet"),
    ]
    assert refused_networks(configs, 3) == {}
    assert [config.recipe for config in exported] == ["plain", "larger", "three", "other"]


def test_whatever_an_export_ends_with_is_the_reason_for_all_runs_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def export(config: RunConfig, num_classes: int) -> None:
        if config.model.backbone == "test_resnet":
            raise AssertionError("odd\ngrid")

    monkeypatch.setattr(ahead, "check_exports", export)
    configs = [config_of("one"), config_of("two"), config_of("other", backbone="test_efficientnet")]
    reason = "test_resnet cannot be made at 32 px (AssertionError('odd\\ngrid')); choose another backbone"
    assert refused_networks(configs, 3) == dict.fromkeys(map(run_key, configs[:2]), reason)


def test_photos_that_cannot_be_decoded_are_left_for_the_runs_to_say(
    tiny_dataset: Dataset, tmp_path: Path
) -> None:
    changed = [replace(sample, sha256="0" * 64) for sample in tiny_dataset.samples]
    decode_photos([config_of("one")], Dataset(tmp_path, tiny_dataset.info, tuple(changed)))
    assert list((tmp_path / "cache").glob("*.json")) == []
    decode_photos([config_of("one")], Dataset(tmp_path, tiny_dataset.info, tiny_dataset.samples))
    assert len(list((tmp_path / "cache").glob("*.json"))) == 2
