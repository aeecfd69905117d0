"""A panel's settings as Python, as a command and as YAML: the same run elsewhere."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from napari_gandenoise.settings.batch import BatchConfig
from napari_gandenoise.settings.compare import CompareConfig
from napari_gandenoise.settings.denoise import DenoiseConfig
from napari_gandenoise.settings.noise import AnyNoise, Gaussian, Poisson, PoissonGaussian
from napari_gandenoise.settings.restore import RestoreConfig
from napari_gandenoise.settings.simulate import SimulationConfig
from napari_gandenoise.settings.train import RECIPE_VALUES, AnyTrainConfig, DirectTrainConfig
from napari_gandenoise.widgets._restore_form import FRONT, ONLY
from napari_gandenoise.widgets._source import Source

if TYPE_CHECKING:
    from napari.layers import Layer

__all__ = [
    "MASK_FILE",
    "as_command",
    "as_python",
    "as_yaml",
    "batch_command",
    "batch_python",
    "batch_yaml",
    "comparison_command",
    "comparison_python",
    "comparison_yaml",
    "restoration_command",
    "restoration_python",
    "restoration_yaml",
    "simulation_command",
    "simulation_python",
    "simulation_yaml",
    "training_command",
    "training_python",
    "training_yaml",
]

MASK_FILE = "mask.tif"
# Options of `denoise` that a command need not have, with what they are then.
OPTIONAL = {
    "objective": "likelihood",
    "clipping": "projected",
    "views": None,
    "strength": None,
    "grain": None,
    "intensity": 1.0,
}
TRUTH_FILE = "truth.tif"


def as_python(source: Source, config: DenoiseConfig) -> str:
    """Python for napari's console that denoises the same pixels with the same settings."""
    lines = [f"{name}={_expression(value)}" for name, value in _chosen(config).items()]
    return _console([], f"gd.denoise({_call(_pixels(source), *lines)})")


def _console(preparation: list[str], call: str) -> str:
    """Python for napari's console that adds a result to the viewer."""
    add = "viewer.add_layer(napari.layers.Layer.create(*result.to_layer_data()))"
    lines = ["import napari", "import napari_gandenoise as gd", *preparation, "", f"result = {call}", add]
    return "\n".join([*lines, ""])


def _call(*arguments: str) -> str:
    return "\n" + "".join(f"    {argument},\n" for argument in arguments)


def _pixels(source: Source) -> str:
    """Python source of what a run gets: the layer, or a part of its data."""
    layer = f"viewer.layers[{source.layer.name!r}]"
    if source.is_whole:
        return layer
    part = f"{layer}.data{'[0]' if source.layer.multiscale else ''}[{_index(source)}]"
    return f"gd.Micrograph({part}, rgb=True)" if source.micrograph.rgb else part


def as_command(source: Source, config: DenoiseConfig) -> str:
    """Shell command that denoises the layer's file with the same settings."""
    words = ["napari-gandenoise", "denoise", *_files(source, "denoised")]
    if config.replicates:
        words += ["--uncertainty", _files(source, "uncertainty")[1], "--replicates", str(config.replicates)]
    options = {"--model": config.model, "--preset": config.preset, "--seed": config.seed, "--device": config.device}
    if config.pixel_size_nm is not None:
        options["--pixel-size"] = f"{config.pixel_size_nm:.6g}"
    options |= _noise_options(config.noise)
    for name, standard in OPTIONAL.items():
        value = getattr(config, name)
        if value != standard:
            options[f"--{name}"] = f"{value:.6g}" if isinstance(value, float) else value
    for option, given in options.items():
        words += [option, str(given)]
    if not config.residual_step:
        words.append("--no-residual-step")
    return shlex.join(words)


def _files(source: Source, ending: str) -> tuple[str, str]:
    """Return the layer's file, and one beside it for the result."""
    given = _file(source.layer, "INPUT.tif")
    return str(given), str(given.with_name(f"{given.stem}-{ending}.tif"))


def _file(layer: Layer, otherwise: str) -> Path:
    path = layer.source.path
    return Path(path) if path else Path(otherwise)


def as_yaml(config: DenoiseConfig) -> str:
    """YAML of the settings, for the command line and batch runs."""
    return yaml.safe_dump(_chosen(config, mode="json"), sort_keys=False)


def restoration_python(source: Source, config: RestoreConfig, mask: Layer | None) -> str:
    """Python for napari's console that restores the same pixels with the same settings.

    Parameters
    ----------
    source : Source
        What is restored.
    config : RestoreConfig
        The settings.
    mask : napari layer or None
        What marks the missing pixels; None where nothing does.
    """
    lines = [f"{name}={value!r}" for name, value in _restoration(config).items()]
    if mask is None:
        return _console([], f"gd.restore({_call(_pixels(source), *lines)})")
    layers = f"viewer.layers[{mask.name!r}], viewer.layers[{source.layer.name!r}]"
    frame = f", frame={source.box[0].start}" if source.single_frame else ""
    part = "" if source.is_whole else f"[{_index(source, axes=2)}]"
    marked = f"mask=mask_of({layers}{frame}){part}"
    preparation = ["from napari_gandenoise.widgets import mask_of"]
    return _console(preparation, f"gd.restore({_call(_pixels(source), marked, *lines)})")


