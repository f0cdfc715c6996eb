"""Sending: refusals, crashes, leases and a mail server that is away. On a real database and a real SMTP server."""

import asyncio
from datetime import timedelta

import asyncpg
import pytest

from contracts.events.notification import NotificationFailed, NotificationSent
from services.chassis.ids import new_id
from services.chassis.jobs.sampling import of_database
from services.notification import consumers
from services.notification.emails import actions, unsent
from services.notification.emails import sending as jobs
from services.notification.emails.domain import Sent
from services.notification.emails.sending import Sender
from services.notification.emails.smtp import Smtp
from tests.builders.events import TRACE, deliver, outbox_events
from tests.builders.invoices import an_invoice
from tests.running.databases import ServiceDb
from tests.running.metrics import value
from tests.running.notification import (
    MailServer,
    a_reachable_client,
    a_sender,
    delivery_states,
    make_due,
    put_contact,
    sending,
)


async def test_a_451_is_tried_again_and_sent_once(
    db_notification: ServiceDb, sender: Sender, mail: MailServer
) -> None:
    clinic, client_id = await a_reachable_client(db_notification)
    mail.answers = ["451 4.3.0 try later"]
    await deliver(db_notification.worker, consumers, an_invoice(clinic.clinic_id, client_id))

    await sender.send_due()
    assert await delivery_states(db_notification) == [("invoice_ready", "due", 1, "451")]
    assert await sender.send_due() == 0, "not before its time"
    await make_due(db_notification)
    await sender.send_due()
    await make_due(db_notification)
    assert await sender.send_due() == 0

    assert len(mail.inbox) == 1
    (fact,) = await outbox_events(db_notification)
    assert isinstance(fact, NotificationSent)
    assert (fact.template, fact.attempts, fact.client_id) == ("invoice_ready", 2, client_id)
    assert fact.traceparent is not None and TRACE in fact.traceparent


async def test_a_550_is_the_end_and_is_told(
    db_notification: ServiceDb, sender: Sender, mail: MailServer
) -> None:
    clinic, client_id = await a_reachable_client(db_notification)
    mail.recipient_answer = "550 5.1.1 client@example.com is nobody here"
    await deliver(db_notification.worker, consumers, an_invoice(clinic.clinic_id, client_id))

    await sender.send_due()
    await make_due(db_notification)
    assert await sender.send_due() == 0

    (fact,) = await outbox_events(db_notification)
    assert isinstance(fact, NotificationFailed)
    assert fact.reason == "550"
    assert await delivery_states(db_notification) == [("invoice_ready", "failed", 1, "550")]


async def test_one_refusal_does_not_stop_the_others_on_the_same_connection(
    db_notification: ServiceDb, sender: Sender, mail: MailServer
) -> None:
    clinic, client_id = await a_reachable_client(db_notification)
    mail.answers = ["554 5.7.1 no"]
    await deliver(
        db_notification.worker, consumers, *(an_invoice(clinic.clinic_id, client_id) for _ in range(3))
    )

    await sender.send_due()

    assert (len(mail.inbox), mail.connections) == (2, 1)


async def test_a_crash_between_the_servers_250_and_the_commit_repeats_the_same_message_id(
    db_notification: ServiceDb, sender: Sender, mail: MailServer
) -> None:
    clinic, client_id = await a_reachable_client(db_notification)
    await deliver(db_notification.worker, consumers, an_invoice(clinic.clinic_id, client_id))
    async with db_notification.admin.acquire() as blocker, blocker.transaction():
        await blocker.execute("LOCK TABLE outbox IN EXCLUSIVE MODE")
        dying = asyncio.create_task(sender.send_due())
        await asyncio.wait_for(mail.seen.get(), 5)
        await waits_for_lock(db_notification)
        dying.cancel()
        await asyncio.gather(dying, return_exceptions=True)
    assert await delivery_states(db_notification) == [("invoice_ready", "due", 0, None)]
    assert await sender.send_due() == 0, "still leased"

    await make_due(db_notification)
    await sender.send_due()

    assert len(mail.inbox) == 2
    assert len({message["Message-ID"] for message in mail.inbox}) == 1
    assert len(await outbox_events(db_notification)) == 1


async def waits_for_lock(db: ServiceDb) -> None:
    async with asyncio.timeout(5):
        while not await db.admin.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
            await asyncio.sleep(0)


