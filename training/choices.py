"""The methods that a run can choose from, as data: losses, class weights, sampling, mixing, post-hoc prior.

Each says of itself whether it moves the class prior, so that a run can be held to correct it once. What they
compute is elsewhere; ``training.config`` puts them together. n_i: training images of class i.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Delay = Annotated[float, Field(ge=0, lt=1)]


class Frozen(BaseModel):
    """Data that does not change and has no field nobody knows."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Choice(Frozen):
    """One method of several."""

    @property
    def moves_prior(self) -> bool:
        """Whether it takes the prior of the training images out of the logits, in part or in whole."""
        return False


class CrossEntropy(Choice):
    """Softmax cross-entropy; ``label_smoothing`` as torch defines it."""

    name: Literal["cross_entropy"] = "cross_entropy"
    label_smoothing: Fraction = 0.0


class LogitAdjusted(Choice):
    """Cross-entropy on logits shifted by ``tau * log(prior)`` (arXiv:2007.07314); tau = 1 is balanced softmax."""

    name: Literal["logit_adjusted"] = "logit_adjusted"
    tau: float = 1.0
    label_smoothing: Fraction = 0.0

    @property
    def moves_prior(self) -> bool:
        """Unless tau is 0."""
        return self.tau != 0


class Focal(Choice):
    """``-(1 - p_y)^gamma * log p_y``, the softmax form of the focal loss (arXiv:1708.02002)."""

    name: Literal["focal"] = "focal"
    gamma: NotNegative = 2.0


class LDAM(Choice):
    """Margins that grow as n_i^(-1/4) up to ``max_margin``, in cosines (arXiv:1906.07413); needs a cosine head.

    A margin changes by how much a class must win, not how often it is expected: it leaves the prior. DRW follows it.
    """

    name: Literal["ldam"] = "ldam"
    max_margin: NotNegative = 0.5


class Equalization(Choice):
    """Rare classes are spared as negatives with probability ``drop`` (arXiv:2003.05176, softmax form).

    Rare is a prior under ``rare_below`` of the uniform prior 1 / C: the paper's 0.005 for 100 classes is 0.5.
    """

    name: Literal["equalization"] = "equalization"
    drop: Fraction = 0.9
    rare_below: NotNegative = 0.5

    @property
    def moves_prior(self) -> bool:
        """Towards the rare, unless nothing is dropped."""
        return self.drop > 0 and self.rare_below > 0


class LabelAwareSmoothing(Choice):
    """Label smoothing from ``tail`` for the rarest class to ``head`` for the most frequent (arXiv:2104.00466)."""

    name: Literal["label_aware_smoothing"] = "label_aware_smoothing"
    head: Fraction = 0.4
    tail: Fraction = 0.1


Loss = Annotated[
    CrossEntropy | LogitAdjusted | Focal | LDAM | Equalization | LabelAwareSmoothing,
    Field(discriminator="name"),
]


class Experts(Choice):
    """``num`` copies of the last stage and the head on one stem; the answer is the mean of their logits.

    ``priors``: all experts have the run's loss, or with ``spread`` three are trained for the training prior, for equal
    classes and for the reversed prior (SADE, arXiv:2107.09249). ``diversity`` rewards experts for differing from
    their mean (RIDE, arXiv:2010.01809).
    """

    num: Annotated[int, Field(ge=1, le=8)] = 1
    priors: Literal["same", "spread"] = "same"
    diversity: NotNegative = 0.0

    @property
    def moves_prior(self) -> bool:
        """Where they are trained for several."""
        return self.priors == "spread"


class EqualWeights(Choice):
    """Every image counts the same."""

    name: Literal["equal"] = "equal"


class InverseFrequency(Choice):
    """``(n_min / n_i)^gamma``: weighted softmax. ``scale``: the rarest class has weight 1, or the mean weight is 1.

    ``after`` is the share of epochs that pass before the weights come in.
    """

    name: Literal["inverse_frequency"] = "inverse_frequency"
    gamma: NotNegative = 1.0
    scale: Literal["rarest", "mean"] = "rarest"
    after: Delay = 0.0

    @property
    def moves_prior(self) -> bool:
        """Unless gamma is 0."""
        return self.gamma != 0


class EffectiveNumber(Choice):
    """Class-balanced weights ``(1 - beta) / (1 - beta^n_i)``, of mean 1 (arXiv:1901.05555).

    ``after`` is the share of epochs that pass before they come in: 0.8 is DRW, deferred re-weighting.
    """

    name: Literal["effective_number"] = "effective_number"
    beta: Annotated[float, Field(ge=0, lt=1)] = 0.9999
    after: Delay = 0.0

    @property
    def moves_prior(self) -> bool:
        """Unless beta is 0."""
        return self.beta != 0


