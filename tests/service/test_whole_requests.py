"""One public request, all or nothing, over all services that it writes to.

Every write of the public API is tested: at each call that it makes, the call is refused, fails or is interrupted, or
the gateway is killed. Afterwards the databases hold the rows from before, or those of an undisturbed run.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import pytest
import stamina

from services.chassis.ids import new_id
from services.gateway.api.operations.actions import Pace
from tests.builders.invoices import taxed_invoice_body
from tests.running.databases import ServiceDb
from tests.running.gateway import (
    CLIENT,
    CLINIC,
    PASSWORD,
    SETTINGS,
    Site,
    a_whole_site,
    create_client,
    create_clinic,
    without_jobs,
)
from tests.running.network import MODES, Break, Killed, Mode, Network, difference, held
from tests.security.test_matrix_services import operations_in


@dataclass
class World:
    site: Site
    network: Network
    dbs: Mapping[str, ServiceDb]

    @property
    def pace(self) -> Pace:
        pace: Pace = self.site.app.state.operations.pace
        return pace

    def go_at(self, **changed: float) -> None:
        operations = self.site.app.state.operations
        operations.pace = replace(operations.pace, **changed)

    async def sweep(self) -> None:
        """Sweep after the holds on operations have expired."""
        await self.dbs["gateway"].admin.execute("UPDATE operations SET held_until = now(), next_at = now()")
        await self.site.app.state.operations.sweep()

    async def left(self) -> int:
        count: int = await self.dbs["gateway"].admin.fetchval("SELECT count(*) FROM operations")
        return count


@pytest.fixture
async def world(
    db_gateway: ServiceDb,
    db_invoice: ServiceDb,
    db_payment: ServiceDb,
    db_notification: ServiceDb,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[World]:
    network = Network()
    dbs = {
        "gateway": db_gateway,
        "invoice": db_invoice,
        "payment": db_payment,
        "notification": db_notification,
    }
    stamina.set_testing(True, attempts=2, cap=True)
    without_jobs(monkeypatch)
    async with a_whole_site(
        db_gateway, db_invoice, db_payment, db_notification, through=network.through
    ) as site:
        yield World(site, network, dbs)
    stamina.set_testing(False)


Request = Callable[[], Awaitable[Any]]
"""Sends the request of a run; a second call sends the same request."""
Prepare = Callable[[World, Any, str], Awaitable[tuple[str, str, Any]]]
"""Creates the rows that the request needs, at a clinic, under the run's label; returns method, path and body."""


async def _new_clinic(world: World, clinic: Any, label: str) -> tuple[str, str, Any]:
    return "POST", "/clinics", {**CLINIC, "slug": label, "name": label}


async def _whole_settings(world: World, clinic: Any, label: str) -> tuple[str, str, Any]:
    other = await create_clinic(world.site, slug=f"old-{label}")
    return "PUT", f"/clinics/{other['id']}", {**SETTINGS, "slug": label, "online_payment": False}


async def _some_settings(world: World, clinic: Any, label: str) -> tuple[str, str, Any]:
    other = await create_clinic(world.site, slug=f"old-{label}")
    return "PATCH", f"/clinics/{other['id']}", {"slug": label, "name": label}


async def _account(world: World, clinic: Any, label: str) -> tuple[str, str, Any]:
    other = await create_clinic(world.site, slug=f"old-{label}")
    account = f"acct_{label}"
    return "PUT", f"/clinics/{other['id']}/stripe-account", {"stripe_account_id": account}


async def _new_client(world: World, clinic: Any, label: str) -> tuple[str, str, Any]:
    body = {**CLIENT, "name": label, "email": f"{label}@example.com"}
    return "POST", f"/clinics/{clinic['id']}/clients", body


async def _invited_client(world: World, clinic: Any, label: str) -> tuple[str, str, Any]:
    body = {"name": label, "email": f"{label}@example.com", "invite": True}
    return "POST", f"/clinics/{clinic['id']}/clients", body


