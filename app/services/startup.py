"""What a start does before anything is served: folders, tables, bundles, the first set-up token."""

from dataclasses import dataclass

from app.db.migrate import upgrade
from app.db.repositories import accounts as accounts_repository
from app.db.session import create_engine, create_sessions
from app.services.accounts import first_setup_token
from app.services.bucket import scan_bucket
from app.services.registry import prepare_registry
from app.services.scan import Fault
from app.settings import Settings
from app.store.incoming import clean
from app.store.store import open_store


@dataclass(frozen=True)
class Prepared:
    """What a start found and made. ``setup_token`` is there once: only its hash is kept."""

    revision_before: str | None
    revision: str
    faults: tuple[Fault, ...]
    has_admin: bool
    setup_token: str | None


async def prepare(settings: Settings) -> Prepared:
    """Make everything that is missing. The second time it changes nothing.

    Raises MigrationError, and OSError when the data folder cannot be written.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    engine = create_engine(settings.database)
    try:
        before, revision = await upgrade(engine)
        sessions = create_sessions(engine)
        clean(open_store(settings.store).incoming)
        in_bucket = await scan_bucket(sessions, settings)
        faults = await prepare_registry(sessions, settings.store, in_bucket)
        async with sessions() as session:
            token = await first_setup_token(session)
            has_admin = bool(await accounts_repository.num_admins(session))
            await session.commit()
    finally:
        await engine.dispose()
    return Prepared(before, revision, tuple(faults), has_admin, token)
