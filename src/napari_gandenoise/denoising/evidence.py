"""What an image says: its pixels without those that say nothing, and what its first frame tells of all."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.micrograph import Micrograph
from napari_gandenoise.noise import Calibration, Defects, calibrate, calibrate_colours, find_defects, stand_in
from napari_gandenoise.noise.lines import lines_share_noise
from napari_gandenoise.settings.denoise import DenoiseConfig, SearchSettings
from napari_gandenoise.settings.noise import AnyNoise

__all__ = ["Evidence", "Findings", "FirstFrame", "calibrated"]

Mask = NDArray[np.bool_]
LINES = "The lines of this scan share their noise, as by jitter, so that its fit to the counts cannot be judged."
NAMED = 5  # frames that are named: a list of hundreds nobody reads


@dataclass(frozen=True)
class Evidence:
    """A frame without what says nothing.

    Attributes
    ----------
    pixels : ndarray
        ``(Y, X)`` or ``(Y, X, C)``, all finite: pixels from nearby stand in for those that are missing.
    missing : ndarray of bool or None
        ``(Y, X)``; None if no pixel is.
    defects : Defects
        What was found.
    labels : ndarray or None
        Values of the blank areas, one after the other: no noise has touched them.
    """

    pixels: NDArray[Any]
    missing: Mask | None
    defects: Defects
    labels: NDArray[Any] | None = None

    @classmethod
    def of(cls, frame: Micrograph, config: SearchSettings) -> Evidence:
        """Look at one frame."""
        pixels = np.asarray(frame.pixels)
        if frame.rgb:
            unknown = ~np.isfinite(pixels).all(axis=-1)
            defects = Defects(unknown, unknown=int(unknown.sum()))
        else:
            defects = find_defects(pixels, alone=isinstance(config, DenoiseConfig) and config.outliers)
        missing = defects.missing if frame.missing is None else defects.missing | frame.missing
        filled = pixels if missing.all() else stand_in(pixels, missing)
        labels = None if defects.areas is None else pixels[defects.areas]
        return cls(filled, missing if missing.any() else None, defects, labels)

    def label(self, image: NDArray[Any], value: float | None = None) -> None:
        """Give the blank areas of an image ``(Y, X)`` what they held, or another value."""
        if self.labels is not None:
            image[self.defects.areas] = self.labels if value is None else value

    @property
    def empty(self) -> bool:
        """Whether all pixels are missing."""
        return self.missing is not None and bool(self.missing.all())

    @property
    def blank(self) -> bool:
        """Whether all pixels have one value, or none has."""
        return self.empty or bool(self.pixels.min() == self.pixels.max())

    def silent(self, noise: object | None) -> bool:
        """Whether there is nothing to take away: one value, or no noise unless the user says what it is."""
        return self.blank or (self.defects.noiseless and noise is None)


class Findings:
    """What was found in the frames of an image or a movie that says nothing.

    Attributes
    ----------
    missing : ndarray of bool or None
        ``(Y, X)`` or ``(T, Y, X)``; None if no pixel is.
    kept : dict
        Frames that are left as they are, from 0, and why.
    """

    def __init__(self, frames: int, first: int = 0) -> None:
        self.missing: Mask | None = None
        self.kept: dict[int, str] = {}
        self._frames, self._first, self._with = frames, first, 0
        self._defects: Defects | None = None

    def add(self, index: int, evidence: Evidence, noise: object | None) -> None:
        """Add what was found in a frame; ``noise`` is what the user says of it."""
        if evidence.silent(noise):
            self.kept[index] = "is blank" if evidence.blank else "shows no noise"
        self._with += bool(evidence.defects)
        # One mask says where anything is missing: those of the frames are in `missing`.
        self._defects = evidence.defects if self._defects is None else self._defects | evidence.defects
        if evidence.missing is not None:
            if self.missing is None:
                shape = evidence.missing.shape
                self.missing = np.zeros(shape if self._frames == 1 else (self._frames, *shape), bool)
            self.missing[() if self._frames == 1 else index - self._first] = evidence.missing

    def counts(self) -> dict[str, Any]:
        """Return the numbers, ready for JSON."""
        return {**({} if self._defects is None else self._defects.counts()), "kept": list(self.kept)}

    def sentences(self) -> list[str]:
        """Say what was found, one sentence each."""
        said = []
        if self._defects:
            where = "" if self._frames == 1 else f"In {self._with} of {self._frames} frames: "
            said.append(where + self._defects.sentence(self._frames))
        for index, why in list(self.kept.items())[:NAMED]:
            which = "The image" if self._frames == 1 else f"Frame {index + 1}"
            said.append(f"{which} {why}: it is left as it is.")
        if len(self.kept) > NAMED:
            said.append(f"{len(self.kept) - NAMED} more frames are left as they are, too.")
        return said


@dataclass(frozen=True)
class FirstFrame:
    """The first frame of a micrograph or a movie that says something, which tells noise, model and sums of all.

    Attributes
    ----------
    micrograph : Micrograph
        That frame alone, its pixels finite, and its noise if the user has said it.
    evidence : Evidence
        What it says.
    frames : int
        How many there are.
    index : int
        Which of them it is.
    """

    micrograph: Micrograph
    evidence: Evidence
    frames: int = 1
    index: int = 0

    @classmethod
    def of(cls, micrograph: Micrograph, config: SearchSettings) -> FirstFrame:
        """Find it; the first one with a pixel if none says anything.

        Raises
        ------
        GanDenoiseError
            If no frame has a pixel with a value.
        """
        first: FirstFrame | None = None
        for index in range(micrograph.frames):
            frame = micrograph.frame(index)
            evidence = Evidence.of(frame, config)
            if evidence.empty:
                continue
            found = cls(replace(frame, pixels=evidence.pixels, missing=None), evidence, micrograph.frames, index)
            if not evidence.silent(micrograph.noise):
                return found
            first = first or found
        if first is None:
            name = micrograph.name or "The image"
            raise GanDenoiseError(f"{name} has no pixel with a value, so that there is nothing to denoise.")
        return first

    @property
    def silent(self) -> bool:
        """Whether there is nothing to take away from any frame."""
        return self.evidence.silent(self.micrograph.noise)

    def warnings(self) -> list[str]:
        """Say what was found in the image and how it was read, one sentence each."""
        findings = Findings(1)
        findings.add(0, self.evidence, self.micrograph.noise)
        return [*self.micrograph.warnings, *findings.sentences(), *self.shared()]

    def shared(self) -> list[str]:
        """Say whether pixels share their noise, in one sentence; nothing where the user says how it is."""
        if self.silent or self.micrograph.noise is not None or not self.sharing:
            return []
        return [self.calibration.message if self.calibration.correlated else LINES]

    @cached_property
    def sharing(self) -> str:
        """Which pixels share their noise, so that no evidence can be held out; nothing if none do."""
        if self.calibration.correlated:
            return "neighbouring pixels share their noise"
        if self.micrograph.rgb or not lines_share_noise(self.evidence.pixels):
            return ""
        return "the lines of the scan share their noise"

    @cached_property
    def calibration(self) -> Calibration:
        """What the frame says of its detector."""
        pixels = self.evidence.pixels
        if self.micrograph.rgb:
            return calibrate_colours(pixels)
        missing = self.evidence.missing
        return calibrate(
            pixels, replace(self.evidence.defects, missing=np.zeros(pixels.shape, bool) if missing is None else missing)
        )

    @property
    def noise(self) -> AnyNoise:
        """The noise that the user has said, or that of the calibration."""
        # There are no noise models but those of the settings.
        return cast("AnyNoise", self.micrograph.noise or self.calibration.noise)


def calibrated(micrograph: Micrograph) -> Calibration:
    """Estimate the noise of a micrograph from its first frame that says something."""
    return FirstFrame.of(replace(micrograph, noise=None), DenoiseConfig()).calibration
