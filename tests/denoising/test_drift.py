"""The drift of a movie: found, given, switched off, written, and refused where it is no drift of this movie."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

import napari_gandenoise as gd
from napari_gandenoise.denoising import given_way
from napari_gandenoise.errors import GanDenoiseError
from napari_gandenoise.evaluation import psnr
from napari_gandenoise.settings.denoise import DenoiseConfig

SIDE, DOWN, RIGHT = 96, 10, -7
FIELDS = {"model": "hrtem-unet", "pixel_size_nm": 0.0244, "noise": gd.Poisson(), "views": 1, "residual_step": False}
WAY = np.arange(3)[:, None] * (DOWN, RIGHT)


@pytest.fixture(scope="module")
def movie():
    """Columns without any order, which nothing but the true shift brings onto each other, drifting fast."""
    random = np.random.default_rng(3)
    spots = np.zeros((200, 200))
    spots[tuple(random.integers(0, 200, (2, 400)))] = 1
    view = 2 + 60 * ndimage.gaussian_filter(spots, 2.0)
    return np.stack([view[50 - down :, 50 - right :][:SIDE, :SIDE] for down, right in WAY]).astype(np.float32)


@pytest.fixture(scope="module")
def counts(movie):
    return np.random.default_rng(4).poisson(movie).astype(np.uint16)


@pytest.fixture(scope="module")
def found(counts):
    return gd.denoise(counts, **FIELDS)


def written(path, *rows, header="frame,down,right"):
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def test_the_drift_that_was_found_is_where_the_specimen_lies(found):
    assert list(found.drift) == ["frame", "down", "right"]
    np.testing.assert_array_equal(np.column_stack(list(found.drift.values())), np.column_stack([np.arange(3), WAY]))


def test_what_was_written_can_be_given_and_changes_nothing(tmp_path, counts, found):
    found.write_drift(tmp_path / "drift.csv")
    given = gd.denoise(counts, drift=tmp_path / "drift.csv", **FIELDS)
    np.testing.assert_array_equal(given.rate, found.rate)
    assert given.report["drift"] == found.report["drift"]
    given.write_drift(tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "drift.csv").read_bytes()
    with pytest.raises(GanDenoiseError, match=r"exists already.*overwrite=True"):
        given.write_drift(tmp_path / "again.csv")
    with pytest.raises(GanDenoiseError, match=r"must end in \.csv"):
        given.write_drift(tmp_path / "again.tif")


def test_without_looking_for_it_a_large_drift_is_not_followed(movie, counts, found):
    off = gd.denoise(counts, align=False, **FIELDS)
    assert np.abs(off.report["drift"]).max() <= 4
    gains = [
        psnr(truth, one) - psnr(truth, other) for truth, one, other in zip(movie, found.rate, off.rate, strict=True)
    ]
    assert min(gains) > 0.5


def test_the_origin_and_the_order_of_a_table_do_not_matter_and_parts_of_pixels_are_rounded(tmp_path):
    rows = [f"{frame},{100.25 + down + 0.1 * frame},{right}" for frame, (down, right) in enumerate(WAY.tolist())]
    table = written(tmp_path / "drift.csv", *reversed(rows))
    np.testing.assert_array_equal(given_way(DenoiseConfig(drift=table), len(WAY)), WAY)
    with pytest.raises(GanDenoiseError, match="align is off: leave one of them out"):
        gd.plan(np.ones((2, 9, 9)), drift=table, align=False)


def test_a_blank_frame_does_not_hide_the_way_of_those_after_it(counts, tmp_path):
    spoilt = counts.copy()
    spoilt[1] = 0
    result = gd.denoise(spoilt, **FIELDS)
    np.testing.assert_array_equal(np.column_stack([result.drift["down"], result.drift["right"]])[[0, 2]], WAY[[0, 2]])
    assert [colour == "grey" for colour in result.report["colours"]] == [False, True, False]
    result.write_drift(tmp_path / "drift.csv")  # which has a row for it all the same
    np.testing.assert_array_equal(given_way(DenoiseConfig(drift=tmp_path / "drift.csv"), 3)[[0, 2]], WAY[[0, 2]])


def test_where_no_neighbour_has_a_say_a_table_is_said_to_change_nothing(tmp_path, counts):
    table = written(tmp_path / "drift.csv", "0,0,0", "1,14,-9")
    for image, fields in ((counts[0], {}), (counts[:2], {"neighbours": 0})):
        warnings = gd.plan(image, drift=table, **fields, **FIELDS).warnings
        assert "The drift table changes nothing" in " ".join(warnings)
    single = gd.denoise(counts[0], drift=table, **FIELDS)
    assert "The drift table changes nothing" in " ".join(single.report["warnings"])
    assert single.drift is None
    with pytest.raises(GanDenoiseError, match="no drift to write: each frame was taken for itself"):
        single.write_drift(tmp_path / "none.csv")


BAD = {
    "counted from 1": (("1,0,0", "2,0,0", "3,0,0"), "has a frame 3, but this movie has the frames 0 to 2"),
    "longer": (("0,0,0", "1,0,0", "2,0,0", "3,0,0"), "has a frame 3, but"),
    "shorter": (("0,0,0", "1,0,0"), "has no row for frame 2: it must have one for each of the frames 0 to 2"),
    "no rows": ((), "has no row for frame 0"),
    "twice": (("0,0,0", "1,0,0", "1,0,0"), "has 2 rows for frame 1"),
    "half": (("0,0,0", "0.5,0,0"), "has a frame 0.5"),
    "negative": (("-1,0,0", "0,0,0"), "has a frame -1"),
    "huge": (("0,0,0", "1e300,0,0"), "has a frame 1e"),
    "far": (("0,0,0", "1,1e300,0", "2,0,0"), "specimen of frame 1 more than 1,000,000 pixels away"),
    "no number": (("0,0,0", "1,,0", "2,0,0"), "line 3: down is empty"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_table_of_something_else_is_refused_before_any_work(tmp_path, counts, case):
    rows, match = BAD[case]
    with pytest.raises(GanDenoiseError, match=match) as caught:
        gd.plan(counts, drift=written(tmp_path / "drift.csv", *rows), **FIELDS)
    assert "drift.csv" in str(caught.value)
    with pytest.raises(GanDenoiseError, match=match):
        next_of_all(gd.denoise_steps(counts, drift=tmp_path / "drift.csv", **FIELDS))


def next_of_all(steps):
    """Run until the first frame is begun."""
    for event in steps:
        assert event.stage == "calibrate"
