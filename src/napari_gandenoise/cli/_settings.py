"""From options and YAML files to configs, and what could not be written refused before the work."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from napari_gandenoise.errors import GanDenoiseError

if TYPE_CHECKING:
    from pydantic import BaseModel

    from napari_gandenoise.settings.noise import AnyNoise

__all__ = ["check_outputs", "noise_model", "read_config", "read_yaml"]

Config = TypeVar("Config", bound="BaseModel")


def read_config(kind: type[Config], path: Path | None, **options: Any) -> Config:
    """Build a config from a YAML file and the options that were given."""
    from pydantic import ValidationError

    fields = {} if path is None else read_yaml(path)
    fields |= {name: value for name, value in options.items() if value is not None}
    try:
        return kind(**fields)
    except ValidationError as error:
        raise GanDenoiseError.from_validation(error) from None


def read_yaml(path: Path) -> dict[str, Any]:
    """Read the fields of a config from a file."""
    import yaml

    try:
        fields = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise GanDenoiseError(f"{path} is not a YAML file: {' '.join(str(error).split())}.") from None
    if not isinstance(fields, dict) or not all(isinstance(name, str) for name in fields):
        raise GanDenoiseError(f"{path} must hold a mapping of fields, like `preset: fast`.")
    return fields


def noise_model(
    gain: float | None, offset: float | None, read_noise: float | None, sigma: float | None
) -> AnyNoise | None:
    from pydantic import ValidationError

    from napari_gandenoise.settings.noise import Gaussian, camera

    if gain is None and offset is None and read_noise is None:
        if sigma is None:
            return None
    elif sigma is not None:
        raise GanDenoiseError("Give either --sigma or the numbers of a camera (--gain, --offset, --read-noise).")
    try:
        if sigma is not None:
            return Gaussian(sigma=sigma)
        return camera(1.0 if gain is None else gain, offset or 0.0, read_noise or 0.0)
    except ValidationError as error:
        raise GanDenoiseError.from_validation(error) from None


def check_outputs(source: Path | None, outputs: list[Path], overwrite: bool) -> None:
    """Refuse before the work what could not be written after it."""
    for path in outputs:
        if path.suffix.lower() not in {".tif", ".tiff"}:
            raise GanDenoiseError(f"The output {path} must end in .tif or .tiff.")
        if source is not None and path.resolve() == source.resolve():
            raise GanDenoiseError(f"The output {path} is the input itself; choose another name.")
        if not path.parent.is_dir():
            raise GanDenoiseError(f"The folder {path.parent} does not exist; create it first.")
        if path.exists() and not overwrite:
            raise GanDenoiseError(f"{path} already exists; choose another name or add --overwrite.")
    if len(outputs) == 2 and outputs[0].resolve() == outputs[1].resolve():
        raise GanDenoiseError(f"Two results cannot both be {outputs[0]}: choose another name for one.")
