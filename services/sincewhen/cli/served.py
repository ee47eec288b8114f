"""How every process behind Kafka begins: its log, its settings, and Kafka that serves it.

What is wrong is said in words that say what to do, also while the process runs: Kafka's clients try again and say
nothing.
"""

import logging
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from sincewhen.cli.logs import to_stderr
from sincewhen.cli.settings import Settings, settings_of
from sincewhen.log.cards import cards
from sincewhen.log.kafka_admin import Cluster, KafkaUnavailable
from sincewhen.log.rights import Right, rights_of
from sincewhen.plant import Plant
from sincewhen_edge.publish.reach import reached
from sincewhen_schemas.kafka import KafkaSettings
from sincewhen_schemas.kafka_problem import problem_of

_AGAIN_S, _WELL_S = 2.0, 10.0
log = logging.getLogger("sincewhen")


def begin(config: Path, process: str) -> tuple[Settings, Plant]:
    """Settings and plant of --config, once the broker lets this user in and do what the process does.

    Nothing is lost meanwhile, as nothing is read; settings that are corrected meanwhile are taken.
    """
    to_stderr()
    settings, plant = settings_of(config)
    watch = _Watch(settings.kafka, rights_of(process, cards()))
    while not watch.well():
        time.sleep(_AGAIN_S)
        settings, plant = settings_of(config)
        watch.kafka = settings.kafka
    threading.Thread(target=watch.go_on, name="watch", daemon=True).start()
    return settings, plant


@dataclass(slots=True)
class _Watch:
    """Whether Kafka serves this process: by a client of its own, as a certificate is looked at on connecting only."""

    kafka: KafkaSettings
    rights: set[Right]
    _well: bool = True

    def well(self) -> bool:
        """And say so."""
        problem = self._problem()
        if problem:
            log.error("waiting problem=%s", problem)
        elif not self._well:
            log.warning("served")
        self._well = not problem
        return self._well

    def go_on(self) -> None:
        while True:
            time.sleep(_WELL_S if self.well() else _AGAIN_S)

    def _problem(self) -> str:
        try:
            reached(self.kafka)
            with Cluster(self.kafka) as cluster:
                return cluster.missing(self.rights)
        except OSError as error:
            return problem_of(error, self.kafka)
        except KafkaUnavailable as error:
            return str(error)
