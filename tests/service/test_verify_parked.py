"""`clinicpay parked`: what waits is listed, shown whole, and applied once what it lacked is there."""

import asyncio
import json

from typer.testing import CliRunner

from contracts.payment import PaymentSettled
from deploy import cli
from services.invoice import consumers
from tests.service.invoice_world import World, a_world
from tests.world import ServiceDb, a_settlement, deliver, eur, waiting_parked


async def command(db: ServiceDb, *words: str) -> tuple[int, str, str]:
    """`clinicpay parked …`: its exit code, and what it said on both ways."""
    environment = {"COLUMNS": "300", "WORKER_DATABASE_URLS": f"invoice={db.worker_dsn}"}
    done = await asyncio.to_thread(CliRunner().invoke, cli.app, ["parked", *words], env=environment)
    return done.exit_code, done.stdout, done.stderr


async def a_parked_movement(world: World) -> PaymentSettled:
    """A movement in another currency than its invoice's, and one that waits behind it."""
    invoice = await world.issue(12_500)
    wrong = a_settlement(world.clinic_id, invoice["id"], eur(10))
    wrong = wrong.model_copy(update={"amount": wrong.amount.model_copy(update={"currency": "USD"})})
    behind = a_settlement(world.clinic_id, invoice["id"], eur(20))
    await deliver(world.db.worker, consumers, wrong)
    await deliver(world.db.worker, consumers, behind)
    assert [reason for _, reason in await waiting_parked(world.db)] == ["wrong_currency", "behind_parked"]
    return wrong


async def test_what_is_parked_is_listed_and_shown_whole(db_invoice: ServiceDb) -> None:
    async with a_world(db_invoice) as world:
        movement = await a_parked_movement(world)

        code, listed, _ = await command(db_invoice, "list")
        shown_code, shown, _ = await command(db_invoice, "show", "invoice", "1")

    assert code == shown_code == 0
    assert "wrong_currency" in listed and "behind_parked" in listed
    body = json.loads(shown)
    assert body["reason"] == "wrong_currency" and body["value"]["id"] == str(movement.id)


async def test_a_replay_applies_in_order_once_the_cause_is_mended(db_invoice: ServiceDb) -> None:
    async with a_world(db_invoice) as world:
        movement = await a_parked_movement(world)
        refused, _, why = await command(db_invoice, "replay", "invoice", "2")
        await db_invoice.admin.execute("UPDATE invoices SET currency = 'USD'")
        await db_invoice.admin.execute(
            "UPDATE parked SET value = convert_to(replace(convert_from(value, 'UTF8'), 'EUR', 'USD'), 'UTF8')"
        )

        code, said, _ = await command(db_invoice, "replay", "invoice", "2")
        again, _, nothing = await command(db_invoice, "replay", "invoice", "2")

        invoice = await world.get(f"/invoices/{movement.invoice_id}")
    assert refused == 1 and "wrong_currency" in why
    assert (code, said) == (0, "applied: 1, 2\n")
    assert again == 1 and "does not wait" in nothing
    assert invoice["settled"]["minor"] == 3_000


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
    code, said, _ = await command(db_invoice, "list")

    assert code == 0 and "Nothing is parked." in said
