"""The demonstration: two stations, real textures, two stories with a known truth kept from the detectors."""
