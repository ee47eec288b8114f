"""What a process says to its standard error: one line an event."""

import logging


def to_stderr() -> None:
    """WARNING recovered; ERROR lost data or needs a human. Clients tell of lost connections again and again."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for name in ("kafka.net", "kafka.cluster", "aiokafka"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
