"""Direct models as packages of the BioImage Model Zoo, which other programs run without this one.

The network goes with what the road to it does: values become those that it was trained on, and back.  It is traced for
tiles of one size, since the Fourier shrinkage that a U-Net may start from has a number of windows that follows from it.
"""

from __future__ import annotations

import warnings
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from napari_gandenoise.errors import GanDenoiseError, in_short
from napari_gandenoise.models.bundled import load_model, new_model_file
from napari_gandenoise.models.file import DirectModel
from napari_gandenoise.models.standard import image_levels
from napari_gandenoise.writing import written_whole

if TYPE_CHECKING:
    from bioimageio.spec.model.v0_5 import ModelDescr

__all__ = ["OfValues", "export_bioimage"]

SUFFIX = ".zip"
SIDE, HALO = 256, 32  # of a tile, and of its rim that is cut off where tiles meet, pixels
SAME = 1e-5  # of the largest value: what two runs of one network may differ by
INPUTS, OUTPUT = ("image", "strength"), "denoised"
FEWEST = 1e-5  # mean electrons of a pixel: less is none

ABOUT = {
    "template": "Electrons in each pixel, as counted; Poisson noise",
    "absolute": "Values from black 0 to white 1",
    "standard": "Values of any unit",
}


class OfValues(nn.Module):
    """A denoiser of an image's own values: ``(1, C, H, W)`` in, ``(1, C, H, W)`` out."""

    def __init__(self, model: DirectModel) -> None:
        super().__init__()
        self.network = model.network
        self.intensity = model.header.intensity
        self.told = _is_told(model)

    def forward(self, image: Tensor, strength: Tensor | None = None) -> Tensor:
        """Clean an image; `strength` ``(1, 1, 1, 1)`` is the noise's standard deviation, in the image's unit."""
        zero, one = self._levels(image)
        if strength is not None:
            noise = strength / one
        elif self.intensity == "template":
            noise = one.rsqrt()  # counts of mean m have the standard deviation sqrt(m), relative to it 1 / sqrt(m)
        else:
            noise = torch.full_like(one, torch.nan)  # it finds out by itself
        cleaned: Tensor = self.network((image - zero) / one, noise, torch.zeros_like(one)) * one + zero
        return cleaned if self.intensity == "standard" else cleaned.clamp(min=0)

    def _levels(self, image: Tensor) -> tuple[Tensor, Tensor]:
        if self.intensity == "standard":
            return image_levels(image)
        mean = image.mean(dim=(1, 2, 3), keepdim=True)
        one = mean.clamp(min=FEWEST) if self.intensity == "template" else torch.ones_like(mean)
        return torch.zeros_like(mean), one


def _is_told(model: DirectModel) -> bool:
    """Whether the noise's strength must be given, since neither the counts nor the network tell it."""
    return "strength" in model.header.architecture.conditions and model.header.intensity != "template"


def export_bioimage(name: str | PathLike[str], path: str | PathLike[str], *, overwrite: bool = False) -> Path:
    """Write a direct model as a package of the BioImage Model Zoo, and run it from there once.

    Parameters
    ----------
    name : str or path
        A model as `load_model` takes it.
    path : path
        The file to write, ``.zip``, or a folder.
    overwrite : bool
        Replace a file that exists.

    Returns
    -------
    pathlib.Path
        The package: format 0.5 of the Zoo, weights as TorchScript for tiles of one size, computed on the CPU.

    Raises
    ------
    GanDenoiseError
        If bioimageio.spec is missing, the model is no direct denoiser, the file exists or cannot be written, or what
        was written does not give the same image as the model.
    """
    target, model = Path(path), load_model(name)
    if not isinstance(model, DirectModel):
        raise GanDenoiseError(
            f"{model.name} is a latent GAN, which the Zoo has no place for: choose a direct denoiser."
        )
    target = new_model_file(
        target / f"{model.name}{SUFFIX}" if target.is_dir() else target, overwrite=overwrite, suffix=SUFFIX
    )
    try:
        from bioimageio.spec import load_model_description, save_bioimageio_package
    except ImportError as missing:
        raise GanDenoiseError(
            "Packages for the Zoo need bioimageio.spec: pip install 'napari-gandenoise[bioimageio]'."
        ) from missing
    with TemporaryDirectory() as folder:
        package = save_bioimageio_package(_described(model, Path(folder)), output_path=Path(folder, "package.zip"))
        _check_runs(load_model_description(package, perform_io_checks=True), model)
        with written_whole(target, "try again") as temporary:
            temporary.write_bytes(package.read_bytes())
    return target


def _examples(model: DirectModel, seed: int = 0) -> list[Tensor]:
    """Return what the network is tried with: a noisy lattice, and the strength where it must be told."""
    side, channels = _side(model), model.channels
    generator = torch.Generator().manual_seed(seed)
    along = torch.arange(side) * 0.6
    rate = (2 + along.cos() + along.cos()[:, None]).expand(1, channels, -1, -1)
    counts = torch.poisson(rate, generator)
    if model.header.intensity != "absolute":
        return [counts, rate.mean().sqrt().view(1, 1, 1, 1)] if _is_told(model) else [counts]
    strength = torch.full((1, 1, 1, 1), sum(model.header.strength) / 2)
    values = (rate / rate.max() + strength * torch.randn(rate.shape, generator=generator)).clamp(0, 1)
    return [values, strength] if _is_told(model) else [values]


