"""The ways that a direct denoiser is shown a frame: turned, mirrored, on a shifted or on a coarser grid.

What a network makes of noise differs from view to view, what it makes of the specimen does not: the mean of the results
has less error than each (cycle spinning: Coifman, Donoho, "Translation-invariant de-noising" (1995), over all that
leaves counts counts).
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from napari_gandenoise.models import DirectModel
from napari_gandenoise.settings.denoise import DenoiseConfig, PresetName, SearchSettings
from napari_gandenoise.tiling import Frame, Grid, grid_counts
from napari_gandenoise.tiling.spline import through_means

__all__ = ["VIEWS", "View", "count_views", "views_of"]

# As many views as a preset looks at; measured by `benchmarks/direct.py`.
VIEWS: dict[PresetName, int] = {"fast": 1, "balanced": 4, "thorough": 16, "paper": 1}

WIDEST = 1.3  # a pixel of the coarser grid over one of the model's: the domain holds crystals of that scale, too


@dataclass(frozen=True)
class View:
    """One way to see a frame.

    Attributes
    ----------
    summed : int
        Input pixels along a side that are summed.
    shift : tuple of int
        Rows and columns by which the sums begin before the frame, input pixels.
    turns : int
        Quarter turns.
    mirrored : bool
        Whether the turned frame is mirrored along x.
    """

    summed: int = 1
    shift: tuple[int, int] = (0, 0)
    turns: int = 0
    mirrored: bool = False

    def sums(self, frame: Frame) -> tuple[Tensor, Tensor]:
        """Sum counts on this view's grid, as it lies; return sums ``(C, y, x)`` and input pixels ``(y, x)`` in each."""
        if self.shift == (0, 0):
            return frame.sums if self.summed == frame.grid.summed else _sums(frame, self.summed)
        down, right = self.shift
        seen = frame.exposure
        # Nobody looked at what lies before the frame.
        counts, seen = (functional.pad(part, (right, 0, down, 0)) for part in (frame.counts, seen))
        return grid_counts(counts, self.summed, seen)

    def fine(self, image: Tensor, frame: Frame) -> Tensor:
        """Bring an image ``(C, y, x)`` from this view's grid to the input's pixels, its means over pixels kept."""
        if self.summed == 1:
            return image
        (down, right), (height, width) = self.shift, frame.grid.shape
        return through_means(image, self.summed)[:, down : down + height, right : right + width]

    def turned(self, image: Tensor) -> Tensor:
        """Turn an image ``(C, Y, X)`` into this view."""
        image = image.rot90(self.turns, (1, 2)) if self.turns else image  # no turn would copy it, too
        return image.flip(2) if self.mirrored else image

    def turned_back(self, image: Tensor) -> Tensor:
        """Undo `turned`."""
        image = image.flip(2) if self.mirrored else image
        return image.rot90(-self.turns, (1, 2)) if self.turns else image


def _sums(frame: Frame, summed: int) -> tuple[Tensor, Tensor]:
    return grid_counts(frame.counts, summed, frame.exposed)


def count_views(model: DirectModel, config: SearchSettings) -> int:
    """Say how many views there will be: as many as wanted, else of a micrograph the preset's, of a photograph one."""
    if isinstance(config, DenoiseConfig) and config.views is not None:
        return config.views
    return 1 if model.header.intensity == "absolute" else VIEWS[config.preset]


def views_of(model: DirectModel, grid: Grid, count: int) -> list[View]:
    """List the views of a frame, the plain one first.

    Micrographs are turned and mirrored.  Of models with the intensity "template" every other pair of views has the sums
    one input pixel wider, where these are within the model's domain; half of each kind begin half a sum earlier.
    Photographs, which have an up and a down and whose pixels are not summed, are mirrored only, so that more than four
    views are four.  Models of any micrograph turn and mirror it, no more: its pixels may not be counts, so that eight
    views are all there are.
    """
    if model.header.intensity == "absolute":
        mirrors = [View(grid.summed, (0, 0), turns, mirrored) for turns in (0, 2) for mirrored in (False, True)]
        return mirrors[:count]
    if model.header.intensity == "standard":
        turned = [View(grid.summed, (0, 0), turns, mirrored) for mirrored in (False, True) for turns in (0, 2, 1, 3)]
        return turned[:count]
    coarser = grid.summed + (1 if (grid.summed + 1) / grid.ratio <= WIDEST else 0)
    views = []
    for number in range(count):
        # 0, 0, 1, 1, 0, 0, 1, 1 and, from the ninth on, the other way round: each orientation on both grids.
        coarse = bool(number >> 1 & 1) != bool(number >> 3 & 1)
        summed = coarser if coarse else grid.summed
        half, across = summed // 2, (number & 1) ^ (number >> 2 & 1)
        views.append(View(summed, (half * (number & 1), half * across), number % 4, bool(number >> 2 & 1)))
    return list(dict.fromkeys(views))
