"""Sessions: what a client sets and its temporary tables stay until nobody has asked for `session_timeout`."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from sincewhen.store.connect import Engine
from sincewhen.store.serve.ask import Ask
from sincewhen.store.serve.handle import Handle
from sincewhen.store.serve.refusal import SESSION_IS_LOCKED, SESSION_NOT_FOUND, TOO_MANY_SESSIONS, Refused

SESSIONS_MAX = 64
_NAME_MAX = 256


@dataclass(slots=True)
class _Session:
    handle: Handle
    ends_at: float
    busy: bool = True


@dataclass(slots=True)
class Sessions:
    """`clock` in seconds. May be asked from any thread."""

    engine: Engine
    clock: Callable[[], float] = time.monotonic
    _open: dict[str, _Session] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, ask: Ask) -> Handle:
        """A connection for one request: of its session, else a new one. Raises Refused."""
        if ask.session is None:
            return Handle(self.engine)
        name = ask.session[:_NAME_MAX]
        with self._lock:
            self._expire()
            session = self._open.get(name)
            if session is None:
                if ask.session_must_exist:
                    raise Refused(SESSION_NOT_FOUND, f"Session {name} not found or expired")
                if len(self._open) >= SESSIONS_MAX:
                    raise Refused(
                        TOO_MANY_SESSIONS,
                        f"{SESSIONS_MAX} sessions are open: wait for session_timeout, or ask without session_id",
                    )
                session = self._open[name] = _Session(Handle(self.engine), 0.0)
            elif session.busy:
                raise Refused(SESSION_IS_LOCKED, f"Session {name} is locked by a concurrent client")
            session.busy = True
            return session.handle

    def give_back(self, ask: Ask, handle: Handle) -> None:
        if ask.session is None:
            handle.close()
            return
        with self._lock:
            session = self._open[ask.session[:_NAME_MAX]]
            session.busy, session.ends_at = False, self.clock() + ask.session_s

    def close(self) -> None:
        with self._lock:
            for session in self._open.values():
                session.handle.close()
            self._open.clear()

    def _expire(self) -> None:
        now = self.clock()
        for name in [name for name, session in self._open.items() if not session.busy and session.ends_at < now]:
            self._open.pop(name).handle.close()
