"""The verdict: whether a result explains the counts, keeps noise, or shows what they do not, and where."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from math import log10
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, stats

from napari_gandenoise.denoising.scales import Scale
from napari_gandenoise.residual import CELL, Support

__all__ = ["UNASKED", "Check", "Region", "Verdict", "judge", "of_all"]

Colour = Literal["green", "amber", "red", "grey"]
ORDER: tuple[Colour, ...] = ("grey", "green", "amber", "red")
Image = NDArray[Any]

FALSE = 0.01  # of frames whose result is right: how many a check that looks everywhere may call wrong
SURE = 2.0, 3.0  # standard errors of the contrast, of less of it than the counts show and of more: less is more common
LEAST_CONTRAST = 0.01  # share: less left out nobody sees
PEAK = 2.5  # mean powers of the residual's spectrum beyond what noise reaches in one frame of ten: in one of a hundred
# By how much the deviance of a good result may be below one: it has as much of its own noise as it has numbers to fit,
# about five of each column, and more of it a decade of electrons.  Half of that is the most that the bundled U-Net has
# on simulation seed 3 at 1.4 to 70 electrons a grid pixel, whose frames are crystals in part only.
KEPT, KEPT_A_DECADE = 0.09, 0.035
UNDER, OVER = 2.0, 4.0  # standard deviations of the deviance
UNIT_VARIANCE = 2.5  # of the deviance of a pixel, at most


@dataclass(frozen=True)
class Check:
    """One of the questions that a result is asked.

    Attributes
    ----------
    name : str
        "counts", "structure", "doubt" or "size".
    colour : str
        green: nothing against it; amber: look at it; red: wrong; grey: it could not be asked.
    value : float
        Its number.
    sentence : str
        What that means.
    """

    name: str
    colour: Colour
    value: float
    sentence: str


@dataclass(frozen=True)
class Region:
    """A part of a frame that is to be looked at.

    Attributes
    ----------
    frame : int
        From 0.
    kind : str
        "put in": the result shows structure that the counts do not; "left out": the other way round; "doubtful": half
        of the electrons show what the other half does not bear out.
    box : tuple of int
        Top, left, bottom and right, pixels.
    deviations : float
        By how many standard deviations of counting noise.
    """

    frame: int
    kind: str
    box: tuple[int, int, int, int]
    deviations: float


@dataclass(frozen=True)
class Verdict:
    """What the counts say of one result."""

    checks: tuple[Check, ...]
    regions: tuple[Region, ...] = ()

    @property
    def colour(self) -> Colour:
        """The worst of its checks."""
        return max((check.colour for check in self.checks), key=ORDER.index, default="grey")

    def sentence(self) -> str:
        """Say what is the matter, the worst first."""
        worst = [check for check in self.checks if check.colour == self.colour]
        if self.colour == "green":
            return "explains the counts"
        return "; ".join(check.sentence for check in worst)

    def report(self) -> dict[str, Any]:
        """Return all of it, ready for JSON."""
        checks = {check.name: {k: v for k, v in asdict(check).items() if k != "name"} for check in self.checks}
        return {"colour": self.colour, "sentence": self.sentence(), "checks": checks}


UNASKED = Verdict(())  # of what there is nothing to judge


def of_all(verdicts: Mapping[int, Verdict]) -> Verdict:
    """Put the verdicts on the frames of a movie, by their numbers, together: for each check that of the worst frame."""
    if len(verdicts) < 2:
        return next(iter(verdicts.values()), UNASKED)
    ordered = sorted(verdicts.items())
    regions = tuple(region for _, verdict in ordered for region in verdict.regions)
    checks = []
    for name in dict.fromkeys(check.name for _, verdict in ordered for check in verdict.checks):
        asked = [(n, check) for n, verdict in ordered for check in verdict.checks if check.name == name]
        number, worst = max(asked, key=lambda one: ORDER.index(one[1].colour))
        alike = sum(check.colour == worst.colour for _, check in asked)
        where = (
            ""
            if worst.colour == "green" or len(asked) == 1
            else f" (frame {number + 1}; {alike} of {len(verdicts)} frames like it)"
        )
        checks.append(replace(worst, sentence=worst.sentence + where))
    return Verdict(tuple(checks), regions)


def judge(
    frame: int,
    summed: int,
    deviance: float,
    mean: float,
    support: Support,
    doubt: Image | None,
    *,
    scale: Scale | None = None,
    size_nm: float | None = None,
    sharing: str = "",
) -> Verdict:
    """Judge the result of one frame.

    Parameters
    ----------
    frame : int
        Its number, from 0.
    summed : int
        Input pixels along a side of a grid pixel.
    deviance : float
        Reduced, of the whole frame.
    mean : float
        Electrons a grid pixel, with those that the read noise counts as.
    support : Support
        What the counts say of its structure.
    doubt : ndarray or None
        What half of the electrons say of what the other half shows, in cells.
    scale : Scale, optional
        The other pixel size that explains the counts best, if it was asked for.
    size_nm : float, optional
        The pixel size that was taken.
    sharing : str
        Which pixels share their noise, if any do, so that none of this means anything.
    """
    if sharing:
        sentence = f"not judged, since {sharing}"
        return Verdict((Check("counts", "grey", deviance, sentence),))
    misfit = support.misfit.cpu().numpy()
    limit = _limit(misfit.size)
    counts = _counts(deviance, mean, misfit.size * CELL**2)
    regions = list(_regions(frame, "put in", -misfit, limit, summed))
    if counts.colour != "amber":  # of noise that was kept the counts show more, too: that is no structure
        regions += _regions(frame, "left out", misfit, limit, summed)
    checks = [counts, _structure(support, regions, noisy=counts.colour == "amber")]
    if doubt is not None:
        doubtful = list(_regions(frame, "doubtful", -doubt, limit, summed))
        checks.append(_doubt(doubtful, float(-doubt.min())))
        regions += doubtful
    if scale is not None:
        checks.append(_size(scale, size_nm))
    return Verdict(tuple(checks), tuple(regions))


def _size(scale: Scale, size_nm: float | None) -> Check:
    if scale.is_better:
        other = (
            f"{scale.factor:.2g} times the size" if size_nm is None else f"about {1e3 * scale.factor * size_nm:.2g} pm"
        )
        said = f"the counts are better explained with pixels of {other}: check the pixel size"
        return Check("size", "amber", scale.deviations, said)
    return Check("size", "green", scale.deviations, "no other pixel size explains the counts better")


def _limit(cells: int) -> float:
    """Return the standard deviations that noise reaches somewhere among so many cells in one frame of a hundred."""
    return float(stats.norm.isf(FALSE / (4 * max(cells, 1))))  # measured: as many independent tries as that


def _counts(deviance: float, mean: float, pixels: int) -> Check:
    deviation = (UNIT_VARIANCE / max(pixels, 1)) ** 0.5
    lowest = 1 - KEPT - KEPT_A_DECADE * max(0.0, log10(max(mean, 1e-6))) - UNDER * deviation
    highest = 1 + OVER * deviation
    if deviance < lowest:
        kept = 100 * (1 - max(deviance, 0.0) ** 0.5)
        return Check("counts", "amber", deviance, f"keeps noise, about {kept:.0f} % of it")
    if deviance > highest:
        return Check("counts", "red", deviance, "does not fit the counts: structure is left, or the noise is another")
    return Check("counts", "green", deviance, "differs from the counts by as much as noise does")


def _structure(support: Support, regions: list[Region], *, noisy: bool) -> Check:
    put, left = ([region for region in regions if region.kind == kind] for kind in ("put in", "left out"))
    if put:
        worst = max(region.deviations for region in put)
        return Check("structure", "red", -worst, f"shows structure that the counts do not, in {_places(len(put))}")
    if left:
        worst = max(region.deviations for region in left)
        return Check("structure", "red", worst, f"leaves out structure that the counts show, in {_places(len(left))}")
    if noisy:
        return Check("structure", "grey", support.contrast, "cannot be told from the noise that was kept")
    if support.peak > PEAK:
        return Check("structure", "red", support.peak, "leaves out a lattice that the counts show")
    if support.contrast > max(SURE[0] * support.contrast_error, LEAST_CONTRAST):
        said = f"is smoother than the counts, which show {100 * support.contrast:.0f} % more contrast"
        return Check("structure", "amber", support.contrast, said)
    if support.contrast < -max(SURE[1] * support.contrast_error, LEAST_CONTRAST):
        said = f"shows {-100 * support.contrast:.0f} % more contrast than the counts do"
        return Check("structure", "amber", support.contrast, said)
    return Check("structure", "green", support.contrast, "shows the structure that the counts show")


def _doubt(doubtful: list[Region], most: float) -> Check:
    if doubtful:
        said = f"half of the electrons show what the others do not, in {_places(len(doubtful))}"
        return Check("doubt", "amber", most, said)
    return Check("doubt", "green", most, "either half of the electrons shows the same")


def _places(number: int) -> str:
    return "one place" if number == 1 else f"{number} places"


def _regions(frame: int, kind: str, deviations: Image, limit: float, summed: int) -> Iterable[Region]:
    """Yield the connected places where a map is beyond a limit."""
    labels, _ = ndimage.label(deviations > limit, np.ones((3, 3)))
    side = CELL * summed
    for number, (rows, columns) in enumerate(ndimage.find_objects(labels), 1):
        most = float(deviations[rows, columns][labels[rows, columns] == number].max())
        box = (rows.start * side, columns.start * side, rows.stop * side, columns.stop * side)
        yield Region(frame, kind, box, most)
