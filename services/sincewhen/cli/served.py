"""Before a process begins: whether Kafka serves it. What is wrong is said once, in words that say what to do."""

import logging
import time

from sincewhen.log.kafka_admin import Cluster, KafkaUnavailable
from sincewhen_edge.publish.reach import reached
from sincewhen_schemas.kafka import FRAMES_TOPIC, KafkaSettings
from sincewhen_schemas.kafka_problem import problem_of

_AGAIN_S = 2.0
log = logging.getLogger("sincewhen")


def wait_until_served(kafka: KafkaSettings) -> None:
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