def restoration_command(source: Source, config: RestoreConfig, mask: Layer | None) -> str:
    """Shell command that restores the layer's file with the same settings; the mask is a file, too."""
    words = ["napari-gandenoise", "restore", *_files(source, "restored")]
    if mask is not None:
        words += ["--mask", str(_file(mask, MASK_FILE))]
    for name, value in _restoration(config).items():
        option = name.removesuffix("_nm").replace("_", "-")
        words += [f"--{'' if value else 'no-'}{option}"] if isinstance(value, bool) else [f"--{option}", str(value)]
    return shlex.join(words)


def restoration_yaml(config: RestoreConfig) -> str:
    """YAML of the settings of a restoration."""
    return yaml.safe_dump(_restoration(config), sort_keys=False)


def _restoration(config: RestoreConfig) -> dict[str, Any]:
    """Return what the panel shows in front, and of the rest what differs from the default."""
    shown = {"task", "model", "seed"} | {name for name, task in ONLY.items() if task == config.task and name in FRONT}
    changed = _changed(config)
    fields = config.model_dump(mode="json")
    return {name: value for name, value in fields.items() if name in shown or name in changed}


def comparison_python(source: Source, config: CompareConfig, truth: Layer | None) -> str:
    """Python for napari's console that compares on the same pixels with the same settings.

    Parameters
    ----------
    source : Source
        What is denoised.
    config : CompareConfig
        The settings.
    truth : napari layer or None
        What methods are scored against.
    """
    lines = [f"{name}={_expression(value)}" for name, value in _comparison(config).items()]
    clean = [] if truth is None else [f"truth=viewer.layers[{truth.name!r}].data{_frame(source, truth)}"]
    return "\n".join(
        [
            "import napari",
            "import napari_gandenoise as gd",
            "",
            f"result = gd.compare({_call(_pixels(source), *clean, *lines)})",
            "for layer in result.to_layers():",
            "    viewer.add_layer(napari.layers.Layer.create(*layer))",
            "result.table()",
            "",
        ]
    )


def _frame(source: Source, layer: Layer) -> str:
    return f"[{source.box[0].start}]" if source.single_frame and layer.ndim > 2 else ""


def comparison_command(source: Source, config: CompareConfig, truth: Layer | None) -> str:
    """Shell command that compares on the layer's file with the same settings; the truth is a file, too."""
    given = _file(source.layer, "INPUT.tif")
    words = ["napari-gandenoise", "compare", str(given), "--output", str(given.with_name(f"{given.stem}-compared"))]
    if truth is not None:
        words += ["--truth", str(_file(truth, TRUTH_FILE))]
    for name, value in _comparison(config).items():
        option = name.removesuffix("_nm").replace("_", "-")
        if name == "noise":
            words += [word for pair in _noise_options(value).items() for word in pair]
        elif isinstance(value, bool):
            words += [f"--{'' if value else 'no-'}{option}"]
        else:
            words += [f"--{option}", ",".join(value) if name == "methods" else str(value)]
    return shlex.join(words)


def comparison_yaml(config: CompareConfig) -> str:
    """YAML of the settings of a comparison."""
    own = config.model_dump(mode="json", include=set(_comparison(config)))
    return yaml.safe_dump(own, sort_keys=False)


def _comparison(config: CompareConfig) -> dict[str, Any]:
    """Return what the panel shows in front, and of the rest what differs from the default."""
    shown = {"methods", "model", "preset", "seed"} | set(config.model_dump(exclude_defaults=True))
    return {name: value for name, value in dict(config).items() if name in shown and value is not None}


def simulation_python(config: SimulationConfig, dose: float) -> str:
    """Python for napari's console that makes the same micrograph."""
    return "\n".join(
        [
            "import napari",
            "import napari_gandenoise as gd",
            "",
            f"config = gd.SimulationConfig.model_validate({_indented(_changed(config))})",
            f"made = gd.simulate_micrograph(config, dose={dose!r})",
            "for layer in made.to_layers():",
            "    viewer.add_layer(napari.layers.Layer.create(*layer))",
            "",
        ]
    )


def simulation_command(name: str) -> str:
    """Shell command that writes a set of this name with the settings in ``simulation.yaml``."""
    return shlex.join(["napari-gandenoise", "simulate", "simulation.yaml", name])


def simulation_yaml(config: SimulationConfig) -> str:
    """YAML of the settings of a simulation."""
    shown = {name: getattr(config, name) for name in ("structures", "images_per_structure", "seed")}
    return yaml.safe_dump({**shown, **_changed(config)}, sort_keys=False)


