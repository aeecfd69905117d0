"""The main road: a micrograph goes in; a rate with its fit map, latents and report comes out."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from importlib.metadata import version
from os import PathLike
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

import numpy as np
import psutil
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.inversion.clipping import Clipping
from napari_gandenoise.inversion.fitmap import fit_threshold
from napari_gandenoise.inversion.frame import FrameResult, Inverter, Latents
from napari_gandenoise.inversion.holes import around_holes, stand_in
from napari_gandenoise.inversion.objective import ObjectiveName
from napari_gandenoise.inversion.presets import PRESETS, PresetName
from napari_gandenoise.inversion.speed import seconds_per_tile_step
from napari_gandenoise.inversion.uncertainty import uncertainty_steps
from napari_gandenoise.io import read_micrograph
from napari_gandenoise.micrograph import Micrograph
from napari_gandenoise.models import Model, load_model
from napari_gandenoise.noise import AnyNoise, Calibration, Gaussian, calibrate, calibrate_colours
from napari_gandenoise.progress import Progress, Steps, drain, relay
from napari_gandenoise.tiling import Layout, lay_out

__all__ = [
    "REPLICATES",
    "DenoiseConfig",
    "DenoiseResult",
    "Plan",
    "as_micrograph",
    "calibrated",
    "check_fit",
    "computing_device",
    "denoise",
    "denoise_steps",
    "plan",
    "white_level",
]

Result = TypeVar("Result")

BYTES_A_TILE = 6 * 2**20  # activations and gradients of one 64x64 tile at width 32, measured, rounded up
LARGEST_BATCH = 64  # a step on more tiles would keep Cancel waiting
COARSEST = 1.6  # input pixels this many times larger than the model's hold too little of its detail
SMALLEST_SIDE = 8  # grid pixels
REPLICATES = 8  # where an uncertainty is wanted and nobody says how many; its own error is then about a quarter
RECOVERY = ("preset", "objective", "clipping")  # what a sharpness attribute depends on
MISFIT_ALLOWED = 0.05  # share of the area above the fit threshold beyond which a result does not fit


class DenoiseConfig(BaseModel):
    """How to denoise: the widget's fields, the CLI's options, the YAML file and the provenance."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = Field("hrtem", description="Name of a bundled model, or path of a model file.")
    pixel_size_nm: float | None = Field(None, gt=0, description="Pixel size, nm; by default the image's own.")
    noise: AnyNoise | None = Field(None, description="Noise model; by default calibrated from the image.")
    preset: PresetName = Field("balanced", description="How hard to look: fast, balanced, thorough, or paper.")
    objective: ObjectiveName = Field(
        "likelihood", description="What latents minimise: the noise model's likelihood, or the squared error."
    )
    clipping: Clipping = Field(
        "projected",
        description="Latents beyond a uniform prior's bounds: projected onto them, stochastic (drawn again), or none.",
    )
    seed: int = Field(0, ge=0, description="Seed of the random search.")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="Where to compute.")
    sharpness: bool = Field(
        False, description="Add the model's sharpness attribute, if it has one, to the latents that were found."
    )
    residual_step: bool = Field(True, description="Add back structure that the residual counts prove.")
    replicates: int = Field(
        0, ge=0, le=64, description="Repetitions that the uncertainty is estimated from: 8 is usual, 0 for none."
    )
    white: float | None = Field(
        None,
        gt=0,
        description="Value of white, for models of photographs; by default the largest of an integer type, or 1.",
    )
    max_memory_gb: float | None = Field(
        None, gt=0, description="Memory for tiles, GB; by default half of what is free."
    )


