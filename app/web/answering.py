"""From requests to saved answers: a place in the queue, the service, one commit. Knows no body and no header.

No connection to the database is held while photos wait, are decoded or named.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from app.db.keeper import IdentificationKeeper
from app.db.session import Sessions
from app.errors import AppError
from app.services.identify import Answered, IdentifyRequest, IdentifyService
from app.services.shadowing import Shadowing
from app.web.admission import Admission
from app.web.problems import unexpected

Outcome = str | AppError
"""JSON of a saved answer, or why there is none."""


@dataclass(frozen=True)
class Answering:
    """The way of every identification. ``batch_width``: photos of one batch that are in work at a time."""

    service: IdentifyService
    sessions: Sessions
    keeper: IdentificationKeeper
    admission: Admission
    batch_width: int
    shadowing: Shadowing

    async def one(self, asked: IdentifyRequest) -> str:
        """JSON of the answer, once it is committed. Raises AppError."""
        if asked.idempotency is not None:
            async with self.sessions() as session:
                saved = await self.service.replay(session, asked.idempotency)
            if saved is not None:
                return saved
        with self.admission.working():
            answered = await self.service.answer(asked)
            text = self.service.settle(answered, await self.keeper.keep(answered.new))
        self._offer(asked, answered, text)
        return text

    async def many(self, asked: Sequence[IdentifyRequest]) -> list[Outcome]:
        """An outcome for each, in order. Raises AppError for what concerns them all."""
        saved = await self._replay_all(asked)
        with self.admission.working():
            places = asyncio.Semaphore(self.batch_width)  # the rest is for the requests of others
            answers = await asyncio.gather(
                *(self._answer(each, text, places) for each, text in zip(asked, saved, strict=True))
            )
            outcomes = list(await asyncio.gather(*map(self._keep, answers)))
        for each, answer, outcome in zip(asked, answers, outcomes, strict=True):
            if isinstance(answer, Answered) and isinstance(outcome, str):
                self._offer(each, answer, outcome)
        return outcomes

    def _offer(self, asked: IdentifyRequest, answered: Answered, text: str) -> None:
        """To a candidate in the shadow, if this answer is the one that was kept."""
        if text == answered.new.response:
            self.shadowing.offer(asked, answered.answer)

    async def _replay_all(self, asked: Sequence[IdentifyRequest]) -> list[str | None]:
        """What is saved already. A key that was used for another batch refuses the whole of this one."""
        async with self.sessions() as session:
            return [
                await self.service.replay(session, each.idempotency) if each.idempotency else None
                for each in asked
            ]

    async def _answer(
        self, asked: IdentifyRequest, saved: str | None, places: asyncio.Semaphore
    ) -> Answered | Outcome:
        if saved is not None:
            return saved
        try:
            async with places:
                return await self.service.answer(asked)
        except AppError as error:
            return error
        except Exception as error:  # whatever one photo does, the others of its batch must be answered
            return unexpected(error)

    async def _keep(self, answer: Answered | Outcome) -> Outcome:
        if not isinstance(answer, Answered):
            return answer
        kept = await self.keeper.keep(answer.new)
        try:
            return self.service.settle(answer, kept)
        except AppError as error:
            return error