async def _invitation(world: World, clinic: Any, label: str) -> tuple[str, str, Any]:
    client = await create_client(world.site, clinic, name=label, email=f"{label}@example.com", login=None)
    return "POST", f"/clinics/{clinic['id']}/clients/{client['id']}/invitation", None


async def _some_of_a_client(world: World, clinic: Any, label: str) -> tuple[str, str, Any]:
    client = await create_client(world.site, clinic, name=f"Old {label}", email=f"old-{label}@example.com")
    patch = {"name": label, "email": f"{label}@example.com", "billing_address": {"city": label}}
    return "PATCH", f"/clinics/{clinic['id']}/clients/{client['id']}", patch


async def _staff(world: World, clinic: Any, label: str) -> tuple[str, str, Any]:
    return "POST", f"/clinics/{clinic['id']}/staff", {"email": f"{label}@example.com", "password": PASSWORD}


async def _api_key(world: World, clinic: Any, label: str) -> tuple[str, str, Any]:
    return "POST", f"/clinics/{clinic['id']}/api-keys", {"name": label}


async def _operator_key(world: World, clinic: Any, label: str) -> tuple[str, str, Any]:
    return "POST", "/api-keys", {"name": label}


def _old_key(owner: str, method: str, end: str, body: Any = None) -> Prepare:
    """A request about an existing API key; `owner` is the path of its owner."""

    async def prepare(world: World, clinic: Any, label: str) -> tuple[str, str, Any]:
        path = f"{owner.format(clinic_id=clinic['id'])}/api-keys"
        made = await world.site.api(
            "POST", path, json={"name": label}, headers={"Idempotency-Key": f"old-{label}"}
        )
        return method, f"{path}/{made.json()['id']}{end}", body

    return prepare


async def _invoice(world: World, clinic: Any, label: str) -> tuple[str, str, Any]:
    client = await create_client(world.site, clinic, name=label, email=f"{label}@example.com")
    return "POST", f"/clinics/{clinic['id']}/invoices", taxed_invoice_body(client, note=label)


async def _invoices(world: World, clinic: Any, label: str) -> tuple[str, str, Any]:
    client = await create_client(world.site, clinic, name=label, email=f"{label}@example.com")
    return (
        "POST",
        f"/clinics/{clinic['id']}/invoices/bulk",
        {"invoices": [taxed_invoice_body(client, note=label)] * 2},
    )


async def _refund(world: World, clinic: Any, label: str) -> tuple[str, str, Any]:
    """Refused, since there is no credit. A refund writes only to payment: see `test_payment_refunds.py`."""
    client = await create_client(world.site, clinic, name=label, email=f"{label}@example.com")
    return "POST", f"/clinics/{clinic['id']}/refunds", {"client_id": client["id"], "currency": "EUR"}


async def _rules(world: World, clinic: Any, label: str) -> tuple[str, str, Any]:
    other = await create_clinic(world.site, slug=f"old-{label}")
    return "PUT", f"/clinics/{other['id']}/refund-rules", {"most_a_day": 5}


async def _refund_preview(world: World, clinic: Any, label: str) -> tuple[str, str, Any]:
    method, path, body = await _refund(world, clinic, label)
    return method, f"{path}/preview", body


def _of_an_invoice(end: str, **body: Any) -> Prepare:
    """A request about an issued invoice, with the run's label as explanation."""

    async def prepare(world: World, clinic: Any, label: str) -> tuple[str, str, Any]:
        client = await create_client(world.site, clinic, name=label, email=f"{label}@example.com")
        invoice = taxed_invoice_body(client, note=label)
        place = f"/clinics/{clinic['id']}/invoices"
        made = await world.site.api("POST", place, json=invoice, headers={"Idempotency-Key": f"old-{label}"})
        new = {"invoice": taxed_invoice_body(client, note=f"new {label}")}
        replaced = new if end.startswith("correct") else {}
        return (
            "POST",
            f"{place}/{made.json()['id']}/{end}",
            {"reason": "goodwill", "explanation": label} | body | replaced,
        )

    return prepare


async def _revoked_links(world: World, clinic: Any, label: str) -> tuple[str, str, Any]:
    method, path, _ = await _of_an_invoice("pay-link/revoke")(world, clinic, label)
    return method, path, None


