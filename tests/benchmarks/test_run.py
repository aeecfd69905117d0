"""`make bench` as a whole: every benchmark imports, has a quick version, and its tables have a place on the page."""

from __future__ import annotations

import importlib
import inspect
import re

import pytest

from benchmarks.run import BENCHMARKS, assemble

pytest.importorskip("abtem")


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_imports_has_a_quick_version_and_names_its_tables(name):
    module = importlib.import_module(f"benchmarks.{name}")

    source = inspect.getsource(module)
    options = set(inspect.signature(module.main).parameters)
    # One parses its options itself.
    assert {"quick", "results"} <= options or {"--quick", "--results"} <= set(re.findall(r'"(--\w+)"', source))
    assert "write_result(" in source
    for table in BENCHMARKS[name]:
        # Some put a table's name together from parts.
        assert table in source or table.removeprefix(f"{name}_") in source
    assert re.search(rf"python -m benchmarks\.{name}\b", module.__doc__)


def test_the_page_holds_every_table_in_order_and_names_what_is_missing(tmp_path):
    tables = [table for written in BENCHMARKS.values() for table in written]
    assert len(set(tables)) == len(tables)
    (tmp_path / f"{tables[0]}.md").write_text("## First\n")

    assemble(tmp_path, tmp_path / "RESULTS.md")

    page = (tmp_path / "RESULTS.md").read_text()
    assert page.index("## First") < page.index(f"*{tables[1]}: not run yet*")
    assert all(table in page for table in tables[1:])
