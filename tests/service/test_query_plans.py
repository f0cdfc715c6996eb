"""Hot statements read no more rows than they need, however many rows there are.

Fifty thousand rows a table are loaded (`plan_rows`), the code's own functions are called, and the server reports the
plan of each statement and how many rows it read. The tables' statistics are real: a look-up reads as many rows of
fifty thousand as of a million, so a statement within `MOST` here stays within it there. Both plans that PostgreSQL
may choose are checked, see `plans.Mode`.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any, get_args
from uuid import UUID

import pytest

from deploy.ops import database
from deploy.ops.why.references import APPLIED
from services.chassis import idempotency
from services.chassis.db.database import Connection
from services.chassis.ids import new_id
from services.chassis.kafka import inbox, park
from services.chassis.queue import queue
from services.chassis.queue.domain import Done
from services.chassis.retention import delete_some
from services.gateway.accounts import store as accounts
from services.gateway.accounts.passkeys import store as passkey_store
from services.gateway.accounts.rate_limits import store as rate_limits_store
from services.gateway.accounts.sessions import store as session_store
from services.gateway.accounts.steps import store as step_store
from services.gateway.api.idempotency import store as idempotency_store
from services.gateway.api.keys import store as key_store
from services.gateway.api.operations import store as operation_store
from services.gateway.retention import OWN as GATEWAY
from services.invoice.clients import store as store_clients
from services.invoice.invoices import issuing_store as store_issuing
from services.invoice.invoices import reads as store_reads
from services.invoice.invoices import store
from services.invoice.paging import Place
from services.notification.contacts import store as contacts_store
from services.notification.emails import store as deliveries
from services.notification.emails.actions import claim_emails
from services.notification.projections import store as projections
from services.notification.reminders import store as reminders
from services.payment.credit import store as credit_store
from services.payment.erasures import store as erasures
from services.payment.erasures.domain import Erased, Held
from services.payment.methods import store as methods
from services.payment.payments import reads as lookups
from services.payment.payments import store as payments
from services.payment.receivables import store as payables
from tests.builders.payments import a_settlement
from tests.builders.values import eur
from tests.running.databases import ServiceDb, fresh_database
from tests.service import plan_rows
from tests.service.plan_rows import PER_CLINIC, clinic, key
from tests.service.plans import Mode, Statement, explained, tell_plans

BATCH = 100
MOST = 5 * BATCH
"""Rows that any node of a plan may read, of fifty thousand: a batch needs a hundred, or five hundred."""
ROWS = [(clinic(each * 499 // PER_CLINIC), each * 499) for each in range(BATCH)]
"""(clinic, number) of rows spread over the tables, as in a batch of events."""
INVOICES = [(clinic_id, key(3, number)) for clinic_id, number in ROWS]
PAYMENTS = [(clinic_id, key(4, number)) for clinic_id, number in ROWS]
CLINIC, BUSY, SOME = clinic(7), key(2, 0), key(2, 1_007)
"""A clinic, its client with 2,500 invoices, and one with three."""
AFTER = (date(2020, 8, 1), key(3, 37_500))
HASH = hashlib.sha256(b"7").digest()
HOUR = timedelta(hours=1)
ERASED = Erased(CLINIC, SOME, datetime(2026, 11, 1, tzinfo=UTC))


@pytest.fixture(scope="module")
async def data(postgres: str, roles: dict[str, str]) -> AsyncIterator[dict[str, ServiceDb]]:
    async with AsyncExitStack() as stack:
        opened = [
            await stack.enter_async_context(fresh_database(service, postgres, roles))
            for service in database.SERVICES
        ]
        await asyncio.gather(*(_load(db) for db in opened))
        yield {db.name: db for db in opened}


async def _load(db: ServiceDb) -> None:
    async with db.admin.acquire() as connection:
        await connection.execute(plan_rows.ROWS[db.name])
        await connection.execute("RESET session_replication_role; ANALYZE")
    await tell_plans(db)


async def _book(tx: Connection) -> None:
    movements = [a_settlement(clinic_id, invoice, eur(1)) for clinic_id, invoice in INVOICES]
    invoices = await store.lock_invoices(tx, INVOICES)
    await store.add_movements(tx, movements)
    await store.mark_payments_settled(tx, movements)
    await store.select_processing(tx, INVOICES)
    await store.save_invoices(tx, list(invoices.values()))
    assert len(invoices) == BATCH


async def _settle(tx: Connection) -> None:
    """Run the payment service's statements for a batch of Stripe's events."""
    named = [("", f"pi_{number}") for _, number in ROWS]
    assert len(await payments.find_payments(tx, PAYMENTS[:50], named[50:])) == BATCH
    await payables.save_receivables(tx, (await payables.lock_receivables(tx, INVOICES)).values())
    await payments.save_payments(tx, (await payments.lock_payments(tx, PAYMENTS)).values())


async def _history(tx: Connection, status: Any, client: Any, after: Any = AFTER) -> None:
    wanted = store_reads.Wanted(client_id=client, status=status)
    await store_reads.list_invoices(tx, CLINIC, wanted, Place(after) if after else None, 21)


async def _search(tx: Connection, client: Any) -> None:
    wanted = store_reads.Wanted(client_id=client, location="Annex", words=("knee", "rehab"))
    await store_reads.list_invoices(tx, CLINIC, wanted, Place(AFTER, back=True), 21)
    await store_reads.list_locations(tx, CLINIC, client)


async def _changes(tx: Connection, client: Any) -> None:
    since = datetime(2020, 1, 1, tzinfo=UTC)
    for after in (None, (since, key(3, 100))):
        await store_reads.list_changed(tx, CLINIC, client_id=client, since=since, after=after, limit=21)


async def _keep_answer(tx: Connection) -> None:
    assert await idempotency.claim(tx, CLINIC, "new", b"{}") is None
    await idempotency.keep(tx, CLINIC, "new", b"{}")


async def _tasks(tx: Connection) -> None:
    """Take, cancel, hasten and end tasks."""
    kind, keys = "email.receipt", [(clinic_id, key(8, number)) for clinic_id, number in ROWS]
    task = await queue.take(tx, [kind])
    assert task is not None
    await queue.hasten(tx, [kind], keys)
    await queue.cancel(tx, kind, keys, "paid_since")
    await queue.release(tx, [task])
    await queue.end(tx, task, Done())


Run = Callable[[Connection], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    service: str
    role: str
    run: Run
    indexes: tuple[str, ...]
    """Each is used by some statement."""
    most: int
    """Rows that one step of a plan may read."""

    def __str__(self) -> str:
        return f"{self.service} {self.name}"


def case(service: str, role: str, name: str, run: Run, *indexes: str, most: int = MOST) -> Case:
    return Case(name, service, role, run, indexes, most)


CASES = [
    case(
        "invoice",
        "worker",
        "books settlements",
        _book,
        "invoices_pkey",
        "movements_of_invoice",
        "invoice_payments_pkey",
    ),
    case("invoice", "api", "history of a client", lambda tx: _history(tx, "all", BUSY), "invoices_of_client"),
    case(
        "invoice",
        "api",
        "open ones of a client",
        lambda tx: _history(tx, "unpaid", BUSY),
        "invoices_open_of_client",
    ),
    case("invoice", "api", "history of a clinic", lambda tx: _history(tx, "all", None), "invoices_of_clinic"),
    case("invoice", "api", "first page", lambda tx: _history(tx, "all", BUSY, None), "invoices_of_client"),
    # All rows of the client, and no other.
    case(
        "invoice", "api", "search of a client", lambda tx: _search(tx, BUSY), "invoices_of_client", most=2_500
    ),
    case(
        "invoice",
        "api",
        "summary",
        lambda tx: store_reads.get_summary(tx, CLINIC, BUSY),
        "invoices_open_of_client",
        "invoices_paid_of_client",
    ),
    case(
        "invoice",
        "api",
        "one invoice",
        lambda tx: store_reads.get_invoice(tx, CLINIC, key(3, 35_007), client_id=None),
        "invoices_pkey",
        "invoice_lines_pkey",
        "movements_of_invoice",
    ),
    case(
        "invoice",
        "api",
        "clients",
        lambda tx: store_clients.list_clients(tx, CLINIC, after=key(2, 999), limit=21),
        "clients_pkey",
    ),
    case(
        "invoice", "api", "changes at a clinic", lambda tx: _changes(tx, None), "invoices_changed_of_clinic"
    ),
    case(
        "invoice", "api", "changes of a client", lambda tx: _changes(tx, BUSY), "invoices_changed_of_client"
    ),
    case(
        "invoice",
        "api",
        "clients by id",
        lambda tx: store_clients.get_clients(tx, CLINIC, [SOME, BUSY]),
        "clients_pkey",
    ),
    case(
        "notification",
        "api",
        "clients of an address",
        lambda tx: contacts_store.list_contacts(tx, CLINIC, "7@b.example", key(2, 0), 21),
        "contacts_of_email",
    ),
    case("invoice", "api", "client", lambda tx: store_clients.get_client(tx, CLINIC, SOME), "clients_pkey"),
    case(
        "invoice",
        "api",
        "client of another program",
        lambda tx: store_clients.get_client_by_external_id(tx, CLINIC, "patient-4711"),
        "clients_external_id",
    ),
    case(
        "invoice",
        "api",
        "invoice of another program",
        lambda tx: store_reads.get_by_external_id(tx, CLINIC, "visit-12"),
        "invoices_external_id",
    ),
    case(
        "invoice",
        "api",
        "next number",
        lambda tx: store_issuing.allocate_numbers(tx, CLINIC, {2026: 1}, {}),
    ),
    case("invoice", "api", "new idempotency key", _keep_answer, "idempotency_keys_pkey"),
    case(
        "invoice",
        "api",
        "used idempotency key",
        lambda tx: idempotency.earlier_answer(tx, CLINIC, "key-35007", b""),
        "idempotency_keys_pkey",
    ),
    case(
        "invoice",
        "worker",
        "inbox",
        lambda tx: inbox.claim(tx, "invoice", [new_id() for _ in range(500)]),
    ),
    case(
        "invoice",
        "worker",
        "aggregates with a parked movement",
        lambda tx: park.with_waiting(tx, "payment.settled", INVOICES),
        "parked_of_aggregate",
    ),
    case(
        "payment",
        "worker",
        "settles",
        _settle,
        "payments_pkey",
        "payments_intent",
        "payables_pkey",
        "allocations_pkey",
    ),
    case(
        "payment",
        "worker",
        "live payments of payables",
        lambda tx: payments.lock_live_payments(tx, INVOICES),
        "allocations_payable",
    ),
    case(
        "payment",
        "worker",
        "sweeper",
        lambda tx: lookups.claim_unchecked(tx, timedelta(minutes=1), 50),
        "payments_due",
    ),
    case(
        "payment",
        "worker",
        "clients of Stripe",
        lambda tx: methods.find_clients(tx, [("", "cus_7_1007")]),
        "customers_stripe",
    ),
    case(
        "payment",
        "worker",
        "what is kept of a client who is erased",
        lambda tx: erasures.read_known(tx, ERASED),
        "payment_methods_removed",
    ),
    case(
        "payment", "worker", "the rows of a client who is erased", lambda tx: erasures.lock_client(tx, ERASED)
    ),
    case("payment", "worker", "the erasure of a client", lambda tx: erasures.blank_client(tx, ERASED)),
    case(
        "payment",
        "worker",
        "the ids at Stripe of a client who is erased",
        lambda tx: erasures.forget_held(tx, ERASED, Held("", "cus_0_0", ())),
    ),
    case(
        "payment",
        "worker",
        "cards that expire",
        lambda tx: methods.list_expiring(tx, [(2031, 2)], (UUID(int=0), UUID(int=0)), 200),
    ),
    case("payment", "worker", "cards without details", lambda tx: methods.claim_undetailed(tx, 50)),
    case(
        "payment",
        "worker",
        "payment, by the sweeper",
        lambda tx: lookups.get_payment(tx, SOME, key(4, 35_007)),
    ),
    case("payment", "api", "payment", lambda tx: lookups.get_payment(tx, SOME, key(4, 35_007))),
    case(
        "payment",
        "api",
        "earlier request",
        lambda tx: lookups.get_request(tx, SOME, "r35007"),
        "payments_request",
    ),
    case(
        "payment",
        "api",
        "payments of a client",
        lambda tx: lookups.list_payments(tx, BUSY, None, key(4, 37_500), 21),
    ),
    case(
        "payment",
        "api",
        "payments of an invoice",
        lambda tx: lookups.list_payments(tx, None, key(3, 35_007), None, 21),
    ),
    case(
        "payment",
        "api",
        "payments of a clinic",
        lambda tx: lookups.list_payments(tx, None, None, key(4, 37_500), 21),
    ),
    case(
        "payment", "api", "money on its way", lambda tx: lookups.list_on_its_way(tx, BUSY), "payments_client"
    ),
    case(
        "payment",
        "api",
        "payments that may be confirmed",
        lambda tx: lookups.list_unconfirmed(tx, BUSY, HOUR, 5),
        "payments_client",
    ),
    case("payment", "worker", "a webhook", lambda tx: tx.fetch(f"{APPLIED} source_id = $1", "evt_7")),
    case(
        "payment",
        "worker",
        "webhooks of payments",
        lambda tx: tx.fetch(f"{APPLIED} subject = ANY ($1)", ["pi_7", "pi_8"]),
    ),
    case("payment", "api", "declines", lambda tx: lookups.count_declines(tx, SOME, HOUR), "payments_client"),
    case("payment", "api", "credit", lambda tx: credit_store.get_credit(tx, SOME), "credit_balances_pkey"),
    case(
        "payment",
        "api",
        "saved cards",
        lambda tx: methods.list_methods(tx, SOME, ""),
        "payment_methods_client",
    ),
    case("payment", "api", "saved card", lambda tx: methods.get_method(tx, SOME, key(6, 35_007))),
    case(
        "notification",
        "worker",
        "letters",
        lambda tx: claim_emails(tx, 50, HOUR),
        "tasks_due",
        "tasks_pkey",
        "deliveries_pkey",
    ),
    case(
        "notification",
        "worker",
        "tasks",
        _tasks,
        "tasks_due",
        "tasks_pkey",
    ),
    case("notification", "worker", "plans of reminders", reminders.list_plans, "clinics_that_remind"),
    case(
        "notification",
        "worker",
        "invoices to remind of",
        lambda tx: reminders.list_unpaid(tx, CLINIC, date(2026, 1, 2), 1, key(0, 0), BATCH),
        "invoices_to_remind",
    ),
    case(
        "notification",
        "worker",
        "invoices of e-mails",
        lambda tx: projections.get_invoices(tx, INVOICES),
        "invoices_pkey",
        "disputes_open",
    ),
    case("notification", "worker", "depth of the queue", queue.depths, "tasks_due"),
    case(
        "notification",
        "worker",
        "contacts",
        lambda tx: deliveries.get_recipients(tx, [(CLINIC, SOME)]),
        "contacts_pkey",
    ),
    case(
        "notification",
        "worker",
        "failures",
        lambda tx: deliveries.list_failures(tx, PAYMENTS),
        "deliveries_failures",
    ),
    case("notification", "api", "waiting ones", lambda tx: deliveries.list_waiting(tx, CLINIC, SOME)),
    case(
        "notification",
        "api",
        "letters of a client",
        lambda tx: deliveries.list_deliveries(tx, CLINIC, BUSY, None, 21),
    ),
    case(
        "notification",
        "api",
        "letters of a clinic",
        lambda tx: deliveries.list_deliveries(tx, CLINIC, None, None, 21),
        "deliveries_pkey",
    ),
    case(
        "notification",
        "api",
        "receipt of a payment",
        lambda tx: deliveries.get_receipt(tx, CLINIC, BUSY, key(4, 35_007)),
    ),
    case("gateway", "api", "session", lambda tx: session_store.get_session(tx, HASH, HOUR), "sessions_pkey"),
    case(
        "gateway",
        "api",
        "renewed session",
        lambda tx: session_store.renew_session(tx, HASH, 2 * HOUR),
        "sessions_pkey",
    ),
    case(
        "gateway", "api", "ended session", lambda tx: session_store.delete_session(tx, HASH), "sessions_pkey"
    ),
    case(
        "gateway",
        "api",
        "sessions of a login",
        lambda tx: session_store.end_sessions_of(tx, key(10, 7)),
        "sessions_of_login",
    ),
    case("gateway", "api", "login step", lambda tx: step_store.get_step(tx, HASH), "login_steps_pkey"),
    case(
        "gateway",
        "api",
        "passkey of a credential",
        lambda tx: passkey_store.get_passkey(tx, b"1"),
        "passkeys_credential_id_key",
    ),
    case("gateway", "api", "tries", lambda tx: rate_limits_store.count_try(tx, HASH, HOUR), "attempts_pkey"),
    case(
        "gateway", "api", "why a session ended", lambda tx: session_store.why_ended(tx, HASH), "sessions_pkey"
    ),
    *(
        case("gateway", "api", f"old {rule.table}", partial(delete_some, rule=rule), index)
        for rule, index in zip(
            (each for each in GATEWAY if each.delete),
            (
                "sessions_by_end",
                "second_factor_setups_by_end",
                "passkey_setups_by_end",
                "login_steps_by_end",
                "links_by_end",
                "invitations_by_end",
                "attempts_by_end",
                "key_uses_by_age",
            ),
            strict=True,
        )
    ),
    case("gateway", "api", "login", lambda tx: accounts.get_login(tx, "7@b.example"), "logins_email_key"),
    case("gateway", "api", "login by id", lambda tx: accounts.get_login_by_id(tx, key(10, 7)), "logins_pkey"),
    case(
        "gateway",
        "api",
        "memberships",
        lambda tx: accounts.list_memberships(tx, key(10, 7)),
        "memberships_of_login",
    ),
    case("gateway", "api", "API key", lambda tx: key_store.get_api_key(tx, HASH), "api_keys_key_hash_key"),
    case(
        "gateway",
        "api",
        "key's use",
        lambda tx: idempotency_store.get_key_use(tx, key(11, 7), "k"),
        "key_uses_pkey",
    ),
    case(
        "gateway",
        "api",
        "slug",
        lambda tx: operation_store.slug_is_taken(tx, CLINIC, "c7"),
        "portals_slug_key",
        "former_slugs_pkey",
        "operations_slug_key",
    ),
    case("gateway", "api", "moved portal", lambda tx: accounts.get_new_slug(tx, "f7"), "former_slugs_pkey"),
    case(
        "gateway",
        "api",
        "operation of a subject",
        lambda tx: operation_store.claim_operation(tx, CLINIC, key(3, 7), 1.0),
        "operations_clinic_id_subject_id_key",
    ),
    case(
        "gateway",
        "api",
        "operations left behind",
        lambda tx: operation_store.claim_due_operations(tx, 20, 1.0),
        "operations_due",
    ),
]


@pytest.mark.parametrize("mode", get_args(Mode))
@pytest.mark.parametrize("case", CASES, ids=str)
async def test_it_reads_what_it_is_asked_for(data: dict[str, ServiceDb], case: Case, mode: Mode) -> None:
    db, found = data[case.service], list[Statement]()
    transaction = db.worker.worker_tx() if case.role == "worker" else db.api.tx(CLINIC)
    async with explained(transaction, mode, found) as tx:
        await case.run(tx)

    report = "\n".join(map(str, found))
    assert found
    assert max(statement.read() for statement in found) <= case.most, report
    assert not set(case.indexes) - set().union(*(statement.indexes() for statement in found)), report
