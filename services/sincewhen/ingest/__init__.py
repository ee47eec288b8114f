"""Room 1: bytes become frames, or a reason why not."""
