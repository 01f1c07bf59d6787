"""Recipes that learn something beside their loss: contrast of photos, or what teachers say of them."""

from training.auxiliary import Distillation, PaCo, SupCon
from training.config import RunConfig
from training.recipes_base import balanced_softmax, cross_entropy

_UNMIXED = {"mixup_alpha": 0.0}


def supcon() -> RunConfig:
    """Cross-entropy and, beside it, supervised contrast of two views of each photo (arXiv:2004.11362)."""
    return cross_entropy().with_(recipe="supcon", optimisation=_UNMIXED, contrastive=SupCon())


def supcon_balanced() -> RunConfig:
    """Balanced softmax and, beside it, supervised contrast of two views of each photo (arXiv:2004.11362)."""
    return balanced_softmax().with_(recipe="supcon_balanced", optimisation=_UNMIXED, contrastive=SupCon())


def paco() -> RunConfig:
    """Parametric contrast with class centres, a momentum encoder and a queue, balanced (arXiv:2107.12028)."""
    return cross_entropy().with_(recipe="paco", optimisation=_UNMIXED, contrastive=PaCo())


def distilled() -> RunConfig:
    """Balanced softmax, half of it learnt from the mean logits of three teachers at T = 2 (arXiv:1503.02531)."""
    return balanced_softmax().with_(recipe="distilled", distillation=Distillation(teachers=3))