@dataclass(frozen=True)
class Plan:
    """What a run will do.

    Attributes
    ----------
    summed : int
        Input pixels along a side that are summed.
    grid : tuple of int
        Shape of the summed frame.
    tiles, frames, batch : int
        Tiles a frame, frames, and tiles computed at once.
    steps : int
        Gradient steps of all tiles of all frames, at most.
    seconds : float
        Predicted time.
    memory_bytes : int
        Predicted memory.
    warnings : tuple of str
        One sentence each.
    """

    summed: int
    grid: tuple[int, int]
    tiles: int
    frames: int
    batch: int
    steps: int
    seconds: float
    memory_bytes: int
    warnings: tuple[str, ...] = ()

    def sentence(self) -> str:
        """Put the plan into one line."""
        movie = f", {self.frames} frames" if self.frames > 1 else ""
        minutes = f"{self.seconds:.0f} s" if self.seconds < 120 else f"{self.seconds / 60:.0f} min"
        summed = f"{self.summed}×{self.summed} summed" if self.summed > 1 else "not summed"
        grid = f"{self.grid[0]}×{self.grid[1]}"
        return f"{summed}, {grid}, {self.tiles} tiles{movie}, about {minutes}, {self.memory_bytes / 1e9:.1f} GB"


@dataclass(frozen=True)
class DenoiseResult:
    """A denoised micrograph.

    Attributes
    ----------
    rate : ndarray
        Denoised image, float32, shape and units of the input (without an alpha channel).
    fit_map : ndarray
        Reduced Poisson deviance, smoothed; one where the rate explains the counts.  Colours are pooled.
    residual : ndarray
        Input minus rate.
    latents : list of ndarray
        ``(tiles, d)`` for each frame.
    tile_log_likelihood : ndarray
        ``(frames, tiles)``, nats gained over a flat tile.
    report : dict
        Provenance and figures, ready for JSON.
    pixel_size_nm : float or None
        Pixel size, nm; None if nobody knows it, as of a photograph.
    name : str
        Name of the input.
    uncertainty : ndarray or None
        Standard error of the rate in its units, shape of the fit map; None unless the config asks for replicates.
        Colours are pooled.
    """

    rate: NDArray[np.float32]
    fit_map: NDArray[np.float32]
    residual: NDArray[np.float32]
    latents: list[NDArray[np.float32]]
    tile_log_likelihood: NDArray[np.float32]
    report: dict[str, Any]
    pixel_size_nm: float | None
    name: str = ""
    uncertainty: NDArray[np.float32] | None = None

    def summary(self) -> str:
        """One line of trust."""
        share = self.report["residual_share"]
        stepped = self.report["config"]["residual_step"]
        added = f"residual step added {100 * share:.0f} %" if stepped else "no residual step"
        over = float((self.fit_map > self.report["fit_threshold"]).mean())
        where = f"{100 * over:.1f} % of the area" if over > 0 else "no region"
        fits = self.report["deviance"] <= self.report["fit_threshold"] and over <= MISFIT_ALLOWED
        verdict = "fits the counts" if fits else "does not fit the counts"
        return f"{verdict}: deviance {self.report['deviance']:.2f}; {added}; {where} above the fit threshold"

    @property
    def axes(self) -> str:
        """Meaning of the axes of the rate: YX, TYX or YXS."""
        return "YXS" if self.rate.ndim > self.fit_map.ndim else "TYX" if self.rate.ndim == 3 else "YX"

    def to_layer_data(self) -> tuple[NDArray[np.float32], dict[str, Any], str]:
        """Return data, keyword arguments and type of a napari layer of the denoised image."""
        return self.to_layers()[0]

    def to_layers(
        self, fit_map: bool = False, residual: bool = False
    ) -> list[tuple[NDArray[np.float32], dict[str, Any], str]]:
        """Return the layers of the result: denoised image, uncertainty if there is one, and what is asked for."""
        stem = f"{self.name} · " if self.name else ""
        layers = [self._layer(self.rate, f"{stem}denoised ({self.report['model']})", "gray", _limits(self.rate))]
        if self.uncertainty is not None:
            limits = (0.0, float(np.percentile(self.uncertainty[..., ::4, ::4], 99.9)) or 1.0)
            layers.append(self._layer(self.uncertainty, f"{stem}uncertainty", "magma", limits))
        if fit_map:
            limits = (0.8, max(1.2, self.report["fit_threshold"]))
            layers.append(self._layer(self.fit_map, f"{stem}fit map", "viridis", limits))
        if residual:
            spread = 3 * float(self.residual.std())
            layers.append(self._layer(self.residual, f"{stem}residual", "gray", (-spread, spread)))
        return layers

    def _layer(
        self, data: NDArray[np.float32], name: str, colormap: str, limits: tuple[float, float]
    ) -> tuple[NDArray[np.float32], dict[str, Any], str]:
        colours = self.axes == "YXS" and data.ndim == 3
        options: dict[str, Any] = {"name": name, "metadata": {"napari-gandenoise": self.report}}
        if colours:
            # napari shows float colours from 0 to 1.
            options["rgb"] = True
            data = np.clip(data / self.report["white"], 0, 1).astype(np.float32)
        else:
            options |= {"colormap": colormap, "contrast_limits": limits}
        if self.pixel_size_nm is not None:
            frames = data.ndim - 2 - colours
            options["scale"] = (1.0,) * frames + (self.pixel_size_nm,) * 2
            options["units"] = ("pixel",) * frames + ("nm",) * 2
        return data, options, "image"


