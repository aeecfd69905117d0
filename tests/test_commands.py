"""The commands of the plugin manifest: from napari's palette and menus, and without a window."""

from __future__ import annotations

import subprocess
import sys
from importlib.resources import files

import imageio.v3 as imageio
import numpy as np
import pytest
import tifffile
from napari.layers import Image
from napari.plugins._npe2 import file_extensions_string_for_layers
from napari.settings import get_settings
from npe2 import PluginManager, PluginManifest

from napari_gandenoise import manifest as commands
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.io import read_images
from napari_gandenoise.micrograph import Micrograph
from napari_gandenoise.models import load_model
from napari_gandenoise.simulate.samples import sample_micrograph

PLUGIN = "napari-gandenoise"


@pytest.fixture(scope="session")
def manifest():
    """The shipped manifest, known to npe2 whether or not the package is installed."""
    manifest = PluginManifest.from_file(files("napari_gandenoise") / "napari.yaml")
    manager = PluginManager.instance()
    if PLUGIN not in manager:
        manager.register(manifest)
    return manifest


@pytest.fixture
def viewer(manifest, make_napari_viewer):
    return make_napari_viewer()


@pytest.fixture(scope="module")
def small():
    return Micrograph(sample_micrograph().pixels[300:620, 400:720], pixel_size_nm=0.0061, name="small")


def test_bare_commands_open_the_panel_of_one_dock(qtbot, viewer):
    from napari._app_model import get_app_model

    opened = {}
    for name in (
        "denoise",
        "adapt",
        "columns",
        "restore",
        "recover",
        "compare",
        "batch_denoise",
        "batch_restore",
        "train",
        "simulate",
    ):
        for _ in range(2):
            get_app_model().commands.execute_command(f"{PLUGIN}.{name}").result()
        (bench,) = viewer.window.dock_widgets.values()
        opened[name] = bench.current
    titles = {"recover": "Compare", "adapt": "Denoise"}
    assert opened == {name: titles.get(name, name.partition("_")[0].capitalize()) for name in opened}
    qtbot.waitUntil(lambda: not bench.busy, timeout=60_000)
    assert set(bench.panels) == set(opened.values())
    get_app_model().commands.execute_command(f"{PLUGIN}.workbench").result()  # of the menu: shows and hides
    assert len(viewer.window.dock_widgets) == 1
    qtbot.waitUntil(lambda: not any(getattr(panel, "busy", False) for panel in bench.panels.values()), timeout=60_000)


@pytest.mark.parametrize(
    "command",
    [
        commands.denoise,
        commands.columns,
        commands.restore,
        commands.recover,
        commands.compare,
        commands.train,
        commands.simulate,
    ],
)
def test_bare_command_without_a_viewer_says_what_to_do(command):
    with pytest.raises(GanDenoiseError, match="no napari viewer is open"):
        command()


def test_compare_returns_the_result_and_writes_its_folder(small, tmp_path):
    config = {"methods": ["flat", "wiener"]}
    result = commands.compare(small, tmp_path / "out", config)
    assert list(result.images) == ["flat", "wiener"]
    assert (tmp_path / "out" / "comparison.csv").exists()
    with pytest.raises(GanDenoiseError, match="already exists"):
        commands.compare(small, tmp_path / "out", config)
    with pytest.raises(GanDenoiseError, match="no image"):
        commands.compare(truth=small)


def test_settings_without_an_image_are_refused():
    with pytest.raises(GanDenoiseError, match="no image"):
        commands.denoise(config={"preset": "fast"})


def test_restore_fills_a_hole_from_file_to_file(tmp_path, rng, write_photograph_model):
    model = write_photograph_model(tmp_path)
    image, mask = rng.integers(0, 256, (40, 36, 3), dtype=np.uint8), np.zeros((40, 36), np.uint8)
    mask[10:20, 5:15] = 1
    imageio.imwrite(tmp_path / "image.png", image)
    tifffile.imwrite(tmp_path / "mask.tif", mask)
    config = {"task": "inpaint", "model": str(model), "steps": 3}
    output = tmp_path / "out.tif"
    result = commands.restore(tmp_path / "image.png", output, config, mask=tmp_path / "mask.tif")
    np.testing.assert_array_equal(result.image[mask == 0], image[mask == 0])
    np.testing.assert_array_equal(tifffile.imread(output), result.image)
    with pytest.raises(GanDenoiseError, match="exists already"):
        commands.restore(tmp_path / "image.png", output, config, mask=mask)
    with pytest.raises(GanDenoiseError, match="no image"):
        commands.restore(mask=mask)
    with pytest.raises(GanDenoiseError, match="task: field required"):
        commands.restore(image)


def test_recover_takes_the_settings_of_papers(tmp_path, small):
    output = tmp_path / "out.tif"
    result = commands.recover(small, output, {"preset": "fast", "clipping": "none"})
    np.testing.assert_array_equal(tifffile.imread(output), result.rate)
    assert (result.report["config"]["objective"], result.report["config"]["clipping"]) == ("squared", "none")
    with pytest.raises(GanDenoiseError, match="exists already"):
        commands.recover(small, output)
    with pytest.raises(GanDenoiseError, match="no image"):
        commands.recover(config={"preset": "fast"})


