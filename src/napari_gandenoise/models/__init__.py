"""Networks, the model file, and the models that have a name: bundled ones and the user's own."""

from __future__ import annotations

from napari_gandenoise.models.adapted import save_adapted
from napari_gandenoise.models.bioimage import export_bioimage
from napari_gandenoise.models.bundled import (
    ModelCard,
    bundled_names,
    export_model,
    install_model,
    list_models,
    load_latent_model,
    load_model,
    model_card,
    new_model_file,
    user_folder,
)
from napari_gandenoise.models.file import (
    AnyModel,
    DirectHeader,
    DirectModel,
    Model,
    ModelHeader,
    load_model_file,
    save_model,
)
from napari_gandenoise.models.verification import verify_model

__all__ = [
    "AnyModel",
    "DirectHeader",
    "DirectModel",
    "Model",
    "ModelCard",
    "ModelHeader",
    "bundled_names",
    "export_bioimage",
    "export_model",
    "install_model",
    "list_models",
    "load_latent_model",
    "load_model",
    "load_model_file",
    "model_card",
    "new_model_file",
    "save_adapted",
    "save_model",
    "user_folder",
    "verify_model",
]
