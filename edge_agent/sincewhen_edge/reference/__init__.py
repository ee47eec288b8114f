"""The reference set of a station: its own pinned images, clean and under physical camera faults, through its model."""
