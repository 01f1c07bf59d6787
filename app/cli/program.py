"""Every command under one name, `serve` and `db`; what a user got wrong is a sentence and an exit code."""

import asyncio
import sys
from functools import partial

import typer

from app.cli import accounts, adding, adding_species, checklists, models
from app.cli.session import address, command_settings, upgrade_database
from app.db.migrate import MigrationError
from app.db.session import refusal_of
from app.errors import AppError
from app.inference.session import ProviderUnavailable
from app.main import create_app
from app.services.startup import Prepared, prepare
from app.settings import Settings, SettingsError, load_settings
from app.web.logs import configure_logs
from app.web.server import AddressTaken, allow_open_files, listen, run
from app.web.server import serve as serve_http

app = typer.Typer(
    help="Lighttrap names moths from photographs. Settings are environment variables: see the README.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
db = typer.Typer(help="The database.", no_args_is_help=True)
_GROUPS = {
    "db": db,
    "admin": accounts.admin,
    "model": models.model,
    "checklist": checklists.checklist,
    "key": accounts.key,
}
for name, group in _GROUPS.items():
    app.add_typer(group, name=name)
adding.add_commands(models.model, accounts.key)
adding_species.add_commands(models.model)


def main() -> None:
    """Run a command. What a user got wrong is a sentence, never a traceback."""
    try:
        app(standalone_mode=True)
    except SettingsError as error:
        _stop(str(error), code=2)
    except (AppError, MigrationError, AddressTaken, ProviderUnavailable) as error:
        _stop(str(error))
    except OSError as error:
        _stop(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except KeyboardInterrupt:
        _stop("stopped", code=130)
    except Exception as error:
        refusal = refusal_of(error)
        if refusal is None:
            raise
        _stop(f"{refusal.detail} ({type(getattr(error, 'orig', error)).__name__})")


def _stop(message: str, code: int = 1) -> None:
    typer.echo("\n".join(f"error: {line}" for line in message.splitlines()), err=True)
    sys.exit(code)


@app.command(epilog="Example: LIGHTTRAP_PORT=8080 python -m app serve")
def serve() -> None:
    """Migrate, register and deploy what is new, then answer until a signal comes."""
    settings = load_settings()
    configure_logs(settings.log_format)
    allow_open_files()
    run(_serve(settings))


async def _serve(settings: Settings) -> None:
    listener = listen(settings.host, settings.port)
    prepared = await prepare(settings)
    application = create_app(settings, prepared.faults)
    async with application.router.lifespan_context(application):
        shown = settings.base_url or address(settings.host, listener.getsockname()[1])
        await serve_http(application, settings, listener, partial(_announce, prepared, shown))


def _announce(prepared: Prepared, shown: str) -> None:
    if prepared.setup_token is not None:
        typer.echo(f"Make the first admin, once, at {shown}/setup?token={prepared.setup_token}")
    elif not prepared.has_admin:
        typer.echo("There is no admin yet. For a new set-up link: python -m app admin setup-link")
    typer.echo(f"Lighttrap answers at {shown}")
    sys.stdout.flush()


@db.command("upgrade", epilog="Example: python -m app db upgrade")
def db_upgrade() -> None:
    """Bring the database to the newest tables. `serve` does this too."""
    before, after = asyncio.run(upgrade_database(command_settings()))
    typer.echo(
        f"The database is at revision {after}" + ("." if before == after else f" (was: {before or 'empty'}).")
    )
