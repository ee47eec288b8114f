"""Every stream of a plant has its share of the false pages that the plant accepts."""

import math

from sincewhen.detect.budget import group_weight, view_weight
from sincewhen.plant import Plant
from sincewhen.plant.plant import Station

STREAMS = 7


def spent(stations: dict[str, tuple[str, ...]]) -> float:
    plant = Plant({name: Station(name, views) for name, views in stations.items()})
    own = sum(
        view_weight(plant.budget_stations, plant.groups, plant.budget_views(name, 0))
        for name, views in stations.items()
        for _ in views
    )
    return own + plant.groups * STREAMS * group_weight(plant.groups, STREAMS) * (plant.groups > 0)


def test_all_weights_of_a_plant_add_to_one() -> None:
    alone: dict[str, tuple[str, ...]] = {"s/a/l/one": ("top", "side")}
    line = {**alone, "s/a/l/two": ("top",)}
    plant = {**line, "s/a/m/one": ("top",), "t/a/l/one": ("top",)}
    for stations in (alone, line, plant):
        assert math.isclose(spent(stations), 1.0)


def test_a_group_is_a_line_of_two_stations_or_a_site_of_two_lines() -> None:
    named = ["s/a/l/one", "s/a/l/two", "s/a/m/one", "t/a/l/one"]
    assert Plant({name: Station(name, ("top",)) for name in named}).groups == 2
