"""`clinicpay movements reverse`: a movement that payment never booked leaves its invoice, and the books agree again."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from deploy.ops.verify.run import verify
from services.chassis import audit
from services.chassis.ids import new_id
from services.invoice import consumers
from tests.builders.events import deliver
from tests.builders.payments import a_settlement
from tests.builders.values import money
from tests.running.apps import in_own_task
from tests.running.commands import command
from tests.running.installation import Installation, an_installation

PERSONS = ("--by", "Ada", "--approved-by", "Grace")


@pytest.fixture(scope="module")
async def installation(postgres: str, roles: dict[str, str]) -> AsyncIterator[Installation]:
    async with in_own_task(an_installation(postgres, roles)) as made:
        yield made


async def reverse(
    installation: Installation, movement: UUID, *words: str, reason: str = "forged on the topic"
) -> tuple[int, str]:
    """The command's exit code, and what it wrote."""
    auditor = ",".join(f"{name}={dsn}" for name, dsn in installation.access.databases.items())
    environment = {
        "WORKER_DATABASE_URLS": f"invoice={installation.dbs['invoice'].worker_dsn}",
        "AUDITOR_DATABASE_URLS": auditor,
    }
    line = ["movements", "reverse", str(installation.world.clinic_id), str(movement), "--reason", reason]
    done = await command(*line, *(words or PERSONS), **environment)
    return done.exit_code, done.output


async def forge(installation: Installation, invoice: UUID, minor: int, **changes: Any) -> UUID:
    """A movement on the topic that payment never wrote; the invoice's consumer books it."""
    forged = a_settlement(installation.world.clinic_id, invoice, money(minor), **changes)
    forged = forged.model_copy(update={"stripe_object_id": "pi_forged"})
    await deliver(installation.dbs["invoice"].worker, consumers, forged)
    await installation.pump()
    return forged.movement_id


async def of(installation: Installation, invoice: UUID) -> Any:
    return await installation.world.get(f"/invoices/{invoice}")


async def breaches(installation: Installation) -> set[str]:
    return {breach.check for breach in (await verify(installation.access, wait=0)).breaches}


SHOWN = ("status", "settled", "due", "movements", "paid_with")


@pytest.mark.parametrize(
    ("minor", "paid", "changes", "status"),
    [
        (900, 0, {}, "paid"),
        (100, 0, {}, "part_paid"),
        (5_000, 0, {}, "paid"),
        (-900, 900, {"kind": "refund"}, "refunded"),
        (-400, 900, {"kind": "dispute"}, "paid"),
        (-400, 900, {"kind": "reversal"}, "part_paid"),
        (400, 500, {}, "paid"),
    ],
    ids=["paid", "part", "more", "refund", "dispute", "reversal", "rest"],
)
async def test_a_forged_movement_is_reversed_and_verify_is_clean(
    installation: Installation, minor: int, paid: int, changes: dict[str, Any], status: str
) -> None:
    invoice = await installation.open_invoice(900)
    if paid:
        await installation.pay((invoice, money(paid)))
    before = await of(installation, invoice)
    movement = await forge(installation, invoice, minor, **changes)
    assert (await of(installation, invoice))["status"] == status
    assert "movements_agree" in await breaches(installation)

    code, words = await reverse(installation, movement)
    await installation.pump()

    assert (code, before["status"] in words) == (0, True), words
    after = await of(installation, invoice)
    assert {name: after[name] for name in SHOWN} == {name: before[name] for name in SHOWN}
    assert await breaches(installation) == set()


async def test_a_second_booking_of_a_genuine_payment_is_reversed_and_the_first_stays(
    installation: Installation,
) -> None:
    invoice = await installation.open_invoice(900)
    payment = await installation.pay((invoice, money(500)))
    genuine = (await of(installation, invoice))["movements"][0]["id"]
    forged = await forge(installation, invoice, 400, payment_id=payment)

    assert (await reverse(installation, forged))[0] == 0
    await installation.pump()
    assert [each["id"] for each in (await of(installation, invoice))["movements"]] == [genuine]
    assert await breaches(installation) == set()


