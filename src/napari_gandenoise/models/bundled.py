"""Models by name: those that come with the package, and those in the user's own folder."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from os import PathLike
from pathlib import Path
from typing import Literal

from napari_gandenoise.errors import GanDenoiseError, in_short
from napari_gandenoise.models.adapted import load_adapted, name_in, read_adapted_header
from napari_gandenoise.models.file import AnyModel, DirectModel, Model, load_model_file, save_model
from napari_gandenoise.writing import written_whole

__all__ = [
    "SUFFIX",
    "ModelCard",
    "bundled_names",
    "export_model",
    "install_model",
    "list_models",
    "load_latent_model",
    "load_model",
    "model_card",
    "new_model_file",
    "user_folder",
]

FOLDER = Path(__file__).parent / "weights"
SUFFIX = ".safetensors"
PLACE = "GANDENOISE_MODELS"  # environment variable that names another folder for the user's models

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ModelCard:
    """What a user reads of a model before choosing it.

    Attributes
    ----------
    name, description : str
        Name, and what its images show.
    domain : str
        Kind of image in a word or two.
    pixel_size_nm : float or None
        Pixel size of its templates, nm; None for photographs.
    latent : int or None
        Length of its latent vector; None for a direct denoiser.
    size_bytes : int
        Size of the file.
    sha256 : str
        Hash of the file.
    metrics : dict
        Figures stored with the model.
    channels : int
        Channels of its images: 1 for grey, 3 for colour.
    draws : bool
        Whether it draws samples of what an image could be.
    """

    name: str
    domain: str
    pixel_size_nm: float | None
    latent: int | None
    size_bytes: int
    sha256: str
    metrics: dict[str, float] = field(default_factory=dict)
    description: str = ""
    channels: int = 1
    draws: bool = False

    @property
    def sampling(self) -> str:
        """The pixel size in words: ``24.4 pm/pixel``, or ``no pixel size`` for photographs."""
        return "no pixel size" if self.pixel_size_nm is None else f"{1e3 * self.pixel_size_nm:.3g} pm/pixel"


def model_card(model: AnyModel) -> ModelCard:
    """Make the card of a loaded model."""
    size = model.path.stat().st_size if model.path is not None else 0
    header = model.header
    domain = header.description.split(":")[0]
    return ModelCard(
        header.name,
        domain,
        header.pixel_size_nm,
        model.latent if isinstance(model, Model) else None,
        size,
        model.sha256,
        header.metrics,
        header.description,
        header.architecture.channels,
        isinstance(model, DirectModel) and model.draws,
    )


def user_folder() -> Path:
    """Where the user's own models are kept; the environment variable ``GANDENOISE_MODELS`` names another folder."""
    from platformdirs import user_data_path  # training where nobody has models of their own does without it

    named = os.environ.get(PLACE)
    return Path(named) if named else user_data_path("napari-gandenoise", appauthor=False) / "models"


def bundled_names() -> list[str]:
    """Names of the models that come with the package."""
    return [path.stem for path in _files(FOLDER)]


def list_models(bad: dict[str, str] | None = None) -> list[ModelCard]:
    """Cards of the models that come with the package, then of the user's own, each under the name to load it by.

    Parameters
    ----------
    bad : dict, optional
        Is filled with the files in the user's folder that cannot be used: name, and why.  One of them does not hide
        the others; without the dictionary they are left out with a warning.
    """
    cards = [model_card(load_model(path)) for path in _files(FOLDER)]
    known = {card.name for card in cards}
    for path in _files(user_folder()):
        if path.stem in known:
            continue
        try:
            cards.append(replace(model_card(load_model(path)), name=path.stem))
        except (GanDenoiseError, OSError) as error:
            if bad is None:
                _log.warning("A model is left out: %s", error)
            else:
                bad[path.stem] = str(error)
    return cards


def load_model(name: str | PathLike[str]) -> AnyModel:
    """Load a model by its name, bundled ones first, or by the path of a file.

    Raises
    ------
    GanDenoiseError
        If there is no such model or the file is not a sound one.
    """
    path = _find(name)
    try:
        modified = path.stat().st_mtime_ns
    except (FileNotFoundError, NotADirectoryError):
        modified = 0
    except (OSError, ValueError) as error:
        raise GanDenoiseError(f"{in_short(path)} cannot be opened ({in_short(error)}): check the path.") from None
    return _load(path, modified)


def load_latent_model(name: str | PathLike[str]) -> Model:
    """Load a latent GAN as `load_model` does.

    Raises
    ------
    GanDenoiseError
        Also if it is a direct denoiser.
    """
    model = load_model(name)
    if not isinstance(model, Model):
        raise GanDenoiseError(f"{model.name} is a direct denoiser, which draws nothing by itself: choose a latent GAN.")
    return model


