"""What is handed out: its licences, its version, and what it says where the viewer is missing."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import distribution, version
from pathlib import Path

from packaging.requirements import Requirement

import napari_gandenoise as gd

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def required_by(requirements: list[str]) -> set[str]:
    """Names of all that an installation brings, by what is installed here."""
    found: set[str] = set()
    waiting = [(Requirement(text), {""}) for text in requirements]
    while waiting:
        one, wanted = waiting.pop()
        if one.marker is not None and not any(one.marker.evaluate({"extra": extra}) for extra in wanted):
            continue
        if one.name in found and not one.extras:
            continue
        found.add(one.name)
        waiting += [(Requirement(text), {"", *one.extras}) for text in distribution(one.name).requires or ()]
    return found


def licence_of(name: str) -> str:
    """What a distribution calls its licence: an expression, a line, or classifiers."""
    about = distribution(name).metadata
    line = (about.get("License") or "").partition("\n")[0]
    classifiers = [text for text in about.get_all("Classifier") or () if text.startswith("License")]
    return " ".join([about.get("License-Expression") or line, *classifiers])


def test_the_manifest_at_the_root_is_the_one_that_is_shipped():
    shipped = (ROOT / "src" / "napari_gandenoise" / "napari.yaml").read_text(encoding="utf-8")
    assert (ROOT / "napari.yaml").read_text(encoding="utf-8") == shipped, "copy that of the package over it"


def test_the_core_brings_nothing_under_the_gpl():
    brought = required_by(PROJECT["dependencies"])
    assert {"torch", "numpy", "tifffile", "fsspec"} <= brought  # the last by dask
    assert [name for name in brought if re.search(r"(?<!L)GPL|General Public", licence_of(name))] == []


def test_the_pattern_knows_the_gpl():
    assert re.search(r"(?<!L)GPL|General Public", licence_of("rosettasciio"))


def test_the_version_is_the_installed_one():
    assert gd.__version__ == version("napari-gandenoise")


def test_a_panel_without_napari_says_what_to_install():
    code = "import sys; sys.modules['napari'] = None; from napari_gandenoise.widgets import DenoiseWidget"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.stderr.splitlines()[-1] == (
        "ModuleNotFoundError: The panels need napari and Qt, which are not installed: "
        "pip install 'napari-gandenoise[all]'."
    )
