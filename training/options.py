"""Options that several commands of the command line have, and how their words are read."""

from typing import Annotated, cast, get_args

import typer

from models.views import Views

WantedViews = Annotated[
    str, typer.Option("--views", help="What is shown of a photo: one, or mirrored (its mirror image too).")
]


def read_views(word: str) -> Views:
    """The views that ``--views`` asks for. Raises typer.BadParameter."""
    for views in get_args(Views):
        if word == views:
            return cast(Views, views)
    raise typer.BadParameter(f"{word!r} is none of one, mirrored", param_hint="--views")
