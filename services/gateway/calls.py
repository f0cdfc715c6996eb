"""How the gateway calls a service: kept connections, a fresh token, the trace, bounded retries, one error.

Calls that may be repeated are (safe methods, PUT, DELETE, and a POST with an idempotency key), when a service
cannot be reached or says 503; all else is tried once. Whatever a service refuses, and a service that stays
away, comes as `UpstreamError`.
"""

from collections.abc import Mapping
from typing import Any, Literal, TypeVar

import httpx2
import msgspec
import stamina
from opentelemetry import propagate, trace
from opentelemetry.trace import SpanKind, StatusCode

from services.chassis.auth import Caller, TokenMint

Service = Literal["invoice", "payment", "notification"]
T = TypeVar("T")

RETRY_SECONDS = 2.0
"""How long a call is tried again, counted from its start; also the wait for a payable not yet known."""
TIMEOUT = httpx2.Timeout(5.0, connect=1.0)
STRIPE_TIMEOUT = httpx2.Timeout(25.0, connect=1.0)
"""For calls behind which payment asks Stripe (20 s at most)."""

_tracer = trace.get_tracer("clinicpay.gateway")


class UpstreamError(Exception):
    """A service refused, or could not be reached (status 502 or 503).

    `code` is the service's stable code, `detail` its plain words, `fields` the rest of its problem (such as
    `open` of `amount_changed`), `retry_after` seconds when it said so.
    """

    def __init__(
        self, status: int, code: str, detail: str, fields: dict[str, Any], retry_after: float | None = None
    ) -> None:
        super().__init__(f"{status} {code}")
        self.status = status
        self.code = code
        self.detail = detail
        self.fields = fields
        self.retry_after = retry_after

    @property
    def temporary(self) -> bool:
        """Whether the same question may succeed a moment later."""
        return self.status == 503


class Calls:
    """The services over kept connections. `transports` replace the network, by service, with an app in reach."""

    def __init__(
        self,
        urls: Mapping[Service, str],
        mint: TokenMint,
        transports: Mapping[Service, httpx2.AsyncBaseTransport] | None = None,
    ) -> None:
        self._mint = mint
        self._clients = {
            service: httpx2.AsyncClient(
                base_url=url,
                timeout=TIMEOUT,
                limits=httpx2.Limits(max_connections=100, max_keepalive_connections=20),
                transport=(transports or {}).get(service),
                trust_env=False,
            )
            for service, url in urls.items()
        }

    async def close(self) -> None:
        for client in self._clients.values():
            await client.aclose()

    async def get(
        self,
        caller: Caller,
        service: Service,
        path: str,
        answer: type[T],
        params: Mapping[str, Any] | None = None,
    ) -> T:
        """Read; params that are None are left out."""
        return _decode(service, await self.send(caller, service, "GET", path, params=params), answer)

    async def write(
        self,
        caller: Caller,
        service: Service,
        method: Literal["POST", "PUT"],
        path: str,
        answer: type[T],
        body: msgspec.Struct | None = None,
        *,
        key: str | None = None,
        timeout: httpx2.Timeout = TIMEOUT,
    ) -> T:
        """Write, and read the answer; a POST is repeated only with an idempotency key."""
        content = None if body is None else msgspec.json.encode(body)
        raw = await self.send(caller, service, method, path, content=content, key=key, timeout=timeout)
        return _decode(service, raw, answer)

    async def send(
        self,
        caller: Caller,
        service: Service,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        content: bytes | None = None,
        key: str | None = None,
        timeout: httpx2.Timeout = TIMEOUT,
    ) -> bytes:
        """The raw answer of a call that succeeded in the end."""
        request = self._clients[service].build_request(
            method,
            path,
            params=_given(params),
            content=content,
            headers=_headers(content, key),
            timeout=timeout,
        )
        if method == "POST" and key is None:
            return await self._once(caller, service, request)
        async for attempt in stamina.retry_context(
            on=_wait_before_retry, attempts=8, timeout=RETRY_SECONDS, wait_initial=0.1, wait_max=0.5
        ):
            with attempt:
                return await self._once(caller, service, request)
        raise AssertionError("the last attempt either returns or raises")

    async def forward(
        self, service: Service, path: str, body: bytes, headers: Mapping[str, str]
    ) -> httpx2.Response:
        """The service's own answer to raw bytes, tried once and without a token."""
        outgoing = dict(headers)
        propagate.inject(outgoing)
        try:
            return await self._clients[service].post(path, content=body, headers=outgoing, timeout=10.0)
        except httpx2.TransportError as error:
            raise _away(service) from error

    async def _once(self, caller: Caller, service: Service, request: httpx2.Request) -> bytes:
        with _tracer.start_as_current_span(f"{request.method} {service}", kind=SpanKind.CLIENT) as span:
            request.headers["Authorization"] = f"Bearer {self._mint.token(audience=service, caller=caller)}"
            propagate.inject(request.headers)
            try:
                response = await self._clients[service].send(request)
            except httpx2.TransportError as error:
                raise _away(service) from error
            span.set_attribute("http.response.status_code", response.status_code)
            if response.is_success:
                return response.content
            if response.status_code >= 500:
                span.set_status(StatusCode.ERROR)
        raise _refused(response)


def _headers(content: bytes | None, key: str | None) -> dict[str, str]:
    headers = {"Accept": "application/json"}
    if content is not None:
        headers["Content-Type"] = "application/json"
    if key is not None:
        headers["Idempotency-Key"] = key
    return headers


def _given(params: Mapping[str, Any] | None) -> dict[str, str]:
    return {name: str(value) for name, value in (params or {}).items() if value is not None}


def _decode(service: Service, content: bytes, answer: type[T]) -> T:
    try:
        return msgspec.json.decode(content, type=answer)
    except msgspec.MsgspecError as error:
        detail = f"The {service} service gave an answer that we cannot read."
        raise UpstreamError(502, "bad_answer", detail, {"service": service}) from error


def _wait_before_retry(error: Exception) -> bool | float:
    """True: back off as usual; a number: seconds, what the service asked for, but never long."""
    if not isinstance(error, UpstreamError) or not error.temporary:
        return False
    return True if not error.retry_after else min(error.retry_after, 0.5)


def _away(service: Service) -> UpstreamError:
    detail = "A part of ClinicPay does not answer at the moment. Please try again shortly."
    return UpstreamError(503, "service_unavailable", detail, {"service": service})


def _refused(response: httpx2.Response) -> UpstreamError:
    problem = _problem(response.content)
    code, detail = problem.pop("code", "upstream_error"), problem.pop("detail", response.reason_phrase)
    for known in ("type", "title", "status", "instance"):
        problem.pop(known, None)
    return UpstreamError(response.status_code, str(code), str(detail), problem, _seconds(response))


def _problem(content: bytes) -> dict[str, Any]:
    try:
        problem = msgspec.json.decode(content)
    except msgspec.MsgspecError:
        return {}
    return problem if isinstance(problem, dict) else {}


def _seconds(response: httpx2.Response) -> float | None:
    try:
        return max(0.0, float(response.headers["Retry-After"]))
    except (KeyError, ValueError):
        return None
