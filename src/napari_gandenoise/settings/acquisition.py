"""How clean images become recorded ones: noise, blur and distortions of cameras and scans."""

from __future__ import annotations

from typing import Literal

from pydantic import field_validator

from napari_gandenoise.settings.base import Settings, setting

__all__ = ["AcquisitionConfig", "AcquisitionKind", "RecordingConfig", "Target"]

AcquisitionKind = Literal["counter", "camera", "scan", "microscope", "photograph"]
KINDS: dict[AcquisitionKind, str] = {
    "counter": "Counting detector",
    "camera": "Camera",
    "scan": "Scan",
    "microscope": "Camera or scan",
    "photograph": "Photograph",
}
Target = Literal["recorded", "undistorted", "sharp"]
TARGETS: dict[Target, str] = {
    "recorded": "As recorded, without noise",
    "undistorted": "Distortions undone",
    "sharp": "Distortions and blur undone",
}
DETECTOR, SCAN, FILE = "Detector", "Scan", "File"
SCANNED = {"recorder": ("scan", "microscope")}
MICROSCOPE = {"recorder": ("camera", "scan", "microscope")}
COUNTED = {"recorder": ("counter", "camera", "scan", "microscope")}
WITH_EFFECTS = {"recorder": ("camera", "scan", "microscope", "photograph")}


class AcquisitionConfig(Settings):
    """Ranges of what happens to an image while it is recorded.

    Clean images lie within [0, 1] and strengths are in that unit, lengths in pixels.  Each image draws which of the
    effects it has, and how much of each up to the largest value given here; a largest value of 0 rules the effect out.
    A counting detector adds nothing of its own.
    """

    recorder: AcquisitionKind = setting("microscope", "What recorded the images.", choices=KINDS)
    target: Target = setting("undistorted", "What a network is to find.", choices=TARGETS, only=MICROSCOPE)
    effects: float = setting(
        0.4, "Chance of every single effect.", title="Effect chance", only=WITH_EFFECTS, ge=0, le=1
    )
    dose: tuple[float, float] | None = setting(
        (0.05, 500.0),
        "Fewest and most electrons a pixel in the mean, log-uniform; none: no counting noise.",
        unit="e⁻",
        only=COUNTED,
    )
    read_noise: tuple[float, float] = setting(
        (0.002, 0.3),
        "Least and most noise of amplifiers and read-out, log-uniform.",
        title="Read σ",
        group=DETECTOR,
        only=MICROSCOPE,
    )
    sigma: tuple[float, float] = setting(
        (0.0, 75 / 255), "Least and most noise of photographs, uniform.", title="σ", only={"recorder": ("photograph",)}
    )
    background: float = setting(1.0, "Most background of the detector.", group=DETECTOR, only=MICROSCOPE, ge=0, le=10)
    point_spread: float = setting(
        0.8, "Largest blur (Gaussian σ) before the noise.", unit="px", group=DETECTOR, only=MICROSCOPE, ge=0, le=4
    )
    correlation: float = setting(
        1.0,
        "Largest blur (Gaussian σ) of a scintillator, noise included.",
        unit="px",
        group=DETECTOR,
        only=MICROSCOPE,
        ge=0,
        le=4,
    )
    outliers: float = setting(
        0.002, "Largest share of dead and hot pixels and X-ray hits.", group=DETECTOR, only=MICROSCOPE, ge=0, le=0.2
    )
    stripes: float = setting(
        0.05,
        "Largest deviation of a line's level: of rows in scans, of columns in cameras.",
        group=DETECTOR,
        only=MICROSCOPE,
        ge=0,
        le=1,
    )
    line_gain: float = setting(
        0.1, "Largest deviation of a line's gain, relative.", group=SCAN, only=SCANNED, ge=0, lt=0.5
    )
    lag: float = setting(1.5, "Longest decay time of the detector.", unit="px", group=SCAN, only=SCANNED, ge=0, le=8)
    jitter: float = setting(
        1.0, "Largest deviation of a line along itself; across it a third.", unit="px", group=SCAN, only=SCANNED, ge=0
    )
    drift: float = setting(6.0, "Farthest drift while a frame is scanned.", unit="px", group=SCAN, only=SCANNED, ge=0)
    flyback: float = setting(
        4.0, "Largest shift where lines begin, after the beam flew back.", unit="px", group=SCAN, only=SCANNED, ge=0
    )
    margin: int = setting(
        8,
        "Pixels cut off from every side, beyond which nothing is shifted.",
        unit="px",
        group=SCAN,
        only=SCANNED,
        ge=0,
        le=64,
    )
    smoothing: float = setting(
        0.9, "Largest blur (Gaussian σ) by software.", unit="px", group=FILE, only=MICROSCOPE, ge=0, le=4
    )
    clipped: float = setting(
        0.02, "Largest share of pixels cut off as black, and as white.", group=FILE, only=MICROSCOPE, ge=0, lt=0.5
    )
    eight_bits: float = setting(
        0.3, "Share of images that have 256 grey levels.", group=FILE, only=WITH_EFFECTS, ge=0, le=1
    )
    gain: tuple[float, float] = setting(
        (1.0, 1.0), "Units of a file per unit, log-uniform.", group=FILE, only=WITH_EFFECTS
    )
    offset: tuple[float, float] = setting(
        (0.0, 0.0), "Offset of a file, in its units, uniform.", group=FILE, only=WITH_EFFECTS
    )

    @property
    def cut(self) -> int:
        """Pixels that recording takes off every side: only scans move anything."""
        return self.margin if self.recorder in ("scan", "microscope") else 0

    @field_validator("dose", "read_noise", "sigma", "gain", "offset")
    @classmethod
    def _ordered(cls, limits: tuple[float, float] | None) -> tuple[float, float] | None:
        if limits is not None and limits[0] > limits[1]:
            raise ValueError(f"the first number of a range must not exceed the second, got {limits}.")
        return limits

    @field_validator("dose", "gain")
    @classmethod
    def _positive(cls, limits: tuple[float, float] | None) -> tuple[float, float] | None:
        if limits is not None and limits[0] <= 0:
            raise ValueError(f"two numbers above 0, got {limits}.")
        return limits

    @field_validator("read_noise", "sigma")
    @classmethod
    def _not_negative(cls, limits: tuple[float, float]) -> tuple[float, float]:
        if limits[0] < 0:
            raise ValueError(f"two numbers from 0 up, got {limits}.")
        return limits


class RecordingConfig(AcquisitionConfig):
    """How one micrograph is recorded: unless said otherwise, its electrons are counted."""

    recorder: AcquisitionKind = setting("counter", "What recorded the images.", choices=KINDS)
