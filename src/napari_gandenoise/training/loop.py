"""The training loop: a generator of events that can be stopped at any step and resumed exactly."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, nullcontext
from pathlib import Path
from threading import Event

import torch
import yaml
from torch import Tensor

from napari_gandenoise.datasets.sources import prepare_steps
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.models import load_model
from napari_gandenoise.models.bundled import SUFFIX
from napari_gandenoise.models.file import write_model
from napari_gandenoise.progress import Progress, Steps
from napari_gandenoise.settings.train import AnyTrainConfig, DirectTrainConfig
from napari_gandenoise.training.checkpoint import Checkpoints
from napari_gandenoise.training.clock import Clock
from napari_gandenoise.training.device import read_every, training_device
from napari_gandenoise.training.direct.programme import DirectProgramme
from napari_gandenoise.training.distributed import Ranks
from napari_gandenoise.training.draws import Draws
from napari_gandenoise.training.history import History
from napari_gandenoise.training.latent.programme import LatentProgramme
from napari_gandenoise.training.programme import Programme, Stage, TrainPreview
from napari_gandenoise.training.supply import Supply
from napari_gandenoise.writing import check_writable, claimed, refuse_inputs, remove_partial, written_whole

__all__ = ["train_steps"]

SETTINGS, HISTORY, LOCK = "config.yaml", "history.csv", ".training.lock"
SPEED_LOOKS = 50  # looks at the losses over which the speed is averaged


def train_steps(config: AnyTrainConfig, resume: bool = False, stop: Event | None = None) -> Steps[Path]:
    """Train a latent GAN or a direct denoiser.

    Not asking for the next event pauses the run.  Closing the generator ends it at once, without a checkpoint.  Under
    ``torchrun`` each process trains on its share of every batch; only the first yields events and writes files.

    Parameters
    ----------
    config : TrainConfig or DirectTrainConfig
        The run.
    resume : bool
        Continue from the newest sound checkpoint in ``config.output``, as if there had been no interruption.
    stop : threading.Event, optional
        Set it, and the run writes a checkpoint after the step at hand and ends.

    Yields
    ------
    Progress
        Stages "prepare" and "tiles"; then those of the programme, such as "train" and "encoder", an event a step.
        Values: losses, "learning rate", "steps per second", "waiting" (share of the time spent waiting for tiles) and,
        at validations, the programme's figures.  The preview at checkpoints and validations is a `TrainPreview`.
        The note is an alarm.

    Returns
    -------
    pathlib.Path
        The model file, ``config.output / (config.name + ".safetensors")``; of a run that was stopped its checkpoint, or
        ``config.output`` before there was anything to keep.

    Raises
    ------
    GanDenoiseError
        If the data, the device or the checkpoints cannot be used.
    FloatingPointError
        If a loss or a weight is no longer a number; the last checkpoint was written before.
    """
    ranks = Ranks.from_environment()
    device = training_device(config.device, ranks.local_rank)
    ranks.share(config.batch)
    clock = Clock(config.seconds if isinstance(config, DirectTrainConfig) else None)
    if clock.seconds is not None and ranks.size > 1:
        raise GanDenoiseError(
            "Several processes cannot share a run of so many seconds: give steps in place of seconds."
        )
    with ranks.joined(device), ExitStack() as owned:
        checkpoints = Checkpoints(config.output, config.keep_checkpoints, config.seed)
        if checkpoints.paths() and not resume:
            raise GanDenoiseError(f"{config.output} already holds a run: resume it, or choose another output folder.")
        stop = stop or Event()
        owned.enter_context(_own_folder(config) if ranks.first else nullcontext())
        if ranks.first:
            for event in prepare_steps(config.data):
                yield event
                if stop.is_set():
                    break
        if ranks.first_says(stop.is_set(), device):
            return config.output
        with closing(Supply(config, ranks.seed(config.seed), device)) as supply:
            run = Run(config, device, ranks, supply, clock, checkpoints, stop)
            return (yield from run.steps(resume))


@contextmanager
def _own_folder(config: AnyTrainConfig) -> Iterator[None]:
    """Keep other runs out of the output folder, and what is written out of what is read.

    Raises
    ------
    GanDenoiseError
        If it cannot be written to, another run is under way there, or an input would be replaced.
    """
    folder = config.output
    read = [place for place in (getattr(config.data, "path", None),) if place is not None]
    if isinstance(config, DirectTrainConfig) and config.start is not None:
        read += [path for path in (load_model(config.start).path,) if path is not None]
    refuse_inputs([folder / name for name in (SETTINGS, HISTORY, f"{config.name}{SUFFIX}")], read)
    check_writable(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with claimed(folder / LOCK):
        yield


class Run:
    """One run: what the stages have in common.

    Parameters
    ----------
    config : TrainConfig or DirectTrainConfig
        The run.
    device : torch.device
        Where to compute.
    ranks : Ranks
        The processes that share the work.
    supply : Supply
        Real tiles.
    clock : Clock
        How long the run has worked.
    checkpoints : Checkpoints
        Where states are kept.
    stop : threading.Event
        Ends the run when it is set.
    """

    def __init__(
        self,
        config: AnyTrainConfig,
        device: torch.device,
        ranks: Ranks,
        supply: Supply,
        clock: Clock,
        checkpoints: Checkpoints,
        stop: Event,
    ) -> None:
        self.config = config
        self.device = device
        self.ranks = ranks
        self.supply = supply
        self.clock = clock
        self.checkpoints = checkpoints
        self.stop = stop
        self.step = 0
        self.metrics: dict[str, float] = {}
        self.unread: list[tuple[int, dict[str, Tensor]]] = []
        self.speeds: deque[tuple[int, float, float]] = deque(maxlen=SPEED_LOOKS)
        self.draws = Draws(ranks.seed(config.seed), device)
        self.programme = _programme(config, supply, self.draws, clock, ranks)
        self.history = History(config.output / HISTORY)
        self.model_path = config.output / f"{config.name}.safetensors"

    def steps(self, resume: bool) -> Steps[Path]:
        """Fill the pool, then run the stages."""
        notes = self._resume() if resume else []
        if self.ranks.first:
            remove_partial(self.config.output)
            with written_whole(self.config.output / SETTINGS) as temporary:
                settings = self.config.model_dump(mode="json")
                temporary.write_text(yaml.safe_dump(settings, sort_keys=False, allow_unicode=True), encoding="utf-8")
        began = time.perf_counter()
        for event in self.supply.fill_steps():
            self.clock.worked += time.perf_counter() - began
            if self.ranks.first:
                yield Progress(event.stage, event.done, event.total, note=" ".join(notes))
            notes = []
            if self._stopped():
                return self.checkpoints.path(self.step) if self.step else self.config.output
            began = time.perf_counter()
        if self.step == 0:
            self.programme.start(self.supply.first_tiles())
            self.ranks.agree(self.programme.networks())
        self.programme.hold_out(self.supply.held_out())
        began_at = self.step
        for stage in self.programme.stages():
            if not (yield from self._through(stage)):
                return self.checkpoints.path(self.step)
        if self.step == began_at and self.ranks.first:
            # It had ended, but nobody knows whether the model was in its place when it was killed.
            self.metrics = self.programme.measure(stage)
            with written_whole(self.model_path) as temporary:
                write_model(temporary, self.programme.model(stage, self.step, self.metrics))
        return self.model_path

    def _resume(self) -> list[str]:
        """Restore every state; return what there is to say about it."""
        self.step, random, damaged = self.checkpoints.load(self.programme.parts(), ("added", "draws/0", "tiles/0"))
        if self.step == 0:
            return []
        self.history.load(self.step)
        self.clock.restore(random)
        self.programme.resumed()
        added = int(random["added"])
        notes = [f"{path.name} is damaged and was skipped; step {self.step} is resumed." for path in damaged]
        try:
            self.draws.generator.set_state(random[f"draws/{self.ranks.rank}"])
            self.supply.restore(added, random[f"tiles/{self.ranks.rank}"])
        except (KeyError, RuntimeError, TypeError):
            # Other processes or another kind of device than before: new numbers, which is no harm but not the same run.
            seed = self.ranks.seed(self.config.seed) + self.step
            self.draws.generator.manual_seed(seed)
            self.supply.restore(added, seed)
            notes.append("The random numbers go on differently: the run has moved to other devices.")
        return notes

    def _through(self, stage: Stage) -> Steps[bool]:
        """Run a stage; return whether it came to its end."""
        began = time.perf_counter()
        # A stage that has so many seconds knows only at its last step how many steps it has had.
        while self.step < stage.first + stage.steps:
            values = stage.update(self.step - stage.first)
            self.step += 1
            self.unread.append((self.step, values))
            ends = self.step == stage.first + stage.steps
            if not (ends or self.step % read_every(self.device) == 0 or self._due()):
                continue
            events = self._look(stage, time.perf_counter() - began, ends)
            self.clock.worked += time.perf_counter() - began
            if self.ranks.first:
                yield from events
            if not ends and self._stopped():
                if self.step % self.config.checkpoint_every:
                    self._checkpoint(stage)
                return False
            began = time.perf_counter()
        return True

    def _due(self) -> bool:
        return self.step % self.config.checkpoint_every == 0 or self.step % self.config.validate_every == 0

    def _stopped(self) -> bool:
        return self.ranks.first_says(self.stop.is_set(), self.device)

    def _look(self, stage: Stage, seconds: float, ends: bool) -> list[Progress]:
        """Read the losses of the steps since the last look; validate and write a checkpoint where these are due."""
        read = self._read()
        for step, values in read:
            if not all(map(math.isfinite, values.values())):
                self._diverged(step)
        self.speeds.append((len(read), seconds, self.supply.waited()))
        preview = None
        checkpoint = ends or self.step % self.config.checkpoint_every == 0
        validate = ends or self.step % self.config.validate_every == 0
        last = read[-1][1]
        if self.ranks.first and validate:
            self.metrics = self.programme.measure(stage)
            last |= self.metrics
        if self.ranks.first and (validate or checkpoint):
            preview = self.programme.preview()
        for step, values in read:
            self.history.add(step, {**values, "learning rate": stage.rate(step - 1 - stage.first)})
        if checkpoint:
            self._checkpoint(stage)
        return [self._event(stage, step, values, preview if step == self.step else None) for step, values in read]

    def _read(self) -> list[tuple[int, dict[str, float]]]:
        """Fetch the losses of all steps since the last look, in one transfer."""
        numbers = iter(torch.stack([v.float() for _, values in self.unread for v in values.values()]).tolist())
        read = [(step, {name: next(numbers) for name in values}) for step, values in self.unread]
        self.unread.clear()
        return read

    def _event(self, stage: Stage, step: int, values: dict[str, float], preview: TrainPreview | None) -> Progress:
        steps, seconds, waited = (sum(column) for column in zip(*self.speeds, strict=True))
        shown = {
            **values,
            "learning rate": stage.rate(step - 1 - stage.first),
            "steps per second": steps / max(seconds, 1e-9),
            "waiting": waited / max(seconds, 1e-9),
        }
        note = self.programme.alarm(step, values)
        return Progress(stage.name, step - stage.first, stage.steps, preview, shown, note)

    def _checkpoint(self, stage: Stage) -> None:
        """Write history, checkpoint and model, in this order: a history that is ahead is cut at the next resume."""
        random = {"added": torch.tensor(self.supply.added), **self.clock.state()}
        for name, state in (("draws", self.draws.generator.get_state()), ("tiles", self.supply.state())):
            states = self.ranks.gather(state, self.device)
            random |= {f"{name}/{rank}": part for rank, part in enumerate(states)}
        if not self.ranks.first:
            return
        self.history.save()
        with written_whole(self.model_path) as temporary:
            try:
                write_model(temporary, self.programme.model(stage, self.step, self.metrics))
                self.checkpoints.save(self.programme.parts(), random, self.step)
            except FloatingPointError:
                self._diverged(self.step)

    def _diverged(self, step: int) -> None:
        good = self.checkpoints.paths()
        advice = f"resume from {good[-1]} with lower learning rates" if good else "start anew with lower learning rates"
        raise FloatingPointError(f"Training diverged at step {step}; {advice}.")


def _programme(config: AnyTrainConfig, supply: Supply, draws: Draws, clock: Clock, ranks: Ranks) -> Programme:
    if isinstance(config, DirectTrainConfig):
        return DirectProgramme(config, supply, draws, clock, ranks)
    return LatentProgramme(config, supply, draws, ranks)
