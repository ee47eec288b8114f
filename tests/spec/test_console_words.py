"""The pages have a word for everything that the contract can say."""

from typing import get_args

from sincewhen.console.pages import BLIND, SHAPES
from sincewhen_schemas.messages import BlindTime, Shape


def test_every_shape_and_every_reason_for_blindness_has_its_words() -> None:
    assert set(SHAPES) == set(get_args(Shape))
    assert set(BLIND) == set(get_args(BlindTime.__annotations__["reason"]))
