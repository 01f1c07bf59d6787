"""One species more makes a whole new bundle: same network, one logit, and nothing said that nobody measured."""

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from models import adding, bundle
from models.bundle import Bundle
from models.card import ModelCard
from models.golden import check_golden
from models.graph_row import add_class
from models.preprocess import Preprocessing, fit
from models.prototypes import AddingRule
from models.taxonomy import Taxon
from tests.drawn_photos import draw_moth
from tests.tiny_bundle import SIZE_PX, TAXA, drawn_inputs, write_tiny_bundle

WHEN = datetime(2026, 7, 1, tzinfo=UTC)
NOVA = Taxon(label="nova_alba", scientific_name="Nova alba", genus="Nova", taxon_rank="species")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return bundle.read(write_tiny_bundle(tmp_path_factory.mktemp("store"), with_unknown=True))


def run(onnx: bytes, images: NDArray[np.uint8], output: str = "logits") -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
    found: NDArray[np.float32] = session.run([output], {"image": images})[0]
    return found


def new_moths(count: int, first_seed: int = 0) -> NDArray[np.uint8]:
    """Moths as no kind of the bundle looks: a drawn one in negative."""
    wanted = Preprocessing(size_px=SIZE_PX)
    drawn = [fit(draw_moth(1, seed=first_seed + seed, size=(96, 72)), wanted) for seed in range(count)]
    return 255 - np.stack(drawn)


def hashes(count: int, word: str = "new") -> list[str]:
    return [hashlib.sha256(f"{word} {number}".encode()).hexdigest() for number in range(count)]


def made(base: Bundle, taxon: Taxon = NOVA, *, count: int = 5, version: str = "1.1.0") -> adding.NextVersion:
    embeddings = run(base.onnx, new_moths(count), "embedding")
    photos = hashes(count, taxon.label)
    return adding.with_species(base, taxon, embeddings, photos, version=version, added_at=WHEN)


def test_the_new_version_is_a_whole_bundle_whose_card_marks_the_species(base: Bundle, tmp_path: Path) -> None:
    new = made(base).write(tmp_path / "1.1.0")
    assert [taxon.label for taxon in new.card.taxa] == [*(taxon.label for taxon in TAXA), "nova_alba"]
    assert (new.card.training_counts[-1], new.card.groups[-1]) == (5, new.card.group_rule.group_of(5))
    (prototype,) = new.card.prototypes
    assert (prototype.label, prototype.num_photos, prototype.base_version) == ("nova_alba", 5, "1.0.0")
    assert (prototype.added_by, prototype.added_at) == (None, WHEN)
    assert new.card.prototype("nova_alba") == prototype
    assert new.card.prototype(TAXA[0].label) is None
    assert "add-species tiny-moths --base 1.0.0" in new.card.provenance.commands[-1]
    assert base.sha256 in new.card.provenance.commands[-1]
    assert "nobody has tested" in new.card.limits[-1]
    assert "Nova alba was added to version 1.0.0 from 5 photos" in new.readme


def test_a_bundle_does_not_say_who_added_a_species_even_where_the_one_before_it_did(
    base: Bundle, tmp_path: Path
) -> None:
    first = made(base)
    assert "added_by" not in first.card.model_dump_json()
    told = json.loads(first.card.model_dump_json())
    told["prototypes"][0]["added_by"] = "ana"
    readme = first.readme.replace("on 2026-07-01. It", "on 2026-07-01 by ana. It")
    assert readme != first.readme
    card = ModelCard.model_validate_json(json.dumps(told))
    assert card.prototypes[0].added_by == "ana", "older cards are read"
    assert "ana" not in card.model_dump_json()
    old = replace(first.write(tmp_path / "1.1.0"), card=card, readme=readme)
    nigra = NOVA.model_copy(update={"label": "nova_nigra", "scientific_name": "Nova nigra"})
    second = made(old, nigra, version="1.2.0").write(tmp_path / "1.2.0")
    for file in ("card.json", "README.md"):
        assert "ana" not in (second.path / file).read_text().replace("Candela", "")
    assert [each.added_by for each in second.card.prototypes] == [None, None]


def test_old_figures_stay_and_nothing_is_said_of_the_new_species(base: Bundle) -> None:
    evaluation = made(base).evaluation
    assert evaluation.species[:-1] == base.evaluation.species
    assert evaluation.accuracy == base.evaluation.accuracy
    last = evaluation.species[-1]
    assert (last.num_test_images, last.recall, last.precision) == (0, None, None)
    assert "has no test photos" in evaluation.notes[-1]
    assert "figures are those of version 1.0.0, measured without it" in evaluation.notes[-1]
    before = sum(each.num_species for each in base.evaluation.groups)
    assert sum(each.num_species for each in evaluation.groups) == before + 1


def test_the_old_logits_do_not_change_by_a_bit(base: Bundle) -> None:
    images = np.concatenate([drawn_inputs([3] * len(TAXA), first_seed=700)[0], new_moths(3, 50)])
    new = made(base)
    before, after = run(base.onnx, images), run(new.onnx, images)
    assert np.array_equal(after[:, :-1], before)
    np.testing.assert_allclose(after[:, -1], new.row.logits(run(base.onnx, images, "embedding")), atol=1e-3)
    for output in ("embedding", "features"):
        assert np.array_equal(run(base.onnx, images, output), run(new.onnx, images, output))


def test_photos_of_the_new_species_are_named_and_the_others_keep_their_names(base: Bundle) -> None:
    new, unseen = made(base), new_moths(30, 100)
    named = run(new.onnx, unseen).argmax(axis=1)
    assert (named == len(TAXA)).mean() > 0.6
    images, _ = drawn_inputs([20] * len(TAXA), first_seed=3000)
    taken = (run(new.onnx, images).argmax(axis=1) == len(TAXA)).mean()
    assert taken < 0.05


