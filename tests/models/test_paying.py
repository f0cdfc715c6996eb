"""A clinic, its invoices and a client with many tabs, through random steps in any order.

CLINICPAY_MODEL_EXAMPLES and CLINICPAY_MODEL_STEPS make it run longer than the few seconds of a usual test run.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Coroutine, Sequence
from datetime import timedelta
from typing import Any, ClassVar, TypeVar
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, event, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from contracts.events.envelope import CloudEvent
from contracts.vocabulary import PaymentKind
from services.chassis.ids import new_id
from tests.models.books import Books
from tests.models.clinic import REDIRECTS, ModelClinic, Tab
from tests.models.services import Cut, Services, the_services
from tests.running.databases import ServiceDb

T = TypeVar("T")
EXAMPLES = int(os.environ.get("CLINICPAY_MODEL_EXAMPLES", "40"))
STEPS = int(os.environ.get("CLINICPAY_MODEL_STEPS", "25"))
SHRINKS = os.environ.get("CLINICPAY_MODEL_SHRINK", "1") == "1"
CARDS = (
    "pm_card_visa",
    "pm_card_visa",
    "pm_card_chargeDeclined",
    "pm_card_threeDSecure2Required",
    "pm_card_threeDSecureRequiredChargeDeclined",
)
INDEX = st.integers(0, 200)
"""An index into a list, modulo its length: drawn values must not depend on the lists' current contents."""
KINDS: st.SearchStrategy[PaymentKind] = st.sampled_from(["card", "card", "redirect", "debit"])
PHASES = [each for each in Phase if SHRINKS or each is not Phase.shrink]
MANY = 40
"""The most records that one step delivers."""


def _chosen(there: Sequence[T], which: Sequence[int]) -> list[T]:
    return [there[at % len(there)] for at in which] if there else []


