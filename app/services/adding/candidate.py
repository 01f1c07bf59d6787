"""A bundle from outside, checked in a process of its own: its card, its hash, and who vouches for it."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from app.db.tables import TrustedKeyRow
from app.services.adding.process import Checked, check_bundle
from app.settings import Settings
from models import bundle
from models.card import ModelCard


@dataclass(frozen=True)
class Candidate:
    """A checked bundle in a place of ours. ``signed_by``: name of the trusted key."""

    folder: Path
    card: ModelCard
    checked: Checked
    signed_by: str | None


async def checked_candidate(
    source: Path, place: Path, settings: Settings, trusted: Mapping[str, TrustedKeyRow]
) -> Candidate:
    """The bundle at ``source``, a zip or a folder. ``trusted``: keys by fingerprint. Raises as ``check_bundle``."""
    keys = {fingerprint: row.public_key for fingerprint, row in trusted.items()}
    folder, checked = await check_bundle(source, place, settings, keys)
    card = ModelCard.model_validate_json(await asyncio.to_thread((folder / bundle.CARD).read_bytes))
    return Candidate(folder, card, checked, trusted[checked.signed_by].name if checked.signed_by else None)
