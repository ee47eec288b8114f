"""Outputs and images, as hosts hand them over, become decisions and factors."""

import math

import numpy as np
import pytest
from PIL import Image, ImageFilter

from sincewhen_edge.adapters import judge
from sincewhen_edge.factors import image_factors
from sincewhen_edge.pictures import count, pictures, reduced
from sincewhen_edge.settings import ModelSettings
from sincewhen_edge.share import CoreShare

MODEL = ModelSettings(classes=("ok", "scratch"))


def test_logits_become_the_likeliest_class_and_its_softmax() -> None:
    judged = judge(np.array([[2.0, 0.0], [0.0, 3.0]], np.float32), MODEL)
    assert judged.decision == ["ok", "scratch"]
    assert judged.confidence == pytest.approx([1 / (1 + math.exp(-2)), 1 / (1 + math.exp(-3))])


def test_rows_that_sum_to_one_are_probabilities_unless_the_settings_say_logits() -> None:
    rows = np.array([[0.25, 0.75]])
    assert judge(rows, MODEL).confidence == pytest.approx([0.75])
    told = judge(rows, ModelSettings(output="logits"))
    assert told.confidence == pytest.approx([1 / (1 + math.exp(-0.5))])
    assert told.decision == ["1"]


def test_one_column_is_the_logit_of_class_1() -> None:
    assert judge(np.array([[-1.0]]), MODEL).decision == ["ok"]


def test_a_row_with_nan_has_no_decision_and_costs_the_others_nothing() -> None:
    judged = judge(np.array([[np.nan, 0.0], [0.0, 3.0]]), MODEL)
    assert judged.decision == ["", "scratch"]
    assert math.isnan(judged.confidence[0])


def test_detections_become_their_labels_and_mean_score() -> None:
    images = [{"labels": np.array([1, 0, 1]), "scores": np.array([0.9, 0.7, 0.2])}, {"labels": [], "scores": []}]
    judged = judge(images, MODEL)
    assert judged.decision == ["ok+scratch", "none"]
    assert judged.confidence[0] == pytest.approx(0.8)
    assert math.isnan(judged.confidence[1])


def test_plain_values_are_taken_as_they_are() -> None:
    assert judge({"decision": "ok", "confidence": 0.5}, MODEL).decision == ["ok"]
    assert judge("nok", MODEL).decision == ["nok"]
    assert judge(0.25, MODEL).confidence == pytest.approx([0.25])


@pytest.mark.parametrize("output", [object(), np.zeros((2, 3, 4)), {"confidence": 7}, [np.array(["a"])]])
def test_an_output_without_a_known_form_is_refused_with_the_way_out(output: object) -> None:
    with pytest.raises(ValueError, match=r"(pass observe\(output=|0\.\.1)"):
        judge(output, MODEL)


def surface(seed: int) -> Image.Image:
    noise = np.random.default_rng(seed).normal(110, 35, (240, 320, 3)).clip(0, 255).astype(np.uint8)
    return Image.fromarray(noise).filter(ImageFilter.GaussianBlur(2))


def test_each_factor_moves_with_the_fault_it_is_named_for() -> None:
    base = surface(1)
    before = image_factors(base)
    assert image_factors(base.point(lambda v: min(255, v * 1.3)))["brightness"] > before["brightness"] * 1.2
    assert image_factors(base.point(lambda v: 110 + (v - 110) * 0.5))["contrast"] < before["contrast"] * 0.6
    assert image_factors(base.filter(ImageFilter.GaussianBlur(4)))["sharpness"] < before["sharpness"] * 0.8
    spot = base.copy()
    spot.paste((255, 255, 255), (100, 100, 180, 180))
    assert image_factors(spot)["glare"] > before["glare"] + 0.05
    assert image_factors(spot)["offset_x"] != pytest.approx(before["offset_x"], abs=1e-4)
    grain = np.asarray(base, np.float32) + np.random.default_rng(2).normal(0, 25, (240, 320, 3))
    assert image_factors(Image.fromarray(grain.clip(0, 255).astype(np.uint8)))["noise"] > before["noise"] * 1.5
    first, *others = base.split()
    red = Image.merge("RGB", [first.point(lambda v: int(v * 1.2)), *others])
    assert image_factors(red)["colour_cast_red"] > before["colour_cast_red"] + 0.1


def test_rotation_is_told_where_there_is_an_axis_and_not_where_there_is_none() -> None:
    bar = Image.new("L", (160, 160), 30)
    bar.paste(220, (20, 70, 140, 90))
    assert image_factors(bar.rotate(-20, fillcolor=30))["rotation"] == pytest.approx(20, abs=2)
    assert math.isnan(image_factors(surface(1).resize((160, 160)))["rotation"])


def test_a_flat_image_has_factors_without_a_fault() -> None:
    factors = image_factors(Image.new("RGB", (50, 40), (128, 128, 128)))
    assert factors["contrast"] == 0
    assert math.isnan(factors["sharpness"])


@pytest.mark.parametrize(
    ("image", "frames"),
    [
        (Image.new("L", (640, 480)), 1),
        (np.zeros((480, 640, 3), np.uint8), 1),
        (np.zeros((480, 640), np.uint8), 1),
        (np.full((3, 480, 640), 0.5, np.float32), 1),
        (np.full((4, 1, 480, 640), 0.5, np.float32), 4),
    ],
)
def test_images_in_every_known_form_become_small_pictures(image: object, frames: int) -> None:
    assert count(image) == frames
    small = pictures(reduced(image), MODEL)
    assert len(small) == frames
    assert max(small[0].size) <= 160


def test_an_image_without_a_known_form_is_refused_with_its_shape() -> None:
    with pytest.raises(ValueError, match=r"got ndarray of shape \(2, 2, 2, 2, 2\)"):
        count(np.zeros((2, 2, 2, 2, 2)))


def test_work_stays_within_its_share_of_a_core() -> None:
    clock = {"now": 1, "cpu": 0}
    share = CoreShare(0.1, lambda: clock["now"], lambda: clock["cpu"])
    for _ in range(10_000):
        clock["now"] += 1_000_000
        if share.allows():
            with share.spending():
                clock["cpu"] += 3_000_000
    assert 0.09 < clock["cpu"] / clock["now"] < 0.11
