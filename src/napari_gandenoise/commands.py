"""Commands that napari's plugin manifest offers: to the command palette, to menus and to scripts without a window."""

from __future__ import annotations

import sys
from os import PathLike
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.micrograph import Micrograph
from napari_gandenoise.simulate.samples import sample_micrograph, sample_movie, sample_truth

__all__ = [
    "batch_denoise",
    "batch_restore",
    "compare",
    "denoise",
    "get_reader",
    "open_micrograph",
    "open_movie",
    "restore",
    "simulate",
    "train",
]

LayerData = tuple[Any, dict[str, Any], str]


# napari's palette fills in what a signature asks for and calls **keywords wrongly, so the settings are one argument.
def denoise(
    image: Any = None, output: str | PathLike[str] | None = None, config: Any = None, *, overwrite: bool = False
) -> Any:
    """Denoise an image; called bare, as from the command palette, open the Denoise panel.

    Parameters
    ----------
    image : path, array, Micrograph, dask array or napari layer, optional
        ``(Y, X)``, ``(T, Y, X)`` or ``(Y, X, C)``.
    output : path, optional
        TIFF file for the result, float32 in the input's units.
    config : DenoiseConfig or mapping, optional
        Settings of the run: ``{"preset": "fast", "pixel_size_nm": 0.0061}``.
    overwrite : bool
        Whether an existing file may be replaced.

    Returns
    -------
    DenoiseResult or None
        None if the panel was opened instead.

    Raises
    ------
    GanDenoiseError
        If the image, the settings or the output cannot be used, or nothing is given and there is no viewer.
    """
    if image is None:
        if output is not None or config is not None:
            raise GanDenoiseError("Settings were given but no image: pass the image, or call the command bare.")
        _open_panel("Denoise", "image")
        return None
    from napari_gandenoise import denoising

    _check_output(output, overwrite)
    settings = _validated(denoising.DenoiseConfig, config)
    result = denoising.denoise(image, settings)
    if output is not None:
        _write(output, result, result.rate, overwrite)
    return result


def restore(
    image: Any = None,
    output: str | PathLike[str] | None = None,
    config: Any = None,
    *,
    mask: Any = None,
    overwrite: bool = False,
) -> Any:
    """Restore an image; called bare, as from the command palette, open the Restore panel.

    Parameters
    ----------
    image : path, array, Micrograph, dask array or napari layer, optional
        ``(Y, X)`` or ``(Y, X, C)``.
    output : path, optional
        TIFF file for the result, float32 in the input's units.
    config : RestoreConfig or mapping, optional
        Settings of the run: ``{"task": "super-resolve", "factor": 4, "model": "photographs"}``.
    mask : path, array or napari layer, optional
        ``(Y, X)``, to inpaint: what is not zero is missing.
    overwrite : bool
        Whether an existing file may be replaced.

    Returns
    -------
    RestoreResult or None
        None if the panel was opened instead.

    Raises
    ------
    GanDenoiseError
        If the image, the mask, the settings or the output cannot be used, or nothing is given and there is no viewer.
    """
    if image is None:
        if output is not None or config is not None or mask is not None:
            raise GanDenoiseError("Settings were given but no image: pass the image, or call the command bare.")
        _open_panel("Restore", "image")
        return None
    from napari_gandenoise import restoration

    _check_output(output, overwrite)
    result = restoration.restore(image, _validated(restoration.RestoreConfig, config), mask=mask)
    if output is not None:
        _write(output, result, result.image, overwrite)
    return result


def compare(
    image: Any = None,
    output: str | PathLike[str] | None = None,
    config: Any = None,
    *,
    truth: Any = None,
    copies: Any = None,
    overwrite: bool = False,
) -> Any:
    """Compare denoisers on an image; called bare, as from the command palette, open the Compare panel.

    Parameters
    ----------
    image : path, array, Micrograph, dask array or napari layer, optional
        ``(Y, X)`` or ``(Y, X, C)``.
    output : path, optional
        Folder for the table, the figure and a TIFF of each method.
    config : CompareConfig or mapping, optional
        Settings of the run: ``{"methods": ["bm3d", "gan"], "preset": "fast"}``.
    truth, copies : path, array, Micrograph or napari layer, optional
        The rate; other noisy images of the same view.
    overwrite : bool
        Whether an earlier comparison in the folder may be replaced.

    Returns
    -------
    CompareResult or None
        None if the panel was opened instead.

    Raises
    ------
    GanDenoiseError
        If the image, the truth, the settings or the output cannot be used, or nothing is given and there is no viewer.
    """
    if image is None:
        if any(given is not None for given in (output, config, truth, copies)):
            raise GanDenoiseError("Settings were given but no image: pass the image, or call the command bare.")
        _open_panel("Compare", "image")
        return None
    from napari_gandenoise import comparison

    settings = _validated(comparison.CompareConfig, config)
    if output is not None:
        comparison.check_folder(Path(output), overwrite)
    result = comparison.compare(image, settings, truth=truth, copies=copies)
    if output is not None:
        result.write(output, overwrite=overwrite)
    return result


