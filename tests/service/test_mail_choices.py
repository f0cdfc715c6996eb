"""E-mails that a client can do without: chosen under Profile, or ended by the link in one, without a login."""

import re
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest

from contracts.events.payment import PaymentSucceeded
from contracts.unsubscribing import Choice
from contracts.vocabulary import CHOSEN_MAIL
from services.chassis.ids import new_id
from services.notification import consumers
from services.notification.emails.sending import Sender
from tests.builders.events import deliver
from tests.builders.invoices import an_invoice
from tests.builders.payments import a_payment_of
from tests.running.databases import ServiceDb
from tests.running.gateway import create_client, create_clinic
from tests.running.letters import Post, a_post
from tests.running.notification import MailServer, a_reachable_client, delivery_states, put_contact
from tests.running.settings import gateway_settings

PAGE = {"Accept": "text/html"}
TOKENS = gateway_settings("x").unsubscribing


@pytest.fixture
async def post(
    db_gateway: ServiceDb, db_invoice: ServiceDb, db_payment: ServiceDb, db_notification: ServiceDb
) -> AsyncIterator[tuple[Post, UUID, UUID]]:
    """A clinic named oak, and ann, who is logged in; with the clinic's and ann's ids."""
    async with a_post(db_gateway, db_invoice, db_payment, db_notification) as made:
        clinic = await create_clinic(made.site)
        client = await create_client(made.site, clinic)
        await made.site.log_in("ann@example.com")
        yield made, UUID(clinic["id"]), UUID(client["id"])


async def unwanted(db: ServiceDb) -> list[str]:
    return [
        row["template"]
        for row in await db.admin.fetch("SELECT template FROM unwanted_mail ORDER BY template")
    ]


async def test_a_mail_program_ends_reminders_by_one_press_without_a_login(
    post: tuple[Post, UUID, UUID], db_notification: ServiceDb
) -> None:
    made, clinic_id, client_id = post
    path = f"/mail/{TOKENS.token(Choice(clinic_id, client_id, 'reminder'))}"
    made.site.client.cookies.clear()
    for _ in range(3):
        page = await made.site.client.get(path, headers=PAGE)
        assert page.status_code == 200 and "Stop these e-mails?" in page.text
    assert await unwanted(db_notification) == [], "to open the page changes nothing"

    for _ in range(2):
        answer = await made.site.client.post(
            path,
            data={"List-Unsubscribe": "One-Click"},
            headers={"Origin": "https://mail.example", "Sec-Fetch-Site": "cross-site"},
        )
        assert answer.status_code == 200, answer.text
        assert "set-cookie" not in answer.headers
    assert await unwanted(db_notification) == ["reminder"]


async def test_a_token_of_another_key_or_a_changed_one_changes_nothing(
    post: tuple[Post, UUID, UUID], db_notification: ServiceDb
) -> None:
    made, clinic_id, client_id = post
    token = TOKENS.token(Choice(clinic_id, client_id, "reminder"))
    for bad in ("x", token[:-1], token.swapcase(), token[:60] + "A" * 20):
        for answer in (
            await made.site.client.get(f"/mail/{bad}"),
            await made.site.client.post(f"/mail/{bad}"),
        ):
            assert answer.status_code == 410
            assert "oak" not in answer.text.lower()
    assert await unwanted(db_notification) == []


async def test_a_client_chooses_under_profile(
    post: tuple[Post, UUID, UUID], db_notification: ServiceDb
) -> None:
    made, _, _ = post

    async def choose(**boxes: str) -> str:
        page = await made.site.get("/c/oak/profile", headers=PAGE)
        token = re.search(r'name="_csrf_token" value="([^"]+)"', page.text)
        data = {"_csrf_token": token[1] if token else "", **boxes}
        answer = await made.site.client.post(
            "/c/oak/profile/mail", data=data, headers=PAGE, follow_redirects=False
        )
        assert answer.headers["location"] == "/c/oak/profile?done=mail", answer.text
        return str((await made.site.get("/c/oak/profile?done=mail", headers=PAGE)).text)

    page = await choose(invoice_ready="yes", method_expiring="yes")
    assert await unwanted(db_notification) == ["reminder"]
    assert 'name="invoice_ready" value="yes" checked' in page and 'name="reminder" value="yes">' in page
    await choose()
    assert await unwanted(db_notification) == sorted(CHOSEN_MAIL)
    await choose(**dict.fromkeys(CHOSEN_MAIL, "yes"))
    assert await unwanted(db_notification) == []


async def test_an_unwanted_e_mail_is_dropped_and_a_receipt_never_is(
    db_notification: ServiceDb, sender: Sender, mail: MailServer
) -> None:
    clinic, client_id = await a_reachable_client(db_notification)
    before = an_invoice(clinic.clinic_id, client_id)
    await deliver(db_notification.worker, consumers, before)
    await sender.send_due()
    assert re.fullmatch(r"<https://pay\.example/mail/[A-Za-z0-9_-]{80}>", mail.inbox[0]["List-Unsubscribe"])
    assert mail.inbox[0]["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"

    await db_notification.admin.execute(
        "INSERT INTO unwanted_mail (clinic_id, client_id, template) SELECT $1, $2, unnest($3::text[])",
        clinic.clinic_id,
        client_id,
        list(CHOSEN_MAIL),
    )
    after = an_invoice(clinic.clinic_id, client_id, number="2026-000002")
    other = new_id()
    await put_contact(db_notification, clinic.clinic_id, other, "bob@example.com")
    for_bob = an_invoice(clinic.clinic_id, other, number="2026-000003")
    await deliver(db_notification.worker, consumers, after, for_bob, a_payment_of(PaymentSucceeded, before))
    await sender.send_due()

    states: Any = await delivery_states(db_notification)
    assert ("invoice_ready", "dropped", 0, "not_wanted") in states
    to_bob, receipt = sorted(mail.inbox[1:], key=lambda each: str(each["To"]))
    assert receipt["To"] == "client@example.com" and str(receipt["Subject"]).startswith("Receipt")
    assert receipt["List-Unsubscribe"] is None
    assert to_bob["To"] == "bob@example.com"
