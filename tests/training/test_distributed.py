"""Two real processes on one run, talking over gloo."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

import pytest
import yaml
from safetensors.torch import load_file

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.models import load_model_file
from napari_gandenoise.training.checkpoint import Checkpoints
from napari_gandenoise.training.distributed import Ranks

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]

# Each process trains, then says what its parameters are.
WEIGHTS = """
import hashlib, json, sys
from pathlib import Path
from threading import Event
import torch
from napari_gandenoise.settings.train import TrainConfig
from napari_gandenoise.training.checkpoint import Checkpoints
from napari_gandenoise.training.clock import Clock
from napari_gandenoise.training.distributed import Ranks
from napari_gandenoise.training.loop import Run
from napari_gandenoise.training.supply import Supply

config = TrainConfig.model_validate_json(sys.argv[1])
config.output.mkdir(parents=True, exist_ok=True)
ranks, device = Ranks.from_environment(), torch.device("cpu")
with ranks.joined(device):
    supply = Supply(config, ranks.seed(config.seed), device)
    run = Run(config, device, ranks, supply, Clock(None), Checkpoints(config.output, 2), Event())
    first = None
    events = list(run.steps(resume=False))
digest = hashlib.sha256()
trainee = run.programme.trainee
for network in (trainee.generator, trainee.encoder, trainee.discriminator):
    for value in network.parameters():
        digest.update(value.detach().numpy().tobytes())
seen = hashlib.sha256(supply.pool.tiles[:128].numpy().tobytes()).hexdigest()
said = {"weights": digest.hexdigest(), "tiles": seen, "events": len(events)}
Path(sys.argv[2], f"rank{ranks.rank}.json").write_text(json.dumps(said))
"""

# Each process computes the gradients of its half of a batch, and compares their mean with those of the whole.  Forked
# once everything is imported: torchrun would import it three times.
GRADIENTS = """
import os, sys
import torch
import torch._dynamo
from torch import nn
from napari_gandenoise.models.networks import Discriminator, Encoder, Generator
from napari_gandenoise.settings.networks import Architecture
from napari_gandenoise.training.distributed import Ranks
from napari_gandenoise.training.losses import evidence_loss
from napari_gandenoise.training.latent.recipes import Judgement, Rendering

other = os.fork()
rank = "0" if other else "1"
os.environ |= {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": "2"}
os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": sys.argv[1]}
ranks, device = Ranks.from_environment(), torch.device("cpu")
architecture = Architecture(size=16, width=4, latent=6, principal=True)
torch.manual_seed(0)
real, fake, mix = torch.randn(8, 1, 16, 16), torch.randn(8, 1, 16, 16), torch.rand(8, 1, 1, 1)
latents, noise, weight = torch.randn(8, 6), torch.randn(8, 6), torch.rand(8, 1, 1, 1)
half = slice(4 * ranks.rank, 4 * ranks.rank + 4)

def judged(module, part, recipe):
    return module(real[part], fake[part], mix[part] if recipe == "wgan-gp" else None, recipe != "bce").loss

def rendered(module, part):
    both, mean, log_variance = module(latents[part], real[part], None, noise[part])
    count = len(latents[part])
    return evidence_loss(real[part], both[:count], weight[part], mean, log_variance) + both[count:].square().mean()

def networks():
    for recipe in ("stable", "bce", "wgan-gp"):
        torch.manual_seed(1)
        yield Judgement(Discriminator(architecture, norm=False), recipe, 3.0), lambda m, p, r=recipe: judged(m, p, r)
    # Batch norm couples the tiles of a share in training; in evaluation it does not.
    torch.manual_seed(1)
    yield Rendering(Generator(architecture), Encoder(architecture), torch.ones(16, 16)).eval(), rendered

with ranks.joined(device):
    for (module, loss), (alone, same) in zip(networks(), networks()):
        shared = ranks.wrap(module, device)
        shared.train(module.training)
        loss(shared, half).backward()
        same(alone, slice(None)).backward()
        assert sum(value.grad.abs().sum() for value in alone.parameters() if value.requires_grad) > 0.1
        for (name, one), two in zip(module.named_parameters(), alone.parameters()):
            if one.requires_grad:
                torch.testing.assert_close(one.grad, two.grad, atol=1e-5, rtol=1e-5, msg=name)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(other, 0)[1]) if other else 0)
"""


def run(*command: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=300, env=environment)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "encoder"), [("stable", "evidence"), pytest.param("wgan-gp", "samples", marks=pytest.mark.slow)]
)
def test_both_processes_end_with_the_same_weights_of_different_tiles(make_config, tmp_path, recipe, encoder):
    script = tmp_path / "weights.py"
    script.write_text(WEIGHTS)
    config = make_config(recipe=recipe, encoder=encoder, generator_rate=1e-2, critic_steps=1)

    finished = run(*TORCHRUN, script, config.model_dump_json(), tmp_path)

    assert finished.returncode == 0, finished.stderr
    first, second = (json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in (0, 1))
    assert first["weights"] == second["weights"]
    assert first["tiles"] != second["tiles"]
    assert first["events"] >= 6
    assert second["events"] == 0


@pytest.mark.slow
def test_averaged_gradients_are_those_of_the_whole_batch(tmp_path):
    script = tmp_path / "gradients.py"
    script.write_text(GRADIENTS)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    finished = run(sys.executable, script, port)
    assert finished.returncode == 0, finished.stderr


@pytest.mark.slow
def test_the_command_runs_in_two_processes_and_resumes_exactly(make_config, tmp_path):
    outputs = []
    for name, steps in (("whole", [6]), ("broken", [3, 6])):
        for number, end in enumerate(steps):
            # The same schedule of learning rates: the first part is resumed from its checkpoint at step 3.
            config = make_config(steps=6, output=tmp_path / name)
            settings = tmp_path / "train.yaml"
            settings.write_text(yaml.safe_dump(config.model_dump(mode="json")))
            finished = run(*TORCHRUN, "-m", "napari_gandenoise.cli", "train", settings, *["--resume"] * number)
            assert finished.returncode == 0, finished.stderr
            assert finished.stdout.count("trained; use it") == 1
            if end == 3:
                Checkpoints(config.output, 1).path(6).unlink()
        outputs.append(load_file(Checkpoints(config.output, 1).path(6)))
    one, two = outputs
    assert {"draws/0", "draws/1"} <= {key.removeprefix("random/") for key in one}
    assert [key for key in one if not one[key].equal(two[key])] == []
    assert load_model_file(config.output / "tiny.safetensors").header.training["step"] == 6


def test_a_batch_that_cannot_be_shared_evenly_is_refused():
    assert Ranks(size=4).share(48) == 12
    with pytest.raises(GanDenoiseError, match="make it a multiple of 4"):
        Ranks(size=4).share(50)


def test_without_torchrun_there_is_one_process(monkeypatch):
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert Ranks.from_environment() == Ranks(0, 0, 1)
