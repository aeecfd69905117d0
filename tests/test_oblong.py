"""Pixels that are not square, at every door: taken as squares of the same area, said, and both sides kept."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from napari_gandenoise import manifest as commands
from napari_gandenoise.batching import batch
from napari_gandenoise.cli import app
from napari_gandenoise.comparison import compare
from napari_gandenoise.denoising import denoise
from napari_gandenoise.io import read_micrograph

HIGH, WIDE = 0.030, 0.0244
SIZE = (HIGH * WIDE) ** 0.5
SAID = "0.03 nm high and 0.0244 nm wide"


@pytest.fixture
def path(tmp_path, rng):
    """As ImageJ writes it."""
    pixels = rng.poisson(3, (96, 96)).astype(np.uint16)
    options = {"imagej": True, "resolution": (1 / WIDE, 1 / HIGH), "metadata": {"unit": "nm"}}
    tifffile.imwrite(tmp_path / "oblong.tif", pixels, **options)
    return tmp_path / "oblong.tif"


def written(output, size=SIZE, aspect=HIGH / WIDE):
    found = read_micrograph(output)
    assert (found.pixel_size_nm, found.aspect) == (pytest.approx(size, rel=1e-4), pytest.approx(aspect, rel=1e-4))


@pytest.mark.parametrize("door", ["python", "npe2", "command line"])
def test_denoising(path, tmp_path, door):
    output = tmp_path / "out.tif"
    if door == "python":
        result = denoise(read_micrograph(path), model="hrtem-unet")
        assert SAID in result.report["warnings"][0]
        np.testing.assert_allclose(result.to_layer_data()[1]["scale"], (HIGH, WIDE), rtol=1e-4)
        return
    if door == "npe2":
        result = commands.denoise(path, output, {"model": "hrtem-unet"})
        assert SAID in result.report["warnings"][0]
    else:
        found = CliRunner().invoke(app, ["denoise", str(path), str(output), "--model", "hrtem-unet"])
        assert found.exit_code == 0
        assert SAID in " ".join(found.output.split())
    written(output)


def test_a_given_size_is_that_of_squares(path, tmp_path):
    result = commands.denoise(path, tmp_path / "out.tif", {"model": "hrtem-unet", "pixel_size_nm": WIDE})
    assert result.report["warnings"] == []
    written(tmp_path / "out.tif", WIDE, 1)


def test_many_files_and_comparisons(path, tmp_path):
    result = batch(inputs=[path], output=tmp_path / "many", settings={"model": "hrtem-unet"})
    written(result.outputs[0])
    compared = compare(path, methods=["gaussian"])
    assert SAID in compared.caption()
    compared.write(tmp_path / "compared")
    written(tmp_path / "compared" / "gaussian.tif")
