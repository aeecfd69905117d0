"""What a model of a material has gained: beside the model that it began with and BM3D, on simulations held out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_gandenoise.baselines import usual_bin
from napari_gandenoise.baselines.table import BASELINES, Given
from napari_gandenoise.datasets.modes import HeldOutImages, MadeImages, modes_of
from napari_gandenoise.denoising import denoise_steps
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.evaluation import psnr
from napari_gandenoise.evaluation.tables import markdown_table
from napari_gandenoise.micrograph import Micrograph
from napari_gandenoise.models import DirectModel, load_model_file, save_model
from napari_gandenoise.progress import Progress, Steps, ticking
from napari_gandenoise.settings.data import ModesData
from napari_gandenoise.settings.noise import Poisson
from napari_gandenoise.settings.structures import CrystalConfig
from napari_gandenoise.settings.train import AnyTrainConfig, DirectTrainConfig
from napari_gandenoise.training.device import training_device
from napari_gandenoise.writing import written_whole

__all__ = ["PSNR", "TABLE", "TESTED", "Comparison", "compare_steps", "is_compared", "is_of_cif", "is_tested", "keep"]

TABLE = "comparison.md"  # in the folder of the run
IMAGES, SIDE = 8, 192  # held-out images, and their side in pixels
LEAST_MEAN = 1e-6  # of the brightest pixel
BEST = BASELINES["bm3d-oracle"]
PSNR = "PSNR at "  # begins the names of the figures
TESTED = "test PSNR"  # what training says at its end

Image = NDArray[np.float32]
Method = Callable[[Micrograph, Image], Steps[Image]]


@dataclass(frozen=True)
class Comparison:
    """PSNR of some methods at some doses.

    Attributes
    ----------
    doses : tuple of float
        Electrons per pixel of the model, in the mean of an image.
    pixel_size_nm : float
        Of these pixels.
    psnr : dict
        For each method its mean over the images at each dose, dB, with the range of the truth as peak; the model first.
    notes : tuple of str
        What could not be compared, and why.
    """

    doses: tuple[float, ...]
    pixel_size_nm: float
    psnr: dict[str, tuple[float, ...]]
    notes: tuple[str, ...] = ()

    def table(self) -> str:
        """Write all figures as a Markdown table, with the notes below it."""
        area = (10 * self.pixel_size_nm) ** 2
        rows = [
            {"e⁻/pixel": f"{dose:.3g}", "e⁻/Å²": f"{dose / area:.3g}"}
            | {name: figures[place] for name, figures in self.psnr.items()}
            for place, dose in enumerate(self.doses)
        ]
        return "\n".join([markdown_table(rows), *self.notes])

    def metrics(self) -> dict[str, float]:
        """Figures at the middle dose, as a model file keeps them."""
        place = len(self.doses) // 2
        at = f"{PSNR}{self.doses[place]:.3g} e⁻/pixel"
        first, *others = self.psnr
        return {
            at: self.psnr[first][place],
            **{f"{at}, {name}": self.psnr[name][place] for name in others},
        }


def is_of_cif(config: AnyTrainConfig) -> bool:
    """Whether a run trains a direct denoiser on the crystals of CIF files."""
    if not isinstance(config, DirectTrainConfig) or not isinstance(config.data, ModesData):
        return False
    return isinstance(config.data.structure, CrystalConfig) and bool(config.data.structure.cif)


def is_compared(path: Path) -> bool:
    """Whether a model file holds figures of a comparison."""
    return any(name.startswith(PSNR) for name in load_model_file(path).header.metrics)


def is_tested(path: Path) -> bool:
    """Whether a model file is that of a run whose training is over."""
    return TESTED in load_model_file(path).header.metrics


def compare_steps(config: DirectTrainConfig, path: Path) -> Steps[Comparison]:
    """Compare a model with the one it began with and with BM3D, on images of structures that it has not seen.

    Each of 8 images is counted at three doses, the least, the greatest and the middle (geometric) one of the run;
    there is no noise but that of counting.  All methods are told so.  BM3D has the bin factor that is best for the
    image, which it is the truth that tells.

    Parameters
    ----------
    config : DirectTrainConfig
        The run, on images that are made.
    path : pathlib.Path
        The model file.

    Yields
    ------
    Progress
        Stage "compare", an event a result.
    """
    assert isinstance(config.data, ModesData)
    low, high = config.data.sampling_nm
    size, doses = config.pixel_size_nm or (low * high) ** 0.5, _doses(config)
    methods = _methods(config, path, size)
    scores: dict[str, list[list[float]]] = {name: [[] for _ in doses] for name in methods}
    refused: dict[str, str] = {}
    total = IMAGES * len(doses)
    for done, (place, given, truth) in enumerate(_exposed(config, size, doses)):
        event = Progress("compare", done, total)
        yield event
        for name in scores.keys() - refused.keys():
            try:
                estimate = yield from ticking(methods[name](given, truth), event)
            except GanDenoiseError as refusal:
                refused[name] = f"{name}: {refusal}"
            else:
                scores[name][place].append(psnr(truth, estimate, float(np.ptp(truth)) or 1.0))
    yield Progress("compare", total, total)
    means = {name: tuple(map(float, np.mean(scores[name], axis=1))) for name in methods if name not in refused}
    return Comparison(doses, size, means, tuple(refused.values()))


def keep(comparison: Comparison, path: Path) -> None:
    """Write the figures into a model file, and all of the table into the folder beside it."""
    model = load_model_file(path)
    assert isinstance(model, DirectModel)
    metrics = {**model.header.metrics, **comparison.metrics()}
    save_model(path, replace(model, header=model.header.model_copy(update={"metrics": metrics})))
    with written_whole(path.with_name(TABLE)) as temporary:
        temporary.write_text(comparison.table(), encoding="utf-8")


def _exposed(
    config: DirectTrainConfig, pixel_size_nm: float, doses: tuple[float, ...]
) -> Iterator[tuple[int, Micrograph, Image]]:
    """Draw held-out images and count them at each dose; yield the dose's place, the counts and their rate."""
    assert isinstance(config.data, ModesData)
    data = config.data.model_copy(update={"side": SIDE, "sampling_nm": (pixel_size_nm, pixel_size_nm)})
    images = HeldOutImages(MadeImages(modes_of(data, training_device(config.device)), config.seed), SIDE)
    for number in range(IMAGES):
        clean = images.in_order(number)[0, 0].cpu().numpy()
        for place, dose in enumerate(doses):
            rate = np.asarray(clean * (dose / max(float(clean.mean()), LEAST_MEAN)), np.float32)
            counts = np.random.default_rng((config.seed, number, place)).poisson(rate).astype(np.float32)
            yield place, Micrograph(counts, pixel_size_nm=pixel_size_nm, noise=Poisson()), rate


