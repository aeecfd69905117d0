"""The pictures of the documentation: none is older than its panel."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import pytest
from napari.components import ViewerModel
from PIL import Image

from napari_gandenoise import widgets
from napari_gandenoise.widgets.forms.form import SettingsForm
from napari_gandenoise.widgets.workbench import PANELS

IMAGES = Path(__file__).parents[2] / "docs" / "images"


@pytest.fixture(scope="module")
def fields(qapp):
    """Names of all fields of the forms there are, by the settings that they are made from."""
    viewer, found = ViewerModel(), defaultdict(list)
    for name, (_, kind, *_) in PANELS.items():
        panel = getattr(widgets, kind)(viewer)
        if name == "Train":
            panel.form["have"].value = "noisy"  # which brings a form of its own
        for form in panel.findChildren(SettingsForm):
            found[form.settings].append(form.all_names())
        panel.deleteLater()
    return found


@pytest.mark.parametrize("path", sorted(IMAGES.glob("widget-*.png")), ids=lambda path: path.stem)
def test_a_picture_shows_the_fields_that_its_panel_has(path, fields):
    with Image.open(path) as picture:
        shown = json.loads(picture.info["fields"])
    changed = [settings for settings, names in shown.items() if names not in fields[settings]]
    assert not changed, "take the picture again: docs/make_screenshots.py"
