"""The gateway's ASGI application: POST /v1/frames, and nothing else but its health and metrics."""

from fastapi import FastAPI
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.types import ASGIApp, Receive, Scope, Send

from sincewhen.access.tokens import TokensError
from sincewhen.backend.kafka import KafkaIntake
from sincewhen.console.ingest import ingest_router
from sincewhen.console.problem import problem
from sincewhen.gateway.agents import Agents

_OPEN = {"/healthz", "/metrics"}


class TokenAccess:
    """Checked before anything else of the request is looked at: every upload needs an agent's token."""

    def __init__(self, app: ASGIApp, agents: Agents) -> None:
        self._app, self._agents = app, agents

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _OPEN:
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        kind, _, token = headers.get("authorization", "").partition(" ")
        try:
            agent = self._agents.admit(token.strip()) if kind.lower() == "bearer" else None
        except TokensError as error:
            await problem(503, str(error), {"Retry-After": "5"})(scope, receive, send)
            return
        if agent is None:
            detail = "an upload needs an agent's token: sincewhen gateway --add-agent NAME --station ID makes one"
            await problem(401, detail, {"WWW-Authenticate": "Bearer"})(scope, receive, send)
            return
        scope["sincewhen_stations"] = agent.stations
        await self._app(scope, receive, send)


def make_gateway(intake: KafkaIntake, agents: Agents) -> FastAPI:
    app = FastAPI(title="SinceWhen gateway", openapi_url=None, docs_url=None, redoc_url=None)
    app.include_router(ingest_router(intake, intake.now_ns))

    @app.get("/healthz", include_in_schema=False)
    def healthz() -> JSONResponse:
        return JSONResponse({"status": "ok"})

    @app.get("/metrics", include_in_schema=False)
    def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    app.add_middleware(TokenAccess, agents=agents)
    return app
