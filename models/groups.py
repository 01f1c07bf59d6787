"""Training counts -> head, middle, tail. The only definition of the groups in the project."""

from collections.abc import Sequence
from itertools import combinations
from typing import Literal

from pydantic import BaseModel, ConfigDict, model_validator

Group = Literal["head", "middle", "tail"]
GROUPS: tuple[Group, ...] = ("head", "middle", "tail")


class GroupRule(BaseModel):
    """Two cut-offs on the training count. ``kind`` says where they came from.

    A species is head from ``head_min`` images up, tail up to ``tail_max`` images, else middle.

    >>> [DEFAULT_RULE.group_of(n) for n in (101, 100, 20, 19)]
    ['head', 'middle', 'middle', 'tail']
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["cutoffs", "terciles"]
    head_min: int
    tail_max: int

    @model_validator(mode="after")
    def _ordered(self) -> "GroupRule":
        if self.tail_max >= self.head_min:
            raise ValueError(f"tail_max {self.tail_max} must be below head_min {self.head_min}")
        return self

    def group_of(self, training_count: int) -> Group:
        """Group of a species with ``training_count`` training images."""
        if training_count >= self.head_min:
            return "head"
        return "tail" if training_count <= self.tail_max else "middle"

    def assign(self, training_counts: Sequence[int]) -> tuple[Group, ...]:
        """Groups of a species list, in its order."""
        return tuple(self.group_of(count) for count in training_counts)

    def sentence(self) -> str:
        """The rule in words, for cards and pages.

        >>> DEFAULT_RULE.sentence()
        'head: more than 100 training images, tail: fewer than 20, middle: between'
        """
        tail = f"tail: fewer than {self.tail_max + 1}"
        words = f"head: more than {self.head_min - 1} training images, {tail}, middle: between"
        return words if self.kind == "cutoffs" else f"{words} (terciles of this species list)"


DEFAULT_RULE = GroupRule(kind="cutoffs", head_min=101, tail_max=19)
"""More than 100 images: head; fewer than 20: tail (Zhang et al., 2023)."""


def choose_rule(training_counts: Sequence[int], *, terciles: bool = False) -> GroupRule:
    """The default cut-offs, or terciles of the species list where those leave a group empty or are asked for.

    Species with equal counts stay together, so terciles are as near to thirds as the counts allow; with fewer
    than three distinct counts a group stays empty. Raises ValueError for an empty list.

    >>> choose_rule([200, 50, 5]).kind
    'cutoffs'
    >>> choose_rule([8, 8, 3, 3, 1, 1])
    GroupRule(kind='terciles', head_min=4, tail_max=1)
    """
    if not training_counts:
        raise ValueError("a species list needs at least one species")
    if not terciles and len(set(DEFAULT_RULE.assign(training_counts))) == len(GROUPS):
        return DEFAULT_RULE
    return _terciles(training_counts)


def _terciles(training_counts: Sequence[int]) -> GroupRule:
    distinct = sorted(set(training_counts))
    if len(distinct) == 1:
        return GroupRule(kind="terciles", head_min=distinct[0] + 1, tail_max=distinct[0] - 1)
    if len(distinct) == 2:
        return GroupRule(kind="terciles", head_min=distinct[1], tail_max=distinct[0])

    def unevenness(cut: tuple[int, int]) -> int:
        tail = sum(count <= distinct[cut[0]] for count in training_counts)
        head = sum(count > distinct[cut[1]] for count in training_counts)
        middle = len(training_counts) - tail - head
        return tail**2 + middle**2 + head**2

    low, high = min(combinations(range(len(distinct) - 1), 2), key=unevenness)
    return GroupRule(kind="terciles", head_min=distinct[high] + 1, tail_max=distinct[low])