async def test_a_database_that_blinks_after_the_servers_250_does_not_send_twice(
    db_notification: ServiceDb, sender: Sender, mail: MailServer
) -> None:
    clinic, client_id = await a_reachable_client(db_notification)
    await deliver(db_notification.worker, consumers, an_invoice(clinic.clinic_id, client_id))
    async with db_notification.admin.acquire() as blocker, blocker.transaction():
        await blocker.execute("LOCK TABLE outbox IN EXCLUSIVE MODE")
        recording = asyncio.create_task(sender.send_due())
        await asyncio.wait_for(mail.seen.get(), 5)
        await waits_for_lock(db_notification)
        await db_notification.admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE NOT granted AND locktype = 'relation'"
        )
    await recording
    await make_due(db_notification)
    await sender.send_due()

    assert len(mail.inbox) == 1
    assert len(await outbox_events(db_notification)) == 1


async def test_claims_that_overlap_share_the_work_and_wait_for_nobody(db_notification: ServiceDb) -> None:
    clinic, client_id = await a_reachable_client(db_notification)
    await deliver(
        db_notification.worker, consumers, *(an_invoice(clinic.clinic_id, client_id) for _ in range(3))
    )
    worker, lease = db_notification.worker, timedelta(minutes=1)
    async with worker.worker_tx() as one, worker.worker_tx() as other, asyncio.timeout(5):
        first = await actions.claim_emails(one, 2, lease)
        second = await actions.claim_emails(other, 2, lease)

    assert (len(first), len(second)) == (2, 1)
    assert len({claim.delivery.id for claim in first + second}) == 3


async def test_an_email_of_a_newer_release_waits_and_holds_back_no_other(
    db_notification: ServiceDb, sender: Sender, mail: MailServer
) -> None:
    clinic, client_id = await a_reachable_client(db_notification)
    await deliver(
        db_notification.worker, consumers, *(an_invoice(clinic.clinic_id, client_id) for _ in range(2))
    )
    await db_notification.admin.execute("ALTER TABLE deliveries DROP CONSTRAINT deliveries_template_check")
    await db_notification.admin.execute(
        """
        WITH newer AS (
            UPDATE deliveries SET template = 'payment_disputed'
            WHERE id = (SELECT min(id::text)::uuid FROM deliveries) RETURNING id
        )
        UPDATE tasks SET kind = 'email.payment_disputed', due_at = due_at - interval '1 hour'
        FROM newer WHERE tasks.key = newer.id
        """
    )

    assert await sender.send_due() == 1

    assert len(mail.inbox) == 1
    states = await delivery_states(db_notification)
    assert {(template, state) for template, state, *_ in states} == {
        ("invoice_ready", "sent"),
        ("payment_disputed", "due"),
    }


async def test_an_email_that_was_sent_before_a_restore_is_not_sent_again(
    db_notification: ServiceDb, sender: Sender, mail: MailServer
) -> None:
    clinic, client_id = await a_reachable_client(db_notification)
    await deliver(db_notification.worker, consumers, an_invoice(clinic.clinic_id, client_id))
    await db_notification.admin.execute("UPDATE deliveries SET state = 'sent', sent_at = now()")

    await sender.send_due()

    assert mail.inbox == []
    assert await db_notification.admin.fetchval("SELECT state FROM tasks") == "done"


async def test_an_email_that_the_release_before_adds_is_sent_and_it_sends_none_of_ours(
    db_notification: ServiceDb, sender: Sender, mail: MailServer
) -> None:
    """While a new version is started: `deliveries` was the old one's schedule."""
    clinic, client_id = await a_reachable_client(db_notification)
    await deliver(db_notification.worker, consumers, an_invoice(clinic.clinic_id, client_id))
    due = "SELECT count(*) FROM deliveries WHERE state IN ('waiting', 'due') AND next_attempt_at <= now()"
    assert await db_notification.admin.fetchval(due) == 0
    async with db_notification.worker.worker_tx() as tx:
        await tx.execute(
            """
            INSERT INTO deliveries
                (clinic_id, id, client_id, template, event_id, subject_id, facts, next_attempt_at)
            SELECT clinic_id, $1, client_id, 'payment_failed', $1, subject_id, facts, app_now() FROM deliveries
            """,
            new_id(),
        )
    assert await db_notification.admin.fetchval(due) == 1

    assert await sender.send_due() == 2
    assert len(mail.inbox) == 2


