"""Invariants of all books while money goes both ways."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from contracts.events.envelope import StateEvent
from deploy.ops import database
from deploy.ops.verify.access import Access
from deploy.ops.verify.run import INSIDE, verify
from tests.models.books import Books
from tests.models.both_ways import BothWays
from tests.running.databases import ServiceDb
from tests.running.installation import name_in
from tests.running.settings import SEAL

AT_ANY_MOMENT = [check for check in INSIDE if check.service in ("invoice", "payment")]
"""The checks that hold between any two steps: all that `clinicpay verify` asks of one database."""


@dataclass
class WholeBooks(Books):
    """`gateway`: its database is empty here."""

    clinic: BothWays
    gateway: ServiceDb | None = None

    async def look(self) -> None:
        payments = await self._payments()
        self._nothing_goes_back("payment", payments)
        self._a_success_stays(payments)
        await self._projections_only_go_on()
        for check in AT_ANY_MOMENT:
            rows = await self._admin(check.service).fetch(check.sql)
            assert not rows, f"{check.name}: {[dict(row) for row in rows]}"

    def _admin(self, service: str) -> Any:
        return self._dbs()[service].admin

    def _dbs(self) -> dict[str, ServiceDb]:
        parts, gateway = self.clinic.parts, self.gateway
        assert gateway is not None
        return {
            "invoice": parts.invoice,
            "payment": parts.payment,
            "notification": parts.notification,
            "gateway": gateway,
        }

    async def close(self) -> None:
        """All events are delivered and Stripe was asked: `clinicpay verify` finds nothing, and sums are Stripe's."""
        await self.look()
        for service in ("invoice", "payment", "notification"):
            await self._admin(service).execute("DELETE FROM outbox")
        report = await verify(self.access, wait=0)
        assert not report.breaches, str(report)
        assert not report.waiting, report.waiting
        await self._stripe_has_what_we_booked()
        await self._cash_is_what_was_taken()
        await self._due_is_what_is_left()
        self._versions_were_published_once()

    @property
    def access(self) -> Access:
        sandbox = self.clinic.parts.sandbox
        dsns = {
            service: database.role_dsn(
                db.admin_dsn, database.AUDITOR, database.AUDITOR, name_in(db.admin_dsn)
            )
            for service, db in self._dbs().items()
        }
        return Access(dsns, stripe_secret_key=sandbox.secret_key, stripe_api_base=sandbox.url, seal=SEAL)

    async def _stripe_has_what_we_booked(self) -> None:
        """The ledger's money at Stripe is what Stripe says: charges, less refunds, disputes and their fees."""
        booked = await self._balance("stripe")
        charged = sum(charge["amount"] for charge in self.clinic.charges())
        dismissed = await self._admin("payment").fetch(
            """
            SELECT detail ->> 'stripe_refund_id' AS id FROM exceptions AS e
            WHERE settled_how = 'dismiss' AND NOT EXISTS (
                SELECT FROM refunds AS r WHERE r.stripe_refund_id = e.detail ->> 'stripe_refund_id'
            )
            """  # one that was dismissed is booked all the same once its payment has money left for it
        )
        left_out = {row["id"] for row in dismissed}
        refunded = sum(
            refund["amount"]
            for refund in self.clinic.refunds()
            if refund["status"] == "succeeded" and refund["id"] not in left_out
        )
        disputed = sum(
            move["amount"] - move["fee"]
            for dispute in self.clinic.disputes()
            for move in dispute["balance_transactions"]
        )
        assert booked == charged - refunded + disputed, (booked, charged, refunded, disputed)

    async def _cash_is_what_was_taken(self) -> None:
        """The money of each account outside Stripe is what is recorded, less what was taken back, and the count."""
        rows = await self._admin("payment").fetch(
            """
            SELECT CASE p.kind WHEN 'bank_transfer' THEN 'bank' ELSE p.kind END AS account,
                sum(CASE WHEN r.reversed_at IS NULL THEN p.amount ELSE 0 END)::bigint AS taken
            FROM recorded_payments AS r JOIN payments AS p ON (p.clinic_id, p.id) = (r.clinic_id, r.payment_id)
            GROUP BY 1
            """
        )
        counted = await self._admin("payment").fetchval(
            "SELECT coalesce(sum(counted_amount - expected_amount), 0)::bigint FROM cash_closings"
        )
        taken = Counter({row["account"]: row["taken"] for row in rows})
        taken["cash"] += counted
        for account in ("cash", "terminal", "bank", "insurer"):
            assert await self._balance(account) == taken[account], account

    async def _due_is_what_is_left(self) -> None:
        """Due = total − documents − what counts of the movements, whatever refunds and disputes took."""
        rows = await self._admin("invoice").fetch(
            """
            SELECT i.id, i.status, i.total_amount - coalesce((
                    SELECT sum(total_amount) FROM invoice_documents AS d
                    WHERE (d.clinic_id, d.invoice_id) = (i.clinic_id, i.id)
                ), 0) - coalesce((
                    SELECT sum(amount) FROM movements AS m
                    WHERE (m.clinic_id, m.invoice_id) = (i.clinic_id, i.id) AND m.kind NOT IN ('refund', 'dispute')
                ), 0) AS due
            FROM invoices AS i
            """
        )
        receivables = await self._admin("payment").fetch(
            "SELECT id, CASE status WHEN 'void' THEN 0 ELSE due_amount END - settled_amount AS due FROM payables"
        )
        there = {row["id"]: row["due"] for row in receivables}
        for row in rows:
            asked = row["status"] in ("unpaid", "part_paid", "processing")
            assert asked == (row["due"] > 0), (row["status"], row["due"])
            assert there[row["id"]] == row["due"]

    async def _balance(self, account: str) -> int:
        balance: int = await self._admin("payment").fetchval(
            "SELECT coalesce(sum(amount), 0)::bigint FROM postings WHERE account = $1", account
        )
        return balance

    def _versions_were_published_once(self) -> None:
        published = self.clinic.published
        assert len({event.id for event in published}) == len(published), "an event was published twice"
        versions: dict[tuple[str, object], list[int]] = {}
        for event in published:
            if isinstance(event, StateEvent):
                aggregate = (
                    "dispute" if "disputed" in event.topic.name else event.topic.name.partition(".")[0]
                )
                versions.setdefault((aggregate, event.key), []).append(event.version)
        for named, each in versions.items():
            assert sorted(each) == list(range(1, len(each) + 1)), (named, each)

    async def moved_again(self) -> tuple[int, int]:
        """(payments that took money, those of which money moved a second time)."""
        row = await self._admin("payment").fetchrow(
            """
            SELECT count(*) AS payments, count(*) FILTER (WHERE entries > 1) AS again FROM (
                SELECT count(*) AS entries FROM entries WHERE payment_id IS NOT NULL
                GROUP BY clinic_id, payment_id
            ) AS booked
            """
        )
        assert row is not None
        return row["payments"], row["again"]
