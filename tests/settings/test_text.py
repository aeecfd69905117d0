"""Settings as text: what is written is what means something, what is read is laid over what there is."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.settings.batch import BatchConfig
from napari_gandenoise.settings.compare import CompareConfig
from napari_gandenoise.settings.denoise import DenoiseConfig
from napari_gandenoise.settings.noise import Gaussian, Poisson, PoissonGaussian
from napari_gandenoise.settings.restore import RestoreConfig
from napari_gandenoise.settings.text import (
    as_arguments,
    as_options,
    as_yaml,
    command_line,
    lay_over,
    read_word,
    read_yaml,
    written,
)
from napari_gandenoise.settings.train import DirectTrainConfig, TrainConfig, read_training

DATA = {"name": "mine", "data": {"kind": "simulated", "path": "set.zarr"}, "output": "run"}


def test_yaml_holds_what_is_in_front_and_what_was_changed():
    assert yaml.safe_load(as_yaml(DenoiseConfig(seed=3))) == {
        "model": "auto",
        "preset": "balanced",
        "adapt": "off",
        "seed": 3,
    }
    assert yaml.safe_load(as_yaml(RestoreConfig(task="inpaint"))) == {"task": "inpaint", "model": "hrtem"}
    assert "factor: 2" in as_yaml(RestoreConfig(task="super-resolve"))


def test_parts_hold_their_kind_and_what_was_changed():
    config = DirectTrainConfig.model_validate(
        {
            **DATA,
            "tiles": {"pose": "upright", "scale": 0.1},
            "recipe": {"kind": "wgan-gp", "pixel": 2.0, "feature": 1.0},
        }
    )
    fields = yaml.safe_load(as_yaml(config))
    assert fields["tiles"] == {"pose": "upright"}
    assert fields["recipe"] == {"kind": "wgan-gp", "pixel": 2.0}
    assert fields["architecture"] == {"kind": "unet"}
    assert read_training(fields) == config


@pytest.mark.parametrize("fields", [{}, {"critic_steps": 1}, {"penalty": 1.0, "generator_rate": 5e-4}])
def test_what_a_recipe_would_set_is_written(fields):
    config = TrainConfig.model_validate({**DATA, "recipe": "wgan-gp", **fields})
    assert read_training(yaml.safe_load(as_yaml(config))) == config
    assert "--critic-steps" in as_options(config)


@pytest.mark.parametrize("noise", [Poisson(), PoissonGaussian(gain=2, read_noise=1.23456789), Gaussian(sigma=0.1)])
def test_noise_is_written_with_all_its_numbers(noise):
    words = as_options(CompareConfig(noise=noise))
    given = {word: float(words[i + 1]) for i, word in enumerate(words) if word in ("--gain", "--offset", "--sigma")}
    names = ("sigma",) if isinstance(noise, Gaussian) else ("gain", "offset")
    assert given == {f"--{name}": getattr(noise, name) for name in names}
    assert ("--read-noise" in words) == isinstance(noise, PoissonGaussian)
    [argument] = [text for text in as_arguments(CompareConfig(noise=noise)) if text.startswith("noise=")]
    assert eval(argument.removeprefix("noise=gd."), {type(noise).__name__: type(noise)}) == noise


def test_what_means_nothing_is_no_option():
    words = as_options(RestoreConfig(task="inpaint", levels=9, poisson_blending=False))
    assert words == ["--task", "inpaint", "--model", "hrtem", "--no-poisson-blending"]
    job = BatchConfig(inputs=("a.tif",), output=Path("out"), settings=DenoiseConfig(preset="fast"))
    assert as_options(job, ("output",)) == ["--job", "denoise", "--preset", "fast"]
    assert as_options(job, ("settings",)) == ["--output", "out", "--job", "denoise"]


def test_a_command_is_quoted_for_the_shell():
    line = command_line(["denoise", "my image.tif", "out.tif"], DenoiseConfig(model="a b", preset="fast"))
    assert line == "napari-gandenoise denoise 'my image.tif' out.tif --model 'a b' --preset fast --adapt off"


@pytest.mark.parametrize(
    ("kind", "value", "word"),
    [
        (tuple[float, ...], [0.1, 0.5, 1], "0.1,0.5,1"),
        (tuple[int, ...], [48, 96, 160], "48,96,160"),
        (tuple[tuple[int, int, int], ...], [[1, 1, 0], [1, -1, 0]], "1,1,0;1,-1,0"),
        (tuple[tuple[int, int, int], ...], [[1, 1, 0]], "1,1,0"),
        (tuple[str, ...], [], ""),
        (float, 0.0123456789, "0.0123456789"),
        (float, 1e-4, "0.0001"),
        (int, 7, "7"),
        (int, "seven", "seven"),
    ],
)
def test_values_are_words_and_back(kind, value, word):
    assert written(value) == word
    assert read_word(kind, word) == value


def test_numbers_of_a_noise_model_replace_that_of_the_file():
    file = {"noise": {"kind": "poisson-gaussian", "gain": 2.0, "offset": 5.0, "read_noise": 1.0}, "seed": 1}
    assert lay_over(file, {("noise", "gain"): 3.0}) == {"noise": {"kind": "poisson", "gain": 3.0}, "seed": 1}
    assert lay_over(file, {("noise", "sigma"): 3.0})["noise"] == {"kind": "gaussian", "sigma": 3.0}
    assert lay_over(file, {("noise", "read_noise"): 0.0})["noise"] == {"kind": "poisson"}
    assert file["noise"]["gain"] == 2.0
    with pytest.raises(GanDenoiseError, match="either --sigma or the numbers of a camera"):
        lay_over(file, {("noise", "sigma"): 3.0, ("noise", "gain"): 1.0})


def test_another_kind_empties_a_part_and_the_same_keeps_it():
    file = {"recipe": {"kind": "wgan-gp", "pixel": 2.0}}
    assert lay_over(file, {("recipe", "kind"): "wgan-gp"}) == file
    assert lay_over(file, {("recipe", "loss"): "poisson", ("recipe", "kind"): "supervised"}) == {
        "recipe": {"kind": "supervised", "loss": "poisson"}
    }


def test_a_part_that_the_file_lacks_begins_with_its_defaults():
    """A latent GAN has a principal path unless its settings or its file say otherwise."""
    laid = lay_over(DATA, {("architecture", "size"): 32}, [TrainConfig, DirectTrainConfig])
    assert read_training(laid).architecture.principal
    laid = lay_over({**DATA, "architecture": {"width": 8}}, {("architecture", "size"): 32}, [TrainConfig])
    assert not read_training(laid).architecture.principal


@pytest.mark.parametrize(("text", "said"), [("- fast\n", "must hold a mapping"), ("a: [b\n", "is not a YAML file")])
def test_files_that_hold_no_settings_are_named(tmp_path, text, said):
    (tmp_path / "settings.yaml").write_text(text)
    with pytest.raises(GanDenoiseError, match=said):
        read_yaml(tmp_path / "settings.yaml")
