"""A verified bundle and the photos' embeddings of one more species -> the next version. Pure, but for writing it.

Old figures stay what they were measured as: without the new species. What it takes from the others nobody has
measured here, and the new evaluation says so.
Legend: N photos, D features.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.bundle import Bundle, write
from models.card import ModelCard, version_key
from models.evaluation import Evaluation, SpeciesMetrics
from models.golden import Golden
from models.graph_row import add_class
from models.groups import Group
from models.neighbours import Neighbours
from models.predictions import Predictions
from models.prototypes import MAX_PHOTOS, Prototype, Row, prototype_mean, prototype_row, with_mean
from models.taxonomy import Taxon
from models.unknown import Space
from models.words import count_words

NO_RULE = (
    "does not say how a species is added: it was exported before that was kept, or without validation photos. "
    "Export it again from its run, with `python -m training export`, and add the species to that version"
)


class WrongField(ValueError):
    """What is wrong with a species to add. ``field``: which of the things that were told of it."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class NameTaken(WrongField):
    """A name that is in the species list already. ``label``: under which label."""

    def __init__(self, field: str, taken: str, label: str) -> None:
        super().__init__(field, f"{taken} is in the species list already, as {label}")
        self.label = label


@dataclass(frozen=True)
class NextVersion:
    """What a bundle is written of, and the row that was added."""

    onnx: bytes
    card: ModelCard
    evaluation: Evaluation
    readme: str
    predictions: Predictions | None
    golden: Golden | None
    unknown: Space
    neighbours: Neighbours | None
    row: Row

    def write(self, path: Path) -> Bundle:
        """Write the bundle's folder whole or not at all, then read it back. Raises FileExistsError, OSError."""
        return write(
            path,
            onnx=self.onnx,
            card=self.card,
            evaluation=self.evaluation,
            readme=self.readme,
            predictions=self.predictions,
            golden=self.golden,
            unknown=self.unknown,
            neighbours=self.neighbours,
        )


def label_of(name: str) -> str:
    """A label in the manner of the shipped species lists.

    >>> label_of("Noctivaga grisea agg.")
    'noctivaga_grisea_agg'
    """
    return re.sub(r"[^\w]+", "_", name.casefold()).strip("_")


def next_minor(base: str, taken: Sequence[str]) -> str:
    """The next minor version of ``base``'s major one that is above all that are taken.

    >>> next_minor("1.0.0", ["1.0.0", "1.4.2", "2.0.0"])
    '1.5.0'
    """
    major = version_key(base)[0]
    minors = [version_key(version)[1] for version in (base, *taken) if version_key(version)[0] == major]
    return f"{major}.{max(minors) + 1}.0"


def species_taxon(
    taxa: Sequence[Taxon],
    name: str,
    *,
    label: str | None = None,
    genus: str | None = None,
    family: str | None = None,
    vernacular_name: str | None = None,
) -> Taxon:
    """The taxon of a species to add. Genus: first word of its name; family: that of the list's other species of it.

    Raises WrongField for a name that is none, that the list has already, or whose lineage contradicts the list's.
    """
    name = " ".join(name.split())
    words = name.split(" ")
    if not name.isprintable() or not 3 <= len(name) <= 100 or len(words) < 2 or not words[0][0].isupper():
        raise WrongField("name", f"{name[:100]!r} is not a scientific name such as 'Achlya flavicornis'")
    if genus and genus != words[0]:
        raise WrongField("genus", f"{name} is a name of the genus {words[0]}, not of {genus}")
    genus = words[0]
    for where, word in (("name", genus), ("family", family)):
        if word is not None and re.fullmatch(r"[A-Z][\w-]+", word) is None:
            raise WrongField(
                where, "a genus or a family is one word with a capital, such as Achlya or Drepanidae"
            )
    families = {taxon.family for taxon in taxa if taxon.genus == genus and taxon.family}
    if family is not None and families and family not in families:
        raise WrongField(
            "family", f"the genus {genus} is in the family {min(families)} in this list, not in {family}"
        )
    field = "label" if label else "name"
    label = label or label_of(name)
    _check_free(taxa, name, label, field)
    return Taxon(
        label=label,
        scientific_name=name,
        taxon_rank="aggregate" if words[-1] == "agg." else "species",
        vernacular_name=vernacular_name,
        genus=genus,
        family=family or (min(families) if len(families) == 1 else None),
    )


def _check_free(taxa: Sequence[Taxon], name: str, label: str, field: str) -> None:
    """Raises WrongField for a label that is none, and NameTaken. ``field``: what the label came from."""
    if not label.isprintable() or not 1 <= len(label) <= 200:
        raise WrongField(field, "a label has 1 to 200 printable characters")
    for taxon in taxa:
        if (taxon.scientific_name or "").casefold() == name.casefold():
            raise NameTaken("name", name, taxon.label)
        if taxon.label.casefold() == label.casefold():
            raise NameTaken(field, label if field == "label" else name, taxon.label)


