"""Alarms: sentences for the user when a run goes wrong in a way that its losses do not show."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from napari_gandenoise.settings.train import Recipe

__all__ = ["Alarms"]

EARLIEST = 500  # steps; an untrained generator draws the same grey tile for every latent
LEAST_DIVERSITY, DIVERSITY_LOOKS = 0.2, 10
SURE, ACCURACY_STEPS = 0.995, 500


class Alarms:
    """Watch the values of each step.

    An alarm is raised once, and again only if all was well in between.  A critic (wgan-gp) is meant to tell the images
    apart, so its accuracy raises none.

    Parameters
    ----------
    recipe : Recipe
        Decides what counts as wrong.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.watches_accuracy = recipe != "wgan-gp"
        self.diversities: deque[float] = deque(maxlen=DIVERSITY_LOOKS)
        self.accuracies: deque[float] = deque(maxlen=ACCURACY_STEPS)
        self.raised: set[str] = set()

    def look(self, step: int, values: Mapping[str, float]) -> str:
        """Return what there is to say at a step; mostly nothing."""
        if step < EARLIEST:
            return ""
        return " ".join(filter(None, (self._collapse(values), self._pinned(values))))

    def _collapse(self, values: Mapping[str, float]) -> str:
        if "diversity" not in values:
            return ""
        self.diversities.append(values["diversity"])
        wrong = len(self.diversities) == DIVERSITY_LOOKS and max(self.diversities) < LEAST_DIVERSITY
        return self._once(
            "diversity",
            wrong,
            f"The samples are nearly all alike (diversity {values['diversity']:.2f} of the data's): the generator has "
            "collapsed; stop, and start anew with lower learning rates, a larger penalty or the recipe stable.",
        )

    def _pinned(self, values: Mapping[str, float]) -> str:
        if "accuracy" not in values or not self.watches_accuracy:
            return ""
        self.accuracies.append(values["accuracy"])
        mean = sum(self.accuracies) / len(self.accuracies)
        full = len(self.accuracies) == ACCURACY_STEPS
        always = self._once(
            "right",
            full and mean > SURE,
            f"The discriminator has been right in {100 * mean:.1f} % of all cases for {ACCURACY_STEPS} steps: the "
            "generator learns nothing from it; lower discriminator_rate or raise penalty.",
        )
        never = self._once(
            "wrong",
            full and mean < 1 - SURE,
            f"The discriminator has been wrong in {100 * (1 - mean):.1f} % of all cases for {ACCURACY_STEPS} steps: it "
            "does not learn; raise discriminator_rate or lower generator_rate.",
        )
        return always or never

    def _once(self, name: str, wrong: bool, sentence: str) -> str:
        if not wrong:
            self.raised.discard(name)
            return ""
        new = name not in self.raised
        self.raised.add(name)
        return sentence if new else ""
