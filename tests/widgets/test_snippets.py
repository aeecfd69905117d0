"""The copied Python, command and YAML mean the same run as the panel."""

from __future__ import annotations

import ast
import shlex

import numpy as np
import pytest
import typer
import yaml
from napari.components import ViewerModel

import napari_gandenoise as gd
from napari_gandenoise.cli import app
from napari_gandenoise.settings.denoise import DenoiseConfig
from napari_gandenoise.settings.noise import Gaussian, Poisson, PoissonGaussian
from napari_gandenoise.widgets.forms.snippets import as_command, as_python, as_yaml
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
    DenoiseConfig(objective="squared", clipping="stochastic", sharpness=True),
    DenoiseConfig(replicates=8),
]


@pytest.fixture
def viewer():
    return ViewerModel()


@pytest.fixture
def layer(viewer):
    return viewer.add_image(np.arange(7 * 40 * 60).reshape(7, 40, 60), name="a 'quoted' name")


def _call(code: str) -> ast.Call:
    assignment = next(node for node in ast.parse(code).body if isinstance(node, ast.Assign))
    return assignment.value


@pytest.mark.parametrize("config", [*CONFIGS, DenoiseConfig(noise=Gaussian(sigma=0.1))])
def test_python_holds_the_config(viewer, layer, config):
    call = _call(as_python(cut(viewer, layer, "whole", current_frame=False), config))
    given = {word.arg: eval(ast.unparse(word.value), {"gd": gd}) for word in call.keywords}
    assert DenoiseConfig(**given) == config


@pytest.mark.parametrize("current_frame", [True, False])
@pytest.mark.parametrize("region", ["whole", "rectangle"])
def test_python_takes_the_same_pixels(viewer, layer, region, current_frame):
    viewer.add_shapes([np.array([[5, 10], [5, 20], [15, 20], [15, 10]]) - 0.5], shape_type="rectangle")
    viewer.dims.set_point(0, 2)
    source = cut(viewer, layer, region, current_frame=current_frame)
    image = eval(ast.unparse(_call(as_python(source, DenoiseConfig())).args[0]), {"viewer": viewer})
    np.testing.assert_array_equal(getattr(image, "data", image), source.micrograph.pixels)


@pytest.mark.parametrize("config", CONFIGS)
def test_command_is_understood_by_the_command_line(viewer, layer, config):
    words = shlex.split(as_command(cut(viewer, layer, "whole", current_frame=False), config))
    assert words[:2] == ["napari-gandenoise", "denoise"]
    command = typer.main.get_command(app).commands["denoise"]
    options = command.make_context("denoise", words[2:]).params
    for name in ("model", "preset", "seed", "device"):
        assert options[name] == getattr(config, name)
    assert options["pixel_size"] == config.pixel_size_nm
    assert options["residual_step"] in (None, config.residual_step)
    assert config.residual_step or options["residual_step"] is False
    for name, default in (("objective", "likelihood"), ("clipping", "projected"), ("sharpness", False)):
        assert (default if options[name] is None else options[name]) == getattr(config, name)
    assert (options["replicates"] or 0) == config.replicates
    assert (options["uncertainty"] is not None) == (config.replicates > 0)
    if config.noise is not None:
        noise = {name: getattr(config.noise, name, None) for name in ("gain", "offset", "read_noise")}
        assert {name: options[name] for name in noise} == noise


@pytest.mark.parametrize("config", CONFIGS)
def test_yaml_holds_the_config(config):
    assert DenoiseConfig(**yaml.safe_load(as_yaml(config))) == config
