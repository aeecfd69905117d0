"""Steps per second of `train_steps` against a bare PyTorch loop, and the share of the time it waits for tiles.

Both have the same networks, batch, optimiser and losses: those of ``configs/hrtem.yaml``.  The bare loop has its tiles
cut beforehand and does nothing else: no pool, averages, history, events or checkpoints.  The two take turns in one
process, so that both see the same load of the machine.

::

    python -m benchmarks.training_speed
    python -m benchmarks.training_speed --quick
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
import yaml
import zarr

from benchmarks.record import RESULTS, write_result
from napari_gandenoise.datasets.tiles import Tiles
from napari_gandenoise.models.networks import Discriminator, Encoder, Generator, standardise
from napari_gandenoise.orientation import disk
from napari_gandenoise.progress import Progress
from napari_gandenoise.settings.train import TrainConfig
from napari_gandenoise.training import losses, train_steps
from napari_gandenoise.training.device import precision, training_device
from napari_gandenoise.training.supply import Supply

__all__ = ["main"]

CONFIG = Path(__file__).parents[1] / "configs" / "hrtem.yaml"
PIXEL_NM = 0.0183
LATER = 10**6  # a step for what is not measured: checkpoints and validations


def write_fringes(path: Path, images: int, side: int) -> None:
    """Write a set of fringes as the simulator writes its sets: the speed does not depend on what images show."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:side, :side]
    group = zarr.open_group(path, mode="w")
    group.attrs["simulation"] = {"pixel_size_nm": PIXEL_NM, "images_per_structure": 1}
    group.attrs["records"] = [{}] * images
    array: Any = group.create_array("images", shape=(images, side, side), chunks=(1, side, side), dtype="float16")
    for i in range(images):
        angle, phase = rng.uniform(0, 6, 2)
        array[i] = 1 + 0.2 * np.cos(2 * np.pi * (np.cos(angle) * x + np.sin(angle) * y) / 12 + phase)


def bare_loop(config: TrainConfig, tiles: Tiles, device: torch.device) -> Iterator[None]:
    """Train as the recipe *stable* with the encoder mode *evidence* does, with nothing around it."""
    a = config.architecture
    generator, encoder, discriminator = Generator(a), Encoder(a), Discriminator(a, norm=False)
    for network in (generator, encoder, discriminator):
        network.to(device=device, memory_format=torch.channels_last)
    joint = [p for n in (generator, encoder) for p in n.parameters() if p.requires_grad]
    adam = torch.optim.Adam(joint, lr=config.generator_rate, betas=(0.5, 0.99))
    critic = torch.optim.Adam(discriminator.parameters(), lr=config.discriminator_rate, betas=(0.5, 0.99))
    inside = disk(a.size, device)
    low, high = np.log(config.dose)
    for step in range(LATER):
        pick = torch.randint(len(tiles.template), (config.batch,), device=device)
        template, mean, contrast = (part[pick] for part in tiles)
        level = mean * torch.empty_like(mean).uniform_(low, high).exp()
        noisy = standardise(torch.poisson((level * (1 + contrast * template)).clamp(min=0)), inside)
        adversarial = step % config.adversarial_every == 0
        with precision(device, config.half_precision):
            centre, spread = (x.float() for x in encoder(noisy))
            latents = centre + torch.randn_like(centre) * (spread / 2).exp()
            if adversarial:
                latents = torch.cat([latents, torch.randn_like(centre)])
            drawn = generator(latents).float() * inside
        rendered, fake = drawn[: config.batch], drawn[config.batch :]
        loss = losses.evidence_loss(template, rendered, level * contrast.square(), centre, spread)
        if adversarial:
            with precision(device, config.half_precision):
                real_logit, fake_logit = discriminator(template).float(), discriminator(fake.detach()).float()
                judged = losses.relativistic(real_logit, fake_logit)
                if step // config.adversarial_every % 4 == 0:
                    penalty = [losses.zero_centred_penalty(discriminator, x) for x in (template, fake.detach())]
                    judged = judged + 2 * config.penalty * sum(penalty)
            critic.zero_grad()
            judged.backward()
            critic.step()
            discriminator.requires_grad_(False)
            with precision(device, config.half_precision):
                fake_logit = discriminator(fake).float()
                with torch.no_grad():
                    real_logit = discriminator(template).float()
            discriminator.requires_grad_(True)
            loss = loss + config.adversarial_weight * losses.relativistic(fake_logit, real_logit)
        adam.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(joint, 5.0)
        adam.step()
        yield


