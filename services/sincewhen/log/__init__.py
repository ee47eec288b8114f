"""The ordered log: what was acknowledged, in the order in which it was acknowledged."""
