"""The plant as its owner describes it: stations, shifts, breaks, holidays, page budget."""

from sincewhen.plant.load import PlantError, load_plant
from sincewhen.plant.plant import Plant

__all__ = ["Plant", "PlantError", "load_plant"]
