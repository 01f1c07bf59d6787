"""Photos of the tail come with a map that adds up to the logit it explains."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.compare.synthetic import synthetic_dataset, synthetic_predictions, synthetic_result
from training.checkpoint import save_weights
from training.classifier import Classifier, make_classifier
from training.compare.qualitative import choose_photos, class_activation
from training.compare.record import RunResult
from training.compare.report import write_report
from training.config import RunConfig
from training.data.prepared import Dataset
from training.recipes_base import debug
from training.run_folder import CONFIG


def seeded(config: RunConfig, num_classes: int = 3) -> Classifier:
    torch.manual_seed(0)
    return make_classifier(config, num_classes).eval()


PIXELS = torch.rand((2, 3, 64, 64), generator=torch.Generator().manual_seed(1)) * 255


def test_the_map_of_a_linear_head_averages_to_the_logit_without_its_bias() -> None:
    classifier = seeded(debug())
    found = class_activation(classifier, PIXELS, 1).mean(dim=(1, 2))
    assert isinstance(classifier.head, torch.nn.Linear)
    expected = classifier(PIXELS)[:, 1] - classifier.head.bias[1]
    torch.testing.assert_close(found, expected.detach(), rtol=1e-4, atol=1e-5)


def test_the_map_of_a_cosine_head_averages_to_the_logit_times_the_embeddings_length() -> None:
    classifier = seeded(debug().with_(model={"head": "cosine"}))
    found = class_activation(classifier, PIXELS, 2).mean(dim=(1, 2))
    expected = classifier(PIXELS)[:, 2] * classifier.pooled(PIXELS).norm(dim=1)
    torch.testing.assert_close(found, expected.detach(), rtol=1e-4, atol=1e-4)


def test_the_map_of_several_experts_is_the_mean_of_theirs() -> None:
    classifier = seeded(debug().with_(experts={"num": 3}))
    found = class_activation(classifier, PIXELS, 0).mean(dim=(1, 2))
    bias = torch.stack([head.bias[0] for head in classifier.head.heads]).mean()  # type: ignore[union-attr]
    torch.testing.assert_close(found, (classifier(PIXELS)[:, 0] - bias).detach(), rtol=1e-4, atol=1e-5)


def test_photos_are_of_the_tail_each_once_and_sorted_into_right_and_wrong() -> None:
    dataset = synthetic_dataset(num_test=20)
    result = synthetic_result(dataset, "focal", recalls={"head": 0.9, "middle": 0.8, "tail": 0.5})
    choices = choose_photos(result, dataset)
    assert [choice.heading for choice in choices] == ["Right", "Most confused", "Wrong"]
    places = [place for choice in choices for place in choice.places]
    assert len(set(places)) == len(places) <= 12
    assert {dataset.groups[result.test.labels[place]] for place in places} == {"tail"}
    for choice in choices:
        right = {bool(result.test.correct[place]) for place in choice.places}
        assert right == {choice.heading == "Right"}
    surest = max(
        result.test.confidence[place]
        for place in np.flatnonzero(result.test.correct)
        if dataset.groups[result.test.labels[place]] == "tail"
    )
    assert result.test.confidence[choices[0].places[0]] == surest


def finished(dataset: Dataset, runs: Path) -> RunResult:
    """A result whose run folder still has weights, of a network that has learnt nothing."""
    config = debug()
    result = synthetic_result(dataset, "debug")
    labels = result.test.labels
    said = synthetic_predictions(labels, dataset, {"head": 1.0, "middle": 1.0, "tail": 0.0}, seed=3)
    folder = runs / result.key
    folder.mkdir(parents=True)
    (folder / CONFIG).write_text(config.model_dump_json())
    save_weights(folder, seeded(config, len(dataset.labels)))
    return result.model_copy(update={"test": said})


def report(dataset: Dataset, result: RunResult, folder: Path) -> str:
    write_report(
        dataset,
        [result],
        folder,
        baseline="debug",
        failures={},
        commands=(),
        runs=folder / "runs",
        tables=folder / "tables.md",
        ablation=None,
    )
    return (folder / "index.html").read_text(encoding="utf-8")


def test_the_page_shows_each_photo_beside_its_map(tiny_dataset: Dataset, tmp_path: Path) -> None:
    html = report(tiny_dataset, finished(tiny_dataset, tmp_path / "runs"), tmp_path)
    num_photos = html.count('<div class="pair">')
    assert num_photos == 1  # the tail has one test photo
    assert html.count("data:image/jpeg;base64,") == 2 * num_photos
    assert "Test photo of species-2" in html


@pytest.mark.parametrize("broken", ["weights", "photo"])
def test_what_can_no_longer_be_read_costs_the_photos_and_not_the_report(
    tiny_dataset: Dataset, tmp_path: Path, broken: str
) -> None:
    result, dataset = finished(tiny_dataset, tmp_path / "runs"), tiny_dataset
    if broken == "weights":
        (tmp_path / "runs" / result.key / "final.safetensors").write_bytes(b"cut off")
    else:
        info = tiny_dataset.info.model_copy(update={"root": tmp_path / "nowhere"})
        dataset = Dataset(tiny_dataset.folder, info, tiny_dataset.samples)
    html = report(dataset, result, tmp_path)
    assert "No photos are shown:" in html
    assert "data:image/jpeg" not in html
