"""How the gateway calls a service: kept connections, a fresh token, the trace, bounded retries, one error.

Calls that may be repeated are (safe methods, PUT, DELETE, a POST with an idempotency key, and one that only
asks), when a service cannot be reached or says 503; all else is tried once. Whatever a service refuses, and a
service that stays away, comes as `UpstreamError`.
"""

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeVar

import httpx2
import msgspec
import stamina
from opentelemetry import propagate
from opentelemetry.trace import SpanKind, StatusCode

from contracts.http.reading import lenient
from services.chassis.http.auth import Caller, TokenMint
from services.chassis.telemetry.traces import span
from services.gateway.upstream.clocks import Clocks
from services.gateway.upstream.transport import (
    HttpTransport,
    InProcessTransport,
    Reply,
    Transport,
    Unreachable,
)

Service = Literal["invoice", "payment", "notification"]
T = TypeVar("T")
H = TypeVar("H")

RETRY_SECONDS = 2.0
"""How long a call is tried again, counted from its start; also the wait for a payable not yet known."""
TIMEOUT = 5.0
"""Seconds that a call may take."""
STRIPE_TIMEOUT = 25.0
"""For calls behind which payment asks Stripe (20 s at most)."""
FORWARD_SECONDS = 10.0
FILE_SECONDS = 25.0
"""For calls behind which a document is printed (20 s at most)."""


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


class Call(NamedTuple):
    """One question to a service, as it is asked again and again."""

    service: Service
    method: str
    path: str
    params: dict[str, str]
    content: bytes | None
    headers: dict[str, str]
    timeout: float


