"""Adapted models: a small ``.safetensors`` with the gains that an adaptation has moved, and whose gains they are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from napari_gandenoise.errors import GanDenoiseError, in_short
from napari_gandenoise.models.denoisers import NORMS
from napari_gandenoise.models.file import FLOATS, HEADER, AnyModel, DirectModel
from napari_gandenoise.settings.names import LONGEST_NAME, FileName
from napari_gandenoise.strangers import blaming, check_regular
from napari_gandenoise.writing import written_whole

__all__ = ["AdaptedHeader", "load_adapted", "name_in", "read_adapted_header", "save_adapted"]


class AdaptedHeader(BaseModel):
    """What the file of an adapted model says of itself."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    adapted: Literal[1] = Field(1, description="Version of this layout.")
    name: FileName = Field(min_length=1, max_length=80)
    base: FileName = Field(min_length=1, max_length=80, description="Name of the model whose gains were moved.")
    base_sha256: str = Field(pattern="^[0-9a-f]{64}$", description="Of its file, which alone they fit.")
    description: str = Field("", max_length=2000, description="What it was adapted to.")
    adaptation: dict[str, Any] = Field(default_factory=dict, description="How: steps, and what they brought.")


def save_adapted(
    path: Path, adapted: DirectModel, base: DirectModel, description: str, adaptation: dict[str, Any]
) -> None:
    """Write the gains of an adapted model, whole or not at all.

    Parameters
    ----------
    path : Path
        File to write.
    adapted, base : DirectModel
        The model, and the one that it was; a model that is in no file cannot be named.
    description : str
        What it was adapted to.
    adaptation : dict
        How, ready for JSON.

    Raises
    ------
    GanDenoiseError
        If the base is in no file, or the file cannot be written.
    """
    if not base.sha256:
        raise GanDenoiseError(f"The model {base.name} is in no file: save it, then adapt it.")
    header = AdaptedHeader(
        name=_adapted_name(base.name),
        base=base.name,
        base_sha256=base.sha256,
        description=description[:2000],
        adaptation=adaptation,
    )
    with written_whole(path, "try again") as temporary:
        tensors = {name: value.contiguous() for name, value in _gains(adapted.network).items()}
        save_file(tensors, temporary, metadata={HEADER: header.model_dump_json()})


def read_adapted_header(path: Path) -> AdaptedHeader | None:
    """Read the header of an adapted model; None if the file is anything else.

    Raises
    ------
    GanDenoiseError
        If it says that it is one, but not what it must.
    """
    if not path.exists():
        return None
    check_regular(path)
    described = _described(path)
    if described is None or "adapted" not in described[1]:
        return None
    try:
        return AdaptedHeader.model_validate_json(described[0])
    except ValidationError as error:
        detail = GanDenoiseError.from_validation(error)
        raise GanDenoiseError(f"{path.name} has a header that this version cannot use: {detail}") from None


def name_in(path: Path) -> str | None:
    """Return what a model file calls itself, adapted or not; None if the file is anything else."""
    described = _described(path) if path.is_file() else None
    return described and described[1].get("name")


def _described(path: Path) -> tuple[str, dict[str, Any]] | None:
    """Return the header of a model file as text, and what it says; None if there is none."""
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(HEADER, "")
        said = json.loads(text)
    except Exception:  # whoever reads models says what is wrong with it
        return None
    return (text, said) if isinstance(said, dict) else None


def load_adapted(path: Path, header: AdaptedHeader, find: Callable[[str, str], AnyModel]) -> DirectModel:
    """Read an adapted model.

    Parameters
    ----------
    path : Path
        Its file.
    header : AdaptedHeader
        What that says of itself.
    find : callable
        Returns the model of a name and a hash.

    Raises
    ------
    GanDenoiseError
        If the model that it belongs to is not there, or its gains are not that model's.
    """
    with blaming(path, "model"):
        base = find(header.base, header.base_sha256)
        if not isinstance(base, DirectModel):
            raise GanDenoiseError(
                f"{path.name} belongs to {base.name}, which is no direct denoiser: the file is damaged."
            )
        network = deepcopy(base.network)
        network.load_state_dict(_read_gains(path, header.base, _gains(network)), strict=False)
        about = base.header.model_copy(update={"name": header.name, "description": header.description})
        with path.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
    return replace(base, header=about, network=network, sha256=digest, path=path)


def _read_gains(path: Path, base: str, wanted: dict[str, Tensor]) -> dict[str, Tensor]:
    """Read the gains of a file, which must be those of its base and finite."""
    with safe_open(path, framework="pt") as file:
        stored = {key: file.get_slice(key) for key in file.keys()}  # noqa: SIM118
        wrong = wanted.keys() ^ stored.keys() or {
            key
            for key, value in wanted.items()
            if tuple(stored[key].get_shape()) != tuple(value.shape) or stored[key].get_dtype() not in FLOATS
        }
        if wrong:
            raise GanDenoiseError(
                f"{path.name} does not hold the gains of {base} ({in_short(min(wrong))}): the file is damaged."
            )
        gains = {key: file.get_tensor(key).float() for key in stored}
    for key, value in gains.items():
        if not torch.isfinite(value).all():
            raise GanDenoiseError(f"{path.name} holds NaN or infinite gains ({key}): adapt the model again.")
    return gains


def _adapted_name(base: str) -> str:
    """Name a model after its base, which is cut where that becomes too long for a name."""
    end = " adapted"
    return base.encode()[: LONGEST_NAME - len(end)].decode(errors="ignore")[: 80 - len(end)] + end


def _gains(network: nn.Module) -> dict[str, Tensor]:
    """Return the gains and biases of a network's normalisations by their names."""
    norms = ((name, part) for name, part in network.named_modules() if isinstance(part, NORMS))
    return {f"{name}.{key}": value.detach() for name, part in norms for key, value in part.named_parameters()}
