"""The command line: serve, and what an admin does without a browser. Exit code 2: usage; 1: failure."""

import asyncio
import getpass
import json
import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Annotated, Any, TypeVar
from uuid import UUID

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.migrate import MigrationError, upgrade
from app.db.repositories import accounts as accounts_repository
from app.db.session import create_engine, create_sessions, refusal_of
from app.db.tables import Role, utc_now
from app.errors import AppError, NotFound
from app.inference.session import ProviderUnavailable
from app.main import create_app
from app.services import accounts, promotion, registry
from app.services.startup import Prepared, prepare
from app.settings import Settings, SettingsError, load_settings
from app.web.logs import configure_logs
from app.web.server import AddressTaken, listen, run
from app.web.server import serve as serve_http

T = TypeVar("T")
app = typer.Typer(
    help="Lighttrap names moths from photographs. Settings are environment variables: see the README.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
db = typer.Typer(help="The database.", no_args_is_help=True)
admin = typer.Typer(help="Accounts of admins.", no_args_is_help=True)
model = typer.Typer(help="Models: what is there, and which version is deployed.", no_args_is_help=True)
key = typer.Typer(help="API keys for programs.", no_args_is_help=True)
for name, group in (("db", db), ("admin", admin), ("model", model), ("key", key)):
    app.add_typer(group, name=name)

AsJson = Annotated[bool, typer.Option("--json", help="For scripts: one JSON document.")]
Reason = Annotated[str, typer.Option(help="Why, for those who come later.")]
Epoch = Annotated[
    int | None, typer.Option(help="Only if the model is still at this epoch. Default: the one it is at now.")
]


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
    run(_serve(settings))


async def _serve(settings: Settings) -> None:
    listener = listen(settings.host, settings.port)
    prepared = await prepare(settings)
    application = create_app(settings, prepared.faults)
    async with application.router.lifespan_context(application):
        address = settings.base_url or _address(settings.host, listener.getsockname()[1])
        await serve_http(application, settings, listener, partial(_announce, prepared, address))


def _address(host: str, port: int) -> str:
    shown = {"0.0.0.0": "localhost", "::": "localhost"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}"


def _announce(prepared: Prepared, address: str) -> None:
    if prepared.setup_token is not None:
        typer.echo(f"Make the first admin, once, at {address}/setup?token={prepared.setup_token}")
    elif not prepared.has_admin:
        typer.echo("There is no admin yet. For a new set-up link: python -m app admin setup-link")
    typer.echo(f"Lighttrap answers at {address}")
    sys.stdout.flush()


@db.command("upgrade", epilog="Example: python -m app db upgrade")
def db_upgrade() -> None:
    """Bring the database to the newest tables. `serve` does this too."""
    before, after = asyncio.run(_upgrade(_settings()))
    typer.echo(
        f"The database is at revision {after}" + ("." if before == after else f" (was: {before or 'empty'}).")
    )


async def _upgrade(settings: Settings) -> tuple[str | None, str]:
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    engine = create_engine(settings.database)
    try:
        return await upgrade(engine)
    finally:
        await engine.dispose()


@admin.command("create", epilog="Example: python -m app admin create ana")
def admin_create(account: Annotated[str, typer.Argument(help="Name of the account.")]) -> None:
    """Make an admin. The password is asked for, or is the first line of standard input."""
    password = getpass.getpass() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    passwords = accounts.Passwords()
    user = _with_session(
        lambda session: accounts.create_user(session, passwords, account, password, Role.ADMIN)
    )
    typer.echo(f"{user.name} is an admin.")


@admin.command("setup-link", epilog="Example: python -m app admin setup-link")
def admin_setup_link() -> None:
    """Print a new one-time link for the first admin. Earlier links stop working."""
    settings = _settings()
    token = _with_session(accounts.new_setup_token)
    address = settings.base_url or _address(settings.host, settings.port)
    typer.echo(f"{address}/setup?token={token}")


@model.command("list", epilog="Example: python -m app model list --json")
def model_list(as_json: AsJson = False) -> None:
    """Every version of every model; * marks what is deployed."""
    summaries = _with_session(registry.list_models)
    rows = [_version_line(summary, row.version) for summary in summaries for row in summary.versions]
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    for row in rows:
        mark = f"* epoch {row['epoch']}" if row["deployed"] else ""
        typer.echo(f"{row['model']:<28} {row['version']:<10} {row['sha256'][:12]}  {mark}".rstrip())


def _version_line(summary: registry.ModelSummary, version: str) -> dict[str, Any]:
    row = next(row for row in summary.versions if row.version == version)
    deployed = summary.deployed is not None and summary.deployed.version == version
    epoch = summary.deployed.epoch if summary.deployed and deployed else None
    return {
        "model": row.model,
        "version": version,
        "sha256": row.sha256,
        "deployed": deployed,
        "epoch": epoch,
    }


@model.command(
    "promote", epilog='Example: python -m app model promote european-moths-lt 1.1.0 --reason "better tail"'
)
def model_promote(model_name: str, version: str, reason: Reason, expected_epoch: Epoch = None) -> None:
    """Deploy a version. Running services follow within seconds."""
    _promote(model_name, version, reason, expected_epoch)


@model.command(
    "rollback", epilog='Example: python -m app model rollback european-moths-lt --reason "wrong names"'
)
def model_rollback(model_name: str, reason: Reason, expected_epoch: Epoch = None) -> None:
    """Deploy the version that was deployed before."""
    _promote(model_name, None, reason, expected_epoch)


def _promote(model_name: str, version: str | None, reason: str, expected_epoch: int | None) -> None:
    store = _settings().store
    actor = f"command line ({getpass.getuser()})"

    async def act(session: AsyncSession) -> str:
        deployed = (await registry.get_model(session, model_name)).deployed
        wanted = version or await promotion.rollback_target(session, model_name)
        await registry.verify(store, await registry.get_version(session, model_name, wanted))
        epoch = expected_epoch or (deployed.epoch if deployed else 0)
        row = await promotion.promote(
            session, model_name, wanted, expected_epoch=epoch, actor=actor, reason=reason
        )
        return f"{row.model} {row.to_version} is deployed, at epoch {row.epoch} (was {row.from_version})."

    typer.echo(_with_session(act))


@key.command("create", epilog="Example: python -m app key create field-tablet-3 --scope predict --days 365")
def key_create(
    key_name: Annotated[str, typer.Argument(metavar="NAME", help="What the key is for.")],
    scope: Annotated[list[str], typer.Option(help="predict or admin; may be repeated.")],
    days: Annotated[int | None, typer.Option(min=1, max=36500, help="Expires after so many days.")] = None,
) -> None:
    """Make a key and print it, this once."""
    lasts = None if days is None else timedelta(days=days)
    row, secret = _with_session(lambda session: accounts.create_key(session, key_name, scope, lasts))
    typer.echo(f"id {row.id}", err=True)
    typer.echo(secret)


@key.command("list", epilog="Example: python -m app key list --json")
def key_list(as_json: AsJson = False) -> None:
    """Every key: never the secret, which is not kept."""
    rows = [
        {
            "id": str(row.id),
            "name": row.name,
            "scopes": row.scopes.split(),
            "created_at": row.created_at.isoformat(),
            "expires_at": row.expires_at and row.expires_at.isoformat(),
            "last_used_at": row.last_used_at and row.last_used_at.isoformat(),
            "revoked_at": row.revoked_at and row.revoked_at.isoformat(),
        }
        for row in _with_session(accounts_repository.list_keys)
    ]
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    for row in rows:
        state = "revoked" if row["revoked_at"] else f"last used {row['last_used_at'] or 'never'}"
        typer.echo(f"{row['id']}  {row['name']}  {' '.join(row['scopes'] or [])}  {state}")


@key.command("revoke", epilog="Example: python -m app key revoke 0198c0de-…")
def key_revoke(key_id: Annotated[UUID, typer.Argument(metavar="ID")]) -> None:
    """Let a key open nothing any more."""

    async def act(session: AsyncSession) -> None:
        if not await accounts_repository.revoke_key(session, key_id, utc_now()):
            raise NotFound(f"There is no key {key_id} that could be revoked.")

    _with_session(act)
    typer.echo("Revoked.")


def _settings() -> Settings:
    settings = load_settings()
    configure_logs(settings.log_format, level=30)
    return settings


def _with_session(act: Callable[[AsyncSession], Awaitable[T]]) -> T:
    """Do something in one transaction, on a migrated database."""
    return asyncio.run(_in_transaction(_settings(), act))


async def _in_transaction(settings: Settings, act: Callable[[AsyncSession], Awaitable[T]]) -> T:
    await _upgrade(settings)
    engine = create_engine(settings.database)
    try:
        async with create_sessions(engine)() as session:
            outcome = await act(session)
            await session.commit()
            return outcome
    finally:
        await engine.dispose()
