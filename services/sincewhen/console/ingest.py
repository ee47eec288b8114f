"""POST /v1/frames: records into the log. 200 means that they are on disk.

`refused` names the records that break the contract: they are on disk too, and become dead letters.
"""

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from google.protobuf.message import DecodeError

from sincewhen.backend.backend import BACKLOG_RECORDS_MAX, Backend
from sincewhen.console.body import body_of
from sincewhen.console.problem import problem
from sincewhen.log.log import LogUnavailable
from sincewhen_schemas import limits
from sincewhen_schemas import station_record_pb2 as pb


def ingest_router(backend: Backend) -> APIRouter:
    router = APIRouter()

    @router.post("/v1/frames", summary="Append a RecordUpload to the log")
    async def frames(request: Request) -> JSONResponse:
        body = await body_of(request, limits.UPLOAD_BYTES_MAX)
        if body is None:
            return problem(413, f"an upload has at most {limits.UPLOAD_BYTES_MAX} bytes: send fewer records at once")
        if backend.intake.backlog > BACKLOG_RECORDS_MAX:
            detail = f"more than {BACKLOG_RECORDS_MAX} records wait: send again later, nothing is lost"
            return problem(503, detail, {"Retry-After": "5"})
        try:
            trusted = bool(request.scope.get("sincewhen_trusted"))
            return await run_in_threadpool(_append, backend, body, trusted)
        except LogUnavailable as error:
            return problem(503, str(error), {"Retry-After": "5"})

    return router


def _append(backend: Backend, body: bytes, trusted: bool) -> JSONResponse:  # noqa: FBT001 - of the request
    upload = pb.RecordUpload()
    try:
        upload.ParseFromString(body)
    except DecodeError:
        backend.intake.append([("", body[: limits.RECORD_BYTES_MAX])])  # kept: it becomes a dead letter
        return problem(400, "the body is no RecordUpload (schemas/station_record.proto): it is kept as a dead letter")
    if len(upload.records) > limits.UPLOAD_RECORDS_MAX:
        return problem(413, f"an upload has at most {limits.UPLOAD_RECORDS_MAX} records; got {len(upload.records)}")
    keys = [_key(value) for value in upload.records]
    if not trusted and any(control for _, control in keys):
        detail = "an upload without the admin token holds frames and heartbeats only; got a control record"
        return problem(401, detail, {"WWW-Authenticate": "Bearer"})
    if keys:
        backend.intake.append([(key, value) for (key, _), value in zip(keys, upload.records, strict=True)])
    refused = [
        {"index": index, "reason": refusal.reason, "detail": refusal.detail}
        for index, ((key, _), value) in enumerate(zip(keys, upload.records, strict=True))
        if (refusal := backend.intake.refusal(key, value)) is not None
    ]
    return JSONResponse({"accepted": len(keys), "refused": refused, "server_time_ns": backend.now_ns()})


def _key(value: bytes) -> tuple[str, bool]:
    """The log's key, and whether the record is a control; one that can't be read goes under "" as a dead letter."""
    try:
        record = pb.StationRecord.FromString(value)
    except DecodeError:
        return "", False
    return record.station_id, record.HasField("control")