async def test_it_is_kept_with_its_reason_and_two_names_and_is_in_the_audit_log(
    installation: Installation,
) -> None:
    invoice = await installation.open_invoice(900)
    movement = await forge(installation, invoice, 900)
    await reverse(installation, movement, reason="forged  by\na stranger")

    admin = installation.dbs["invoice"].admin
    row = await admin.fetchrow("SELECT * FROM corrections WHERE movement_id = $1", movement)
    assert row is not None and '"amount": 900' in row["movement"]
    assert (row["reason"], row["reversed_by"], row["approved_by"]) == ("forged by a stranger", "Ada", "Grace")
    entry = await admin.fetchrow("SELECT action, role FROM audit WHERE subject_id = $1", movement)
    assert entry is not None and tuple(entry) == ("reverse_movement", "operator")
    async with admin.acquire() as connection:
        assert await audit.verify_chain(connection) == []
    await installation.pump()


async def test_a_reversed_movement_that_comes_again_is_not_booked(installation: Installation) -> None:
    invoice = await installation.open_invoice(900)
    forged = a_settlement(installation.world.clinic_id, invoice, money(900))
    await deliver(installation.dbs["invoice"].worker, consumers, forged)
    await reverse(installation, forged.movement_id)
    await deliver(installation.dbs["invoice"].worker, consumers, forged)
    await installation.pump()
    assert (await of(installation, invoice))["status"] == "unpaid"


async def test_what_was_reversed_can_be_paid(installation: Installation) -> None:
    invoice = await installation.open_invoice(900)
    await reverse(installation, await forge(installation, invoice, 900))
    await installation.pump()
    await installation.pay((invoice, money(900)))
    assert (await of(installation, invoice))["status"] == "paid"
    assert await breaches(installation) == set()


async def test_money_that_payment_has_booked_is_never_reversed(installation: Installation) -> None:
    invoice = await installation.open_invoice(900)
    await installation.pay((invoice, money(900)))
    before = await of(installation, invoice)
    movement = UUID(before["movements"][0]["id"])

    code, words = await reverse(installation, movement)

    assert (code, "movement_is_payments" in words) == (1, True)
    await installation.pump()
    assert await of(installation, invoice) == before
    assert await breaches(installation) == set()


@pytest.mark.parametrize("forged_comes", ["before", "after"])
async def test_a_movement_that_may_stand_for_payments_own_is_not_reversed(
    installation: Installation, forged_comes: str
) -> None:
    """The invoice would lose money that came: payment's movement, which has another id, is not on it yet."""
    invoice = await installation.open_invoice(900)
    known = await installation.payments.db.admin.fetchval("SELECT count(*) FROM movements")
    movement = await forge(installation, invoice, 100) if forged_comes == "before" else None
    started = await installation.payments.start((invoice, money(300)))
    already = installation.payments.hook.count("payment_intent.succeeded")
    await installation.payments.confirm(started)
    await installation.payments.hook.until("payment_intent.succeeded", already + 1)
    await installation.payments.consume()
    assert await installation.payments.db.admin.fetchval("SELECT count(*) FROM movements") == known + 1
    if movement is None:
        forged = a_settlement(installation.world.clinic_id, invoice, money(100))
        await deliver(installation.dbs["invoice"].worker, consumers, forged)
        movement = forged.movement_id

    assert (await reverse(installation, movement))[0] == 1
    await installation.pump()
    assert (await reverse(installation, movement))[0] == 0
    await installation.pump()
    assert await breaches(installation) == set()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--by", "Ada", "--approved-by", " ada "), "two_persons_needed"),
        (("--by", "", "--approved-by", "Grace"), "invalid_text"),
        (("--by", "Ada\x1b[2J", "--approved-by", "Grace"), "invalid_text"),
    ],
)
async def test_one_person_alone_or_nobody_reverses_nothing(
    installation: Installation, words: tuple[str, ...], code: str
) -> None:
    invoice = await installation.open_invoice(900)
    movement = await forge(installation, invoice, 900)
    done, said = await reverse(installation, movement, *words)
    assert (done, code in said) == (1, True), said
    assert (await of(installation, invoice))["status"] == "paid"
    assert (await reverse(installation, movement))[0] == 0
    assert "movement_not_found" in (await reverse(installation, movement))[1]
    await installation.pump()


async def test_what_is_not_there_is_not_reversed(installation: Installation) -> None:
    assert "movement_not_found" in (await reverse(installation, new_id()))[1]


async def test_no_statement_deletes_a_movement_without_a_correction(installation: Installation) -> None:
    async with installation.dbs["invoice"].worker.worker_tx() as tx:
        with pytest.raises(asyncpg.IntegrityConstraintViolationError):
            async with tx.transaction():
                await tx.execute("DELETE FROM movements")