def batch_denoise(
    inputs: Any = None,
    output: str | PathLike[str] | None = None,
    config: Any = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
    workers: int = 0,
    scheduler: str | None = None,
) -> Any:
    """Denoise many images and movies; called bare, as from the command palette, open the Batch panel.

    Parameters
    ----------
    inputs : path, pattern, folder or sequence of them, optional
        What to denoise; not needed to resume.
    output : path, optional
        Folder for the results and the ledger.
    config : BatchConfig, DenoiseConfig or mapping, optional
        Settings of the job, or of denoising alone: ``{"settings": {"preset": "fast"}, "fit_map": True}``.
    resume, overwrite, workers, scheduler
        As for `napari_gandenoise.batch`.

    Returns
    -------
    BatchResult or None
        None if the panel was opened instead.

    Raises
    ------
    GanDenoiseError
        If the inputs, the settings or the output cannot be used, or nothing is given and there is no viewer.
    """
    return _batch("denoise", inputs, output, config, resume, overwrite, workers, scheduler)


def batch_restore(
    inputs: Any = None,
    output: str | PathLike[str] | None = None,
    config: Any = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
    workers: int = 0,
    scheduler: str | None = None,
) -> Any:
    """Restore many images and movies; called bare, as from the command palette, open the Batch panel.

    Parameters
    ----------
    inputs : path, pattern, folder or sequence of them, optional
        What to restore; not needed to resume.
    output : path, optional
        Folder for the results and the ledger.
    config : BatchConfig, RestoreConfig or mapping, optional
        Settings of the job, or of restoration alone: ``{"settings": {"task": "inpaint"}, "mask": "mask.tif"}``.
    resume, overwrite, workers, scheduler
        As for `napari_gandenoise.batch`.

    Returns
    -------
    BatchResult or None
        None if the panel was opened instead.

    Raises
    ------
    GanDenoiseError
        If the inputs, the settings or the output cannot be used, or nothing is given and there is no viewer.
    """
    return _batch("restore", inputs, output, config, resume, overwrite, workers, scheduler)


def _batch(
    job: str,
    inputs: Any,
    output: str | PathLike[str] | None,
    config: Any,
    resume: bool,
    overwrite: bool,
    workers: int,
    scheduler: str | None,
) -> Any:
    if inputs is None and output is None and config is None:
        if resume or overwrite or workers or scheduler:
            raise GanDenoiseError(
                "Options were given but no inputs and no output: pass them, or call the command bare."
            )
        _open_panel("Batch", "input")
        return None
    from napari_gandenoise import batching, denoising, restoration

    given = {"inputs": inputs, "output": output}
    fields: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if not (resume and fields.keys() == {"output"} and config is None):
        if isinstance(config, denoising.DenoiseConfig | restoration.RestoreConfig):
            config = {"settings": config}
        elif isinstance(config, batching.BatchConfig):
            config = config.model_dump()
        fields = {"job": job, **(config or {}), **fields}
    return batching.batch(resume=resume, overwrite=overwrite, workers=workers, scheduler=scheduler, **fields)


def simulate(config: Any = None, output: str | PathLike[str] | None = None, dose: float | None = None) -> Any:
    """Simulate HRTEM images; called bare, as from the command palette, open the Simulate panel.

    Parameters
    ----------
    config : SimulationConfig or mapping, optional
        The ranges to draw from: ``{"shape": 400, "structure": {"metals": ["Au"]}}``; ``{}`` for the defaults.
    output : path, optional
        Zarr group: write a set of clean images there.  Without it, one micrograph is made.
    dose : float, optional
        Electrons per pixel in vacuum, of one micrograph.

    Returns
    -------
    SimulatedMicrograph, pathlib.Path or None
        The micrograph, or the path of the set, or None if the panel was opened instead.

    Raises
    ------
    GanDenoiseError
        If the settings or the output cannot be used, or nothing is given and there is no viewer.
    """
    if config is None:
        if output is not None or dose is not None:
            raise GanDenoiseError("No config was given: pass one ({} for the defaults), or call the command bare.")
        _open_panel("Simulate", "config")
        return None
    from napari_gandenoise.progress import drain
    from napari_gandenoise.simulate import SimulationConfig, missing_extra, simulate_micrograph, simulate_steps

    if missing := missing_extra():
        raise GanDenoiseError(missing)
    settings = _validated(SimulationConfig, config)
    if output is None:
        return simulate_micrograph(settings) if dose is None else simulate_micrograph(settings, dose)
    if dose is not None:
        raise GanDenoiseError("A set holds clean images: leave out the dose, or leave out the output.")
    return drain(simulate_steps(settings, Path(output)))


