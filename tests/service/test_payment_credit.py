"""A client's credit balance: can be locked before there is any, kept by the database itself, never below zero."""

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import ModuleType
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.events.invoice import InvoiceUpdated
from contracts.events.payment import PaymentSettled
from deploy.ops import database
from services.chassis.db.database import Connection
from services.chassis.ids import new_id
from services.payment import consumers
from services.payment.credit import store
from services.payment.ledger import domain as ledger
from services.payment.ledger import store as books
from services.payment.refunds import actions as refunds_actions
from services.payment.refunds import changes as refunds_changes
from services.payment.refunds import reads as refund_reads
from services.payment.refunds import store as refunds
from services.payment.refunds import sweep
from services.payment.refunds.domain import (
    ClientNotFound,
    NothingToRefund,
    RefundGivenUp,
    RefundRequest,
    RefundTooLarge,
)
from tests.builders.callers import a_caller
from tests.builders.events import deliver, outbox_events
from tests.builders.invoices import a_correction
from tests.builders.values import eur, money
from tests.running.databases import ServiceDb
from tests.running.payment import PaymentService
from tests.running.refunds import (
    CREDIT,
    SENT,
    Untouched,
    at_stripe,
    credit_of,
    leave_credit,
    request_refund,
    settle_refund,
    staff,
)
from tests.service.waiting import until_waiting


async def balances(db: ServiceDb) -> dict[str, int]:
    """Credit by currency, after a check that each balance is the sum of its postings."""
    wrong = await db.admin.fetch(
        """
        SELECT * FROM credit_balances AS b FULL JOIN (
            SELECT clinic_id, client_id, currency, -sum(amount) AS booked FROM postings
            WHERE account = 'client_credit' GROUP BY clinic_id, client_id, currency
        ) AS p USING (clinic_id, client_id, currency)
        WHERE coalesce(b.amount, 0) <> coalesce(p.booked, 0)
        """
    )
    assert wrong == []
    rows = await db.admin.fetch("SELECT currency, amount FROM credit_balances WHERE amount <> 0")
    return {row["currency"]: row["amount"] for row in rows}


async def pays_a_void_invoice(payments: PaymentService) -> None:
    """Stripe has charged the money, which will be credit. Its event is not consumed yet."""
    invoice = await payments.open_invoice(CREDIT)
    started = await payments.start((invoice, CREDIT))
    await deliver(
        payments.worker, consumers, payments.invoice(invoice, CREDIT, 2, InvoiceUpdated, status="void")
    )
    already = payments.hook.count("payment_intent.succeeded")
    await payments.confirm(started)
    await payments.hook.until("payment_intent.succeeded", already + 1)


class Pausing:
    """A statement whose first caller is paused, before or after it."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, module: ModuleType, name: str, *, before: bool
    ) -> None:
        self.reached, self.may_go_on = asyncio.Event(), asyncio.Event()
        self._real, self._before = getattr(module, name), before
        monkeypatch.setattr(module, name, self._run)

    async def _run(self, *given: Any, **named: Any) -> Any:
        first = not self.reached.is_set()
        if first and self._before:
            await self._pause()
        found = await self._real(*given, **named)
        if first and not self._before:
            await self._pause()
        return found

    async def _pause(self) -> None:
        self.reached.set()
        await self.may_go_on.wait()


async def test_the_first_surplus_is_not_refunded_twice_by_calls_that_began_before_it(
    payments: PaymentService, monkeypatch: pytest.MonkeyPatch
) -> None:
    await pays_a_void_invoice(payments)
    listing = Pausing(monkeypatch, refund_reads, "list_surpluses", before=True)
    deciding = Pausing(monkeypatch, store, "get_credit", before=False)
    first = asyncio.create_task(request_refund(payments))
    await listing.reached.wait()
    booking = asyncio.create_task(payments.consume())
    await until_waiting(payments.db, booking)
    listing.may_go_on.set()
    await deciding.reached.wait()
    second = asyncio.create_task(request_refund(payments))
    await until_waiting(payments.db, second)
    deciding.may_go_on.set()
    answers = [await first, await second]
    await booking

    answers.append(await request_refund(payments))
    await payments.hook.until("refund.created")
    await payments.consume()

    assert sorted(answer.status_code for answer in answers) == [201, 409, 409]
    assert {answer.json().get("code") for answer in answers} == {None, "nothing_to_refund"}
    assert [each["amount"] for each in await at_stripe(payments)] == [2500]
    assert await payments.books() == SENT
    assert await balances(payments.db) == {}


async def test_a_refund_waits_for_nobody_but_refunds_of_the_same_client_and_currency(
    payments: PaymentService,
) -> None:
    await leave_credit(payments)
    await leave_credit(payments, money(500, "JPY"))
    before = await balances(payments.db)

    async with payments.db.api.tx(payments.clinic_id) as tx:
        await store.lock_credit(tx, {(payments.clinic_id, payments.client_id, "EUR")})
        yen = await request_refund(payments, currency="JPY")
        euros = asyncio.create_task(request_refund(payments))
        await until_waiting(payments.db, euros)
        assert not euros.done()

    assert (yen.status_code, (await euros).status_code) == (201, 201)
    assert (before, await balances(payments.db)) == ({"EUR": 2500, "JPY": 500}, {})


async def test_a_refund_and_a_capture_of_one_client_at_once_end_as_if_one_after_the_other(
    payments: PaymentService,
) -> None:
    """The capture locks the older payment too, to which the refund's rows refer: the two do not deadlock."""
    await leave_credit(payments)
    await pays_a_void_invoice(payments)

    answers = await asyncio.gather(
        *(request_refund(payments, amount=1000) for _ in range(2)), payments.consume()
    )
    await payments.consume()

    assert [answer.status_code for answer in answers if answer] == [201, 201]
    assert await balances(payments.db) == {"EUR": 3000}


