"""`GET /metrics` in Prometheus's text format, for who has the token; and the metrics that every process has."""

import hmac

from litestar.enums import ScopeType
from litestar.exceptions import MethodNotAllowedException
from litestar.types import ASGIApp, Receive, Scope, Send
from prometheus_client import make_asgi_app

from services.chassis.db.database import Database
from services.chassis.errors import DomainError
from services.chassis.http import problems
from services.chassis.http.heads import check_head
from services.chassis.incidents import incidents
from services.chassis.telemetry.metrics import Gauge

PATH = "/metrics"

Gauge(
    "clinicpay.incident.open",
    "{incident}",
    "1 for each incident in which something failed within a minute. Its log line is `INCIDENT_begins`",
    "incident",
    "part",
    read=incidents.open_now,
)
_connections = Gauge(
    "db.client.connection.count",
    "{connection}",
    "Connections of this process's pool to its database",
    "state",
)
_most = Gauge("db.client.connection.max", "{connection}", "The most connections that the pool may have")


class MetricsToken(DomainError):
    code = "not_signed_in"
    status = 401


def with_metrics(app: ASGIApp, token: str) -> ASGIApp:
    """The app, with the page before it: no session, limit or span of the app is touched by it."""
    page = make_asgi_app()
    wanted = f"Bearer {token}".encode()

    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP or scope["path"] != PATH:
            await app(scope, receive, send)
            return
        try:
            check_head(scope["headers"])
            if not hmac.compare_digest(dict(scope["headers"]).get(b"authorization", b""), wanted):
                raise MetricsToken("The metrics are for who has METRICS_TOKEN.")
            if scope["method"] not in ("GET", "HEAD"):
                raise MethodNotAllowedException(headers={"Allow": "GET, HEAD"})
        except Exception as refusal:
            await problems.answer(refusal, scope, receive, send)
            return
        await page(scope, receive, send)

    return served


def show_pool(db: Database) -> None:
    """Show the connections of the process's database."""
    _connections.read_by(lambda: {("used",): db.held, ("idle",): max(db.opened_connections - db.held, 0)})
    _most.read_by(lambda: {(): db.size})