class Paying(RuleBasedStateMachine):
    """Every step runs on the one event loop of the services."""

    parts: ClassVar[Services]
    invoices: Bundle[UUID] = Bundle("invoices")

    def __init__(self) -> None:
        super().__init__()
        self.run(self.parts.forget())
        self.clinic = ModelClinic(self.parts)
        self.books = Books(self.clinic)
        self.due: dict[UUID, int] = {}
        self.tabs: list[Tab] = []

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.parts.loop.run_until_complete(work)

    @initialize()
    def open(self) -> None:
        self.run(self.clinic.open())

    @rule(target=invoices, minor=st.integers(200, 20_000), heard=st.booleans())
    def issue(self, minor: int, heard: bool) -> UUID:
        invoice_id = self.run(self.clinic.issue(minor))
        self.due[invoice_id] = minor
        if heard:
            self.run(self.clinic.pass_on(self.run(self.clinic.listen())))
        return invoice_id

    @rule(invoice=invoices, kind=KINDS, part=st.sampled_from([1, 1, 1, 2]))
    def press_pay(self, invoice: UUID, kind: PaymentKind, part: int) -> None:
        self._open(self.run(self.clinic.start({invoice: self.due[invoice] // part}, kind)))

    @rule(chosen=st.lists(invoices, min_size=2, max_size=3, unique=True), kind=KINDS)
    def press_pay_for_several(self, chosen: list[UUID], kind: PaymentKind) -> None:
        self._open(self.run(self.clinic.start({each: self.due[each] for each in chosen}, kind)))

    @rule(invoice=invoices, kinds=st.lists(KINDS, min_size=2, max_size=4))
    def press_pay_in_tabs_at_once(self, invoice: UUID, kinds: list[PaymentKind]) -> None:
        async def press() -> list[Tab | None]:
            async with asyncio.TaskGroup() as group:
                share = {invoice: self.due[invoice]}
                pressed = [group.create_task(self.clinic.start(share, kind)) for kind in kinds]
            return [each.result() for each in pressed]

        for tab in self.run(press()):
            self._open(tab)

    @rule(
        chosen=st.lists(invoices, min_size=1, max_size=2, unique=True),
        kind=KINDS,
        part=st.sampled_from([1, 1, 2]),
        credit=st.integers(1, 20_000),
    )
    def press_pay_with_credit(self, chosen: list[UUID], kind: PaymentKind, part: int, credit: int) -> None:
        """Also with more than there is, and with all of it while a deposit of before is on its way."""
        shares = {each: self.due[each] // part for each in chosen}
        used = min(credit, sum(shares.values()))
        self._open(self.run(self.clinic.start(shares, kind, credit=used)))

    @rule(minor=st.integers(50, 20_000), kind=KINDS)
    def press_pay_for_a_deposit(self, minor: int, kind: PaymentKind) -> None:
        self._open(self.run(self.clinic.start({}, kind, deposit=minor)))

    def _open(self, tab: Tab | None) -> None:
        if tab is None:
            note(f"refused: {self.clinic.refused[-1]}")
            event(f"refused: {self.clinic.refused[-1]}")
        else:
            self.tabs.append(tab)

    @rule(at=INDEX, card=st.sampled_from(CARDS), redirect=st.sampled_from(sorted(REDIRECTS)))
    def confirm(self, at: int, card: str, redirect: str) -> None:
        for tab in _chosen(self.tabs, [at]):
            answer = self.run(self.clinic.confirm(tab, card if tab.kind == "card" else redirect))
            note(f"confirmed: {answer.get('status') or answer['error'].get('code')}")
            event(f"confirmed: {answer.get('status') or answer['error'].get('code')}")

    @rule(at=INDEX, agreed=st.booleans())
    def answer_bank(self, at: int, agreed: bool) -> None:
        for tab in _chosen(self.tabs, [at]):
            self.run(self.clinic.answer_bank(tab, agreed))

    @rule(at=INDEX, paid=st.booleans())
    def settle_debit(self, at: int, paid: bool) -> None:
        for tab in _chosen(self.tabs, [at]):
            self.run(self.clinic.settle_debit(tab, paid))

    @rule(
        which=st.lists(INDEX, min_size=1, max_size=MANY),
        at_once=st.sampled_from([1, 1, 3]),
        twins=st.booleans(),
    )
    def consume_webhooks(self, which: list[int], at_once: int, twins: bool) -> None:
        """Consume any webhooks in any order and number; sometimes two Event objects for one change."""
        events = _chosen(self.clinic.webhooks(), which)
        if twins:
            events += [event.model_copy(update={"id": new_id()}) for event in events]
        self.run(self.clinic.consume(events, at_once=at_once))

    @rule(which=st.lists(INDEX, min_size=1, max_size=MANY))
    def pass_some_on(self, which: list[int]) -> None:
        """Deliver any events in any order and number, also old ones again."""
        self.run(self.clinic.pass_on(_chosen(self.run(self._published()), which)))

    @rule()
    def pass_all_on(self) -> None:
        self.run(self.clinic.pass_on(self.run(self.clinic.listen())))

    @rule()
    def sweep(self) -> None:
        self.run(self.clinic.sweep())

    @rule(cut=st.sampled_from(["before", "after"]))
    def crash_at_the_next_call(self, cut: Cut) -> None:
        self.parts.link.cut = cut

    @rule(seconds=st.sampled_from([-540, -1, 0, 1, 540]))
    def turn_clock(self, seconds: int) -> None:
        self.run(self.parts.turn_clock(seconds))

    @rule(hours=st.sampled_from([0.2, 1, 22, 25, 72]))
    def let_pass(self, hours: float) -> None:
        self.run(self.clinic.let_pass(timedelta(hours=hours)))

    @rule(invoice=invoices, minor=st.integers(1, 30_000))
    def forge_settlement(self, invoice: UUID, minor: int) -> None:
        self.run(self.clinic.forge_settlement(invoice, minor))

    @rule(invoice=invoices)
    def repeat_first_state(self, invoice: UUID) -> None:
        self.run(self.clinic.listen())
        self.run(self.clinic.repeat_first_state(invoice))

    @invariant()
    def holds(self) -> None:
        self.run(self.books.look())

    def teardown(self) -> None:
        """Drain, in some runs by webhooks, in others by the sweeper alone. Then all is booked and payable."""
        self.run(self._drain())
        self.run(self.books.close())
        self.run(self._what_is_open_can_be_paid())

    async def _drain(self) -> None:
        self.parts.link.cut = ""
        await self.parts.turn_clock(0)
        await self.clinic.listen()
        passed: set[UUID] = set()
        if len(self.clinic.published) % 2:
            await self.clinic.consume(self.clinic.webhooks())
        for _ in range(3):
            await self.clinic.sweep()
            await self._pass_on_the_rest(passed)

    async def _pass_on_the_rest(self, passed: set[UUID]) -> None:
        while new := [event for event in await self._published() if event.id not in passed]:
            await self.clinic.pass_on(new)
            passed |= {event.id for event in new}

    async def _published(self) -> list[CloudEvent]:
        await self.clinic.listen()
        return self.clinic.published

    async def _what_is_open_can_be_paid(self) -> None:
        """Every open invoice can be paid, unless its money is on the way."""
        rows = await self.parts.invoice.admin.fetch(
            "SELECT * FROM invoices WHERE status IN ('unpaid', 'part_paid')"
        )
        for row in rows:
            open_amount = row["total_amount"] - row["settled_amount"]
            tab = await self.clinic.start({row["id"]: open_amount}, "card")
            assert tab is not None, f"an open invoice cannot be paid: {self.clinic.refused[-1]}"
            await self.clinic.confirm(tab, "pm_card_visa")
        await self.clinic.consume(self.clinic.webhooks())
        await self._pass_on_the_rest(set())
        await self.books.close()


@pytest.fixture
async def parts(
    db_invoice: ServiceDb, db_payment: ServiceDb, db_notification: ServiceDb
) -> AsyncIterator[Services]:
    async with the_services(db_invoice, db_payment, db_notification) as parts:
        yield parts


def test_money_is_neither_lost_nor_doubled(parts: Services) -> None:
    Paying.parts = parts
    run_state_machine_as_test(
        Paying,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            print_blob=True,
            phases=PHASES,
            suppress_health_check=list(HealthCheck),
        ),
    )
