"""Camera faults are physical: each grows, is the same at every resolution, and moves the factors it should."""

import itertools
import math

import numpy as np
import pytest
from PIL import Image
from skimage import data

from sincewhen_edge.factors import image_factors
from sincewhen_edge.reference.faults import CAUSES, corrupt
from sincewhen_edge.reference.optics import Picture
from sincewhen_schemas.reference import STRENGTHS

SEED = 3


def photograph(side: int) -> Picture:
    coffee = data.coffee()  # type: ignore[no-untyped-call]  # scikit-image has no types
    cut = Image.fromarray(coffee[:384, 120:504])
    return np.asarray(cut.resize((side, side), Image.Resampling.BOX), np.float32) / np.float32(255)


def bar(side: int = 128) -> Picture:
    """A soft bright bar, lying."""
    down, right = (np.mgrid[0:side, 0:side] + 0.5) / side - 0.5
    shape = 1 / (1 + (right / 0.3) ** 8 + (down / 0.1) ** 8)
    return np.repeat((0.2 + 0.6 * shape)[:, :, None], 3, axis=2).astype(np.float32)


def faulty(image: Picture, cause: str, strength: int, seed: int = SEED) -> Picture:
    return corrupt(image, cause, strength, np.random.default_rng(seed))


def smaller(image: Picture, side: int) -> Picture:
    planes = [Image.fromarray(np.ascontiguousarray(image[:, :, colour])) for colour in range(3)]
    return np.stack([np.asarray(plane.resize((side, side), Image.Resampling.BOX)) for plane in planes], axis=2)


def moved_by(image: Picture, other: Picture) -> float:
    return float(np.sqrt(np.mean((image - other) ** 2)))


def factors(image: Picture) -> dict[str, float]:
    return image_factors(Image.fromarray((image * 255).round().astype(np.uint8)))


def test_the_causes_are_the_fourteen_of_the_library() -> None:
    light = ("haze", "contrast_loss", "defocus", "motion_blur", "glare", "brightness_up", "brightness_down")
    assert (*light, "noise", "rotation", "offset", "zoom", "texture", "dirt", "colour_cast") == CAUSES


@pytest.mark.parametrize("cause", CAUSES)
def test_a_fault_grows_with_its_strength_from_just_visible_to_severe(cause: str) -> None:
    image = photograph(128)
    sizes = [moved_by(faulty(image, cause, strength), image) for strength in STRENGTHS]
    assert sizes[0] > 0.5 / 255
    assert sizes[0] < 0.05
    assert all(stronger > 1.15 * weaker for weaker, stronger in itertools.pairwise(sizes)), sizes


@pytest.mark.parametrize("cause", CAUSES)
def test_a_fault_keeps_the_form_of_an_image_and_is_the_same_for_the_same_seed(cause: str) -> None:
    image = photograph(96)[:64]
    before = image.copy()
    for strength in STRENGTHS:
        found = faulty(image, cause, strength)
        assert found.shape == image.shape
        assert found.dtype == np.float32
        assert np.isfinite(found).all()
        assert found.min() >= 0
        assert found.max() <= 1
        np.testing.assert_array_equal(found, faulty(image, cause, strength))
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("cause", CAUSES)
def test_a_fault_is_the_same_for_a_small_and_a_large_sensor(cause: str) -> None:
    large, small = photograph(384), photograph(128)
    seen_large = smaller(faulty(large, cause, 4), 128)
    seen_small = faulty(small, cause, 4)
    assert moved_by(seen_large, small) == pytest.approx(moved_by(seen_small, small), rel=0.2)
    if cause not in {"noise", "texture", "motion_blur"}:  # new in every image
        assert moved_by(seen_large, seen_small) < 0.3 * moved_by(seen_small, small)


@pytest.mark.parametrize("cause", ["glare", "dirt"])
def test_what_is_on_the_lens_is_at_the_same_place_in_every_image_of_a_seed(cause: str) -> None:
    flat = np.full((64, 64, 3), 0.4, np.float32)
    one, other = (faulty(image, cause, 3) for image in (flat, flat * np.float32(1.01)))
    assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.999
    elsewhere = faulty(flat, cause, 3, seed=SEED + 1)
    assert np.corrcoef(one.ravel(), elsewhere.ravel())[0, 1] < 0.9


