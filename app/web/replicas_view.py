"""What the replicas say of a model -> a line or a warning on ``/admin/models``. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.services.replicas import Replica, behind


@dataclass(frozen=True)
class Running:
    """What runs: the replicas, and what answers in the shadow of this model, in words."""

    replicas: tuple[Replica, ...]
    shadow: str | None


@dataclass(frozen=True)
class ReplicasView:
    """Whether all answer with what is deployed. ``behind``: a sentence for each that does not."""

    summary: str
    behind: tuple[str, ...]


def replicas_view(found: Sequence[Replica], model: str, epoch: int) -> ReplicasView:
    """How far the replicas follow what is deployed."""
    late = behind(found, model, epoch)
    summary = f"{len(found) - len(late)} of {len(found)} replicas answer with epoch {epoch}."
    return ReplicasView(summary, tuple(_sentence(replica, model) for replica in late))


def _sentence(replica: Replica, model: str) -> str:
    said = replica.answering(model)
    if said is None or said.version is None:
        present = "answers nothing for this model"
    else:
        present = f"still answers {said.version}, epoch {said.epoch}"
    reason = (
        f" It cannot load {said.fault}" if said is not None and said.fault else " It follows within seconds."
    )
    return f"{replica.host} (started {replica.started_at:%Y-%m-%d %H:%M} UTC) {present}.{reason}"
