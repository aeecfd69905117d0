"""Fields that several jobs have alike."""

from __future__ import annotations

from napari_gandenoise.settings.base import setting

__all__ = ["DEVICE", "DEVICES", "MODEL", "NOISE", "PIXEL_SIZE", "WHITE"]

DEVICES = {"auto": "Automatic", "cpu": "CPU", "cuda": "CUDA GPU"}

MODEL = setting("hrtem", "Name of a bundled model, or path of a model file.", title="Model", field="model")
PIXEL_SIZE = setting(
    None,
    "Pixel size, nm; by default the image's own.",
    title="Pixel size",
    unit="nm",
    field="pixel size",
    of_image=True,
    gt=0,
)
NOISE = setting(None, "Noise model; by default calibrated from the image.", title="Noise", field="noise", of_image=True)
DEVICE = setting("auto", "Where to compute.", title="Device", group="Advanced", choices=DEVICES)
WHITE = setting(
    None,
    "Value of white, for models of photographs; by default the largest of an integer type, or 1.",
    title="White is",
    group="Advanced",
    only={"model kind": ("photographs",)},
    of_image=True,
    gt=0,
)
