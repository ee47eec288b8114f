"""The distributed product's real parts on one machine, for tests and for trying it."""
