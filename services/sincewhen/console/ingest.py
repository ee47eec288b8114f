"""POST /v1/frames: records into the log. 200 means that they are on disk.

`refused` names the records that break the contract: they are on disk too, and become dead letters.
"""

from collections.abc import Callable

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from google.protobuf.message import DecodeError
from starlette.types import Scope

from sincewhen.backend.backend import BACKLOG_RECORDS_MAX, Intake
from sincewhen.console.body import body_of
from sincewhen.console.problem import problem
from sincewhen.log.log import LogUnavailable
from sincewhen_schemas import limits
from sincewhen_schemas import station_record_pb2 as pb


def ingest_router(intake: Intake, now_ns: Callable[[], int]) -> APIRouter:
    """Who sends may be confined: scope["sincewhen_stations"] are then the only ones it writes."""
    router = APIRouter()

    @router.post("/v1/frames", summary="Append a RecordUpload to the log")
    async def frames(request: Request) -> JSONResponse:
        body = await body_of(request, limits.UPLOAD_BYTES_MAX)
        if body is None:
            return problem(413, f"an upload has at most {limits.UPLOAD_BYTES_MAX} bytes: send fewer records at once")
        if intake.backlog > BACKLOG_RECORDS_MAX:
            detail = f"more than {BACKLOG_RECORDS_MAX} records wait: send again later, nothing is lost"
            return problem(503, detail, {"Retry-After": "5"})
        try:
            return await run_in_threadpool(_append, intake, now_ns, body, request.scope)
        except LogUnavailable as error:
            return problem(503, str(error), {"Retry-After": "5"})

    return router


def _append(intake: Intake, now_ns: Callable[[], int], body: bytes, scope: Scope) -> JSONResponse:
    upload = pb.RecordUpload()
    try:
        upload.ParseFromString(body)
    except DecodeError:
        intake.append([("", body[: limits.RECORD_BYTES_MAX])])  # kept: it becomes a dead letter
        return problem(400, "the body is no RecordUpload (schemas/station_record.proto): it is kept as a dead letter")
    if len(upload.records) > limits.UPLOAD_RECORDS_MAX:
        return problem(413, f"an upload has at most {limits.UPLOAD_RECORDS_MAX} records; got {len(upload.records)}")
    keys = [_key(value) for value in upload.records]
    own = scope.get("sincewhen_stations")
    if own is not None and (foreign := sorted({key for key, _ in keys if key not in own})):
        detail = f"an agent writes its own stations only: {', '.join(own)}; got {foreign[0]!r}: correct its station_id"
        return problem(403, detail)
    if not scope.get("sincewhen_trusted") and any(control for _, control in keys):
        detail = "an upload without the admin token holds frames and heartbeats only; got a control record"
        return problem(401, detail, {"WWW-Authenticate": "Bearer"})
    if keys:
        intake.append([(key, value) for (key, _), value in zip(keys, upload.records, strict=True)])
    refused = [
        {"index": index, "reason": refusal.reason, "detail": refusal.detail}
        for index, ((key, _), value) in enumerate(zip(keys, upload.records, strict=True))
        if (refusal := intake.refusal(key, value)) is not None
    ]
    return JSONResponse({"accepted": len(keys), "refused": refused, "server_time_ns": now_ns()})


def _key(value: bytes) -> tuple[str, bool]:
    """The log's key, and whether the record is a control; one that can't be read goes under "" as a dead letter."""
    try:
        record = pb.StationRecord.FromString(value)
    except DecodeError:
        return "", False
    return record.station_id, record.HasField("control")
