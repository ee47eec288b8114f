"""Room 5: since when: onset, interval, shape, recovery."""
