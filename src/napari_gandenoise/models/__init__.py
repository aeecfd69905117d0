"""Networks, the model file and the models that come with the package."""

from __future__ import annotations

from napari_gandenoise.models.bundled import ModelCard, list_models, load_model, model_card
from napari_gandenoise.models.file import Model, ModelHeader, load_model_file, save_model
from napari_gandenoise.models.networks import Architecture

__all__ = [
    "Architecture",
    "Model",
    "ModelCard",
    "ModelHeader",
    "list_models",
    "load_model",
    "load_model_file",
    "model_card",
    "save_model",
]
