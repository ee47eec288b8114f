"""Room 3: a frame becomes a position relative to its profile."""
