"""Models by name: those that come with the package."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from os import PathLike
from pathlib import Path

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.models.file import Model, load_model_file

__all__ = ["ModelCard", "list_models", "load_model", "model_card"]

FOLDER = Path(__file__).parent / "weights"
SUFFIX = ".safetensors"


@dataclass(frozen=True)
class ModelCard:
    """What a user reads of a model before choosing it.

    Attributes
    ----------
    name, description : str
        Name, and what its images show.
    domain : str
        Kind of image in a word or two.
    pixel_size_nm : float
        Pixel size of its templates, nm.
    latent : int
        Length of its latent vector.
    size_bytes : int
        Size of the file.
    sha256 : str
        Hash of the file.
    metrics : dict
        Figures stored with the model.
    """

    name: str
    domain: str
    pixel_size_nm: float
    latent: int
    size_bytes: int
    sha256: str
    metrics: dict[str, float] = field(default_factory=dict)
    description: str = ""


def model_card(model: Model) -> ModelCard:
    """Make the card of a loaded model."""
    size = model.path.stat().st_size if model.path is not None else 0
    header = model.header
    domain = header.description.split(":")[0]
    return ModelCard(
        header.name,
        domain,
        header.pixel_size_nm,
        model.latent,
        size,
        model.sha256,
        header.metrics,
        header.description,
    )


def list_models() -> list[ModelCard]:
    """Cards of the models that come with the package."""
    return [model_card(load_model(path)) for path in sorted(FOLDER.glob(f"*{SUFFIX}"))]


def load_model(name: str | PathLike[str]) -> Model:
    """Load a model by the name of a bundled one or by the path of a file.

    Raises
    ------
    GanDenoiseError
        If there is no such model or the file is not a sound one.
    """
    path = Path(name)
    if path.suffix == SUFFIX:
        return _load(path, path.stat().st_mtime_ns if path.exists() else 0)
    bundled = FOLDER / f"{name}{SUFFIX}"
    if path.name != str(name) or not bundled.exists():
        known = ", ".join(sorted(p.stem for p in FOLDER.glob(f"*{SUFFIX}")))
        raise GanDenoiseError(f"There is no model called {name}: choose {known}, or the path of a {SUFFIX} file.")
    return _load(bundled, bundled.stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _load(path: Path, modified: int) -> Model:  # noqa: ARG001 - a changed file is another cache entry
    return load_model_file(path)
