"""What napari is told when the plugin is first used: which files are ours, and what the layer list's menu offers."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from napari_gandenoise.widgets.viewer.readers import prefer_own

if TYPE_CHECKING:
    from app_model import Application

__all__ = ["ACTION", "activate", "denoise_layer", "offer_action"]

ACTION = "napari-gandenoise.denoise_layer"
LAYER_MENU = "napari/layers/context"  # of a right click on a layer; the manifest cannot name it


def activate(_context: Any = None) -> None:
    """Tell a running napari about the plugin; npe2 calls this when the first command of the plugin is used."""
    if "napari" not in sys.modules:  # a script without a viewer
        return
    from app_model import Application

    prefer_own()
    app = Application.get_app("napari")
    if app is not None:
        offer_action(app)


def offer_action(app: Application) -> None:
    """Offer *Denoise* where a layer is clicked with the right button, once.

    Parameters
    ----------
    app : app_model.Application
        That of napari, which has the menus.
    """
    from app_model.types import Action

    if ACTION in app.commands:
        return
    action: Action[[], None] = Action(
        id=ACTION,
        title="Denoise (GAN)…",
        callback=denoise_layer,
        menus=[{"id": LAYER_MENU, "group": "navigation"}],
        enablement="active_layer_type == 'image'",
    )
    app.register_action(action)


def denoise_layer() -> None:
    """Open the Denoise panel with the layer that was clicked."""
    import napari

    from napari_gandenoise.widgets.workbench import open_panel

    viewer = napari.current_viewer()
    if viewer is None:
        return
    layer = viewer.layers.selection.active
    open_panel(viewer, "Denoise", lambda panel: panel.layer.choose(layer))