async def _record(world: World, clinic: Any, label: str) -> tuple[str, str, Any]:
    client = await create_client(world.site, clinic, name=label, email=f"{label}@example.com")
    body = {"client_id": client["id"], "kind": "cash", "amount": 1_000, "currency": "EUR", "reference": label}
    return "POST", f"/clinics/{clinic['id']}/payments", body


async def _use_of_credit(world: World, clinic: Any, label: str) -> tuple[str, str, Any]:
    client = await create_client(world.site, clinic, name=label, email=f"{label}@example.com")
    body = {"client_id": client["id"], "currency": "EUR"}
    return "POST", f"/clinics/{clinic['id']}/credit-uses", body


async def _count_of_cash(world: World, clinic: Any, label: str) -> tuple[str, str, Any]:
    body = {"counted": 500, "currency": "EUR", "location": label, "note": label}
    return "POST", f"/clinics/{clinic['id']}/cash-closings", body


def _of_nothing(method: str, end: str, body: Any = None) -> Prepare:
    """Refused, since there is nothing with this id. It writes to one service only."""

    async def prepare(world: World, clinic: Any, label: str) -> tuple[str, str, Any]:
        return method, f"/clinics/{clinic['id']}/{end.format(new_id())}", body

    return prepare


AT = "/api/v1/clinics/{clinic_id}"
WRITES: dict[str, Prepare] = {
    "POST /api/v1/clinics": _new_clinic,
    f"PUT {AT}": _whole_settings,
    f"PATCH {AT}": _some_settings,
    f"PUT {AT}/stripe-account": _account,
    f"POST {AT}/clients": _new_client,
    f"PATCH {AT}/clients/{{client_id}}": _some_of_a_client,
    f"POST {AT}/clients/{{client_id}}/invitation": _invitation,
    f"POST {AT}/staff": _staff,
    f"POST {AT}/api-keys": _api_key,
    f"POST {AT}/api-keys/{{key_id}}/roll": _old_key("/clinics/{clinic_id}", "POST", "/roll", {}),
    f"DELETE {AT}/api-keys/{{key_id}}": _old_key("/clinics/{clinic_id}", "DELETE", ""),
    "POST /api/v1/api-keys": _operator_key,
    "POST /api/v1/api-keys/{key_id}/roll": _old_key("", "POST", "/roll", {}),
    "DELETE /api/v1/api-keys/{key_id}": _old_key("", "DELETE", ""),
    f"POST {AT}/invoices": _invoice,
    f"POST {AT}/invoices/bulk": _invoices,
    f"PUT {AT}/refund-rules": _rules,
    f"POST {AT}/invoices/{{invoice_id}}/void": _of_an_invoice("void"),
    f"POST {AT}/invoices/{{invoice_id}}/credit-notes": _of_an_invoice("credit-notes"),
    f"POST {AT}/invoices/{{invoice_id}}/write-off": _of_an_invoice("write-off"),
    f"POST {AT}/invoices/{{invoice_id}}/correct": _of_an_invoice("correct"),
    f"POST {AT}/invoices/{{invoice_id}}/pay-link/revoke": _revoked_links,
    f"POST {AT}/payments": _record,
    f"POST {AT}/cash-closings": _count_of_cash,
}
WITHOUT_EFFECT: dict[str, Prepare] = {
    f"POST {AT}/refunds": _refund,
    f"POST {AT}/refunds/preview": _refund_preview,
    f"PUT {AT}/refunds/{{refund_id}}/approval": _of_nothing("PUT", "refunds/{}/approval", {"approved": True}),
    f"POST {AT}/invoices/{{invoice_id}}/void/preview": _of_an_invoice("void/preview"),
    f"POST {AT}/invoices/{{invoice_id}}/credit-notes/preview": _of_an_invoice("credit-notes/preview"),
    f"POST {AT}/invoices/{{invoice_id}}/write-off/preview": _of_an_invoice("write-off/preview"),
    f"POST {AT}/invoices/{{invoice_id}}/correct/preview": _of_an_invoice("correct/preview"),
    f"POST {AT}/payments/{{payment_id}}/reverse": _of_nothing("POST", "payments/{}/reverse", {"reason": "x"}),
    f"POST {AT}/credit-uses": _use_of_credit,
    f"POST {AT}/exceptions/{{exception_id}}/settle": _of_nothing(
        "POST", "exceptions/{}/settle", {"how": "dismiss"}
    ),
    f"POST {AT}/held-acts/{{act_id}}/undo": _of_nothing("POST", "held-acts/{}/undo"),
    f"PUT {AT}/disputes/{{dispute_id}}/evidence": _of_nothing("PUT", "disputes/{}/evidence", {"texts": {}}),
    f"POST {AT}/disputes/{{dispute_id}}/evidence/submission": _of_nothing(
        "POST", "disputes/{}/evidence/submission", {"hash": "x"}
    ),
}
"""Previews, and writes to payment alone that are refused here: payment knows no invoice and no client yet."""
OTHER_BODIES: dict[str, Prepare] = {f"POST {AT}/clients with an invitation": _invited_client}
WRITES |= OTHER_BODIES
ALL = WRITES | WITHOUT_EFFECT


