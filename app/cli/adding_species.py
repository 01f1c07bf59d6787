"""``python -m app model add-species``: a species from a few photos, without training."""

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer

from app.cli.session import AsJson, command_settings, operator, upgrade_database
from app.db.session import create_engine, create_sessions
from app.errors import PhotoTooLarge
from app.inference.decode import DecodePool
from app.services.adding.add import Adder
from app.services.adding.species import AddedSpecies, NamedPhoto, SpeciesAdder, WantedSpecies
from app.settings import Settings
from models.bundle import Bundle
from models.preprocess import PhotoLimits
from models.words import count_words

Photos = Annotated[
    list[Path], typer.Argument(metavar="PHOTO...", help="1 to 20 photos.", exists=True, dir_okay=False)
]


def add_commands(model: typer.Typer) -> None:
    """Put the command beside the others of its group."""
    example = 'python -m app model add-species european-moths --name "Falcaria lacertinaria" a.jpg b.jpg'
    model.command("add-species", epilog=f"Example: {example}")(model_add_species)


def model_add_species(
    model_name: str,
    photos: Photos,
    name: Annotated[str, typer.Option(help="Scientific name.")],
    label: Annotated[str | None, typer.Option(help="Default: from the name.")] = None,
    genus: Annotated[str | None, typer.Option(help="Default: the first word of the name.")] = None,
    family: Annotated[str | None, typer.Option(help="Default: that of the genus in the list.")] = None,
    vernacular_name: Annotated[str | None, typer.Option(help="Common name.")] = None,
    base: Annotated[
        str | None,
        typer.Option(help="Version to add to. Default: the deployed one, or the newest made from it."),
    ] = None,
    version: Annotated[str | None, typer.Option(help="New version. Default: the next minor one.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write the bundle below this folder and add it to nothing.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Add a species without training: a new version, whose card says that the species is not tested.

    The photos are looked at and not kept. The version is a candidate until it is promoted.
    """
    settings = command_settings()
    wanted = WantedSpecies(
        model_name,
        name,
        tuple(_photo(path, settings) for path in photos),
        label=label,
        genus=genus,
        family=family,
        vernacular_name=vernacular_name,
        base=base,
        version=version,
    )
    made = asyncio.run(_add(settings, wanted, out))
    if isinstance(made, Bundle):
        typer.echo(f"{made.path}  sha256 {made.sha256}")
        return
    _show(made, as_json=as_json)


def _photo(path: Path, settings: Settings) -> NamedPhoto:
    if path.stat().st_size > settings.max_photo_bytes:
        raise PhotoTooLarge(f"{path}: has more than {settings.max_photo_bytes:,} bytes, the limit for one.")
    return NamedPhoto(str(path), path.read_bytes())


async def _add(settings: Settings, wanted: WantedSpecies, out: Path | None) -> AddedSpecies | Bundle:
    await upgrade_database(settings)
    engine = create_engine(settings.database)
    decoder = DecodePool(
        settings.decode_workers,
        limits=PhotoLimits(max_bytes=settings.max_photo_bytes, max_pixels=settings.max_photo_pixels),
        deadline_s=settings.decode_timeout_s,
    )
    try:
        await decoder.start()
        sessions = create_sessions(engine)
        adder = SpeciesAdder(settings, sessions, Adder(settings, sessions), decoder)
        if out is not None:
            return await adder.write(wanted, out)
        return await adder.add(wanted, actor=operator())
    finally:
        await decoder.stop()
        await engine.dispose()


def _show(made: AddedSpecies, *, as_json: bool) -> None:
    row, taxon = made.version.row, made.taxon
    if as_json:
        shown = {
            "model": row.model,
            "version": row.version,
            "sha256": row.sha256,
            "base": made.base,
            "taxon": taxon.model_dump(),
            "num_photos": made.num_photos,
            "notes": made.version.notes,
        }
        typer.echo(json.dumps(shown, indent=1))
        return
    photos = count_words(made.num_photos, "photo")
    typer.echo(f"{row.model} {row.version} is {made.base} with {taxon.display_name}, added from {photos}.")
    typer.echo("Nobody has tested how well it is found. The version is a candidate until it is promoted.")
    typer.echo(f"SHA-256 {row.sha256}")
    for note in made.version.notes:
        typer.echo(f"note: {note}")
