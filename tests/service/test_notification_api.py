"""Contacts and deliveries over HTTP, and who may see what."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
from pydantic import SecretStr

from contracts.events.payment import PaymentSucceeded
from services.chassis.ids import new_id
from services.notification import app, consumers
from services.notification.settings import Settings
from tests.builders.callers import PUBLIC_KEY, a_caller
from tests.builders.clinics import a_clinic
from tests.builders.contacts import NO_ADDRESSES
from tests.builders.events import deliver
from tests.builders.invoices import an_invoice
from tests.builders.payments import a_payment_of
from tests.running.apps import Client, calling
from tests.running.databases import ServiceDb
from tests.running.notification import put_contact

CONTACT = {"email": "client@example.com", "name": "Aoife Byrne"}


@pytest.fixture
async def api(db_notification: ServiceDb) -> AsyncIterator[Client]:
    settings = Settings(
        http_port=1,
        kafka_bootstrap_servers="127.0.0.1:1",
        database_url=db_notification.api_dsn,
        internal_token_public_key=PUBLIC_KEY,
        smtp_url="smtp://127.0.0.1:1",
        mail_from="billing@clinicpay.example",
        portal_url="https://pay.example",
        pay_link_key=SecretStr("-" * 32),
    )
    async with calling(app.api(settings), "notification") as client:
        yield client


async def test_a_contact_is_added_once_and_changed_and_taken_away(api: Client) -> None:
    staff, client_id = a_caller("staff", new_id()), new_id()
    path = f"/contacts/{client_id}"

    first = await api.call("POST", path, staff, json=CONTACT)
    again = await api.call("POST", path, staff, json=CONTACT | {"email": "other@example.com"})
    changed = await api.call("PATCH", path, staff, json={"email": "new@example.com", "language": None})
    read = await api.call("GET", path, staff)
    gone = await api.call("DELETE", path, staff)

    assert (first.status_code, again.status_code, changed.status_code) == (201, 200, 200)
    assert first.json() == again.json()
    assert gone.status_code == 204
    assert (await api.call("GET", path, staff)).status_code == 404
    assert (await api.call("DELETE", path, staff)).status_code == 404
    assert (await api.call("PATCH", path, staff, json={"name": "B"})).status_code == 404
    assert read.json() == {
        "client_id": str(client_id),
        "email": "new@example.com",
        "name": "Aoife Byrne",
        "language": "en",
        "email_status": None,
    }


@pytest.mark.parametrize("email", [*NO_ADDRESSES, ""], ids=lambda each: ascii(each)[:20])
async def test_what_is_not_an_address_is_refused_without_repeating_it(api: Client, email: str) -> None:
    answer = await api.call(
        "POST", f"/contacts/{new_id()}", a_caller("staff", new_id()), json=CONTACT | {"email": email}
    )
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (
        422,
        "email_not_valid",
        "email",
    )
    assert not email.strip("@ ") or email not in answer.text


async def test_a_domain_in_another_script_is_kept_as_smtp_takes_it(api: Client) -> None:
    answer = await api.call(
        "POST",
        f"/contacts/{new_id()}",
        a_caller("staff", new_id()),
        json=CONTACT | {"email": "a@bücher.example"},
    )
    assert answer.json()["email"] == "a@xn--bcher-kva.example"


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": " "},
        {"name": "a\nb"},
        {"name": "x" * 201},
        {"language": "english"},
        {"clinic_id": "x"},
    ],
)
async def test_wrong_fields_are_refused(api: Client, wrong: dict[str, str]) -> None:
    answer = await api.call(
        "POST", f"/contacts/{new_id()}", a_caller("staff", new_id()), json=CONTACT | wrong
    )
    assert answer.status_code == 400


async def test_clients_see_their_own_contact_and_change_none(api: Client) -> None:
    clinic_id, client_id = new_id(), new_id()
    path = f"/contacts/{client_id}"
    own, other = a_caller("client", clinic_id, client_id), a_caller("client", clinic_id)
    await api.call("POST", path, a_caller("staff", clinic_id), json=CONTACT)

    assert (await api.call("GET", path, own)).status_code == 200
    assert (await api.call("GET", path, other)).status_code == 404
    assert (await api.call("POST", path, own, json=CONTACT)).status_code == 403
    assert (await api.call("GET", "/deliveries", own)).status_code == 403
    assert (await api.call("GET", path)).status_code == 401


async def test_a_clinic_sees_neither_contacts_nor_deliveries_of_another(
    api: Client, db_notification: ServiceDb
) -> None:
    clinic, client_id = a_clinic(), new_id()
    await put_contact(db_notification, clinic.clinic_id, client_id)
    await deliver(db_notification.worker, consumers, clinic, an_invoice(clinic.clinic_id, client_id))
    own, other = a_caller("staff", clinic.clinic_id), a_caller("staff", new_id())

    assert len((await api.call("GET", "/deliveries", own)).json()["items"]) == 1
    assert (await api.call("GET", "/deliveries", other)).json() == {"items": [], "next": None}
    assert (await api.call("GET", f"/contacts/{client_id}", other)).status_code == 404


async def test_a_client_reads_whether_the_receipt_was_sent(api: Client, db_notification: ServiceDb) -> None:
    clinic, client_id = a_clinic(), new_id()
    invoice = an_invoice(clinic.clinic_id, client_id)
    paid = a_payment_of(PaymentSucceeded, invoice)
    await put_contact(db_notification, clinic.clinic_id, client_id)
    await deliver(db_notification.worker, consumers, clinic, invoice, paid)
    path, client = f"/receipts/{paid.payment_id}", a_caller("client", clinic.clinic_id, client_id)
    asked = [client, a_caller("staff", clinic.clinic_id)]
    refused = [a_caller("client", clinic.clinic_id), a_caller("staff", new_id())]

    before = [(await api.call("GET", path, who)).json() for who in asked]
    await db_notification.admin.execute(
        "UPDATE deliveries SET state = 'sent', sent_at = now() WHERE template = 'receipt'"
    )
    after = (await api.call("GET", path, client)).json()

    assert before == [{"payment_id": str(paid.payment_id), "state": "due", "sent_at": None}] * 2
    assert after["state"] == "sent" and after["sent_at"]
    for who in refused:
        answer = await api.call("GET", path, who)
        assert (answer.status_code, answer.json()["code"]) == (404, "receipt_not_found")
    assert (await api.call("GET", f"/receipts/{new_id()}", client)).status_code == 404


async def test_deliveries_are_listed_newest_first_in_pages(api: Client, db_notification: ServiceDb) -> None:
    clinic, client_id = a_clinic(), new_id()
    for _ in range(3):
        await deliver(db_notification.worker, consumers, an_invoice(clinic.clinic_id, client_id))
    staff = a_caller("staff", clinic.clinic_id)
    path = f"/deliveries?client_id={client_id}&limit=2"

    first = (await api.call("GET", path, staff)).json()
    rest = (await api.call("GET", f"{path}&cursor={first['next']}", staff)).json()

    ids = [item["id"] for item in first["items"] + rest["items"]]
    assert ids == sorted(ids, reverse=True) and len(ids) == 3
    assert rest["next"] is None
    assert (await api.call("GET", f"/deliveries?client_id={new_id()}", staff)).json()["items"] == []


async def test_row_level_security_is_forced_on_every_table_with_a_clinic(db_notification: ServiceDb) -> None:
    unforced = await db_notification.admin.fetch(
        """
        SELECT relname FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid AND attname = 'clinic_id'
        WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND NOT (relrowsecurity AND relforcerowsecurity)
        """
    )
    assert unforced == []


async def test_the_api_role_sees_nothing_without_a_clinic_and_writes_to_no_other(
    db_notification: ServiceDb,
) -> None:
    clinic_id, client_id = new_id(), new_id()
    await put_contact(db_notification, clinic_id, client_id)
    async with db_notification.api.tx(None, operator=True) as tx:
        assert await tx.fetchval("SELECT count(*) FROM contacts") == 0
        assert await tx.fetchval("SELECT count(*) FROM deliveries") == 0
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with db_notification.api.tx(new_id()) as tx:
            await tx.execute(
                "INSERT INTO contacts VALUES ($1, $2, 'a@b.example', 'A', 'en')", clinic_id, new_id()
            )
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with db_notification.api.tx(clinic_id) as tx:
            await tx.execute("UPDATE deliveries SET facts = '{}'")
