"""A look through a store that is a folder: which bundles are good, and what is wrong with the others."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from models import bundle
from models.bundle import Bundle, BundleError
from models.card import ModelCard


@dataclass(frozen=True)
class Found:
    """A good bundle of the store: what the registry keeps of it.

    ``path``: where it lies, from the store. ``signed_by``: name of the trusted key under it.
    """

    name: str
    version: str
    sha256: str
    title: str
    num_species: int
    figures: tuple[dict[str, object], ...]
    path: str
    signed_by: str | None = None


@dataclass(frozen=True)
class Fault:
    """A bundle that cannot be used: where it lies in the store, and why, naming the file.

    ``removed``: it is registered, and its folder is gone.
    """

    path: str
    message: str
    removed: bool = False

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


@dataclass(frozen=True)
class Scan:
    """What a look through the store gave."""

    found: tuple[Found, ...] = ()
    faults: tuple[Fault, ...] = ()


def scan_store(store: Path) -> Scan:
    """Verify every bundle of the store. A missing store is a fault, not an error."""
    if not store.is_dir():
        return Scan(faults=(Fault(str(store), "there is no such folder, so there is no bundle to deploy"),))
    found: list[Found] = []
    faults: list[Fault] = []
    for folder in sorted(_bundle_folders(store)):
        path = folder.relative_to(store).as_posix()
        try:
            found.append(_found(bundle.read(folder), path))
        except (BundleError, OSError) as error:
            faults.append(Fault(path, str(error).removeprefix(f"{folder}: ")))
    return Scan(tuple(found), tuple(faults))


def _bundle_folders(store: Path) -> Iterable[Path]:
    models = [folder for folder in store.iterdir() if folder.is_dir() and not folder.name.startswith(".")]
    return [
        folder
        for model in models
        for folder in model.iterdir()
        if folder.is_dir() and not folder.name.startswith(".")
    ]


def _found(good: Bundle, path: str) -> Found:
    card = good.card
    if path != f"{card.name}/{card.version}":
        raise misplaced(card, path)
    return found_of(card, good.sha256, path)


def misplaced(card: ModelCard, path: str) -> BundleError:
    """What is wrong with a bundle that lies where its card does not belong."""
    return BundleError(f"{bundle.CARD}: says it is {card.name} {card.version}, but lies in {path}")


def found_of(card: ModelCard, sha256: str, path: str, signed_by: str | None = None) -> Found:
    """What the registry keeps of a bundle with this card."""
    figures = tuple(figure.model_dump(mode="json") for figure in card.figures)
    return Found(card.name, card.version, sha256, card.title, card.num_classes, figures, path, signed_by)
