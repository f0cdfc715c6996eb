"""Invariants of all books: cheap checks after each step, and a whole check once all events are delivered."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from contracts.events.envelope import StateEvent
from contracts.events.payment import PaymentSettled, PaymentSucceeded
from tests.builders.events import waiting_parked
from tests.models.clinic import ModelClinic

FINAL = ("succeeded", "canceled")


@dataclass
class Books:
    """The versions and statuses seen so far, to notice any that goes back."""

    clinic: ModelClinic
    ended: dict[UUID, str] = field(default_factory=dict)
    versions: dict[tuple[str, UUID], int] = field(default_factory=dict)

    async def look(self) -> None:
        """Check every invariant that holds between any two steps. The AssertionError names the broken one."""
        payments, allocations = await self._payments(), await self._allocations()
        self._nothing_goes_back("payment", payments)
        self._a_success_stays(payments)
        await self._entries_balance()
        await self._payables_count_what_was_settled(allocations)
        await self._projections_only_go_on()
        await self._invoices_are_their_movements()
        self._one_way_to_pay(allocations)
        self._booked_is_charged(payments)
        await self._reserved_credit_is_of_open_shares(allocations)

    async def _payments(self) -> dict[UUID, Any]:
        rows = await self.clinic.parts.payment.admin.fetch("SELECT * FROM payments")
        return {row["id"]: row for row in rows}

    async def _allocations(self) -> list[Any]:
        rows: list[Any] = await self.clinic.parts.payment.admin.fetch("SELECT * FROM allocations")
        return rows

    def _nothing_goes_back(self, what: str, rows: dict[UUID, Any]) -> None:
        for id_, row in rows.items():
            before = self.versions.get((what, id_), 0)
            assert row["version"] >= before, f"{what} went back from version {before} to {row['version']}"
            self.versions[what, id_] = row["version"]

    def _a_success_stays(self, payments: dict[UUID, Any]) -> None:
        for id_, payment in payments.items():
            if self.ended.get(id_) == "succeeded":
                assert payment["status"] == "succeeded", f"a success became {payment['status']}"
            self.ended[id_] = payment["status"]

    async def _entries_balance(self) -> None:
        off = await self.clinic.parts.payment.admin.fetch(
            "SELECT entry_id, currency FROM postings GROUP BY entry_id, currency HAVING sum(amount) <> 0"
        )
        assert not off, f"entries do not balance: {off}"

    async def _payables_count_what_was_settled(self, allocations: list[Any]) -> None:
        rows = await self.clinic.parts.payment.admin.fetch(
            """
            SELECT id, due_amount, settled_amount, (
                SELECT coalesce(-sum(amount), 0)::bigint FROM postings WHERE payable_id = payables.id
            ) AS posted, (
                SELECT coalesce(sum(amount), 0)::bigint FROM movements WHERE payable_id = payables.id
            ) AS moved
            FROM payables
            """
        )
        settled = Counter[UUID]()
        for share in allocations:
            settled[share["payable_id"]] += share["settled_amount"]
        for row in rows:
            counted = {row["settled_amount"], row["posted"], row["moved"], settled[row["id"]]}
            assert len(counted) == 1, f"a payable is settled by {counted}"
            assert row["settled_amount"] <= row["due_amount"], "more was settled than is due"

    async def _projections_only_go_on(self) -> None:
        parts = self.clinic.parts
        for what, db, table in (
            ("payable", parts.payment, "payables"),
            ("notified invoice", parts.notification, "invoices"),
            ("invoice", parts.invoice, "invoices"),
        ):
            rows = await db.admin.fetch(f"SELECT id, version FROM {table}")
            self._nothing_goes_back(what, {row["id"]: row for row in rows})

    async def _invoices_are_their_movements(self) -> None:
        off = await self.clinic.parts.invoice.admin.fetch(
            """
            SELECT id, status, total_amount, settled_amount FROM invoices
            WHERE settled_amount <> (
                    SELECT coalesce(sum(amount), 0) FROM movements
                    WHERE (clinic_id, invoice_id) = (invoices.clinic_id, invoices.id)
                )
                OR settled_amount NOT BETWEEN 0 AND total_amount
                OR (status = 'paid') <> (settled_amount = total_amount)
            """
        )
        assert not off, f"invoices are not what their movements make them: {off}"

    def _one_way_to_pay(self, allocations: list[Any]) -> None:
        """A receivable has at most one reservation, and at most one intent at Stripe that could still charge for it."""
        reserved = Counter(share["payable_id"] for share in allocations if share["state"] == "open")
        assert max(reserved.values(), default=0) <= 1, "a payable is reserved twice"
        live = {
            intent["metadata"]["payment_id"]
            for intent in self.clinic.intents()
            if intent["status"] not in FINAL
        }
        ways = Counter(share["payable_id"] for share in allocations if str(share["payment_id"]) in live)
        assert max(ways.values(), default=0) <= 1, "two intents at Stripe could take money for one invoice"
        made = Counter(intent["metadata"]["payment_id"] for intent in self.clinic.intents())
        assert max(made.values(), default=0) <= 1, "a payment has two intents"

    def _booked_is_charged(self, payments: dict[UUID, Any]) -> None:
        """Only charged sums are booked; no client has paid anything twice."""
        taken = Counter[str]()
        for charge in self.clinic.charges():
            taken[charge["payment_intent"]] += charge["amount"]
        for payment in payments.values():
            if payment["status"] == "succeeded" and payment["kind"] != "credit":
                assert taken[payment["stripe_payment_intent_id"]] == payment["amount"]

    async def _reserved_credit_is_of_open_shares(self, allocations: list[Any]) -> None:
        booked = await self.clinic.parts.payment.admin.fetchval(
            "SELECT coalesce(-sum(amount), 0)::bigint FROM postings WHERE account = 'credit_reserved'"
        )
        reserved = sum(share["credit_amount"] for share in allocations if share["state"] == "open")
        assert booked == reserved, f"{booked} of credit is booked as reserved, and {reserved} is"

    async def close(self) -> None:
        """Check the books once all events are delivered and the sweeper has run: nothing is missing or booked twice."""
        await self.look()
        await self._every_charge_is_booked_once()
        await self._stripe_and_we_agree()
        await self._invoices_are_paid_by_charges()
        await self._each_success_has_one_receipt()
        self._each_version_was_published_once()
        await self._nothing_is_parked()

    async def _every_charge_is_booked_once(self) -> None:
        booked = await self.clinic.parts.payment.admin.fetch(
            """
            SELECT stripe_object_id, sum(amount)::bigint AS amount, count(*) AS entries
            FROM entries JOIN postings ON postings.entry_id = entries.id
            WHERE account = 'stripe' GROUP BY stripe_object_id
            """
        )
        charged = sorted((charge["payment_intent"], charge["amount"], 1) for charge in self.clinic.charges())
        assert sorted(tuple(row) for row in booked) == charged
        credit = await self.clinic.parts.payment.admin.fetch(
            """
            SELECT (
                SELECT coalesce(-sum(amount), 0)::bigint FROM postings
                WHERE account IN ('client_credit', 'credit_reserved')
            ) AS booked, (
                SELECT coalesce(sum(amount * CASE WHEN deposit THEN 1 ELSE -1 END), 0)::bigint
                FROM payments WHERE (deposit OR kind = 'credit') AND status = 'succeeded'
            ) AS paid
            """
        )
        assert credit[0]["booked"] == credit[0]["paid"], "credit is what deposits left, and was not used"

    async def _stripe_and_we_agree(self) -> None:
        payments = await self._payments()
        for intent in self.clinic.intents():
            ours = payments[UUID(intent["metadata"]["payment_id"])]["status"]
            ended = intent["status"] if intent["status"] in FINAL else None
            assert ours == ended or (ended is None and ours not in FINAL), (ours, intent["status"])

    async def _invoices_are_paid_by_charges(self) -> None:
        payments, paid = await self._payments(), Counter[UUID]()
        for share in await self._allocations():
            if payments[share["payment_id"]]["status"] == "succeeded":
                paid[share["payable_id"]] += share["amount"]
        rows = await self.clinic.parts.invoice.admin.fetch("SELECT * FROM invoices")
        for row in rows:
            assert row["settled_amount"] == paid[row["id"]]
        on_the_way = {
            share["payable_id"]
            for share in await self._allocations()
            if payments[share["payment_id"]]["status"] == "processing"
        }
        shown = {row["id"] for row in rows if row["status"] == "processing"}
        assert shown == on_the_way - {row["id"] for row in rows if row["status"] == "paid"}

    async def _each_success_has_one_receipt(self) -> None:
        rows = await self.clinic.parts.notification.admin.fetch(
            "SELECT subject_id, count(*) AS count FROM deliveries WHERE template = 'receipt' GROUP BY subject_id"
        )
        succeeded = [
            row["id"]
            for row in (await self._payments()).values()
            if row["status"] == "succeeded" and row["kind"] != "credit"
        ]
        assert {row["subject_id"]: row["count"] for row in rows} == dict.fromkeys(succeeded, 1)

    def _each_version_was_published_once(self) -> None:
        published = self.clinic.published
        assert len({event.id for event in published}) == len(published), "an event was said twice"
        versions: dict[tuple[str, UUID | str], list[int]] = {}
        for event in published:
            if isinstance(event, StateEvent):
                aggregate = event.topic.name.partition(".")[0]
                versions.setdefault((aggregate, event.key), []).append(event.version)
        for named, each in versions.items():
            assert sorted(each) == list(range(1, len(each) + 1)), (named, each)
        successes = [event for event in published if isinstance(event, PaymentSucceeded)]
        assert len({event.payment_id for event in successes}) == len(successes)
        settling = {event.payment_id for event in successes if event.invoices}
        moved = [m for m in published if isinstance(m, PaymentSettled) and m.kind == "payment"]
        assert {m.payment_id for m in moved} == settling

    async def _nothing_is_parked(self) -> None:
        """Only forged events are parked, and they hold up no other."""
        for db in (self.clinic.parts.payment, self.clinic.parts.notification):
            assert await waiting_parked(db) == []
        forged = await waiting_parked(self.clinic.parts.invoice)
        assert {reason for _, reason in forged} <= {"invoice_not_found"}, forged
