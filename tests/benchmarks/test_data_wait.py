"""The share of waiting for tiles is measured for every source, with and without workers."""

from __future__ import annotations

import json

import pytest


@pytest.mark.slow
def test_the_quick_table_measures_every_source_with_and_without_workers(tmp_path, quick):
    quick("data_wait")

    rows = json.loads((tmp_path / "data_wait.json").read_text())["rows"]
    assert len({(row["tiles"], row["workers"]) for row in rows}) == 4
    assert {row["workers"] for row in rows} == {0, 2}
    assert all(0 < row["share of waiting, %"] < 100 and row["step, ms"] > 0 for row in rows)
