"""Packages for the BioImage Model Zoo: what is written gives the image that the model gives here."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from napari_gandenoise.denoising import denoise
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.models import DirectHeader, DirectModel, export_bioimage, load_model, save_model
from napari_gandenoise.models.bioimage import OfValues
from napari_gandenoise.models.denoisers import make_denoiser
from napari_gandenoise.settings.networks import UNetArchitecture
from napari_gandenoise.settings.noise import Poisson

SIDE = 48  # of a tile of the small models here
NM = 0.0244


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    monkeypatch.setattr("napari_gandenoise.models.bioimage.SIDE", SIDE)


@pytest.fixture
def write_unet(tmp_path):
    """Write a small U-Net whose weights are chance."""

    def write(**fields):
        torch.manual_seed(2)
        architecture = UNetArchitecture(size=16, widths=(6, 6), **fields.pop("architecture", {}))
        network = make_denoiser(architecture).eval()
        for parameter in network.parameters():  # some begin as zero
            torch.nn.init.normal_(parameter, std=0.1)
        header = DirectHeader(name="unet", architecture=architecture, description="Chance: no denoiser", **fields)
        save_model(tmp_path / "unet.safetensors", DirectModel(header, network))
        return tmp_path / "unet.safetensors"

    return write


@pytest.fixture
def counts(rng, make_scene):
    return rng.poisson(4 * make_scene(SIDE, spacing=9)).astype(np.float32)


@pytest.mark.parametrize("windows", [(), (16,)])
def test_counts_become_what_one_view_of_the_main_road_draws(write_unet, counts, windows):
    path = write_unet(architecture={"conditions": ("strength",), "windows": windows}, pixel_size_nm=NM)

    with torch.no_grad():
        found = OfValues(load_model(path)).eval()(torch.from_numpy(counts)[None, None])[0, 0]

    wanted = denoise(counts, model=path, pixel_size_nm=NM, noise=Poisson(), views=1, residual_step=False).rate
    np.testing.assert_allclose(found, wanted, atol=1e-4 * wanted.max())
    assert np.abs(wanted - counts).max() > 0.1


def test_only_direct_denoisers_become_packages(write_tiny_model, tmp_path):
    with pytest.raises(GanDenoiseError, match=r"tiny is a latent GAN, .*: choose a direct denoiser\.$"):
        export_bioimage(write_tiny_model(tmp_path), tmp_path / "tiny.zip")


def test_a_package_needs_its_suffix_and_room(write_unet, tmp_path):
    path = write_unet()
    (tmp_path / "there.zip").write_bytes(b"dear")

    with pytest.raises(GanDenoiseError, match=r"must end in \.zip\.$"):
        export_bioimage(path, tmp_path / "unet.tar")
    with pytest.raises(GanDenoiseError, match="exists already"):
        export_bioimage(path, tmp_path / "there.zip")
    with pytest.raises(GanDenoiseError, match="create it first"):
        export_bioimage(path, tmp_path / "nowhere" / "unet.zip")
    assert (tmp_path / "there.zip").read_bytes() == b"dear"


def test_without_the_extra_one_sentence_names_it(write_unet, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "bioimageio.spec", None)

    with pytest.raises(GanDenoiseError, match=r"need bioimageio\.spec: pip install 'napari-gandenoise\[bioimageio\]'"):
        export_bioimage(write_unet(), tmp_path / "unet.zip")
    assert not (tmp_path / "unet.zip").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fields", "inputs"),
    [
        ({"architecture": {"conditions": ("strength",), "windows": (16,)}, "pixel_size_nm": NM}, ["image"]),
        ({"architecture": {"channels": 3, "conditions": ()}, "intensity": "absolute"}, ["image"]),
        ({"architecture": {"conditions": ("strength",)}, "intensity": "standard"}, ["image", "strength"]),
        ({"architecture": {"conditions": ("estimated",), "estimator": 4}, "intensity": "standard"}, ["image"]),
    ],
)
def test_a_package_is_read_back_and_gives_the_same_image(write_unet, tmp_path, fields, inputs):
    spec = pytest.importorskip("bioimageio.spec")
    path = write_unet(**fields)

    written = export_bioimage(path, tmp_path)

    assert written == tmp_path / "unet.zip"
    package = spec.load_model_description(written, perform_io_checks=True)
    assert [str(tensor.id) for tensor in package.inputs] == inputs
    given = [torch.from_numpy(np.load(tensor.test_tensor.get_reader())) for tensor in package.inputs]
    network = torch.jit.load(package.weights.torchscript.get_reader())
    with torch.no_grad():
        found, wanted = network(*given), OfValues(load_model(path)).eval()(*given)
    stored = np.load(package.outputs[0].test_tensor.get_reader())
    np.testing.assert_allclose(found, wanted, atol=1e-5 * float(wanted.abs().max()))
    np.testing.assert_allclose(stored, wanted, atol=1e-5 * float(wanted.abs().max()))
    scales = [axis.scale for axis in package.inputs[0].axes if axis.type == "space"]
    assert scales == [fields.get("pixel_size_nm", 1.0)] * 2


@pytest.mark.slow
def test_other_programs_run_a_package(write_unet, tmp_path):
    core = pytest.importorskip("bioimageio.core")
    path = write_unet(architecture={"conditions": ("strength",), "windows": (16,)}, pixel_size_nm=NM)

    summary = core.test_model(export_bioimage(path, tmp_path / "unet.zip"), devices=["cpu"])

    assert summary.status == "passed", summary.format()
