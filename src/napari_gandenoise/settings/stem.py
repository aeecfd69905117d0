"""What a scanning microscope may be like: ranges of probes and detectors."""

from __future__ import annotations

from typing import Literal

from napari_gandenoise.settings.base import setting
from napari_gandenoise.settings.structures import Range, Ranges

__all__ = ["PROBES", "SCANNING_MICROSCOPES", "AnyProbe", "Detector", "ProbeConfig", "ScanningMicroscope"]

Detector = Literal["haadf", "abf", "bf"]
ScanningMicroscope = Literal["any", "300kv-corrected", "200kv-corrected", "200kv", "80kv-corrected", "60kv-corrected"]
SCANNING_MICROSCOPES: dict[ScanningMicroscope, str] = {
    "any": "60 to 300 kV, probe-corrected",
    "300kv-corrected": "300 kV, probe-corrected",
    "200kv-corrected": "200 kV, probe-corrected",
    "200kv": "200 kV",
    "80kv-corrected": "80 kV, probe-corrected",
    "60kv-corrected": "60 kV, probe-corrected",
}
DARK_FIELD = {"mode": ("haadf",)}


class ProbeConfig(Ranges):
    """Ranges of the probe and of the dark-field detector.  Positive defocus is underfocus, from the entrance face."""

    energy_kev: Range = setting((60.0, 300.0), "Electron energy, keV.", title="Energy", unit="keV")
    convergence_mrad: Range = setting((18.0, 32.0), "Semi-angle of the probe, mrad.", title="Convergence", unit="mrad")
    cs_um: Range = setting((-2.0, 2.0), "Spherical aberration, µm.", title="Cs", unit="µm")
    defocus_nm: Range = setting((-3.0, 6.0), "Defocus, nm.", unit="nm")
    astigmatism_nm: Range = setting((0.0, 2.0), "Twofold astigmatism, nm.", unit="nm")
    source_nm: Range = setting(
        (0.015, 0.045), "Image of the source on the specimen (Gaussian sigma), nm.", title="Source", unit="nm"
    )
    inner_mrad: Range = setting(
        (50.0, 90.0),
        "Inner angle of the dark-field detector, mrad.",
        title="Inner angle",
        unit="mrad",
        only=DARK_FIELD,
    )
    outer_mrad: Range = setting(
        (150.0, 230.0),
        "Outer angle of the dark-field detector, mrad.",
        title="Outer angle",
        unit="mrad",
        only=DARK_FIELD,
    )
    thermal_nm: Range = setting(
        (0.006, 0.010), "Vibration of the atoms (root mean square along one axis), nm.", title="Vibration", unit="nm"
    )


# With a corrector the probe's angle is the largest that the residual aberrations allow: some 20 mrad at 300 kV to
# 35 mrad at 60 kV (Krivanek et al., Nature 464 (2010) 571; Pennycook and Nellist, Scanning Transmission Electron
# Microscopy, 2011).  Without one the sharpest probe has the semi-angle (4 λ/Cs)^¼ and the underfocus √(Cs λ): 10 to
# 12 mrad and 35 to 55 nm at 200 kV (Crewe and Wall, J. Mol. Biol. 48 (1970) 375).


class _Probe300(ProbeConfig):
    """300 kV with a probe corrector."""

    energy_kev: Range = setting((300.0, 300.0), "Electron energy, keV.", title="Energy", unit="keV")
    convergence_mrad: Range = setting((18.0, 30.0), "Semi-angle of the probe, mrad.", title="Convergence", unit="mrad")


class _Probe200(ProbeConfig):
    """200 kV with a probe corrector."""

    energy_kev: Range = setting((200.0, 200.0), "Electron energy, keV.", title="Energy", unit="keV")
    convergence_mrad: Range = setting((20.0, 30.0), "Semi-angle of the probe, mrad.", title="Convergence", unit="mrad")


class _Uncorrected200(ProbeConfig):
    """200 kV without a corrector."""

    energy_kev: Range = setting((200.0, 200.0), "Electron energy, keV.", title="Energy", unit="keV")
    convergence_mrad: Range = setting((9.0, 12.0), "Semi-angle of the probe, mrad.", title="Convergence", unit="mrad")
    cs_um: Range = setting((500.0, 1200.0), "Spherical aberration, µm.", title="Cs", unit="µm")
    defocus_nm: Range = setting((30.0, 65.0), "Defocus, nm.", unit="nm")


class _Probe80(ProbeConfig):
    """80 kV with a probe corrector."""

    energy_kev: Range = setting((80.0, 80.0), "Electron energy, keV.", title="Energy", unit="keV")
    convergence_mrad: Range = setting((25.0, 34.0), "Semi-angle of the probe, mrad.", title="Convergence", unit="mrad")


class _Probe60(ProbeConfig):
    """60 kV with a probe corrector."""

    energy_kev: Range = setting((60.0, 60.0), "Electron energy, keV.", title="Energy", unit="keV")
    convergence_mrad: Range = setting((28.0, 36.0), "Semi-angle of the probe, mrad.", title="Convergence", unit="mrad")


# In the order of the microscopes.
AnyProbe = ProbeConfig | _Probe300 | _Probe200 | _Uncorrected200 | _Probe80 | _Probe60
PROBES: dict[ScanningMicroscope, type[ProbeConfig]] = {
    "any": ProbeConfig,
    "300kv-corrected": _Probe300,
    "200kv-corrected": _Probe200,
    "200kv": _Uncorrected200,
    "80kv-corrected": _Probe80,
    "60kv-corrected": _Probe60,
}
