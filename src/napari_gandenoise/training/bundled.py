"""Train the bundled models one after the other, unattended, in as many seconds as there are.

``python -m napari_gandenoise.training.bundled --budget 700 --output DIR`` from a checkout, with ``PYTHONPATH=src`` if
the package is not installed.  Beside PyTorch and numpy it needs pydantic, PyYAML, safetensors, scipy and lazy_loader,
and ASE for images of atomic structures; there need not be a network.

``shares.yaml`` beside the training configs says which there are, in the order of their worth, and how much of the time
each has.  ``DIR`` gets a model file each, anew at every checkpoint, and ``reached.json``.  What an earlier call has
left is gone on with: first by models that have not had their share, from their checkpoints if these are still there,
else from their files; once all have, by all of them again.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.models.file import DirectModel, load_model_file
from napari_gandenoise.progress import Progress, Steps, relay
from napari_gandenoise.settings.text import read_yaml
from napari_gandenoise.settings.train import DirectTrainConfig, PosteriorGanRecipe, read_training
from napari_gandenoise.training.checkpoint import Checkpoints
from napari_gandenoise.training.loop import train_steps
from napari_gandenoise.writing import written_whole

__all__ = ["Budget", "Reached", "bundled_steps", "main", "read_plan"]

SHARES = "shares.yaml"
REACHED = "reached.json"
LEFT = 0.03, 5.0  # share of its seconds, and seconds at most, that a model leaves for its test and its file
AGAIN = 0.5  # learning rate of a model that begins with its own weights, over that of a new one


@dataclass(frozen=True)
class Budget:
    """What there is to train with.

    Attributes
    ----------
    seconds : float
        From now on, for all models together.
    output : Path
        Folder of the model files.
    work : Path
        Folder of checkpoints and histories, which need more room.
    device : str
        As `RunConfig.device`.
    """

    seconds: float
    output: Path
    work: Path
    device: str = "auto"


@dataclass(frozen=True)
class Reached:
    """How far a model has come.

    Attributes
    ----------
    rounds : int
        How often it has had its share of the time.
    seconds : float
        Of training in all of them.
    metrics : dict
        Of the last validation and test.
    """

    rounds: int = 0
    seconds: float = 0.0
    metrics: Mapping[str, float] = field(default_factory=dict)


def read_plan(folder: Path) -> dict[str, tuple[float, DirectTrainConfig]]:
    """Read which models there are, in their order, with the share of each and its training.

    Raises
    ------
    GanDenoiseError
        If a file is missing or says something that is not allowed.
    """
    listed = read_yaml(folder / SHARES)
    try:
        shares = {str(name): float(share) for name, share in listed.items()}
    except (TypeError, ValueError):
        raise GanDenoiseError(f"{folder / SHARES} must give each model a number, its share of the time.") from None
    if not shares or min(shares.values()) <= 0:
        raise GanDenoiseError(f"{folder / SHARES} must give each model a share above 0.")
    plan = {}
    for name, share in shares.items():
        config = read_training({"name": name, **read_yaml(folder / f"{name}.yaml")})
        if not isinstance(config, DirectTrainConfig):
            raise GanDenoiseError(f"{name}.yaml trains no direct denoiser for a time of its own: take it off the list.")
        plan[name] = share, config
    return plan


def bundled_steps(plan: Mapping[str, tuple[float, DirectTrainConfig]], budget: Budget) -> Steps[dict[str, Reached]]:
    """Train models within a budget.

    Parameters
    ----------
    plan : mapping
        From `read_plan`.
    budget : Budget
        What there is.

    Yields
    ------
    Progress
        Those of `train_steps`, with the model's name before the stage's.

    Returns
    -------
    dict
        What the models have reached, by name.
    """
    began = time.perf_counter()
    budget.output.mkdir(parents=True, exist_ok=True)
    reached = {name: Reached() for name in plan} | {
        name: found for name, found in _read_reached(budget.output).items() if name in plan
    }
    turn = min(found.rounds for found in reached.values())
    due = [name for name in plan if reached[name].rounds == turn]
    for number, name in enumerate(due):
        # What those before have left or overrun is shared out anew.
        left = budget.seconds - (time.perf_counter() - began)
        share = plan[name][0] / sum(plan[other][0] for other in due[number:])
        seconds = share * left - min(LEFT[0] * share * left, LEFT[1])
        if seconds <= 0:
            break
        run = _prepared(plan[name][1], reached[name], seconds, budget)
        started = time.perf_counter()
        yield from _exporting(run, budget)
        spent = reached[name].seconds + time.perf_counter() - started
        metrics = _load(budget.output / f"{name}.safetensors").header.metrics
        reached[name] = replace(reached[name], rounds=turn + 1, seconds=round(spent, 1), metrics=metrics)
        _write_reached(budget.output, reached)
    return reached


def _prepared(config: DirectTrainConfig, before: Reached, seconds: float, budget: Budget) -> DirectTrainConfig:
    """Lay out a run of so many seconds: the rest of one that was interrupted, or a new one.

    What draws samples is trained beside the newest of its denoiser.
    """
    output = budget.work / f"{config.name}-{before.rounds + 1}"
    fields: dict[str, Any] = {"output": output, "device": budget.device, "seconds": seconds + _worked(output)}
    if config.compiled and not _compiles(budget.device):
        fields["compiled"] = False
    exported = budget.output / f"{config.name}.safetensors"
    if isinstance(config.recipe, PosteriorGanRecipe):
        beside = budget.output / f"{config.start}.safetensors"
        fields |= {"start": str(beside)} if beside.exists() else {}
    elif exported.exists() and _load(exported).header.architecture == config.architecture:
        fields |= {"start": str(exported), "rate": AGAIN * config.rate}
    return config.model_copy(update=fields)


def _worked(output: Path) -> float:
    """Seconds that a run has worked by its last checkpoint."""
    for path in reversed(Checkpoints(output, 1).paths()):
        try:
            with safe_open(path, framework="pt") as file:
                return float(file.get_tensor("random/worked"))
        except (SafetensorError, OSError, ValueError):
            continue  # the run will say what is wrong with it
    return 0.0


def _compiles(device: str) -> bool:
    """Whether a compiler for networks is worth its time here: on a GPU, with a C compiler for what it writes."""
    if device == "cpu" or not torch.cuda.is_available() or not any(map(shutil.which, ("cc", "gcc", "clang"))):
        return False
    torch._dynamo.config.suppress_errors = True  # what cannot be compiled runs as it is
    return True


def _exporting(config: DirectTrainConfig, budget: Budget) -> Steps[Path]:
    """Run a training; whenever it has written its model, copy that to the output folder."""
    source = config.output / f"{config.name}.safetensors"
    resume = bool(Checkpoints(config.output, 1).paths())
    with closing(train_steps(config, resume)) as steps:
        named = relay(steps, lambda event: replace(event, stage=f"{config.name}: {event.stage}"))
        while True:
            try:
                event = next(named)
            except StopIteration as stop:
                path: Path = stop.value
                break
            if event.preview is not None and source.exists():
                _copy(source, budget.output)
            yield event
    _copy(source, budget.output)
    return path


def _copy(source: Path, folder: Path) -> None:
    with written_whole(folder / source.name) as temporary:
        shutil.copyfile(source, temporary)


def _load(path: Path) -> DirectModel:
    model = load_model_file(path)
    assert isinstance(model, DirectModel)
    return model


def _read_reached(folder: Path) -> dict[str, Reached]:
    path = folder / REACHED
    if not path.exists():
        return {}
    try:
        return {name: Reached(**found) for name, found in json.loads(path.read_text(encoding="utf-8")).items()}
    except (ValueError, TypeError, AttributeError):
        raise GanDenoiseError(f"{path} is not what an earlier call has written: choose another folder.") from None


def _write_reached(folder: Path, reached: Mapping[str, Reached]) -> None:
    with written_whole(folder / REACHED) as temporary:
        found = {name: asdict(state) for name, state in reached.items()}
        temporary.write_text(json.dumps(found, indent=1), encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    """Train from the command line."""
    parser = argparse.ArgumentParser(prog="python -m napari_gandenoise.training.bundled", description=main.__doc__)
    parser.add_argument("--budget", type=float, required=True, metavar="SECONDS", help="for all models together")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder of the model files")
    parser.add_argument(
        "--configs", type=Path, default=Path("configs/bundled"), metavar="DIR", help="shares, trainings"
    )
    parser.add_argument("--work", type=Path, default=Path("runs/bundled"), metavar="DIR", help="folder of checkpoints")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"), help="where to compute")
    given = parser.parse_args(arguments)
    try:
        budget = Budget(given.budget, given.output, given.work, given.device)
        _tell(bundled_steps(read_plan(given.configs), budget))
    except GanDenoiseError as error:
        raise SystemExit(str(error)) from None


def _tell(steps: Steps[dict[str, Reached]]) -> None:
    """Drain a training; write a line at each validation, and what was reached at the end."""
    began, stage = time.perf_counter(), ""

    def say(line: str) -> None:
        sys.stdout.write(f"{time.perf_counter() - began:7.1f} s  {line}\n")
        sys.stdout.flush()

    while True:
        try:
            event = next(steps)
        except StopIteration as stop:
            reached: dict[str, Reached] = stop.value
            break
        if event.note or event.stage != stage or "validation PSNR" in event.values:
            stage = event.stage
            say(_line(event))
    for name, found in reached.items():
        say(f"{name}: {found.rounds} rounds, {found.seconds:.0f} s, {_figures(found.metrics)}")


def _line(event: Progress) -> str:
    pace = event.values.get("steps per second")
    parts = [event.stage, f"step {event.done}", _figures({k: v for k, v in event.values.items() if "PSNR" in k})]
    return ", ".join(part for part in (*parts, f"{pace:.2f} steps/s" if pace else "", event.note) if part)


def _figures(metrics: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.2f} dB" for name, value in metrics.items())


if __name__ == "__main__":
    main()
