"""The control API under /_sandbox, for tests and demonstrations; asks for the secret key.

Control over webhooks and calls, the clock, the log of requests and the account's owner; banks are in `control_bank`.
"""

from dataclasses import asdict
from typing import Any, Literal

import msgspec
from litestar import Router, delete, get, post, put
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency
from litestar.exceptions import NotAuthorizedException, NotFoundException
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath, FromQuery, JSONBody

from deploy.sandbox import control_bank
from deploy.sandbox.errors import Json
from deploy.sandbox.faults import ApiFault, WebhookFault
from deploy.sandbox.resources import accounts
from deploy.sandbox.sandbox import PLATFORM, Call, Sandbox, account_named
from deploy.sandbox.unsure import Unsure


class Clock(msgspec.Struct, forbid_unknown_fields=True):
    offset_seconds: int


class Abilities(msgspec.Struct, forbid_unknown_fields=True):
    charges_enabled: bool = True
    payouts_enabled: bool = True
    card_payments: Literal["active", "inactive", "pending"] = "active"
    capabilities: dict[str, Literal["active", "inactive", "pending"]] = {}
    """Further ones to change, such as `ideal_payments`."""
    requirements: Json = {}
    """Such as `disabled_reason` and `currently_due`."""


class RestrictedKey(msgspec.Struct, forbid_unknown_fields=True):
    key: str
    rights: list[str]
    """Shell patterns over `GET /v1/refunds`."""


def secret_key_only(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    sandbox: Sandbox = connection.app.state.sandbox
    if connection.headers.get("authorization") != f"Bearer {sandbox.settings.secret_key}":
        raise NotAuthorizedException("the control API takes the sandbox's secret key as a Bearer token")


@get("/faults", sync_to_thread=False)
def list_faults(sandbox: NamedDependency[Sandbox]) -> Json:
    return sandbox.faults.as_json()


@post("/faults/api", sync_to_thread=False)
def add_api_fault(sandbox: NamedDependency[Sandbox], data: JSONBody[ApiFault]) -> Json:
    sandbox.faults.api.append(data)
    return sandbox.faults.as_json()


@post("/faults/webhooks", sync_to_thread=False)
def add_webhook_fault(sandbox: NamedDependency[Sandbox], data: JSONBody[WebhookFault]) -> Json:
    sandbox.faults.webhooks.append(data)
    return sandbox.faults.as_json()


@delete("/faults", status_code=200, sync_to_thread=False)
def clear_faults(sandbox: NamedDependency[Sandbox]) -> Json:
    """Forget all rules, and let go of what `reorder` still holds."""
    sandbox.faults.clear()
    sandbox.sender.let_go()
    return sandbox.faults.as_json()


@post("/clock", status_code=200, sync_to_thread=False)
def set_clock(sandbox: NamedDependency[Sandbox], data: JSONBody[Clock]) -> Json:
    """Shift `created` of all that is made from now on; signatures keep the real time."""
    sandbox.store.set("clock_offset", str(data.offset_seconds))
    return {"now": sandbox.now()}


@post("/events/{event:str}/resend", status_code=202, sync_to_thread=False)
def resend(sandbox: NamedDependency[Sandbox], event: FromPath[str]) -> Json:
    if sandbox.store.delivery(event) is None:
        raise NotFoundException(f"no event {event}")
    sandbox.sender.resend(event)
    return {"event": event}


@get("/requests", sync_to_thread=False)
def list_requests(
    sandbox: NamedDependency[Sandbox], path: FromQuery[str] = "", public: FromQuery[bool | None] = None
) -> Json:
    """The API's requests since it started, oldest first; `path` is the beginning of the address."""
    kept = (r for r in sandbox.recorder.requests if r.path.startswith(path) and public in (None, r.public))
    return {"items": [asdict(request) for request in kept]}


@delete("/requests", status_code=200, sync_to_thread=False)
def forget_requests(sandbox: NamedDependency[Sandbox]) -> Json:
    sandbox.recorder.requests.clear()
    return {"items": []}


@get("/counts", sync_to_thread=False)
def counts(sandbox: NamedDependency[Sandbox]) -> Json:
    return {
        "objects": sandbox.store.counts(),
        "webhooks": sandbox.store.delivery_counts(),
        "requests": len(sandbox.recorder.requests),
    }


@put("/accounts/{account:str}", sync_to_thread=False)
def put_account(sandbox: NamedDependency[Sandbox], account: FromPath[str], data: JSONBody[Abilities]) -> Json:
    """Make a connected account of that id, or change what it may do (which sends `account.updated`).

    One whose access was revoked can be reached again.
    """

    def work(call: Call) -> Json:
        known = call.store.get(PLATFORM, account) or accounts.shape(call, account)
        if call.store.hidden(PLATFORM, account).get("revoked"):
            accounts.authorize(call)
        call.store.put(PLATFORM, known, {"revoked": False})
        accounts.set_capabilities(call, known, data.capabilities)
        wanted = msgspec.to_builtins(data)
        del wanted["capabilities"]
        return accounts.switch(call, known, **wanted)

    return sandbox.run(account, work)


@delete("/accounts/{account:str}", status_code=200, sync_to_thread=False)
def revoke_account(sandbox: NamedDependency[Sandbox], account: FromPath[str]) -> Json:
    """The account's owner takes the platform's access away: every later call is refused with 403."""

    def work(call: Call) -> Json:
        return accounts.revoke(call, accounts.find(call, account))

    return sandbox.run(account, work)


@delete("/accounts/{account:str}/objects/{id:str}", status_code=200, sync_to_thread=False)
def delete_object(sandbox: NamedDependency[Sandbox], account: FromPath[str], id: FromPath[str]) -> Json:
    """Make an object as if it had never been, as a key of another account or mode finds it. No event tells."""
    with sandbox.store.transaction():
        sandbox.store.delete(account_named(account), id)
    return {"deleted": id}


@put("/accounts/{account:str}/objects/{id:str}", sync_to_thread=False)
def put_object(
    sandbox: NamedDependency[Sandbox], account: FromPath[str], id: FromPath[str], data: JSONBody[Json]
) -> Json:
    """Write fields of an object, or a whole one, as nobody at Stripe does. No event tells."""

    def work(call: Call) -> Json:
        return call.put((call.store.get(call.account, id) or {}) | data | {"id": id})

    return sandbox.run(account_named(account), work)


@put("/unsure", sync_to_thread=False)
def set_unsure(sandbox: NamedDependency[Sandbox], data: JSONBody[Unsure]) -> Json:
    """Choose among rules that are not known for sure; others have their default."""
    sandbox.unsure = data
    chosen: Json = msgspec.to_builtins(data)
    return chosen


@put("/keys", sync_to_thread=False)
def put_key(sandbox: NamedDependency[Sandbox], data: JSONBody[RestrictedKey]) -> Json:
    """Make a restricted key, or change its rights."""
    sandbox.restricted_keys[data.key] = data.rights
    return {"key": data.key}


def control_router() -> Router:
    handlers = [
        *(list_faults, add_api_fault, add_webhook_fault, clear_faults),
        *(set_clock, resend, list_requests, forget_requests, counts),
        *(put_account, revoke_account, put_object, delete_object, set_unsure, put_key),
        *control_bank.HANDLERS,
    ]
    return Router(path="/_sandbox", route_handlers=handlers, guards=[secret_key_only])
