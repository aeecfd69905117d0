"""What the Train panel would do, or goes on with, as Python, as a command or as YAML."""

from __future__ import annotations

import shlex

from napari_gandenoise.settings.cif import CifTrainConfig
from napari_gandenoise.settings.train import AnyTrainConfig
from napari_gandenoise.widgets.forms.snippets import as_yaml, call, command_line

__all__ = ["copied"]


def copied(kind: str, config: AnyTrainConfig | CifTrainConfig, *, resume: bool) -> tuple[str, str]:
    """Return a run as "python", "command" or "yaml", and what else there is to say about that.

    Parameters
    ----------
    kind : str
        In which language.
    config : TrainConfig or DirectTrainConfig or CifTrainConfig
        The run.
    resume : bool
        Whether it has begun.
    """
    of_cif = isinstance(config, CifTrainConfig)
    if kind == "python":
        made = "config = " + call(f"gd.{type(config).__name__}", (), config)
        train = "train_cif_steps" if of_cif else "train_steps"
        return "\n".join(["import napari_gandenoise as gd", "", made, f"model = gd.drain(gd.{train}(config))", ""]), ""
    if kind == "yaml":
        return as_yaml(config), ""
    if isinstance(config, CifTrainConfig):
        return command_line(["train"], config), ""
    given = [str(config.output / "config.yaml"), "--resume"] if resume else [f"{config.name}.yaml"]
    reads = "" if resume else f" It reads {config.name}.yaml: save the YAML there."
    return shlex.join(["napari-gandenoise", "train", *given]), reads
