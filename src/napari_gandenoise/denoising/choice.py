"""Which model: those that are for an image are tried on a part of it, and judged by evidence they have not seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_gandenoise.denoising.evidence import FirstFrame
from napari_gandenoise.denoising.posterior import repeated_if_nothing_draws
from napari_gandenoise.denoising.preparation import check_fit
from napari_gandenoise.denoising.work import work_of
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.micrograph import Micrograph
from napari_gandenoise.models import AnyModel, list_models, load_model
from napari_gandenoise.noise.splitting import hold_out
from napari_gandenoise.progress import Progress, Steps
from napari_gandenoise.settings.denoise import SearchSettings

__all__ = ["Choice", "candidates", "choose_steps"]

MOST = 4  # candidates that are tried: more would keep the user waiting
GRID_SIDE = 256  # of the part that they are tried on, pixels of the coarsest grid among them
LARGEST_SIDE = 1024  # of that part, pixels of the image
SHARE = 0.75  # of the evidence that they see
MOST_DIVISIONS = 4  # of a small part, which one division of its evidence would leave to chance
BLOCKS = 8  # along a side of the part: how much they differ from block to block says how sure the choice is
SURE = 0.5  # standard errors, beyond which the sign of a difference was mostly right on simulation seed 3

Draw = Callable[[Micrograph, str], NDArray[np.float32]]


@dataclass(frozen=True)
class Choice:
    """A model, and why.

    Attributes
    ----------
    name : str
        The name that `load_model` knows it by.
    reason : str
        One sentence; empty if the user has named the model.
    scores : dict
        Evidence for each model that was tried, nats per thousand pixels more than the chosen one has.
    """

    name: str
    reason: str = ""
    scores: dict[str, float] = field(default_factory=dict)


def candidates(first: FirstFrame, config: SearchSettings) -> dict[str, AnyModel]:
    """Return the direct denoisers that are for an image by their names, those for any micrograph first.

    Raises
    ------
    GanDenoiseError
        If there is none.
    """
    found: dict[str, AnyModel] = {}
    refused: dict[bool, GanDenoiseError] = {}  # by whether it is for as many colours: those say what else is wrong
    for card in list_models():
        if card.latent is not None:
            continue
        model = load_model(card.name)
        try:
            check_fit(first.micrograph, model)
            work_of(first, model, repeated_if_nothing_draws(config, model))
        except GanDenoiseError as error:
            refused.setdefault(first.micrograph.rgb == (model.channels == 3), error)
            continue
        found[card.name] = model
    if not found:
        none = GanDenoiseError("There is no direct denoiser to choose: name a model.")
        raise refused.get(True) or refused.get(False) or none
    general = {name: model for name, model in found.items() if model.pixel_size_nm is None}
    if general and first.micrograph.pixel_size_nm is None and not first.micrograph.rgb:
        # A model of one pixel size draws its lattice into anything at a size that was guessed.
        found = general
    # Sorting keeps the order of bundled models before the user's own.
    return dict(sorted(found.items(), key=lambda item: item[1].pixel_size_nm is not None)[:MOST])


def choose_steps(first: FirstFrame, config: SearchSettings, draw: Draw) -> Steps[Choice]:
    """Choose a model for a micrograph or a movie, by its first frame.

    Parameters
    ----------
    first : FirstFrame
        Of the image.
    config : SearchSettings
        How it is to be denoised.
    draw : callable
        Denoises an image with a model; returns the rate in the image's units.

    Yields
    ------
    Progress
        Stage "choose".

    Raises
    ------
    GanDenoiseError
        If no model is for the image.
    """
    tried = candidates(first, config)
    general, *others = tried
    if not others:
        return Choice(general, f"{general} is the only model for such an image.")
    if unsplit := _unsplit(first):
        return Choice(general, f"{general}, the most general model: {unsplit}, so that no evidence can be held out.")
    works = (work_of(first, model, repeated_if_nothing_draws(config, model)) for model in tried.values())
    largest = max(work.grid.summed for work in works)
    part, random = _part(first.micrograph, largest), np.random.default_rng(config.seed)
    divisions = int(np.clip((GRID_SIDE * largest) ** 2 // part.pixels.size, 1, MOST_DIVISIONS))
    evidence: dict[str, list[NDArray[np.float64]]] = {name: [] for name in tried}
    total = divisions * len(tried)
    for division in range(divisions):
        held = hold_out(part.pixels, first.noise, SHARE, random)
        seen = replace(part, pixels=held.seen, noise=held.noise)
        for number, name in enumerate(tried):
            yield Progress("choose", division * len(tried) + number, total)
            evidence[name].append(_blocks(held.evidence(draw(seen, name))))
    yield Progress("choose", total, total)
    return _decided({name: np.mean(found, axis=0) for name, found in evidence.items()})


def _unsplit(first: FirstFrame) -> str:
    """Say why no evidence can be held out, if so."""
    return "there is no noise" if first.silent else first.sharing


def _part(frame: Micrograph, summed: int) -> Micrograph:
    """Cut out a square with as much contrast as three quarters of all such squares have at most."""
    pixels = np.asarray(frame.pixels)
    side = min(*pixels.shape[:2], LARGEST_SIDE, GRID_SIDE * summed)
    corners = [(y, x) for y in _starts(pixels.shape[0], side) for x in _starts(pixels.shape[1], side)]
    smooth = ndimage.uniform_filter(pixels.astype(np.float32), max(4, summed), axes=(0, 1))
    contrast = [float(smooth[y : y + side, x : x + side].std()) for y, x in corners]
    y, x = corners[int(np.argsort(contrast)[round(0.75 * (len(corners) - 1))])]
    return replace(frame, pixels=pixels[y : y + side, x : x + side])


def _starts(length: int, side: int) -> list[int]:
    count = -(-2 * (length - side) // side) + 1
    return [int(start) for start in np.linspace(0, length - side, count).round()]


def _blocks(evidence: NDArray[Any]) -> NDArray[np.float64]:
    """Mean evidence of each block, nats per thousand pixels."""
    rows = np.array_split(evidence, BLOCKS, axis=0)
    return np.array([1e3 * block.mean() for row in rows for block in np.array_split(row, BLOCKS, axis=1)])


def _decided(evidence: dict[str, NDArray[np.float64]]) -> Choice:
    """Take the model with the most evidence; the first one, unless another is better by more than chance."""
    mean = {name: float(blocks.mean()) for name, blocks in evidence.items()}
    first, best = next(iter(mean)), max(mean, key=lambda name: mean[name])
    gain = evidence[best] - evidence[first]
    if mean[best] - mean[first] > SURE * float(gain.std(ddof=1)) / len(gain) ** 0.5 or best == first:
        second = max((name for name in mean if name != best), key=lambda name: mean[name])
        margin = mean[best] - mean[second]
        reason = f"{best}: held-out evidence is {margin:.3g} nats per thousand pixels above that of {second}."
    else:
        best, other = first, best
        reason = f"{first}, the most general model: held-out evidence does not tell it from {other}."
    return Choice(best, reason, {name: value - mean[best] for name, value in mean.items()})
