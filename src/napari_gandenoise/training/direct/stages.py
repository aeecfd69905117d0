"""What all stages that train direct denoisers do, the plain one, and the test at the end."""

from __future__ import annotations

import torch
from torch import Tensor

from napari_gandenoise.settings.train import SupervisedRecipe
from napari_gandenoise.training.direct.exposure import Exposure, peak_signal_noise_ratio
from napari_gandenoise.training.direct.objectives import likelihood_loss, pixel_loss
from napari_gandenoise.training.direct.parts import DirectParts, unknown_if_estimated
from napari_gandenoise.training.draws import Draws
from napari_gandenoise.training.schedule import learning_rate

__all__ = ["ESTIMATE", "DirectStage", "Supervised", "Testing", "detached"]

ESTIMATE = 0.1  # weight of the estimate's loss: no matter for its own weights under Adam, but for the longest gradient
UNKNOWN = 10**9  # steps


class DirectStage:
    """A stage with the schedule of all.

    Parameters
    ----------
    parts : DirectParts
        What stages share.
    first : int
        Steps of the run before it.
    """

    name = "train"
    times: tuple[float, float] | None = (0.0, 1.0)  # shares of the run's seconds; None: steps decide in any case

    def __init__(self, parts: DirectParts, first: int = 0) -> None:
        self.own = parts
        self.first = first
        self.steps = self._planned()

    def _planned(self) -> int:
        clock = self.own.clock
        if self.name in clock.ended:
            return clock.ended[self.name]
        # Of a stage that ends with its seconds nobody knows before its first step, least when it is resumed.
        return UNKNOWN if clock.seconds is not None and self.times is not None else self.own.config.stages[self.name]

    def rate(self, step: int) -> float:
        """Learning rate of the denoiser."""
        return learning_rate(self.own.config.rate, step, self.steps)

    def keep_time(self, step: int) -> None:
        """In a run that has so many seconds, expect as many steps as they will hold, and end with this one at last."""
        clock = self.own.clock
        if clock.seconds is None or self.times is None:
            return
        share = clock.share(*self.times)
        if share < 1:
            self.steps = max(step + 2, round((step + 1) / max(share, 1e-3)))
        else:
            self.steps = clock.ended[self.name] = step + 1


class Supervised(DirectStage):
    """Noisy and clean tiles: the network is to turn one into the other."""

    def __init__(self, parts: DirectParts, recipe: SupervisedRecipe, until: float = 1.0) -> None:
        super().__init__(parts)
        self.recipe = recipe
        self.times = (0.0, until)

    def update(self, step: int) -> dict[str, Tensor]:
        """Update the denoiser; return its losses."""
        self.keep_time(step)
        pairs = self.own.pairs()
        cleaned, estimate = self.own.clean_and_estimate(pairs)
        loss = likelihood_loss(cleaned, pairs) if self.recipe.loss == "poisson" else pixel_loss(cleaned, pairs)
        self.own.step(loss if estimate is None else loss + ESTIMATE * estimate, self.rate(step), step)
        return detached(loss=loss, estimate=estimate)


class Testing(DirectStage):
    """A held-out image a step, all of its tiles in order: the averaged network is scored, nothing is trained."""

    name = "test"
    times = None

    def __init__(self, parts: DirectParts, first: int) -> None:
        super().__init__(parts, first)
        self.scores: list[float] = []

    def rate(self, step: int) -> float:  # noqa: ARG002
        """Nothing is learnt."""
        return 0.0

    def update(self, step: int) -> dict[str, Tensor]:
        """Score an image; return its PSNR, dB."""
        # A run that was resumed begins with the first image again.
        while len(self.scores) <= step:
            self.scores.append(self._score(len(self.scores)))
        return {"PSNR": torch.tensor(self.scores[step])}

    def mean(self) -> float:
        """Mean PSNR of the images so far, dB."""
        return sum(self.scores) / len(self.scores)

    @torch.no_grad()
    def _score(self, number: int) -> float:
        own = self.own
        tiles = own.supply.held_out_image(number)
        # The same noise in each run of a config.
        pairs = Exposure(own.config, Draws(own.config.seed + number, own.draws.device)).expose(tiles)
        told = unknown_if_estimated(own.mean, pairs)
        batches = zip(*(part.split(own.batch) for part in (pairs.noisy, told, pairs.grain)), strict=True)
        return peak_signal_noise_ratio(torch.cat([own.mean(*batch) for batch in batches]), pairs, own.config)


def detached(**values: Tensor | None) -> dict[str, Tensor]:
    """Return the losses that there are, without their gradients."""
    return {name: value.detach() for name, value in values.items() if value is not None}
