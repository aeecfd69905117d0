"""Try an installed wheel as its user would: ``python .ci/smoke.py``, in an environment with or without napari.

The command line lists the models and denoises the middle of the sample; with napari, the viewer opens the sample
and each panel; without it, a panel says in one sentence what is missing.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tempfile
from importlib.util import find_spec
from pathlib import Path

import napari_gandenoise as gd
from napari_gandenoise.evaluation import psnr
from napari_gandenoise.simulate.samples import sample_micrograph, sample_truth

MIDDLE = slice(470, 726), slice(470, 726)  # of the sample: the particle
GAIN = 10  # dB that denoising must gain there; it gains about 20


def main() -> None:
    """Try all of it; what fails raises."""
    assert Path(gd.__file__).is_relative_to(sysconfig.get_path("purelib")), f"{gd.__file__} is not what was installed"
    print(f"napari-gandenoise {gd.__version__}, Python {sys.version.split()[0]}")
    try_commands()
    if find_spec("napari") is None:
        try_without_napari()
    else:
        try_viewer()


def try_commands() -> None:
    """List the models, and denoise a file."""
    listed = _command("models", "list")
    assert "hrtem-unet" in listed, listed
    micrograph, truth = sample_micrograph(), sample_truth().pixels[MIDDLE]
    with tempfile.TemporaryDirectory() as folder:
        noisy, clean = Path(folder, "noisy.tif"), Path(folder, "clean.tif")
        gd.write_tiff(noisy, micrograph.pixels[MIDDLE], pixel_size_nm=micrograph.pixel_size_nm)
        print(_command("denoise", str(noisy), str(clean)))
        before, after = (psnr(truth, gd.read_micrograph(path).pixels) for path in (noisy, clean))
    print(f"PSNR: {before:.1f} dB noisy, {after:.1f} dB denoised")
    assert after > before + GAIN


def _command(*words: str) -> str:
    command = Path(sysconfig.get_path("scripts"), "napari-gandenoise")
    return subprocess.run([command, *words], check=True, stdout=subprocess.PIPE, text=True, encoding="utf-8").stdout


def try_without_napari() -> None:
    """Ask for a panel where there is no viewer."""
    code = "from napari_gandenoise.widgets import DenoiseWidget"
    tried = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    print(tried.stderr.splitlines()[-1])
    assert "napari-gandenoise[all]" in tried.stderr, tried.stderr


def try_viewer() -> None:
    """Open the viewer, the sample and all panels, through the plugin manifest."""
    import napari

    viewer = napari.Viewer(show=False)
    viewer.open_sample("napari-gandenoise", "micrograph")
    for panel in ("Denoise", "Columns", "Restore", "Compare", "Batch", "Train", "Simulate"):
        viewer.window.add_plugin_dock_widget("napari-gandenoise", panel)
    print(f"napari {napari.__version__}: {len(viewer.layers)} layers, {len(viewer.window.dock_widgets)} panels")
    assert viewer.layers
    viewer.close()


if __name__ == "__main__":
    main()
