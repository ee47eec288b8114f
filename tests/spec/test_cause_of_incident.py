"""An incident's cause fits every layer that moved; what begins with a lot is no camera fault unless it fits exactly."""

import json
from pathlib import Path

import msgspec
import pytest

from sincewhen.incidents.cause import cause
from sincewhen.incidents.correlate import correlate
from sincewhen_schemas.messages import Detection, Likeness

EXAMPLE = Path(__file__).resolve().parents[2] / "schemas/examples/valid/Detection.json"


def layer(name: str, cosines: dict[str, float], own: str = "unknown", view: str = "main") -> Detection:
    """A detection of one layer; causes are told apart unless their names are the same before the underscore."""
    families = sorted({known.partition("_")[0] for known in cosines})
    alike = tuple(
        Likeness(cause=known, family=families.index(known.partition("_")[0]), cosine=cosine)
        for known, cosine in cosines.items()
    )
    known = msgspec.convert(json.loads(EXAMPLE.read_text()), Detection)
    return msgspec.structs.replace(
        known,
        detection_id=f"{view} {name}",
        stream=f"embedding:{name}",
        view=view,
        alike=alike,
        cause=own,
        cause_cosine=max(cosines.values()),
    )


@pytest.mark.parametrize(
    ("layers", "named"),
    [
        # an early layer alone would name too easily
        ([{"contrast": 0.85, "texture": 0.3}, {"contrast": 0.33, "texture": 0.66}], "unknown"),
        ([{"haze": 0.78, "defocus": 0.5}, {"haze": 0.82, "defocus": 0.8}], "haze"),
        ([{"haze": 0.76, "contrast": 0.70, "dirt": 0.3}, {"haze": 0.74, "contrast": 0.76, "dirt": 0.2}],
         "haze or contrast"),
        ([{"blur_a": 0.81, "blur_b": 0.80, "dirt": 0.79, "haze": 0.1}] * 2, "blur_a or blur_b or dirt"),
        ([{"haze": 0.81, "contrast": 0.80, "dirt": 0.79}] * 2, "unknown"),
        # not seen in the second layer, so it does not explain why that one moved
        ([{"noise": 0.95, "haze": 0.7}, {"haze": 0.7}], "haze"),
    ],
)  # fmt: skip
def test_a_name_fits_all_layers_that_moved(layers: list[dict[str, float]], named: str) -> None:
    members = [layer(str(number), cosines) for number, cosines in enumerate(layers)]
    assert cause(members, with_lot=False) == named
    assert correlate(members)[0].cause == named


def test_a_single_layer_has_its_own_name_and_scalars_have_none() -> None:
    alone = layer("head", {"haze": 0.7}, "haze")
    assert cause([alone], with_lot=False) == "haze"
    assert cause([msgspec.structs.replace(alone, alike=())], with_lot=False) == "unknown"


def test_a_layer_as_a_whole_counts_before_its_slices() -> None:
    whole, part = layer("head", {"haze": 0.7}, "haze"), layer("head", {"dirt": 0.95}, "dirt")
    part = msgspec.structs.replace(part, detection_id="slice", stream="slice:head:3", displacement=9.0)
    assert cause([part, whole], with_lot=False) == "haze"
    assert cause([part], with_lot=False) == "dirt"
    assert correlate([part])[0].layers == ()
    (move,) = correlate([msgspec.structs.replace(part, layers=("head",))])[0].layers
    assert (move.moved, move.displacement) == (True, None)


def test_of_several_views_the_name_that_fits_best_counts() -> None:
    views = [layer("head", {"haze": 0.7}, "haze", "left"), layer("head", {"dirt": 0.9}, "dirt", "right")]
    assert cause(views, with_lot=False) == "dirt"
    assert cause([layer("head", {"haze": 0.7}, view="left"), views[1]], with_lot=False) == "dirt"


@pytest.mark.parametrize(
    ("own", "cosine", "named"),
    [("contrast_loss", 0.8, "unknown"), ("contrast_loss", 0.9, "contrast_loss"), ("texture", 0.8, "texture")],
)
def test_what_begins_with_a_lot_is_the_materials(own: str, cosine: float, named: str) -> None:
    alone = layer("head", {own: cosine}, own)
    assert cause([alone], with_lot=True) == named
    (incident,) = correlate([msgspec.structs.replace(alone, with_lot=True)])
    assert (incident.cause, incident.with_lot) == (named, True)
