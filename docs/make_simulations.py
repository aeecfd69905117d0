"""Make the picture of the how-to page on simulations: modes, scenes and ways of recording.

::

    python docs/make_simulations.py

It needs the extra ``simulate``, and a few minutes for the bright field.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from napari_gandenoise.settings.simulate import SimulationConfig
from napari_gandenoise.simulate import simulate_micrograph

IMAGE = Path(__file__).parent / "images" / "simulations.webp"
SIDE = 200  # pixels of each picture
COLUMNS = 4
SHOWN = (0.2, 99.8)  # percentiles of the grey scale


def crystal(material: str, shape: str = "slab", zone: tuple[int, int, int] = (0, 0, 1), **more: Any) -> dict[str, Any]:
    """Describe a crystal that lies along a zone axis, without a film."""
    along = {"zone_axes": [zone], "random_orientation": 0.0, "max_tilt_deg": 0.5}
    return {"kind": "crystal", "materials": [material], "shapes": [shape], "surroundings": ["vacuum"], **along, **more}


def scene(kind: str) -> dict[str, Any]:
    """Describe scenes of one kind."""
    return {"kind": "scene", "kinds": [kind]}


PARTICLE = {"metals": ["Pt"], "zone_axes": [(1, 1, 0)], "support_zone_axes": [(1, 1, 0)], "diameter_nm": (3, 3)}
TITANATE = crystal("SrTiO3", thickness_nm=(5, 5))
FLAKE = crystal("WS2", flakes=1.0, defects={"vacancies": (0.02, 0.02)})
BOUNDARY = crystal(
    "Au", zone=(1, 1, 0), thickness_nm=(5, 5), defects={"grain_boundaries": 1.0, "twins": 0.0, "stacking_faults": 0.0}
)
WEDGE = crystal("SrTiO3", "wedge", thickness_nm=(8, 8), wedge_deg=(45, 45))
JITTER = {"recorder": "scan", "effects": 1.0, "jitter": 2.0, "stripes": 0.02, "clipped": 0.0, "background": 0.2}
CAMERA = {"recorder": "camera", "effects": 1.0, "read_noise": (0.05, 0.1), "clipped": 0.0, "outliers": 0.0005}
# Title, settings, dose, and whether the noisy image is shown in place of the truth.
PICTURES: list[tuple[str, dict[str, Any], float | None, bool]] = [
    ("HRTEM: Pt on CeO₂", {"structure": PARTICLE, "pixel_size_nm": 0.03, "seed": 1}, None, False),
    ("HRTEM: SrTiO₃, a wedge", {"structure": WEDGE, "pixel_size_nm": 0.03, "seed": 2}, None, False),
    ("HRTEM: Au, a grain boundary", {"structure": BOUNDARY, "pixel_size_nm": 0.03, "seed": 3}, None, False),
    ("ABF: SrTiO₃", {"structure": TITANATE, "mode": "abf", "pixel_size_nm": 0.01, "seed": 4}, None, False),
    ("HAADF: SrTiO₃", {"structure": TITANATE, "mode": "haadf", "pixel_size_nm": 0.01, "seed": 4}, None, False),
    ("HAADF: SrTiO₃, a wedge", {"structure": WEDGE, "mode": "haadf", "pixel_size_nm": 0.03, "seed": 2}, None, False),
    (
        "HAADF: Au, a grain boundary",
        {"structure": BOUNDARY, "mode": "haadf", "pixel_size_nm": 0.03, "seed": 3},
        None,
        False,
    ),
    ("HAADF: WS₂ with vacancies", {"structure": FLAKE, "mode": "haadf", "pixel_size_nm": 0.02, "seed": 2}, None, False),
    ("Scene: particles", {"structure": scene("particles"), "pixel_size_nm": 1.0, "seed": 1}, None, False),
    ("Scene: grains", {"structure": scene("grains"), "pixel_size_nm": 1.0, "seed": 2}, None, False),
    ("Scene: pores", {"structure": scene("pores"), "pixel_size_nm": 1.0, "seed": 3}, None, False),
    ("Scene: dead leaves", {"structure": scene("leaves"), "pixel_size_nm": 1.0, "seed": 4}, None, False),
    ("HRTEM, 4 electrons a pixel", {"structure": PARTICLE, "pixel_size_nm": 0.03, "seed": 1}, 4.0, True),
    (
        "HAADF, a jittery scan",
        {"structure": BOUNDARY, "mode": "haadf", "pixel_size_nm": 0.03, "seed": 3, "acquisition": JITTER},
        400.0,
        True,
    ),
    (
        "Particles, a jittery scan",
        {"structure": scene("particles"), "pixel_size_nm": 1.0, "seed": 1, "acquisition": JITTER},
        60.0,
        True,
    ),
    (
        "Dead leaves, a camera",
        {"structure": scene("leaves"), "pixel_size_nm": 1.0, "seed": 4, "acquisition": CAMERA},
        60.0,
        True,
    ),
]


def main() -> None:
    """Simulate all pictures and lay them out."""
    rows = -(-len(PICTURES) // COLUMNS)
    figure, axes = plt.subplots(rows, COLUMNS, figsize=(2.2 * COLUMNS, 2.4 * rows), layout="compressed")
    for axis, (title, settings, dose, noisy) in zip(axes.flat, PICTURES, strict=True):
        made = simulate_micrograph(SimulationConfig.model_validate({"shape": SIDE, **settings}), dose)
        pixels = (made.counts if noisy else made.truth).pixels
        low, high = np.percentile(pixels, SHOWN)
        axis.imshow(pixels, cmap="gray", vmin=low, vmax=high)
        axis.set_title(title, fontsize=8)
        axis.axis("off")
    figure.savefig(IMAGE, dpi=100, pil_kwargs={"quality": 80})


if __name__ == "__main__":
    main()
