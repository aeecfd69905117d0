"""A model small enough to make in a moment."""

from __future__ import annotations

import pytest
import torch

from napari_gandenoise.models import Model, ModelHeader
from napari_gandenoise.models.networks import Encoder, Generator
from napari_gandenoise.settings.networks import Architecture


@pytest.fixture
def tiny_model():
    torch.manual_seed(5)
    architecture = Architecture(size=16, width=4, latent=6, principal=True)
    header = ModelHeader(
        name="tiny", architecture=architecture, pixel_size_nm=0.03, encoder=True, metrics={"range": 31.5},
        training={"steps": 7}, description="A toy: nothing to see",
    )  # fmt: skip
    return Model(header, Generator(architecture).eval(), Encoder(architecture).eval())
