"""The rule for adding a species keeps its promise to the others, and species that nobody learnt are found by it."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from models import bundle
from models.prototypes import AddingRule, prototype_row
from tests.training import test_judge_unknown
from tests.training.test_judge_unknown import dataset_of
from training.added_report import New, Old, added_lines, added_report, in_order
from training.adding import NUM_PHOTOS, fit_adding, try_adding
from training.crossval import cross_validate
from training.data.left_out import write_left_out
from training.export import BundleText, export
from training.inference import Answers
from training.judge_added import judge
from training.recipes import make_recipe
from training.run_folder import begin_run
from training.trainer import train
from training.unknown import Trained, span

photos = test_judge_unknown.photos

NUM_OLD, NUM_NEW, DIM = 30, 6, 48
SPREAD = 1.0


class World:
    """Drawn embeddings of old and new species about means of their own, and a head of the old ones' means."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.means = self.rng.normal(size=(NUM_OLD + NUM_NEW, DIM))

    def photos(self, first: int, last: int, each: int) -> tuple[Answers, NDArray[np.int64]]:
        labels = np.repeat(np.arange(first, last), each)
        drawn = self.means[labels] + self.rng.normal(size=(len(labels), DIM)) * SPREAD
        unit = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
        towards = self.means[:NUM_OLD] / np.linalg.norm(self.means[:NUM_OLD], axis=1, keepdims=True)
        return Answers(10 * unit @ towards.T, unit), labels - first

    def trained(self) -> Trained:
        answers, labels = self.photos(0, NUM_OLD, 24)
        return span(answers.embeddings_ND, labels, NUM_OLD)


def fitted(world: World, loss: float = 0.001) -> tuple[Trained, AddingRule]:
    trained = world.trained()
    rule = fit_adding([try_adding(trained, *world.photos(0, NUM_OLD, 40))], fitted_on="drawn", loss=loss)
    assert rule is not None
    return trained, rule


@pytest.mark.parametrize("seed", range(3))
def test_an_added_species_is_found_and_takes_no_more_than_was_promised(seed: int) -> None:
    world = World(seed)
    trained, rule = fitted(world)
    new, labels = world.photos(NUM_OLD, NUM_OLD + NUM_NEW, 40)
    species = tuple(f"new {number}" for number in range(NUM_NEW))
    report = added_report(
        trained.space, rule, Old(*world.photos(0, NUM_OLD, 100)), New(new, labels, species), seed=seed
    )
    assert [line.num_photos for line in report.lines] == list(NUM_PHOTOS)
    for line in report.lines:
        assert line.change.interval[0] <= line.change.value <= line.change.interval[1] <= 0
        assert line.change.interval[1] >= -0.001 * NUM_NEW - 0.005, (seed, line)
    one, *_, most = report.lines
    assert most.recall.value > max(0.6, one.recall.value), seed
    assert "6 species added" in next(added_lines(report))


def test_a_larger_loss_gives_larger_offsets() -> None:
    _, careful = fitted(World(5), 0.0005)
    _, bold = fitted(World(5), 0.01)
    assert careful.num_photos == bold.num_photos == NUM_PHOTOS
    assert all(a < b for a, b in zip(careful.offsets, bold.offsets, strict=True))


def test_only_numbers_of_photos_that_species_have_are_tried() -> None:
    world = World(6)
    answers, labels = world.photos(0, NUM_OLD, 3)
    few = span(answers.embeddings_ND, labels, NUM_OLD)
    rule = fit_adding([try_adding(few, *world.photos(0, NUM_OLD, 20))], fitted_on="drawn")
    assert rule is not None
    assert rule.num_photos == (1, 2)


def test_nothing_is_fitted_where_no_photo_is_named_right() -> None:
    world = World(7)
    known, labels = world.photos(0, NUM_OLD, 5)
    wrong = Answers(-known.logits_NC, known.embeddings_ND)
    assert fit_adding([try_adding(world.trained(), wrong, labels)], fitted_on="drawn") is None


def test_the_prototype_of_a_learnt_class_points_to_its_photos() -> None:
    world = World(8)
    trained, rule = fitted(world)
    own = trained.embeddings_TD[trained.labels_T == 3]
    scores = trained.embeddings_TD @ prototype_row(trained.space, rule, own).weight_D
    means = [float(scores[trained.labels_T == index].mean()) for index in range(NUM_OLD)]
    assert int(np.argmax(means)) == 3


def test_species_without_a_second_photo_cannot_be_judged() -> None:
    world = World(9)
    trained, rule = fitted(world)
    new, labels = world.photos(NUM_OLD, NUM_OLD + 2, 1)
    with pytest.raises(ValueError, match="two photos"):
        added_report(trained.space, rule, Old(*world.photos(0, NUM_OLD, 2)), New(new, labels, ("a", "b")))


def test_labels_are_put_in_order() -> None:
    species, places = in_order(["b", "a", "b"])
    assert (species, places.tolist()) == (("a", "b"), [1, 0, 1])


def test_a_run_and_its_bundle_are_judged_alike(photos: Path, tmp_path: Path) -> None:
    dataset, left_out = dataset_of(photos, tmp_path / "data", leave_out=2)
    dataset.folder.mkdir()
    config = make_recipe("debug")
    begin_run(tmp_path / "run", config, dataset.folder, dataset.info.content_sha256, "train")
    train(config, dataset, tmp_path / "run")
    with pytest.raises(ValueError, match="prepare it with --leave-out"):
        judge(tmp_path / "run", dataset)
    write_left_out(dataset.folder, dataset.info.root, left_out)
    by_run = judge(tmp_path / "run", dataset)
    assert by_run.species == tuple(sorted({sample.label for sample in left_out}))
    assert [line.num_photos for line in by_run.lines] == [1, 2, 5, 10]
    written = export(
        tmp_path / "run", dataset, name="drawn", version="1.0.0", out=tmp_path / "store", text=BundleText()
    )
    assert written.card.adding is not None
    by_bundle = judge(written.path, dataset)
    assert by_bundle.lines[0].accuracy_before == by_run.lines[0].accuracy_before
    with pytest.raises(ValueError, match="--split test"):
        judge(tmp_path / "run", dataset, split="val")


def test_a_bundle_that_a_cross_validation_judged_says_how_a_species_is_added(
    photos: Path, tmp_path: Path
) -> None:
    dataset, _ = dataset_of(photos, tmp_path / "data")
    dataset.folder.mkdir()
    config = make_recipe("debug")
    crossval = cross_validate(config, dataset, tmp_path / "crossval", "crossval")
    assert crossval.adding is not None
    assert crossval.adding.num_images == len(dataset.samples)
    begin_run(tmp_path / "run", config, dataset.folder, dataset.info.content_sha256, "train")
    train(config, dataset, tmp_path / "run")
    out = tmp_path / "store"
    written = export(
        tmp_path / "run", dataset, name="d", version="1.0.0", out=out, text=BundleText(), crossval=crossval
    )
    assert bundle.read(written.path).card.adding == crossval.adding
