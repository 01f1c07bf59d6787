"""``python -m app checklist``: checklists by place and season without a browser."""

import json
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from app.cli.session import AsJson, command_settings, operator, with_session
from app.db.checklist_table import ChecklistRow
from app.services import checklists
from app.services.checklists import Checked, Draft, Replaces
from app.web.checklists import entry_of, make_place
from models.checklist import MAX_BYTES
from models.target_prior import UNLISTED

checklist = typer.Typer(help="Checklists: what is expected where and when.", no_args_is_help=True)
ModelName = Annotated[str, typer.Argument(metavar="MODEL", help="Name of the model.")]


@checklist.command(
    "add",
    epilog='Example: python -m app checklist add european-moths meadow.csv --name "Alpine meadow" --latitude 47.2 '
    "--longitude 11.4 --radius-km 20",
)
def add(
    model: ModelName,
    file: Annotated[Path, typer.Argument(help="CSV with scientific_name and, if wanted, weeks and weight.")],
    name: Annotated[str, typer.Option(help="Name of the list.")],
    latitude: Annotated[float | None, typer.Option(help="Centre of its circle, WGS 84.")] = None,
    longitude: Annotated[float | None, typer.Option(help="Centre of its circle, WGS 84.")] = None,
    radius_km: Annotated[
        float | None, typer.Option(help="Radius; without a place it holds everywhere.")
    ] = None,
    unlisted_weight: Annotated[
        float, typer.Option(help="How likely what is not listed is held, beside what is; 0: never.")
    ] = UNLISTED,
    replace: Annotated[
        bool, typer.Option("--replace", help="End the list of this name that is in use.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what matches, and keep nothing.")] = False,
) -> None:
    """Add a checklist from a CSV, or try one out. Running services use it within seconds."""
    settings = command_settings()
    with file.open("rb") as stream:
        data = stream.read(MAX_BYTES + 1)
    draft = Draft(name, data, make_place(latitude, longitude, radius_km), unlisted_weight)

    async def act(session: AsyncSession) -> tuple[ChecklistRow | None, Checked]:
        if dry_run:
            return None, await checklists.check(session, settings, model, draft)
        ends: Replaces = "whatever" if replace else "nothing"
        return await checklists.add(session, settings, model, draft, actor=operator(), replaces=ends)

    row, checked = with_session(act)
    _show(model, checked)
    typer.echo(
        "Nothing was kept." if row is None else f"{row.name}, revision {row.revision}, is in use: {row.id}"
    )


def _show(model: str, checked: Checked) -> None:
    typer.echo(
        f"{checked.num_matched} of {len(checked.species.species)} names are species of {model} {checked.version} "
        f"({checked.num_in_model} species)."
    )
    for each in checked.unmatched:
        nearest = f"; nearest: {', '.join(each.nearest)}" if each.nearest else ""
        typer.echo(f"row {each.row}: {each.name} is not one of them{nearest}")
    for note in checked.notes:
        typer.echo(f"note: {note}")


@checklist.command("list", epilog="Example: python -m app checklist list european-moths --json")
def list_checklists(
    model: ModelName,
    ended: Annotated[bool, typer.Option("--ended", help="Those not used any more as well.")] = False,
    as_json: AsJson = False,
) -> None:
    """The checklists of a model: id, place, who added them and when."""
    rows = with_session(lambda session: checklists.lists_of(session, model, ended=ended))
    entries = [entry_of(row) for row in rows]
    if as_json:
        typer.echo(json.dumps([entry.model_dump(mode="json") for entry in entries], indent=1))
        return
    for entry in entries:
        place = entry.place
        where = (
            f"{place.radius_km:g} km around {place.decimal_latitude:g}, {place.decimal_longitude:g}"
            if place
            else "everywhere"
        )
        state = f"ended {entry.ended_at:%Y-%m-%d}" if entry.ended_at else "in use"
        typer.echo(
            f"{entry.id}  {entry.name}, revision {entry.revision}: {entry.num_species} species, {where}, {state}; "
            f"by {entry.created_by}, {entry.created_at:%Y-%m-%d}"
        )


@checklist.command("end", epilog='Example: python -m app checklist end european-moths "Alpine meadow"')
def end(model: ModelName, name: Annotated[str, typer.Argument(help="Name of the list.")]) -> None:
    """Use a list no more. It is kept for the answers that name it."""

    async def act(session: AsyncSession) -> ChecklistRow:
        return await checklists.end_named(session, model, name, operator())

    row = with_session(act)
    typer.echo(f"{row.name}, revision {row.revision}, is not used any more.")
