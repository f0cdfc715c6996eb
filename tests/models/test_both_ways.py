"""Money that goes both ways: paid, recorded, refunded, disputed, credited and corrected, in any order.

CLINICPAY_MODEL_EXAMPLES and CLINICPAY_MODEL_STEPS make it run longer than in a usual test run.
"""

import os
from collections.abc import AsyncIterator, Coroutine, Sequence
from typing import Any, ClassVar, TypeVar
from uuid import UUID

import pytest
from hypothesis import HealthCheck, event, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from contracts.vocabulary import OUTSIDE_KINDS, OutsideKind, PaymentKind, RefundDestination
from tests.models.both_ways import BothWays
from tests.models.services import Cut, Services, the_services
from tests.models.test_paying import INDEX, MANY, PHASES
from tests.models.whole_books import WholeBooks
from tests.running.databases import ServiceDb

T = TypeVar("T")
EXAMPLES = int(os.environ.get("CLINICPAY_MODEL_EXAMPLES", "25"))
STEPS = int(os.environ.get("CLINICPAY_MODEL_STEPS", "30"))
ONE_IN = 5
"""Of so many payments, one is moved again at least."""
CARDS = ("pm_card_visa", "pm_card_visa", "pm_card_pendingRefund", "pm_card_refundFail")
PARTS = st.sampled_from([None, None, 1, 2, 3])
"""All of it, or the share that this divides it into; 1 is a sum that is written out."""
LOCATIONS = st.sampled_from(["", "Quay Street"])


