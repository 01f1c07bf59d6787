"""The keys whose signatures count, kept in the database so that every replica knows them."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.db.repositories import bundles
from app.db.tables import TrustedKeyRow
from app.errors import Conflict, InvalidField, NotFound
from app.services.adding.signatures import fingerprint, read_public_key

MAX_NAME = 100


async def trust(session: AsyncSession, pem: bytes, name: str, actor: str) -> TrustedKeyRow:
    """Let signatures of a public key (PEM) count. Raises InvalidField, Conflict."""
    if not 1 <= len(name.strip()) <= MAX_NAME or not name.isprintable():
        raise InvalidField.of("name", f"expected 1 to {MAX_NAME} characters that say whose key it is")
    try:
        key = read_public_key(pem)
    except ValueError as error:
        raise InvalidField.of("key", str(error)) from error
    row = TrustedKeyRow(fingerprint=fingerprint(key), name=name.strip(), public_key=key.hex(), added_by=actor)
    if not await bundles.trust_key(session, row):
        raise Conflict(f"The key {row.fingerprint[:16]}… is trusted already.")
    return row


async def distrust(session: AsyncSession, beginning: str) -> TrustedKeyRow:
    """Trust a key no more, named by its fingerprint or the beginning of it. Raises NotFound, InvalidField."""
    found = [
        row for row in await bundles.trusted_keys(session) if row.fingerprint.startswith(beginning.lower())
    ]
    if not found or not beginning:
        raise NotFound(f"No trusted key has a fingerprint that begins with {beginning!r}.")
    if len(found) > 1:
        raise InvalidField.of("fingerprint", f"{len(found)} trusted keys begin with it: give more of it")
    await bundles.distrust_key(session, found[0].fingerprint)
    return found[0]
