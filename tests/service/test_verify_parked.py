"""`clinicpay parked`: events are listed, shown whole, applied once they can be, or discarded."""

import json

import asyncpg
import pytest

from contracts.events.payment import PaymentSettled
from services.chassis import audit
from services.chassis.http.auth import Caller
from services.chassis.ids import new_id
from services.chassis.kafka import park
from services.chassis.kafka.park import Parked, Record
from services.invoice import consumers
from tests.builders.events import deliver, deliver_records, record, waiting_parked
from tests.builders.payments import a_settlement
from tests.builders.values import eur, money
from tests.running import commands
from tests.running.databases import ServiceDb
from tests.running.invoice import InvoiceService, an_invoice_service


async def command(db: ServiceDb, *words: str, columns: int = 300) -> tuple[int, str, str]:
    """`clinicpay parked …`: its exit code, stdout and stderr."""
    workers = f"invoice={db.worker_dsn}"
    done = await commands.command("parked", *words, COLUMNS=str(columns), WORKER_DATABASE_URLS=workers)
    return done.exit_code, done.stdout, done.stderr


async def a_parked_movement(world: InvoiceService) -> PaymentSettled:
    """A movement in another currency than its invoice's."""
    invoice = await world.issue(12_500)
    wrong = a_settlement(world.clinic_id, invoice["id"], money(1_000, "USD"))
    await deliver(world.db.worker, consumers, wrong)
    assert await waiting_parked(world.db) == [("payment.settled", "wrong_currency")]
    return wrong


async def mend(db: ServiceDb) -> None:
    """Make the refused event valid."""
    await db.admin.execute("UPDATE invoices SET currency = 'USD'")


async def test_what_is_parked_is_listed_and_shown_whole(db_invoice: ServiceDb) -> None:
    async with an_invoice_service(db_invoice) as world:
        movement = await a_parked_movement(world)

        code, listed, _ = await command(db_invoice, "list")
        shown_code, shown, _ = await command(db_invoice, "show", "invoice", "1")

    assert code == shown_code == 0
    assert "wrong_currency" in listed
    body = json.loads(shown)
    assert body["reason"] == "wrong_currency" and body["value"]["id"] == str(movement.id)


async def test_the_list_can_be_read_on_a_narrow_screen(db_invoice: ServiceDb) -> None:
    """Values for another command are never cut or wrapped, and no text of a producer moves the cursor."""
    async with an_invoice_service(db_invoice) as world:
        await a_parked_movement(world)
        await db_invoice.admin.execute(
            'UPDATE parked SET "offset" = 9007199254740993, detail = $1',
            "data.amount.currency: string_pattern_mismatch; " * 4 + "\x1b[2J[red]end",
        )
        _, listed, _ = await command(db_invoice, "list", columns=80)
        _, as_json, _ = await command(db_invoice, "list", "--json", columns=80)
        await command(db_invoice, "discard", "invoice", "1", "--reason", "because " * 20, "--by", "Ada")
        _, discarded, _ = await command(db_invoice, "list", "--discarded", columns=80)

    lines = [line.rstrip() for line in listed.splitlines()]
    assert lines[0] == "invoice 1"
    assert lines[1] == "  record     payment.settled 0/9007199254740993, read by invoice"
    assert lines[2] == "  reason     wrong_currency"
    assert max(map(len, lines)) <= 80 and "\x1b" not in listed and "[red]end" in listed
    assert any(line.startswith("  parked at") for line in lines)
    [row] = map(json.loads, as_json.splitlines())
    assert (row["service"], row["id"], row["offset"]) == ("invoice", 1, 9007199254740993)
    lines = discarded.splitlines()
    assert lines[0] == "invoice 1" and any(line.split() == ["discarded", "by", "Ada"] for line in lines)
    assert discarded.count("because") == 20 and max(map(len, lines)) <= 80


async def test_a_replay_applies_once_the_cause_is_mended(db_invoice: ServiceDb) -> None:
    async with an_invoice_service(db_invoice) as world:
        movement = await a_parked_movement(world)
        refused, _, why = await command(db_invoice, "replay", "invoice", "1")
        await mend(db_invoice)

        code, output, _ = await command(db_invoice, "replay", "invoice", "1")
        again, _, nothing = await command(db_invoice, "replay", "invoice", "1")

        invoice = await world.get(f"/invoices/{movement.invoice_id}")
    assert refused == 1 and "wrong_currency" in why
    assert (code, output) == (0, "applied: 1\n")
    assert again == 1 and "does not wait" in nothing
    assert invoice["settled"]["minor"] == 1_000


