"""The verdict: three questions, each with a colour, and the regions that are to be looked at."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

import napari_gandenoise as gd
from napari_gandenoise.denoising.verdict import Check, Region, Verdict, judge, of_all
from napari_gandenoise.progress import drain
from napari_gandenoise.residual import reduced_deviance, support_of
from napari_gandenoise.settings.noise import Poisson
from napari_gandenoise.simulate.samples import sample_micrograph

PIXEL_NM = 0.0244
SIDE = 128


def lattice(mean=8.0, side=SIDE):
    y, x = np.mgrid[:side, :side] * (2 * np.pi / 9)
    return torch.from_numpy(mean * (1 + 0.5 * np.cos(x) * np.cos(y)))[None].float()


def judged(counts, rate, **fields):
    exposure = torch.ones(counts.shape[1:])
    support = support_of(counts, exposure, rate, 0.0)
    deviance = reduced_deviance(counts, exposure, rate, 0.0)
    return judge(0, 1, deviance, float(rate.mean()), support, None, **fields)


@pytest.fixture(scope="module")
def counts():
    return torch.poisson(lattice(), generator=torch.Generator().manual_seed(4))


def test_the_truth_explains_the_counts(counts):
    verdict = judged(counts, lattice())
    assert verdict.colour == "green"
    assert verdict.sentence() == "explains the counts"
    assert verdict.regions == ()


@pytest.mark.parametrize("kept", [0.15, 0.5, 1.0])
def test_noise_that_was_kept_is_found(counts, kept):
    verdict = judged(counts, lattice() + kept * (counts - lattice()))
    assert verdict.colour == "amber"
    share = float(verdict.sentence().split("about ")[1].split(" %")[0])
    assert share == pytest.approx(100 * kept, abs=5)


def test_structure_that_was_put_in_is_red_and_outlined(counts):
    rate = lattice()
    rate[:, 40:60, 70:90] += 6
    verdict = judged(counts, rate)
    assert verdict.colour == "red"
    assert "structure that the counts do not" in verdict.sentence()
    [region] = [region for region in verdict.regions if region.kind == "put in" and region.box[0] < 60]
    top, left, bottom, right = region.box
    assert top < 50 < bottom
    assert left < 80 < right
    assert region.deviations > 5


def test_a_lattice_that_was_left_out_is_red(counts):
    verdict = judged(counts, torch.full_like(counts, float(counts.mean())))
    assert verdict.colour == "red"


def test_noise_that_neighbours_share_is_not_judged(counts):
    verdict = judged(counts, counts, sharing="neighbouring pixels share their noise")
    assert verdict.colour == "grey"
    assert "not judged" in verdict.sentence()


def test_of_a_movie_the_worst_frame_counts_for_each_check():
    good = Verdict((Check("counts", "green", 1.0, "fine"), Check("structure", "green", 0.0, "fine")))
    region = Region(1, "put in", (0, 0, 4, 4), 7.0)
    bad = Verdict((Check("counts", "amber", 0.5, "keeps noise"), Check("structure", "red", -7.0, "wrong")), (region,))
    verdict = of_all({0: good, 1: bad, 4: good})
    assert verdict.colour == "red"
    assert [check.colour for check in verdict.checks] == ["amber", "red"]
    assert verdict.sentence() == "wrong (frame 2; 1 of 3 frames like it)"
    assert verdict.regions == (region,)
    assert of_all({}).colour == "grey"


@pytest.fixture(scope="module")
def result():
    counts = np.random.default_rng(0).poisson(lattice().numpy()[0]).astype(np.uint16)
    return gd.denoise(counts, model="hrtem-unet", pixel_size_nm=PIXEL_NM, preset="fast", doubt=True)


def test_the_result_the_report_and_the_summary_say_the_same(result):
    assert [check.name for check in result.verdict.checks] == ["counts", "structure", "doubt", "size"]
    assert json.loads(json.dumps(result.report))["verdict"] == result.verdict.report()
    assert result.summary().startswith(result.verdict.sentence())


def test_regions_become_outlines(result):
    region = Region(0, "doubtful", (8, 16, 24, 48), 6.0)
    layers = replace(result, verdict=Verdict(result.verdict.checks, (region,))).to_layers(regions=True)
    corners, options, kind = layers[-1]
    assert kind == "shapes"
    np.testing.assert_array_equal(corners[0].min(axis=0), (7.5, 15.5))
    np.testing.assert_array_equal(corners[0].max(axis=0), (23.5, 47.5))
    assert options["scale"] == (PIXEL_NM, PIXEL_NM)
    assert options["features"]["what"] == ["doubtful"]
    assert [kind for *_, kind in result.to_layers(regions=True) if kind == "shapes"] == []


def test_halves_of_what_a_camera_saw_agree_where_the_lattice_is_there():
    random = np.random.default_rng(1)
    image = 20 * random.poisson(lattice().numpy()[0]) + random.normal(100, 30, (SIDE, SIDE))
    noise = gd.PoissonGaussian(gain=20, offset=100, read_noise=30)
    result = gd.denoise(image, model="hrtem-unet", pixel_size_nm=PIXEL_NM, preset="fast", doubt=True, noise=noise)
    colours = {check.name: check.colour for check in result.verdict.checks}
    assert (colours["doubt"], colours["size"]) == ("green", "green")


@pytest.mark.parametrize(("stated_nm", "colour"), [(0.00305, "amber"), (0.0061, "green"), (0.0122, "amber")])
def test_the_counts_say_that_pixels_are_of_another_size(stated_nm, colour):
    counts = sample_micrograph().pixels[360:840, 360:840]
    fields = {"model": "hrtem-unet", "preset": "fast", "noise": Poisson(), "residual_step": False}
    verdict = gd.denoise(counts, pixel_size_nm=stated_nm, **fields).verdict
    (size,) = (check for check in verdict.checks if check.name == "size")
    assert size.colour == colour
    assert ("pixels of about 6.1 pm" in size.sentence) == (colour == "amber")


def test_only_the_first_frame_of_a_movie_is_asked_for_its_pixel_size():
    movie = np.stack([sample_micrograph().pixels[500:660, 500:660]] * 2)
    fields = {"model": "hrtem-unet", "preset": "fast", "noise": Poisson(), "neighbours": 0}
    result = gd.denoise(movie, pixel_size_nm=0.0061, **fields)
    assert [check.name for check in result.verdict.checks].count("size") == 1
    drained = drain(gd.denoise_steps(movie, only=range(1, 2), pixel_size_nm=0.0061, **fields))
    assert "size" not in [check.name for check in drained.verdict.checks]
