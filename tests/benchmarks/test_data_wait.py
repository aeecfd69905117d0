"""The share of waiting for tiles is measured for every source, with and without workers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_quick_table_measures_every_source_with_and_without_workers(tmp_path):
    command = [sys.executable, "-m", "benchmarks.data_wait", "--quick", "--results", tmp_path]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)

    rows = json.loads((tmp_path / "data_wait.json").read_text())["rows"]
    assert len({(row["tiles"], row["workers"]) for row in rows}) == 4
    assert {row["workers"] for row in rows} == {0, 2}
    assert all(0 < row["share of waiting, %"] < 100 and row["step, ms"] > 0 for row in rows)
