"""A prepared data folder: ``index.csv``, ``dataset.json``, ``problems.csv``. Reading and writing, nothing else."""

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from models.groups import Group, GroupRule, choose_rule
from models.taxonomy import Taxon
from training.data.imbalance import training_counts
from training.data.index import Problem, Sample, content_hash
from training.data.split import mark_leaks

INDEX, DATASET, PROBLEMS = "index.csv", "dataset.json", "problems.csv"
_FIELDS = ("path", "label", "split", "fold", "session", "leaky", "row", "sha256")


class DatasetInfo(BaseModel):
    """What ``dataset.json`` keeps beside the rows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    root: Path
    taxa: tuple[Taxon, ...]
    training_counts: tuple[int, ...]
    group_rule: GroupRule
    content_sha256: str
    command: str
    num_problems: int


@dataclass(frozen=True)
class Dataset:
    """A prepared data set. Samples are in the order of ``index.csv``; a class index is a place in ``info.taxa``."""

    folder: Path
    info: DatasetInfo
    samples: tuple[Sample, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """Class labels, in order."""
        return tuple(taxon.label for taxon in self.info.taxa)

    @property
    def groups(self) -> tuple[Group, ...]:
        """Group of each class."""
        return self.info.group_rule.assign(self.info.training_counts)

    def split(self, name: str) -> tuple[Sample, ...]:
        """Samples of one split, in order."""
        return tuple(sample for sample in self.samples if sample.split == name)

    def with_samples(self, samples: Sequence[Sample]) -> "Dataset":
        """The same photos under another split: counts, groups and hash follow."""
        counts = training_counts(samples, self.labels)
        info = self.info.model_copy(
            update={
                "training_counts": counts,
                "group_rule": choose_rule(counts),
                "content_sha256": content_hash(tuple(samples)),
            }
        )
        return Dataset(self.folder, info, tuple(samples))

    def learning_from_validation(self) -> "Dataset":
        """The validation photos trained on too. Counts follow; the kind of group rule stays, since five photos more of
        each species would make other groups of the same list, and so does the hash, which is the prepared folder's.
        """
        if not self.split("val"):
            return self
        samples = mark_leaks(
            replace(sample, split="train") if sample.split == "val" else sample for sample in self.samples
        )
        counts = training_counts(samples, self.labels)
        rule = choose_rule(counts, terciles=self.info.group_rule.kind == "terciles")
        info = self.info.model_copy(update={"training_counts": counts, "group_rule": rule})
        return Dataset(self.folder, info, samples)


def make_dataset(
    folder: Path,
    root: Path,
    samples: Sequence[Sample],
    taxa: Sequence[Taxon],
    *,
    command: str,
    num_problems: int,
) -> Dataset:
    """A data set from split samples. Raises ValueError naming a species that has no training photo."""
    counts = training_counts(samples, [taxon.label for taxon in taxa])
    if 0 in counts:
        label = taxa[counts.index(0)].label
        raise ValueError(
            f"{label} has no training photo under this split: give it one or leave the species out"
        )
    info = DatasetInfo(
        root=root,
        taxa=tuple(taxa),
        training_counts=counts,
        group_rule=choose_rule(counts),
        content_sha256=content_hash(tuple(samples)),
        command=command,
        num_problems=num_problems,
    )
    return Dataset(folder, info, tuple(samples))


def write_dataset(dataset: Dataset, problems: Sequence[Problem]) -> None:
    """Write the folder; ``dataset.json`` comes last, so a folder that has it is whole."""
    dataset.folder.mkdir(parents=True, exist_ok=True)
    (dataset.folder / DATASET).unlink(missing_ok=True)
    with (dataset.folder / INDEX).open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, _FIELDS, lineterminator="\n")
        writer.writeheader()
        for sample in dataset.samples:
            writer.writerow({**asdict(sample), "leaky": int(sample.leaky)})
    with (dataset.folder / PROBLEMS).open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream, lineterminator="\n")
        rows.writerow(("row", "path", "fault", "handling"))
        rows.writerows((p.row, p.path, p.fault, p.handling) for p in problems)
    (dataset.folder / DATASET).write_text(dataset.info.model_dump_json(indent=1) + "\n", encoding="utf-8")


def read_dataset(folder: Path) -> Dataset:
    """Read a prepared folder. Raises ValueError naming the file and what to do."""
    try:
        info = DatasetInfo.model_validate_json((folder / DATASET).read_bytes())
        with (folder / INDEX).open(newline="", encoding="utf-8") as stream:
            samples = tuple(_sample(row) for row in csv.DictReader(stream))
    except FileNotFoundError as error:
        raise ValueError(
            f"{folder}: not a prepared data folder ({error.filename} is missing); run `prepare` first"
        ) from error
    except (ValidationError, json.JSONDecodeError, KeyError) as error:
        raise ValueError(f"{folder}: damaged ({error}); run `prepare` again") from error
    return Dataset(folder, info, samples)


def _sample(row: dict[str, str]) -> Sample:
    return Sample(
        path=row["path"],
        label=row["label"],
        row=int(row["row"]),
        split=row["split"],
        fold=row["fold"],
        session=row["session"],
        sha256=row["sha256"],
        leaky=row["leaky"] == "1",
    )
