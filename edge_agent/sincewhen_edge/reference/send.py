"""A reference set to the server: one POST, sent by hand, harmless to repeat because a set is named by its bytes."""

import httpx

from sincewhen_edge.settings import Settings

PATH = "/api/v1/references"
_TIMEOUT_S = 120.0


class SendError(Exception):
    """The server has not taken the set."""


def send(settings: Settings, encoded: bytes) -> None:
    """Raises SendError with what the server says."""
    server = settings.server
    headers = {"Content-Type": "application/octet-stream"}
    if settings.token:
        headers["Authorization"] = f"Bearer {settings.token}"
    try:
        answer = httpx.post(f"{server}{PATH}", content=encoded, headers=headers, timeout=_TIMEOUT_S)
    except httpx.HTTPError as error:
        raise SendError(f"no answer from {server} ({error}): is `sincewhen up` running there?") from error
    if not answer.is_success:
        raise SendError(f"{server} answered {answer.status_code}: {_detail(answer)}")


def _detail(answer: httpx.Response) -> str:
    """The detail of a problem (RFC 9457), or what else the answer holds."""
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return answer.text[:200]
