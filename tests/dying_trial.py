"""``python -m tests.dying_trial serve``: the service, which ends itself as ``kill -9`` would within an evaluation.

The file that ``DYING_AT`` names lists where, one place a line, in this order: ``begun``, ``named N`` (photo N of the
set is named and not written down yet), ``compared``, ``saved`` (not committed), ``committed``. Each kills once. A
lease lasts a second instead of a quarter of a minute, so that the next start does not have to wait.
"""

import os
import signal
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from app.cli.program import main as service
from app.db.repositories import trials
from app.db.trial_tables import TrialState
from app.services import trialling
from app.services.trial_result import dump, result_of
from app.services.trialling import Trialling


def reach(place: str) -> None:
    """A place; perhaps the last one."""
    listed = Path(os.environ["DYING_AT"])
    first, *rest = listed.read_text().splitlines() or [""]
    if first == place:
        listed.write_text("\n".join(rest))
        os.kill(os.getpid(), signal.SIGKILL)


def hook() -> None:
    """Reach every place before or after what the service does there."""
    advance: Callable[..., Any] = trials.advance
    say: Callable[..., Any] = Trialling._say

    def dump_or_die(judged: Any) -> str:
        reach(f"named {judged.place}")
        return dump(judged)

    def result_or_death(*given: Any) -> Any:
        result = result_of(*given)
        reach("compared")
        return result

    async def advance_or_die(*given: Any, **values: Any) -> bool:
        is_ours: bool = await advance(*given, **values)
        if values.get("state") is TrialState.DONE:
            reach("saved")
        return is_ours

    async def say_and_die(self: Trialling, *given: Any, **values: Any) -> None:
        await say(self, *given, **values)
        state = values.get("state")
        if state in (TrialState.RUNNING, TrialState.DONE):
            reach("begun" if state is TrialState.RUNNING else "committed")

    for name, changed in {"dump": dump_or_die, "result_of": result_or_death}.items():
        setattr(trialling, name, changed)
    trials.advance = advance_or_die
    Trialling._say = say_and_die  # type: ignore[method-assign]
    trialling.LEASE = timedelta(seconds=1)


if __name__ == "__main__":
    hook()
    service()