async def test_who_lost_the_lease_records_nothing(db_notification: ServiceDb) -> None:
    clinic, client_id = await a_reachable_client(db_notification)
    await deliver(db_notification.worker, consumers, an_invoice(clinic.clinic_id, client_id))
    async with db_notification.worker.worker_tx() as tx:
        (slow,) = await actions.claim_emails(tx, 1, timedelta(0))
    async with db_notification.worker.worker_tx() as tx:
        (quick,) = await actions.claim_emails(tx, 1, timedelta(minutes=1))
    for claim in (slow, quick):
        async with db_notification.worker.worker_tx() as tx:
            await actions.record_outcome(tx, claim.delivery, Sent("<a@b.example>"))

    assert len(await outbox_events(db_notification)) == 1


async def test_no_connection_is_held_while_the_mail_server_is_spoken_to(
    db_notification: ServiceDb, sender: Sender, mail: MailServer
) -> None:
    clinic, client_id = await a_reachable_client(db_notification)
    held: list[int] = []
    mail.on_data = lambda: held.append(db_notification.worker.held)
    await deliver(db_notification.worker, consumers, an_invoice(clinic.clinic_id, client_id))
    await sender.send_due()
    assert held == [0]


async def test_while_the_mail_server_is_away_one_email_is_tried_and_the_rest_kept(
    db_notification: ServiceDb,
) -> None:
    clinic, client_id = await a_reachable_client(db_notification)
    await deliver(
        db_notification.worker, consumers, *(an_invoice(clinic.clinic_id, client_id) for _ in range(3))
    )
    away = a_sender(db_notification, Smtp("smtp://127.0.0.1:1"))

    assert await away.send_due() == 1

    assert sorted(await delivery_states(db_notification)) == [
        ("invoice_ready", "due", 0, None),
        ("invoice_ready", "due", 0, None),
        ("invoice_ready", "due", 1, "unreachable"),
    ]
    assert (
        await db_notification.admin.fetchval("SELECT count(*) FROM tasks WHERE claimed_until IS NOT NULL")
        == 0
    )


async def test_an_email_that_is_tried_in_vain_shows_since_when(
    db_notification: ServiceDb, sender: Sender, mail: MailServer
) -> None:
    clinic, client_id = await a_reachable_client(db_notification)
    shown = of_database(db_notification.worker, [unsent.READ])
    await deliver(db_notification.worker, consumers, an_invoice(clinic.clinic_id, client_id))
    await db_notification.admin.execute("UPDATE deliveries SET created_at = now() - interval '1 hour'")
    await shown.look()
    assert value("clinicpay.email.unsent.age") == 0, "it was not tried: the queue shows that"

    mail.answers = ["452 4.3.1 insufficient system storage"]
    await sender.send_due()
    await shown.look()
    assert 3_600 <= (value("clinicpay.email.unsent.age") or 0) < 3_700

    await make_due(db_notification)
    await sender.send_due()
    await shown.look()
    assert value("clinicpay.email.unsent.age") == 0


async def test_a_server_that_hangs_up_is_called_again(
    db_notification: ServiceDb, sender: Sender, mail: MailServer
) -> None:
    clinic, client_id = await a_reachable_client(db_notification)
    mail.answers = ["421 4.3.2 shutting down"]
    await deliver(db_notification.worker, consumers, an_invoice(clinic.clinic_id, client_id))
    await sender.send_due()
    await make_due(db_notification)
    await sender.send_due()
    assert (len(mail.inbox), mail.connections) == (1, 2)


async def test_an_email_that_cannot_be_written_stops_only_itself_and_waits_to_be_mended(
    db_notification: ServiceDb, sender: Sender, mail: MailServer
) -> None:
    clinic, client_id = await a_reachable_client(db_notification)
    other, their_client = await a_reachable_client(db_notification)
    accent = "UPDATE clinics SET accent = $2 WHERE clinic_id = $1"
    await db_notification.admin.execute(accent, clinic.clinic_id, "no colour")
    await deliver(
        db_notification.worker,
        consumers,
        an_invoice(clinic.clinic_id, client_id),
        an_invoice(other.clinic_id, their_client, number="2026-000002"),
    )
    await sender.send_due()
    assert mail.subjects() == ["Invoice 2026-000002 over €125.00 is ready"]
    assert [(state, attempts) for _, state, attempts, _ in await delivery_states(db_notification)] == [
        ("due", 1),
        ("sent", 1),
    ]

    await db_notification.admin.execute(accent, clinic.clinic_id, clinic.accent)
    await make_due(db_notification)
    await sender.send_due()
    assert mail.subjects() == [
        "Invoice 2026-000001 over €125.00 is ready",
        "Invoice 2026-000002 over €125.00 is ready",
    ]


