"""The words of a report."""

import pytest

from sincewhen.report.words import Effect


@pytest.mark.parametrize(
    ("stream", "before", "after", "word"),
    [
        ("factor:colour_cast_blue", -0.417, -0.146, "less yellow"),
        ("factor:colour_cast_blue", -0.1, 0.1, "bluer"),
        ("factor:colour_cast_blue", 0.1, 0.3, "bluer"),
        ("factor:colour_cast_blue", 0.3, 0.1, "less blue"),
        ("factor:colour_cast_blue", 0.1, -0.1, "yellower"),
        ("factor:colour_cast_red", -0.3, -0.1, "less green"),
        ("factor:colour_cast_red", 0.3, 0.1, "less red"),
        ("factor:colour_cast_red", -0.1, -0.3, "greener"),
        ("factor:offset_x", -3.0, -1.0, "displaced to the right"),
        ("factor:b", 1.0, 2.0, "higher in b"),
    ],
)
def test_a_colour_is_only_one_beyond_neutral(stream: str, before: float, after: float, word: str) -> None:
    assert Effect(stream, before, after, after - before).word == word


@pytest.mark.parametrize(("size", "said"), [(-3.14, "-3.1"), (4e307, "over +1,000"), (-1e4, "below -1,000")])
def test_a_size_is_in_standard_deviations_as_far_as_that_says_something(size: float, said: str) -> None:
    assert Effect("factor:b", 0.0, 1.0, size).spreads == said
