"""The benchmark of modes: scores, refusals, the automatic choice, and its quick tables without a network."""

from __future__ import annotations

import json

import imageio.v3 as imageio
import numpy as np
import pytest

pytest.importorskip("pywt")

from benchmarks.memory import peak_gb
from benchmarks.modes import (
    Method,
    Pairs,
    Score,
    classical_methods,
    column_rows,
    draw,
    drawn_pairs,
    mean_rows,
    photograph_pairs,
    regret,
    run_all,
)
from napari_gandenoise.errors import GanDenoiseError


@pytest.fixture
def ramps():
    """Clean ramps of different spans, and the same a tenth of their span too bright."""
    clean = [span * np.linspace(0, 1, 16 * 16).reshape(16, 16) for span in (1.0, 5e4)]
    return Pairs("ramps", [image + 0.1 * np.ptp(image) for image in clean], clean)


def refuses(pairs):
    raise GanDenoiseError("Not such images.")


def test_psnr_is_relative_to_the_span_of_each_clean_image_whatever_its_unit(ramps):
    outcome = run_all(classical_methods()[:1], [ramps])

    assert [score.psnr for score in outcome.scores] == pytest.approx([20, 20])


def test_a_method_that_refuses_keeps_its_row_and_says_why(ramps):
    off = Method("truth, 1 % off", lambda pairs: [1.01 * clean for clean in pairs.clean])
    methods = [Method("refuses", refuses), off]

    refused, exact = mean_rows(run_all(methods, [ramps]), methods, [ramps])

    assert refused == {"method": "refuses", "ramps": None, "mean": None, "refused": "Not such images."}
    assert exact["refused"] is None
    # The mean square of 0.01 t over t from 0 to 1 is 1e-4/3; a ramp of 256 steps has 0.2 % more.
    assert exact["mean"] == exact["ramps"] == pytest.approx(10 * np.log10(3e4), abs=0.01)


def test_what_chooses_by_the_truth_takes_most_of_the_noise_of_either_kind():
    methods = [method for method in classical_methods() if method.name in ("noisy", "NLM, best σ")]
    kinds = drawn_pairs()

    noisy, best = mean_rows(run_all(methods, kinds), methods, kinds)

    assert all(best[pairs.mode] > noisy[pairs.mode] + 3 for pairs in kinds)


def test_regret_is_counted_image_by_image_against_the_best_candidate():
    levels = {"a": (30.0, 20.0, 25.0), "b": (28.0, 24.0, 25.5), "auto": (30.0, 23.5, 25.75)}
    scores = [Score(name, "mode", pair, psnr, 1.0) for name, found in levels.items() for pair, psnr in enumerate(found)]

    mean, most = regret(scores, "auto", ["a", "b"])

    assert (mean, most) == (pytest.approx((0 + 0.5 - 0.25) / 3), 0.5)
    assert regret(scores, "never run", ["a", "b"]) is None


def test_materials_are_counted_at_their_dose_and_are_none_that_training_draws():
    pytest.importorskip("ase")
    from benchmarks.materials import CRYSTALS, clean_frame, exposed
    from napari_gandenoise.simulate.materials import MATERIALS

    both = {name.split()[-1] for name in CRYSTALS} & set(MATERIALS)
    assert {formula: MATERIALS[formula][0] for formula in both} == {"TiO2": "rutile"}  # not anatase
    (counts, rate), *others = exposed("HAADF", 5.0, 48)
    assert len(others) == len(CRYSTALS) - 1
    assert rate.mean() == pytest.approx(5.0, rel=1e-4)
    assert ((counts - rate) ** 2).mean() == pytest.approx(5.0, rel=0.15)  # Poisson: the variance is the mean
    np.testing.assert_array_equal(rate, 5 * clean_frame("pyrite FeS2", "HAADF", 48))


def test_columns_of_the_truth_have_no_error():
    y, x = np.mgrid[:96, :96]
    clean = 2 + np.cos(2 * np.pi * x / 12) + np.cos(2 * np.pi * y / 12)
    pairs = Pairs("HAADF, 5 e⁻", [clean], [clean])
    methods = [Method("truth", lambda pairs: pairs.clean)]

    (row,) = column_rows(run_all(methods, [pairs]), methods, [pairs])

    assert row == {"method": "truth", "HAADF, 5 e⁻, pm": pytest.approx(0, abs=0.1), "HAADF, 5 e⁻, F1": 1.0}


def test_the_gallery_has_a_place_for_what_was_refused(tmp_path):
    methods, kinds = [classical_methods()[0], Method("refuses", refuses)], drawn_pairs()
    frames = [image for pair in zip(kinds[0].noisy, kinds[0].clean, strict=True) for image in pair]

    draw(tmp_path / "modes.webp", kinds, run_all(methods, kinds), [method for method, _ in methods], frames)

    picture = imageio.imread(tmp_path / "modes.webp")
    rows, columns = 3, 4  # two kinds and the real frames; noisy, refused, truth, and a fourth for the frames
    assert picture.shape[1] / picture.shape[0] == pytest.approx(1.9 * columns / (2 * rows), rel=0.02)
    right = picture[: picture.shape[0] // 2, 3 * picture.shape[1] // 4 + 10 :]
    assert (right[..., :3] > 250).all()


def test_noise_of_photographs_has_the_stated_strength_and_is_not_clipped():
    for pairs in photograph_pairs():
        added = np.concatenate([(a - b).ravel() for a, b in zip(pairs.noisy, pairs.clean, strict=True)])
        assert added.std() == pytest.approx(pairs.noise.sigma, rel=0.005)
        assert min(image.min() for image in pairs.noisy) < 0
        assert max(image.max() for image in pairs.noisy) > 255


def test_peak_memory_is_that_of_what_was_held_even_after_it_is_gone():
    held = np.ones(4 * 10**7)
    at_least = held.nbytes / 1e9
    del held

    assert peak_gb() > at_least
    assert peak_gb() < 64


@pytest.mark.slow
def test_the_quick_tables_of_modes_have_every_row(tmp_path, quick):
    pytest.importorskip("bm3d")
    quick("modes", "--models", "hrtem-unet")

    def rows(name):
        return {row["method"]: row for row in json.loads((tmp_path / f"{name}.json").read_text())["rows"]}

    modes, colours, speed = rows("modes"), rows("modes_photographs"), rows("modes_speed")
    assert {"noisy", "Gaussian blur, best σ", "BM3D, best σ", "ours, hrtem-unet"} <= modes.keys()
    assert modes["ours, hrtem-unet"]["columns"] > modes["Gaussian blur, best σ"]["columns"]
    assert colours["colour BM3D"]["σ = 15"] > colours["noisy"]["σ = 15"] == pytest.approx(20 * np.log10(17), abs=0.1)
    assert "colour" in colours["ours, hrtem-unet"]["refused"]
    assert speed["ours, hrtem-unet"]["seconds"] > 0
    assert speed["ours, hrtem-unet"]["of the peer"] is None
