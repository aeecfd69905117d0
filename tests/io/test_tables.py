"""Tables of numbers: what is written is read again, and of a stranger's file nothing but numbers, or one sentence."""

from __future__ import annotations

import os
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.io import as_csv, read_table, write_table

NAMES = ("frame", "down")


def test_numbers_come_back_by_their_names_and_other_columns_do_not_matter(tmp_path):
    down = np.array([0.1, -1e-300, 123456789.123456789])
    write_table(tmp_path / "a.csv", {"remark": np.array(["x", "y, z", ""]), "down": down, "frame": np.arange(3)})
    np.testing.assert_array_equal(read_table(tmp_path / "a.csv", NAMES), np.column_stack([np.arange(3), down]))


def test_what_there_is_no_number_for_stays_empty():
    assert as_csv({"a": np.array([1.5, np.nan]), "b": np.array([2, 3])}) == "a,b\n1.5,2\n,3\n"


def test_a_table_may_come_from_a_spreadsheet(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes("frame, down\r\n0,1.5\r\n\r\n1, -2\r\n".encode("utf-8-sig"))
    assert read_table(path, NAMES).tolist() == [[0, 1.5], [1, -2]]


BAD = {
    "nothing": (b"", "must be a table with the columns frame, down, .* frame, down are missing"),
    "no column": (b"frame,up\n0,1\n", "down is missing"),
    "semicolons": (b"frame;down\n0;1\n", "separated by commas"),
    "a word": (b"frame,down\n0,1\n1,far\n", "line 3: down is 'far', where a number must stand"),
    "nan": (b"frame,down\n0,nan\n", "line 2: down is 'nan'"),
    "endless": (b"frame,down\n0,1e999\n", "line 2: down is '1e999'"),
    "empty": (b"frame,down\n0,\n", "line 2: down is empty"),
    "short": (b"frame,down\n0\n", "line 2: down is empty"),
    "no text": (b"frame,down\n\xff\xfe,1\n", "damaged or no CSV table in UTF-8"),
    "one field": (b"frame,down\n0," + b"1" * 200_000, "damaged or no CSV table"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_table_is_refused_in_one_sentence(tmp_path, case):
    content, match = BAD[case]
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(GanDenoiseError, match=match) as caught:
        read_table(path, NAMES)
    assert "a.csv" in str(caught.value)


@settings(deadline=None, max_examples=60)
@given(st.one_of(st.binary(max_size=60), st.text(alphabet='frame,down\n01";\r\0 ', max_size=60).map(str.encode)))
def test_whatever_a_file_holds_it_is_numbers_or_a_sentence(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(b"frame,down\n" + content)
    try:
        found = read_table(path, NAMES)
    except GanDenoiseError:
        return
    assert found.shape[1:] == (2,)
    assert np.isfinite(found).all()


def test_neither_a_huge_file_nor_a_pipe_is_read(tmp_path):
    with (tmp_path / "huge.csv").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(GanDenoiseError, match="too large for a table"):
        read_table(tmp_path / "huge.csv", NAMES)
    with pytest.raises(GanDenoiseError, match="There is no file"):
        read_table(tmp_path / "none.csv", NAMES)
    if sys.platform != "win32":
        os.mkfifo(tmp_path / "pipe.csv")
        with pytest.raises(GanDenoiseError, match="is a pipe"):
            read_table(tmp_path / "pipe.csv", NAMES)
