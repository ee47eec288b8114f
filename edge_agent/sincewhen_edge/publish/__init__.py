"""The spool's way to the server: over HTTP, or to Kafka."""

from collections.abc import Callable
from importlib.util import find_spec

from sincewhen_edge.publish.http import HttpWay
from sincewhen_edge.publish.kafka import KafkaWay
from sincewhen_edge.publish.publisher import Way
from sincewhen_edge.settings import Settings, SettingsError


def way_of(settings: Settings) -> Callable[[], Way]:
    """How to open the one that settings name. Raises SettingsError where what it needs is not installed."""
    kafka = settings.kafka
    if kafka is None:
        return lambda: HttpWay(settings.server, settings.token)
    if find_spec("kafka") is None:
        raise SettingsError("a table [kafka] needs kafka-python; got none here: pip install 'sincewhen[edge,kafka]'")
    return lambda: KafkaWay(kafka, settings.agent_id)
