"""The deployed models of this process. One is prepared beside the one that answers, and swapped in whole."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from app.inference.batcher import EachAlone, Runner, Together
from app.inference.niceness import lower_this_thread
from app.inference.session import ACCELERATORS, OnnxSession, Outputs, active_provider
from models.bundle import Bundle
from models.card import ModelCard
from models.conformal import SetRule
from models.decision import RollUp
from models.evidence import Confusions, confusions_by_label
from models.metrics import Evaluation
from models.neighbours import Neighbours
from models.unknown import UnknownJudge
from models.views import Views, over_views, with_views

EngineAnswer: TypeAlias = Outputs
"""Logits [N, C], embedding [N, D], and features [N, D, h, w] where they were asked for."""


@dataclass(frozen=True)
class DeployedModel:
    """A version and everything an answer needs of it. A request keeps it to its end, whatever is swapped."""

    card: ModelCard
    evaluation: Evaluation
    sha256: str
    epoch: int
    rollup: RollUp
    set_rule: SetRule | None
    """What its prediction sets promise; None for a card without conformal tables."""
    learnt_counts: NDArray[np.int64]
    """The card's, as an array: of thousands of species, a tuple costs a request a millisecond."""
    confusions: Confusions
    neighbours: Neighbours | None
    session: OnnxSession
    runner: Runner
    unknown: UnknownJudge | None = None
    """None for a bundle that does not say when something is unknown."""


class Engine:
    """Deployed models by name. Raises ProviderUnavailable where the asked provider cannot be used.

    ``gives_way``: its runs have a low priority. ``load`` may be called in any thread; the rest belongs to the
    event loop.
    """

    def __init__(
        self,
        *,
        provider: str = "auto",
        default_model: str | None = None,
        num_threads: int | None = None,
        gives_way: bool = False,
    ) -> None:
        self.provider = active_provider(provider)
        self._asked_provider = provider
        self._default_model = default_model
        self._num_threads = num_threads or len(os.sched_getaffinity(0))
        self._executor = ThreadPoolExecutor(
            self._num_threads,
            thread_name_prefix="beside" if gives_way else "inference",
            initializer=lower_this_thread if gives_way else None,
        )
        self._deployed: dict[str, DeployedModel] = {}
        self.unavailable: set[str] = set()
        """Models of which a version is deployed that could not be loaded, and none answers."""

    def load(self, bundle: Bundle, epoch: int) -> DeployedModel:
        """The bundle loaded and warmed, not yet answering: see ``swap``.

        Raises ProviderUnavailable, BundleError where it answers otherwise here than its golden images say.
        """
        card = bundle.card
        present = self._deployed.get(card.name)
        if present is not None and present.sha256 == bundle.sha256:
            session, runner = present.session, present.runner
        else:
            size_px = card.preprocessing.size_px
            session = OnnxSession(bundle.onnx, size_px=size_px, provider=self._asked_provider)
            session.check(bundle.golden)
            kind = Together if session.is_accelerated else EachAlone
            runner = kind(session, self._executor)
        return DeployedModel(
            card=card,
            evaluation=bundle.evaluation,
            sha256=bundle.sha256,
            epoch=epoch,
            rollup=RollUp(card.taxa),
            set_rule=SetRule(card.conformal[0], card.learnt_counts, card.groups) if card.conformal else None,
            learnt_counts=np.array(card.learnt_counts, dtype=np.int64),
            confusions=confusions_by_label(bundle.evaluation),
            neighbours=bundle.neighbours,
            session=session,
            runner=runner,
            unknown=_unknown_judge(bundle),
        )

    def swap(self, prepared: DeployedModel) -> None:
        """Answer with ``prepared`` from now on. Requests that began with its predecessor end with it."""
        self._deployed[prepared.card.name] = prepared

    def drop(self, name: str) -> None:
        """Answer with no version of this model any more. Requests that began with it end with it."""
        self._deployed.pop(name, None)

    def deployed(self) -> list[DeployedModel]:
        """What answers now, by name."""
        return [self._deployed[name] for name in sorted(self._deployed)]

    def get(self, name: str | None = None) -> DeployedModel:
        """The deployed version of a model; where silent the default model's, else the first by name.

        Raises KeyError where there is none. See ``lacks``.
        """
        if name is not None:
            return self._deployed[name]
        if self._default_model in self._deployed:
            return self._deployed[self._default_model]
        return self._deployed[min(self._deployed, default="")]

    def lacks(self, name: str | None) -> str | None:
        """The model that should answer, named or the default one, where its deployed version could not be loaded.

        Another fauna must not answer in its place for those who name none.
        """
        wanted = name or self._default_model
        return wanted if wanted in self.unavailable and wanted not in self._deployed else None

    async def run(
        self, deployed: DeployedModel, images: NDArray[np.uint8], features: bool = False
    ) -> EngineAnswer:
        """Run one version on images uint8 [N, H, W, 3]: on every view that its card asks for, in one batch."""
        views = deployed.card.views
        outputs = await deployed.runner.run(with_views(images, views), features=features)
        return _of_photos(outputs, len(images), views)

    @property
    def num_concurrent(self) -> int:
        """Runs that make progress at the same time: one per core, or one batch on a GPU."""
        return 1 if self.provider in ACCELERATORS else self._num_threads

    def close(self) -> None:
        """End the threads. Nothing runs any more."""
        self._executor.shutdown(wait=True, cancel_futures=True)


def _unknown_judge(bundle: Bundle) -> UnknownJudge | None:
    rule, space = bundle.card.unknown, bundle.unknown
    return None if rule is None or space is None else UnknownJudge(rule, space, bundle.card.groups)


def _of_photos(outputs: Outputs, num_images: int, views: Views) -> EngineAnswer:
    """One answer a photo. Embedding and features are those of the photo as it is: a heatmap is drawn over it."""
    return Outputs(
        over_views(outputs.logits, views),
        outputs.embedding[:num_images],
        None if outputs.features is None else outputs.features[:num_images],
    )
