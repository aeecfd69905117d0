"""A panel's settings as Python, as a command and as YAML: the same run elsewhere."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import yaml

from napari_gandenoise.denoising import DenoiseConfig
from napari_gandenoise.noise import AnyNoise, Gaussian, Poisson, PoissonGaussian
from napari_gandenoise.widgets._source import Source

__all__ = ["as_command", "as_python", "as_yaml"]


def as_python(source: Source, config: DenoiseConfig) -> str:
    """Python for napari's console that denoises the same pixels with the same settings."""
    image = f"viewer.layers[{source.layer.name!r}]"
    if not source.is_whole:
        image += f".data{'[0]' if source.layer.multiscale else ''}[{_index(source)}]"
    lines = [f"    {name}={_expression(value)}," for name, value in _chosen(config).items()]
    return "\n".join(
        [
            "import napari",
            "import napari_gandenoise as gd",
            "",
            f"result = gd.denoise(\n    {image},",
            *lines,
            ")",
            "viewer.add_layer(napari.layers.Layer.create(*result.to_layer_data()))",
            "",
        ]
    )


def as_command(source: Source, config: DenoiseConfig) -> str:
    """Shell command that denoises the layer's file with the same settings."""
    path = source.layer.source.path
    given = Path(path) if path else Path("INPUT.tif")
    words = ["napari-gandenoise", "denoise", str(given), str(given.with_name(f"{given.stem}-denoised.tif"))]
    options = {"--model": config.model, "--preset": config.preset, "--seed": config.seed, "--device": config.device}
    if config.pixel_size_nm is not None:
        options["--pixel-size"] = f"{config.pixel_size_nm:.6g}"
    options |= _noise_options(config.noise)
    for option, value in options.items():
        words += [option, str(value)]
    if not config.residual_step:
        words.append("--no-residual-step")
    return shlex.join(words)


def as_yaml(config: DenoiseConfig) -> str:
    """YAML of the settings, for the command line and batch runs."""
    return yaml.safe_dump(_chosen(config, mode="json"), sort_keys=False)


def _chosen(config: DenoiseConfig, mode: str = "python") -> dict[str, Any]:
    """Return what the panel shows, and of the rest what differs from the default."""
    shown = {"model", "pixel_size_nm", "noise", "preset", "seed"}
    defaults = DenoiseConfig()
    names = [n for n in DenoiseConfig.model_fields if n in shown or getattr(config, n) != getattr(defaults, n)]
    values = config.model_dump(mode=mode) if mode == "json" else dict(config)
    return {name: values[name] for name in names if values[name] is not None}


def _expression(value: Any) -> str:
    """Python source of a value: noise models by their public names."""
    return f"gd.{value!r}" if isinstance(value, Poisson | PoissonGaussian | Gaussian) else repr(value)


def _index(source: Source) -> str:
    parts = [f"{part.start}:{part.stop}" for part in source.box]
    if source.single_frame:
        parts[0] = str(source.box[0].start)
    return ", ".join(parts)


def _noise_options(noise: AnyNoise | None) -> dict[str, str]:
    if noise is None:
        return {}
    if isinstance(noise, Gaussian):
        return {"--sigma": f"{noise.sigma:.6g}"}
    options = {"--gain": f"{noise.gain:.6g}", "--offset": f"{noise.offset:.6g}"}
    if isinstance(noise, PoissonGaussian):
        options["--read-noise"] = f"{noise.read_noise:.6g}"
    return options
