"""Direct denoisers in the panels: the Denoise panel with its slider, and the Train panel's own fields."""

from __future__ import annotations

import numpy as np
import pytest

from napari_gandenoise.models import load_model_file
from napari_gandenoise.models.verification import verify_model
from napari_gandenoise.settings.train import DirectTrainConfig
from napari_gandenoise.widgets import DenoiseWidget, TrainWidget
from napari_gandenoise.widgets.forms.snippets import training_python, training_yaml

MINUTE = 60_000


@pytest.fixture
def panel(qtbot, viewer, layer, write_direct_model, tmp_path):
    """The Denoise panel with a direct denoiser chosen."""
    widget = DenoiseWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Denoise")
    widget.form.model.open(str(write_direct_model(tmp_path, pixel_size_nm=0.0244)))
    qtbot.waitUntil(lambda: not widget.busy, timeout=MINUTE)
    yield widget
    widget.cancel()
    qtbot.waitUntil(lambda: not widget.busy, timeout=MINUTE)


def run(qtbot, panel):
    panel.panel.run.click()
    qtbot.waitUntil(lambda: not panel.busy, timeout=MINUTE)


def test_only_what_a_direct_denoiser_takes_can_be_set(panel):
    form = panel.form
    assert not any(field.isEnabled() for field in (form.objective, form.clipping, form.sharpness))
    assert form.preset.isEnabled()  # it says in how many views a micrograph is cleaned
    assert form.direct["strength"].isEnabled()
    assert form.direct["views"].text() == "automatic"
    form.model.set_value("hrtem")
    assert form.preset.isEnabled()
    assert not form.direct["strength"].isEnabled()


def test_the_slider_blends_the_result_with_the_input(qtbot, viewer, layer, panel):
    assert not panel.intensity.isEnabled()
    run(qtbot, panel)
    result = viewer.layers[-1]
    full = result.data.copy()
    assert panel.intensity.isEnabled()
    panel.intensity.slider.setValue(40)
    np.testing.assert_allclose(result.data, layer.data + 0.4 * (full - layer.data), atol=1e-5)
    assert result.metadata["napari-gandenoise"]["intensity"] == 0.4
    np.testing.assert_allclose(result.translate, layer.translate)
    panel.intensity.slider.setValue(0)
    np.testing.assert_allclose(result.data, layer.data, atol=1e-5)
    panel.intensity.slider.setValue(100)
    np.testing.assert_array_equal(result.data, full)


def test_the_slider_lets_go_of_a_layer_that_is_gone(qtbot, viewer, panel):
    run(qtbot, panel)
    viewer.layers.pop()
    panel.intensity.slider.setValue(50)
    assert not panel.intensity.isEnabled()
    assert panel.intensity.slider.value() == 100


def test_a_strength_that_is_set_is_used(qtbot, viewer, layer, panel):
    panel.form.direct.set_values({"strength": 0.1})
    panel.form.residual_step.setChecked(False)
    run(qtbot, panel)
    # This model takes the strength, times the mean, away from every pixel.
    assert viewer.layers[-1].data.mean() == pytest.approx(0.9 * layer.data.mean(), rel=0.02)
    assert "--strength 0.1" in panel_command(panel)


def test_views_that_are_set_are_planned_and_copied(qtbot, viewer, layer, panel):
    panel.form.direct.set_values({"views": 3})
    qtbot.waitUntil(lambda: "3 views" in panel.panel.plan.text(), timeout=MINUTE)
    assert "--views 3" in panel_command(panel)
    run(qtbot, panel)
    assert viewer.layers[-1].metadata["napari-gandenoise"]["config"]["views"] == 3


def panel_command(panel) -> str:
    from qtpy.QtGui import QGuiApplication
    from qtpy.QtWidgets import QPushButton

    panel.findChild(QPushButton, "copy_command").click()
    return QGuiApplication.clipboard().text()


@pytest.fixture
def pictures(tmp_path, rng):
    import imageio.v3 as imageio

    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(6):
        imageio.imwrite(folder / f"{number}.png", rng.integers(0, 256, (80, 80, 3), dtype=np.uint8))
    return folder


@pytest.fixture
def trainer(qtbot, viewer, pictures, tmp_path):
    """The Train panel with a folder of pictures."""
    widget = TrainWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Train")
    widget.output.set_value(tmp_path / "run")
    form = widget.form
    form.data.kind.setCurrentIndex(form.data.kind.findData("folder"))
    yield widget
    widget.stop()
    qtbot.waitUntil(lambda: not widget.busy, timeout=MINUTE)


@pytest.mark.parametrize(
    ("network", "recipe", "size"),
    [("unet", "supervised", 128), ("encoder-decoder", "wgan-gp", 64), ("autoencoder", "autoencoder-gan", 32)],
)
def test_a_network_brings_its_own_fields(trainer, pictures, tmp_path, network, recipe, size):
    form = trainer.form
    form.network.setCurrentIndex(form.network.findData(network))
    assert form.recipe.currentData() == recipe
    assert not form.networks["latent"].isVisibleTo(form)
    form.data.folder.set_value(pictures)
    config = form.config("direct", tmp_path / "run")
    assert isinstance(config, DirectTrainConfig)
    assert (config.architecture.kind, config.recipe.kind, config.size) == (network, recipe, size)
    assert config.tiles.pose == "upright"
    assert network in training_yaml(config)
    assert "DirectTrainConfig" in training_python(config)
    form.network.setCurrentIndex(form.network.findData("dcgan"))
    assert form.recipe.currentData() == "stable"
    assert form.networks["latent"].isVisibleTo(form)


def test_settings_come_back(trainer, pictures, tmp_path):
    form = trainer.form
    form.network.setCurrentIndex(form.network.findData("autoencoder"))
    form.data.folder.set_value(pictures)
    changed = form.config("direct", tmp_path / "run").model_copy(update={"rate": 3e-4, "steps": 7})
    form.network.setCurrentIndex(form.network.findData("dcgan"))
    form.restore(changed)
    assert form.config("direct", tmp_path / "run") == changed


def test_a_run_goes_through_all_its_stages(qtbot, trainer, pictures, tmp_path):
    form = trainer.form
    form.network.setCurrentIndex(form.network.findData("autoencoder"))
    form.data.folder.set_value(pictures)
    small = {
        "steps": 2, "batch": 2, "pool": 64, "held_out": 1, "device": "cpu", "tiles": {"pose": "upright",
        "intensity": "absolute", "scale": 0.0},
        "recipe": {"kind": "autoencoder-gan", "pretraining": 3, "judge_pretraining": 2},
        "architecture": {"kind": "autoencoder", "size": 32, "filters": [4, 4, 4], "latent": 20},
    }  # fmt: skip
    given = form.config("direct", tmp_path / "run").model_dump(mode="json")
    small["architecture"]["channels"] = given["architecture"]["channels"]
    form.restore(DirectTrainConfig.model_validate({**given, **small}))
    trainer.panel.start.click()
    qtbot.waitUntil(lambda: not trainer.busy, timeout=2 * MINUTE)
    model = load_model_file(tmp_path / "run" / "my-model.safetensors")
    verify_model(model)
    assert model.header.training["step"] == 7 + 1  # the last one tests the held-out image
    assert "finished" in trainer.panel.plan.text()
