"""A clinic sees in the public API that e-mails do not arrive at a client's address, as long as that is so."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from services.chassis import clock
from services.chassis.queue.domain import Failed
from services.notification import consumers
from services.notification.emails import actions
from services.notification.emails.domain import Claim
from tests.builders.clinics import a_clinic
from tests.builders.disputes import a_dispute
from tests.builders.events import deliver
from tests.builders.invoices import an_invoice
from tests.builders.values import eur
from tests.running.databases import ServiceDb
from tests.running.gateway import create_client, create_clinic
from tests.running.letters import Post, a_post
from tests.running.notification import delivery_states, make_due

REFUSAL = "550 5.1.1 nobody here"
MERGE = {"Content-Type": "application/merge-patch+json"}


class Clinic:
    """A clinic, its client ann, and e-mails about new invoices to her."""

    def __init__(self, post: Post, clinic: Any, client: Any) -> None:
        self.post, self.clinic_id, self.client_id = post, UUID(clinic["id"]), UUID(client["id"])
        self.path = f"/clinics/{self.clinic_id}/clients/{self.client_id}"

    async def queue(self) -> None:
        invoice = an_invoice(self.clinic_id, self.client_id)
        await deliver(self.post.notification.worker, consumers, a_clinic(self.clinic_id), invoice)

    async def mail(self, answer: str = "250 OK") -> None:
        """Send one e-mail, which the mail server answers so."""
        self.post.mail.recipient_answer = answer
        await self.queue()
        await self.post.sender.send_due()

    async def status(self) -> Any:
        return (await self.post.site.api("GET", self.path)).json()["email_status"]

    async def change(self, **members: str) -> Any:
        answer = await self.post.site.api("PATCH", self.path, json=members, headers=MERGE)
        assert answer.status_code == 200, answer.text
        return answer.json()["email_status"]


@pytest.fixture
async def oak(
    db_gateway: ServiceDb, db_invoice: ServiceDb, db_payment: ServiceDb, db_notification: ServiceDb
) -> AsyncIterator[Clinic]:
    async with a_post(db_gateway, db_invoice, db_payment, db_notification) as post:
        clinic = await create_clinic(post.site)
        yield Clinic(post, clinic, await create_client(post.site, clinic))


async def test_a_refused_address_is_shown_until_a_server_takes_an_e_mail(oak: Clinic) -> None:
    assert await oak.status() is None
    before = clock.now()
    await oak.mail(REFUSAL)

    status = await oak.status()
    assert (status["state"], status["reason"]) == ("undeliverable", "550")
    assert before.isoformat() <= status["at"].replace("Z", "+00:00")
    assert await oak.change(name="Ann B.") == status, "the address is the same"
    await oak.mail()
    assert await oak.status() is None


async def test_another_address_has_another_status(oak: Clinic) -> None:
    await oak.mail(REFUSAL)
    assert await oak.change(email="new@example.com") is None
    assert await oak.change(email="ann@example.com") is None, "it is not known of the newest e-mail to it"


async def test_a_refusal_that_comes_after_the_address_was_changed_is_not_about_the_new_one(
    oak: Clinic, db_notification: ServiceDb
) -> None:
    await oak.queue()
    async with db_notification.worker.worker_tx() as tx:
        (claim,) = await actions.claim_emails(tx, 1, timedelta(minutes=1))
    assert isinstance(claim, Claim)
    await oak.change(email="new@example.com")
    async with db_notification.worker.worker_tx() as tx:
        await actions.record_outcome(tx, claim.delivery, Failed("550"), claim.recipient)

    assert await oak.status() is None


@pytest.mark.parametrize("answer", ["450 4.2.0 later", "421 4.7.0 too busy"])
async def test_an_e_mail_that_is_tried_again_says_nothing_about_the_address(oak: Clinic, answer: str) -> None:
    await oak.mail(answer)
    assert await oak.status() is None


async def test_what_the_clinics_own_address_refuses_is_not_its_clients(
    oak: Clinic, db_notification: ServiceDb
) -> None:
    oak.post.mail.recipient_answer = REFUSAL
    dispute = a_dispute(oak.clinic_id, oak.client_id, eur(50))
    await deliver(db_notification.worker, consumers, a_clinic(oak.clinic_id), dispute)
    await make_due(db_notification)
    await oak.post.sender.send_due()

    assert ("dispute_opened", "failed", 1, "550") in await delivery_states(db_notification)
    assert await oak.status() is None