def test_every_public_write_is_walked() -> None:
    assert {each for each in operations_in("gateway") if not each.startswith("GET ")} == (
        set(ALL) - set(OTHER_BODIES)
    )


async def _sent(world: World, write: str, clinic: Any, label: str) -> Request:
    method, path, body = await ALL[write](world, clinic, label)
    headers = {"Idempotency-Key": label} if method == "POST" else {}

    async def send() -> Any:
        return await world.site.api(method, path, json=body, headers=headers)

    return send


@pytest.mark.parametrize("write", ALL)
async def test_a_write_that_is_broken_at_any_call_leaves_all_or_nothing(world: World, write: str) -> None:
    clinic = await create_clinic(world.site)
    send = await _sent(world, write, clinic, "run")
    before = await held(world.dbs, "run")
    world.network.calls.clear()
    answer = await send()
    calls = list(dict.fromkeys(world.network.calls))
    whole = difference(before, await held(world.dbs, "run"))
    assert bool(whole[0]) == (write in WRITES), answer.text

    last_write = max((number for number, call in enumerate(calls) if is_write(call)), default=len(calls))
    for number, call in enumerate(calls):
        for mode in _modes(call, number <= last_write):
            label = f"run{number}{mode.replace(' ', '')}"
            send = await _sent(world, write, clinic, label)
            await _walk(world, send, label, Break(call, mode), whole, answer.status_code)


def _modes(call: str, may_refuse: bool) -> tuple[Mode, ...]:
    """The faults of a call. A read after all writes may fail, but cannot be refused."""
    if is_write(call):
        return MODES
    return ("refused", "cut before", "killed before") if may_refuse else ("cut before", "killed before")


def is_write(call: str) -> bool:
    return not call.startswith("GET ") and not call.endswith("?check")


async def _walk(world: World, send: Request, label: str, broken: Break, whole: Any, usual: int) -> None:
    before = await held(world.dbs, label)
    world.network.broken = broken
    with suppress(Killed):
        answer = await send()
        assert broken.mode != "refused" or answer.json()["code"] == "refused_by_test", (broken, answer.text)
    assert broken.seen, broken
    if broken.mode == "refused":
        assert difference(before, await held(world.dbs, label)) == difference(before, before), broken
    # Half of the runs give up while the call still fails, the others continue once it works again.
    world.go_at(give_up=0 if len(label) % 2 else 60)
    with suppress(Killed):
        await world.sweep()
    world.network.repair()
    await world.sweep()
    assert await world.left() == 0, broken
    left = difference(before, await held(world.dbs, label))
    assert left in (whole, difference(before, before)), (broken, left)

    world.go_at(give_up=60)
    again = await send()
    expected = {usual, 409} if again.status_code == 409 and "api_key_already_made" in again.text else {usual}
    assert again.status_code in expected, (broken, again.text)
    assert difference(before, await held(world.dbs, label)) == whole, broken