def check_photos(base: Bundle, photo_sha256: Sequence[str]) -> None:
    """Raises ValueError for none, too many, the same twice, or one that the bundle was made or tested with."""
    if not 1 <= len(photo_sha256) <= MAX_PHOTOS:
        raise ValueError(f"a species is added from 1 to {MAX_PHOTOS} photos, not from {len(photo_sha256)}")
    names = {taxon.label: taxon.display_name for taxon in base.card.taxa}
    known = {
        prediction.sha256: f"a test photo of {names[prediction.label]}"
        for prediction in base.predictions or ()
    }
    for prototype in base.card.prototypes:
        words = f"a photo that {names[prototype.label]} was added from"
        known |= dict.fromkeys(prototype.photo_sha256, words)
    first: dict[str, int] = {}
    for number, sha256 in enumerate(photo_sha256, start=1):
        if sha256 in first:
            raise ValueError(f"photos {first[sha256]} and {number} are the same file; leave one out")
        if sha256 in known:
            raise ValueError(f"photo {number} is {known[sha256]} in {base.card.version}; leave it out")
        first[sha256] = number


def check_addable(base: Bundle) -> None:
    """Raises ValueError where a species cannot be added to this bundle."""
    if base.card.adding is None or base.unknown is None:
        raise ValueError(f"{base.card.name} {base.card.version} {NO_RULE}")


def with_species(
    base: Bundle,
    taxon: Taxon,
    embeddings_ND: NDArray[np.floating],
    photo_sha256: Sequence[str],
    *,
    version: str,
    added_at: datetime,
) -> NextVersion:
    """The next version of ``base``: the same network and one more logit. embeddings: L2-normalised, [N, D].

    Raises ValueError.
    """
    check_addable(base)
    check_photos(base, photo_sha256)
    assert base.card.adding is not None
    assert base.unknown is not None
    row = prototype_row(base.unknown, base.card.adding, embeddings_ND)
    prototype = Prototype(
        label=taxon.label,
        photo_sha256=tuple(photo_sha256),
        base_version=base.card.version,
        added_at=added_at,
    )
    card = _card(base, taxon, prototype, version)
    return NextVersion(
        onnx=add_class(base.onnx, *row),
        card=card,
        evaluation=_evaluation(base.evaluation, card, prototype),
        readme=_readme(base, card, prototype),
        predictions=base.predictions,
        golden=None if base.golden is None else _golden(base.golden, row),
        neighbours=base.neighbours,
        unknown=with_mean(base.unknown, prototype_mean(base.unknown, embeddings_ND)),
        row=row,
    )


def _card(base: Bundle, taxon: Taxon, prototype: Prototype, version: str) -> ModelCard:
    old, made = base.card, base.card.provenance
    named = taxon.display_name
    command = (
        f"python -m app model add-species {old.name} --base {old.version} --version {version} --name '{named}' "
        f"({prototype.num_photos} photos; base sha256 {base.sha256})"
    )
    changed = {
        "version": version,
        "taxa": [*old.taxa, taxon],
        "training_counts": [*old.training_counts, prototype.num_photos],
        "prototypes": [*old.prototypes, prototype],
        "limits": [*old.limits, f"{_words(prototype, named)}: nobody has tested how well it is found."],
        "provenance": made.model_copy(update={"commands": (*made.commands, command)}),
    }
    return ModelCard.model_validate(dict(old) | changed)


def _words(prototype: Prototype, named: str) -> str:
    """What a prototype is, for sentences."""
    photos = count_words(prototype.num_photos, "photo")
    return f"{named} was added to version {prototype.base_version} from {photos}, without training"


def _evaluation(old: Evaluation, card: ModelCard, prototype: Prototype) -> Evaluation:
    group: Group = card.groups[-1]
    species = SpeciesMetrics(
        label=prototype.label,
        group=group,
        training_count=prototype.num_photos,
        num_test_images=0,
        num_predicted=0,
        recall=None,
        precision=None,
        confused_with=(),
    )
    note = (
        f"{_words(prototype, card.taxa[-1].display_name)}. It has no test photos, so nothing is known of how well "
        f"it is found; all figures are those of version {prototype.base_version}, measured without it."
    )
    groups = tuple(
        each.model_copy(update={"num_species": each.num_species + (each.group == group)})
        for each in old.groups
    )
    return old.model_copy(
        update={"species": (*old.species, species), "groups": groups, "notes": (*old.notes, note)}
    )


def _golden(old: Golden, row: Row) -> Golden:
    column_N1 = row.logits(old.embedding)[:, None]
    return replace(old, logits=np.hstack([old.logits, column_N1]).astype(np.float32))


def _readme(base: Bundle, card: ModelCard, prototype: Prototype) -> str:
    heading, _, rest = _without_actors(base).partition("\n")
    title = heading.replace(prototype.base_version, card.version)
    taxon = card.taxa[-1]
    return (
        f"{title}\n\n{_words(prototype, taxon.display_name)}, on {prototype.added_at:%Y-%m-%d}. It has no test photos. "
        f"All figures below are those of version {prototype.base_version}, measured without it.\n{rest}"
    )


def _without_actors(base: Bundle) -> str:
    """The README without who added a species: older ones say it."""
    text = base.readme
    for each in base.card.prototypes:
        when = f", on {each.added_at:%Y-%m-%d}"
        text = text.replace(f"{when} by {each.added_by}. It has", f"{when}. It has")
    return text
