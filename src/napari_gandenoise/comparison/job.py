"""The comparison: every method in turn on the same image, scored alike."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Container
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from napari_gandenoise.baselines import BASELINES, Given
from napari_gandenoise.comparison.result import CompareResult
from napari_gandenoise.comparison.scores import blank, scores
from napari_gandenoise.comparison.subject import Subject
from napari_gandenoise.denoising import DenoiseResult, FirstFrame, denoise_steps, work_of
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.io import files_of
from napari_gandenoise.micrograph import Micrograph
from napari_gandenoise.models import load_model
from napari_gandenoise.progress import Progress, Steps, drain, relay
from napari_gandenoise.settings.base import configure
from napari_gandenoise.settings.compare import CompareConfig, title_of
from napari_gandenoise.settings.denoise import DenoiseConfig
from napari_gandenoise.settings.recover import RecoverConfig
from napari_gandenoise.settings.shared import AUTO
from napari_gandenoise.tiling import Tiles

__all__ = ["LEFT_OUT", "compare", "compare_steps"]

_log = logging.getLogger(__name__)

Image = NDArray[np.float32]
LEFT_OUT = "Left out."


@dataclass(frozen=True)
class _Estimate:
    """What a method made of an image."""

    image: Image
    setting: str
    seconds: float
    strength: str
    uncertainty: Image | None = None
    tiles: Tiles | None = None


class _Skipped(Exception):  # noqa: N818 - not an error
    """The user wants no more of this method."""


def compare(
    image: Any, /, config: CompareConfig | None = None, *, truth: Any = None, copies: Any = None, **fields: Any
) -> CompareResult:
    """Denoise one image by many methods, and score them.

    Parameters
    ----------
    image : array, dask array, napari layer, path or Micrograph
        ``(Y, X)``, or ``(Y, X, 3)`` for colours.
    config : CompareConfig, optional
        Settings; ``**fields`` are laid over it, for instance ``compare(image, methods="flat,bm3d,gan")``.
    truth : array, napari layer, path or Micrograph, optional
        The rate in the image's units: gives PSNR, SSIM, atom columns, spectrum error, coverage and seams.
    copies : array, napari layer or path, optional
        ``(N, Y, X)``, other noisy images of the same view, two at least: gives uPSNR.

    Returns
    -------
    CompareResult
        Images by method, and a table.  A method that failed has a row that says why.

    Raises
    ------
    GanDenoiseError
        If the image, the truth or the settings do not fit, in one sentence.
    """
    return drain(compare_steps(image, config, truth=truth, copies=copies, **fields))


def compare_steps(
    image: Any,
    /,
    config: CompareConfig | None = None,
    *,
    truth: Any = None,
    copies: Any = None,
    skip: Container[str] = (),
    **fields: Any,
) -> Steps[CompareResult]:
    """Compare as a generator of events; closing it cancels.

    Parameters
    ----------
    image, config, truth, copies, **fields
        As for `compare`.
    skip : container of str
        Methods that are not wanted any more, looked at before every event: a set may grow while this runs.

    Yields
    ------
    Progress
        Stage "METHOD" or "METHOD: what a model does"; once a method is done the preview is the `CompareResult` so far.

    Returns
    -------
    CompareResult
        What `compare` returns.
    """
    config = configure(CompareConfig, config, fields)
    yield Progress("prepare", 0, 1)
    subject = Subject.of(image, truth, copies, config)
    yield Progress("prepare", 1, 1)
    sources = (file for given in (image, truth, copies) for file in files_of(given))
    result = replace(_begin(subject, config), sources=tuple(sources))
    for number, method in enumerate(config.methods, start=1):
        title = title_of(method, config)
        row: dict[str, Any] = {"name": method, "method": title}
        try:
            estimate, from_kept = yield from _both(method, title, subject, config, skip)
        except _Skipped:
            result = result.with_failure(row, LEFT_OUT)
        except GanDenoiseError as error:
            result = result.with_failure(row, str(error))
        except Exception as error:  # a library can fail in any way, and the others shall still be seen
            _log.exception("%s failed.", title)
            result = result.with_failure(row, f"{type(error).__name__}: {error}")
        else:
            figures = scores(subject, estimate.image, from_kept, estimate.uncertainty, estimate.tiles, config.share)
            row |= {"setting": estimate.setting, "strength": estimate.strength}
            without = blank(figures)
            row |= {name: value for name, value in figures.items() if name not in without}
            row |= {"seconds": round(estimate.seconds, 3)} | ({"blank": without} if without else {})
            result = result.with_image(row, estimate.image, estimate.uncertainty)
        yield Progress(title, number, len(config.methods), preview=result)
    return result


def _begin(subject: Subject, config: CompareConfig) -> CompareResult:
    report = {
        "config": config.model_dump(mode="json"),
        "noise": subject.noise.model_dump(mode="json"),
        "pixel_size_nm": subject.micrograph.pixel_size_nm,
        "bin_factor": subject.bin_factor,
        "data_range": subject.data_range,
        "columns": None if subject.columns is None else len(subject.columns.positions),
        "notes": subject.notes,
        "versions": {name: version(name) for name in ("napari-gandenoise", "numpy", "scikit-image", "torch")},
    }
    micrograph = subject.micrograph
    return CompareResult(
        noisy=np.asarray(micrograph.pixels, np.float32),
        truth=subject.truth,
        images={},
        uncertainties={},
        rows=(),
        report=report,
        pixel_size_nm=micrograph.pixel_size_nm,
        name=micrograph.name,
        aspect=micrograph.aspect,
    )


def _both(
    method: str, title: str, subject: Subject, config: CompareConfig, skip: Container[str]
) -> Steps[tuple[_Estimate, Image | None]]:
    """Run a method on the image, and on the kept electrons if there was a split."""

    def heed(event: Progress) -> Progress:
        if method in skip:
            raise _Skipped
        return event

    estimate = yield from relay(_estimate(method, title, subject, config), heed)
    if subject.kept is None:
        return estimate, None
    half = replace(subject, micrograph=replace(subject.micrograph, pixels=subject.kept), truth=_share(subject, config))
    without = config.model_copy(update={"replicates": 0})
    from_kept = yield from relay(_estimate(method, f"{title}, split", half, without), heed)
    return estimate, from_kept.image


def _share(subject: Subject, config: CompareConfig) -> Image | None:
    """Return the truth of the kept electrons, for oracles."""
    if subject.truth is None:
        return None
    electrons = subject.noise.to_electrons(subject.truth)
    return subject.noise.from_electrons(config.share * electrons).astype(np.float32)


def _estimate(method: str, title: str, subject: Subject, config: CompareConfig) -> Steps[_Estimate]:
    if method not in BASELINES:
        return (yield from _by_model(method, title, subject, config))
    yield Progress(title, 0, 1)
    baseline = BASELINES[method]
    started = time.perf_counter()
    setting, image = baseline.run(Given(subject.micrograph.pixels, subject.noise, subject.bin_factor, subject.truth))
    seconds = time.perf_counter() - started
    yield Progress(title, 1, 1)
    return _Estimate(image, baseline.setting.format(setting), seconds, baseline.strength)


def _by_model(method: str, title: str, subject: Subject, config: CompareConfig) -> Steps[_Estimate]:
    settings = config.denoising(method).model_copy(update={"noise": subject.noise})
    started = time.perf_counter()
    found = yield from relay(_rate_steps(subject.micrograph, settings), _under(title))
    seconds = time.perf_counter() - started
    effort: str = settings.preset
    if found.report["steps"] == 0:
        views = found.report["views"]
        effort = f"{views} view{'s' if views > 1 else ''}"
    if settings.model == AUTO:  # which takes no model that searches tiles
        return _Estimate(
            found.rate, f"{found.report['model']}, {effort}", seconds, "from the noise model", found.uncertainty
        )
    tiles = work_of(FirstFrame.of(subject.micrograph, settings), load_model(settings.model), settings).tiles
    return _Estimate(found.rate, effort, seconds, "from the noise model", found.uncertainty, tiles)


def _rate_steps(micrograph: Micrograph, settings: DenoiseConfig | RecoverConfig) -> Steps[DenoiseResult]:
    """Denoise, or recover latents as published, which only those wait for who ask for it."""
    if isinstance(settings, DenoiseConfig):
        return denoise_steps(micrograph, settings)
    from napari_gandenoise.recovery import recover_steps

    # To denoise is to recover, which has the results of denoising.
    return cast("Steps[DenoiseResult]", recover_steps(micrograph, settings))


def _under(title: str) -> Callable[[Progress], Progress]:
    """Name events by the method; the picture of one image is not the comparison's."""
    return lambda event: replace(event, stage=f"{title}: {event.stage}", preview=None)
