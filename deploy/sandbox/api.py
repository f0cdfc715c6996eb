"""Stripe's API under /v1: who calls, faults, idempotency, the handler, the answer."""

import asyncio
from dataclasses import dataclass

import msgspec
from litestar.types import Receive, Scope, Send

from deploy.sandbox import params
from deploy.sandbox.access import Caller, check_right, check_version, identify, secret_key_required
from deploy.sandbox.errors import BadParameter, Json, StripeError
from deploy.sandbox.expand import expanded
from deploy.sandbox.faults import ApiFault
from deploy.sandbox.idempotency import Answer, Keys, fingerprint
from deploy.sandbox.ids import new_id
from deploy.sandbox.recorder import Recorded, without_card_data
from deploy.sandbox.refusals import EARLY, LATE
from deploy.sandbox.routes import ROUTES
from deploy.sandbox.routing import Route, Table
from deploy.sandbox.sandbox import Call, Sandbox
from deploy.sandbox.wire import read_body, send_bytes, wait_until_gone

LARGEST_BODY = 1 << 20
_PUBLIC = (
    "id object amount amount_details automatic_payment_methods canceled_at cancellation_reason capture_method"
    " client_secret confirmation_method created currency description last_payment_error last_setup_error livemode"
    " next_action payment_method payment_method_configuration_details payment_method_types processing receipt_email"
    " setup_future_usage shipping status usage"
)
PUBLIC_FIELDS = frozenset(_PUBLIC.split())


@dataclass
class Request:
    id: str
    method: str
    path: str
    query: str
    body: str
    headers: dict[str, str]
    form: Json
    caller: Caller | None = None

    @property
    def key(self) -> str | None:
        return self.headers.get("idempotency-key") if self.method == "POST" else None


class Api:
    """The ASGI application of everything under /v1."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._table = Table(ROUTES)
        self._keys = Keys(sandbox.store)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = _request(scope)
        if request.method == "OPTIONS":
            return await send_bytes(send, 204, b"", _PREFLIGHT)
        account = request.headers.get("stripe-account", "platform")
        fault = self._sandbox.faults.for_call(request.method, request.path, account)
        try:
            request.body = (await read_body(receive, LARGEST_BODY)).decode("utf-8", "replace")
            answer = await self._answer(request, fault)
        except StripeError as error:
            answer = _failed(request, error)
        self._record(request, answer)
        if fault and fault.kind == "timeout_after":
            return await wait_until_gone(receive)
        return await send_bytes(send, answer.status, answer.body, _headers(request, answer))

    async def _answer(self, request: Request, fault: ApiFault | None) -> Answer:
        """Up to the parameters' check nothing is kept under the idempotency key."""
        request.form = params.decode_form(request.body or request.query)
        caller = request.caller = identify(self._sandbox, request.headers, request.form)
        if fault and fault.kind in EARLY:
            error = EARLY[fault.kind]()
            error.rate_limit = fault.reason
            raise error
        check_version(request.headers.get("stripe-version"))
        route, named = self._table.find(request.method, request.path)
        if route is None:
            raise StripeError(404, "invalid_request_error", _unknown(request))
        if caller.public and not route.public:
            raise secret_key_required()
        check_right(self._sandbox, caller, f"{request.method} {request.path}")
        typed = params.typed(route.operation, request.form)
        call = {"id": named, "params": typed, "public": caller.public, "request_id": request.id}
        if request.key is None:
            return await self._execute(request, route, call, fault)
        return await self._execute_once(request, route, call, fault)

    async def _execute_once(
        self, request: Request, route: Route, call: Json, fault: ApiFault | None
    ) -> Answer:
        assert request.caller and request.key, "identified, and with a key"
        account, key = request.caller.account, request.key
        print_ = fingerprint(request.path, request.body)
        if kept := self._keys.claim(account, key, print_, request.path, self._sandbox.now()):
            return kept
        try:
            return await self._execute(request, route, call | {"idempotency_key": key}, fault, print_)
        finally:
            self._keys.release(account, key)

    async def _execute(
        self, request: Request, route: Route, call: Json, fault: ApiFault | None, print_: bytes = b""
    ) -> Answer:
        """Run the handler and keep its answer in the same transaction; a refused parameter is not kept."""
        assert request.caller, "identified"
        if fault and fault.kind == "latency":
            await asyncio.sleep(fault.seconds)

        def work(call: Call) -> Answer:
            answer = self._handle(request, route, call, fault)
            if print_ and call.idempotency_key:
                self._keys.keep(call.account, call.idempotency_key, print_, answer, call.now)
            return answer

        return self._sandbox.run(request.caller.account, work, **call)

    def _handle(self, request: Request, route: Route, call: Call, fault: ApiFault | None) -> Answer:
        if fault and fault.kind == "500_before":
            return _failed(request, _server_error())
        try:
            with self._sandbox.store.savepoint():
                if fault and fault.kind in LATE:
                    raise LATE[fault.kind]()
                answer = expanded(call, route.handler(call))
        except BadParameter:
            raise
        except StripeError as error:
            if not error.keeps_effects:
                call.events.clear()
            return _failed(request, error)
        if fault and fault.kind == "500_after":
            return _failed(request, _server_error())
        return Answer(200, msgspec.json.encode(_public(answer) if call.public else answer), request.id)

    def _record(self, request: Request, answer: Answer) -> None:
        caller = request.caller
        self._sandbox.recorder.add(
            Recorded(
                request_id=request.id,
                method=request.method,
                path=request.path,
                query=request.query,
                body=without_card_data(request.body),
                account=caller.account if caller else None,
                public=caller.public if caller else False,
                idempotency_key=request.key,
                version=request.headers.get("stripe-version"),
                status=answer.status,
                replayed=answer.original != request.id,
            )
        )


