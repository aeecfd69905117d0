"""What a GPU makes of it: frames per second, memory, the same bits again, and what precision and layout bring.

Sized for minutes on one GPU; without one it runs on the processor, on small images, and says so.  Seconds are wall time
with the transfer there and back.

::

    python -m benchmarks.gpu
    python -m benchmarks.gpu --quick    # a minute, on any machine
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.memory import peak_gb
from benchmarks.record import RESULTS, write_result

__all__ = ["main"]

SIDE, QUICK_SIDE = 1200, 96  # pixels of a frame
FRAMES, QUICK_FRAMES = 32, 2
BATCH, QUICK_BATCH = 16, 1  # images in a pass, where layouts and precisions are compared
REPEATS, QUICK_REPEATS = 20, 1
FULL = 0.02  # of the GPU's memory is left to a run that must get by
CLOSE = 0.01  # dB that half precision may cost


def sample_frames(side: int, count: int) -> tuple[NDArray[np.uint16], NDArray[np.float32], float]:
    """Draw frames ``(T, Y, X)`` of the sample's centre; return them, their truth and the pixel size, nm."""
    from napari_gandenoise.simulate.samples import sample_micrograph, sample_truth

    truth = sample_truth()
    edge = (len(truth.pixels) - side) // 2
    rate = truth.pixels[edge : edge + side, edge : edge + side]
    random = np.random.default_rng(0)
    size = sample_micrograph().pixel_size_nm
    assert size is not None
    return np.stack([random.poisson(rate).astype(np.uint16) for _ in range(count)]), rate, size


