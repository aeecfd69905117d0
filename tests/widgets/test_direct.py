"""Direct denoisers in the panels: the Denoise panel with its slider, and the Train panel's own fields."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QPushButton

from napari_gandenoise.models import load_model_file
from napari_gandenoise.models.verification import verify_model
from napari_gandenoise.settings.train import DirectTrainConfig, TrainConfig
from napari_gandenoise.widgets import DenoiseWidget, TrainWidget

MINUTE = 60_000


@pytest.fixture
def viewer():
    return ViewerModel()


@pytest.fixture
def panel(qtbot, viewer, layer, write_direct_model, tmp_path):
    """The Denoise panel with a direct denoiser chosen."""
    widget = DenoiseWidget(viewer)
    widget.form.field("model").open(str(write_direct_model(tmp_path, pixel_size_nm=0.0244)))
    qtbot.waitUntil(lambda: not widget.busy, timeout=MINUTE)
    yield widget
    widget.cancel()
    qtbot.waitUntil(lambda: not widget.busy, timeout=MINUTE)


def run(qtbot, panel):
    panel.panel.run.click()
    qtbot.waitUntil(lambda: not panel.busy, timeout=MINUTE)


def test_only_what_a_direct_denoiser_takes_can_be_set(panel, write_direct_model, tmp_path):
    form = panel.form
    assert {"preset", "strength", "views", "grain"} <= set(form.names())  # the preset says in how many views
    assert form.field("views").box.text() == "automatic"
    form["strength"].value = 0.5
    form["model"].value = "hrtem"
    assert "preset" in form.names()
    assert form["strength"].native.isHidden()
    assert form.config().strength is None
    form.field("model").open(str(write_direct_model(tmp_path, "clean", intensity="absolute")))
    assert "preset" not in form.names()  # a photograph is cleaned in one view, whatever the preset
    assert "white" in form.names()


def test_the_slider_blends_the_result_with_the_input(qtbot, viewer, layer, panel):
    assert not panel.before_after.intensity.isEnabled()
    run(qtbot, panel)
    result = denoised(viewer)
    full = result.data.copy()
    assert panel.before_after.intensity.isEnabled()
    panel.before_after.intensity.slider.setValue(40)
    # The counts as the model saw them, summed: single electrons would be salt and pepper.
    noise = layer.data - full
    summed = noise.reshape(full.shape[0] // 4, 4, full.shape[1] // 4, 4).mean(axis=(1, 3))
    summed = summed.repeat(4, axis=0).repeat(4, axis=1)
    np.testing.assert_allclose(result.data, full + 0.6 * summed, atol=1e-5)
    assert result.metadata["napari-gandenoise"]["intensity"] == 0.4
    np.testing.assert_allclose(result.translate, layer.translate)
    panel.before_after.intensity.slider.setValue(0)
    np.testing.assert_allclose(result.data, full + summed, atol=1e-5)
    panel.before_after.intensity.slider.setValue(100)
    np.testing.assert_array_equal(result.data, full)


def test_the_slider_lets_go_of_a_layer_that_is_gone(qtbot, viewer, panel):
    run(qtbot, panel)
    viewer.layers.remove(denoised(viewer))
    assert not panel.before_after.intensity.isEnabled()
    assert panel.before_after.intensity.slider.value() == 100
    assert not panel.before_after.isVisibleTo(panel)


def test_a_strength_that_is_set_is_used(qtbot, viewer, layer, panel):
    panel.form["strength"].value = 0.1
    panel.form["residual_step"].value = False
    run(qtbot, panel)
    # This model takes the strength, times the mean, away from every pixel.
    assert denoised(viewer).data.mean() == pytest.approx(0.9 * layer.data.mean(), rel=0.02)
    assert "--strength 0.1" in copied(panel, "command")


def test_views_that_are_set_are_planned_and_copied(qtbot, viewer, layer, panel):
    panel.form["views"].value = 3
    qtbot.waitUntil(lambda: "3 views" in panel.panel.plan.toolTip(), timeout=MINUTE)
    assert "--views 3" in copied(panel, "command")
    run(qtbot, panel)
    assert denoised(viewer).metadata["napari-gandenoise"]["config"]["views"] == 3


def denoised(viewer):
    """The result below the outlines of its regions: this model's are wrong, and it is said."""
    return [layer for layer in viewer.layers if layer.name.startswith("denoised")][-1]


def copied(panel, kind: str) -> str:
    panel.findChild(QPushButton, f"copy_{kind}").click()
    return QGuiApplication.clipboard().text()


def choose(trainer, network):
    trainer.form["kind"].value = "direct"
    trainer.form["settings.architecture.kind"].value = network


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
    widget.output.value = tmp_path / "run"
    widget.data.kind.setCurrentIndex(widget.data.kind.findData("folder"))
    yield widget
    widget.stop()
    qtbot.waitUntil(lambda: not widget.busy, timeout=MINUTE)


