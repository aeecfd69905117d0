"""How hard to look: the numbers behind fast, balanced, thorough and paper."""

from __future__ import annotations

from dataclasses import dataclass, replace

from napari_gandenoise.settings.denoise import PresetName

__all__ = ["PRESETS", "Preset"]

LEAST_STEPS = 6
LEAST_BANK = 2048


@dataclass(frozen=True)
class Preset:
    """Effort of the search.

    Attributes
    ----------
    spacing : float
        Distance of neighbouring tiles over the side of a tile.
    angles : int
        Orientations tried for each tile.
    bank : int
        Prior samples in the template bank, for models without an encoder; 0 for none.
    random : int
        Prior samples drawn for each tile beside the bank.
    propose : bool
        Let the model's encoder propose latents.
    keep : int
        Candidates of each tile that are followed briefly.
    brief, refine : int
        Gradient steps of each kept candidate, and of the best.
    rate : float
        Learning rate, in units of each latent's spread.
    gain : float
        A tile is done when ten steps gain less, nats.
    """

    spacing: float
    angles: int
    bank: int
    random: int
    propose: bool
    keep: int
    brief: int
    refine: int
    rate: float
    gain: float

    def following(self) -> Preset:
        """Return the effort for a frame of a movie after the first.

        What was found in the frame before stands in for the bank and for other orientations, and is refined for a
        quarter of the steps, at least `LEAST_STEPS`: `benchmarks/batch.py` measures what that saves and costs.
        """
        return replace(self, angles=1, bank=0, random=0, refine=max(LEAST_STEPS, self.refine // 4))

    def without_encoder(self) -> Preset:
        """Return the effort for a model that proposes nothing: there is more to search, and farther to go from there.

        A search that draws random latents has something else to go by.
        """
        if self.random:
            return self
        bank, keep = max(self.bank, LEAST_BANK), max(self.keep, 2)
        return replace(self, bank=bank, keep=keep, brief=max(self.brief, self.refine // 2), refine=3 * self.refine)

    def stride(self, size: int) -> int:
        """Distance of neighbouring tiles of a side of ``size``, model pixels."""
        return max(1, round(self.spacing * size))


# Beside an encoder's proposal other orientations, a template bank, brief descent of several candidates and 40 steps
# together bring next to nothing (0.02 dB on simulation seed 3, for three times the time); tiles that lie closer do.
PRESETS: dict[PresetName, Preset] = {
    "fast": Preset(36 / 64, 1, 0, 0, True, 1, 0, 6, 0.3, 0.0),
    "balanced": Preset(18 / 64, 1, 0, 0, True, 1, 0, 12, 0.2, 0.3),
    "thorough": Preset(14 / 64, 1, 0, 0, True, 1, 0, 20, 0.2, 0.3),
    # The study's algorithm: random latents, brief optimisation of all, up to 20,000 steps of Adam at 1e-2 for the best.
    "paper": Preset(32 / 64, 1, 0, 16, False, 16, 20, 20_000, 0.01, 0.01),
}
