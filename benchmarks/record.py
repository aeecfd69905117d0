"""Results on disk: one JSON file with provenance and one Markdown table each."""

from __future__ import annotations

import json
import os
import platform
import shlex
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from napari_gandenoise.evaluation.tables import markdown_table

__all__ = ["RESULTS", "provenance", "write_result"]

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("napari-gandenoise", "numpy", "scipy", "torch", "scikit-image", "scikit-learn", "bm3d", "abtem", "ase")


def provenance() -> dict[str, Any]:
    """Say what ran, where and with which versions."""
    return {
        "command": shlex.join(["python", "-m", _module_name(), *sys.argv[1:]]),
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{_processor()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}",
        "versions": {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES},
    }


def write_result(
    folder: Path, name: str, title: str, notes: str, rows: Sequence[Mapping[str, object]], **more: object
) -> str:
    """Write ``name.json`` and ``name.md`` into ``folder`` and return the Markdown."""
    origin = provenance()
    versions = ", ".join(f"{package} {number}" for package, number in origin["versions"].items() if number)
    markdown = (
        f"## {title}\n\n{notes}\n\n{markdown_table(rows)}\n"
        f"`{origin['command']}`, {origin['date']}, {origin['machine']}; {versions}.\n"
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps({**origin, "notes": notes, "rows": list(rows), **more}, indent=1))
    (folder / f"{name}.md").write_text(markdown)
    return markdown


def _module_name() -> str:
    return f"benchmarks.{Path(sys.argv[0]).stem}"


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    names = (
        [line.split(":")[1].strip() for line in information.read_text().splitlines() if "model name" in line]
        if (information.exists())
        else []
    )
    return names[0] if names else platform.processor() or "unknown processor"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
