"""Procedural scenes: clean images for training, drawn on the training device without any atomic structure."""

from napari_gandenoise.simulate.scenes.draw import draw_scenes

__all__ = ["draw_scenes"]