def _side(model: DirectModel) -> int:
    """Return the side of a tile: as `SIDE`, where a network takes any."""
    architecture = model.header.architecture
    return (
        model.size if architecture.kind == "autoencoder" else -(-SIDE // architecture.multiple) * architecture.multiple
    )


def _described(model: DirectModel, folder: Path) -> ModelDescr:
    """Write the files of a package and return its description."""
    from bioimageio.spec.common import FileDescr
    from bioimageio.spec.model import v0_5 as zoo

    given, network = _examples(model), OfValues(model).eval()
    with torch.no_grad():
        cleaned = network(*given)
        _traced(network, given).save(folder / "weights.pt")
    for name, tensor in {**dict(zip(INPUTS, given, strict=False)), OUTPUT: cleaned}.items():
        np.save(folder / f"{name}.npy", tensor.numpy())
    (folder / "README.md").write_text(_page(model), encoding="utf-8")
    header = model.header
    return zoo.ModelDescr(
        name="".join(letter if letter.isalnum() or letter in "_+- ()" else "-" for letter in f"{header.name} denoiser"),
        description=in_short(header.description, longest=500),
        documentation=FileDescr(source=folder / "README.md"),
        tags=["denoising", "electron-microscopy", "2d"],
        inputs=_inputs(model, folder),
        outputs=[
            zoo.OutputTensorDescr(
                id=zoo.TensorId(OUTPUT),
                axes=_axes(model, INPUTS[0]),
                test_tensor=FileDescr(source=folder / f"{OUTPUT}.npy"),
            )
        ],
        weights=zoo.WeightsDescr(
            torchscript=zoo.TorchscriptWeightsDescr(
                source=folder / "weights.pt", pytorch_version=zoo.Version(torch.__version__.split("+")[0])
            )
        ),
    )


def _traced(network: nn.Module, given: list[Tensor]) -> Any:
    """Write down what a network computes for tiles of one size."""
    with warnings.catch_warnings():
        # That sizes become constants is meant; that TorchScript grows old does not help where nothing else is read.
        warnings.simplefilter("ignore")
        return torch.jit.trace(network, tuple(given), check_trace=False)


def _inputs(model: DirectModel, folder: Path) -> list[Any]:
    """Describe what the network is given."""
    from bioimageio.spec.common import FileDescr
    from bioimageio.spec.model import v0_5 as zoo

    image = zoo.InputTensorDescr(
        id=zoo.TensorId("image"),
        description=ABOUT[model.header.intensity],
        axes=_axes(model),
        test_tensor=FileDescr(source=folder / "image.npy"),
    )
    if not _is_told(model):
        return [image]
    strength = zoo.InputTensorDescr(
        id=zoo.TensorId("strength"),
        description="Standard deviation of the noise, in the unit of the image",
        axes=[
            zoo.BatchAxis(size=1),
            zoo.ChannelAxis(channel_names=[zoo.Identifier("noise")]),
            *(zoo.IndexInputAxis(id=zoo.AxisId(name), size=1) for name in ("index", "j")),
        ],
        test_tensor=FileDescr(source=folder / "strength.npy"),
    )
    return [image, strength]


def _axes(model: DirectModel, after: str = "") -> list[Any]:
    """Describe the axes of a tile ``(1, C, Y, X)``; those of an output follow the tile that it came from."""
    from bioimageio.spec.model import v0_5 as zoo

    channels = [zoo.Identifier(f"channel{number}") for number in range(model.channels)]
    axes: list[Any] = [zoo.BatchAxis(size=1), zoo.ChannelAxis(channel_names=channels)]
    size = model.pixel_size_nm
    scale: dict[str, Any] = {"scale": size, "unit": "nanometer"} if size is not None else {}
    for name in ("y", "x"):
        axis, side = zoo.AxisId(name), _side(model)
        if not after:
            axes.append(zoo.SpaceInputAxis(id=axis, size=side, concatenable=True, **scale))
            continue
        followed = zoo.SizeReference(tensor_id=zoo.TensorId(after), axis_id=axis)
        halo = min(HALO, side // 4)
        axes.append(zoo.SpaceOutputAxisWithHalo(id=axis, size=followed, halo=halo, **scale))
    return axes


def _page(model: DirectModel) -> str:
    header = model.header
    size = "" if header.pixel_size_nm is None else f", {1e3 * header.pixel_size_nm:.3g} pm per pixel"
    figures = "\n".join(f"- {name}: {value:.4g}" for name, value in header.metrics.items())
    return f"""# {header.name}

{header.description}

Input: {ABOUT[header.intensity]}{size}. A tile is judged by itself. Compute on the CPU. Noise is taken to be
independent from pixel to pixel. From napari-gandenoise, which adds views, a residual step and a map of the misfit.

## Validation

{figures}

Compare the denoised image with the counts: what it draws must be borne out by them.
"""


def _check_runs(description: Any, model: DirectModel) -> None:
    """Run what was written on another tile than the one it was written with."""
    given = _examples(model, seed=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        written = torch.jit.load(description.weights.torchscript.get_reader(), map_location="cpu")
    with torch.no_grad():
        found, wanted = written(*given), OfValues(model).eval()(*given)
    if not torch.allclose(found, wanted, rtol=0, atol=SAME * float(wanted.abs().max())):
        raise GanDenoiseError(f"{model.name} gives another image as a package than here: report this as a bug.")