class MoneyBothWays(RuleBasedStateMachine):
    """Payments are made in one step, so that most steps are about money that came in."""

    parts: ClassVar[Services]
    gateway: ClassVar[ServiceDb]
    payments: ClassVar[int] = 0
    moved_again: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        self.run(self.parts.forget())
        self.clinic = BothWays(self.parts)
        self.books = WholeBooks(self.clinic, gateway=self.gateway)
        self.invoices: list[tuple[UUID, int]] = []

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.parts.loop.run_until_complete(work)

    @initialize(reopens=st.booleans(), minor=st.integers(500, 20_000))
    def open(self, reopens: bool, minor: int) -> None:
        self.run(self.clinic.open(lost_dispute_reopens=reopens))
        self.issue(minor)

    @rule(minor=st.integers(500, 20_000))
    def issue(self, minor: int) -> None:
        self.invoices.append((self.run(self.clinic.issue(minor)), minor))
        self._pass_on()

    @rule(at=INDEX, part=PARTS, card=st.sampled_from(CARDS), heard=st.booleans())
    def pay(self, at: int, part: int | None, card: str, heard: bool) -> None:
        invoice_id, minor = self.invoices[at % len(self.invoices)]
        self._pay({invoice_id: _part(minor, part) or minor}, "card", card, heard)

    @rule(card=st.sampled_from(CARDS), heard=st.booleans())
    def pay_newest(self, card: str, heard: bool) -> None:
        self._pay(dict(self.invoices[-2:]), "card", card, heard)

    @rule(at=INDEX, paid=st.booleans())
    def pay_by_debit(self, at: int, paid: bool) -> None:
        tab = self._pay(dict([self.invoices[at % len(self.invoices)]]), "debit", "", True)
        if tab is not None:
            self.run(self.clinic.settle_debit(tab, paid))
            self.run(self.clinic.consume(self.clinic.webhooks()[-MANY:]))

    @rule(minor=st.integers(50, 20_000), card=st.sampled_from(CARDS))
    def pay_deposit(self, minor: int, card: str) -> None:
        self._pay({}, "card", card, True, deposit=minor)

    def _pay(
        self, shares: dict[UUID, int], kind: PaymentKind, card: str, heard: bool, deposit: int = 0
    ) -> Any:
        tab = self.run(self.clinic.start(shares, kind, deposit))
        if tab is None:
            self._noted()
            return None
        self.run(self.clinic.confirm(tab, card))
        if heard:
            self.run(self.clinic.consume(self.clinic.webhooks()[-MANY:]))
            self._pass_on()
        return tab

    @rule(kind=st.sampled_from(OUTSIDE_KINDS), minor=st.integers(1, 20_000), location=LOCATIONS)
    def record(self, kind: OutsideKind, minor: int, location: str) -> None:
        self._did(self.clinic.record(kind, minor, location))

    @rule(at=INDEX)
    def reverse(self, at: int) -> None:
        for payment_id, _ in self._chosen(at, "recorded"):
            self._did(self.clinic.reverse(payment_id))

    @rule()
    def use_credit(self) -> None:
        self._did(self.clinic.use_credit())

    @rule(counted=st.integers(0, 5_000), location=LOCATIONS)
    def close_cash(self, counted: int, location: str) -> None:
        self._did(self.clinic.close_cash(counted, location))

    @rule(at=INDEX, part=PARTS, to=st.sampled_from(["method", "method", "credit"]))
    def refund(self, at: int, part: int | None, to: RefundDestination) -> None:
        for payment_id, minor in self._chosen(at, "charged"):
            self._did(self.clinic.refund(payment_id, _part(minor, part), to))

    @rule(at=INDEX, part=PARTS)
    def refund_in_dashboard(self, at: int, part: int | None) -> None:
        for charge in _one(self.clinic.charges(), at):
            minor = _part(charge["amount"], part) or charge["amount"]
            self._did(self.clinic.refund_in_dashboard(charge, minor))

    @rule(at=INDEX, outcome=st.sampled_from(["succeeded", "failed", "canceled"]))
    def settle_refund(self, at: int, outcome: str) -> None:
        for refund in _one(self.clinic.refunds(), at):
            self._did(self.clinic.settle_refund(refund, outcome))

    @rule(
        at=INDEX,
        status=st.sampled_from(["needs_response", "needs_response", "warning_needs_response"]),
        part=PARTS,
    )
    def dispute(self, at: int, status: str, part: int | None) -> None:
        for charge in _one(self.clinic.charges(), at):
            self._did(self.clinic.dispute(charge, status, _part(charge["amount"], part)))

    @rule(at=INDEX, outcome=st.sampled_from(["won", "lost", "lost", "warning_closed", "escalated"]))
    def end_dispute(self, at: int, outcome: str) -> None:
        for dispute in _one(self.clinic.disputes(), at):
            self._did(self.clinic.end_dispute(dispute, outcome))

    @rule(
        at=INDEX,
        verb=st.sampled_from(["void", "credit-notes", "credit-notes", "write-off", "correct"]),
        part=PARTS,
    )
    def correct(self, at: int, verb: str, part: int | None) -> None:
        invoice_id, minor = self.invoices[at % len(self.invoices)]
        self._did(self.clinic.correct(invoice_id, verb, _part(minor, part)))

    def _did(self, act: Coroutine[Any, Any, None]) -> None:
        before = len(self.clinic.refused)
        self.run(act)
        if len(self.clinic.refused) > before:
            self._noted()

    def _noted(self) -> None:
        note(f"refused: {self.clinic.refused[-1]}")
        event(f"refused: {self.clinic.refused[-1]}")

    @rule(which=st.lists(INDEX, min_size=1, max_size=MANY))
    def consume_webhooks(self, which: list[int]) -> None:
        """Any webhooks, in any order and number."""
        there = self.clinic.webhooks()
        self.run(self.clinic.consume([there[at % len(there)] for at in which] if there else []))

    @rule()
    def consume_newest_webhooks(self) -> None:
        self.run(self.clinic.consume(self.clinic.webhooks()[-MANY:]))
        self.run(self.clinic.work())

    @rule(which=st.lists(INDEX, min_size=1, max_size=MANY))
    def pass_some_on(self, which: list[int]) -> None:
        """Any events, in any order and number, also old ones again."""
        self.run(self.clinic.listen())
        there = self.clinic.published
        self.run(self.clinic.pass_on([there[at % len(there)] for at in which]))

    @rule()
    def pass_all_on(self) -> None:
        self._pass_on()

    def _pass_on(self) -> None:
        self.run(self.clinic.pass_on(self.run(self.clinic.listen())))

    @rule()
    def sweep(self) -> None:
        self.run(self.clinic.sweep())
        self.run(self.clinic.work())

    @rule(cut=st.sampled_from(["before", "after"]))
    def crash_at_the_next_call(self, cut: Cut) -> None:
        self.parts.link.cut = cut

    @invariant()
    def holds(self) -> None:
        self.run(self.books.look())

    def teardown(self) -> None:
        """Drain, in some runs by webhooks, in others by the sweeps alone. Then `clinicpay verify` finds nothing.

        In between every second payment is moved again, of one at least: the steps that were drawn may have moved no
        money twice, or none at all.
        """
        self.parts.link.cut = ""
        self.run(self._drain())
        if not self._came_in("charged"):
            self.issue(5_000)
            self._pay(dict(self.invoices[-1:]), "card", "pm_card_visa", True)
        for payment_id, minor in self._came_in("charged")[::2]:
            self._did(self.clinic.refund(payment_id, _part(minor, 2), "method"))
        for payment_id, _ in self._came_in("recorded")[::2]:
            self._did(self.clinic.reverse(payment_id))
        self.run(self._drain())
        self.run(self.books.close())
        payments, again = self.run(self.books.moved_again())
        MoneyBothWays.payments += payments
        MoneyBothWays.moved_again += again

    async def _drain(self) -> None:
        await self.clinic.listen()
        if len(self.clinic.published) % 2:
            await self.clinic.consume(self.clinic.webhooks())
        passed: set[UUID] = set()
        for _ in range(3):
            await self.clinic.sweep()
            while await self.clinic.work():
                pass
            await self.clinic.listen()
            while new := [each for each in self.clinic.published if each.id not in passed]:
                await self.clinic.pass_on(new)
                passed |= {each.id for each in new}
                await self.clinic.listen()
        await self.clinic.dismiss_exceptions()

    def _chosen(self, at: int, kind: str) -> list[tuple[UUID, int]]:
        return _one(self._came_in(kind), at)

    def _came_in(self, kind: str) -> list[tuple[UUID, int]]:
        """(id, amount) of each payment that took money outside Stripe, or at it."""
        rows = self.run(
            self.parts.payment.admin.fetch(
                """
                SELECT id, amount FROM payments WHERE status = 'succeeded' AND kind <> 'credit'
                    AND (stripe_payment_intent_id IS NULL) = $1 ORDER BY id
                """,
                kind == "recorded",
            )
        )
        return [(row["id"], row["amount"]) for row in rows]


def _one(there: Sequence[T], at: int) -> list[T]:
    return [there[at % len(there)]] if there else []


def _part(minor: int, part: int | None) -> int | None:
    return None if part is None else max(1, minor // part)


@pytest.fixture
async def parts(
    db_invoice: ServiceDb, db_payment: ServiceDb, db_notification: ServiceDb
) -> AsyncIterator[Services]:
    async with the_services(db_invoice, db_payment, db_notification) as parts:
        yield parts


def test_money_that_goes_both_ways_is_neither_lost_nor_doubled(
    parts: Services, db_gateway: ServiceDb
) -> None:
    MoneyBothWays.parts, MoneyBothWays.gateway = parts, db_gateway
    MoneyBothWays.payments = MoneyBothWays.moved_again = 0
    run_state_machine_as_test(
        MoneyBothWays,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            print_blob=True,
            phases=PHASES,
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert MoneyBothWays.moved_again * ONE_IN >= MoneyBothWays.payments >= EXAMPLES
