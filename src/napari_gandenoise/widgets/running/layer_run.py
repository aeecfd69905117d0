"""A run that turns a layer into another: in the background, shown as it goes on, kept when it is cancelled."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import ReferenceType, WeakKeyDictionary, ref

from napari.utils.notifications import show_error
from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QWidget

from napari_gandenoise.progress import Progress, Steps
from napari_gandenoise.widgets.running.activity import Activity
from napari_gandenoise.widgets.running.eta import Eta
from napari_gandenoise.widgets.running.frames import Frames
from napari_gandenoise.widgets.running.run_panel import RunPanel
from napari_gandenoise.widgets.running.runner import Runner
from napari_gandenoise.widgets.viewer.live_layer import LiveLayer
from napari_gandenoise.widgets.viewer.source import LayerData

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

__all__ = ["LayerRun", "frame_of"]


class LayerRun(QObject):
    """Run one job at a time and show it: in a panel, in napari's activity dock, and as a layer.

    Parameters
    ----------
    title : str
        What the activity dock calls it.
    viewer : napari.components.ViewerModel
        Where the layers are.
    panel : RunPanel
        Where progress and the result's summary are shown.
    parent : QWidget
        The panel as napari docks it; closing it cancels.

    Signals
    -------
    finished : object
        The job's result, once it is shown.

    Attributes
    ----------
    shown : LiveLayer or None
        Where the last result is shown.
    earlier : list of Image
        Results of the same layer that are still in the viewer.
    """

    finished = Signal(object)

    def __init__(self, title: str, viewer: ViewerModel, panel: RunPanel, parent: QWidget) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._panel = panel
        self._runner = Runner(parent)
        self._activity = Activity(title)
        self._eta, self._frames = Eta(None), Frames()
        self._live: LiveLayer | None = None
        self.shown: LiveLayer | None = None
        self._white = 1.0
        self._results: WeakKeyDictionary[Image, list[ReferenceType[Image]]] = WeakKeyDictionary()
        self.earlier: list[Image] = []
        self._runner.progressed.connect(self._on_progressed)
        self._runner.finished.connect(self._on_finished)
        self._runner.cancelled.connect(self._on_cancelled)
        self._runner.failed.connect(self._on_failed)

    @property
    def running(self) -> bool:
        """Whether a job is under way, or still stopping."""
        return self._runner.running

    def start(
        self,
        steps: Steps[Any],
        live: LiveLayer,
        layers: Callable[[Any], list[LayerData]],
        *,
        seconds: float | None = None,
        white: float = 1.0,
    ) -> None:
        """Start a job.

        Parameters
        ----------
        steps : Steps
            Its events; previews in the units of the source.  Its result has a ``summary()``.
        live : LiveLayer
            Shows the previews, and becomes the result.
        layers : callable
            Makes the layers of the result.
        seconds : float
            How long it was planned to take; None if nobody knows.
        white : float
            Value of white of coloured previews: napari shows float colours from 0 to 1.
        """
        self._live, self._layers, self._white = live, layers, white
        self._eta, self._frames = Eta(seconds), Frames()
        self._panel.show_running()
        self._runner.start(steps)

    def cancel(self) -> None:
        """Stop the run and keep what is done: at once for the user, a moment later for the computation."""
        if not self._runner.running or self._runner.stopping:
            return
        self._runner.cancel()
        kept = self._end()
        self._panel.show_stopping("Cancelled; what was done is kept." if kept else "Cancelled before the first tile.")

    def _on_progressed(self, event: Progress) -> None:
        if self._live is not None and event.preview is not None:
            coloured = event.preview.ndim == 3
            self._live.show(event.preview / self._white if coloured else event.preview, frame_of(event))
        movie = self._frames.of(event)
        words = self._eta.describe(movie or event)
        if movie is not None:  # a frame counts as a hundred parts
            words = words.replace(f"{movie.done}/{movie.total}", f"{self._frames.done} of {movie.total // 100} done")
        self._panel.show_progress(movie or event, words)
        # Last, since napari's bar handles further events of the window while it is drawn.
        self._activity.show(movie or event)

    def _on_finished(self, result: Any) -> None:
        self._activity.close()
        live, self._live = self._live, None
        self.shown = live
        if live is not None:
            live.finish(self._layers(result))
            self._join(live)
        self._panel.show_idle(result.summary())
        self.finished.emit(result)

    def _join(self, live: LiveLayer) -> None:
        """Show all results of one layer with the same contrast limits, so that they can be compared."""
        if live.layer is None:
            return
        results = self._results.setdefault(live.source.layer, [])
        self.earlier = [result for known in results if (result := known()) in self._viewer.layers]
        results.append(ref(live.layer))
        if self.earlier and not live.layer.rgb:
            live.layer.contrast_limits = self.earlier[0].contrast_limits
            self._viewer.layers.link_layers([*self.earlier, live.layer], ("contrast_limits",))

    def _on_cancelled(self) -> None:
        self._end()
        self._panel.show_stopped()

    def _on_failed(self, sentence: str) -> None:
        self._end()
        self._panel.show_idle()
        show_error(sentence)

    def _end(self) -> bool:
        """Stop following the run; True if a partial layer stays."""
        self._activity.close()
        live, self._live = self._live, None
        return live is not None and live.keep_partial()


def frame_of(event: Progress) -> int:
    """Return the number of the frame that an event of a movie is about, from 0; 0 for an image."""
    named = re.match(r"frame (\d+)/", event.stage)
    return int(named[1]) - 1 if named else 0
