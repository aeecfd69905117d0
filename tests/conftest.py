"""What all tests share."""

from __future__ import annotations

import gc
import itertools
import re
import time
from contextlib import contextmanager

import numpy as np
import pooch
import pytest
import torch
from scipy import ndimage
from torch.nn.modules.module import register_module_forward_pre_hook

from napari_gandenoise.models import DirectHeader, DirectModel, Model, ModelHeader, load_model, save_model
from napari_gandenoise.models.denoisers import make_denoiser
from napari_gandenoise.models.networks import Discriminator, Encoder, Generator
from napari_gandenoise.models.sampler import Sampler
from napari_gandenoise.orientation import disk
from napari_gandenoise.settings.networks import Architecture, UNetArchitecture
from napari_gandenoise.tiling import TileCounts

LONGEST = ("batching", "training", "widgets")


def pytest_ignore_collect(collection_path, config):
    """Spare the few serial tests the imports of all others, and all others those of files that are slow as a whole."""
    asked = config.option.markexpr
    if collection_path.suffix != ".py":
        return None
    text = collection_path.read_text(encoding="utf-8")
    if "serial" in asked and "not serial" not in asked and "mark.serial" not in text:
        return True
    return True if "not slow" in asked and re.search(r"^pytestmark = \[?pytest\.mark\.slow", text, re.M) else None


def pytest_collection_finish():
    """Have the garbage collector leave alone what was imported: tests of windows ask it to look at everything."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items):
    """Begin with the folders whose files take longest: processes that share the files end together."""
    items.sort(key=lambda item: item.path.parent.name not in LONGEST)


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Small batches gain nothing from threads that others use."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """Keep what is computed once out of the user's own cache, and compute it once for all tests."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pooch, "os_cache", lambda _: folder)
        yield folder


@pytest.fixture
def rng():
    return np.random.default_rng(20260101)


@pytest.fixture(autouse=True)
def own_models(tmp_path_factory, monkeypatch):
    """Keep the models that a test saves out of the user's own folder, which it does not see either."""
    monkeypatch.setenv("GANDENOISE_MODELS", str(tmp_path_factory.mktemp("own") / "models"))


@pytest.fixture
def hurried_clock(monkeypatch):
    """Let a minute pass between any two looks at the clock: what is shown every few seconds is shown at every step."""
    clock = itertools.count(step=60.0)
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))


@pytest.fixture
def little_room():
    """Let no file grow beyond so many bytes, as on a disk that is full: ``with little_room(100):``."""
    resource = pytest.importorskip("resource")

    @contextmanager
    def limit(size: int):
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limit


@pytest.fixture
def when_drawing():
    """Call ``act(latents)`` before any generator draws them: ``when_drawing(act)``."""
    hooks = []

    def listen(act):
        def before(module, inputs):
            if isinstance(module, Generator):
                act(inputs[0])

        hooks.append(register_module_forward_pre_hook(before))

    yield listen
    for hook in hooks:
        hook.remove()


@pytest.fixture(scope="session")
def make_scene():
    """Clean images with a lattice inside a particle on vacuum, which is 1: ``make_scene(side, spacing, contrast)``."""

    def make(side: int, spacing: float = 37.0, contrast: float = 0.3):
        y, x = np.mgrid[:side, :side]
        wave = 2 * np.pi / spacing
        lattice = (np.cos(wave * (0.9 * x + 0.43 * y)) + np.cos(wave * (0.9 * y - 0.43 * x))) / 2
        inside = (x - side / 2) ** 2 + (y - side / 2) ** 2 < (side / 3) ** 2
        return 1 + ndimage.gaussian_filter(inside.astype(float), 4) * (contrast * lattice - 0.12)

    return make


@pytest.fixture(scope="session")
def write_photograph_model():
    """Write a colour model whose images are six smooth random fields, weighted by the latent."""

    def write(folder, name: str = "photos", **fields):
        torch.manual_seed(3)
        channels = fields.pop("channels", 3)
        architecture = Architecture(size=32, width=8, latent=6, channels=channels, principal=True)
        header = ModelHeader(
            name=name, architecture=architecture, pose="upright", intensity="absolute", pixel_size_nm=None, **fields
        )
        generator = Generator(architecture).eval()
        smooth = torch.nn.functional.interpolate(torch.randn(6, channels, 5, 5), 32, mode="bicubic")
        with torch.no_grad():
            generator.principal.weight.copy_(0.4 * smooth.flatten(1).T)
        encoder = Encoder(architecture).eval() if fields.get("encoder") else None
        judge = Discriminator(architecture, norm=False).eval() if fields.get("discriminator") else None
        save_model(folder / f"{name}.safetensors", Model(header, generator, encoder, judge))
        return folder / f"{name}.safetensors"

    return write


@pytest.fixture(scope="session")
def write_tiny_model():
    """Write a latent model of micrographs, with an encoder, that takes milliseconds: what it draws means nothing."""

    def write(folder, pixel_size_nm: float = 0.0244):
        torch.manual_seed(5)
        architecture = Architecture(size=16, width=4, latent=6, principal=True)
        header = ModelHeader(name="tiny", architecture=architecture, pixel_size_nm=pixel_size_nm, encoder=True)
        generator, encoder = Generator(architecture).eval(), Encoder(architecture).eval()
        save_model(folder / "tiny.safetensors", Model(header, generator, encoder))
        return folder / "tiny.safetensors"

    return write


@pytest.fixture(scope="session")
def write_direct_model():
    """Write a direct denoiser that subtracts the strength it is told from every pixel: ``f(x) = x - strength``."""

    def write(folder, name: str = "direct", channels: int = 1, **fields):
        architecture = UNetArchitecture(size=16, channels=channels, widths=(4, 4), conditions=("strength",))
        network = make_denoiser(architecture).eval()
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.zero_()
            network.leave.bias.fill_(1.0)
        header = DirectHeader(name=name, architecture=architecture, **fields)
        save_model(folder / f"{name}.safetensors", DirectModel(header, network))
        return folder / f"{name}.safetensors"

    return write


@pytest.fixture(scope="session")
def write_random_model():
    """Write a U-Net of random weights, with what draws samples beside it if ``samples`` gives their curve."""

    def write(folder, name: str = "random", samples=None, widths=(4, 6), **fields):
        torch.manual_seed(7)
        architecture = UNetArchitecture(size=16, widths=widths, conditions=("strength",))
        network, sampler = make_denoiser(architecture).eval(), None
        if samples is not None:
            sampler = Sampler(architecture)
            sampler.begin_with(network)
            for part in sampler.strewn:
                torch.nn.init.constant_(part.scale.bias, 0.5)
        header = DirectHeader(name=name, architecture=architecture, samples=samples, **fields)
        save_model(folder / f"{name}.safetensors", DirectModel(header, network, sampler=sampler))
        return folder / f"{name}.safetensors"

    return write


@pytest.fixture(scope="session")
def model():
    return load_model("hrtem")


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(3)


@pytest.fixture
def expose():
    """Counts of rates ``(N, 1, H, W)`` with 16 input pixels a bin; noise-free unless a generator is given."""

    def make(rate: torch.Tensor, generator: torch.Generator | None = None) -> TileCounts:
        exposure = 16 * (disk(rate.shape[-1]) > 0.5).float().expand_as(rate)
        counts = exposure * rate
        return TileCounts(torch.poisson(counts, generator=generator) if generator else counts, exposure)

    return make
