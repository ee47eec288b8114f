"""How every process behind Kafka begins: its log, its settings, and Kafka that serves it.

What is wrong is said once, in words that say what to do.
"""

import logging
import time
from pathlib import Path

from sincewhen.cli.logs import to_stderr
from sincewhen.cli.settings import Settings, settings_of
from sincewhen.log.kafka_admin import Cluster, KafkaUnavailable
from sincewhen.plant import Plant
from sincewhen_edge.publish.reach import reached
from sincewhen_schemas.kafka import FRAMES_TOPIC, KafkaSettings
from sincewhen_schemas.kafka_problem import problem_of

_AGAIN_S = 2.0
log = logging.getLogger("sincewhen")


def begin(config: Path) -> tuple[Settings, Plant]:
    """Settings and plant of --config, once the broker lets this user in."""
    to_stderr()
    settings, plant = settings_of(config)
    _wait_until_served(settings.kafka)
    return settings, plant


def _wait_until_served(kafka: KafkaSettings) -> None:
    """Until the broker lets this user in and has the topics; nothing is lost meanwhile, as nothing is read."""
    told = ""
    while problem := _problem(kafka):
        if problem != told:
            log.error("waiting problem=%s", problem)
        told = problem
        time.sleep(_AGAIN_S)
    if told:
        log.warning("served")


def _problem(kafka: KafkaSettings) -> str:
    try:
        reached(kafka)
        with Cluster(kafka) as cluster:
            if cluster.topic(FRAMES_TOPIC) is None:
                return "the broker has no topic frames: make the topics with sincewhen topics apply"
    except OSError as error:
        return problem_of(error, kafka)
    except KafkaUnavailable as error:
        return str(error)
    return ""