@pytest.mark.parametrize(
    ("name", "sentence"), [("out.png", r"must end in \.tif"), ("nowhere/out.tif", "does not exist")]
)
def test_what_cannot_be_written_is_refused_before_the_work(tmp_path, small, name, sentence):
    with pytest.raises(GanDenoiseError, match=sentence):
        commands.denoise(small, tmp_path / name, {"preset": "paper"})


def test_unknown_setting_is_one_sentence(small):
    with pytest.raises(GanDenoiseError, match="presett"):
        commands.denoise(small, config={"presett": "fast"})


@pytest.mark.parametrize(("key", "shape"), [("micrograph", (1200, 1200)), ("movie", (20, 600, 600))])
def test_samples_open_with_their_truth_hidden(viewer, key, shape):
    truth, noisy = viewer.open_sample(PLUGIN, key)
    assert noisy.data.shape == truth.data.shape == shape
    assert noisy.visible
    assert not truth.visible
    for layer in (truth, noisy):
        assert Micrograph.of(layer).pixel_size_nm == pytest.approx({"micrograph": 0.0061, "movie": 0.00915}[key])
    assert np.issubdtype(noisy.data.dtype, np.integer)


def test_palette_shows_only_what_can_be_called_bare(manifest):
    """What is no widget and no sample shows in the palette and is called without arguments."""
    contributions = manifest.contributions
    elsewhere = {item.command for item in (*contributions.widgets, *contributions.sample_data)}
    names = (
        "denoise",
        "adapt",
        "columns",
        "restore",
        "recover",
        "compare",
        "batch_denoise",
        "batch_restore",
        "train",
        "simulate",
        "read_micrograph",
        "write_layers",
    )
    bare = [f"{PLUGIN}.{name}" for name in names]
    assert [item.id for item in contributions.commands if item.id not in elsewhere] == bare


def test_all_that_the_manifest_names_can_be_imported(manifest):
    manifest.validate_imports()


def test_the_reader_called_bare_says_what_to_do():
    with pytest.raises(GanDenoiseError, match="File ▸ Open"):
        commands.get_reader()
    with pytest.raises(GanDenoiseError, match="File ▸ Save"):
        commands.write_layers()


@pytest.fixture
def newly_installed(manifest):
    """Nothing of the plugin was used, and nothing told to napari; its settings are given back as they were."""
    PluginManager.instance().deactivate(PLUGIN)
    plugins = get_settings().plugins
    before, plugins.extension2reader = dict(plugins.extension2reader), {}
    yield
    plugins.extension2reader = before


@pytest.mark.parametrize("name", ["counts", "counts.micrograph.ome.tif"])
def test_what_is_saved_is_opened_again_with_all_that_was_known(viewer, newly_installed, tmp_path, rng, name):
    counts = rng.poisson(9, (20, 30)).astype(np.uint16)
    report = {"model": "hrtem-unet", "deviance": 0.98}
    layer = viewer.add_image(
        counts, name="Pt", scale=(10, 40), units=("pm", "pm"), metadata={"napari-gandenoise": report}
    )
    _, writers = file_extensions_string_for_layers([layer])
    [own] = [writer for writer in writers if writer.command.startswith(PLUGIN)]
    assert viewer.layers.save(str(tmp_path / name), _writer=own) == [str(tmp_path / "counts.micrograph.ome.tif")]
    viewer.layers.clear()
    # As a file that is dropped: no plugin is named, and napari does not ask.
    [again] = viewer._open_or_raise_error([tmp_path / "counts.micrograph.ome.tif"])
    np.testing.assert_array_equal(again.data, counts)
    np.testing.assert_allclose(again.scale, (0.01, 0.04))
    assert [str(unit) for unit in again.units] == ["nanometer"] * 2
    assert again.metadata["napari-gandenoise"] == report
    assert again.source.reader_plugin == PLUGIN