@pytest.mark.parametrize(
    ("network", "recipe", "size"),
    [("unet", "restoration-gan", 128), ("encoder-decoder", "wgan-gp", 64), ("autoencoder", "autoencoder-gan", 32)],
)
def test_a_network_brings_its_own_fields(trainer, pictures, tmp_path, network, recipe, size):
    form = trainer.form
    form["kind"].value = "latent"
    latent = next(name for name in form.names() if name.endswith(".latent"))
    assert latent == "settings.architecture.latent"
    form["kind"].value = "direct"
    form["settings.architecture.kind"].value = network
    assert form["settings.recipe.kind"].value == recipe
    assert "settings.generator_rate" not in form.names()
    trainer.data.folder.value = pictures
    config = trainer.config("direct", tmp_path / "run")
    assert isinstance(config, DirectTrainConfig)
    assert (config.architecture.kind, config.recipe.kind, config.size) == (network, recipe, size)
    assert config.tiles.pose == "upright"
    assert network in copied(trainer, "yaml")
    assert "gd.DirectTrainConfig(" in copied(trainer, "python")
    form["kind"].value = "latent"
    assert form["settings.recipe"].value == "stable"
    assert "settings.generator_rate" in form.names()
    assert isinstance(trainer.config("latent", tmp_path / "run"), TrainConfig)


def test_settings_come_back(trainer, pictures, tmp_path):
    choose(trainer, "autoencoder")
    trainer.data.folder.value = pictures
    changed = trainer.config("direct", tmp_path / "run").model_copy(update={"rate": 3e-4, "steps": 7})
    trainer.form["kind"].value = "latent"
    trainer.restore(changed)
    assert trainer.config("direct", tmp_path / "run") == changed


def test_the_next_session_starts_with_what_was_changed(qtbot, viewer, trainer, pictures, tmp_path):
    choose(trainer, "encoder-decoder")
    trainer.data.folder.value = pictures
    trainer.name.value = "mine"
    trainer.form["settings.recipe.pixel"].value = 2.0
    trainer.form["settings.batch"].value = 16  # as it is suggested
    trainer.form["settings.steps"].value = 12
    expected = trainer.config("mine", tmp_path / "run")
    trainer.form.remember("train", name="mine", output=str(tmp_path / "run"))
    again = TrainWidget(viewer)
    assert again.name.value == "mine"
    assert again.output.value == tmp_path / "run"
    assert again.config("mine", tmp_path / "run") == expected
    again.deleteLater()


@pytest.mark.slow  # the panel's part is the same for any run, the stages are those of training/test_direct.py
def test_a_run_goes_through_all_its_stages(qtbot, trainer, pictures, tmp_path):
    choose(trainer, "autoencoder")
    trainer.data.folder.value = pictures
    small = {
        "steps": 2, "batch": 2, "pool": 64, "held_out": 1, "device": "cpu", "tiles": {"pose": "upright",
        "intensity": "absolute", "scale": 0.0},
        "recipe": {"kind": "autoencoder-gan", "pretraining": 3, "judge_pretraining": 2},
        "architecture": {"kind": "autoencoder", "size": 32, "filters": [4, 4, 4], "latent": 20},
    }  # fmt: skip
    given = trainer.config("direct", tmp_path / "run").model_dump(mode="json")
    small["architecture"]["channels"] = given["architecture"]["channels"]
    trainer.restore(DirectTrainConfig.model_validate({**given, **small}))
    trainer.panel.start.click()
    qtbot.waitUntil(lambda: not trainer.busy, timeout=2 * MINUTE)
    model = load_model_file(tmp_path / "run" / "my-model.safetensors")
    verify_model(model)
    assert model.header.training["step"] == 7 + 1  # the last one tests the held-out image
    assert "finished" in trainer.panel.plan.text()


def test_cancel_keeps_the_frames_of_a_movie_that_are_done(qtbot, viewer, panel):
    movie = np.random.default_rng(0).poisson(2.0, (4, 96, 96)).astype(np.float32)
    viewer.layers.clear()
    viewer.add_image(movie, scale=(1, 0.0244, 0.0244), units=("pixel", "nm", "nm"))
    viewer.dims.set_current_step(0, 0)  # the frame in sight is denoised first
    qtbot.waitUntil(lambda: not panel.busy, timeout=MINUTE)
    seen = []

    def stop(event):
        seen.append(event.preview is not None)
        if event.stage.startswith("frame 3/"):
            panel.cancel()

    panel._run._runner.progressed.connect(stop)
    run(qtbot, panel)
    partial = viewer.layers[-1]
    assert partial.name.endswith("(partial)")
    assert any(seen)
    assert np.isfinite(partial.data[:2]).all()
    assert np.isnan(partial.data[3]).all()
