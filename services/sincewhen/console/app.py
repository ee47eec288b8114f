"""The ASGI application of the embedded server."""

from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException
from starlette.middleware.base import RequestResponseEndpoint

from sincewhen.backend.backend import Backend
from sincewhen.console.access import Access
from sincewhen.console.api import api_router
from sincewhen.console.ingest import ingest_router
from sincewhen.console.pages import pages_router
from sincewhen.console.problem import on_http, on_validation, problem
from sincewhen.console.station_page import station_router
from sincewhen.log.log import LogUnavailable
from sincewhen.store.connect import StoreUnavailable

_CSP = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


def make_app(backend: Backend, token: str) -> FastAPI:
    app = FastAPI(title="SinceWhen", version="1", openapi_url="/api/v1/openapi.json", docs_url=None, redoc_url=None)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(RequestValidationError, on_validation)
    app.add_exception_handler(StoreUnavailable, _unwell)
    app.add_exception_handler(LogUnavailable, _unwell)
    app.include_router(ingest_router(backend.intake, backend.now_ns))
    app.include_router(api_router(backend))
    app.include_router(pages_router(backend))
    app.include_router(station_router(backend))
    app.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"))
    _health(app, backend)

    @app.middleware("http")
    async def secure(request: Request, go_on: RequestResponseEndpoint) -> Response:
        response = await go_on(request)
        response.headers["Content-Security-Policy"] = _CSP
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        return response

    app.add_middleware(Access, token=token)
    return app


def _health(app: FastAPI, backend: Backend) -> None:
    @app.get("/healthz", include_in_schema=False)
    def healthz() -> JSONResponse:
        return JSONResponse({"status": "ok"})

    @app.get("/readyz", include_in_schema=False)
    def readyz() -> JSONResponse:
        if not backend.intake.alive:
            return problem(503, "the pipeline does not run: look at the server's output and start it again")
        return JSONResponse({"status": "ready", "backlog": backend.intake.backlog})

    @app.get("/metrics", include_in_schema=False)
    def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


async def _unwell(_request: Request, error: Exception) -> Response:
    return problem(503, str(error), {"Retry-After": "5"})