def install_model(path: str | PathLike[str], name: str, *, overwrite: bool = False) -> Path:
    """Copy a model file into the user's folder, where it is found by its name.

    Parameters
    ----------
    path : path
        A model file; it is validated first.
    name : str
        Name to list it under.
    overwrite : bool
        Replace the user's own model of that name.

    Returns
    -------
    pathlib.Path
        The copy.

    Raises
    ------
    GanDenoiseError
        If the file is not a sound model, or the name is taken or cannot be one.
    """
    if not re.fullmatch(r"\w[\w .+-]{0,79}", name) or name.endswith((SUFFIX, " ", ".")):
        raise GanDenoiseError(f"{name!r} cannot be the name of a model: use letters, digits, spaces, - and _.")
    if (FOLDER / f"{name}{SUFFIX}").exists():
        raise GanDenoiseError(f"{name} is the name of a model that comes with the package: choose another name.")
    target = user_folder() / f"{name}{SUFFIX}"
    if target.exists() and not overwrite:
        raise GanDenoiseError(f"You have a model called {name} already: choose another name, or replace it.")
    target.parent.mkdir(parents=True, exist_ok=True)
    _copy_sound(_find(path), target)
    return target


def export_model(
    name: str | PathLike[str],
    path: str | PathLike[str],
    *,
    overwrite: bool = False,
    bits: Literal[8, 16] | None = None,
) -> Path:
    """Copy a model file to where it can be handed on.

    Parameters
    ----------
    name : str or path
        A model as `load_model` takes it.
    path : path
        File to write, or a folder.
    overwrite : bool
        Replace a file that exists.
    bits : 8 or 16, optional
        Round the weights to as many bits; by default they stay as they are.

    Returns
    -------
    pathlib.Path
        The copy.

    Raises
    ------
    GanDenoiseError
        If there is no such model, it is not sound, or the file exists.
    """
    source, target = _find(name), Path(path)
    target = new_model_file(target / source.name if target.is_dir() else target, overwrite=overwrite)
    if bits is None:
        _copy_sound(source, target)
        return target
    try:
        save_model(target, load_model(source), bits)
    except FloatingPointError as error:
        raise GanDenoiseError(f"{target} could not be written: {error}.") from error
    return target


def new_model_file(target: Path, *, overwrite: bool = False, suffix: str = SUFFIX) -> Path:
    """Return a path if a model file can be written there.

    Raises
    ------
    GanDenoiseError
        If it has another suffix, its folder is not there, or it exists and is not to be replaced.
    """
    if target.suffix != suffix:
        raise GanDenoiseError(f"The file {target} must end in {suffix}.")
    if not target.parent.is_dir():
        raise GanDenoiseError(f"The folder {target.parent} does not exist; create it first.")
    if target.exists() and not overwrite:
        raise GanDenoiseError(f"{target} exists already; choose another name or allow overwriting.")
    return target


def _copy_sound(source: Path, target: Path) -> None:
    """Validate a model file and copy it, whole or not at all."""
    load_model(source)
    if target.exists() and source.samefile(target):
        return
    with written_whole(target, "try again") as temporary:
        shutil.copyfile(source, temporary)


def _files(folder: Path) -> list[Path]:
    found = (path for path in folder.glob(f"*{SUFFIX}") if not path.name.startswith("."))
    return sorted(found, key=lambda path: path.stem)


def _find(name: str | PathLike[str]) -> Path:
    """Return the file of a model by its name or path; a path need not exist."""
    path = Path(name)
    if path.suffix == SUFFIX:
        return path
    if path.name == str(name):
        for folder in (FOLDER, user_folder()):
            if os.path.exists(folder / f"{name}{SUFFIX}"):  # noqa: PTH110 - a name that no file can have is none
                return folder / f"{name}{SUFFIX}"
    known = ", ".join(dict.fromkeys(file.stem for folder in (FOLDER, user_folder()) for file in _files(folder)))
    raise GanDenoiseError(f"There is no model called {in_short(name)}: choose {known}, or the path of a {SUFFIX} file.")


@lru_cache(maxsize=16)
def _load(path: Path, modified: int) -> AnyModel:  # noqa: ARG001 - a changed file is another cache entry
    header = read_adapted_header(path)
    if header is not None:
        return load_adapted(path, header, partial(_find_base, path))
    return load_model_file(path)


def _find_base(path: Path, name: str, sha256: str) -> AnyModel:
    """Find the model that an adapted one belongs to: whichever file of the folders holds that name and has its hash."""
    for file in (file for folder in (FOLDER, user_folder(), path.parent) for file in _files(folder)):
        # Names first: whoever keeps large files of other programs there does not wait until they are read.
        if file != path and name_in(file) == name:
            with file.open("rb") as opened:
                found = hashlib.file_digest(opened, "sha256").hexdigest()
            if found == sha256:
                return load_model(file)
    raise GanDenoiseError(
        f"{path.name} belongs to the model {name} with the SHA-256 {sha256[:12]}…, which is not here: "
        "install that model, or adapt one of yours again."
    )
