"""What a run learns beside its loss, as data: supervised contrast of two views, and the answers of teachers.

What they compute is in ``training.contrastive`` and ``training.distillation``.
"""

from typing import Annotated, Literal

from pydantic import Field

from training.choices import Choice, Fraction, NotNegative, Positive

LONGEST_QUEUE = 8192
"""How many keys PaCo keeps at most where its configuration does not say."""


class NoContrast(Choice):
    """An image is compared with its label alone."""

    name: Literal["none"] = "none"


class SupCon(Choice):
    """Supervised contrast of two views of each photo (arXiv:2004.11362, L_out), ``weight`` times, beside the loss.

    ``dim`` is the width of a projection that training alone has. The paper trains contrast first and a classifier
    after it; here both are learnt together, and the loss is that of both views. A step costs two.
    """

    name: Literal["supcon"] = "supcon"
    weight: NotNegative = 1.0
    temperature: Positive = 0.1
    dim: Annotated[int, Field(ge=1)] = 128


class PaCo(Choice):
    """Parametric contrast (arXiv:2107.12028): one softmax over class centres, the batch, and a queue of earlier photos.

    The centres' logits are the head's, shifted by ``tau * log(prior)`` in training as the paper's long-tailed results
    have them (tau = 1); a photo's centre weighs ``beta``, each photo of its species ``alpha``, and ``gamma`` is what
    photos count in the denominator. Keys of ``dim`` numbers come from an encoder that follows with ``momentum``.
    ``queue`` None is as many as there are training photos, at most 8192. A longer queue than there are photos is
    allowed: it then holds older keys of the same photos. Alpha and temperature are the paper's for 100 classes.
    """

    name: Literal["paco"] = "paco"
    alpha: NotNegative = 0.01
    beta: Positive = 1.0
    gamma: NotNegative = 1.0
    temperature: Positive = 0.05
    tau: float = 1.0
    queue: Annotated[int | None, Field(ge=1)] = None
    momentum: Fraction = 0.999
    dim: Annotated[int, Field(ge=1)] = 128

    @property
    def moves_prior(self) -> bool:
        """By tau, and by alpha: at its best a centre has ``beta / (beta + alpha * positives)`` of an image, so the head
        leaves more of it to its many other images.
        """
        return self.tau != 0 or self.alpha > 0

    def queue_length(self, num_images: int) -> int:
        """How many keys are kept for so many training images.

        >>> PaCo().queue_length(100), PaCo().queue_length(20_000), PaCo(queue=500).queue_length(100)
        (100, 8192, 500)
        """
        return self.queue or min(LONGEST_QUEUE, num_images)


Contrastive = Annotated[NoContrast | SupCon | PaCo, Field(discriminator="name")]


class Distillation(Choice):
    """Learning from the mean logits of ``teachers`` runs of the same configuration with the next seeds.

    The loss becomes ``(1 - weight) * loss + weight * T^2 * KL(teachers at T || student at T)`` with T the temperature
    (arXiv:1503.02531). Teachers answer as they were finished, second stage and post-hoc prior included. They learn for
    ``teacher_epochs`` epochs, and where that is 0 for as many as the student, who may be given longer to listen
    (arXiv:2106.05237). With ``soup`` the student begins as the mean of its teachers' weights (arXiv:2203.05482), and
    without a ``student`` the run is that mean, and nobody listens.
    """

    teachers: Annotated[int, Field(ge=0)] = 0
    weight: Fraction = 0.5
    temperature: Positive = 2.0
    teacher_epochs: Annotated[int, Field(ge=0)] = 0
    soup: bool = False
    student: bool = True

    @property
    def learns(self) -> bool:
        """Whether teachers are asked at all."""
        return self.teachers > 0 and self.weight > 0

    @property
    def moves_prior(self) -> bool:
        """To where the teachers have it; that counts where they were corrected after their epochs."""
        return self.learns
