"""``python -m app admin`` and ``python -m app key``: accounts and API keys without a browser."""

import getpass
import json
import sys
from datetime import timedelta
from typing import Annotated
from uuid import UUID

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from app.cli.session import AsJson, address, command_settings, operator, with_session
from app.db.repositories import accounts as accounts_repository
from app.db.repositories import members as members_repository
from app.db.tables import Role, utc_now
from app.errors import NotFound
from app.services import accounts, members, password_change

admin = typer.Typer(help="Accounts, invitations and roles.", no_args_is_help=True)
key = typer.Typer(help="API keys for programs, and keys that sign bundles.", no_args_is_help=True)
Account = Annotated[str, typer.Argument(help="Name of the account.")]


@admin.command("create", epilog="Example: python -m app admin create ana")
def admin_create(account: Account) -> None:
    """Make an admin. The password is asked for, or is the first line of standard input."""
    password, passwords = _password(), accounts.Passwords()
    user = with_session(
        lambda session: accounts.create_user(session, passwords, account, password, Role.ADMIN)
    )
    typer.echo(f"{user.name} is an admin.")


@admin.command("password", epilog="Example: python -m app admin password ana")
def admin_password(account: Account) -> None:
    """Give an account another password, asked for or the first line of standard input. Its logins end."""
    password, passwords = _password(), accounts.Passwords()
    with_session(lambda session: password_change.give_password(session, passwords, account, password))
    typer.echo(f"{account} has another password, and is logged out everywhere.")


@admin.command("setup-link", epilog="Example: python -m app admin setup-link")
def admin_setup_link() -> None:
    """Print a new one-time link for the first admin. Earlier links stop working."""
    settings = command_settings()
    token = with_session(accounts.new_setup_token)
    shown = settings.base_url or address(settings.host, settings.port)
    typer.echo(f"{shown}/setup?token={token}")


@admin.command("invite", epilog="Example: python -m app admin invite --role reviewer")
def admin_invite(
    role: Annotated[
        Role, typer.Option(help="What the account may do: each may do what the ones before may.")
    ],
) -> None:
    """Print a link that lets somebody make one account of a role, within a week."""
    settings = command_settings()
    token = with_session(lambda session: members.invite(session, role, operator()))
    shown = settings.base_url or address(settings.host, settings.port)
    typer.echo(f"{shown}/invitation?token={token}")


@admin.command("list", epilog="Example: python -m app admin list --json")
def admin_list(as_json: AsJson = False) -> None:
    """Every account and its role."""
    rows = [
        {"name": row.name, "role": row.role.value, "created_at": row.created_at.isoformat()}
        for row in with_session(members_repository.list_users)
    ]
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    for row in rows:
        typer.echo(f"{row['role']:<9} {row['name']}")


@admin.command("role", epilog="Example: python -m app admin role ben reviewer")
def admin_role(account: Account, role: Annotated[Role, typer.Argument(help="Its new role.")]) -> None:
    """Give an account another role, from its next request on."""
    with_session(lambda session: members.set_role(session, account, role))
    typer.echo(f"{account} is {role.value} now.")


@admin.command("remove", epilog="Example: python -m app admin remove ben")
def admin_remove(account: Account) -> None:
    """Delete an account and end its logins. What it identified stays."""
    with_session(lambda session: members.remove(session, account))
    typer.echo(f"{account} is gone.")


def _password() -> str:
    return getpass.getpass() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")


@key.command("create", epilog="Example: python -m app key create field-tablet-3 --scope predict --days 365")
def key_create(
    key_name: Annotated[str, typer.Argument(metavar="NAME", help="What the key is for.")],
    scope: Annotated[list[str], typer.Option(help="predict or admin; may be repeated.")],
    days: Annotated[int | None, typer.Option(min=1, max=36500, help="Expires after so many days.")] = None,
) -> None:
    """Make a key and print it, this once."""
    lasts = None if days is None else timedelta(days=days)
    row, secret = with_session(lambda session: accounts.create_key(session, key_name, scope, lasts))
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
        for row in with_session(accounts_repository.list_keys)
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

    with_session(act)
    typer.echo("Revoked.")
