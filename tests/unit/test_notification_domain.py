"""When an e-mail is written, sent, tried again and given up."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from services.chassis.queue.domain import Canceled, Failed, Retry, Waits
from services.notification.emails import domain
from services.notification.emails.domain import BACK_OFF, Claim, Delivery, Email, Refusal
from tests.unit.test_notification_letters import CLINIC, RECIPIENT, an_email, an_invoice

SOON = timedelta(seconds=2)
NOW = datetime(2026, 12, 8, 12, tzinfo=UTC)


def claim_of(email: Email) -> Claim:
    return Claim(email.kind, email.delivery, email.clinic, email.recipient, email.invoices)


def aged(delivery: Delivery, age: timedelta) -> Delivery:
    return replace(delivery, task=replace(delivery.task, age=age))


def test_an_email_waits_for_what_it_lacks() -> None:
    claim = claim_of(an_email("invoice_ready"))
    assert isinstance(domain.decide(claim, NOW), Email)
    assert domain.decide(replace(claim, clinic=None), NOW) == Waits("no_clinic", SOON)
    assert domain.decide(replace(claim, recipient=None), NOW) == Waits("no_contact", SOON)
    assert domain.decide(replace(claim, invoices={}), NOW) == Waits("no_invoice", SOON)


def test_a_receipt_goes_without_numbers_rather_than_not_at_all() -> None:
    claim = replace(claim_of(an_email("receipt")), invoices={})
    assert domain.decide(claim, NOW) == Waits("no_invoice", SOON)
    later = replace(claim, delivery=aged(claim.delivery, domain.NUMBERS_WAIT))
    assert isinstance(domain.decide(later, NOW), Email)


@pytest.mark.parametrize("status", ["paid", "refunded", "void"])
def test_nobody_is_asked_to_pay_what_is_settled(status: str) -> None:
    invoice = an_invoice(status=status)
    assert domain.decide(claim_of(an_email("invoice_ready", invoice)), NOW) == Canceled("nothing_to_pay")
    assert domain.decide(claim_of(an_email("payment_failed", invoice)), NOW) == Canceled("nothing_to_pay")
    assert isinstance(domain.decide(claim_of(an_email("receipt", invoice)), NOW), Email)


def test_nobody_is_asked_to_pay_what_is_being_checked() -> None:
    checked, other = replace(an_invoice(), being_checked=True), an_invoice("2026-000124")
    assert domain.decide(claim_of(an_email("payment_failed", checked, other)), NOW) == Waits(
        "being_checked", SOON
    )
    assert domain.decide(claim_of(an_email("invoice_ready", checked)), NOW) == Waits("being_checked", SOON)
    assert isinstance(domain.decide(claim_of(an_email("receipt", checked)), NOW), Email)
    assert isinstance(domain.decide(claim_of(an_email("refund", checked)), NOW), Email)


def test_a_failure_is_told_while_one_of_its_invoices_is_open() -> None:
    email = an_email("payment_failed", an_invoice(status="paid"), an_invoice())
    assert isinstance(domain.decide(claim_of(email), NOW), Email)


def test_retries_space_out_with_jitter_and_end() -> None:
    def retry(attempts: int, random: Random) -> timedelta:
        outcome = domain.after_refusal(Refusal("451", permanent=False), attempts, random)
        assert isinstance(outcome, Retry)
        return outcome.after

    for attempts in range(1, BACK_OFF.tries):
        full = min(timedelta(seconds=2 ** min(attempts, 30)), BACK_OFF.longest)
        assert full * 0.75 <= retry(attempts, Random(attempts)) <= full * 1.25
    assert len({retry(5, Random(seed)) for seed in range(9)}) == 9
    assert domain.after_refusal(Refusal("451", permanent=False), BACK_OFF.tries, Random()) == Failed("451")


def test_a_permanent_refusal_is_the_end() -> None:
    assert domain.after_refusal(Refusal("550", permanent=True), 1, Random()) == Failed("550")


def test_waiting_is_looked_at_less_and_less_often() -> None:
    claim = replace(claim_of(an_email("receipt")), recipient=None)
    for age, pause in (
        (timedelta(0), timedelta(seconds=2)),
        (timedelta(minutes=5), timedelta(minutes=5)),
        (timedelta(days=9), timedelta(hours=1)),
    ):
        waiting = replace(claim, delivery=aged(claim.delivery, age))
        assert domain.decide(waiting, NOW) == Waits("no_contact", pause)


def test_no_email_waits_for_ever_for_the_contact_of_who_is_erased() -> None:
    claim = replace(claim_of(an_email("refund")), recipient=None)
    for age, outcome in (
        (domain.CONTACT_WAIT - timedelta(hours=1), Waits("no_contact", timedelta(hours=1))),
        (domain.CONTACT_WAIT, Canceled("no_address")),
    ):
        assert domain.decide(replace(claim, delivery=aged(claim.delivery, age)), NOW) == outcome


def test_an_email_has_its_recipient_and_its_clinic() -> None:
    email = domain.decide(claim_of(an_email("receipt")), NOW)
    assert isinstance(email, Email)
    assert (email.recipient, email.clinic) == (RECIPIENT, CLINIC)
