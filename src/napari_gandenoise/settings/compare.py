"""What to compare."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import field_validator

from napari_gandenoise.settings.base import LARGEST_SEED, Device, ModelName, Settings, setting
from napari_gandenoise.settings.denoise import DenoiseConfig, PresetName
from napari_gandenoise.settings.noise import AnyNoise
from napari_gandenoise.settings.recover import RecoverConfig
from napari_gandenoise.settings.shared import AUTO, DEVICE, IMAGE, MODEL, NOISE, PIXEL_SIZE, WHITE

__all__ = ["ALL", "BASELINES", "GAN", "ANOTHER", "RECOVERED", "USUAL", "CompareConfig", "title_of"]

GAN = "gan"
ANOTHER = "model:"  # before the name or path of any other model
# Classical denoisers by the names that settings call them, with those that tables do; oracles look at the truth.
BASELINES = {
    "noisy": "Noisy",
    "flat": "Flat",
    "gaussian": "Gaussian blur",
    "wiener": "Wiener, estimated",
    "tv": "Total variation",
    "wavelet": "Wavelet shrinkage",
    "nlm": "Non-local means",
    "low-rank": "Low-rank patches",
    "sparse": "Sparse dictionary",
    "bm3d": "BM3D",
    "gaussian-oracle": "Gaussian blur, oracle σ",
    "wiener-oracle": "Wiener, oracle spectrum",
    "tv-oracle": "Total variation, oracle bin",
    "nlm-oracle": "Non-local means, oracle bin",
    "bm3d-oracle": "BM3D, oracle bin",
}
# Latent vector recovery as published, by the chosen model.
RECOVERED: dict[str, tuple[str, dict[str, Any]]] = {
    "recovered": ("Recovered, stochastic clipping", {"objective": "squared", "clipping": "stochastic"}),
    "recovered-projected": ("Recovered, projected", {"objective": "squared", "clipping": "projected"}),
    "recovered-unclipped": ("Recovered, no clipping", {"objective": "squared", "clipping": "none"}),
}
ALL = (*BASELINES, GAN, *RECOVERED)
USUAL = (*(name for name in BASELINES if not name.endswith("-oracle")), GAN)
SPLITTING = {None: "Where there is no truth", True: "Always", False: "Never"}


class CompareConfig(Settings):
    """How to compare: the widget's fields, the CLI's options, the YAML file and the provenance."""

    methods: tuple[str, ...] = setting(
        USUAL,
        "Names of baselines, gan for the model, recovered for latent recovery as published, model:NAME for another "
        "model, all for all.",
        field="methods",
        min_length=1,
    )
    image: str | None = IMAGE
    model: ModelName = MODEL
    pixel_size_nm: float | None = PIXEL_SIZE
    noise: AnyNoise | None = NOISE
    preset: PresetName = setting(
        "balanced", "How hard models look: fast, balanced, thorough, or paper.", title="Effort", field="preset"
    )
    bin_factor: int | None = setting(
        None,
        "Side of the blocks that baselines sum; by default what brings pixels to about 43 pm.",
        title="Baselines sum",
        group="Advanced",
        ge=1,
    )
    data_range: float | None = setting(
        None,
        "Peak of PSNR and SSIM, input units; by default the truth's maximum less its minimum.",
        group="Advanced",
        of_image=True,
        gt=0,
    )
    splitting: bool | None = setting(
        None,
        "Score on held-out electrons, a second run of each method; by default where there is no truth.",
        title="Split electrons",
        group="Advanced",
        choices=SPLITTING,
    )
    share: float = setting(
        0.5,
        "Share of the electrons that splitting lets a method see.",
        title="Share seen",
        group="Advanced",
        gt=0,
        lt=1,
    )
    replicates: int = setting(
        0,
        "Repetitions for the models' uncertainty; 0 for no coverage.",
        title="Repeats",
        group="Advanced",
        ge=0,
        le=64,
    )
    seed: int = setting(0, "Seed of the models' search and of the splitting.", group="Advanced", ge=0, le=LARGEST_SEED)
    device: Device = DEVICE
    white: float | None = WHITE

    @field_validator("methods", mode="before")
    @classmethod
    def _known(cls, methods: object) -> object:
        if methods in ("all", ["all"], ("all",)):
            return ALL
        names = methods.split(",") if isinstance(methods, str) else methods
        if not isinstance(names, list | tuple):
            return names
        names = [name.strip() if isinstance(name, str) else name for name in names]
        for name in names:
            if name not in ALL and not (isinstance(name, str) and name.startswith(ANOTHER) and name != ANOTHER):
                raise ValueError(f"{name!r} is no method; there are {', '.join(ALL)} and {ANOTHER}NAME")
        return tuple(dict.fromkeys(names))

    def denoising(self, method: str) -> DenoiseConfig | RecoverConfig:
        """Return the settings with which a model denoises."""
        shared = self.model_dump(include={"preset", "pixel_size_nm", "noise", "replicates", "seed", "device", "white"})
        shared["model"] = self.model_of(method)
        if method in RECOVERED:
            return RecoverConfig.model_validate({**shared, **RECOVERED[method][1]})
        return DenoiseConfig.model_validate(shared)

    def model_of(self, method: str) -> str:
        """Return the name or path of the model that a method is; latents are recovered by one that has some."""
        if method in RECOVERED and self.model == AUTO:
            return str(RecoverConfig.model_fields["model"].default)
        return method.removeprefix(ANOTHER) if method.startswith(ANOTHER) else self.model


def title_of(method: str, config: CompareConfig) -> str:
    """Return what tables call a method."""
    if method in BASELINES:
        return BASELINES[method]
    known = {GAN: "GAN", **{name: title for name, (title, _) in RECOVERED.items()}}
    return f"{known.get(method, 'Model')} ({Path(config.model_of(method)).stem})"