async def test_a_refund_may_name_a_payment_that_a_batch_holds(payments: PaymentService) -> None:
    """The batch waits for the client's credit, which the refund has locked: a wait of the refund would deadlock."""
    await leave_credit(payments)
    seen = payments.hook.events()
    await pays_a_void_invoice(payments)
    new = [event for event in payments.hook.events() if event not in seen]
    again = [event.model_copy(update={"id": new_id()}) for event in seen]

    async with payments.db.api.tx(payments.clinic_id) as tx:
        await store.lock_credit(tx, {(payments.clinic_id, payments.client_id, "EUR")})
        batch = asyncio.create_task(payments.consume(*again, *new))
        await until_waiting(payments.db, batch)
        request = RefundRequest(payments.client_id, "EUR", None, None)
        # Shorter than PostgreSQL's deadlock timeout.
        await tx.execute("SET LOCAL lock_timeout = '500ms'")
        await refunds_actions.start_refunds(
            tx, staff(payments), request, payments.stripe.livemode, Untouched()
        )
    await batch

    assert await balances(payments.db) == {"EUR": 2500}


async def test_credit_that_comes_back_can_be_refunded_again_once(payments: PaymentService) -> None:
    await leave_credit(payments)
    await request_refund(payments)
    await settle_refund(payments, "failed")
    await payments.hook.until("refund.failed")

    *answers, _ = await asyncio.gather(*(request_refund(payments) for _ in range(5)), payments.consume())
    answers.append(await request_refund(payments))

    assert sorted(answer.status_code for answer in answers) == [201, *[409] * 5]
    live = [each["amount"] for each in await at_stripe(payments) if each["status"] != "failed"]
    assert (live, await balances(payments.db)) == ([2500], {})


async def test_giving_up_a_refund_and_a_new_one_at_once_overdraw_nothing(payments: PaymentService) -> None:
    await leave_credit(payments)
    async with payments.db.api.tx(payments.clinic_id) as tx:
        request = RefundRequest(payments.client_id, "EUR", None, 2000)
        [lost] = await refunds_actions.start_refunds(
            tx, staff(payments), request, payments.stripe.livemode, Untouched()
        )

    async with payments.db.api.tx(payments.clinic_id) as tx:
        await refunds_changes.give_up_refund(tx, lost.key, "canceled", "never_reached_stripe")
        other = asyncio.create_task(request_refund(payments))
        await until_waiting(payments.db, other)

    [made] = (await other).json()["refunds"]
    assert made["amount"]["minor"] == 2500
    assert await balances(payments.db) == {}


async def _skip_the_lock(tx: Connection, keys: Any) -> None:
    """Simulates the forgotten lock."""


async def test_without_the_lock_the_database_still_refuses_by_name(
    payments: PaymentService, monkeypatch: pytest.MonkeyPatch
) -> None:
    await leave_credit(payments)
    monkeypatch.setattr(store, "lock_credit", _skip_the_lock)
    deciding = Pausing(monkeypatch, refunds, "add_refunds", before=True)
    late = asyncio.create_task(request_refund(payments))
    await deciding.reached.wait()
    in_time = await request_refund(payments)
    deciding.may_go_on.set()

    assert in_time.status_code == 201
    answer = await late
    assert (answer.status_code, answer.json()["code"]) == (409, "credit_overdrawn")
    assert [each["amount"] for each in await at_stripe(payments)] == [2500]
    assert len((await credit_of(payments))["refunds"]) == 1
    assert await balances(payments.db) == {}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE credit_balances SET amount = 0",
        "UPDATE credit_balances SET client_id = gen_random_uuid()",
        "INSERT INTO credit_balances SELECT clinic_id, gen_random_uuid(), currency, 1 FROM credit_balances",
        "DELETE FROM credit_balances",
    ],
)
@pytest.mark.parametrize("role", ["api", "worker"])
async def test_nothing_but_a_posting_changes_a_balance(
    payments: PaymentService, role: str, statement: str
) -> None:
    await leave_credit(payments)
    opened = payments.db.api.tx(payments.clinic_id) if role == "api" else payments.worker.worker_tx()

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with opened as tx:
            await tx.execute(statement)

    assert await balances(payments.db) == {"EUR": 2500}


