"""Commands for images: denoise, adapt, columns, restore, recover, compare."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

from napari_gandenoise.manifest._palette import called_bare, run_on_image, validated
from napari_gandenoise.settings.columns import ColumnsConfig
from napari_gandenoise.settings.compare import CompareConfig
from napari_gandenoise.settings.denoise import DenoiseConfig
from napari_gandenoise.settings.recover import RecoverConfig
from napari_gandenoise.settings.restore import RestoreConfig

__all__ = ["adapt", "columns", "compare", "denoise", "recover", "restore"]


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
    if called_bare("Denoise", "image", image, output, config):
        return None
    from napari_gandenoise import denoising

    return run_on_image(denoising.denoise, DenoiseConfig, image, output, config, overwrite)


def adapt(
    images: Any = None, output: str | PathLike[str] | None = None, config: Any = None, *, overwrite: bool = False
) -> Any:
    """Adapt a model to images of one kind; called bare, as from the command palette, open the Denoise panel.

    Parameters
    ----------
    images : path, array, Micrograph, dask array or napari layer, or a list of them, optional
        ``(Y, X)`` or ``(T, Y, X)``.
    output : path, optional
        Model file to write, ``.safetensors``.
    config : DenoiseConfig or mapping, optional
        How they will be denoised: ``{"adapt_steps": 60, "pixel_size_nm": 0.0061}``.
    overwrite : bool
        Whether an existing file may be replaced.

    Returns
    -------
    Adaptation or None
        None if the panel was opened instead.

    Raises
    ------
    GanDenoiseError
        If an image, the settings or the output cannot be used, or nothing is given and there is no viewer.
    """
    if called_bare("Denoise", "image", images, output, config):
        return None
    from napari_gandenoise import denoising
    from napari_gandenoise.io import check_outputs
    from napari_gandenoise.models.bundled import SUFFIX

    if output is not None:
        several = images if isinstance(images, list | tuple) else [images]
        check_outputs([output], several, overwrite, "pass overwrite=True", suffixes=(SUFFIX,))
    adaptation = denoising.adapt(images, validated(DenoiseConfig, config))
    if output is not None:
        adaptation.save(output, overwrite=overwrite)
    return adaptation


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
    if called_bare("Restore", "image", image, output, config, mask):
        return None
    from napari_gandenoise import restoration

    return run_on_image(restoration.restore, RestoreConfig, image, output, config, overwrite, mask=mask)


def recover(
    image: Any = None,
    output: str | PathLike[str] | None = None,
    config: Any = None,
    *,
    mask: Any = None,
    overwrite: bool = False,
) -> Any:
    """Recover latents as published; called bare, as from the command palette, open the Compare panel.

    Parameters
    ----------
    image, output, mask, overwrite
        As for `restore`.
    config : RecoverConfig or mapping, optional
        Settings of the run: ``{"objective": "squared", "clipping": "stochastic", "model": "photographs-uniform"}``.

    Returns
    -------
    DenoiseResult, RestoreResult or None
        None if the panel, which has recovery among its methods, was opened instead.

    Raises
    ------
    GanDenoiseError
        If the image, the mask, the settings or the output cannot be used, or nothing is given and there is no viewer.
    """
    if called_bare("Compare", "image", image, output, config, mask):
        return None
    from napari_gandenoise import recovery

    return run_on_image(recovery.recover, RecoverConfig, image, output, config, overwrite, mask=mask)


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
    if called_bare("Compare", "image", image, output, config, truth, copies):
        return None
    from napari_gandenoise import comparison

    settings = validated(CompareConfig, config)
    if output is not None:
        comparison.check_folder(Path(output), overwrite, settings.methods, [image, truth, copies])
        comparison.check_images_space(Path(output), image, settings.methods)
    result = comparison.compare(image, settings, truth=truth, copies=copies)
    if output is not None:
        result.write(output, overwrite=overwrite)
    return result


def columns(
    image: Any = None,
    output: str | PathLike[str] | None = None,
    config: Any = None,
    *,
    denoised: Any = None,
    overwrite: bool = False,
) -> Any:
    """Find the atom columns of an image; called bare, as from the command palette, open the Columns panel.

    Parameters
    ----------
    image : DenoiseResult, path, array, Micrograph, dask array or napari layer, optional
        ``(Y, X)`` or ``(T, Y, X)``, noisy, or the result of denoising it.
    output : path, optional
        CSV or Parquet file for the table.
    config : ColumnsConfig or mapping, optional
        Settings of the run: ``{"contrast": "dark", "pixel_size_nm": 0.0061}``.
    denoised : path, array, Micrograph or napari layer, optional
        The denoised image, if there is one already.
    overwrite : bool
        Whether an existing file may be replaced.

    Returns
    -------
    ColumnsResult or None
        None if the panel was opened instead.

    Raises
    ------
    GanDenoiseError
        If the image, the settings or the output cannot be used, or nothing is given and there is no viewer.
    """
    if called_bare("Columns", "image", image, output, config, denoised):
        return None
    from napari_gandenoise import locating

    if output is not None:
        locating.check_table(Path(output), [image, denoised], overwrite)
    result = locating.columns(image, validated(ColumnsConfig, config), denoised=denoised)
    if output is not None:
        result.write(output, overwrite=overwrite)
    return result
