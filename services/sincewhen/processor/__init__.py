"""The corridor: knows the order of rooms 1-5."""
