"""``kill -9`` at random moments: nothing is lost, and the same bytes come out."""

from __future__ import annotations

import itertools
import sys

import numpy as np
import pytest
from safetensors.torch import load_file
from tests.attack.jobs.attacking import digest, killed, length_of

from napari_gandenoise.batching import LEDGER, batch, has_job, read_ledger
from napari_gandenoise.denoising import denoise
from napari_gandenoise.io import read_micrograph, write_result
from napari_gandenoise.models import load_model, load_model_file, save_model
from napari_gandenoise.progress import drain
from napari_gandenoise.training import train_steps
from napari_gandenoise.training.checkpoint import Checkpoints

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="no fork")]
KINDS = 5  # of jobs that share the kills
BURST_S = 0.05  # in which a file is written several times


def test_a_denoised_image_is_the_old_one_or_the_new_one(tmp_path, movie, settings, kills, chance):
    path = tmp_path / "out.tif"
    image = read_micrograph(movie)
    results = [denoise(image, **settings, pixel_size_nm=size) for size in (0.01, 0.02)]
    allowed = []
    for result in results:
        write_result(path, result, overwrite=True)
        allowed.append(path.read_bytes())
    assert allowed[0] != allowed[1]

    def write():
        for result in itertools.cycle(results):
            write_result(path, result, overwrite=True)

    for _ in range(kills // KINDS):
        assert not killed(write, chance.uniform(0, BURST_S))
        assert path.read_bytes() in allowed


@pytest.mark.parametrize("form", ["tiff", "zarr"])
def test_a_batch_ends_with_the_same_bytes(tmp_path, movie, settings, kills, chance, form):
    job = {"inputs": movie, "settings": settings, "format": form, "fit_map": True}
    seconds = length_of(lambda: batch(**job, output=tmp_path / "whole"))
    expected = digest(tmp_path / "whole", (LEDGER,))
    number, kept = 0, set()

    def work():
        out = tmp_path / str(number)
        batch(output=out, resume=True) if has_job(out) else batch(**job, output=out)

    for _ in range(kills // KINDS):
        through = killed(work, chance.uniform(0, 1.2 * seconds))
        out = tmp_path / str(number)
        if has_job(out):
            done = read_ledger(out)[1]["movie"].done
            assert done >= kept  # nothing that was done is lost
            kept = done
        if through:
            assert digest(out, (LEDGER,)) == expected
            number, kept = number + 1, set()
    work()
    assert digest(tmp_path / str(number), (LEDGER,)) == expected


def of_run(folder):
    """Bytes of what a run leaves; of its last checkpoint those of all states, since its header has no order."""
    states = load_file(Checkpoints(folder, 1).path(6))
    files = (folder / name for name in ("tiny.safetensors", "history.csv"))
    return [path.read_bytes() for path in files], {key: value.numpy().tobytes() for key, value in states.items()}


def test_a_run_ends_with_the_same_weights(tmp_path, make_run, kills, chance):
    seconds = length_of(lambda: drain(train_steps(make_run(tmp_path / "whole"))))
    expected = of_run(tmp_path / "whole")
    number = reached = 0

    def work():
        drain(train_steps(make_run(tmp_path / str(number)), resume=True))

    for _ in range(kills // KINDS):
        through = killed(work, chance.uniform(0, 1.2 * seconds))
        checkpoints = Checkpoints(tmp_path / str(number), 1).paths()
        now = int(checkpoints[-1].stem[-8:]) if checkpoints else 0
        assert now >= reached
        reached = now
        if through:
            assert of_run(tmp_path / str(number)) == expected
            number, reached = number + 1, 0
    work()
    assert of_run(tmp_path / str(number)) == expected


def test_a_model_is_the_old_one_or_the_new_one(tmp_path, write_direct_model, kills, chance):
    models = [load_model(write_direct_model(tmp_path, name)) for name in ("one", "two")]
    path = tmp_path / "saved.safetensors"
    save_model(path, models[0])

    def save():
        for model in itertools.cycle(models):
            save_model(path, model)

    seen = set()
    for _ in range(kills // KINDS):
        assert not killed(save, chance.uniform(0, BURST_S))
        seen.add(load_model_file(path).name)
    assert seen <= {"one", "two"}
    assert np.isfinite(next(load_model_file(path).network.parameters()).detach().numpy()).all()