def test_a_second_species_widens_what_the_first_one_brought(base: Bundle, tmp_path: Path) -> None:
    first = made(base).write(tmp_path / "1.1.0")
    other = Taxon(label="nova_nigra", scientific_name="Nova nigra")
    second = made(first, other, count=1, version="1.2.0").write(tmp_path / "1.2.0")
    assert [each.label for each in second.card.prototypes] == ["nova_alba", "nova_nigra"]
    images = new_moths(4, 20)
    np.testing.assert_allclose(run(second.onnx, images)[:, :-1], run(first.onnx, images), atol=1e-3)
    assert len(second.onnx) < len(first.onnx) + 2000
    assert second.golden is None or len(second.golden.logits[0]) == len(TAXA) + 2
    if second.golden is not None:
        outputs = (run(second.onnx, second.golden.images, name) for name in ("logits", "embedding"))
        check_golden(second.golden, *outputs)


def test_the_same_photos_make_the_same_network_whoever_adds_them(base: Bundle) -> None:
    assert made(base).onnx == made(base).onnx


def test_a_bundle_without_the_rule_is_refused_with_what_to_do(tmp_path: Path) -> None:
    old = bundle.read(write_tiny_bundle(tmp_path))
    with pytest.raises(ValueError, match=r"Export it again from its run, with `python -m training export`"):
        made(old)


def test_photos_are_1_to_20_each_once_and_none_of_the_bundle(base: Bundle, tmp_path: Path) -> None:
    for count in (0, 21):
        with pytest.raises(ValueError, match=f"from 1 to 20 photos, not from {count}"):
            adding.check_photos(base, hashes(count))
    with pytest.raises(ValueError, match="photos 2 and 4 are the same file"):
        adding.check_photos(base, [*hashes(3), hashes(3)[1]])
    assert base.predictions is not None
    with pytest.raises(ValueError, match="photo 2 is a test photo of Aurelia ferruginea"):
        adding.check_photos(base, [*hashes(1), base.predictions[0].sha256])
    new = made(base).write(tmp_path / "1.1.0")
    with pytest.raises(ValueError, match="photo 1 is a photo that Nova alba was added from"):
        adding.check_photos(new, hashes(1, "nova_alba"))


@pytest.mark.parametrize(
    ("name", "given", "field", "fault"),
    [
        ("", {}, "name", "not a scientific name"),
        ("Nova", {}, "name", "not a scientific name"),
        ("nova alba", {}, "name", "not a scientific name"),
        ("Nova al\x00ba", {}, "name", "not a scientific name"),
        ("Nova " + "a" * 200, {}, "name", "not a scientific name"),
        ("N,va alba", {}, "name", "one word with a capital"),
        ("Aurelia Ferruginea", {}, "name", "in the species list already, as aurelia_ferruginea"),
        (
            "Nova alba",
            {"label": "Aurelia_viridis"},
            "label",
            "in the species list already, as aurelia_viridis",
        ),
        ("Nova alba", {"label": "a\nb"}, "label", "1 to 200 printable characters"),
        ("Nova alba", {"genus": "Aurelia"}, "genus", "is a name of the genus Nova"),
        (
            "Aurelia nova",
            {"family": "Umbridae"},
            "family",
            "is in the family Lampadidae in this list, not in Umbridae",
        ),
        ("Nova alba", {"family": "two words"}, "family", "one word with a capital"),
    ],
)
def test_what_cannot_be_added_is_refused_and_the_field_is_named(
    name: str, given: dict[str, str], field: str, fault: str
) -> None:
    with pytest.raises(adding.WrongField, match=fault) as refused:
        adding.species_taxon(TAXA, name, **given)
    assert refused.value.field == field


def test_the_lineage_comes_from_the_name_and_the_list() -> None:
    taxon = adding.species_taxon(TAXA, "  Aurelia   nova ", vernacular_name="New Lantern")
    assert (taxon.label, taxon.scientific_name) == ("aurelia_nova", "Aurelia nova")
    assert (taxon.genus, taxon.family, taxon.taxon_rank) == ("Aurelia", "Lampadidae", "species")
    assert adding.species_taxon(TAXA, "Nova alba").family is None
    assert adding.species_taxon(TAXA, "Nova alba agg.", family="Umbridae").taxon_rank == "aggregate"


def test_a_card_whose_prototypes_are_not_its_taxa_is_refused(base: Bundle) -> None:
    card = made(base).card
    gone = {"taxa": card.taxa[:-1], "training_counts": card.training_counts[:-1]}
    fewer = card.prototypes[0].model_copy(update={"photo_sha256": tuple(hashes(2))})
    for wrong in (gone, {"prototypes": [fewer]}):
        with pytest.raises(ValueError, match="prototype 'nova_alba'"):
            ModelCard.model_validate(dict(card) | wrong)


def test_a_rule_says_an_offset_for_each_number_of_photos() -> None:
    kept = {"scale": 1, "loss": 0.0, "fitted_on": "x", "num_images": 1}
    with pytest.raises(ValueError, match="1 offsets"):
        AddingRule.model_validate({**kept, "num_photos": (1, 2), "offsets": (0.5,)})
    with pytest.raises(ValueError, match="must rise"):
        AddingRule.model_validate({**kept, "num_photos": (2, 1), "offsets": (0.5, 0.5)})


def test_a_graph_without_logits_is_refused(base: Bundle) -> None:
    renamed = base.onnx.replace(b"logits", b"lagits")
    with pytest.raises(ValueError, match="no output 'logits'"):
        add_class(renamed, np.zeros(24, np.float32), 0.0)
