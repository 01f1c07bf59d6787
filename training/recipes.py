"""Named complete configurations, one a method. A recipe is a function that returns data."""

from collections.abc import Callable

from training.choices import (
    CRT,
    LDAM,
    LWS,
    NCM,
    Discriminant,
    EffectiveNumber,
    Equalization,
    Experts,
    Focal,
    InverseFrequency,
    LabelAwareSmoothing,
    LogitAdjusted,
    MiSLAS,
    Mixing,
    PostHoc,
    Sampling,
    TauNorm,
)
from training.config import RunConfig
from training.near_names import near_first
from training.recipes_auxiliary import distilled, paco, supcon, supcon_balanced
from training.recipes_base import balanced_softmax, baseline, cross_entropy, debug, logit_adjusted


def weighted_softmax() -> RunConfig:
    """Cross-entropy with weights n_min / n_i: the oldest correction, hard on the head."""
    return cross_entropy().with_(recipe="weighted_softmax", weights=InverseFrequency())


def focal() -> RunConfig:
    """Focal loss in its softmax form (arXiv:1708.02002), gamma = 2: counts what is still wrong."""
    return baseline().with_(recipe="focal", loss=Focal())


def class_balanced() -> RunConfig:
    """Cross-entropy weighted by the effective number of images (arXiv:1901.05555), beta = 0.9999."""
    return cross_entropy().with_(recipe="class_balanced", weights=EffectiveNumber())


def class_balanced_focal() -> RunConfig:
    """Focal loss weighted by the effective number of images (arXiv:1901.05555), beta = 0.9999, gamma = 2."""
    return focal().with_(recipe="class_balanced_focal", weights=EffectiveNumber())


def drw() -> RunConfig:
    """Cross-entropy, weighted by the effective number from the last fifth of training (arXiv:1906.07413)."""
    return cross_entropy().with_(recipe="drw", weights=EffectiveNumber(after=0.8))


def ldam() -> RunConfig:
    """Label-distribution-aware margins up to 0.5 on a cosine head of scale 30 (arXiv:1906.07413)."""
    return baseline().with_(
        recipe="ldam", loss=LDAM(), model={"head": "cosine", "cosine_scale": 30.0, "learn_scale": False}
    )


def ldam_drw() -> RunConfig:
    """Label-distribution-aware margins, re-weighted in the last fifth of training (arXiv:1906.07413)."""
    return ldam().with_(recipe="ldam_drw", weights=EffectiveNumber(after=0.8))


def equalization() -> RunConfig:
    """Equalization loss in its softmax form (arXiv:2003.05176): rare species are seldom pushed away."""
    return baseline().with_(recipe="equalization", loss=Equalization())


def label_aware_smoothing() -> RunConfig:
    """Label smoothing from 0.1 for the rarest to 0.4 for the most frequent species (arXiv:2104.00466)."""
    return baseline().with_(recipe="label_aware_smoothing", loss=LabelAwareSmoothing())


def class_balanced_sampling() -> RunConfig:
    """Cross-entropy on batches that show every species equally often (arXiv:1910.09217, p ~ 1)."""
    return cross_entropy().with_(recipe="class_balanced_sampling", sampling=Sampling(name="class_balanced"))


def square_root_sampling() -> RunConfig:
    """Cross-entropy on batches that show a species as the root of its photos (arXiv:1910.09217, p ~ sqrt(n))."""
    return cross_entropy().with_(recipe="square_root_sampling", sampling=Sampling(name="square_root"))


def progressive_sampling() -> RunConfig:
    """Cross-entropy on batches from instance to class-balanced, over the epochs (arXiv:1910.09217)."""
    return cross_entropy().with_(recipe="progressive_sampling", sampling=Sampling(name="progressive"))


def over_sampling() -> RunConfig:
    """Cross-entropy where species under 20 photos are shown as if they had 20 (arXiv:1710.05381)."""
    return cross_entropy().with_(recipe="over_sampling", sampling=Sampling(name="resampled", at_least=20))


def under_sampling() -> RunConfig:
    """Cross-entropy where species over 20 photos are shown as if they had 20 (arXiv:1710.05381)."""
    return cross_entropy().with_(recipe="under_sampling", sampling=Sampling(name="resampled", at_most=20))


def deferred_resampling() -> RunConfig:
    """Cross-entropy, class-balanced batches in the last fifth of training (DRS, arXiv:1906.07413)."""
    sampling = Sampling(name="class_balanced", after=0.8)
    return cross_entropy().with_(recipe="deferred_resampling", sampling=sampling)


def ldam_drs() -> RunConfig:
    """Label-distribution-aware margins, class-balanced batches in the last fifth (arXiv:1906.07413)."""
    return ldam().with_(recipe="ldam_drs", sampling=Sampling(name="class_balanced", after=0.8))


def ride() -> RunConfig:
    """Three experts on one stem with margins, re-weighting and a reward for diversity (arXiv:2010.01809)."""
    return ldam_drw().with_(recipe="ride", experts=Experts(num=3, diversity=0.2))


def sade() -> RunConfig:
    """Three experts on one stem, for the training, the equal and the reversed prior (arXiv:2107.09249)."""
    return cross_entropy().with_(recipe="sade", experts=Experts(num=3, priors="spread"))


def mixup() -> RunConfig:
    """Cross-entropy and mixup with shares from Beta(1, 1) (arXiv:1710.09412)."""
    return cross_entropy().with_(recipe="mixup", optimisation={"mixup_alpha": 1.0})


