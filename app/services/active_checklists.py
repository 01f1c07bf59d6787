"""The checklists in use, as this process knows them: read from the database, at most some seconds old."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from uuid import UUID

from app.db.checklist_table import ChecklistRow
from app.db.repositories import checklists
from app.db.session import Sessions
from app.inference.engine import DeployedModel
from app.services.checklist_choice import ActiveChecklist
from models.checklist import parse_kept
from models.place import Place
from models.target_prior import Matched, match_species

MAX_AGE_S = 2.0
"""A list that was added or ended on another replica is heard of here after this many seconds at the latest."""

_MAX_MATCHED = 256


class ActiveChecklists:
    """Lists by model. Only what is new is read: a list never changes."""

    def __init__(
        self,
        sessions: Sessions,
        *,
        max_age_s: float = MAX_AGE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sessions, self._max_age_s, self._clock = sessions, max_age_s, clock
        self._lists: dict[UUID, ActiveChecklist] = {}
        self._by_model: dict[str, tuple[ActiveChecklist, ...]] = {}
        self._matched: OrderedDict[tuple[UUID, str], Matched] = OrderedDict()
        self._read_at: float | None = None
        self._reading = asyncio.Lock()

    async def of(self, model: str) -> tuple[ActiveChecklist, ...]:
        """The lists of a model, by name. Raises what the database raises."""
        if not self._is_fresh():
            async with self._reading:
                if not self._is_fresh():
                    await self._read()
        return self._by_model.get(model, ())

    def forget(self) -> None:
        """Read anew at the next question: this process changed something."""
        self._read_at = None

    async def matched(self, active: ActiveChecklist, deployed: DeployedModel) -> Matched:
        """A list beside the species of a version; found once, then remembered."""
        key = active.id, deployed.sha256
        found = self._matched.get(key)
        if found is None:
            found = await asyncio.to_thread(match_species, active.species, deployed.card.taxa)
            self._matched[key] = found
            while len(self._matched) > _MAX_MATCHED:
                self._matched.popitem(last=False)
        return found

    def _is_fresh(self) -> bool:
        return self._read_at is not None and self._clock() - self._read_at < self._max_age_s

    async def _read(self) -> None:
        began = self._clock()  # what is committed while we read may be missed: it is as old as the question
        async with self._sessions() as session:
            ids = await checklists.active_ids(session)
            new = ids - self._lists.keys()
            rows = await checklists.with_ids(session, new) if new else []
        found = await asyncio.to_thread(lambda: [_active(row) for row in rows])
        kept = [each for each in self._lists.values() if each.id in ids]
        self._lists = {each.id: each for each in sorted([*kept, *found], key=lambda each: each.name)}
        self._by_model = {
            model: tuple(each for each in self._lists.values() if each.model == model)
            for model in {each.model for each in self._lists.values()}
        }
        self._read_at = began


def _active(row: ChecklistRow) -> ActiveChecklist:
    place = None
    if row.decimal_latitude is not None:
        place = Place.model_validate(
            {name: getattr(row, name) for name in ("decimal_latitude", "decimal_longitude", "radius_km")}
        )
    return ActiveChecklist(
        id=row.id,
        model=row.model,
        name=row.name,
        revision=row.revision,
        created_at=row.created_at,
        place=place,
        unlisted_weight=row.unlisted_weight,
        species=parse_kept(row.content).species,
    )
