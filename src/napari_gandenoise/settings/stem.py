"""What a scanning microscope may be like: ranges of probes, detectors and distortions of a scan."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from napari_gandenoise.settings.base import Settings, setting
from napari_gandenoise.settings.simulate import Microscope

__all__ = ["PROBES", "Detector", "ProbeConfig", "ScanConfig"]

Range = tuple[float, float]
Detector = Literal["haadf", "abf", "bf"]
DETECTORS = {"haadf": "High-angle annular dark field", "abf": "Annular bright field", "bf": "Bright field"}


class _Ranges(Settings):
    @model_validator(mode="after")
    def _ordered(self) -> _Ranges:
        for name, value in self.__dict__.items():
            if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], float) and value[0] > value[1]:
                raise ValueError(f"{name}: the first number of a range must not exceed the second, got {value}.")
        return self


class ProbeConfig(_Ranges):
    """Ranges of the probe and of the detector.  Positive defocus is underfocus, from the entrance face."""

    energy_kev: Range = setting((60.0, 300.0), "Electron energy, keV.", title="Energy", unit="keV")
    convergence_mrad: Range = setting((18.0, 32.0), "Semi-angle of the probe, mrad.", title="Convergence", unit="mrad")
    cs_um: Range = setting((-2.0, 2.0), "Spherical aberration, µm.", title="Cs", unit="µm")
    defocus_nm: Range = setting((-3.0, 6.0), "Defocus, nm.", unit="nm")
    astigmatism_nm: Range = setting((0.0, 2.0), "Twofold astigmatism, nm.", unit="nm")
    source_nm: Range = setting(
        (0.015, 0.045), "Image of the source on the specimen (Gaussian sigma), nm.", title="Source", unit="nm"
    )
    detectors: tuple[Detector, ...] = setting(
        ("haadf",),
        "Detectors to draw from; repeats weigh more.  A bright field takes a hundred times as long.",
        title="Detector",
        choices=DETECTORS,
        min_length=1,
    )
    inner_mrad: Range = setting(
        (50.0, 90.0), "Inner angle of the dark-field detector, mrad.", title="Inner angle", unit="mrad"
    )
    outer_mrad: Range = setting(
        (150.0, 230.0), "Outer angle of the dark-field detector, mrad.", title="Outer angle", unit="mrad"
    )
    thermal_nm: Range = setting(
        (0.006, 0.010), "Vibration of the atoms (root mean square along one axis), nm.", title="Vibration", unit="nm"
    )


# With a corrector aberrations are those of the defaults.  Without one the spherical aberration is the pole piece's, as
# in `napari_gandenoise.settings.simulate`; the semi-angle is about 1.41 (λ/Cs)^1/4, the defocus about √(Cs λ), which
# are best for incoherent imaging (Pennycook and Nellist, Scanning Transmission Electron Microscopy, 2011, chapter 2).
POLE_PIECE_UM = (500.0, 1200.0)
PROBES: dict[Microscope, ProbeConfig] = {
    "300kv-corrected": ProbeConfig(energy_kev=(300.0, 300.0)),
    "300kv": ProbeConfig(
        energy_kev=(300.0, 300.0), cs_um=POLE_PIECE_UM, convergence_mrad=(8.5, 11.5), defocus_nm=(25.0, 55.0)
    ),
    "200kv-corrected": ProbeConfig(energy_kev=(200.0, 200.0)),
    "200kv": ProbeConfig(
        energy_kev=(200.0, 200.0), cs_um=POLE_PIECE_UM, convergence_mrad=(9.0, 12.5), defocus_nm=(30.0, 60.0)
    ),
    "80kv-corrected": ProbeConfig(energy_kev=(80.0, 80.0)),
    "80kv": ProbeConfig(
        energy_kev=(80.0, 80.0), cs_um=POLE_PIECE_UM, convergence_mrad=(10.5, 14.0), defocus_nm=(40.0, 80.0)
    ),
}


class ScanConfig(_Ranges):
    """Ranges of what a scan does to an image; lines run along x, shifts are root mean squares unless said otherwise."""

    jitter_px: Range = setting((0.0, 0.5), "Shift of each line along itself, pixels.", title="Line jitter", unit="px")
    slow_jitter_px: Range = setting(
        (0.0, 0.25), "Shift of each line across itself, pixels.", title="Jitter across", unit="px"
    )
    wander_px: Range = setting(
        (0.0, 0.6), "Shift that a line keeps in part for the next: a bounded random walk, pixels.", unit="px"
    )
    wander_lines: Range = setting((2.0, 30.0), "After how many lines a walk has forgotten, lines.", unit="lines")
    hum_px: Range = setting((0.0, 0.4), "Amplitude of the sway by the mains, pixels.", title="Hum", unit="px")
    hum_cycles: Range = setting((0.02, 1.2), "Cycles of the mains within the time of a line.", title="Hum per line")
    drift_px: Range = setting(
        (0.0, 6.0),
        "Steady drift from the first line to the last, pixels: shears and stretches.",
        title="Drift",
        unit="px",
    )
    unsteady_drift_px: Range = setting((0.0, 1.0), "Drift that turns and changes its pace, pixels.", unit="px")
    flyback_px: Range = setting(
        (0.0, 2.0), "How far the beam is from its place when a line begins, pixels.", title="Fly-back", unit="px"
    )
    flyback_length_px: Range = setting(
        (2.0, 12.0), "Pixels after which the beam has come closer by e.", title="Fly-back length", unit="px"
    )
    lag_px: Range = setting(
        (0.0, 0.8), "Time constant of the detector: correlates noise along lines, pixels.", title="Lag", unit="px"
    )
