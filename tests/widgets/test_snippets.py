"""The copied Python, command and YAML mean the same run as the panel: the same pixels, the same settings."""

from __future__ import annotations

import ast
import shlex

import numpy as np
import pytest
import yaml
from napari.components import ViewerModel

import napari_gandenoise as gd
from napari_gandenoise.settings.denoise import DenoiseConfig
from napari_gandenoise.settings.noise import Gaussian, Poisson, PoissonGaussian
from napari_gandenoise.widgets.forms.snippets import as_yaml, call, command_line, files, pixels
from napari_gandenoise.widgets.viewer.source import cut

CONFIGS = [
    DenoiseConfig(),
    DenoiseConfig(pixel_size_nm=0.0061, noise=Poisson(gain=1.0), preset="fast"),
    DenoiseConfig(
        pixel_size_nm=0.024,
        noise=PoissonGaussian(gain=2.5, offset=-3.0, read_noise=1.5),
        preset="thorough",
        seed=5,
        device="cpu",
        residual_step=False,
    ),
    DenoiseConfig(noise=Gaussian(sigma=0.1), white=200.0, max_memory_gb=2.5),
    DenoiseConfig(replicates=8),
]


@pytest.fixture
def viewer():
    return ViewerModel()


@pytest.fixture
def layer(viewer):
    return viewer.add_image(np.arange(7 * 40 * 60).reshape(7, 40, 60), name="a 'quoted' name")


@pytest.mark.parametrize("config", CONFIGS)
def test_python_holds_the_config(config):
    made = ast.parse(call("gd.denoise", ["image"], config)).body[0].value
    given = {word.arg: eval(ast.unparse(word.value), {"gd": gd}) for word in made.keywords}
    assert DenoiseConfig(**given) == config


@pytest.mark.parametrize("current_frame", [True, False])
@pytest.mark.parametrize("region", ["whole", "rectangle"])
def test_python_takes_the_same_pixels(viewer, layer, region, current_frame):
    viewer.add_shapes([np.array([[5, 10], [5, 20], [15, 20], [15, 10]]) - 0.5], shape_type="rectangle")
    viewer.dims.set_point(0, 2)
    source = cut(viewer, layer, region, current_frame=current_frame)
    image = eval(pixels(source), {"viewer": viewer})
    np.testing.assert_array_equal(getattr(image, "data", image), source.micrograph.pixels)


@pytest.mark.parametrize("config", CONFIGS)
def test_command_is_understood_by_the_command_line(viewer, layer, config, understood):
    source = cut(viewer, layer, "whole", current_frame=False)
    words = shlex.split(command_line(["denoise", *files(source, "denoised.tif")], config))
    again, others = understood(words, DenoiseConfig)
    assert again == config
    assert str(others["output"]) == "INPUT-denoised.tif"


@pytest.mark.parametrize("config", CONFIGS)
def test_yaml_holds_the_config(config):
    assert DenoiseConfig(**yaml.safe_load(as_yaml(config))) == config