def test_a_folder_is_a_movie_where_its_images_are_alike_and_else_an_image_each(tmp_path, rng):
    frames = rng.integers(99, size=(3, 20, 30), dtype=np.uint8)
    for number, frame in enumerate(frames):
        imageio.imwrite(tmp_path / f"{number}.png", frame)
    read = commands.get_reader(str(tmp_path))
    [(movie, options, _)] = read(str(tmp_path))
    np.testing.assert_array_equal(np.asarray(movie), frames)
    assert options["name"] == tmp_path.name
    imageio.imwrite(tmp_path / "large.png", rng.integers(99, size=(40, 50), dtype=np.uint8))
    layers = read(str(tmp_path))
    assert [options["name"] for _, options, _ in layers] == ["0", "1", "2", "large"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(GanDenoiseError, match="no image"):
        read(str(tmp_path / "empty"))


def test_several_layers_are_saved_in_one_file(viewer, newly_installed, tmp_path, rng):
    movie = viewer.add_image(
        rng.random((3, 20, 30), dtype=np.float32), name="movie", scale=(2, 1, 1), units=("s", "nm", "nm")
    )
    counts = viewer.add_image(rng.integers(9, size=(20, 30)), name="counts")
    colours = viewer.add_image(rng.integers(255, size=(20, 30, 3), dtype=np.uint8), name="colours", rgb=True)
    # A name with this ending is enough.
    assert viewer.layers.save(str(tmp_path / "all.ome.tif")) == [str(tmp_path / "all.ome.tif")]
    again = viewer.open(tmp_path / "all.ome.tif", plugin="napari")  # any reader of OME-TIFF opens the first
    assert again[0].data.shape == (3, 20, 30)
    found = read_images(tmp_path / "all.ome.tif")
    assert [image.name for image in found] == ["movie", "counts", "colours"]
    for image, layer in zip(found, (movie, counts, colours), strict=True):
        np.testing.assert_array_equal(image.pixels, layer.data)
    assert [image.pixel_size_nm for image in found] == [pytest.approx(1), None, None]
    assert found[0].frame_interval_s == 2


def test_a_file_that_is_there_is_kept_where_napari_has_not_asked(tmp_path):
    (tmp_path / "Pt.micrograph.ome.tif").write_bytes(b"mine")
    with pytest.raises(GanDenoiseError, match="exists already"):
        commands.write_layers(str(tmp_path / "Pt"), [Image(np.ones((4, 5))).as_layer_data_tuple()])
    with pytest.raises(GanDenoiseError, match="shape"):
        commands.write_layers(str(tmp_path / "x.tif"), [Image(np.ones((2, 3, 4, 5))).as_layer_data_tuple()])
    assert (tmp_path / "Pt.micrograph.ome.tif").read_bytes() == b"mine"


def test_simulate_makes_a_micrograph_or_a_set(tmp_path):
    pytest.importorskip("ase")
    small = {"shape": 64, "structures": 1, "images_per_structure": 1}
    made = commands.simulate(small, dose=2.0)
    assert made.counts.pixels.shape == (64, 64)
    assert commands.simulate(small, tmp_path / "set.zarr") == tmp_path / "set.zarr"
    assert (tmp_path / "set.zarr").is_dir()
    with pytest.raises(GanDenoiseError, match="leave out the dose"):
        commands.simulate(small, tmp_path / "other.zarr", 2.0)
    with pytest.raises(GanDenoiseError, match="no config"):
        commands.simulate(dose=2.0)
    with pytest.raises(GanDenoiseError, match="shapes"):
        commands.simulate({"shapes": 64})


def test_train_refuses_what_cannot_be_trained(tmp_path):
    with pytest.raises(GanDenoiseError, match="no config"):
        commands.train(resume=True)
    with pytest.raises(GanDenoiseError, match="data: field required"):
        commands.train({"name": "mine", "output": tmp_path})
    with pytest.raises(GanDenoiseError, match=r"nowhere\.cif"):
        commands.train({"cif": "nowhere.cif"})


def test_train_trains_on_a_folder_of_photographs(tmp_path, rng):
    for number in range(3):
        imageio.imwrite(tmp_path / f"{number}.png", rng.integers(0, 256, (24, 24, 3), dtype=np.uint8))
    config = {
        "name": "tiny", "data": {"kind": "folder", "path": tmp_path, "colour": True}, "output": tmp_path / "run",
        "tiles": {"pose": "upright", "intensity": "absolute"}, "steps": 2, "batch": 2, "pool": 64, "held_out": 1,
        "encoder": "none",
        "architecture": {"size": 16, "channels": 3, "latent": 4, "width": 4},
    }  # fmt: skip
    assert commands.train(config) == tmp_path / "run" / "tiny.safetensors"
    assert load_model(tmp_path / "run" / "tiny.safetensors").header.training["step"] == 2
    assert commands.train({**config, "steps": 3}, resume=True) == tmp_path / "run" / "tiny.safetensors"
    with pytest.raises(GanDenoiseError, match="already holds a run"):
        commands.train(config)


def test_headless_array_gives_a_result(small):
    result = commands.denoise(small, config={"preset": "fast"})
    assert result.rate.shape == small.pixels.shape


def test_headless_file_to_file_keeps_the_pixel_size(tmp_path, small):
    source, output = tmp_path / "in.tif", tmp_path / "out.tif"
    tifffile.imwrite(source, small.pixels)
    commands.denoise(source, output, {"preset": "fast", "pixel_size_nm": 0.0061})
    from napari_gandenoise.io import read_micrograph

    written = read_micrograph(output)
    assert written.pixels.shape == small.pixels.shape
    assert written.pixels.dtype == np.float32
    assert written.pixel_size_nm == pytest.approx(0.0061, rel=1e-3)


def test_existing_output_is_not_replaced(tmp_path, small):
    output = tmp_path / "out.tif"
    output.write_bytes(b"mine")
    with pytest.raises(GanDenoiseError, match="exists already"):
        commands.denoise(small, output, {"preset": "fast"})
    assert output.read_bytes() == b"mine"


def test_importing_the_commands_loads_no_window_and_no_torch():
    code = (
        "import sys, napari_gandenoise.manifest;"
        "sys.exit(any(m in sys.modules for m in ('torch', 'napari', 'qtpy', 'magicgui', 'superqt')))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
