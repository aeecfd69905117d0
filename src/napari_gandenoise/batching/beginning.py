"""Jobs begin, or go on: what could not end well, or is another job, is refused before any work."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

from napari_gandenoise.batching.inputs import content_hash, find_sources
from napari_gandenoise.batching.ledger import Ledger, config_in, has_job, read_ledger
from napari_gandenoise.batching.outputs import adapted_path, discard, results_of, unfinished_in, unfinished_path
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.models import list_models, load_model
from napari_gandenoise.settings.batch import BatchConfig
from napari_gandenoise.settings.denoise import DenoiseConfig
from napari_gandenoise.settings.shared import AUTO
from napari_gandenoise.writing import check_writable, refuse_inputs

__all__ = ["ledger_of"]


@contextmanager
def ledger_of(config: BatchConfig, resume: bool, overwrite: bool) -> Iterator[Ledger]:
    """Open the ledger of a new job, or of the one to resume."""
    folder = config.output
    if resume and overwrite:
        raise GanDenoiseError("A job is either resumed or started anew: leave out resume or overwrite.")
    if resume:
        head = read_ledger(folder)[0]
        _refuse_inputs(config_in(head, folder), head["files"])
        _check_same(head, config)
        ledger = Ledger(folder)
    else:
        if has_job(folder) and not overwrite:
            raise GanDenoiseError(
                f"{folder} holds a job already: resume it, allow overwriting, or choose another folder."
            )
        head = _head(config, overwrite)
        check_writable(folder)
        folder.mkdir(parents=True, exist_ok=True)
        ledger = Ledger(folder, head)
        for path in unfinished_in(folder):
            discard(path)
    try:
        yield ledger
    finally:
        ledger.close()


def _head(config: BatchConfig, overwrite: bool) -> dict[str, Any]:
    """Write the first line of a ledger, and refuse a job that could not end well."""
    sources = find_sources(config.inputs, config.output)
    settings = config.settings
    if isinstance(settings, DenoiseConfig) and settings.drift is not None and len(sources) > 1:
        raise GanDenoiseError(
            f"A drift table is that of one movie, but there are {len(sources)} inputs: denoise each movie with its "
            "own, or leave out drift."
        )
    head: dict[str, Any] = {
        "config": config.model_dump(mode="json"),
        "model_sha256": _model_digest(config.settings.model),
        "beside": _digests(_beside(config)),
        "versions": {name: version(name) for name in ("napari-gandenoise", "torch", "numpy")},
        "overwrite": overwrite,
        "files": {source.name: str(source.path) for source in sources},
    }
    _refuse_inputs(config, head["files"], unfinished_in(config.output))
    taken = [path for path in results_of(config, head["files"]) if path.exists()]
    if taken and not overwrite:
        raise GanDenoiseError(f"{taken[0]} exists already: allow overwriting, or choose another folder.")
    return head


def _refuse_inputs(config: BatchConfig, files: Mapping[str, str], removed: Iterable[Path] = ()) -> None:
    """Refuse a job that would replace or remove what it reads."""
    paths = [*results_of(config, files), *(adapted_path(config.output, name) for name in files)]
    inputs: list[str | Path] = [*files.values(), config.settings.model, *_beside(config)]
    refuse_inputs([*paths, *map(unfinished_path, paths), *removed], map(Path, inputs))


def _beside(config: BatchConfig) -> list[Path]:
    """Return what a job reads beside its inputs and its model."""
    settings = config.settings
    drift = settings.drift if isinstance(settings, DenoiseConfig) else None
    return [path for path in (config.mask, drift) if path is not None]


def _digests(paths: Iterable[Path]) -> dict[str, str]:
    """Return the hash of each file; none of one that is not there, which its reader tells of."""
    return {str(path): content_hash(path) if path.exists() else "" for path in paths}


def _check_same(head: dict[str, Any], config: BatchConfig) -> None:
    """Refuse to go on with other settings than a job began with."""
    before, now = (_flat(one.provenance()) for one in (config_in(head, config.output), config))
    for name in before | now:
        if before.get(name) != now.get(name):
            raise GanDenoiseError(
                f"The job in {config.output} began with {name} {before.get(name)}, not {now.get(name)}: resume it with "
                "its own settings, or start anew with overwrite."
            )
    if _model_digest(config.settings.model) != head["model_sha256"]:
        raise GanDenoiseError(f"The model {config.settings.model} is another than when the job began: start anew.")
    for path, digest in _digests(_beside(config)).items():
        if digest != head.get("beside", {}).get(path, digest):
            raise GanDenoiseError(f"{path} is another than when the job began: start anew with overwrite.")


def _model_digest(model: str) -> str:
    """Return the hash of a model; for auto one of all that may be chosen."""
    if model != AUTO:
        return load_model(model).sha256
    return sha256("".join(card.sha256 for card in list_models()).encode()).hexdigest()


def _flat(fields: dict[str, Any]) -> dict[str, Any]:
    """Lay the settings beside the other fields."""
    return {**fields, **fields["settings"], "settings": None}
