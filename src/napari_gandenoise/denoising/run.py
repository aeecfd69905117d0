"""From a micrograph to a rate with its fit map and report, frame by frame, whatever the kind of model."""

from __future__ import annotations

import time
from dataclasses import replace
from importlib.metadata import version
from typing import Any, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray

from napari_gandenoise.denoising.direct import DirectEngine
from napari_gandenoise.denoising.plan import Plan, lay_out_frame, plan_run
from napari_gandenoise.denoising.preparation import (
    as_micrograph,
    calibrated,
    computing_device,
    electrons_of,
    white_level,
)
from napari_gandenoise.denoising.result import DenoiseResult
from napari_gandenoise.denoising.views import count_views
from napari_gandenoise.inversion.frame import Engine, FrameResult, Inverter, Latents
from napari_gandenoise.inversion.holes import around_holes, stand_in
from napari_gandenoise.inversion.presets import PRESETS
from napari_gandenoise.inversion.uncertainty import uncertainty_steps
from napari_gandenoise.micrograph import Micrograph
from napari_gandenoise.models import AnyModel, DirectModel, load_model
from napari_gandenoise.progress import Progress, Steps, drain, relay
from napari_gandenoise.residual import FIT_THRESHOLD
from napari_gandenoise.settings.base import configure
from napari_gandenoise.settings.denoise import DenoiseConfig
from napari_gandenoise.settings.noise import AnyNoise
from napari_gandenoise.tiling import Layout

__all__ = ["denoise", "denoise_steps"]

Result = TypeVar("Result")


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
        Stages "calibrate", "search", "brief", "refine", "residual", "blend" (of each frame of a movie), or "calibrate",
        "denoise", "residual" for direct denoisers; the preview is the image so far, float32, of one frame's shape, in
        the input's units.

    Returns
    -------
    DenoiseResult
        What `denoise` returns.
    """
    config = configure(DenoiseConfig, config, fields)
    started = time.perf_counter()
    yield Progress("calibrate", 0, 1)
    micrograph = as_micrograph(image, config)
    device = computing_device(config)
    model: AnyModel = load_model(config.model).to(device)
    layout = lay_out_frame(micrograph, model, config)
    exposed = None
    if missing is not None:
        micrograph = replace(micrograph, pixels=stand_in(np.asarray(micrograph.pixels), missing))
        layout = around_holes(layout, missing)
        exposed = torch.from_numpy(~missing).float().to(device)
    yield Progress("calibrate", 0, 1)
    # There are no noise models but those of the room.
    noise = cast("AnyNoise", micrograph.noise or calibrated(micrograph).noise)
    yield Progress("calibrate", 1, 1)
    planned = plan_run(micrograph, model, config, layout)
    results: list[FrameResult] = []
    white = white_level(micrograph, config)
    rate = np.empty(micrograph.pixels.shape, np.float32)
    residual = np.empty_like(rate)
    fit = np.empty(rate.shape[:2] if micrograph.rgb else rate.shape, np.float32)
    uncertainty = np.empty_like(fit) if config.replicates else None
    engine: Engine | None = None
    start: Latents | None = None
    for index in range(micrograph.frames):
        where = (index,) if micrograph.is_stack else ()
        frame = np.asarray(micrograph.frame(index).pixels)
        electrons, read_variance, gain = electrons_of(frame, noise, micrograph.name)
        if engine is None or engine.read_variance != read_variance:
            light = (white - noise.offset) / gain
            engine = _engine(model, layout, config, read_variance, light, planned.batch, device, exposed)
        result = yield from _in_units(engine.run(electrons, start), noise, gain, index, micrograph.frames)
        if uncertainty is not None:
            random = np.random.default_rng((config.seed, index))
            found = uncertainty_steps(engine, result.rate, config.replicates, random)
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
    full = DenoiseResult(rate, fit, residual, latents, gains, report, size, name, uncertainty)
    return full if config.intensity == 1 else full.at_intensity(config.intensity)


def _engine(
    model: AnyModel,
    layout: Layout,
    config: DenoiseConfig,
    read_variance: float,
    white: float,
    batch: int,
    device: torch.device,
    exposed: torch.Tensor | None,
) -> Engine:
    """Make what denoises frames: a model is what it is, and that decides how."""
    layout = replace(layout, centres=layout.centres.to(device))
    if isinstance(model, DirectModel):
        return DirectEngine(
            model=model,
            layout=layout,
            read_variance=read_variance,
            residual_step=config.residual_step,
            white=white,
            exposed=exposed,
            strength=config.strength,
            grain=config.grain,
            views=count_views(model, config.preset, config.views),
        )
    return Inverter(
        model=model,
        layout=layout,
        preset=PRESETS[config.preset],
        read_variance=read_variance,
        residual_step=config.residual_step,
        batch=batch,
        generator=torch.Generator().manual_seed(config.seed),
        white=white,
        exposed=exposed,
    )


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
    model: AnyModel,
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
        "views": planned.views,
        "steps": sum(r.tile_steps for r in results),
        "seconds": round(seconds, 3),
        "deviance": float(np.mean([r.deviance for r in results])),
        "residual_share": float(np.mean([r.residual_share for r in results])),
        "sharpness_level": float(np.mean(levels)) if levels else None,
        "fit_threshold": FIT_THRESHOLD,
        "uncertainty_factor": model.header.uncertainty_factor if config.replicates else None,
        "seed": config.seed,
        "intensity": 1.0,
        "warnings": list(planned.warnings),
        "versions": {name: version(name) for name in ("napari-gandenoise", "torch", "numpy")},
    }


def denoise(
    image: Any, config: DenoiseConfig | None = None, *, missing: NDArray[np.bool_] | None = None, **fields: Any
) -> DenoiseResult:
    """Denoise a micrograph or a movie, in the latent space of a GAN or by a direct denoiser.

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
