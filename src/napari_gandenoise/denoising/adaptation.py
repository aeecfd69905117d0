"""Adaptation: what a model is tuned to, whether the tuned one is used, and the small file that it can be kept in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from napari_gandenoise.denoising.direct import DirectEngine
from napari_gandenoise.denoising.frame import frame_steps
from napari_gandenoise.denoising.frames import Run
from napari_gandenoise.denoising.neighbours import brought
from napari_gandenoise.denoising.tuning import Seen, tune_steps
from napari_gandenoise.models import DirectModel, new_model_file, save_adapted
from napari_gandenoise.models.denoisers import gains_of
from napari_gandenoise.progress import Progress, Steps, drain
from napari_gandenoise.tiling import outside

__all__ = ["Adaptation", "adaptation_steps", "hindrance"]

LEARNT_FROM, JUDGED_BY = 4, 3  # frames, of a movie or of several images
FEWEST = 4  # frames of a movie that is held against itself: two to learn from, two to judge by

# A frame of a run, and the one after it, where noise that pixels share is to be told by that.
Place = tuple[Run, int, int | None]


@dataclass(frozen=True)
class Adaptation:
    """What became of a model that was tuned to images.

    Attributes
    ----------
    model : DirectModel
        The tuned one, or the one that came where held-out evidence is against the tuned one.
    base : DirectModel
        The one that came.
    steps : int
        Steps of Adam.
    change : float
        Of the squared error by tuning, as a share of it, as far as the held-out evidence says; below zero is better.
    error : float
        Standard error of that.
    images : tuple of str
        Names of the images.
    """

    model: DirectModel
    base: DirectModel
    steps: int
    change: float
    error: float
    images: tuple[str, ...] = ()

    @property
    def kept(self) -> bool:
        """Whether the model is the tuned one."""
        return self.model is not self.base

    def report(self) -> dict[str, Any]:
        """Return the figures, ready for JSON."""
        figures = {"steps": self.steps, "kept": self.kept, "change": self.change, "error": self.error}
        return {**figures, "images": list(self.images), "sentence": self.sentence()}

    def sentence(self) -> str:
        """Say what it brought, as far as anybody can tell without a truth."""
        judged = f"{100 * self.change:+.0f} ± {100 * self.error:.0f} % by held-out evidence"
        if self.kept:
            return f"adapted to the image in {self.steps} steps (squared error {judged})"
        return f"not adapted, since held-out evidence is against it (squared error {judged})"

    def save(self, path: str | PathLike[str], *, overwrite: bool = False) -> Path:
        """Write the gains to a small file that works wherever a model does, beside the model that they belong to.

        Parameters
        ----------
        path : path
            File to write, or a folder; it ends in ``.safetensors``.
        overwrite : bool
            Replace a file that exists.

        Raises
        ------
        GanDenoiseError
            If the file cannot be written.
        """
        target = Path(path)
        target = target / f"{self.base.name}-adapted.safetensors" if target.is_dir() else target
        names = ", ".join(self.images[:3]) + (f" and {len(self.images) - 3} more" if len(self.images) > 3 else "")
        about = f"{self.base.header.description.rstrip('.')}; adapted to {names or 'an image'}."
        save_adapted(new_model_file(target, overwrite=overwrite), self.model, self.base, about, self.report())
        return target


def hindrance(run: Run) -> str:
    """Say in a sentence why the model of a run cannot be adapted to its image; nothing if it can."""
    if not isinstance(run.model, DirectModel):
        return f"The model {run.model.name} is no direct denoiser: there is nothing to adapt."
    if not gains_of(run.model.network):
        return f"The model {run.model.name} has no normalisation whose gains could be adapted."
    if run.first.silent:
        return "There is no noise to learn from."
    if run.first.shared() and run.micrograph.frames < FEWEST:
        sharing = run.first.sharing[0].upper() + run.first.sharing[1:]
        return (
            f"{sharing}, so that no evidence can be held out to adapt a model by; a movie of {FEWEST} frames or more "
            "could be held against itself."
        )
    return ""


def adaptation_steps(runs: Sequence[Run], steps: int, *, shown: bool = False) -> Steps[Adaptation]:
    """Tune the model of runs to frames that stand for them all.

    Parameters
    ----------
    runs : sequence of Run
        Which have one direct model.
    steps : int
        Steps of Adam.
    shown : bool
        Whether a single image is first shown as the model cleans it without, for those who do not wait.

    Yields
    ------
    Progress
        Those of denoising a frame, if it is shown, and stage "adapt", in steps.
    """
    if shown and len(runs) == 1 and runs[0].micrograph.frames == 1:
        yield from _show_steps(runs[0], steps)
    learnt, judges = _representatives(runs)
    model = runs[0].model
    assert isinstance(model, DirectModel)
    tuned = yield from tune_steps(learnt, judges, steps, runs[0].config.seed)
    names = tuple(dict.fromkeys(run.micrograph.name for run in runs if run.micrograph.name))
    return Adaptation(model if tuned.worse else tuned.model, model, steps, tuned.change, tuned.error, names)


def _show_steps(run: Run, steps: int) -> Steps[None]:
    frame, units = run.counted(run.first.evidence)
    found = yield from run.in_units(frame_steps(run.engine, frame, run.residual_step), units, 0)
    yield run.event(Progress("adapt", 0, steps, outside(found.rate)), units, 0)


def _representatives(runs: Sequence[Run]) -> tuple[list[Seen], list[Seen]]:
    """Choose frames to learn from, and others to judge by if there are others."""
    places = [place for run in runs for place in _places(run)]
    spread = np.linspace(0, len(places) - 1, min(len(places), LEARNT_FROM + JUDGED_BY)).round().astype(int)
    chosen = [places[index] for index in np.unique(spread)]
    learnt, judges = (list(map(_seen, part)) for part in (chosen[::2], chosen[1::2]))
    found = [seen for seen in learnt if seen is not None]
    return found or [_first_seen(runs[0])], [seen for seen in judges if seen is not None]


def _places(run: Run) -> list[Place]:
    """List the frames of a run, or pairs of frames where pixels share their noise: frames do not."""
    if run.first.shared():
        return [(run, index, index + 1) for index in range(0, run.micrograph.frames - 1, 2)]
    return [(run, index, None) for index in range(run.micrograph.frames)]


def _seen(place: Place) -> Seen | None:
    run, index, after = place
    assert isinstance(run.engine, DirectEngine)
    if after is None:
        frame = run.electrons_of(index)
        return None if frame is None else Seen(run.engine, frame)
    own, other = (drain(run.glance(number)).look for number in (index, after))
    return None if own is None or other is None else Seen(run.engine, own.frame, brought(own, other))


def _first_seen(run: Run) -> Seen:
    """Return the frame that was found to say something."""
    assert isinstance(run.engine, DirectEngine)
    return Seen(run.engine, run.counted(run.first.evidence)[0])
