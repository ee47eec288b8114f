"""Sends alerts to Alertmanager in a thread of its own: nothing waits for it, and it is tried again for ever."""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import httpx

from sincewhen.correlator.alerts import AGAIN_S, ALIVE_NS, alert, is_firing
from sincewhen_schemas.messages import Incident

RESOLVED_KEPT_S = 300.0  # so long a resolved alert is sent again, should Alertmanager have missed it
_PAUSE_S_MIN, _PAUSE_S_MAX, _TIMEOUT_S = 0.2, 5.0, 5.0
_ALERTS_MAX = 1000  # in one request
log = logging.getLogger("sincewhen")


@dataclass(slots=True)
class Pager:
    """alertmanager: its address, "" = nobody is paged. console: address of the pages, for the links."""

    alertmanager: str
    console: str
    now_ns: Callable[[], int] = time.time_ns
    problem: str = ""  # why the newest alerts did not arrive, "" when they did
    _alerts: dict[str, tuple[Incident, float | None]] = field(default_factory=dict)  # and when it was resolved
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _news: threading.Event = field(default_factory=threading.Event)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        if self.alertmanager:
            self._thread = threading.Thread(target=self._run, name="pager", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End after the request in flight."""
        self._stop.set()
        self._news.set()
        if self._thread:
            self._thread.join()

    def tell(self, incidents: Iterable[Incident]) -> None:
        """Page these, or resolve those that ended or became a part of another one; the newest word counts."""
        with self._lock:
            for incident in incidents:
                self._alerts[incident.incident_id] = incident, None if is_firing(incident) else time.monotonic()
        self._news.set()

    def follow(self, incidents: Iterable[Incident]) -> None:
        """From now on only these: others are somebody else's. What ended is resolved as long as it could be firing."""
        oldest_ns = self.now_ns() - ALIVE_NS
        with self._lock:
            self._alerts.clear()
        self.tell(item for item in incidents if item.status == "open" or item.updated_at_ns > oldest_ns)

    def _run(self) -> None:
        pause_s = _PAUSE_S_MIN
        with httpx.Client(base_url=self.alertmanager, timeout=_TIMEOUT_S) as client:
            while not self._stop.is_set():
                self._news.clear()
                if self._sent(client):
                    pause_s = _PAUSE_S_MIN
                    self._news.wait(AGAIN_S)
                else:
                    self._stop.wait(pause_s)
                    pause_s = min(_PAUSE_S_MAX, 2 * pause_s)

    def _sent(self, client: httpx.Client) -> bool:
        with self._lock:
            now = time.monotonic()
            over = [key for key, (_, at) in self._alerts.items() if at is not None and now - at > RESOLVED_KEPT_S]
            for key in over:
                del self._alerts[key]
            alerts = [alert(incident, self.console, self.now_ns()) for incident, _ in self._alerts.values()]
        try:
            for start in range(0, len(alerts), _ALERTS_MAX):
                client.post("/api/v2/alerts", json=alerts[start : start + _ALERTS_MAX]).raise_for_status()
        except httpx.HTTPError as error:
            self._tell(f"Alertmanager at {self.alertmanager} took no alert ({error}): it is tried again")
            return False
        self._tell("")
        return True

    def _tell(self, problem: str) -> None:
        if problem and not self.problem:
            log.error("paging_failed problem=%s", problem)
        if self.problem and not problem:
            log.warning("paging_recovered")
        self.problem = problem