def jobs(frames: NDArray[np.uint16], size: float, device: str) -> dict[str, tuple[int, Callable[[], Any]]]:
    """Return what is timed, by name: frames in a run, and the run, which returns an array."""
    from napari_gandenoise.denoising import denoise
    from napari_gandenoise.models import load_model
    from napari_gandenoise.settings.noise import Poisson

    def main_road(images: NDArray[np.uint16], **settings: Any) -> Callable[[], NDArray[np.float32]]:
        own = {"model": "hrtem-unet", "neighbours": 0, "device": device, "pixel_size_nm": size, "noise": Poisson()}
        return lambda: denoise(images, **(own | settings)).rate

    generator = load_model("hrtem").to(torch.device(device))

    def draws() -> NDArray[np.float32]:
        latents = generator.draw_latents((len(frames) * 64,), torch.Generator().manual_seed(0)).to(device)
        with torch.no_grad():
            return generator.render(latents).cpu().numpy()

    one, few = frames[0], frames[: max(1, len(frames) // 8)]
    return {
        "U-Net alone, one view": (len(frames), lambda: network_alone(frames, size, device)),
        "U-Net, one view": (len(frames), main_road(frames, views=1)),
        "U-Net, 8 views": (len(few), main_road(few, views=8)),
        "movie, 2 neighbours on each side": (len(few) + 1, main_road(frames[: len(few) + 1], views=1, neighbours=2)),
        "latent search, fast": (1, main_road(one, model="hrtem", preset="fast")),
        "uncertainty by 2 replicates": (1, main_road(one, views=1, replicates=2)),
        "templates of the latent model, 64 a frame": (len(frames), draws),
    }


def network_alone(frames: NDArray[np.uint16], size: float, device: str) -> NDArray[np.float32]:
    """Clean frames one by one: counts to the device, summed, cleaned in one view, rates on the grid back."""
    from napari_gandenoise.models import DirectModel, load_model

    model = load_model("hrtem-unet").to(torch.device(device))
    assert isinstance(model, DirectModel)
    return np.stack([model.clean(*given(model, frame, size, device)).cpu().numpy() for frame in frames])


def given(model: Any, frame: NDArray[np.uint16], size: float, device: str) -> tuple[Tensor, Tensor, Tensor]:
    """Bring a frame to a device as a network sees it: summed, relative to its mean, with the strength of its noise."""
    side = max(1, round(model.pixel_size_nm / size))
    step = side * model.header.architecture.multiple
    height, width = (extent // step * step for extent in frame.shape)
    counts = torch.from_numpy(frame[:height, :width].astype(np.float32)).to(device)
    sums = counts.view(1, 1, height // side, side, width // side, side).sum(dim=(3, 5))
    mean = sums.mean(dim=(1, 2, 3), keepdim=True)
    return sums / mean, mean.rsqrt(), torch.zeros_like(mean)


def rows_of_jobs(frames: NDArray[np.uint16], size: float, device: str, repeats: int) -> Iterator[dict[str, Any]]:
    """Time the jobs, after a run that warms up; and see whether the same bits come again."""
    for name, (count, run) in jobs(frames, size, device).items():
        first = run()
        forget_peak(device)
        seconds = []
        for _ in range(min(3, repeats)):
            started = time.perf_counter()
            again = run()
            seconds.append(time.perf_counter() - started)
        frame = min(seconds) / count
        yield {
            "job": name,
            "frames": count,
            "seconds a frame": frame,
            "frames/s": 1 / frame,
            "peak GB": peak(device),
            "same bits": bool(np.array_equal(first, again)),
        }
        if device == "cuda" and name == "U-Net, 8 views":
            yield crowded(name, count, run, first, device)


def crowded(name: str, count: int, run: Callable[[], Any], wanted: NDArray[Any], device: str) -> dict[str, Any]:
    """Run a job where hardly any memory is left: it must end with the same image."""
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(FULL)
    forget_peak(device)
    try:
        started = time.perf_counter()
        found = run()
        frame = (time.perf_counter() - started) / count
        same = bool(np.allclose(found, wanted, rtol=0, atol=1e-2 * wanted.max()))
        row = {"seconds a frame": frame, "frames/s": 1 / frame, "peak GB": peak(device), "same bits": same}
    except RuntimeError as error:
        row = {"note": str(error).splitlines()[0]}
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    return {"job": f"{name}, in {100 * FULL:g} % of the memory", "frames": count, **row}


def forget_peak(device: str) -> None:
    """Begin to look for the most memory anew."""
    if device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()


def peak(device: str) -> float:
    """Return the most memory of the GPU since then, or of the process, GB."""
    return torch.cuda.max_memory_allocated() / 1e9 if device == "cuda" else peak_gb()


class Variant:
    """A way to compute the same network: its layout, its precision, compiled or not."""

    def __init__(
        self, layout: torch.memory_format, precision: torch.dtype | None = None, compiled: bool = False
    ) -> None:
        self.layout, self.precision, self.compiled = layout, precision, compiled

    def network(self, network: torch.nn.Module) -> Callable[..., Tensor]:
        """Return a copy of a network that is computed in this way."""
        own = deepcopy(network).to(memory_format=self.layout)  # type: ignore[call-overload]
        return torch.compile(own) if self.compiled else own

    def context(self, device: str) -> AbstractContextManager[Any]:
        """Return the context of a pass."""
        return torch.autocast(device, dtype=self.precision) if self.precision is not None else nullcontext()


PLAIN, LAST = torch.contiguous_format, torch.channels_last
VARIANTS = {
    "single precision": Variant(PLAIN),
    "channels last": Variant(LAST),
    "bfloat16": Variant(PLAIN, torch.bfloat16),
    "bfloat16, channels last": Variant(LAST, torch.bfloat16),
    "float16, channels last": Variant(LAST, torch.float16),
    "compiled": Variant(PLAIN, compiled=True),
    "compiled, bfloat16, channels last": Variant(LAST, torch.bfloat16, compiled=True),
}


@torch.no_grad()
def rows_of_variants(
    frames: NDArray[np.uint16], truth: NDArray[np.float32], size: float, device: str, batch: int, repeats: int
) -> Iterator[dict[str, Any]]:
    """Time passes of the bundled U-Net in every way, and what each costs in PSNR on the grid."""
    from napari_gandenoise.models import DirectModel, load_model

    model = load_model("hrtem-unet").to(torch.device(device))
    assert isinstance(model, DirectModel)
    seen, strength, grain = given(model, frames[0], size, device)
    clean = given(model, truth, size, device)[0]
    told = [part.expand(batch, *part.shape[1:]).contiguous() for part in (seen, strength, grain)]
    plain: dict[str, float] = {}
    for name, variant in VARIANTS.items():
        if variant.compiled and device == "cpu":
            yield {"computed in": name, "note": "tried on a GPU alone: compiling takes minutes"}
            continue
        try:
            row = one_variant(variant, model.network, told, clean, device, repeats)
        except Exception as error:  # a compiler that is not there fails in many ways
            yield {"computed in": name, "note": f"{type(error).__name__}: {str(error).splitlines()[0][:80]}"}
            continue
        plain = plain or row
        yield {
            "computed in": name,
            "images/s": batch / row["seconds"],
            "of single precision": plain["seconds"] / row["seconds"],
            "PSNR difference, dB": row["PSNR"] - plain["PSNR"],
            "within 0.01 dB": abs(row["PSNR"] - plain["PSNR"]) <= CLOSE,
            "first pass, s": row["first"],
            "peak GB": row["peak"],
        }


def one_variant(
    variant: Variant, network: torch.nn.Module, told: list[Tensor], clean: Tensor, device: str, repeats: int
) -> dict[str, float]:
    """Time one way to compute."""
    own = variant.network(network)
    forget_peak(device)

    def run() -> Tensor:
        with variant.context(device):
            return own(*told)

    started = time.perf_counter()
    cleaned = run()
    settle(device)
    first = time.perf_counter() - started
    started = time.perf_counter()
    for _ in range(repeats):
        run()
    settle(device)
    seconds = (time.perf_counter() - started) / repeats
    error = (cleaned[:1].double() - clean.double()).square().mean()
    spread = clean.max() - clean.min()
    return {"seconds": seconds, "first": first, "peak": peak(device), "PSNR": float(10 * (spread**2 / error).log10())}


def settle(device: str) -> None:
    """Wait for what a GPU still computes."""
    if device == "cuda":
        torch.cuda.synchronize()


def filled(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give every row all columns: what failed has a note in place of figures."""
    rows = list(rows)
    columns = dict.fromkeys(column for row in rows for column in row)
    return [{column: row.get(column) for column in columns} for row in rows]


def main(
    quick: Annotated[bool, typer.Option(help="Small frames, once each.")] = False,
    results: Annotated[Path, typer.Option(help="Folder for the tables.")] = RESULTS,
) -> None:
    """Measure and write ``gpu`` and ``gpu_precision``, JSON and Markdown."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    small = quick or device == "cpu"
    side, count = (QUICK_SIDE, QUICK_FRAMES) if small else (SIDE, FRAMES)
    batch, repeats = (QUICK_BATCH, QUICK_REPEATS) if small else (BATCH, REPEATS)
    where = torch.cuda.get_device_name() if device == "cuda" else "no GPU here: the processor, on small images"
    frames, truth, size = sample_frames(side, count)
    about = f"{where}. Frames of {side} x {side} pixels of the sample, {1e3 * size:.3g} pm. "
    notes = (
        about
        + "Best of up to three runs after one that warms up, from counts in the computer's memory to rates there. "
        "*Alone* is the network with sums and transfer, on the grid; all other rows are the whole road with residual "
        "step, fit map and verdict. Peak memory is the GPU's, or without one the process's. *Same bits*: two runs of "
        "one seed."
    )
    rows = filled(rows_of_jobs(frames, size, device, repeats))
    typer.echo(write_result(results, "gpu", "On a GPU", notes, rows, seed=0))
    notes = (
        about + f"Passes of the bundled U-Net over {batch} image(s) that lie on the device, on the summed grid; speed "
        "relative to single precision, PSNR of the first image against the truth."
    )
    rows = filled(rows_of_variants(frames, truth, size, device, batch, repeats))
    typer.echo(write_result(results, "gpu_precision", "Layouts and precisions", notes, rows, seed=0))


if __name__ == "__main__":
    typer.run(main)