async def test_what_an_earlier_version_held_back_is_applied_in_one_go(db_invoice: ServiceDb) -> None:
    """All events of an earlier version, except those refused for their own reason; those refused now are named."""
    async with an_invoice_service(db_invoice) as world:
        movement = await a_parked_movement(world)
        behind = [a_settlement(world.clinic_id, movement.invoice_id, eur(n)) for n in (10, 20)]
        foreign = a_settlement(world.clinic_id, new_id(), eur(30))
        async with db_invoice.worker.worker_tx() as tx:
            held = [
                Parked(record(event, n), event, "behind_parked") for n, event in enumerate([*behind, foreign])
            ]
            await park.add(tx, "invoice", held)

        code, output, refused = await command(db_invoice, "replay", "invoice", "--all-behind")
        both, _, _ = await command(db_invoice, "replay", "invoice", "1", "--all-behind")
        neither, _, _ = await command(db_invoice, "replay", "invoice")

        invoice = await world.get(f"/invoices/{movement.invoice_id}")
    assert (code, output) == (1, "applied: 2 that had been held back\n")
    assert "still refused: 4" in refused
    assert both == neither == 1
    assert invoice["settled"]["minor"] == 3_000
    assert [reason for _, reason in await waiting_parked(db_invoice)] == ["wrong_currency", "behind_parked"]


async def test_what_is_discarded_stays_with_who_and_why_and_is_never_applied(db_invoice: ServiceDb) -> None:
    async with an_invoice_service(db_invoice) as world:
        movement = await a_parked_movement(world)
        await mend(db_invoice)

        code, output, _ = await command(
            db_invoice, "discard", "invoice", "1", "--reason", "a  test record", "--by", "Ada"
        )
        again, _, gone = await command(db_invoice, "discard", "invoice", "1", "--reason", "again")
        replayed, _, nothing = await command(db_invoice, "replay", "invoice", "1")
        _, listed, _ = await command(db_invoice, "list", "--discarded")
        _, waiting, _ = await command(db_invoice, "list")

        invoice = await world.get(f"/invoices/{movement.invoice_id}")
    assert (code, output) == (0, "discarded: 1\n") and invoice["settled"]["minor"] == 0
    assert again == replayed == 1 and "does not wait" in gone and "does not wait" in nothing
    assert "Ada" in listed and "a test record" in listed and "Nothing is parked." in waiting
    entry = await db_invoice.admin.fetchrow("SELECT * FROM audit WHERE action = 'discard_parked'")
    assert entry is not None
    assert (entry["clinic_id"], entry["subject_id"], entry["role"]) == (
        world.clinic_id,
        movement.invoice_id,
        "operator",
    )
    async with db_invoice.admin.acquire() as connection:
        assert await audit.verify_chain(connection) == []


@pytest.mark.parametrize("reason", ["", "  ", "x" * 501, "a\x07bell"])
async def test_a_discard_needs_a_reason_that_can_be_read(db_invoice: ServiceDb, reason: str) -> None:
    async with an_invoice_service(db_invoice) as world:
        await a_parked_movement(world)

        code, _, why = await command(db_invoice, "discard", "invoice", "1", "--reason", reason)

    assert code == 1 and "a reason has" in why
    assert await waiting_parked(db_invoice) == [("payment.settled", "wrong_currency")]


async def test_what_is_of_no_clinic_is_discarded_into_the_installations_audit_log(
    db_invoice: ServiceDb,
) -> None:
    await deliver_records(db_invoice.worker, consumers, [Record("payment.settled", 0, 0, None, b"\xfe")])

    code, _, _ = await command(db_invoice, "discard", "invoice", "1", "--reason", "garbage")

    assert code == 0
    assert await db_invoice.admin.fetchval("SELECT clinic_id FROM audit") == audit.INSTALLATION


async def test_a_worker_enters_nothing_else_into_the_audit_log(db_invoice: ServiceDb) -> None:
    for role, action in (("staff", "discard_parked"), ("operator", "put_clinic")):
        caller = Caller(new_id(), "staff" if role == "staff" else "operator", new_id())
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with db_invoice.worker.worker_tx() as tx:
                await audit.record(tx, caller, action, new_id(), None, 1)


async def test_a_strange_record_is_shown_and_stays(db_invoice: ServiceDb) -> None:
    await db_invoice.admin.execute(
        """
        INSERT INTO parked (consumer, topic, partition, "offset", key, value, headers, reason, detail, fingerprint)
        VALUES ('invoice', 'payment.settled', 0, 0, '\\xff', '\\xfe', '[["a", "ff"]]', 'undecodable', '', '')
        """
    )

    _, shown, _ = await command(db_invoice, "show", "invoice", "1")
    code, _, why = await command(db_invoice, "replay", "invoice", "1")
    missing, _, no = await command(db_invoice, "show", "invoice", "7")

    assert json.loads(shown)["value"] == "fe" and json.loads(shown)["headers"] == {"a": "ff"}
    assert code == 1 and "still refused" in why
    assert missing == 1 and "nothing is parked under 7" in no


async def test_nothing_parked_is_said(db_invoice: ServiceDb) -> None:
    code, output, _ = await command(db_invoice, "list")

    assert code == 0 and "Nothing is parked." in output
