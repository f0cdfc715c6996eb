"""Routes that our pages' scripts ask: each refusal is problem+json with words, whatever the request accepts."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from litestar import Router
from litestar.handlers import HTTPRouteHandler

from services.gateway.portal.routes import portal_routes
from services.gateway.web.errors import SCRIPTS
from services.payment import consumers
from tests.builders.events import deliver, outbox_events
from tests.builders.invoices import taxed_invoice_body
from tests.running.apps import in_own_task
from tests.running.databases import ServiceDb
from tests.running.gateway import Site, a_whole_site, create_client, create_clinic

PROBLEM = "application/problem+json"
ACCEPTS = [None, "*/*", "application/json", "text/html,application/xhtml+xml,*/*;q=0.8"]
PAYMENTS = "/c/oak/payments"
DUE = {"minor": 11_350, "currency": "EUR"}


@pytest.fixture
async def site(
    db_gateway: ServiceDb, db_invoice: ServiceDb, db_payment: ServiceDb, db_notification: ServiceDb
) -> AsyncIterator[Site]:
    whole = a_whole_site(db_gateway, db_invoice, db_payment, db_notification)
    async with in_own_task(whole) as made:
        yield made


@pytest.fixture
async def invoice(site: Site, db_invoice: ServiceDb, db_payment: ServiceDb) -> str:
    """An open invoice of the client who is signed in: the path of its payments."""
    oak = await create_clinic(site)
    client = await create_client(site, oak)
    issued = await site.api("POST", f"/clinics/{oak['id']}/invoices", json=taxed_invoice_body(client))
    await deliver(db_payment.worker, consumers, *await outbox_events(db_invoice))
    await site.log_in("ann@example.com")
    return f"/c/oak/invoices/{issued.json()['id']}"


def a_press(invoice: str, amount: Any = None) -> Any:
    """The body with which the page of this invoice starts a payment."""
    share = {"invoice_id": invoice.rpartition("/")[2], "amount": amount or DUE}
    return {"invoices": [share], "method": {"kind": "card"}}


async def ask(site: Site, path: str, accept: str | None = None, **more: Any) -> Any:
    headers = {"x-csrftoken": site.cookie("csrf") or "", **more.pop("headers", {})}
    headers |= {"Accept": accept} if accept else {}
    return await site.client.post(path, headers=headers, follow_redirects=False, **more)


def handlers_of(of: object) -> list[HTTPRouteHandler]:
    if isinstance(of, HTTPRouteHandler):
        return [of]
    if isinstance(of, Router):
        return [handler for route in of.routes for handler in route.route_handlers]  # type: ignore[union-attr]
    return [handler for each in of for handler in handlers_of(each)]  # type: ignore[attr-defined]


def test_each_portal_route_that_answers_json_says_that_scripts_ask_it() -> None:
    answering = {
        handler.fn.__name__: bool(handler.opt.get(SCRIPTS))
        for handler in handlers_of(portal_routes)
        if handler.fn.__module__.startswith("services.")
        and not any(
            page in str(handler.fn.__annotations__["return"])
            for page in ("Template", "Redirect", "Response[str]", "Response[bytes]")
        )
    }

    assert {"start_payment", "start_setup"} <= set(answering)
    assert [name for name, scripts in answering.items() if not scripts] == []


@pytest.mark.parametrize("accept", ACCEPTS)
@pytest.mark.parametrize("body", [b"{", b"[]", b"", b'{"amount":"5000"}', b'{"a":1,"a":2}', b"\xff"])
async def test_json_that_is_refused_is_answered_as_json(
    site: Site, invoice: str, body: bytes, accept: str | None
) -> None:
    refused = await ask(site, PAYMENTS, accept, content=body, headers={"Content-Type": "application/json"})

    assert (refused.status_code, refused.headers["content-type"]) == (400, PROBLEM)
    assert refused.json()["code"] == "request_invalid"


@pytest.mark.parametrize(
    ("amount", "code", "words"),
    [
        ({"minor": -5_000, "currency": "EUR"}, "wrong_amount", "Pay the amount that the invoice shows."),
        ({"minor": 0, "currency": "EUR"}, "wrong_amount", "Pay the amount that the invoice shows."),
        ({"minor": 11_350, "currency": "USD"}, "wrong_currency", "in another currency"),
        ({"minor": 11_350, "currency": "XXX"}, "wrong_currency", "in another currency"),
        ({"minor": 49, "currency": "EUR"}, "amount_too_small", "Please ask the clinic"),
    ],
)
async def test_an_amount_that_is_wrong_is_told_with_a_way_forward(
    site: Site, invoice: str, amount: Any, code: str, words: str, db_payment: ServiceDb
) -> None:
    refused = await ask(site, PAYMENTS, json=a_press(invoice, amount))

    refusal = refused.json()
    assert (refused.status_code, refused.headers["content-type"], refusal["code"]) == (422, PROBLEM, code)
    assert words in refusal["message"] == refusal["detail"]
    assert "again in a moment" not in refusal["message"]
    assert refusal["next"] == [{"href": invoice, "words": "Look at the invoice"}]
    assert await db_payment.admin.fetchval("SELECT count(*) FROM payments") == 0


async def test_too_many_presses_are_told_in_words_and_when_to_come_back(
    site: Site, invoice: str, db_payment: ServiceDb
) -> None:
    await ask(site, PAYMENTS, json=a_press(invoice))
    await db_payment.admin.execute("UPDATE starts SET tries = 100")

    refused = await ask(site, PAYMENTS, json=a_press(invoice))

    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_starts")
    assert "No money was taken. Please try again later" in refused.json()["message"]
    assert refused.json()["heading"] == ""
    assert 0 < int(refused.headers["retry-after"]) <= 3600


async def test_a_press_again_pays_by_credit_once(
    site: Site, db_invoice: ServiceDb, db_payment: ServiceDb
) -> None:
    """The page sends a press again with its key: of a part, there may be enough credit for two."""
    oak = await create_clinic(site, least_part=500)
    client = await create_client(site, oak)
    await site.api("POST", f"/clinics/{oak['id']}/invoices", json=taxed_invoice_body(client))
    await deliver(db_payment.worker, consumers, *await outbox_events(db_invoice))
    cash = {"client_id": client["id"], "kind": "cash", "amount": 14_000, "currency": "EUR"}
    taken = await site.api("POST", f"/clinics/{oak['id']}/payments", json=cash)
    assert taken.status_code == 201, taken.text
    again = await site.api("POST", f"/clinics/{oak['id']}/invoices", json=taxed_invoice_body(client))
    await deliver(db_payment.worker, consumers, *(await outbox_events(db_invoice))[-1:])
    await site.log_in("ann@example.com")
    ten = {"minor": 1_000, "currency": "EUR"}
    press = a_press(f"/c/oak/invoices/{again.json()['id']}", ten) | {"method": None, "credit": ten}

    answers = [
        await ask(site, PAYMENTS, json=press, headers={"Idempotency-Key": key}) for key in ("a", "a", "b")
    ]

    assert [answer.status_code for answer in answers] == [200] * 3, answers[0].text
    ids = [answer.json()["payment_id"] for answer in answers]
    assert ids[0] == ids[1] != ids[2]
    refused = await ask(site, PAYMENTS, json=press, headers={"Idempotency-Key": "no key"})
    assert (refused.status_code, refused.json()["code"]) == (400, "request_invalid")


@pytest.mark.parametrize("accept", ACCEPTS)
async def test_whoever_asks_in_vain_gets_json(site: Site, invoice: str, accept: str | None) -> None:
    """A token that is missing, another media type, a section that is hidden, and nobody signed in."""
    paths = {PAYMENTS: a_press(invoice), "/c/oak/methods/setup": {}}

    for path, body in paths.items():
        forged = await ask(site, path, accept, json=body, headers={"x-csrftoken": "no"})
        assert (forged.status_code, forged.headers["content-type"]) == (403, PROBLEM), path
    form = await ask(site, PAYMENTS, accept, data={"a": "b"})
    assert (form.status_code, form.headers["content-type"]) == (415, PROBLEM)
    [clinic] = (await site.api("GET", "/clinics")).json()["items"]
    await site.api("PATCH", f"/clinics/{clinic['id']}", json={"billing_shown": False})
    for path, body in paths.items():
        hidden = await ask(site, path, accept, json=body)
        assert (hidden.status_code, hidden.headers["content-type"]) == (409, PROBLEM), path
        assert hidden.json()["code"] == "billing_hidden"
    site.client.cookies.delete(next(name for name in site.client.cookies if "session" in name))
    for path, body in paths.items():
        nobody = await ask(site, path, accept, json=body)
        assert (nobody.status_code, nobody.headers["content-type"]) == (401, PROBLEM), path
