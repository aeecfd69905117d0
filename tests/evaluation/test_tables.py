from __future__ import annotations

from napari_gandenoise.evaluation import markdown_table


def test_rows_become_a_markdown_table():
    rows = [{"method": "flat", "PSNR": 26.304}, {"method": "ours", "PSNR": None}]

    assert markdown_table(rows) == "| method | PSNR |\n| --- | --- |\n| flat | 26.30 |\n| ours | – |\n"
