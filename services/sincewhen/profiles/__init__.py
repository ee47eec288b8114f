"""Room 2: what in-control looks like."""
