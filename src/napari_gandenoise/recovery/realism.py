"""Constrained generation that asks a discriminator, too.

Yeh et al., "Semantic image inpainting with deep generative models" (CVPR 2017).
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.models import Model, load_latent_model
from napari_gandenoise.models.device import choose_device
from napari_gandenoise.progress import Progress, Steps
from napari_gandenoise.restoration import RestoreResult
from napari_gandenoise.restoration.given import as_image, missing_pixels
from napari_gandenoise.restoration.photographs import draws_photographs, restore_photograph_steps
from napari_gandenoise.settings.recover import REALISM, RecoverConfig

__all__ = ["realism", "restore_with_discriminator"]


def realism(logit: Tensor) -> Tensor:
    """Return ``log(1 - D) - log D`` of a discriminator's logit: small where it believes.

    With D the sigmoid of the logit both logarithms are softplus functions, whose difference is minus the logit: finite
    wherever the logit is.  Only differences of logits matter to its gradient, so that recipes whose discriminators
    compare (stable, wgan-gp) serve as well.
    """
    # log(1 - D) - log D = -softplus(l) + softplus(-l), and softplus(l) - softplus(-l) = l for every l.
    return -logit


def restore_with_discriminator(image: Any, config: RecoverConfig, mask: Any) -> Steps[RestoreResult]:
    """Restore by constrained generation; parameters as for `recover`."""
    yield Progress("start", 0, 1)
    model = load_latent_model(config.model)
    if not draws_photographs(model):
        raise GanDenoiseError(
            f"The model {model.name} is for micrographs, which are restored by their counts, without a discriminator: "
            "use restore, or choose a model of photographs."
        )
    model = model.to(choose_device(config.device))
    weight = _weight(config, model)
    judge = model.discriminator

    def believed(drawn: Tensor) -> Tensor:
        assert judge is not None
        return weight * realism(judge(drawn).float())

    micrograph = as_image(image, config, model)
    missing = missing_pixels(mask, micrograph, config.task)
    extra = believed if weight > 0 else None
    result = yield from restore_photograph_steps(micrograph, missing, config, model, extra)
    result.report["realism"] = weight
    return result


def _weight(config: RecoverConfig, model: Model) -> float:
    """Return the weight of the discriminator's word: by default the paper's where the model holds one."""
    if model.discriminator is not None:
        return REALISM if config.realism is None else config.realism
    if config.realism:
        raise GanDenoiseError(f"The model {model.name} holds no discriminator: leave realism out, or train it again.")
    return 0.0