def _limits(image: NDArray[np.float32]) -> tuple[float, float]:
    low, high = np.percentile(image[..., ::4, ::4], (0.1, 99.9))
    return float(low), float(max(high, low + 1e-6))


def as_micrograph(image: Any, config: DenoiseConfig) -> Micrograph:
    """Take an array, dask array, napari layer, path or `Micrograph`; the config's pixel size and noise win."""
    if isinstance(image, str | PathLike):
        image = read_micrograph(Path(image), lazy=True)
    micrograph = Micrograph.of(image, pixel_size_nm=config.pixel_size_nm, noise=config.noise)
    if micrograph.rgb and micrograph.pixels.shape[-1] == 4:
        micrograph = replace(micrograph, pixels=micrograph.pixels[..., :3])  # opacity is not light
    return micrograph


def check_fit(micrograph: Micrograph, model: Model) -> None:
    """Refuse an image that the model is not for."""
    if micrograph.rgb != (model.channels == 3):
        has, wants = ("colour channels", "grey") if micrograph.rgb else ("no colour channels", "colour")
        raise GanDenoiseError(
            f"The image has {has} but the model {model.name} is for {wants} images: convert it first."
        )
    if model.pixel_size_nm is not None and micrograph.pixel_size_nm is None:
        raise GanDenoiseError("The pixel size is not known: set pixel_size_nm (nanometres per pixel).")


def _configure(config: DenoiseConfig | None, fields: dict[str, Any]) -> DenoiseConfig:
    try:
        return DenoiseConfig.model_validate({**(config.model_dump() if config else {}), **fields})
    except ValidationError as error:
        raise GanDenoiseError.from_validation(error) from None


def plan(image: Any, config: DenoiseConfig | None = None, **fields: Any) -> Plan:
    """Say what `denoise` would do, without doing it.

    Parameters and errors are those of `denoise`.
    """
    config = _configure(config, fields)
    micrograph = as_micrograph(image, config)
    model = load_model(config.model)
    return _plan(micrograph, model, config, _lay_out(micrograph, model, config))


def _lay_out(micrograph: Micrograph, model: Model, config: DenoiseConfig) -> Layout:
    check_fit(micrograph, model)
    if config.sharpness and model.sharpness is None:
        raise GanDenoiseError(
            f"The model {model.name} has no sharpness attribute: measure it with napari-gandenoise sharpness, "
            "or set sharpness to false."
        )
    height, width = micrograph.pixels.shape[:2] if micrograph.rgb else micrograph.pixels.shape[-2:]
    ratio = 1.0
    if model.pixel_size_nm is not None and micrograph.pixel_size_nm is not None:
        ratio = model.pixel_size_nm / micrograph.pixel_size_nm
        if ratio < 1 / COARSEST:
            raise GanDenoiseError(
                f"The pixel size of {1e3 * micrograph.pixel_size_nm:.3g} pm is too coarse for the model {model.name} "
                f"({1e3 * model.pixel_size_nm:.3g} pm): check the pixel size, or use another model."
            )
    stride = PRESETS[config.preset].stride(model.size)
    layout = lay_out((height, width), ratio, model.size, stride, model.header.pose)
    if min(layout.grid) < SMALLEST_SIDE:
        least = SMALLEST_SIDE * layout.summed
        size = micrograph.pixel_size_nm
        scale = f"at {1e3 * size:.3g} pm a pixel " if size is not None and layout.summed > 1 else ""
        raise GanDenoiseError(
            f"The image of {height}×{width} pixels is too small: {scale}at least {least}×{least} are needed"
            + ("; check the pixel size." if scale else ".")
        )
    return layout


