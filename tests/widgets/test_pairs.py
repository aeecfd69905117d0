"""The files of a batch job as pairs: their rows, thumbnails, layers, and files that are dropped."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from napari.utils.notifications import notification_manager
from qtpy.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from qtpy.QtGui import QDragEnterEvent, QDropEvent, QImage, QPixmap
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QAbstractButton, QApplication, QLineEdit, QScrollArea

from napari_gandenoise.batching import FileProgress, Judged, Pair, Standing, batch, pairs_of
from napari_gandenoise.progress import Progress
from napari_gandenoise.widgets import BatchWidget
from napari_gandenoise.widgets.pairs.delegate import HEIGHT
from napari_gandenoise.widgets.pairs.model import PairModel, Row
from napari_gandenoise.widgets.pairs.thumbnails import SIDE, picture, read_picture
from napari_gandenoise.widgets.pairs.view import PairView
from napari_gandenoise.widgets.running.verdict_card import COLOURS
from napari_gandenoise.widgets.viewer.pair_layers import PairLayers
from napari_gandenoise.widgets.workbench import Workbench

PIXEL_NM = 0.0061
SIZES = {"a": (64, 64), "b": (64, 64), "c": (48, 80)}  # two of one size, and another


def write(path, pixels):
    options = {"resolution": (1 / PIXEL_NM,) * 2, "metadata": {"unit": "nm", "axes": "TYX"[-pixels.ndim :]}}
    tifffile.imwrite(path, pixels, imagej=True, **options)
    return path


@pytest.fixture(scope="session")
def job(tmp_path_factory, counts, write_tiny_model):
    """The folder of a finished job on three micrographs, a movie and a broken file, for reading only."""
    folder = tmp_path_factory.mktemp("job")
    model = write_tiny_model(tmp_path_factory.mktemp("model"), 4 * PIXEL_NM)
    for name, (height, width) in SIZES.items():
        write(folder / f"{name}.tif", counts[100 : 100 + height, 200 : 200 + width])
    write(folder / "movie.tif", np.stack([counts[start : start + 64, 200:264] for start in (100, 101)]))
    (folder / "broken.tif").write_bytes(b"II*\0 nothing")
    batch(inputs=folder, output=folder / "out", settings={"preset": "fast", "model": str(model)})
    return folder / "out"


@pytest.fixture
def pairs(job):
    """The pairs of the job by their names."""
    return {pair.name: pair for pair in pairs_of(job)}


@pytest.fixture
def view(qtbot):
    shown = PairView()
    qtbot.addWidget(shown)
    shown.resize(300, 4 * HEIGHT)
    shown.show()
    qtbot.waitExposed(shown)
    return shown


@pytest.fixture
def panel(qtbot):
    widget = BatchWidget(ViewerModel())
    qtbot.addWidget(widget)
    widget.resize(320, 640)
    widget.show()
    qtbot.waitExposed(widget)
    return widget


class TestRows:
    """What a row says."""

    def row(self, **standing):
        return Row(Pair("a", Path("a.tif"), standing=Standing(**standing)))

    @pytest.mark.parametrize(
        ("standing", "status"),
        [
            ({}, "waiting"),
            ({"frames": 1}, "waiting"),
            ({"frames": 200, "done": 12}, "12/200"),
            ({"frames": 200, "done": 12, "failed": 1}, "12/200, 1 failed"),
            ({"frames": 3, "done": 3, "whole": True}, "done"),
            ({"frames": 3, "done": 2, "failed": 1, "whole": True}, "done, 1 failed"),
            ({"frames": 3, "failed": 3}, "failed"),
            ({"broken": True}, "failed"),
            ({"frames": 9, "done": 4, "broken": True}, "failed"),
        ],
    )
    def test_it_says_how_far_its_file_is(self, standing, status):
        assert self.row(**standing).status == status

    def test_words_of_files_are_no_markup(self):
        evil = "<img src='x'>"
        row = Row(
            Pair(evil, Path(f"{evil}.tif"), standing=Standing(verdict=Judged(colour="red", sentence=evil), frames=1))
        )
        assert "<img" not in row.tooltip()
        assert "&lt;img" in row.tooltip()

    def test_it_follows_the_events_of_a_job_one_file_at_a_time(self):
        model = PairModel()
        model.show([Row(Pair(name, Path(f"{name}.tif"))) for name in "ab"])

        def event(file, part=None, **standing):
            model.follow(FileProgress("frames", 0, 2, file=file, part=part, standing=Standing(**standing)))
            return [(row.status, row.sentence) for row in model.rows()]

        assert event(0, Progress("denoise", 3, 12), frames=1)[0] == ("running", "denoise 3/12")
        assert model.rows()[0].share == pytest.approx(0.25)
        assert event(1, Progress("denoise", 0, 1), frames=4) == [("waiting", ""), ("running", "0/4")]
        assert event(1, frames=4, done=1)[1] == ("running", "1/4")
        verdict = Judged(colour="amber", sentence="keeps noise")
        assert event(1, frames=4, done=4, whole=True, verdict=verdict)[1] == ("done", "keeps noise")
        assert event(0, frames=0, broken=True, reasons=("a.tif is damaged.",))[0] == ("failed", "is damaged.")
        assert [row.colour for row in model.rows()] == ["", "amber"]


class TestThumbnails:
    """Small pictures, of rows that are seen alone."""

    @pytest.mark.parametrize(
        "shape", [(1, 1), (3, 1000), (1000, 3), (119, 121), (500, 500), (1500, 1300), (90, 70, 3), (90, 70, 4)]
    )
    def test_it_is_small_and_shaped_like_the_image(self, rng, shape):
        image = picture(rng.poisson(9, shape).astype(np.uint16))
        assert 1 <= max(image.width(), image.height()) <= SIDE + 1
        longest = max(shape[:2])
        assert abs(image.width() / max(image.width(), image.height()) - shape[1] / longest) < 0.1

    def test_dark_is_left_of_bright(self):
        ramp = np.tile(np.linspace(-5e6, 3e7, 400), (300, 1))
        ramp[:, 5] = np.nan
        shown = picture(ramp)
        greys = [shown.pixelColor(x, shown.height() // 2).lightness() for x in range(5, shown.width(), 10)]
        assert greys == sorted(greys)
        assert greys[0] < 20
        assert greys[-1] > 235

    def test_of_what_cannot_be_read_there_is_none(self, tmp_path):
        (tmp_path / "broken.tif").write_bytes(b"II*\0 nothing")
        assert read_picture(tmp_path / "broken.tif") is None
        assert read_picture(tmp_path / "not-there.tif") is None

    def test_five_thousand_files_are_listed_and_few_read(self, qtbot, panel, tmp_path, counts):
        first = write(tmp_path / "0000.tif", counts[:64, :64])
        for number in range(1, 5000):
            os.link(first, tmp_path / f"{number:04}.tif")
        panel.files.add(str(tmp_path))
        view = panel.files.view
        assert view.pairs.rowCount() == 5000
        assert panel.panel.plan.text().startswith("Choose the folder")
        began = time.perf_counter()
        qtbot.waitUntil(lambda: len(view.thumbnails) >= 2, timeout=10_000)
        view.scrollToBottom()
        qtbot.waitUntil(lambda: (tmp_path / "4999.tif", None) in view.thumbnails, timeout=10_000)
        assert len(view.thumbnails) < 40
        assert time.perf_counter() - began < 10


def colours_in(view, row):
    """Return the colours that a row is drawn in, as numbers."""
    shown = QPixmap(view.viewport().size())
    view.viewport().render(shown)
    place = view.visualRect(view.pairs.index(row))
    image = shown.toImage().copy(place).convertToFormat(QImage.Format.Format_RGB32)
    return {image.pixel(x, y) & 0xFFFFFF for x in range(image.width()) for y in range(image.height())}


def test_the_dot_has_the_colour_of_the_verdict(view):
    said = {"green": "explains the counts", "amber": "keeps noise", "red": "is wrong", "grey": "not judged"}
    rows = [
        Row(
            Pair(
                name,
                Path(f"{name}.tif"),
                standing=Standing(1, 1, whole=True, verdict=Judged(colour=name, sentence=words)),
            )
        )
        for name, words in said.items()
    ]
    view.pairs.show(rows)
    view.resize(300, len(rows) * HEIGHT + 10)
    for number, name in enumerate(said):
        found = colours_in(view, number)
        assert int(COLOURS[name][1:], 16) in found
        others = [other for other in said if other not in (name, "grey")]  # grey is much else
        assert not {int(COLOURS[other][1:], 16) for other in others} & found
        assert said[name] in view.pairs.index(number).data(Qt.ItemDataRole.ToolTipRole)


class TestLayers:
    """What is opened in the viewer."""

    def test_a_pair_is_two_layers_that_say_what_they_are(self, pairs, job):
        viewer = ViewerModel()
        PairLayers(viewer).open([pairs["a"]])
        before, after = viewer.layers
        assert (before.name, after.name) == ("a", "a · denoised (tiny)")
        assert before.data.shape == after.data.shape == SIZES["a"]
        np.testing.assert_array_equal(after.data, tifffile.imread(job / "a-denoised.ome.tif"))
        for layer in (before, after):
            assert tuple(layer.scale) == pytest.approx((PIXEL_NM, PIXEL_NM), rel=1e-5)
            assert [str(unit) for unit in layer.units] == ["nanometer", "nanometer"]
            assert layer.visible
        report = after.metadata["napari-gandenoise"]
        assert (report["model"], report["verdict"]["colour"]) == ("tiny", pairs["a"].standing.verdict.colour)
        assert viewer.layers.selection == {after}

    def test_another_pair_takes_its_place_and_none_is_opened_twice(self, pairs):
        viewer = ViewerModel()
        opened = PairLayers(viewer)
        for name in ("a", "c", "a"):
            opened.open([pairs[name]])
        assert [(layer.name, layer.visible) for layer in viewer.layers] == [
            ("a", True),
            ("a · denoised (tiny)", True),
            ("c", False),
            ("c · denoised (tiny)", False),
        ]
        viewer.layers.remove("a")
        opened.open([pairs["a"]])
        assert [layer.name for layer in viewer.layers].count("a") == 1

    def test_frames_of_a_movie_stay_on_the_disk(self, pairs):
        viewer = ViewerModel()
        PairLayers(viewer).open([pairs["movie"]])
        assert [layer.data.shape for layer in viewer.layers] == [(2, 64, 64)] * 2
        assert all(
            not isinstance(layer.data, np.ndarray) or isinstance(layer.data, np.memmap) for layer in viewer.layers
        )

    @pytest.mark.parametrize("names", [("a", "b"), ("a", "c"), ("a", "b", "c")])
    def test_micrographs_never_become_a_movie(self, pairs, names):
        viewer = ViewerModel()
        PairLayers(viewer).open([pairs[name] for name in names], sources=False)
        assert [layer.name for layer in viewer.layers] == [f"{name} · denoised (tiny)" for name in names]
        assert [layer.data.shape for layer in viewer.layers] == [SIZES[name] for name in names]
        assert viewer.dims.ndim == 2
        assert getattr(viewer, "canvas", viewer).grid.enabled
        assert all(layer.visible for layer in viewer.layers)

    def test_of_a_file_that_failed_there_is_no_result(self, panel, job, pairs):
        panel.form["output"].value = job
        assert panel.files.statuses() == {
            **dict.fromkeys(["a.tif", "b.tif", "c.tif", "movie.tif"], "done"),
            "broken.tif": "failed",
        }
        panel._open_row(Row(pairs["broken"]))
        assert "broken.tif" in notification_manager.records[-1].message


def drop(panel, place, *paths):
    """Drag files over a place of a panel and drop them, as Qt does: onto the first widget there that takes drops."""
    dragged = QMimeData()
    dragged.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    target = panel.childAt(place)
    while not target.acceptDrops():
        target = target.parentWidget()
    at, what, left = QPointF(target.mapFrom(panel, place)), Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton
    entering = QDragEnterEvent(at.toPoint(), what, dragged, left, Qt.KeyboardModifier.NoModifier)
    QApplication.sendEvent(target, entering)
    if entering.isAccepted():
        QApplication.sendEvent(target, QDropEvent(at, what, dragged, left, Qt.KeyboardModifier.NoModifier))
    return entering.isAccepted()


class TestDrop:
    """Files and folders that are dropped onto the panel."""

    def places(self, panel):
        widgets = (
            panel.files.view.viewport(),
            panel.files.typed,
            panel.form["output"].line_edit.native,
            panel.panel.run,
        )
        return [widget.mapTo(panel, widget.rect().center()) for widget in widgets]

    def test_they_become_inputs_wherever_they_are_dropped(self, panel, job):
        files = [job.parent / f"{name}.tif" for name in (*SIZES, "movie")]
        for place, path in zip(self.places(panel), files, strict=True):
            assert drop(panel, place, path)
        assert panel.files.inputs == [str(path) for path in files]
        assert list(panel.files.statuses().values()) == ["waiting"] * 4
        assert panel.form["output"].value is None

    def test_a_folder_is_one_input(self, panel, job):
        assert drop(panel, QPoint(50, 150), job.parent)
        assert panel.files.inputs == [str(job.parent)]
        assert panel.files.view.pairs.rowCount() == 5

    def test_what_holds_no_image_is_left_out_and_named(self, panel, job, tmp_path):
        (tmp_path / "notes.txt").write_text("no image")
        (tmp_path / "empty").mkdir()
        assert drop(panel, QPoint(50, 150), tmp_path / "notes.txt", tmp_path / "empty", job.parent / "a.tif")
        assert panel.files.inputs == [str(job.parent / "a.tif")]
        message = notification_manager.records[-1].message
        assert "notes.txt is of no kind that can be opened" in message
        assert "1 more" in message

    def test_text_is_not_taken(self, panel):
        dragged = QMimeData()
        dragged.setText("no file")
        event = QDragEnterEvent(
            QPoint(5, 5), Qt.DropAction.CopyAction, dragged, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
        )
        event.ignore()
        QApplication.sendEvent(panel, event)
        assert not event.isAccepted()

    def test_into_the_folder_of_a_job_new_files_are_skipped_and_said_to_be(self, panel, job, tmp_path, counts):
        panel.form["output"].value = job
        assert not panel.panel.run.isEnabled()
        new = write(tmp_path / "new.tif", counts[:64, :64])
        assert drop(panel, QPoint(50, 150), new, job.parent / "a.tif")
        assert panel.files.statuses()["new.tif"] == "skipped"
        assert panel.files.statuses()["a.tif"] == "done"
        assert "1 file is new: choose another folder" in panel.panel.plan.text()
        panel.form["output"].value = tmp_path / "elsewhere"
        assert panel.files.statuses() == {"new.tif": "waiting", "a.tif": "waiting"}
        assert panel.panel.run.isEnabled()


def test_rows_are_opened_by_double_click_and_by_enter(qtbot, panel, job):
    panel.form["output"].value = job
    view, viewer = panel.files.view, panel._shown._viewer
    assert not panel.open_pair.isEnabled()
    place = view.visualRect(view.pairs.index(1)).center()
    QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, place)
    QTest.mouseDClick(view.viewport(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, place)
    name = view.pairs.rows()[1].pair.name
    assert [layer.name for layer in viewer.layers] == [name, f"{name} · denoised (tiny)"]
    QTest.keyClick(view, Qt.Key.Key_Up)
    QTest.keyClick(view, Qt.Key.Key_Return)
    assert len(viewer.layers) == 4
    assert panel.open_pair.isEnabled()


def tooltip_of(widget, panel):
    """Return what Qt shows over a widget: its own tooltip, or that of what it is part of."""
    while widget is not panel:
        if widget.toolTip():
            return widget.toolTip()
        widget = widget.parentWidget()
    return ""


@pytest.mark.slow
def test_the_panel_is_usable_where_there_is_little_room(qtbot, make_napari_viewer, job):
    viewer = make_napari_viewer(show=True)
    window = viewer.window._qt_window
    window.resize(1280, 720)
    bench = Workbench(viewer)
    dock = viewer.window.add_dock_widget(bench, name="GAN denoise")
    bench.open("Batch")
    qtbot.waitUntil(lambda: "Batch" in bench.panels, timeout=30_000)
    panel = bench.panels["Batch"]
    panel.form["output"].value = job
    for group in panel.form.groups.values():
        group.expand()
    QTest.qWait(100)
    window.resizeDocks([dock], [320], Qt.Orientation.Horizontal)
    qtbot.waitUntil(lambda: panel.width() <= 320, timeout=5000)
    assert window.height() == 720
    area = panel.findChild(QScrollArea)
    assert area.widget().minimumSizeHint().width() <= area.viewport().width()  # nothing is cut off
    for button in (panel.panel.run, panel.panel.other, panel.panel.cancel, panel.open, panel.open_pair):
        assert button.isVisible()
        assert panel.rect().contains(button.geometry().translated(button.parentWidget().mapTo(panel, QPoint(0, 0))))
    assert panel.files.view.height() >= 2 * HEIGHT
    for widget in (*panel.findChildren(QAbstractButton), *panel.findChildren(QLineEdit)):
        if widget.isVisible() and widget.focusPolicy() & Qt.FocusPolicy.TabFocus:
            assert tooltip_of(widget, panel), f"{type(widget).__name__} {widget.objectName()} has no tooltip"
    reached, widget = set(), panel
    while (widget := widget.nextInFocusChain()) is not panel:
        if panel.isAncestorOf(widget) and widget.focusPolicy() & Qt.FocusPolicy.TabFocus:
            reached.add(widget)
    assert {panel.files.view, panel.open, panel.open_pair, panel.panel.run, panel.panel.other} <= reached
