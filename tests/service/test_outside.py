"""Money outside Stripe and used credit pay invoices, once, and every book agrees."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from contracts.events.payment import PaymentReversed, PaymentSucceeded, receipt_number
from deploy.ops.reemit import reemit
from deploy.ops.verify.run import verify
from services.chassis import clock
from services.chassis.ids import new_id
from tests.builders.callers import a_caller
from tests.builders.events import outbox_events
from tests.builders.invoices import invoice_body
from tests.builders.values import eur, money
from tests.running.apps import in_own_task
from tests.running.installation import Installation, an_installation
from tests.running.invoice import add_client


@pytest.fixture
async def installation(postgres: str, roles: dict[str, str]) -> AsyncIterator[Installation]:
    async with in_own_task(an_installation(postgres, roles, filled=False)) as installation:
        yield installation


async def call(installation: Installation, path: str, key: str | None = None, **body: Any) -> Any:
    caller = a_caller("staff", installation.payments.clinic_id)
    headers = {"Idempotency-Key": key or str(new_id())}
    answer = await installation.payments.api.call("POST", path, caller, json=body, headers=headers)
    await installation.pump()
    return answer


async def record(
    installation: Installation,
    amount: int,
    key: str | None = None,
    newest: Sequence[UUID] = (),
    client_known: bool = False,
    **body: Any,
) -> Any:
    """`newest` are the invoices that the gateway has seen at the invoice service, where it has seen the client too."""
    asked = {
        "client_id": str(installation.payments.client_id),
        "kind": "cash",
        "amount": amount,
        "currency": "EUR",
        **body,
    }
    seen = f"?issued={','.join(map(str, newest))}&client_known={str(client_known).lower()}"
    return await call(installation, f"/payments/recorded{seen}", key, **asked)


async def reverse(
    installation: Installation, payment_id: str, key: str | None = None, reason: str = "The bank returned it"
) -> Any:
    return await call(installation, f"/payments/{payment_id}/reverse", key, reason=reason)


async def use_credit(installation: Installation, **body: Any) -> Any:
    asked = {"client_id": str(installation.payments.client_id), "currency": "EUR", **body}
    return await call(installation, "/credit/uses", **asked)


async def shown(installation: Installation, invoice: UUID) -> dict[str, Any]:
    found: dict[str, Any] = await installation.world.get(f"/invoices/{invoice}")
    return found


async def credit(installation: Installation) -> int:
    found = await installation.dbs["payment"].admin.fetchval(
        "SELECT coalesce(sum(amount), 0) FROM credit_balances"
    )
    return int(found)


async def breaches(installation: Installation) -> set[str]:
    return {f"{each.check}: {each.row}" for each in (await verify(installation.access, wait=0)).breaches}


@pytest.mark.parametrize("kind", ["cash", "terminal", "bank_transfer", "insurer"])
async def test_recorded_money_pays_what_is_due_first_and_the_rest_is_credit(
    installation: Installation, kind: str
) -> None:
    first, second = await installation.open_invoice(5_000), await installation.open_invoice(3_000)

    answer = await record(installation, 9_000, kind=kind, reference="till 4", on_behalf_of="A. Byrne")

    assert answer.status_code == 201, answer.text
    assert answer.json()["status"] == "succeeded"
    for invoice in (first, second):
        now = await shown(installation, invoice)
        assert (now["status"], now["due"]["minor"], now["paid_with"]["kind"]) == ("paid", 0, kind)
    assert await credit(installation) == 1_000
    published = [each for each in installation.published.values() if isinstance(each, PaymentSucceeded)]
    assert [(each.amount.minor, each.method and each.method.kind) for each in published] == [(9_000, kind)]
    assert await breaches(installation) == set()


async def test_cash_of_a_new_client_is_credit_and_pays_the_first_invoice(installation: Installation) -> None:
    client = new_id()
    await add_client(installation.world.http, client, installation.world.staff)
    await installation.pump()

    unknown = await record(installation, 2_000, client_id=str(client))
    answer = await record(installation, 2_000, client_id=str(client), client_known=True)

    assert (unknown.status_code, unknown.json()["code"]) == (404, "payable_not_found")
    assert answer.status_code == 201, answer.text
    assert await credit(installation) == 2_000
    first = (await installation.world.post_invoice(invoice_body(client, 1_500))).json()["id"]
    await installation.pump()
    used = await use_credit(installation, client_id=str(client))
    assert used.json()["amount"]["minor"] == 1_500
    assert (await shown(installation, UUID(first)))["status"] == "paid"
    assert await breaches(installation) == set()


async def test_the_same_request_again_is_the_same_payment(installation: Installation) -> None:
    invoice = await installation.open_invoice(5_000)
    part = [{"invoice_id": str(invoice), "amount": 2_000}]

    answers = [await record(installation, 2_000, "till", invoices=part) for _ in range(3)]
    other = await record(installation, 2_100, "till", invoices=part)

    assert len({each.json()["id"] for each in answers}) == 1
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert (await shown(installation, invoice))["due"]["minor"] == 3_000


@pytest.mark.parametrize(
    ("amount", "changes", "status", "code"),
    [
        (100, {"invoices": [{"invoice_id": "INVOICE", "amount": 101}]}, 422, "wrong_amount"),
        (6_000, {"invoices": [{"invoice_id": "INVOICE", "amount": 5_001}]}, 409, "amount_changed"),
        (100, {"invoices": [{"invoice_id": "INVOICE", "amount": 1}] * 2}, 422, "invoice_named_twice"),
        (100, {"invoices": [{"invoice_id": str(UUID(int=7)), "amount": 1}]}, 404, "payable_not_found"),
        (
            100,
            {"currency": "USD", "invoices": [{"invoice_id": "INVOICE", "amount": 1}]},
            404,
            "payable_not_found",
        ),
        (100, {"received_at": "TOMORROW"}, 422, "received_in_the_future"),
        (100, {"received_at": "2026-01-01T10:00:00"}, 400, "request_invalid"),
        (100, {"received_at": "0001-01-01T00:00:00+14:00"}, 422, "received_too_long_ago"),
        (100, {"reference": "card 4242 4242 4242 4242"}, 422, "card_number_refused"),
        (100, {"location": "x" * 101}, 422, "invalid_text"),
        (100, {"client_id": str(UUID(int=8))}, 404, "payable_not_found"),
        (0, {}, 400, "request_invalid"),
        (100, {"currency": "ABC"}, 422, "unknown_currency"),
        (100, {"kind": "card"}, 400, "request_invalid"),
        (100, {"invoices": []}, 400, "request_invalid"),
    ],
)
async def test_what_cannot_be_recorded_changes_nothing(
    installation: Installation, amount: int, changes: dict[str, Any], status: int, code: str
) -> None:
    invoice = await installation.open_invoice(5_000)
    tomorrow = (clock.now() + timedelta(days=1)).isoformat()
    named: dict[str, Any] = {
        name: [{**part, "invoice_id": part["invoice_id"].replace("INVOICE", str(invoice))} for part in value]
        if name == "invoices"
        else value.replace("TOMORROW", tomorrow)
        for name, value in changes.items()
    }

    answer = await record(installation, amount, **named)

    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    admin = installation.dbs["payment"].admin
    assert await admin.fetchval("SELECT count(*) FROM payments") == 0
    assert await admin.fetchval("SELECT count(*) FROM entries") == 0
    assert (await shown(installation, invoice))["due"]["minor"] == 5_000


@pytest.mark.parametrize("named", [True, False])
async def test_an_invoice_that_was_issued_a_moment_ago_is_paid_by_the_same_request_again(
    installation: Installation, named: bool
) -> None:
    """At a desk the money is recorded right after the invoice. Its event may be on its way."""
    issued = UUID((await installation.world.issue(5_000))["id"])
    parts: dict[str, Any] = {"invoices": [{"invoice_id": str(issued), "amount": 5_000}]} if named else {}
    newest = () if named else (issued,)

    early = await record(installation, 5_000, "desk", newest, **parts)
    again = await record(installation, 5_000, "desk", newest, **parts)

    assert (early.status_code, early.json()["code"]) == (503, "payable_unknown"), early.text
    assert again.status_code == 201, again.text
    assert (await shown(installation, issued))["status"] == "paid"
    assert await breaches(installation) == set()


async def test_credit_is_used_for_an_invoice_that_was_issued_a_moment_ago(installation: Installation) -> None:
    await installation.open_invoice(1_000)
    await record(installation, 3_000)
    issued = UUID((await installation.world.issue(2_000))["id"])
    parts = [{"invoice_id": str(issued), "amount": 2_000}]

    early, again = [await use_credit(installation, invoices=parts) for _ in range(2)]

    assert (early.status_code, early.json()["code"]) == (503, "payable_unknown"), early.text
    assert again.status_code == 201, again.text
    assert (await shown(installation, issued))["status"] == "paid"


async def test_cash_of_an_unknown_currency_is_not_counted(installation: Installation) -> None:
    answer = await call(installation, "/cash-closings", counted=0, currency="ABC")

    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_currency")


async def test_a_payment_that_is_taken_back_is_due_again_once(installation: Installation) -> None:
    invoice = await installation.open_invoice(5_000)
    paid = (await record(installation, 6_000, kind="bank_transfer")).json()["id"]

    answers = [await reverse(installation, paid, key) for key in ("a", "a", "b")]

    assert [each.status_code for each in answers] == [201, 201, 409]
    assert answers[2].json()["code"] == "already_reversed"
    now = await shown(installation, invoice)
    assert (now["status"], now["due"]["minor"]) == ("unpaid", 5_000)
    assert await credit(installation) == 0
    assert (await record(installation, 5_000)).status_code == 201
    assert (await shown(installation, invoice))["status"] == "paid"
    assert await breaches(installation) == set()


async def test_what_was_taken_back_is_published_once_with_what_is_due_since(
    installation: Installation,
) -> None:
    first, second = await installation.open_invoice(5_000), await installation.open_invoice(3_000)
    paid = (await record(installation, 6_500)).json()["id"]
    of_credit = (await record(installation, 2_500)).json()["id"]

    for payment in (paid, of_credit):
        await reverse(installation, payment, f"back-{payment}")
        await reverse(installation, payment, f"back-{payment}")

    told = {
        str(each.payment_id): each
        for each in installation.published.values()
        if isinstance(each, PaymentReversed)
    }
    lost = {
        each: [(part.invoice_id, part.amount.minor, part.due.minor) for part in told[each].invoices]
        for each in told
    }
    # The first took from both invoices, the second from what was left of the later one and from credit.
    assert lost == {
        paid: [(first, 5_000, 5_000), (second, 1_500, 1_500)],
        of_credit: [(second, 1_500, 3_000)],
    }
    assert [told[each].amount.minor for each in (paid, of_credit)] == [6_500, 2_500]
    assert {each.method.kind for each in told.values()} == {"cash"}
    payment = installation.dbs["payment"]
    await reemit(
        installation.access.databases["payment"],
        payment.worker_dsn,
        "payment",
        datetime(1970, 1, 1, tzinfo=UTC),
    )
    again = [each for each in await outbox_events(payment) if isinstance(each, PaymentReversed)]
    assert again == [told[str(each.payment_id)] for each in again] and len(again) == 2
    await installation.pump()
    queued = await installation.dbs["notification"].admin.fetch(
        "SELECT subject_id FROM deliveries WHERE template = 'payment_reversed' ORDER BY id"
    )
    assert sorted(str(row["subject_id"]) for row in queued) == sorted(told)
    assert await breaches(installation) == set()


async def test_a_key_is_for_one_act_on_one_payment(installation: Installation) -> None:
    invoice = await installation.open_invoice(5_000)
    first, second = [(await record(installation, 1_000)).json()["id"] for _ in range(2)]
    assert (await reverse(installation, first, "returned")).status_code == 201

    other = await reverse(installation, second, "returned")

    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert (await shown(installation, invoice))["due"]["minor"] == 4_000
    assert (await reverse(installation, second, "returned-too")).status_code == 201
    assert (await shown(installation, invoice))["due"]["minor"] == 5_000


async def test_a_key_that_refunded_credit_uses_none(installation: Installation) -> None:
    """Both requests have the same body."""
    await installation.open_invoice(100)
    await record(installation, 1_100)
    await installation.open_invoice(700)
    asked = {"client_id": str(installation.payments.client_id), "currency": "EUR"}
    first = await call(installation, "/credit/uses", "credit", **asked)

    other = await call(installation, "/refunds", "credit", **asked)

    assert first.status_code == 201
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert await credit(installation) == 300


async def test_money_that_became_credit_and_was_used_is_not_taken_back(installation: Installation) -> None:
    await installation.open_invoice(1_000)
    paid = (await record(installation, 1_500)).json()["id"]
    await installation.open_invoice(400)
    assert (await use_credit(installation)).status_code == 201

    refused = await reverse(installation, paid)

    assert (refused.status_code, refused.json()["code"]) == (409, "credit_overdrawn")
    assert await credit(installation) == 100
    assert await breaches(installation) == set()


async def test_a_card_number_is_no_reason_to_take_money_back(installation: Installation) -> None:
    await installation.open_invoice(1_500)
    paid = (await record(installation, 1_500)).json()["id"]

    refused = await reverse(installation, paid, "once", reason="Put it on 3782 822463 10005")
    again = await reverse(installation, paid, "once")

    assert (refused.status_code, refused.json()["code"]) == (422, "card_number_refused")
    assert refused.json()["field"] == "reason"
    assert again.status_code == 201, "the refused call used no key"


async def test_a_payment_that_was_taken_back_says_so_wherever_it_is_read(installation: Installation) -> None:
    await installation.open_invoice(900)
    kept, wrong = [(await record(installation, 400)).json() for _ in range(2)]

    answer = (await reverse(installation, wrong["id"], "once")).json()
    again = (await reverse(installation, wrong["id"], "once")).json()

    caller = a_caller("staff", installation.payments.clinic_id)
    read = (await installation.payments.api.call("GET", f"/payments/{wrong['id']}", caller)).json()
    listed = (await installation.payments.api.call("GET", "/payments", caller)).json()["items"]
    assert wrong["reversed_at"] is None and answer["reversed_at"]
    assert again["reversed_at"] == read["reversed_at"] == answer["reversed_at"]
    assert {each["id"]: each["reversed_at"] for each in listed} == {
        kept["id"]: None,
        wrong["id"]: answer["reversed_at"],
    }


async def test_a_payment_is_found_by_the_reference_that_its_client_reads(installation: Installation) -> None:
    await installation.open_invoice(900)
    wanted, other = [(await record(installation, 400)).json() for _ in range(2)]
    api, clinic = installation.payments.api, installation.payments.clinic_id

    async def found(reference: str, caller: Any) -> list[str]:
        answer = await api.call("GET", f"/payments?reference={reference}", caller)
        assert answer.status_code == 200, answer.text
        return [each["id"] for each in answer.json()["items"]]

    staff = a_caller("staff", clinic)
    assert wanted["reference"] == receipt_number(UUID(wanted["id"])) != other["reference"]
    assert await found(wanted["reference"], staff) == [wanted["id"]]
    assert await found("R-" + wanted["reference"][2:].lower(), staff) == [wanted["id"]]
    assert await found(wanted["reference"], a_caller("client", clinic)) == []
    assert await found(wanted["reference"], a_caller("staff", new_id())) == []
    refused = await api.call("GET", f"/payments?reference={wanted['id']}", staff)
    assert refused.status_code == 400


async def test_only_recorded_money_is_taken_back(installation: Installation) -> None:
    invoice = await installation.open_invoice(900)
    online = await installation.pay((invoice, money(900)))

    refused = await reverse(installation, str(online))
    unknown = await reverse(installation, str(new_id()))

    assert (refused.status_code, refused.json()["code"]) == (409, "payment_not_recorded")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "payment_not_found")


async def test_credit_pays_invoices_without_stripe_and_without_a_receipt(installation: Installation) -> None:
    await installation.open_invoice(100)
    await record(installation, 1_600)
    first, second = await installation.open_invoice(1_000), await installation.open_invoice(900)
    letters = "SELECT count(*) FROM deliveries WHERE template = 'receipt'"
    before = await installation.dbs["notification"].admin.fetchval(letters)

    answer = await use_credit(installation)
    none_left = await use_credit(installation)

    assert answer.json()["amount"]["minor"] == 1_500
    assert (none_left.status_code, none_left.json()["code"]) == (409, "no_credit_to_use")
    assert (await shown(installation, first))["status"] == "paid"
    second_now = await shown(installation, second)
    assert (second_now["status"], second_now["due"]["minor"]) == ("part_paid", 400)
    assert await installation.dbs["notification"].admin.fetchval(letters) == before
    assert await installation.payments.intents() == []
    assert await breaches(installation) == set()


async def test_credit_is_used_once_by_requests_at_the_same_time(installation: Installation) -> None:
    await installation.open_invoice(100)
    await record(installation, 1_100)
    await installation.open_invoice(5_000)
    caller = a_caller("staff", installation.payments.clinic_id)
    body = {"client_id": str(installation.payments.client_id), "currency": "EUR"}

    answers = await asyncio.gather(
        *(
            installation.payments.api.call(
                "POST", "/credit/uses", caller, json=body, headers={"Idempotency-Key": f"k{at}"}
            )
            for at in range(5)
        )
    )
    await installation.pump()

    assert sorted(each.status_code for each in answers)[0] == 201
    assert {each.json()["code"] for each in answers if each.status_code != 201} <= {
        "no_credit_to_use",
        "credit_overdrawn",
    }
    assert sum(each.status_code == 201 for each in answers) == 1
    assert await credit(installation) == 0
    assert await breaches(installation) == set()


async def test_cash_that_pays_an_invoice_ends_its_reservation_online(installation: Installation) -> None:
    invoice = await installation.open_invoice(5_000)
    started = await installation.payments.start((invoice, eur(50)))
    assert started.status_code == 201

    assert (await record(installation, 5_000)).status_code == 201

    overdrawn = await installation.dbs["payment"].admin.fetchval(
        "SELECT overdrawn FROM allocations WHERE state = 'open'"
    )
    assert overdrawn
    assert (await shown(installation, invoice))["status"] == "paid"


async def test_a_count_of_cash_holds_what_was_taken_since_the_last_one(installation: Installation) -> None:
    await installation.open_invoice(9_000)
    early = (await record(installation, 1_000, location="Front desk")).json()["id"]
    await record(installation, 2_000, location="Front desk")
    await record(installation, 4_000, location="Room 2")
    await record(installation, 500, kind="terminal", location="Front desk")

    def count(counted: int, key: str | None = None, location: str = "Front desk") -> Any:
        return call(installation, "/cash-closings", key, counted=counted, currency="EUR", location=location)

    first = [(await count(2_900, "monday")).json() for _ in range(2)]
    await reverse(installation, early)
    second = (await count(0)).json()
    other = (await count(4_000, location="Room 2")).json()

    assert first[0] == first[1]
    sums = [(each["expected"]["minor"], each["difference"]["minor"]) for each in (first[0], second, other)]
    assert sums == [(3_000, -100), (-1_000, 1_000), (4_000, 0)]
    listed = await installation.payments.api.call(
        "GET", "/cash-closings", a_caller("staff", installation.payments.clinic_id)
    )
    assert len(listed.json()["items"]) == 3
    assert await breaches(installation) == set()


async def test_each_act_leaves_one_line_in_the_audit_log(installation: Installation) -> None:
    await installation.open_invoice(1_000)
    paid = (await record(installation, 1_200)).json()["id"]
    await installation.open_invoice(100)
    await use_credit(installation)
    await call(installation, "/cash-closings", counted=1_200, currency="EUR")
    other = (await record(installation, 300)).json()["id"]
    await reverse(installation, other)
    assert (await reverse(installation, paid)).status_code == 409

    actions = await installation.dbs["payment"].admin.fetch("SELECT action FROM audit ORDER BY seq")
    assert [row["action"] for row in actions] == [
        "record_payment",
        "use_credit",
        "close_cash",
        "record_payment",
        "reverse_payment",
    ]
