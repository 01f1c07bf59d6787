"""Contrastive losses as pure functions. Legend: B anchors, A images they are compared with, C classes, P projection.

Everything is computed in at least float32, whatever the precision of what comes in; the mean over B is the caller's.
"""

import torch
from torch import Tensor
from torch.nn import functional


def unit(projections_BP: Tensor) -> Tensor:
    """Projections brought to length one, in at least float32."""
    wide_BP = projections_BP.to(torch.promote_types(projections_BP.dtype, torch.float32))
    return functional.normalize(wide_BP, dim=1)


def similarities(anchors_BP: Tensor, others_AP: Tensor, temperature: float) -> Tensor:
    """Cosines over the temperature [B, A] with A = B + others: the anchors among themselves, then with the others.

    An anchor is not compared with itself: minus infinity stands there.
    """
    anchors_BP = unit(anchors_BP)
    compared_AP = torch.cat([anchors_BP, unit(others_AP).to(anchors_BP.dtype)])
    itself_BA = torch.eye(len(anchors_BP), len(compared_AP), dtype=torch.bool, device=anchors_BP.device)
    return (anchors_BP @ compared_AP.T / temperature).masked_fill(itself_BA, -torch.inf)


def positives(labels_B: Tensor, other_labels_A: Tensor) -> Tensor:
    """Which of the images [B, A] that ``similarities`` compares have the anchor's label, itself left out."""
    same_BA = labels_B.unsqueeze(1) == torch.cat([labels_B, other_labels_A])
    return same_BA.fill_diagonal_(False)


def supervised_contrast(projections_BP: Tensor, labels_B: Tensor, *, temperature: float) -> Tensor:
    """``-1 / |P(i)| * sum over P(i) of log softmax(z_i z_a / temperature)`` for each anchor [B].

    Khosla et al. (2020), eq. 2: L_out, without the factor of temperatures that their code has. P(i) are the other
    images of the anchor's label and the softmax runs over all other images. Projections need not have length one. The
    loss of an anchor without positives is 0; with two views of each photo there is none.
    """
    similar_BA = similarities(projections_BP, projections_BP[:0], temperature)
    positive_BA = positives(labels_B, labels_B[:0])
    log_BA = similar_BA.log_softmax(dim=1)
    return -log_BA.where(positive_BA, 0.0).sum(dim=1) / positive_BA.sum(dim=1).clamp_min(1)


def parametric_contrast(
    centres_BC: Tensor,
    similar_BA: Tensor,
    labels_B: Tensor,
    positive_BA: Tensor,
    *,
    alpha: float,
    beta: float = 1.0,
    gamma: float = 1.0,
) -> Tensor:
    """PaCo of each anchor [B] (Cui et al., 2021): a weighted mean of ``-log p`` over an anchor's positives.

    Positives are the centre of its class, of weight ``beta``, and the images ``positive_BA``, each of weight
    ``alpha``; p is the softmax over all C centres and A images, where images count ``gamma`` in the denominator.
    Divided by the sum of the weights, as the authors' code does and their formula does not. What is -inf in
    ``similar_BA`` is not compared. Centres' logits come with their prior shift and have no temperature.
    """
    wide = torch.promote_types(torch.promote_types(centres_BC.dtype, similar_BA.dtype), torch.float32)
    centres_BC, similar_BA = centres_BC.to(wide), similar_BA.to(wide)
    counted_BA = similar_BA + similar_BA.new_tensor(gamma).log()
    total_B = torch.cat([centres_BC, counted_BA], dim=1).logsumexp(dim=1)
    centre_B = centres_BC.gather(1, labels_B.unsqueeze(1)).squeeze(1) - total_B
    images_B = (similar_BA - total_B.unsqueeze(1)).where(positive_BA, 0.0).sum(dim=1)
    weights_B = beta + alpha * positive_BA.sum(dim=1).to(wide)
    return -(beta * centre_B + alpha * images_B) / weights_B