@pytest.mark.parametrize("cause", ["noise", "texture"])
def test_noise_and_texture_are_new_in_every_image(cause: str) -> None:
    flat = np.full((64, 64, 3), 0.4, np.float32)
    one, other = (faulty(image, cause, 3) - image for image in (flat, flat * np.float32(1.01)))
    assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.2


@pytest.mark.parametrize(
    ("cause", "factor", "sign"),
    [
        ("haze", "contrast", -1),
        ("haze", "brightness", 1),
        ("contrast_loss", "contrast", -1),
        ("defocus", "sharpness", -1),
        ("motion_blur", "sharpness", -1),
        ("glare", "brightness", 1),
        ("brightness_up", "brightness", 1),
        ("brightness_down", "brightness", -1),
        ("brightness_down", "contrast", -1),
        ("noise", "noise", 1),
        ("noise", "sharpness", 1),
        ("texture", "contrast", 1),
        ("dirt", "brightness", -1),
    ],
)
def test_an_image_factor_moves_the_way_physics_says(cause: str, factor: str, sign: int) -> None:
    image = photograph(160)
    found = [factors(image)[factor], *(factors(faulty(image, cause, strength))[factor] for strength in STRENGTHS)]
    assert (np.diff(found) * sign > 0).all(), found


def test_a_contrast_loss_leaves_the_mean_and_takes_its_share_of_the_contrast() -> None:
    image = photograph(64)
    found = faulty(image, "contrast_loss", 3)
    assert found.mean() == pytest.approx(image.mean(), abs=1e-3)
    assert found[:, :, 0].std() / image[:, :, 0].std() == pytest.approx(1 - 0.05 * 1.85**2, abs=0.02)


def test_haze_lifts_black_by_the_veil() -> None:
    black = np.zeros((40, 40, 3), np.float32)
    assert faulty(black, "haze", 4).mean() == pytest.approx(0.5 * 0.04 * 1.9**3, rel=1e-3)


def test_a_colour_cast_moves_red_against_blue_and_keeps_the_luminance() -> None:
    flat = np.full((40, 40, 3), 0.4, np.float32)
    found = factors(faulty(flat, "colour_cast", 4))
    assert abs(found["colour_cast_red"]) == pytest.approx(0.01 * 1.9**3, rel=0.1)
    assert found["colour_cast_red"] * found["colour_cast_blue"] < 0
    assert found["brightness"] == pytest.approx(0.4, abs=0.003)


def test_noise_has_the_stated_deviation_and_is_grey_on_a_grey_image() -> None:
    flat = np.full((128, 128, 3), 0.5, np.float32)
    found = faulty(flat, "noise", 4)
    assert (found - flat).std() == pytest.approx(0.004 * 2**3, rel=0.05)
    assert (found == found[:, :, :1]).all()
    coloured = flat * np.array([1, 0.9, 0.8], np.float32)
    noise = faulty(coloured, "noise", 4) - coloured
    assert abs(np.corrcoef(noise[:, :, 0].ravel(), noise[:, :, 1].ravel())[0, 1]) < 0.1


def test_rotation_offset_and_zoom_move_a_bar_by_what_they_say() -> None:
    here = factors(bar())
    turned = factors(faulty(bar(), "rotation", 4))
    assert abs(turned["rotation"] - here["rotation"]) == pytest.approx(0.5 * 2**3, rel=0.1)
    moved = factors(faulty(bar(), "offset", 4))
    length = math.hypot(moved["offset_x"] - here["offset_x"], moved["offset_y"] - here["offset_y"])
    assert length == pytest.approx(0.004 * 2**3, rel=0.1)
    zoomed = faulty(bar(), "zoom", 4)
    area = float((zoomed > 0.5).mean() / (bar() > 0.5).mean())
    assert abs(math.sqrt(area) - 1) == pytest.approx(0.0075 * 2**3, rel=0.2)


def test_a_wrong_cause_strength_or_image_is_refused_with_the_rule() -> None:
    image, rng = photograph(40), np.random.default_rng(SEED)
    with pytest.raises(ValueError, match=r"a cause is one of haze, .* got 'fog'"):
        corrupt(image, "fog", 1, rng)
    with pytest.raises(ValueError, match=r"a strength is above 0 and at most 5; got 6"):
        corrupt(image, "haze", 6, rng)
    for wrong in (image[:, :, 0], image.astype(np.float64)):
        with pytest.raises(ValueError, match=r"float32 in 0\.\.1; got"):
            corrupt(wrong, "haze", 1, rng)  # type: ignore[arg-type]  # the mistake
