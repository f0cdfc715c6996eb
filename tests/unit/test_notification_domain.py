"""When an e-mail is written, sent, tried again and given up."""

from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest

from services.chassis.queue.domain import Canceled, Failed, Retry, Waits
from services.notification.emails import domain
from services.notification.emails.domain import BACK_OFF, Claim, Delivery, Email, Refusal
from tests.unit.test_notification_letters import CLINIC, RECIPIENT, an_email, an_invoice

SOON = timedelta(seconds=2)


def claim_of(email: Email) -> Claim:
    return Claim(email.kind, email.delivery, email.clinic, email.recipient, email.invoices)


def aged(delivery: Delivery, age: timedelta) -> Delivery:
    return replace(delivery, task=replace(delivery.task, age=age))


def test_an_email_waits_for_what_it_lacks() -> None:
    claim = claim_of(an_email("invoice_ready"))
    assert isinstance(domain.decide(claim), Email)
    assert domain.decide(replace(claim, clinic=None)) == Waits("no_clinic", SOON)
    assert domain.decide(replace(claim, recipient=None)) == Waits("no_contact", SOON)
    assert domain.decide(replace(claim, invoices={})) == Waits("no_invoice", SOON)


def test_a_receipt_goes_without_numbers_rather_than_not_at_all() -> None:
    claim = replace(claim_of(an_email("receipt")), invoices={})
    assert domain.decide(claim) == Waits("no_invoice", SOON)
    later = replace(claim, delivery=aged(claim.delivery, domain.NUMBERS_WAIT))
    assert isinstance(domain.decide(later), Email)


@pytest.mark.parametrize("status", ["paid", "refunded", "void"])
def test_nobody_is_asked_to_pay_what_is_settled(status: str) -> None:
    invoice = an_invoice(status=status)
    assert domain.decide(claim_of(an_email("invoice_ready", invoice))) == Canceled("nothing_to_pay")
    assert domain.decide(claim_of(an_email("payment_failed", invoice))) == Canceled("nothing_to_pay")
    assert isinstance(domain.decide(claim_of(an_email("receipt", invoice))), Email)


def test_nobody_is_asked_to_pay_what_is_being_checked() -> None:
    checked, other = replace(an_invoice(), being_checked=True), an_invoice("2026-000124")
    assert domain.decide(claim_of(an_email("payment_failed", checked, other))) == Waits("being_checked", SOON)
    assert domain.decide(claim_of(an_email("invoice_ready", checked))) == Waits("being_checked", SOON)
    assert isinstance(domain.decide(claim_of(an_email("receipt", checked))), Email)
    assert isinstance(domain.decide(claim_of(an_email("refund", checked))), Email)


def test_a_failure_is_told_while_one_of_its_invoices_is_open() -> None:
    email = an_email("payment_failed", an_invoice(status="paid"), an_invoice())
    assert isinstance(domain.decide(claim_of(email)), Email)


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
        assert domain.decide(waiting) == Waits("no_contact", pause)


def test_an_email_has_its_recipient_and_its_clinic() -> None:
    email = domain.decide(claim_of(an_email("receipt")))
    assert isinstance(email, Email)
    assert (email.recipient, email.clinic) == (RECIPIENT, CLINIC)
