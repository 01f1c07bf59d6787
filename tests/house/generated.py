"""Tables of the documents that the code itself writes. ``python -m tests.house.generated`` renews them."""

import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from app.errors import PROBLEMS
from app.settings import PREFIX, Settings
from models import bundle
from models.card import ModelCard
from tests.house.access import CALLERS, EVERYBODY, allowed, api_routes, is_identify
from tests.house.published import beside_one_more_loss, beside_published
from tests.house.tree import REPO

CARD = {
    "schema_version": "version of this format",
    "name": "the model's name",
    "version": "major.minor.patch",
    "title": "what pages call it",
    "description": "one paragraph: which fauna, which photos",
    "backbone": "the network, by timm's name",
    "taxa": "the species list, in the order of the logits, each with its Darwin Core terms",
    "training_counts": "training images of each label",
    "group_rule": "the two cut-offs on the training count, and whether they are the default or terciles",
    "preprocessing": "`size_px` and `fit` (`crop` or `pad`)",
    "embedding_dim": "length of the embedding",
    "logit_prior": "class prior that is left in the logits: `training` for plain cross-entropy, `none` after a "
    "correction, `partial` where a part was taken out or nobody can derive how much",
    "calibration": "the temperature, what it was fitted on, and on how many images; a scaling by training count where "
    "that is better",
    "reliability": "what a decision must reach where a request does not say",
    "conformal": "tables of the prediction sets whose coverage is promised, the one to use first; none on older cards",
    "adding": "how a species is added without training: scale and offsets of its logit; none on older cards",
    "prototypes": "species that were added so: from which photos (SHA-256), to which version and when",
    "unknown": "the rule that says when something is unknown; its arrays are `unknown.npz`; none on older cards",
    "views": "what is shown of a photo: `one`, or `mirrored`, the mean of its logits and its mirror image's",
    "figures": "each with its 95% interval and what exactly it is",
    "limits": "what the model must not be used for, and what is known to go wrong",
    "provenance": "the data's source, citation, licence statement, hash; pretrained weights, contamination; "
    "recipe, commands, commit, seed, date and environment",
}
COLUMNS_OF_PREPARE = {
    "path": "photo, relative to the CSV or its folder `images/`; needed",
    "label": "class label; needed",
    "split": "`train`, `val` or `test`; kept as given",
    "fold": "for cross-validation: `--test-folds` names the ones to judge on",
    "session": "photos of one species and session stay on one side of the split",
    "scientific_name": "shown, and needed for the roll-up to genus and family",
    "taxon_rank": "`species` where silent",
    "taxon_id": "`gbif:<key>`",
    "gbif_species_key": "the key alone",
    "vernacular_name": "common name",
    "genus": "for the roll-up",
    "family": "for the roll-up",
    "is_aggregate": "`1` for species that photos cannot tell apart",
}
BLOCK = re.compile(r"(<!-- generated: ([a-z ]+) -->\n).*?(?=<!-- end -->)", re.DOTALL)