async def test_a_running_sender_sends_when_it_is_woken_not_when_it_looks_next(
    db_notification: ServiceDb, sender: Sender, mail: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "POLL_SECONDS", 600.0)
    clinic, client_id = await a_reachable_client(db_notification)
    async with sender.running():
        for _ in range(3):
            await deliver(db_notification.worker, consumers, an_invoice(clinic.clinic_id, client_id))
            sender.wake()
            async with asyncio.timeout(20):
                await mail.seen.get()
    assert await delivery_states(db_notification) == 3 * [("invoice_ready", "sent", 1, None)]


@pytest.mark.parametrize(
    ("count", "most", "connections"), [(3, 9, 1), (9, 9, 1), (10, 9, 2), (40, 9, 4), (40, 1, 1)]
)
async def test_many_go_over_several_connections_as_far_as_the_server_allows(
    db_notification: ServiceDb, mail: MailServer, count: int, most: int, connections: int
) -> None:
    clinic, client_id = await a_reachable_client(db_notification)
    mail.most = most
    await deliver(
        db_notification.worker, consumers, *(an_invoice(clinic.clinic_id, client_id) for _ in range(count))
    )
    async with sending(db_notification, mail.port, lanes=4) as sender:
        assert await sender.send_due() == count
        assert min(mail.connections, mail.most) == connections

    assert len({message["Message-ID"] for message in mail.inbox}) == len(mail.inbox) == count
    assert len(await outbox_events(db_notification)) == count
    assert await delivery_states(db_notification) == count * [("invoice_ready", "sent", 1, None)]


async def test_a_database_that_fails_one_record_costs_no_other_its_own(
    db_notification: ServiceDb, mail: MailServer
) -> None:
    """Every e-mail that the server took is recorded, but the one whose record failed: that one comes again."""
    clinic, client_id = await a_reachable_client(db_notification)
    await deliver(
        db_notification.worker, consumers, *(an_invoice(clinic.clinic_id, client_id) for _ in range(20))
    )
    await db_notification.admin.execute(
        """
        CREATE FUNCTION fail_once() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF NEW.id = (SELECT min(id::text)::uuid FROM deliveries) THEN RAISE 'no record'; END IF;
            RETURN NEW;
        END $$;
        CREATE TRIGGER fail_once BEFORE UPDATE ON deliveries FOR EACH ROW WHEN (NEW.state = 'sent')
            EXECUTE FUNCTION fail_once()
        """
    )
    async with sending(db_notification, mail.port, lanes=4) as sender:
        with pytest.raises(asyncpg.RaiseError):
            await sender.send_due()
        sent = [state for _, state, _, _ in await delivery_states(db_notification)].count("sent")
        assert sent == len(mail.inbox) - 1
        await db_notification.admin.execute("DROP TRIGGER fail_once ON deliveries")
        await make_due(db_notification)
        while await sender.send_due():
            pass

    assert len(mail.inbox) == 21
    assert len({message["Message-ID"] for message in mail.inbox}) == 20


async def test_an_address_that_was_kept_unchecked_fails_its_own_letters_once_and_stops_no_other(
    db_notification: ServiceDb, sender: Sender, mail: MailServer
) -> None:
    clinic, client_id = await a_reachable_client(db_notification)
    kept_before = new_id()
    await put_contact(db_notification, clinic.clinic_id, kept_before)
    await db_notification.admin.execute(
        "UPDATE contacts SET email = '<billing@x>' WHERE client_id = $1", kept_before
    )
    await db_notification.admin.execute("UPDATE clinics SET email = 'a@@b.de'")
    await deliver(
        db_notification.worker,
        consumers,
        an_invoice(clinic.clinic_id, kept_before),
        an_invoice(clinic.clinic_id, client_id),
    )

    await sender.send_due()
    await make_due(db_notification)
    assert await sender.send_due() == 0

    assert await delivery_states(db_notification) == [
        ("invoice_ready", "failed", 1, "email_not_valid"),
        ("invoice_ready", "sent", 1, None),
    ]
    (email,) = mail.inbox
    assert email["Reply-To"] is None
    kinds = {type(fact) for fact in await outbox_events(db_notification)}
    assert kinds == {NotificationFailed, NotificationSent}
