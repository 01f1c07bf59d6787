"""How long a comparison will still take, and how a result is put into a line. Pure."""

from collections.abc import Sequence

import numpy as np

from models.groups import GROUPS, Group
from models.words import count_words
from training.compare.record import RunResult
from training.compare.selection import Standing, group_recalls


def minutes_left(took: Sequence[tuple[bool, float]], left: Sequence[bool], parallel: int) -> float:
    """Remaining minutes from what runs took so far. ``True`` is a run on another's epochs, which is much shorter;
    where no run of a kind has ended yet, all that have stand in for it.

    >>> minutes_left([(False, 60.0), (True, 1.0)], [False, True, True], parallel=1)
    62.0
    >>> minutes_left([(False, 60.0)], [False, False], parallel=2)
    60.0
    """
    if not took:
        return 0.0
    everything = float(np.mean([minutes for _, minutes in took]))
    by_kind = {
        kind: float(np.mean(found)) if (found := [m for shares, m in took if shares == kind]) else everything
        for kind in (True, False)
    }
    return sum(by_kind[shares] for shares in left) / parallel


def result_line(result: RunResult, groups: Sequence[Group]) -> str:
    """Recall of each group on validation photos."""
    recalls = group_recalls(result.validation, groups)
    return "validation recall " + _recalls(recalls)


def standing_line(standing: Standing) -> str:
    """A recipe's place by validation."""
    seeds = count_words(standing.num_seeds, "seed")
    return f"{standing.mean:6.1%}  {standing.recipe} on {standing.backbone}, {seeds}: {_recalls(standing.recalls)}"


def _recalls(recalls: dict[Group, float]) -> str:
    return " ".join(
        f"{group} {recalls[group]:.1%}" if group in recalls else f"{group} none" for group in GROUPS
    )