async def test_a_settlement_that_leaves_no_credit_touches_no_balance(payments: PaymentService) -> None:
    await payments.pay((await payments.open_invoice(eur(125)), eur(125)))
    assert await payments.db.admin.fetchval("SELECT count(*) FROM credit_balances") == 0


async def test_balances_of_before_are_made_from_the_postings(
    payments: PaymentService, roles: dict[str, str]
) -> None:
    """An overdrawn balance does not stop the upgrade: it begins at zero, and `verify` reports it."""
    await leave_credit(payments)
    clinic, overdrawn = payments.clinic_id, new_id()
    await payments.db.admin.execute(
        """
        DROP TRIGGER credit_balance ON postings; DROP FUNCTION keep_credit_balance; DROP TABLE credit_balances;
        DELETE FROM schema_migrations WHERE version = '2007'
        """
    )
    await payments.db.admin.execute(
        """
        INSERT INTO postings SELECT clinic_id, id, 7, 'client_credit', $1::uuid, NULL::uuid, 100, 'EUR' FROM entries
        UNION ALL SELECT clinic_id, id, 8, 'stripe', NULL, NULL, -100, 'EUR' FROM entries
        """,
        overdrawn,
    )
    owner = database.with_database(
        roles["payment_owner"], payments.db.admin_dsn.rsplit("/", 1)[1].split("?")[0]
    )

    await asyncio.to_thread(database.migrate, "payment", owner)

    rows = await payments.db.admin.fetch("SELECT clinic_id, client_id, amount FROM credit_balances")
    assert {tuple(row) for row in rows} == {(clinic, payments.client_id, 2500), (clinic, overdrawn, 0)}
    forced = await payments.db.admin.fetch(
        "SELECT relname FROM pg_class WHERE relname IN ('postings', 'credit_balances') AND relforcerowsecurity"
    )
    assert len(forced) == 2


@dataclass
class Till:
    """One client's money, moved by the service's verbs. Every step is a transaction of its own."""

    db: ServiceDb
    clinic_id: UUID = field(default_factory=new_id)
    client_id: UUID = field(default_factory=new_id)

    async def capture(self, amount: int, _: int) -> None:
        """Capture a payment that becomes credit as a whole."""
        payment_id, now = new_id(), datetime.now(UTC)
        await self.db.admin.execute(
            """
            INSERT INTO payments (clinic_id, id, client_id, account, livemode, status, amount, currency, kind, save,
                idempotency_key, stripe_payment_intent_id, created_at, updated_at, succeeded_at, checked_at)
            VALUES ($1, $2, $3, '', false, 'succeeded', $4, 'EUR', 'card', false, $5, $5, $6, $6, $6, $6)
            """,
            self.clinic_id,
            payment_id,
            self.client_id,
            amount,
            f"pi_{payment_id}",
            now,
        )
        postings = ledger.capture(amount, "EUR", {}, self.client_id)
        entry = ledger.Entry(
            self.clinic_id, new_id(), payment_id, f"pi_{payment_id}", "capture", now, postings
        )
        async with self.db.worker.worker_tx() as tx:
            await store.lock_credit(tx, ledger.credit_keys([entry]))
            await books.add_entries(tx, [entry])

    async def refund(self, amount: int, _: int) -> None:
        request, who = RefundRequest(self.client_id, "EUR", None, amount), a_caller("staff", self.clinic_id)
        with suppress(NothingToRefund, RefundTooLarge, ClientNotFound):
            async with self.db.api.tx(self.clinic_id) as tx:
                await refunds_actions.start_refunds(tx, who, request, False, Untouched())

    async def give_up(self, _: int, which: int) -> None:
        async with self.db.api.tx(self.clinic_id) as tx:
            for refund in (await refunds.list_refunds(tx, self.clinic_id, self.client_id, 50))[which:][:1]:
                await refunds_changes.give_up_refund(tx, refund.key, "canceled", "never_reached_stripe")

    async def succeed(self, _: int, which: int) -> None:
        await self._consume("succeeded", which)

    async def fail(self, _: int, which: int) -> None:
        await self._consume("failed", which)

    async def _consume(self, status: str, which: int) -> None:
        async with self.db.worker.worker_tx() as tx:
            for refund in (await refunds.list_refunds(tx, self.clinic_id, self.client_id, 50))[which:][:1]:
                metadata = {"clinic_id": str(self.clinic_id), "refund_id": str(refund.id)}
                body: dict[str, Any] = {
                    "id": f"re_{refund.id}",
                    "object": "refund",
                    "status": status,
                    "metadata": metadata,
                }
                body |= {"amount": refund.amount, "currency": "eur", "payment_intent": refund.intent_id}
                with suppress(RefundGivenUp):
                    seen = sweep.looked_up(body, "", False, datetime.now(UTC))
                    await consumers.apply_stripe_events(tx, [seen])


