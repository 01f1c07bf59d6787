"""A look through a store that is a bucket, at a start: what nobody registered is checked as an upload is.

A folder is as trusted as the program beside it. A bucket is reached over a network by whoever has its keys, so a bundle
in it is tried out in a process of its own, under limits, and needs a signature where one is required.
"""

import asyncio
from collections.abc import Mapping

import structlog

from app.db.repositories import bundles, registry
from app.db.session import Sessions
from app.db.tables import TrustedKeyRow
from app.errors import AppError, StoreUnavailable
from app.services.adding.candidate import checked_candidate
from app.services.scan import Fault, Found, Scan, found_of, misplaced
from app.settings import S3Place, Settings
from app.store.incoming import new_place
from app.store.s3 import Listed, S3Store
from models.bundle import BundleError

log: structlog.stdlib.BoundLogger = structlog.get_logger("lighttrap.registry")


async def scan_bucket(sessions: Sessions, settings: Settings) -> Scan:
    """The bundles of the settings' bucket whose version is not registered. An empty scan where the store is a folder.

    A bucket that is away is a fault, not an error: what is registered and kept on this machine goes on answering.
    """
    if not isinstance(settings.store, S3Place):
        return Scan()
    store = S3Store(settings.store)
    try:
        listed = await asyncio.to_thread(store.listed)
    except StoreUnavailable:
        message = "its bucket cannot be listed now, so what is new in it waits for the next start"
        return Scan(faults=(Fault("the store", message),))
    async with sessions() as session:
        known = {(row.model, row.version) for row in await registry.all_versions(session)}
        trusted = await bundles.keys_by_fingerprint(session)
    found: list[Found] = []
    faults: list[Fault] = []
    for each in listed:
        if (each.name, each.version) in known:
            continue
        try:
            found.append(await _checked(store, settings, each, trusted))
        except (AppError, BundleError, OSError) as error:
            faults.append(Fault(each.path, str(error)))
    return Scan(tuple(found), tuple(faults))


async def _checked(
    store: S3Store, settings: Settings, listed: Listed, trusted: Mapping[str, TrustedKeyRow]
) -> Found:
    folder = await asyncio.to_thread(store.folder, listed.path, listed.sha256)
    with new_place(store.incoming) as place:
        candidate = await checked_candidate(folder, place, settings, trusted)
    card, sha256 = candidate.card, candidate.checked.sha256
    if (card.name, card.version, sha256) != (listed.name, listed.version, listed.sha256):
        raise misplaced(card, listed.path)
    log.info("found in the bucket", path=listed.path)
    return found_of(card, sha256, listed.path, candidate.signed_by)