def table(head: str, rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    lines = [head, re.sub(r"[^|]+", "---", head)]
    lines += [
        f"| {' | '.join(cell.replace('|', chr(92) + '|').replace('<', '&lt;') for cell in row)} |"
        for row in rows
    ]
    return "\n".join(lines)


def first_sentence(text: str | None) -> str:
    """The first sentence of a docstring, on one line.

    >>> first_sentence("One: a thing. Two.")
    'One: a thing.'
    """
    flat = " ".join((text or "").split())
    return re.split(r"(?<=[.]) (?=[A-Z`])", flat.replace("``", "`"))[0]


def settings() -> str:
    """Every setting with its default."""
    rows = (
        (f"`{PREFIX}{name.upper()}`", _default(field), field.description or "")
        for name, field in Settings.model_fields.items()
    )
    return table("| variable | default | what |", rows)


def _default(field: FieldInfo) -> str:
    if field.default_factory is not None:
        return "by the machine"
    value = field.default
    if hasattr(value, "get_secret_value"):
        value = value.get_secret_value()
    if value is None or value in ("", ()):
        return "none" if value != () else "`[]`"
    if isinstance(value, tuple):
        value = str(list(value)).replace("'", '"')
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def problems() -> str:
    """Every kind of error."""
    rows = ((str(kind.status), f"`/problems/{slug}`", kind.explanation) for slug, kind in PROBLEMS.items())
    return table("| status | type | what it means |", sorted(rows))


def routes() -> str:
    """Every route of the service, with the first sentence of what it says about itself."""
    from app.main import create_app

    found = sorted(
        (route.path, method, first_sentence(route.description or route.summary))
        for route in api_routes(create_app(Settings(_env_file=None)).routes)
        for method in (route.methods or set()) - {"HEAD"}
    )
    return table("| route | what |", ((f"`{method} {path}`", what) for path, method, what in found))


def access() -> str:
    """Every route that not everybody may call, and who may."""
    from app.main import create_app

    rows = []
    for route in api_routes(create_app(Settings(_env_file=None)).routes):
        callers = allowed(route, public_identify=False)
        marks = tuple("yes" if each in callers else "" for each in CALLERS)
        if is_identify(route):
            marks = tuple(mark or "if open" for mark in marks)
        if callers != EVERYBODY:
            rows += [(route.path, method, *marks) for method in (route.methods or set()) - {"HEAD"}]
    lines = ((f"`{method} {path}`", *marks) for path, method, *marks in sorted(rows))
    return table(f"| route | {' | '.join(CALLERS)} |", lines)


def app_commands() -> str:
    """Every command of the service."""
    from app.cli import app

    return _commands("python -m app", app)


def training_commands() -> str:
    """Every command of training."""
    from training.__main__ import app

    return _commands("python -m training", app)


def _commands(program: str, app: typer.Typer) -> str:
    found = _leaves(typer.main.get_command(app))
    rows = ((f"`{program} {name}`", first_sentence(command.help)) for name, command in found)
    return table("| command | what |", rows)


def _leaves(command: Any, path: str = "") -> Iterable[tuple[str, Any]]:
    children = getattr(command, "commands", None)
    if children is None:
        yield path.strip(), command
        return
    for name, child in children.items():
        yield from _leaves(child, f"{path} {name}")


def recipes() -> str:
    """Every recipe with the first sentence of its docstring."""
    from training.recipes import RECIPES

    return table(
        "| recipe | what |", ((f"`{name}`", first_sentence(make.__doc__)) for name, make in RECIPES.items())
    )


def keys() -> str:
    """Every key of a run's configuration, with the value that it has where a recipe is silent."""
    from training.config import RunConfig

    return table(
        "| key | default |", ((f"`{key}`", f"`{value}`") for key, value in _flat(RunConfig(recipe="")))
    )


def methods() -> str:
    """Every choice that brings keys of its own, with their defaults and the first sentence of what it is."""
    from training.overrides import METHODS, defaults_of

    rows = []
    for part, names in METHODS.items():
        for name in names:
            chosen = defaults_of(part, name)
            keys = ", ".join(f"`{key}={value}`" for key, value in chosen if key != "name")
            rows.append((f"`{part}.name={name}`", keys, first_sentence(type(chosen).__doc__)))
    return table("| choice | its keys | what |", rows)


def _flat(config: BaseModel, prefix: str = "") -> Iterable[tuple[str, object]]:
    for name in type(config).model_fields:
        value = getattr(config, name)
        if isinstance(value, BaseModel):
            yield from _flat(value, f"{prefix}{name}.")
        elif f"{prefix}{name}" != "recipe":
            yield f"{prefix}{name}", value


def columns() -> str:
    """The columns of a CSV that ``prepare`` knows."""
    from training.data.index import COLUMNS

    rows = (
        (f"`{names[0]}`", ", ".join(f"`{name}`" for name in names[1:]), COLUMNS_OF_PREPARE[field])
        for field, names in COLUMNS.items()
    )
    return table("| column | may also be called | what |", rows)


def card() -> str:
    """Every field of a card."""
    return table("| field | what |", ((f"`{name}`", CARD[name]) for name in ModelCard.model_fields))


_SHOWN_FIGURES = ("accuracy", "head recall", "middle recall", "tail recall", "ECE", "answered right at 0.9")


def bundles() -> str:
    """The shipped bundles as they stand in the store, with the figures of their cards."""
    rows = []
    for path in sorted((REPO / "models" / "store").glob("*/*.*.*")):
        found = bundle.read(path).card
        shown = [figure for figure in found.figures if figure.name in _SHOWN_FIGURES]
        figures = "; ".join(f"{figure.name} {figure.words}" for figure in shown)
        link = f"{found.name} {found.version}"
        rows.append((link, found.title, str(found.num_classes), figures))
    return table("| version | title | species | figures |", rows)


def butterflies() -> str:
    """What the comparison on the long tail of butterflies and moths found."""
    return _results("lepidoptera_lt")


def cifar() -> str:
    """What the comparison on CIFAR-10-JPEG-LT found at full length."""
    return _results("cifar10_lt_full")


def cifar_published() -> str:
    """The same beside published figures."""
    return _cifar_beside_published("cifar10_lt_full")


def cifar_short() -> str:
    """What two cores found in 15 epochs, beside published figures."""
    return _cifar_beside_published("cifar10_lt")


def cifar_once_more() -> str:
    """What one more loss of the size of the first costs, at 30 epochs."""
    recipes, results = ("cross_entropy", "logit_adjusted_post_hoc"), REPO / "docs" / "results"
    rows = beside_one_more_loss(results / "cifar10_jpeg_as_given", results / "cifar10_jpeg_again_50", recipes)
    return table(f"| photos | {' | '.join(f'`{recipe}`, %' for recipe in recipes)} |", rows)


def _cifar_beside_published(comparison: str) -> str:
    header = "| method | published, % | here, % | gap to cross-entropy, published | here |"
    results = REPO / "docs" / "results"
    return table(header, beside_published(results / comparison, results / "cifar10_published.csv"))


def _results(comparison: str) -> str:
    tables = (REPO / "docs" / "results" / comparison / "tables.md").read_text(encoding="utf-8")
    return f"\n{tables.strip()}\n"


BLOCKS: dict[str, Callable[[], str]] = {
    "settings": settings,
    "problems": problems,
    "routes": routes,
    "access": access,
    "app commands": app_commands,
    "training commands": training_commands,
    "recipes": recipes,
    "keys": keys,
    "methods": methods,
    "columns": columns,
    "card": card,
    "bundles": bundles,
    "results on butterflies": butterflies,
    "results on cifar": cifar,
    "cifar beside published figures": cifar_published,
    "cifar at fifteen epochs": cifar_short,
    "cifar encoded once more": cifar_once_more,
}


def documents() -> list[Path]:
    """The documents that may hold generated tables."""
    return [REPO / "README.md", *sorted((REPO / "docs").glob("*.md"))]


def renewed(text: str) -> str:
    """A document with every generated block as the code says now."""
    return BLOCK.sub(lambda match: f"{match[1]}{BLOCKS[match[2]]()}\n", text)


def main() -> None:
    """Write every generated block anew."""
    for path in documents():
        before = path.read_text(encoding="utf-8")
        after = renewed(before)
        if after != before:
            path.write_text(after, encoding="utf-8")
            sys.stdout.write(f"{path.relative_to(REPO)} renewed\n")


if __name__ == "__main__":
    main()
