"""Request bodies, never larger in memory than allowed."""

from fastapi import Request


async def body_of(request: Request, bytes_max: int) -> bytes | None:
    """The whole body; None where it has more than bytes_max."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > bytes_max:
            return None
    return bytes(body)
