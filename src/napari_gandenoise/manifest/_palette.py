"""What all commands do when the palette calls them bare, and with the settings that a script passes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from napari_gandenoise.errors import GanDenoiseError

__all__ = ["called_bare", "run_on_image", "validated"]


def called_bare(panel: str, wanted: str, given: Any, *others: Any) -> bool:
    """Open a panel of the running napari if a command was called with nothing.

    Parameters
    ----------
    panel : str
        Name of the panel.
    wanted : str
        What the command cannot do without.
    given : object
        That, or None.
    *others : object
        All else; None, False and 0 are as good as not given.

    Returns
    -------
    bool
        Whether there is nothing else to do.

    Raises
    ------
    GanDenoiseError
        If something was given but not what is wanted, or there is no viewer.
    """
    if given is not None:
        return False
    if any(other is not None and not (isinstance(other, int) and other == 0) for other in others):
        raise GanDenoiseError(f"Settings were given but no {wanted}: pass the {wanted}, or call the command bare.")
    # A palette can only call this from a running napari, so it is there to be found; importing it is for widgets.
    napari = sys.modules.get("napari")
    viewer = napari.current_viewer() if napari is not None else None
    if viewer is None:
        raise GanDenoiseError(f"No {wanted} was given and no napari viewer is open: pass one or open the viewer.")
    _, bench = viewer.window.add_plugin_dock_widget("napari-gandenoise", "GAN denoise")
    bench.open(panel)
    return True


def validated(kind: Any, config: Any) -> Any:
    """Make the config that a mapping describes."""
    try:
        return kind.model_validate({} if config is None else config)
    except ValidationError as error:
        raise GanDenoiseError.from_validation(error) from None


def run_on_image(
    job: Callable[..., Any], kind: Any, image: Any, output: Any, config: Any, overwrite: bool, **more: Any
) -> Any:
    """Denoise, restore or recover an image, and write the result if there is where to."""
    from napari_gandenoise.io import check_outputs, check_space, read_micrograph, write_result

    outputs = [] if output is None else [output]
    check_outputs(outputs, [image, *more.values()], overwrite, "pass overwrite=True")
    settings = validated(kind, config)
    if isinstance(image, str | PathLike):
        image = read_micrograph(Path(image), image=settings.image, lazy=True)
    check_space(map(Path, outputs), image, getattr(settings, "finer", 1))
    result = job(image, settings, **more)
    for path in outputs:
        write_result(path, result, overwrite=overwrite)
    return result