def _plan(micrograph: Micrograph, model: Model, config: DenoiseConfig, layout: Layout) -> Plan:
    preset = PRESETS[config.preset]
    tiles = len(layout.centres)
    budget = config.max_memory_gb * 1e9 if config.max_memory_gb else psutil.virtual_memory().available / 2
    batch = int(min(LARGEST_BATCH, tiles, max(1, budget // BYTES_A_TILE)))
    descents = preset.refine + (preset.keep * preset.brief if preset.keep > 1 else 0)
    frames = micrograph.frames
    pixels = layout.shape[0] * layout.shape[1]
    once = seconds_per_tile_step(model)
    # Binning and scoring a candidate costs about three steps, whatever the model.
    runs = frames * (1 + config.replicates)
    seconds = runs * (tiles * (descents + 3 * (preset.angles + 2)) * once + 1.5e-6 * pixels)
    memory = 400_000_000 + batch * BYTES_A_TILE + 40 * pixels + 8 * pixels * (frames if frames > 1 else 0)
    steps, warnings = runs * tiles * descents, _warn(micrograph, model, config)
    return Plan(layout.summed, layout.grid, tiles, frames, batch, steps, seconds, memory, warnings)


def _warn(micrograph: Micrograph, model: Model, config: DenoiseConfig) -> tuple[str, ...]:
    warnings = []
    if model.pixel_size_nm is not None and micrograph.pixel_size_nm is not None:
        own, models = 1e3 * micrograph.pixel_size_nm, 1e3 * model.pixel_size_nm
        if own > 1.05 * models:
            warnings.append(
                f"Pixels of {own:.3g} pm are coarser than the model's {models:.3g} pm: fine detail is out of reach."
            )
    if config.clipping != "projected" and model.header.prior == "normal":
        warnings.append(
            f"Clipping {config.clipping} changes nothing: the model {model.name} has a normal prior, without bounds."
        )
    if config.sharpness and model.header.sharpness is not None:
        measured = model.header.sharpness.settings
        other = [f"{n} {measured[n]}" for n in RECOVERY if n in measured and measured[n] != getattr(config, n)]
        if other:
            warnings.append(f"The sharpness attribute was measured with {' and '.join(other)}: denoise with the same.")
    return tuple(warnings)


def computing_device(config: DenoiseConfig) -> torch.device:
    """Say where to compute."""
    available = torch.cuda.is_available()
    if config.device == "cuda" and not available:
        raise GanDenoiseError("There is no CUDA device on this machine: choose device auto or cpu.")
    return torch.device("cuda" if available and config.device != "cpu" else "cpu")


def _electrons(frame: NDArray[Any], noise: AnyNoise, name: str) -> tuple[NDArray[np.float32], float, float]:
    """Turn a frame into electrons; return them, the read variance, and the frame's units per electron.

    Gaussian noise has no electrons: it becomes a dose so high that counting noise is a hundredth of the variance.
    """
    image = np.asarray(frame, dtype=np.float32)
    bad = ~np.isfinite(image)
    if bad.any():
        raise GanDenoiseError(f"{name or 'The image'} has {int(bad.sum())} NaN or infinite pixels: replace them first.")
    if isinstance(noise, Gaussian):
        gain = 0.01 * noise.sigma**2 / max(float(image.mean()), 0.01 * noise.sigma)
        return image / np.float32(gain), (noise.sigma / gain) ** 2, gain
    electrons = np.asarray(noise.to_electrons(image), dtype=np.float32)
    lowest = float(electrons.min())
    if noise.read_variance == 0 and lowest < -1e-3:
        raise GanDenoiseError(
            f"{name or 'The image'} has negative counts (down to {float(image.min()):.4g}), which no counting detector "
            "gives: set the offset and the read noise of the camera."
        )
    return electrons, float(noise.read_variance), noise.gain


def denoise_steps(
    image: Any, config: DenoiseConfig | None = None, *, missing: NDArray[np.bool_] | None = None, **fields: Any
) -> Steps[DenoiseResult]:
    """Denoise as a generator of events; closing it cancels.

    Parameters
    ----------
    image, config, missing, **fields
        As for `denoise`.

    Yields
    ------
    Progress
        Stages "calibrate", "search", "brief", "refine", "residual", "blend" (of each frame of a movie); the preview is
        the image so far, float32, of one frame's shape, in the input's units.

    Returns
    -------
    DenoiseResult
        What `denoise` returns.
    """
    config = _configure(config, fields)
    started = time.perf_counter()
    yield Progress("calibrate", 0, 1)
    micrograph = as_micrograph(image, config)
    device = computing_device(config)
    model = load_model(config.model).to(device)
    layout = _lay_out(micrograph, model, config)
    exposed = None
    if missing is not None:
        micrograph = replace(micrograph, pixels=stand_in(np.asarray(micrograph.pixels), missing))
        layout = around_holes(layout, missing)
        exposed = torch.from_numpy(~missing).float().to(device)
    yield Progress("calibrate", 0, 1)
    # There are no noise models but those of the room.
    noise = cast("AnyNoise", micrograph.noise or calibrated(micrograph).noise)
    yield Progress("calibrate", 1, 1)
    planned = _plan(micrograph, model, config, layout)
    results: list[FrameResult] = []
    white = white_level(micrograph, config)
    rate = np.empty(micrograph.pixels.shape, np.float32)
    residual = np.empty_like(rate)
    fit = np.empty(rate.shape[:2] if micrograph.rgb else rate.shape, np.float32)
    uncertainty = np.empty_like(fit) if config.replicates else None
    inverter: Inverter | None = None
    start: Latents | None = None
    for index in range(micrograph.frames):
        where = (index,) if micrograph.is_stack else ()
        frame = np.asarray(micrograph.frame(index).pixels)
        electrons, read_variance, gain = _electrons(frame, noise, micrograph.name)
        if inverter is None or inverter.read_variance != read_variance:
            light = (white - noise.offset) / gain
            inverter = _inverter(model, layout, config, read_variance, light, planned.batch, device, exposed)
        result = yield from _in_units(inverter.run(electrons, start), noise, gain, index, micrograph.frames)
        if uncertainty is not None:
            random = np.random.default_rng((config.seed, index))
            found = uncertainty_steps(inverter, result.rate, config.replicates, random)
            error = yield from _in_units(found, noise, gain, index, micrograph.frames)
            uncertainty[where] = error * gain * model.header.uncertainty_factor
        start = result.latents
        rate[where], fit[where] = _to_units(result.rate, noise, gain), result.fit_map
        residual[where] = frame - rate[where]
        results.append(replace(result, rate=rate[where], fit_map=fit[where]))
    report = _report(config, micrograph, model, noise, planned, results, time.perf_counter() - started)
    latents = [r.latents.values.cpu().numpy() for r in results]
    gains = np.stack([r.gains for r in results])
    size, name = micrograph.pixel_size_nm, micrograph.name
    return DenoiseResult(rate, fit, residual, latents, gains, report, size, name, uncertainty)


def calibrated(micrograph: Micrograph) -> Calibration:
    """Estimate the noise from a micrograph's first frame."""
    first = np.asarray(micrograph.frame(0).pixels)
    if not np.isfinite(first).all():
        raise GanDenoiseError(f"{micrograph.name or 'The image'} has NaN or infinite pixels: replace them first.")
    return calibrate_colours(first) if micrograph.rgb else calibrate(first)


def _inverter(
    model: Model,
    layout: Layout,
    config: DenoiseConfig,
    read_variance: float,
    white: float,
    batch: int,
    device: torch.device,
    exposed: torch.Tensor | None,
) -> Inverter:
    return Inverter(
        model=model,
        layout=replace(layout, centres=layout.centres.to(device)),
        preset=PRESETS[config.preset],
        read_variance=read_variance,
        residual_step=config.residual_step,
        batch=batch,
        generator=torch.Generator().manual_seed(config.seed),
        white=white,
        exposed=exposed,
        objective=config.objective,
        clipping=config.clipping,
        sharpness=config.sharpness,
    )


def white_level(micrograph: Micrograph, config: DenoiseConfig) -> float:
    """Value of white in the image's units."""
    if config.white is not None:
        return config.white
    kind = np.dtype(micrograph.pixels.dtype)
    return float(np.iinfo(kind).max) if kind.kind in "iu" else 1.0


def _to_units(electrons: NDArray[np.float32], noise: AnyNoise, gain: float) -> NDArray[np.float32]:
    return (electrons * gain + noise.offset).astype(np.float32)


def _in_units(steps: Steps[Result], noise: AnyNoise, gain: float, index: int, frames: int) -> Steps[Result]:
    """Pass events on with previews in the input's units and, for a movie, the frame in the stage."""
    stage = f"frame {index + 1}/{frames}: " if frames > 1 else ""

    def change(event: Progress) -> Progress:
        preview = None if event.preview is None else _to_units(event.preview, noise, gain)
        return replace(event, stage=stage + event.stage, preview=preview)

    return relay(steps, change)


def _report(
    config: DenoiseConfig,
    micrograph: Micrograph,
    model: Model,
    noise: AnyNoise,
    planned: Plan,
    results: list[FrameResult],
    seconds: float,
) -> dict[str, Any]:
    frames = len(results)
    levels = [r.sharpness_level for r in results if r.sharpness_level is not None]
    dose = float(np.mean([float(r.rate.mean()) for r in results]) - noise.offset) / noise.gain
    return {
        "config": config.model_dump(mode="json"),
        "model": model.name,
        "model_sha256": model.sha256,
        "pixel_size_nm": micrograph.pixel_size_nm,
        "noise": noise.model_dump(mode="json"),
        "gain": noise.gain,
        "white": white_level(micrograph, config),
        "dose": dose,
        "frames": frames,
        "tiles": planned.tiles,
        "summed": planned.summed,
        "steps": sum(r.tile_steps for r in results),
        "seconds": round(seconds, 3),
        "deviance": float(np.mean([r.deviance for r in results])),
        "residual_share": float(np.mean([r.residual_share for r in results])),
        "sharpness_level": float(np.mean(levels)) if levels else None,
        "fit_threshold": fit_threshold(),
        "uncertainty_factor": model.header.uncertainty_factor if config.replicates else None,
        "seed": config.seed,
        "warnings": list(planned.warnings),
        "versions": {name: version(name) for name in ("napari-gandenoise", "torch", "numpy")},
    }


def denoise(
    image: Any, config: DenoiseConfig | None = None, *, missing: NDArray[np.bool_] | None = None, **fields: Any
) -> DenoiseResult:
    """Denoise a micrograph or a movie in the latent space of a GAN.

    Parameters
    ----------
    image : array, dask array, napari layer, path or Micrograph
        ``(Y, X)`` or ``(T, Y, X)``.
    config : DenoiseConfig, optional
        Settings; ``**fields`` are laid over it, for instance ``denoise(image, pixel_size_nm=0.0061, preset="fast")``.
    missing : ndarray of bool, optional
        ``(Y, X)``: true where a pixel says nothing, such as a dead one; the rate is drawn there all the same.

    Returns
    -------
    DenoiseResult
        The rate in the input's units, its fit map, and the report.

    Raises
    ------
    GanDenoiseError
        If the image or the settings do not fit, in one sentence.
    """
    return drain(denoise_steps(image, config, missing=missing, **fields))