def _request(scope: Scope) -> Request:
    headers = {name.decode().lower(): value.decode("latin-1") for name, value in scope["headers"]}
    return Request(
        id=new_id("req", 14),
        method=scope["method"],  # type: ignore[typeddict-item]
        path=scope["path"],
        query=scope["query_string"].decode("latin-1"),
        body="",
        headers=headers,
        form={},
    )


def _failed(request: Request, error: StripeError) -> Answer:
    log = f"https://dashboard.stripe.com/test/logs/{request.id}"
    body = {"error": {**error.body, "request_log_url": log}}
    return Answer(error.status, msgspec.json.encode(body), request.id, error.rate_limit)


def _server_error() -> StripeError:
    message = "An unknown error occurred. Please contact support and give the request's id."
    return StripeError(500, "api_error", message)


def _unknown(request: Request) -> str:
    return f"Unrecognized request URL ({request.method}: {request.path}). Please see https://stripe.com/docs."


def _public(answer: Json) -> Json:
    """The part of an intent that the publishable key may see."""
    if answer["object"] not in ("payment_intent", "setup_intent"):
        return answer
    return {name: value for name, value in answer.items() if name in PUBLIC_FIELDS}


def _headers(request: Request, answer: Answer) -> dict[str, str]:
    headers = {
        "Content-Type": "application/json",
        "Request-Id": request.id,
        "Stripe-Version": params.version(),
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Expose-Headers": "Request-Id",
        "Cache-Control": "no-cache, no-store",
    }
    if request.key:
        headers |= {"Idempotency-Key": request.key, "Original-Request": answer.original}
        if answer.original != request.id:
            headers["Idempotent-Replayed"] = "true"
    if answer.status == 429 and b'"lock_timeout"' not in answer.body:
        headers["Stripe-Rate-Limited-Reason"] = answer.rate_limit
    if answer.status >= 500:
        headers["Stripe-Should-Retry"] = "false"
    elif answer.status == 409:
        headers["Stripe-Should-Retry"] = "true"
    return headers


_PREFLIGHT = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, POST, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Idempotency-Key, Stripe-Account, Stripe-Version",
    "Access-Control-Max-Age": "300",
}
