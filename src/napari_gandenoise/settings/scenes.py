"""Procedural scenes: clean images of what a microscope sees beside lattices, and of lattices without a structure."""

from __future__ import annotations

from typing import Literal

from pydantic import field_validator

from napari_gandenoise.settings.base import Settings, rising, setting

__all__ = ["SceneConfig", "SceneKind"]

SceneKind = Literal[
    "leaves",
    "grains",
    "layers",
    "particles",
    "fibres",
    "pores",
    "contours",
    "gradients",
    "textures",
    "columns",
    "fringes",
    "nested",
]
KINDS: dict[SceneKind, str] = {
    "leaves": "Dead leaves",
    "grains": "Grains",
    "layers": "Layered films",
    "particles": "Particles",
    "fibres": "Fibres",
    "pores": "Pores",
    "contours": "Bend contours",
    "gradients": "Gradients",
    "textures": "Textures",
    "columns": "Columns (STEM)",
    "fringes": "Columns (HRTEM)",
    "nested": "Scenes in scenes",
}
LOOK = "Look"


class SceneConfig(Settings):
    """Which procedural scenes to draw, and how they look."""

    kinds: tuple[SceneKind, ...] = setting(
        (
            *("leaves",) * 3,
            *("grains",) * 2,
            *("particles",) * 3,
            *("layers", "fibres", "pores", "contours", "gradients", "textures"),
            *("columns",) * 6,
            *("fringes",) * 3,
            *("nested",) * 2,
        ),
        "Kinds of scene; repeats weigh more.",
        title="Scenes",
        choices=KINDS,
        min_length=1,
    )
    period: tuple[float, float] = setting(
        (4.0, 48.0), "Shortest and longest distance of neighbouring columns, log-uniform.", title="Columns", unit="px"
    )
    contrast: tuple[float, float] = setting(
        (0.3, 1.0), "Least and most of the grey scale that a scene uses, uniform.", group=LOOK
    )
    gamma: tuple[float, float] = setting((0.6, 1.7), "Exponent of the grey scale, log-uniform.", group=LOOK)
    blur: tuple[float, float] = setting(
        (0.55, 2.0), "Sharpest and softest point spread (Gaussian σ), log-uniform.", unit="px", group=LOOK
    )
    inverted: float = setting(0.3, "Share of scenes with black and white exchanged.", group=LOOK, ge=0, le=1)
    marks: float = setting(0.03, "Share with apertures, scale bars or burnt-in text.", group=LOOK, ge=0, le=1)

    _ordered = field_validator("period", "contrast", "gamma", "blur")(rising)

    @field_validator("contrast")
    @classmethod
    def _within(cls, limits: tuple[float, float]) -> tuple[float, float]:
        if limits[1] > 1:
            raise ValueError(f"at most the whole scale, 1, got {limits}.")
        return limits
