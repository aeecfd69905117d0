"""`make bench` as a whole: every benchmark starts, has a quick version, and its tables have a place on the page."""

from __future__ import annotations

import runpy
from importlib.util import find_spec

import pytest

from benchmarks.run import BENCHMARKS, assemble

pytestmark = pytest.mark.skipif(find_spec("abtem") is None, reason="needs the extra simulate")


@pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning:runpy")
@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_has_a_quick_version_and_a_place_for_its_tables(name, monkeypatch, capsys):
    """As ``python -m benchmarks.name --help``; which tables it writes is seen where its quick version is run."""
    monkeypatch.setattr("sys.argv", [name, "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(f"benchmarks.{name}", run_name="__main__", alter_sys=True)
    assert not ended.value.code
    told = capsys.readouterr().out
    assert "--quick" in told
    assert "--results" in told


def test_the_page_holds_every_table_in_order_and_names_what_is_missing(tmp_path):
    tables = [table for written in BENCHMARKS.values() for table in written]
    assert len(set(tables)) == len(tables)
    (tmp_path / f"{tables[0]}.md").write_text("## First\n")

    assemble(tmp_path, tmp_path / "RESULTS.md")

    page = (tmp_path / "RESULTS.md").read_text()
    assert page.index("## First") < page.index(f"*{tables[1]}: not run yet*")
    assert all(table in page for table in tables[1:])