VERBS = ("capture", "refund", "give_up", "succeed", "fail")
AT_ONCE = st.lists(
    st.tuples(st.sampled_from(VERBS), st.integers(1, 50), st.integers(0, 3)), min_size=1, max_size=4
)


@pytest.fixture
async def loop() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


def test_whatever_happens_at_once_a_balance_is_its_postings_and_not_below_zero(
    db_payment: ServiceDb, loop: asyncio.AbstractEventLoop
) -> None:
    async def happen(rounds: list[list[tuple[str, int, int]]]) -> None:
        till = Till(db_payment)
        for steps in rounds:
            await asyncio.gather(*(getattr(till, verb)(amount, which) for verb, amount, which in steps))
            assert all(amount > 0 for amount in (await balances(db_payment)).values())

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(AT_ONCE, max_size=8))
    def any_rounds(rounds: list[list[tuple[str, int, int]]]) -> None:
        loop.run_until_complete(happen([[("capture", 60, 0), ("capture", 20, 0)], *rounds]))

    any_rounds()


@pytest.mark.parametrize(("due", "status", "left"), [(75, "paid", 5_000), (0, "void", 12_500)])
async def test_what_is_no_longer_due_becomes_credit_that_can_be_refunded(
    payments: PaymentService, due: int, status: str, left: int
) -> None:
    invoice = await payments.open_invoice(eur(125))
    await payments.pay((invoice, eur(50)))
    newest = await payments.pay((invoice, eur(75)))
    lowered = payments.invoice(invoice, eur(due), 2, InvoiceUpdated, status=status)

    for again in (lowered, lowered.model_copy(update={"version": 3, "id": new_id()})):
        await deliver(payments.worker, consumers, again)

    assert await balances(payments.db) == {"EUR": left}
    credit = await credit_of(payments)
    assert credit["refundable"] == [{"minor": left, "currency": "EUR"}]
    assert credit["payments"][-1]["payment_id"] == str(newest)
    published = await outbox_events(payments.db)
    moved = [each for each in published if isinstance(each, PaymentSettled) and each.kind == "credit"]
    assert sum(each.amount.minor for each in moved) == -left
    assert {each.invoice_id for each in moved} == {invoice}
    assert await payments.db.admin.fetchval("SELECT settled_amount FROM payables") == 12_500 - left
    assert (await request_refund(payments, amount=left)).status_code == 201


async def test_what_was_returned_of_a_payment_is_not_credited_as_well(payments: PaymentService) -> None:
    invoice = await payments.open_invoice(eur(100))
    await payments.pay((invoice, eur(100)))
    await payments.db.admin.execute(
        "UPDATE allocations SET refunded_amount = 3000; UPDATE payables SET returned_amount = 3000"
    )

    await deliver(
        payments.worker, consumers, payments.invoice(invoice, eur(60), 2, InvoiceUpdated, status="paid")
    )

    assert await balances(payments.db) == {"EUR": 1_000}


async def test_documents_are_kept_once_and_lower_what_is_due(payments: PaymentService) -> None:
    """In whatever order, and however often they come; money above what is then due becomes credit."""
    invoice = new_id()
    created = payments.invoice(invoice, eur(125))
    await deliver(payments.worker, consumers, created)
    await payments.pay((invoice, eur(125)))
    paid = {"settled": eur(125), "status": "paid"}
    first = a_correction(created, 2_000, 2, **paid)
    second = a_correction(
        created, 500, 3, kind="write_off", number=None, due_before_payments=eur(100), **paid
    )

    await deliver(payments.worker, consumers, second, first)
    await deliver(payments.worker, consumers, first.model_copy(update={"id": new_id()}))

    rows = await payments.db.admin.fetch("SELECT * FROM documents ORDER BY total_amount")
    assert [(row["kind"], row["number"], row["total_amount"]) for row in rows] == [
        ("write_off", None, 500),
        ("credit_note", "CN-2026-000001", 2_000),
    ]
    assert json.loads(rows[0]["taxes"]) == [{"code": "NONE", "percent": "0", "net": 500, "tax": 0}]
    assert await balances(payments.db) == {"EUR": 2_500}
