"""``python -m app model add`` and the keys that sign bundles."""

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from app.cli.session import AsJson, command_settings, operator, upgrade_database, with_session
from app.db.repositories import bundles
from app.db.session import create_engine, create_sessions
from app.errors import InvalidField
from app.services.adding import keys, signatures
from app.services.adding.add import Added, Adder
from app.services.adding.process import not_written
from app.settings import Settings
from app.store.incoming import new_place
from models import bundle

Bundle = Annotated[Path, typer.Argument(help="Folder of a bundle.", exists=True, file_okay=False)]


def add_commands(model: typer.Typer, key: typer.Typer) -> None:
    """Put these commands beside the others of their groups."""
    model.command("add", epilog="Example: python -m app model add my-moths-1.0.0.zip")(model_add)
    key.command("generate", epilog="Example: python -m app key generate lab.pem")(key_generate)
    key.command("sign", epilog="Example: python -m app key sign lab.pem bundles/my-moths/1.0.0")(key_sign)
    key.command("trust", epilog="Example: python -m app key trust lab.pub.pem --name lab")(key_trust)
    key.command("trusted", epilog="Example: python -m app key trusted --json")(key_trusted)
    key.command("distrust", epilog="Example: python -m app key distrust 4f2a91")(key_distrust)


def model_add(
    path: Annotated[Path, typer.Argument(help="Zip or folder of a bundle.", exists=True)],
    as_json: AsJson = False,
) -> None:
    """Check a bundle and add it as a version. The same bundle again changes nothing."""
    settings = command_settings()
    added = asyncio.run(_add(settings, path))
    if as_json:
        shown = {
            "model": added.row.model,
            "version": added.row.version,
            "sha256": added.row.sha256,
            "new": added.is_new,
            "deployed": added.is_deployed,
            "signed_by": added.signed_by,
            "notes": added.notes,
            "compared_with": added.species.against,
            "species_added": added.species.added,
            "species_removed": added.species.removed,
        }
        typer.echo(json.dumps(shown, indent=1))
        return
    _show(added)


async def _add(settings: Settings, path: Path) -> Added:
    await upgrade_database(settings)
    engine = create_engine(settings.database)
    try:
        adder = Adder(settings, create_sessions(engine))
        with new_place(adder.store.incoming) as place:
            return await adder.with_species(await adder.add(path, place, actor=operator()))
    except OSError as error:
        raise not_written(error) from error
    finally:
        await engine.dispose()


def _show(added: Added) -> None:
    named = f"{added.row.model} {added.row.version}"
    typer.echo(f"{named} was added." if added.is_new else f"{named} was there already: the same bundle.")
    typer.echo("It is deployed." if added.is_deployed else "It is a candidate until it is promoted.")
    typer.echo(f"SHA-256 {added.row.sha256}, signed by {added.signed_by or 'nobody that is trusted here'}")
    species = added.species
    for word, labels in (("more", species.added), ("fewer", species.removed)):
        if labels:
            typer.echo(f"{len(labels)} species {word} than {species.against}: {', '.join(labels)}")
    for note in added.notes:
        typer.echo(f"note: {note}")


def key_generate(
    file: Annotated[Path, typer.Argument(help="New file for the private key.")],
) -> None:
    """Make an Ed25519 key: the private one in FILE, for who signs; the public one beside it."""
    public_file = file.with_suffix(f".pub{file.suffix}")
    private, public = signatures.new_key()
    for path in (file, public_file):
        if path.exists():
            raise InvalidField.of(str(path), "is there already, and no key is overwritten")
    file.touch(mode=0o600, exist_ok=False)
    file.write_bytes(private)
    public_file.write_bytes(public)
    typer.echo(f"{file} signs; keep it to yourself. {public_file} is what others trust.")


def key_sign(
    key_file: Annotated[Path, typer.Argument(help="Private Ed25519 key (PEM).", exists=True, dir_okay=False)],
    folder: Bundle,
) -> None:
    """Sign a bundle: write SIGNATURE into its folder. Its hash, and so its version, stays the same."""
    bundle_hash = _verified(folder)
    try:
        fingerprint = signatures.sign(folder, key_file.read_bytes())
    except ValueError as error:
        raise InvalidField.of(str(key_file), str(error)) from error
    typer.echo(f"Signed {bundle_hash[:12]} with the key {fingerprint[:16]}.")


def _verified(folder: Path) -> str:
    """Hash of a bundle: only one that is whole is worth a signature."""
    try:
        return bundle.read(folder).sha256
    except bundle.BundleError as error:
        raise InvalidField.of(str(folder), str(error)) from error


def key_trust(
    public_key: Annotated[
        Path, typer.Argument(help="Public Ed25519 key (PEM).", exists=True, dir_okay=False)
    ],
    name: Annotated[str, typer.Option(help="Whose key it is.")],
) -> None:
    """Let signatures of a key count, on every replica."""
    content = public_key.read_bytes()
    row = with_session(lambda session: keys.trust(session, content, name, operator()))
    typer.echo(f"{row.name} is trusted: key {row.fingerprint}.")


def key_trusted(as_json: AsJson = False) -> None:
    """Every key whose signatures count."""
    rows = [
        {
            "name": row.name,
            "fingerprint": row.fingerprint,
            "added_by": row.added_by,
            "added_at": row.added_at.isoformat(),
        }
        for row in with_session(bundles.trusted_keys)
    ]
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    for row in rows:
        typer.echo(f"{row['fingerprint'][:16]}  {row['name']}  by {row['added_by']}, {row['added_at'][:10]}")


def key_distrust(
    fingerprint: Annotated[str, typer.Argument(help="Fingerprint of the key, or the beginning of it.")],
) -> None:
    """Let signatures of a key count no more. Versions that it signed stay."""

    async def act(session: AsyncSession) -> str:
        return (await keys.distrust(session, fingerprint)).name

    typer.echo(f"{with_session(act)} is trusted no more.")