ClassWeights = Annotated[EqualWeights | InverseFrequency | EffectiveNumber, Field(discriminator="name")]


class Sampling(Choice):
    """How often an epoch of N draws shows each class.

    ``instance``: every image once. ``class_balanced``: all classes alike. ``square_root``: as sqrt(n_i).
    ``progressive``: from instance to class-balanced, linearly over the epochs. ``resampled``: as n_i raised to
    ``at_least`` and lowered to ``at_most``: over- and under-sampling to a target. ``after`` is the share of epochs
    that pass before it begins (deferred re-sampling).
    """

    name: Literal["instance", "class_balanced", "square_root", "progressive", "resampled"] = "instance"
    at_least: Annotated[int, Field(ge=1)] = 1
    at_most: Annotated[int | None, Field(ge=1)] = None
    after: Delay = 0.0

    @property
    def moves_prior(self) -> bool:
        """Unless every image is shown once."""
        bounded = self.at_least > 1 or self.at_most is not None
        return bounded if self.name == "resampled" else self.name != "instance"


class Mixing(Frozen):
    """What mixing does for the tail, on top of mixup and CutMix.

    ``remix``: a mixed image has the rarer label alone where the other class has ``kappa`` times as many images and
    the rarer image's share is over ``1 - remix_tau`` (arXiv:2007.03943). ``cmo``: chance that a batch gets patches
    of images drawn with probability 1 / n_i (arXiv:2112.00412), not in the first and last ``cmo_rest_epochs``.
    """

    remix: bool = False
    kappa: Annotated[float, Field(ge=1)] = 3.0
    remix_tau: Fraction = 0.5
    cmo: Fraction = 0.0
    cmo_rest_epochs: Annotated[int, Field(ge=0)] = 3


class PostHoc(Choice):
    """After training, ``tau * log(prior)`` is taken from the logits (arXiv:2007.07314, section 4.1).

    ``tau`` None is chosen on the validation photos, from 0 to 2 by 0.1: what training left of the classes' frequencies.
    """

    tau: float | None = 0.0

    @property
    def moves_prior(self) -> bool:
        """Unless tau is 0."""
        return self.tau != 0


class NoStage(Choice):
    """The network is finished when its epochs are."""

    name: Literal["none"] = "none"


class CRT(Choice):
    """A new head for the finished backbone, trained on class-balanced draws (arXiv:1910.09217)."""

    name: Literal["crt"] = "crt"
    epochs: Annotated[int, Field(gt=0)] = 10
    lr: Positive = 5e-3

    @property
    def moves_prior(self) -> bool:
        """By its draws."""
        return True


class LWS(Choice):
    """One scale for each class's logit, learnt on class-balanced draws (arXiv:1910.09217); needs a linear head."""

    name: Literal["lws"] = "lws"
    epochs: Annotated[int, Field(gt=0)] = 5
    lr: Positive = 5e-2

    @property
    def moves_prior(self) -> bool:
        """By its draws."""
        return True


class TauNorm(Choice):
    """Class weights divided by their length to the power ``tau`` (arXiv:1910.09217); needs a linear head.

    ``tau`` None is chosen on the validation photos, from 0 to 2 by 0.1.
    """

    name: Literal["tau_norm"] = "tau_norm"
    tau: NotNegative | None = None

    @property
    def moves_prior(self) -> bool:
        """Unless tau is 0."""
        return self.tau != 0


class MiSLAS(Choice):
    """Label-aware smoothing on class-balanced draws after mixup (arXiv:2104.00466); needs a linear head.

    ``shift_batch_norm`` lets the statistics of batch normalisation follow class-balanced photos first.
    """

    name: Literal["mislas"] = "mislas"
    epochs: Annotated[int, Field(gt=0)] = 10
    lr: Positive = 5e-2
    weight_lr_factor: Fraction = 0.1
    head: Fraction = 0.4
    tail: Fraction = 0.1
    shift_batch_norm: bool = True

    @property
    def moves_prior(self) -> bool:
        """By its draws."""
        return True


class NCM(Choice):
    """Nearest class mean: class weights are the means of the embeddings (arXiv:1910.09217); needs a cosine head."""

    name: Literal["ncm"] = "ncm"

    @property
    def moves_prior(self) -> bool:
        """A mean does not know how many it is of."""
        return True


class Discriminant(Choice):
    """``share`` of the head becomes Fisher's discriminant of the training photos' embeddings; needs a linear head."""

    name: Literal["discriminant"] = "discriminant"
    share: Fraction = 0.5

    @property
    def moves_prior(self) -> bool:
        """Not alone: it mixes a head without a prior into one that may have one."""
        return False


Stage = Annotated[NoStage | CRT | LWS | TauNorm | MiSLAS | NCM | Discriminant, Field(discriminator="name")]