def _doses(config: DirectTrainConfig) -> tuple[float, ...]:
    """Return the doses that the run is for: one of them if there is but one."""
    low, high = config.dose
    if config.tiles.intensity == "standard" and config.acquisition.dose is not None:
        low, high = config.acquisition.dose
    return (low,) if low == high else (low, (low * high) ** 0.5, high)


def _methods(config: DirectTrainConfig, path: Path, pixel_size_nm: float) -> dict[str, Method]:
    """List what is compared by its names, the model first."""
    device = "auto" if config.device == "mps" else config.device
    models = {config.name: str(path)} | ({_stem(config.start): config.start} if config.start else {})
    methods: dict[str, Method] = {name: partial(_denoised, model, device) for name, model in models.items()}
    return methods | {BEST.title: partial(_best, usual_bin(pixel_size_nm)), "noisy": _noisy}


def _stem(model: str) -> str:
    return Path(model).stem if Path(model).suffix else model


def _denoised(model: str, device: str, given: Micrograph, _truth: Image) -> Steps[Image]:
    steps: Any = denoise_steps(given, model=model, device=device)
    result = yield from steps
    return np.asarray(result.rate, np.float32)


def _best(bin_factor: int, given: Micrograph, truth: Image) -> Steps[Image]:
    yield from ()
    return BEST.run(Given(np.asarray(given.pixels), Poisson(), bin_factor, truth)).rate


def _noisy(given: Micrograph, _truth: Image) -> Steps[Image]:
    yield from ()
    return np.asarray(given.pixels, np.float32)