def timed(advance: Callable[[], object], steps: int, device: torch.device) -> float:
    """Return steps per second."""
    began = time.perf_counter()
    for _ in range(steps):
        advance()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return steps / (time.perf_counter() - began)


def compare(config: TrainConfig, rounds: int, steps: int) -> dict[str, float]:
    """Let both loops take turns; return the medians over the rounds."""
    device = training_device(config.device)
    with closing(Supply(config, config.seed, device)) as supply:
        for _ in supply.fill_steps():
            pass
        bare = bare_loop(config, supply.first_tiles(), device)
    waits: list[float] = []
    with closing(train_steps(config)) as ours:

        def advance() -> Progress:
            event = next(ours)
            waits.append(event.values.get("waiting", 0.0))
            return event

        while advance().stage != "train":
            pass
        timed(advance, 2 * config.adversarial_every, device)
        timed(lambda: next(bare), 2 * config.adversarial_every, device)
        pairs = [(timed(advance, steps, device), timed(lambda: next(bare), steps, device)) for _ in range(rounds)]
    return {
        "train_steps": statistics.median(pair[0] for pair in pairs),
        "bare loop": statistics.median(pair[1] for pair in pairs),
        "ratio": statistics.median(pair[0] / pair[1] for pair in pairs),
        "waiting for tiles": waits[-1],
    }


def main(
    rounds: Annotated[int, typer.Option(help="Turns of each loop; the median counts.")] = 6,
    steps: Annotated[int, typer.Option(help="Steps a turn.")] = 24,
    quick: Annotated[bool, typer.Option(help="Small networks, two short turns.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    results: Annotated[Path, typer.Option(help="Folder for the table.")] = RESULTS,
) -> None:
    """Measure and write ``training_speed.json`` and ``training_speed.md``."""
    fields = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    if quick:
        rounds, steps = 2, 8
        fields |= {"architecture": {**fields["architecture"], "size": 32, "latent": 16, "width": 8}, "batch": 16}
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        write_fringes(Path(scratch) / "set.zarr", 60, 300)
        for threads, workers in product(sorted({torch.get_num_threads(), 1}, reverse=True), (0, 1)):
            torch.set_num_threads(threads)
            config = TrainConfig(**fields | {
                "data": {"kind": "simulated", "path": Path(scratch) / "set.zarr"}, "device": device,
                "output": Path(scratch) / f"run{threads}-{workers}", "pool": 1000, "workers": workers,
                "checkpoint_every": LATER, "validate_every": LATER, "steps": LATER,
            })  # fmt: skip
            rows.append({"threads": threads, "processes that cut tiles": workers, **compare(config, rounds, steps)})
    notes = (
        f"Networks, batch, losses and fresh tiles a step of {CONFIG.name}{', made small' if quick else ''}; steps per "
        f"second, medians of {rounds} turns of {steps} steps in one process, {training_device(device)}. Where both "
        "loops use all cores, cutting tiles takes some of them away. *waiting for tiles* is the share of the time of "
        "train_steps in which it cut them or "
        f"waited for them. Load average at the end: {os.getloadavg()[0]:.1f}."
    )
    typer.echo(write_result(results, "training_speed", "Speed of training", notes, rows))


if __name__ == "__main__":
    typer.run(main)
