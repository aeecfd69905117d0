"""The main job without a window: denoise the sample micrograph, draw before and after, compare with the peers.

::

    python -m benchmarks.demo
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from napari_gandenoise.baselines import bm3d, oracle_bin, oracle_blur
from napari_gandenoise.cli import drain_with_bar
from napari_gandenoise.denoising import denoise_steps
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.evaluation import psnr
from napari_gandenoise.io import write_tiff
from napari_gandenoise.micrograph import Micrograph
from napari_gandenoise.simulate.samples import sample_micrograph, sample_truth

__all__ = ["main"]

PANEL = 480  # side of a panel in the figure, pixels
GAP = 12
TITLE = 34
BINS = range(2, 11)  # full sampling, the slowest, is never BM3D's best on an oversampled frame


def main(
    output: Annotated[Path, typer.Option(help="Folder for the two files.")] = Path("demo"),
    preset: Annotated[str, typer.Option(help="fast, balanced, thorough or paper.")] = "balanced",
    side: Annotated[int, typer.Option(help="Side of the centre that is used, pixels.")] = 1200,
) -> None:
    """Denoise, write, compare."""
    truth, noisy = (_centre(sample, side) for sample in (sample_truth(), sample_micrograph(seed=0)))
    result = drain_with_bar(denoise_steps(noisy, preset=preset))
    output.mkdir(parents=True, exist_ok=True)
    size = noisy.pixel_size_nm
    write_tiff(output / "denoised.tif", result.rate, pixel_size_nm=size, provenance=result.report, overwrite=True)
    _figure(noisy, result.rate, truth).save(output / "before_after.png")
    typer.echo("PSNR in dB, data range 1, rate in electrons per pixel:")
    for name, rate in _peers(noisy.pixels, truth.pixels):
        typer.echo(f"  {name:28s} {psnr(truth.pixels, rate):6.2f}")
    typer.echo(f"  {f'ours, {preset}':28s} {psnr(truth.pixels, result.rate):6.2f}")
    typer.echo(f"{result.summary()}; {result.report['seconds']:.1f} s")
    typer.echo(f"Written: {output / 'denoised.tif'}, {output / 'before_after.png'}")


def _centre(sample: Micrograph, side: int) -> Micrograph:
    edge = (sample.pixels.shape[0] - side) // 2
    return Micrograph.of(sample.pixels[edge : edge + side, edge : edge + side], pixel_size_nm=sample.pixel_size_nm)


def _peers(counts: NDArray[np.uint16], truth: NDArray[np.float32]) -> Iterator[tuple[str, NDArray[np.float32]]]:
    yield "noisy", counts.astype(np.float32)
    sigma, blurred = oracle_blur(counts, truth)
    yield f"Gaussian blur, best ({sigma:g} px)", blurred
    try:
        factor, rate = oracle_bin(bm3d, counts, truth, BINS)
    except GanDenoiseError as missing:
        typer.echo(f"  no BM3D row: {missing}")
    else:
        yield f"BM3D, best bin ({factor:g})", rate


def _figure(noisy: Micrograph, denoised: NDArray[np.float32], truth: Micrograph) -> Image.Image:
    """Noisy, denoised and truth side by side; the whole frame above, a piece of the surface below."""
    images = {"noisy counts": noisy.pixels.astype(np.float32), "denoised": denoised, "truth": truth.pixels}
    window = len(truth.pixels) // 4
    y, x = _surface(truth.pixels, window)
    page = Image.new("L", (3 * PANEL + 2 * GAP, TITLE + 2 * PANEL + GAP), 255)
    draw = ImageDraw.Draw(page)
    font = ImageFont.load_default(size=20)
    for column, (name, image) in enumerate(images.items()):
        left = column * (PANEL + GAP)
        draw.text((left + 4, 4), name, fill=0, font=font)
        for row, part in enumerate((image, image[y : y + window, x : x + window])):
            top = TITLE + row * (PANEL + GAP)
            page.paste(_panel(part, None if name == "noisy counts" else truth.pixels), (left, top))
            _scale_bar(draw, left, top, PANEL / (len(part) * truth.pixel_size_nm))
    return page


def _panel(part: NDArray[np.float32], reference: NDArray[np.float32] | None) -> Image.Image:
    """Resize to a panel, then map grey values by the percentiles of the reference, or of the panel itself."""
    resized = np.asarray(Image.fromarray(part).resize((PANEL, PANEL), Image.Resampling.BOX))
    low, high = np.percentile(resized if reference is None else reference, (0.5, 99.5))
    return Image.fromarray((255 * np.clip((resized - low) / max(high - low, 1e-6), 0, 1)).astype(np.uint8))


def _surface(image: NDArray[np.float32], window: int) -> tuple[int, int]:
    """Corner of the window with most variance beyond the lattice: where particle, support and vacuum meet."""
    smooth = ndimage.gaussian_filter(image, len(image) / 60)
    places = range(0, len(image) - window + 1, 20)
    return max(product(places, places), key=lambda c: smooth[c[0] : c[0] + window, c[1] : c[1] + window].var())


def _scale_bar(draw: ImageDraw.ImageDraw, left: int, top: int, pixels_per_nm: float) -> None:
    length_nm = max(nm for nm in (0.1, 0.2, 0.5, 1, 2, 5) if nm * pixels_per_nm < 0.4 * PANEL)
    start, end = left + 16, left + 16 + length_nm * pixels_per_nm
    base = top + PANEL - 16
    draw.rectangle((start - 8, base - 36, end + 8, base + 8), fill=0)
    draw.rectangle((start, base - 5, end, base), fill=255)
    draw.text((start, base - 34), f"{length_nm:g} nm", fill=255, font=ImageFont.load_default(size=20))


if __name__ == "__main__":
    typer.run(main)
