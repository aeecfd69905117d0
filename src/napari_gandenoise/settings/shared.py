"""Fields that several jobs have alike."""

from __future__ import annotations

from napari_gandenoise.settings.base import LARGEST_SEED, setting

__all__ = ["AUTO", "DEVICE", "DEVICES", "IMAGE", "LATENT_MODEL", "MODEL", "NOISE", "PIXEL_SIZE", "SEED", "WHITE"]

AUTO = "auto"  # in place of a model's name: whichever is for the image and explains it best

DEVICES = {"auto": "Automatic", "cpu": "CPU", "cuda": "CUDA GPU"}

MODEL = setting(
    AUTO,
    "Name of a bundled model, or path of a model file; auto tries the direct denoisers that are for the image.",
    title="Model",
    field="model",
)
LATENT_MODEL = setting(
    "hrtem", "Name of a bundled model, or path of a model file.", title="Model", field="latent model"
)
PIXEL_SIZE = setting(
    None,
    "Pixel size, nm; by default the image's own.",
    title="Pixel size",
    unit="nm",
    field="pixel size",
    of_image=True,
    gt=0,
)
IMAGE = setting(
    None,
    "Which image of a file that holds several, by the name of its detector; by default the largest.",
    title="Image",
    group="Advanced",
    of_image=True,
)
NOISE = setting(None, "Noise model; by default calibrated from the image.", title="Noise", field="noise", of_image=True)
DEVICE = setting("auto", "Where to compute.", title="Device", group="Advanced", choices=DEVICES)
SEED = setting(
    0, "Seed of the random search: same seed, same machine, same result.", group="Advanced", ge=0, le=LARGEST_SEED
)
WHITE = setting(
    None,
    "Value of white, for models of photographs; by default the largest of an integer type, or 1.",
    title="White is",
    group="Advanced",
    only={"model kind": ("photographs",)},
    of_image=True,
    gt=0,
)