class Calls:
    """The services over kept connections. `transports` replace the network, by service, with an app in reach."""

    def __init__(
        self,
        urls: Mapping[Service, str],
        mint: TokenMint,
        transports: Mapping[Service, httpx2.AsyncBaseTransport] | None = None,
    ) -> None:
        self._mint = mint
        self.clocks = Clocks()
        reached = transports or {}
        self._transports: dict[Service, Transport] = {
            service: InProcessTransport(url, reached[service]) if service in reached else HttpTransport(url)
            for service, url in urls.items()
        }

    async def close(self) -> None:
        for transport in self._transports.values():
            await transport.close()

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

    async def file(
        self,
        caller: Caller,
        service: Service,
        path: str,
        known: str | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> Reply:
        """Read a file; 304 without it for a reader that has it, by its `If-None-Match`."""
        headers = {"If-None-Match": known} if known else {}
        call = Call(service, "GET", path, _given(params), None, headers, FILE_SECONDS)
        return await self._again(caller, call)

    async def write(
        self,
        caller: Caller,
        service: Service,
        method: Literal["POST", "PUT", "PATCH"],
        path: str,
        answer: type[T],
        body: msgspec.Struct | Mapping[str, Any] | None = None,
        *,
        params: Mapping[str, Any] | None = None,
        key: str | None = None,
        timeout: float = TIMEOUT,
    ) -> T:
        """Write, and read the answer; a POST is repeated only with an idempotency key."""
        content = None if body is None else msgspec.json.encode(body)
        raw = await self.send(
            caller, service, method, path, params=params, content=content, key=key, timeout=timeout
        )
        return _decode(service, raw, answer)

    async def ask(
        self,
        caller: Caller,
        service: Service,
        path: str,
        answer: type[T],
        body: msgspec.Struct,
        *,
        timeout: float = TIMEOUT,
    ) -> T:
        """A question with a body: a POST that changes nothing, so that it may be repeated without a key."""
        content = msgspec.json.encode(body)
        call = Call(service, "POST", path, {}, content, _headers(content, None), timeout)
        return _decode(service, (await self._again(caller, call)).content, answer)

    async def create(
        self,
        caller: Caller,
        service: Service,
        path: str,
        answer: type[T],
        body: msgspec.Struct,
        params: Mapping[str, Any] | None = None,
    ) -> tuple[T, bool]:
        """POST to an address that names the new thing, so that it may be repeated. Whether it was new (201)."""
        content = msgspec.json.encode(body)
        call = Call(service, "POST", path, _given(params), content, _headers(content, None), TIMEOUT)
        reply = await self._again(caller, call)
        return _decode(service, reply.content, answer), reply.status == 201

    async def write_or_hold(
        self,
        caller: Caller,
        service: Service,
        path: str,
        answer: type[T],
        held: type[H],
        body: msgspec.Struct,
        key: str,
        timeout: float = TIMEOUT,
    ) -> T | H:
        """POST with an idempotency key, and read the answer; `held` of an act that is held (202)."""
        content = msgspec.json.encode(body)
        reply = await self._again(
            caller, Call(service, "POST", path, {}, content, _headers(content, key), timeout)
        )
        if reply.status == 202:
            return _decode(service, reply.content, held)
        return _decode(service, reply.content, answer)

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
        timeout: float = TIMEOUT,
    ) -> bytes:
        """The raw answer of a call that succeeded in the end."""
        call = Call(service, method, path, _given(params), content, _headers(content, key), timeout)
        once = method == "POST" and key is None
        return (await (self._once if once else self._again)(caller, call)).content

    async def _again(self, caller: Caller, call: Call) -> Reply:
        async for attempt in stamina.retry_context(
            on=_wait_before_retry, attempts=8, timeout=RETRY_SECONDS, wait_initial=0.1, wait_max=0.5
        ):
            with attempt:
                return await self._once(caller, call)
        raise AssertionError("the last attempt either returns or raises")

    async def forward(self, service: Service, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """The service's own answer to raw bytes, tried once and without a token."""
        outgoing = dict(headers)
        propagate.inject(outgoing)
        try:
            return await self._transports[service].ask("POST", path, {}, outgoing, body, FORWARD_SECONDS)
        except Unreachable as error:
            raise _unreachable(service) from error

    async def _once(self, caller: Caller, call: Call) -> Reply:
        with span(f"{call.method} {call.service}", kind=SpanKind.CLIENT) as asked:
            headers = {
                **call.headers,
                "Authorization": f"Bearer {self._mint.token(audience=call.service, caller=caller)}",
            }
            propagate.inject(headers)
            try:
                reply = await self._transports[call.service].ask(
                    call.method, call.path, call.params, headers, call.content, call.timeout
                )
            except Unreachable as error:
                raise _unreachable(call.service) from error
            self.clocks.note(call.service, reply.headers)
            asked.set_attribute("http.response.status_code", reply.status)
            if 200 <= reply.status < 300 or reply.status == 304:
                return reply
            if reply.status >= 500:
                asked.set_status(StatusCode.ERROR)
        raise _refused(reply)


async def found_or_none(call: Awaitable[T]) -> T | None:
    """The answer of a call; None for a 404."""
    try:
        return await call
    except UpstreamError as error:
        if error.status != 404:
            raise
        return None


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
        return msgspec.json.decode(content, type=lenient(answer))
    except msgspec.MsgspecError as error:
        detail = f"The {service} service gave an answer that we cannot read."
        raise UpstreamError(502, "bad_answer", detail, {"service": service}) from error


async def all_accepted(*checks: Awaitable[T]) -> list[T]:
    """The answers to checks of one request's parts. Raises one error for all that the services refuse in its body."""
    answers, refused = [], []
    for check in checks:
        try:
            answers.append(await check)
        except UpstreamError as error:
            if error.status not in (400, 422):
                raise
            refused.append(error)
    if refused:
        raise _together(refused)
    return answers


def _together(refused: Sequence[UpstreamError]) -> UpstreamError:
    """The first, with the faults of all, each field's once."""
    first = refused[0]
    faults: dict[str, Any] = {}
    for each in refused:
        for fault in each.fields.get("errors", []):
            faults.setdefault(fault["field"], fault)
    fields = {name: value for each in reversed(refused) for name, value in each.fields.items()}
    return UpstreamError(first.status, first.code, first.detail, {**fields, "errors": [*faults.values()]})


def _wait_before_retry(error: Exception) -> bool | float:
    """True: back off as usual; a number: seconds, what the service asked for, but never long."""
    if not isinstance(error, UpstreamError) or not error.temporary:
        return False
    return True if not error.retry_after else min(error.retry_after, 0.5)


def _unreachable(service: Service) -> UpstreamError:
    detail = "A part of ClinicPay does not answer at the moment. Please try again shortly."
    return UpstreamError(503, "service_unavailable", detail, {"service": service})


def _refused(reply: Reply) -> UpstreamError:
    problem = _problem(reply.content)
    code, detail = problem.pop("code", "upstream_error"), problem.pop("detail", "The service refused.")
    for known in ("type", "title", "status", "instance"):
        problem.pop(known, None)
    return UpstreamError(reply.status, str(code), str(detail), problem, _seconds(reply))


def _problem(content: bytes) -> dict[str, Any]:
    try:
        problem = msgspec.json.decode(content)
    except msgspec.MsgspecError:
        return {}
    return problem if isinstance(problem, dict) else {}


def _seconds(reply: Reply) -> float | None:
    try:
        return max(0.0, float(reply.headers["Retry-After"]))
    except (KeyError, ValueError):
        return None
