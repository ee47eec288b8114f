"""The plant as its owner describes it: stations, shifts, breaks, holidays, page budget, retention."""

from sincewhen.plant.calendar import Calendar
from sincewhen.plant.load import PlantError, load_plant
from sincewhen.plant.plant import Plant, Retention

__all__ = ["Calendar", "Plant", "PlantError", "Retention", "load_plant"]
