"""The results of a job, to look at: they stay on the disk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from napari_gandenoise.batching.ledger import Standing, config_in, read_ledger
from napari_gandenoise.batching.outputs import product_path
from napari_gandenoise.io import read_micrograph
from napari_gandenoise.micrograph import Micrograph

__all__ = ["Pair", "open_results", "pairs_of"]


@dataclass(frozen=True, slots=True)
class Pair:
    """A file of a job and what becomes of it.

    Attributes
    ----------
    name : str
        That of its results.
    source : Path
        The file.
    result : Path or None
        The first of its results; None if it belongs to no job.
    product : str
        What that is: "denoised", "inpainted".
    standing : Standing
        How far it is.
    image : str or None
        Which of several images in the file.
    """

    name: str
    source: Path
    result: Path | None = None
    product: str = ""
    standing: Standing = field(default_factory=Standing)
    image: str | None = None


def pairs_of(folder: Path) -> list[Pair]:
    """List the files of a job with their results, in the order of its inputs.

    Parameters
    ----------
    folder : Path
        Output folder of the job.

    Raises
    ------
    GanDenoiseError
        If there is no job.
    """
    head, files = read_ledger(folder)
    config = config_in(head, folder)
    return [
        Pair(
            name,
            Path(head["files"][name]),
            product_path(folder, name, config.products[0], config.format),
            config.products[0],
            state.standing(),
            config.settings.image,
        )
        for name, state in files.items()
    ]


def open_results(folder: Path | str) -> Iterator[Micrograph]:
    """Open the results of a job that are whole, one after the other.

    Parameters
    ----------
    folder : path
        Output folder of the job.

    Returns
    -------
    iterator of Micrograph
        One for each input, in their order; the frames of movies stay on the disk until they are asked for.

    Raises
    ------
    GanDenoiseError
        If there is no job.
    """
    whole = [pair.result for pair in pairs_of(Path(folder)) if pair.standing.whole and pair.result is not None]
    # One by one: of thousands each would keep a file open.
    return (read_micrograph(path, lazy=True) for path in whole)