def training_python(config: AnyTrainConfig) -> str:
    """Python that trains with the same settings."""
    return "\n".join(
        [
            "import napari_gandenoise as gd",
            "",
            f"config = gd.{type(config).__name__}.model_validate({_indented(_training(config))})",
            "model = gd.drain(gd.train_steps(config))",
            "",
        ]
    )


def training_command(config: AnyTrainConfig, *, resume: bool) -> str:
    """Shell command that trains with the settings in a file, or goes on with a run."""
    words = ["napari-gandenoise", "train"]
    if resume:
        return shlex.join([*words, str(config.output / "config.yaml"), "--resume"])
    return shlex.join([*words, f"{config.name}.yaml"])


def training_yaml(config: AnyTrainConfig) -> str:
    """YAML of the settings of a training run."""
    return yaml.safe_dump(_training(config), sort_keys=False, allow_unicode=True)


def batch_python(config: BatchConfig, where: Mapping[str, Any]) -> str:
    """Python of a batch job; workers are other processes, which read the script as well."""
    fields = [f"{name}={value!r}," for name, value in {**_batch(config), **where}.items()]
    call = ["result = gd.batch(", *(f"    {field}" for field in fields), ")"]
    lines = ["import napari_gandenoise as gd", "", 'if __name__ == "__main__":', *(f"    {line}" for line in call)]
    return "\n".join([*lines, "    print(result.summary())", ""])


def batch_command(config: BatchConfig, where: Mapping[str, Any]) -> str:
    """Shell command of a batch job with the settings in ``batch.yaml``."""
    words = ["napari-gandenoise", "batch", "batch.yaml", "--output", str(config.output)]
    for name, value in where.items():
        words += [f"--{name}", str(value)]
    return shlex.join(words)


def batch_yaml(config: BatchConfig) -> str:
    """YAML of a batch job."""
    return yaml.safe_dump(_batch(config), sort_keys=False, allow_unicode=True)


def _batch(config: BatchConfig) -> dict[str, Any]:
    """Return what has no default, and what differs from it."""
    fields = config.model_dump(mode="json", exclude_defaults=True, exclude={"settings"})
    values, known = config.settings.model_dump(mode="json"), type(config.settings).model_fields
    changed = {n: value for n, value in values.items() if getattr(config.settings, n) != known[n].get_default()}
    return {**fields, "settings": changed}


def _training(config: AnyTrainConfig) -> dict[str, Any]:
    """Return what differs from the defaults, and what has no fixed one: the data's kind, and what recipes set."""
    whole = config.model_dump(mode="json")
    if isinstance(config, DirectTrainConfig):
        kept = {"name", "data", "output", "tiles", "architecture", "recipe", "steps", *_changed(config)}
        return {name: value for name, value in whole.items() if name in kept}
    set_by_recipes = {name for values in RECIPE_VALUES.values() for name in values}
    kept = {"name", "data", "output", "recipe", "steps", *set_by_recipes, *_changed(config)}
    chosen = {name: value for name, value in whole.items() if name in kept}
    for part in ("tiles", "architecture"):
        if part in chosen:
            chosen[part] = whole[part]
    return chosen


def _changed(config: SimulationConfig | AnyTrainConfig | RestoreConfig) -> dict[str, Any]:
    return config.model_dump(mode="json", exclude_defaults=True)


def _indented(fields: dict[str, Any]) -> str:
    """Python source of nested dictionaries, a line a field."""
    if not fields:
        return "{}"
    return "{\n" + "".join(f"    {name!r}: {value!r},\n" for name, value in fields.items()) + "}"


def _chosen(config: DenoiseConfig, mode: str = "python") -> dict[str, Any]:
    """Return what the panel shows, and of the rest what differs from the default."""
    shown = {"model", "pixel_size_nm", "noise", "preset", "seed"}
    defaults = DenoiseConfig()
    names = [n for n in DenoiseConfig.model_fields if n in shown or getattr(config, n) != getattr(defaults, n)]
    values = config.model_dump(mode=mode) if mode == "json" else dict(config)
    return {name: values[name] for name in names if values[name] is not None}


def _expression(value: Any) -> str:
    """Python source of a value: noise models by their public names."""
    return f"gd.{value!r}" if isinstance(value, Poisson | PoissonGaussian | Gaussian) else repr(value)


def _index(source: Source, axes: int = 3) -> str:
    """Python source of the part of the layer, or of its last axes only."""
    parts = [f"{part.start}:{part.stop}" for part in source.box]
    if source.single_frame:
        parts[0] = str(source.box[0].start)
    return ", ".join(parts[-axes:])


def _noise_options(noise: AnyNoise | None) -> dict[str, str]:
    if noise is None:
        return {}
    if isinstance(noise, Gaussian):
        return {"--sigma": f"{noise.sigma:.6g}"}
    options = {"--gain": f"{noise.gain:.6g}", "--offset": f"{noise.offset:.6g}"}
    if isinstance(noise, PoissonGaussian):
        options["--read-noise"] = f"{noise.read_noise:.6g}"
    return options
