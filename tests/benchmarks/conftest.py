"""The quick version of a benchmark, run as the Makefile runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.run import BENCHMARKS

ROOT = Path(__file__).parents[2]


@pytest.fixture
def quick(tmp_path):
    """Run a benchmark, ``quick(name, *options)``, which writes the tables that `make bench` expects of it."""

    def run(name: str, *options: str) -> None:
        command = [sys.executable, "-m", f"benchmarks.{name}", "--quick", "--results", str(tmp_path), *options]
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
        assert {path.stem for path in tmp_path.glob("*.md")} == set(BENCHMARKS[name])

    return run
