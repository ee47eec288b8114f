"""POST /v1/frames: records into the log. 200 means that they are on disk."""

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from google.protobuf.message import DecodeError

from sincewhen.console.problem import problem
from sincewhen.embedded.runner import BACKLOG_RECORDS_MAX, Runner
from sincewhen.log.log import LogUnavailable
from sincewhen_schemas import limits
from sincewhen_schemas import station_record_pb2 as pb


def ingest_router(runner: Runner) -> APIRouter:
    router = APIRouter()

    @router.post("/v1/frames", summary="Append a RecordUpload to the log")
    async def frames(request: Request) -> JSONResponse:
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > limits.UPLOAD_BYTES_MAX:
                return problem(
                    413, f"an upload has at most {limits.UPLOAD_BYTES_MAX} bytes: send fewer records at once"
                )
        if runner.backlog > BACKLOG_RECORDS_MAX:
            detail = f"more than {BACKLOG_RECORDS_MAX} records wait: send again later, nothing is lost"
            return problem(503, detail, {"Retry-After": "5"})
        try:
            return await run_in_threadpool(_append, runner, bytes(body))
        except LogUnavailable as error:
            return problem(503, str(error), {"Retry-After": "5"})

    return router


def _append(runner: Runner, body: bytes) -> JSONResponse:
    upload = pb.RecordUpload()
    try:
        upload.ParseFromString(body)
    except DecodeError:
        runner.append([("", body[: limits.RECORD_BYTES_MAX])])  # kept: it becomes a dead letter
        return problem(400, "the body is no RecordUpload (schemas/station_record.proto): it is kept as a dead letter")
    if len(upload.records) > limits.UPLOAD_RECORDS_MAX:
        return problem(413, f"an upload has at most {limits.UPLOAD_RECORDS_MAX} records; got {len(upload.records)}")
    if upload.records:
        runner.append([(_key(value), value) for value in upload.records])
    return JSONResponse({"accepted": len(upload.records), "server_time_ns": runner.now_ns()})


def _key(value: bytes) -> str:
    """The log's key; a record that can't be read goes under "" and becomes a dead letter."""
    try:
        return pb.StationRecord.FromString(value).station_id
    except DecodeError:
        return ""
