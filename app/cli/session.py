"""What commands share: the settings, one transaction on a migrated database, who is at the keyboard."""

import asyncio
import getpass
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.migrate import upgrade
from app.db.session import create_engine, create_sessions
from app.settings import Settings, load_settings
from app.web.logs import configure_logs

T = TypeVar("T")
AsJson = Annotated[bool, typer.Option("--json", help="For scripts: one JSON document.")]


def command_settings() -> Settings:
    """The settings, with a quiet log."""
    settings = load_settings()
    configure_logs(settings.log_format, level=30)
    return settings


def operator() -> str:
    """Who acts, as the history names them."""
    return f"command line ({getpass.getuser()})"


def address(host: str, port: int) -> str:
    """Where people reach what listens there."""
    shown = {"0.0.0.0": "localhost", "::": "localhost"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}"


async def upgrade_database(settings: Settings) -> tuple[str | None, str]:
    """The revisions before and after."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    engine = create_engine(settings.database)
    try:
        return await upgrade(engine)
    finally:
        await engine.dispose()


def with_session(act: Callable[[AsyncSession], Awaitable[T]]) -> T:
    """Do something in one transaction, on a migrated database."""
    return asyncio.run(_in_transaction(command_settings(), act))


async def _in_transaction(settings: Settings, act: Callable[[AsyncSession], Awaitable[T]]) -> T:
    await upgrade_database(settings)
    engine = create_engine(settings.database)
    try:
        async with create_sessions(engine)() as session:
            outcome = await act(session)
            await session.commit()
            return outcome
    finally:
        await engine.dispose()