def cutmix() -> RunConfig:
    """Cross-entropy and CutMix with shares from Beta(1, 1) (arXiv:1905.04899)."""
    return cross_entropy().with_(recipe="cutmix", optimisation={"mixup_alpha": 0.0, "cutmix_alpha": 1.0})


def remix() -> RunConfig:
    """Mixup whose label goes to the rarer species where the other is three times as frequent (arXiv:2007.03943)."""
    return mixup().with_(recipe="remix", mixing=Mixing(remix=True))


def cmo() -> RunConfig:
    """Patches of rare species over half the batches (context-rich minority oversampling, arXiv:2112.00412)."""
    return cross_entropy().with_(recipe="cmo", optimisation={"mixup_alpha": 0.0}, mixing=Mixing(cmo=0.5))


def randaugment() -> RunConfig:
    """The baseline with RandAugment (arXiv:1909.13719) in the place of rotation and colour."""
    return baseline().with_(recipe="randaugment", augment=_policy("randaugment"))


def trivialaugment() -> RunConfig:
    """The baseline with TrivialAugment (arXiv:2103.10158) in the place of rotation and colour."""
    return baseline().with_(recipe="trivialaugment", augment=_policy("trivialaugment"))


def _policy(name: str) -> dict[str, object]:
    return {"policy": name, "rotate_deg": 0.0, "brightness": 0.0, "contrast": 0.0, "saturation": 0.0}


def logit_adjusted_post_hoc() -> RunConfig:
    """The baseline, its prior taken from the logits after training (arXiv:2007.07314), tau = 1."""
    return baseline().with_(recipe="logit_adjusted_post_hoc", post_hoc=PostHoc(tau=1.0))


def crt() -> RunConfig:
    """The baseline, then a new head on balanced draws of cached embeddings (arXiv:1910.09217)."""
    return baseline().with_(recipe="crt", stage=CRT())


def lws() -> RunConfig:
    """The baseline, then one learnt scale a species on balanced draws of cached embeddings (arXiv:1910.09217)."""
    return baseline().with_(recipe="lws", stage=LWS())


def tau_norm() -> RunConfig:
    """The baseline, then class weights divided by a power of their length, chosen on val (arXiv:1910.09217)."""
    return baseline().with_(recipe="tau_norm", stage=TauNorm())


def ncm() -> RunConfig:
    """A cosine head, then the mean embedding of each species in its place (arXiv:1910.09217)."""
    return cross_entropy().with_(recipe="ncm", model={"head": "cosine"}, stage=NCM())


def mislas() -> RunConfig:
    """Mixup, then label-aware smoothing on balanced draws with shifted statistics (arXiv:2104.00466)."""
    return cross_entropy().with_(recipe="mislas", optimisation={"mixup_alpha": 1.0}, stage=MiSLAS())


def linear_probe() -> RunConfig:
    """Cross-entropy and a head alone, on a pretrained backbone that is frozen whole: what its features are worth."""
    return cross_entropy().with_(recipe="linear_probe", model={"frozen_stages": "all"})


def transfer() -> RunConfig:
    """Cross-entropy for a few photos a species: the upper half of a pretrained network learns, at 320 px, and half of
    its head is a discriminant.
    """
    return baseline().with_(
        recipe="transfer",
        size_px=320,
        train_size_px=288,
        canvas_px=320,
        model={"frozen_stages": 4, "batch_norm": "fold"},
        optimisation={"epochs": 16, "lr": 2e-3},
        stage=Discriminant(),
    )


def transfer_long_tail() -> RunConfig:
    """``transfer`` for a tail of one or two photos a species: logit-adjusted loss, more epochs, weights half way back
    to the pretrained ones, and what remains of the classes' frequencies taken out by validation.
    """
    return transfer().with_(
        recipe="transfer_long_tail",
        loss=LogitAdjusted(tau=1.0, label_smoothing=0.1),
        model={"pretrained_share": 0.5},
        optimisation={"epochs": 24},
        post_hoc=PostHoc(tau=None),
        allow_double_correction=True,
    )


def fine_tuned_long_tail() -> RunConfig:
    """``transfer_long_tail`` for weights of other subjects: all but the stem learns, and none of it goes back."""
    return transfer_long_tail().with_(
        recipe="fine_tuned_long_tail",
        train_size_px=256,
        model={"frozen_stages": 2, "pretrained_share": 0.0},
        optimisation={"epochs": 10, "lr": 3e-3},
    )


RECIPES: dict[str, Callable[[], RunConfig]] = {
    recipe.__name__: recipe
    for recipe in (
        debug,
        baseline,
        logit_adjusted,
        linear_probe,
        transfer,
        transfer_long_tail,
        fine_tuned_long_tail,
        cross_entropy,
        balanced_softmax,
        weighted_softmax,
        focal,
        class_balanced,
        class_balanced_focal,
        drw,
        ldam,
        ldam_drw,
        equalization,
        label_aware_smoothing,
        class_balanced_sampling,
        square_root_sampling,
        progressive_sampling,
        over_sampling,
        under_sampling,
        deferred_resampling,
        ldam_drs,
        ride,
        sade,
        mixup,
        cutmix,
        remix,
        cmo,
        randaugment,
        trivialaugment,
        logit_adjusted_post_hoc,
        crt,
        lws,
        tau_norm,
        ncm,
        mislas,
        supcon,
        supcon_balanced,
        paco,
        distilled,
    )
}


def make_recipe(name: str) -> RunConfig:
    """A recipe by name. Raises ValueError that lists the names, near ones first."""
    if name not in RECIPES:
        raise ValueError(f"unknown recipe {name!r}; choose from {near_first(name, RECIPES)}")
    return RECIPES[name]()