def train(config: Any = None, *, resume: bool = False) -> Path | None:
    """Train a model; called bare, as from the command palette, open the Train panel.

    Parameters
    ----------
    config : TrainConfig, DirectTrainConfig or mapping, optional
        Settings of the run: ``{"name": "gold", "data": {"kind": "simulated", "path": "gold.zarr"}, "output": "runs"}``.
    resume : bool
        Whether to go on from the last checkpoint in the output folder.

    Returns
    -------
    pathlib.Path or None
        The model file, or None if the panel was opened instead.

    Raises
    ------
    GanDenoiseError
        If the settings or the data cannot be used, or nothing is given and there is no viewer.
    """
    if config is None:
        if resume:
            raise GanDenoiseError("No config was given: pass that of the run to resume, or call the command bare.")
        _open_panel("Train", "config")
        return None
    from napari_gandenoise.progress import drain
    from napari_gandenoise.training import DirectTrainConfig, TrainConfig, read_training, train_steps

    ready = isinstance(config, TrainConfig | DirectTrainConfig)
    return drain(train_steps(config if ready else read_training(config), resume))


def _validated(kind: Any, config: Any) -> Any:
    try:
        return kind.model_validate(config or {})
    except ValidationError as error:
        raise GanDenoiseError.from_validation(error) from None


def _check_output(output: str | PathLike[str] | None, overwrite: bool) -> None:
    if output is not None and Path(output).exists() and not overwrite:
        raise GanDenoiseError(f"{output} exists already: choose another name or pass overwrite=True.")


def _write(output: str | PathLike[str], result: Any, pixels: Any, overwrite: bool) -> None:
    from napari_gandenoise.io import write_tiff

    write_tiff(
        Path(output),
        pixels,
        pixel_size_nm=result.pixel_size_nm,
        axes=result.axes,
        provenance=result.report,
        overwrite=overwrite,
    )


def _open_panel(name: str, wanted: str) -> None:
    # A palette can only call this from a running napari, so it is there to be found; importing it is for widgets.
    napari = sys.modules.get("napari")
    viewer = napari.current_viewer() if napari is not None else None
    if viewer is None:
        raise GanDenoiseError(f"No {wanted} was given and no napari viewer is open: pass one or open the viewer.")
    dock, _ = viewer.window.add_plugin_dock_widget("napari-gandenoise", name)
    dock.show()
    dock.raise_()


def get_reader(path: str | list[str] | None = None) -> Any:
    """Return napari's function to read a file, lazily and with its pixel size; None for several files at once.

    Raises
    ------
    GanDenoiseError
        If it is called bare, as from the command palette.
    """
    if path is None:
        raise GanDenoiseError("Files of microscopes open with File ▸ Open File(s)…, or when they are dropped here.")
    return _read_layers if isinstance(path, str) else None


def _read_layers(path: str) -> list[LayerData]:
    from napari_gandenoise.io import read_micrograph

    return [read_micrograph(path, lazy=True).to_layer_data()]


def open_micrograph() -> list[LayerData]:
    """Sample micrograph for napari's *Open Sample*: its truth, hidden, below the electron counts."""
    return [_layer(sample_truth(), visible=False), _layer(sample_micrograph())]


def open_movie() -> list[LayerData]:
    """Sample movie for napari's *Open Sample*: its truth, hidden, below the electron counts."""
    noisy, truth = sample_movie()
    return [_layer(truth, visible=False), _layer(noisy)]


def _layer(micrograph: Micrograph, *, visible: bool = True) -> LayerData:
    """Return layer data whose contrast shows single counts."""
    top = float(micrograph.pixels.max())
    data, options, kind = micrograph.to_layer_data()
    options |= {
        "axis_labels": ("t",) * micrograph.is_stack + ("y", "x"),
        "visible": visible,
        # Single counts are what there is to see in the noisy image, not the rare pixel with six.
        "contrast_limits": (0.0, top if top < 1 else 3.0),
    }
    return data, options, kind
