"""A gateway whose clock differs from a service's: half a minute is borne, and it is reported before it matters."""

import time
from email.utils import formatdate
from types import SimpleNamespace

import httpx2
import pytest
from structlog.testing import capture_logs

from services.chassis.http import auth
from services.gateway.upstream.clocks import Clocks
from tests.running.databases import ServiceDb
from tests.running.gateway import a_whole_site


def dated(seconds: float) -> dict[str, str]:
    return {"date": formatdate(time.time() + seconds, usegmt=True)}


class Elsewhere(httpx2.AsyncBaseTransport):
    """A service on a machine whose clock differs by so many seconds."""

    def __init__(self, inner: httpx2.AsyncBaseTransport, seconds: float) -> None:
        self._inner, self._clock = inner, SimpleNamespace(time=lambda: time.time() + seconds)
        self._seconds = seconds

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        vars(auth)["time"] = self._clock
        try:
            answer = await self._inner.handle_async_request(request)
        finally:
            vars(auth)["time"] = time
        answer.headers.update(dated(self._seconds))
        return answer


@pytest.mark.parametrize(
    ("seconds", "status", "code"),
    [
        (0, 200, None),
        (-28, 200, None),
        (28, 200, None),
        (-40, 502, "clock_skew"),
        (100, 502, "clock_skew"),
    ],
)
async def test_half_a_minute_is_borne_and_beyond_it_the_clock_is_named(
    db_gateway: ServiceDb,
    db_invoice: ServiceDb,
    db_payment: ServiceDb,
    db_notification: ServiceDb,
    seconds: float,
    status: int,
    code: str | None,
) -> None:
    async with a_whole_site(
        db_gateway,
        db_invoice,
        db_payment,
        db_notification,
        through=lambda service, way: Elsewhere(way, seconds) if service == "invoice" else way,
    ) as site:
        answer = await site.api("GET", "/clinics")
        ready = await site.get("/healthz/ready")

    assert (answer.status_code, answer.json().get("code")) == (status, code), answer.text
    assert code is None or "clock" in answer.json()["detail"]
    measured = ready.json()["checks"]["clocks"]
    assert (measured == "ok") == (seconds == 0)
    if seconds:
        part, number, _, direction = measured.split()
        assert (part, direction) == ("invoice", "ahead" if seconds > 0 else "behind")
        assert abs(int(number) - abs(seconds)) <= 2, measured


def test_a_skew_is_logged_when_it_begins_and_when_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    now = float(int(time.time()))
    monkeypatch.setattr(time, "time", lambda: now)
    clocks = Clocks()
    with capture_logs() as logged:
        for seconds in (0, -2, 20, 21, 22, -40, 0, 0):
            now += 2
            clocks.note("payment", dated(seconds))
            clocks.note("invoice", dated(0))
            if seconds == 22:
                assert clocks.state() == "payment 22 s ahead"
    assert [(each["event"], each["part"]) for each in logged] == [
        ("clock_skew_begins", "payment"),
        ("clock_skew_ends", "payment"),
    ]
    assert clocks.state() == "ok"
