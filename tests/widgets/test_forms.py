"""Forms made from settings: each setting of each job has its field in a panel, its place in config and snippets."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
import yaml
from napari.components import ViewerModel
from pydantic import BaseModel
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QPushButton

from napari_gandenoise.models.calibration import UNCALIBRATED
from napari_gandenoise.settings.base import Settings, setting
from napari_gandenoise.settings.batch import BatchConfig
from napari_gandenoise.settings.compare import CompareConfig
from napari_gandenoise.settings.denoise import DenoiseConfig
from napari_gandenoise.settings.fields import Leaf, value_at, walk
from napari_gandenoise.settings.noise import Gaussian, PoissonGaussian
from napari_gandenoise.settings.restore import RestoreConfig
from napari_gandenoise.settings.simulate import SimulationConfig
from napari_gandenoise.widgets import (
    BatchWidget,
    CompareWidget,
    DenoiseWidget,
    RestoreWidget,
    SimulateWidget,
    TrainWidget,
)
from napari_gandenoise.widgets.forms.form import SettingsForm
from napari_gandenoise.widgets.forms.memory import recall, remember
from napari_gandenoise.widgets.layout.rows import Folded
from napari_gandenoise.widgets.training.form import Training

MINUTE = 60_000
PANELS: dict[type[Settings], Any] = {
    DenoiseConfig: DenoiseWidget,
    RestoreConfig: RestoreWidget,
    CompareConfig: CompareWidget,
    BatchConfig: BatchWidget,
    SimulationConfig: SimulateWidget,
    Training: TrainWidget,
}
# Facts that only models tell, with a model of which they hold.
KINDS = {
    "latent": "latent", "direct": "direct", "micrographs": "latent", "photographs": "photographs",
    "latent photographs": "photographs", "direct micrographs": "direct", "direct photographs": "direct photographs",
    "drawing": "drawing",
}  # fmt: skip
# Values for what cannot be made up from a setting's type.
GIVEN = {
    "noise": PoissonGaussian(gain=2.0, offset=1.0, read_noise=0.5), "methods": ("flat", "gan"),
    "zone_axes": ((1, 0, 0),), "support_zone_axes": ((1, 0, 0),), "pixel_size_nm": 0.03, "widths": (8, 16),
    "windows": (8, 4), "filters": (4, 4, 4), "start": "hrtem-unet", "model": "hrtem-unet",
    "batch": 7,
    "dose": (2.0, 5.0), "share": 0.25, "cif": (Path("/somewhere/one.cif"), Path("/somewhere/other.cif")),
}  # fmt: skip
OWN = ("name", "output", "acquisition.dose")  # which a panel asks for by itself
ELSEWHERE = ("data", "files", "hidden")  # fields with tests of their own, or whose value follows from others


@pytest.fixture(scope="module")
def models(tmp_path_factory, write_direct_model, write_photograph_model, write_random_model):
    """Paths of a model of each kind."""
    folder = tmp_path_factory.mktemp("models")
    return {
        "latent": "hrtem",
        "direct": str(write_direct_model(folder, pixel_size_nm=0.0244)),
        "photographs": str(write_photograph_model(folder)),
        "direct photographs": str(write_direct_model(folder, "clean", intensity="absolute")),
        "drawing": str(write_random_model(folder, samples=UNCALIBRATED, pixel_size_nm=0.0244)),
    }


@pytest.fixture
def viewer(counts):
    """The sample, for panels that look at a layer."""
    model = ViewerModel()
    model.add_image(counts[:128, :128], name="noisy", scale=(0.0061, 0.0061), units=("nm", "nm"))
    return model


@pytest.fixture
def open_panel(qtbot, viewer):
    """``open_panel(kind)``: a panel without a window; whatever it still does is waited for at the end."""
    made = []

    def make(kind):
        widget = kind(viewer)
        made.append(widget)
        return widget

    yield make
    for widget in made:
        qtbot.waitUntil(lambda widget=widget: not widget.busy, timeout=MINUTE)
        widget.deleteLater()


def _other(leaf: Leaf, before: Any) -> Any:
    """Return a value that a setting takes and does not have yet."""
    name = leaf.path[-1]
    if name in GIVEN:
        return GIVEN[name]
    if leaf.kind is Path:
        return Path("/somewhere") / name
    values = list(leaf.choices)
    if get_origin(leaf.kind) is tuple:
        return tuple(values[:1]) if values else _of_tuple(leaf, before)
    if values:
        return next(value for value in values if value not in (before, None))
    if leaf.kind is bool:
        return not before
    if leaf.kind is str:
        return "words"
    rules = {
        key: getattr(rule, key)
        for rule in leaf.info.metadata
        for key in ("ge", "le", "lt", "multiple_of")
        if hasattr(rule, key)
    }
    step = rules.get("multiple_of", 1 if leaf.kind is int else 0.25)
    if before is None:
        return leaf.kind(max(rules.get("ge", 0), 0) + step)
    raised, lowered = before + step, before - step
    if raised <= rules.get("le", raised) and raised < rules.get("lt", raised + 1):
        return raised
    return lowered if lowered >= rules.get("ge", 0) else rules["le"]


def _of_tuple(leaf: Leaf, before: Any) -> tuple[Any, ...]:
    inner = get_args(leaf.kind)[0]
    if get_origin(inner) is Literal:
        return tuple(value for value in get_args(inner) if value not in before)[:1]
    low, high = before
    return round(low + (high - low) / 4, 6) or 0.25, high or 0.5


def _bring_up(panel, leaf, models):
    """Set what has to hold for a setting to mean anything."""
    for name, allowed in (leaf.when[0] if leaf.when else {}).items():
        if name == "model kind":
            prefix = "settings." if leaf.path[0] == "settings" else ""
            panel.form[f"{prefix}model"].value = models[KINDS[allowed[0]]]
        else:
            panel.form[name].value = allowed[0]
            if allowed[0] == "posterior-gan":  # a branch needs what it grows on
                panel.form["settings.start"].value = "hrtem-unet"
    if leaf.path[-1] == "pose":  # direct denoisers have one pose only
        panel.form["kind"].value = "latent"
    if leaf.path[-1] == "adversarial_every":  # every other one would leave steps without a loss
        panel.form["settings.encoder"].value = "evidence"


def _complete(panel, tmp_path):
    """Fill in what has no default; return how the panel makes its config."""
    if isinstance(panel, BatchWidget):
        panel.form["inputs"].value = (str(tmp_path / "a.tif"),)
        panel.form["output"].value = tmp_path / "out"
    if isinstance(panel, TrainWidget):
        panel.output.value = tmp_path / "run"
        panel.form["material.cif"].value = (tmp_path / "a.cif",)
        panel.form["settings.data"].value = {"kind": "simulated", "path": str(tmp_path / "set.zarr")}


@pytest.mark.parametrize("model", PANELS, ids=lambda model: model.__name__)
def test_every_setting_can_be_set_in_its_panel(open_panel, models, tmp_path, model):
    panel = open_panel(PANELS[model])
    _complete(panel, tmp_path)
    start = panel.form.values()
    for leaf in walk(model, whole=("noise", "data")):
        if leaf.field in ELSEWHERE or leaf.path[-1] in OWN or leaf.dotted in OWN:
            continue
        if leaf.path == ("image",):  # of a file: in the viewer each is a layer
            continue
        panel.form.set_values(start)
        _bring_up(panel, leaf, models)
        assert leaf.dotted in panel.form.names()
        wanted = _other(leaf, panel.form[leaf.dotted].value)
        panel.form[leaf.dotted].value = wanted
        _check(panel, model, leaf, wanted)


def _check(panel, model, leaf, wanted):
    """See the value in the config, and in what *Copy as YAML* gives."""
    config = _config(panel)
    path = leaf.path[1:] if model is Training and len(leaf.path) > 1 else leaf.path
    chosen = {("kind",): "TrainConfig", ("have",): "DirectTrainConfig"}  # of a run, by no field of its own
    if path in chosen:
        assert type(config).__name__ == chosen[path]
        return
    assert value_at(config, path) == wanted, leaf.dotted
    panel.findChild(QPushButton, "copy_yaml").click()
    again = type(config).model_validate(yaml.safe_load(QGuiApplication.clipboard().text()))
    assert again == config, leaf.dotted


def _config(panel):
    if isinstance(panel, TrainWidget):
        return panel.config(panel.name.value, panel.output.value)
    return panel.form.config()


class Part(Settings):
    """A part of the settings below."""

    depth: int = setting(1, "How deep.", ge=0, le=9)


class Example(Settings):
    """Settings of all sorts."""

    mode: Literal["plain", "deep"] = setting("plain", "Which.", choices={"plain": "Plain", "deep": "Deep"})
    part: Part = setting(Part(), "A part.", group="More", only={"mode": ("deep",)})
    size_nm: float | None = setting(None, "Size.", title="Size", unit="nm", group="More", gt=0)
    count: int = setting(3, "How many.", group="More", ge=0)
    colour: float = setting(0.5, "Of the image.", group="More", of_image=True)
    told: bool = setting(False, "Only if it is told.", group="More", only={"fact": ("known",)})


@pytest.fixture
def form(qtbot):
    made = SettingsForm(Example)
    qtbot.addWidget(made)
    return made


def test_a_form_starts_with_the_defaults(form):
    assert form.config() == Example()
    assert form["size_nm"].field.box.text() == "automatic"
    assert form["count"].tooltip == "How many."


def test_what_means_nothing_is_hidden_and_left_at_its_default(form):
    form["mode"].value = "deep"
    form["part.depth"].value = 4
    assert not form["part.depth"].native.isHidden()
    assert form.config().part.depth == 4
    form["mode"].value = "plain"
    assert form["part.depth"].native.isHidden()
    assert form.config() == Example()
    form.set_fact("fact", "known", holds=True)
    assert "told" in form.names()


def test_a_group_says_how_many_of_its_settings_are_changed_and_resets_them(form):
    section = form.findChild(Folded)
    assert section.text() == "▸ More"
    assert section.reset.isHidden()
    form["count"].value = 5
    form["size_nm"].value = 2.0
    assert section.text() == "▸ More (2 changed)"
    section.reset.click()
    assert form.config() == Example()
    assert section.text() == "▸ More"


def test_a_suggestion_is_no_change(form):
    form.suggest({"count": 8})
    assert form.config().count == 8
    assert form.findChild(Folded).text() == "▸ More"
    form["count"].value = 3
    assert form.findChild(Folded).text() == "▸ More (1 changed)"
    form.reset("More")
    assert form["count"].value == 8


def test_a_config_is_shown_whole_and_told_once(qtbot, form):
    told = []
    form.changed.connect(lambda: told.append(1))
    config = Example(mode="deep", part=Part(depth=7), size_nm=1.5)
    form.set_values(config)
    assert form.config() == config
    assert len(told) == 1
    form.set_values({"count": 1})
    assert form.config() == Example(count=1)


def test_what_was_changed_comes_back_but_nothing_of_the_image_and_nothing_hidden(qtbot, form):
    form["mode"].value = "deep"
    form["part.depth"].value = 4
    form["mode"].value = "plain"
    form["colour"].value = 0.75
    form["count"].value = 9
    form.remember("example", more="kept")
    assert recall("example").settings == {"count": 9}
    again = SettingsForm(Example)
    qtbot.addWidget(again)
    assert again.recall("example") == {"more": "kept"}
    assert again.config() == Example(count=9)


def test_values_of_another_version_are_left_out(form):
    remember("example", {"mode": "magic", "count": "many", "gone": 1, "size_nm": 2.0}, {})
    form.recall("example")
    assert form.config() == Example(size_nm=2.0)


def test_a_first_start_has_nothing_to_remember():
    assert recall("never opened").settings == {}


def test_a_type_without_a_field_is_a_bug_that_shows(qtbot):
    class Odd(Settings):
        table: dict[str, int] = setting({}, "A table.")

    with pytest.raises(TypeError, match="table"):
        SettingsForm(Odd)


def test_bounds_are_those_of_the_settings(form):
    form["mode"].value = "deep"
    form["part.depth"].native.setValue(99)
    assert form.config().part.depth == 9


def test_forms_load_no_network():
    """Importing forms is quick: only making a list of models loads them."""
    import subprocess
    import sys

    code = "import sys, napari_gandenoise.widgets.forms.form; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_noise_of_all_kinds_can_be_set(qtbot, open_panel):
    panel = open_panel(BatchWidget)
    panel.form["settings.noise"].value = Gaussian(sigma=0.5)
    assert isinstance(panel.form.values()["settings"]["noise"], BaseModel)
    assert panel.form.values()["settings"]["noise"] == Gaussian(sigma=0.5)
